//! What follows when an attempt comes to nothing, and the answers that ELB gives itself.
//!
//! It owns the way from a failure to the next server or to the client, never the tables that decide it. Next: `retry`.

use super::machine::Exchange;
use super::phase::{Env, Phase, Step};
use super::retry::{self, Attempt, Failure, Verdict};
use crate::http1::error::Refusal;
use crate::http1::rewrite::Persistence;

impl Exchange {
    pub(super) fn attempt(&self, env: &Env<'_>) -> Attempt {
        Attempt {
            sent: self.request.begun,
            stale: self.reused && !self.response.begun,
            idempotent: self.idempotent,
            replayable: self.request.kept,
            tries_left: self.tries < env.policy.tries,
        }
    }

    /// An attempt came to nothing; another one follows, or the client is told.
    pub(super) fn failed_attempt(&mut self, env: &Env<'_>, failure: Failure) {
        match retry::decide(failure, self.attempt(env)) {
            Verdict::Again => {
                self.drop = Some(false);
                self.phase = Phase::Connect { asked: false, same: true };
            }
            Verdict::Next => {
                let mut last = self.attempt(env);
                last.tries_left = false;
                if let Verdict::Give(status, reason) = retry::decide(failure, last) {
                    self.last_failure = Some((status, reason));
                }
                self.drop = Some(true);
                self.phase = Phase::Connect { asked: false, same: false };
            }
            Verdict::Give(status, reason) => {
                self.drop = Some(true);
                self.answer(env, status, reason);
            }
        }
    }

    pub(super) fn refuse(&mut self, env: &Env<'_>, refusal: Refusal) -> Step {
        self.keep = false;
        self.request.discard();
        self.request.done = false;
        self.response.reply(
            refusal.status(),
            refusal.reason(),
            env.date,
            Persistence::Close,
            self.head_request,
        );
        self.phase = Phase::Reply { linger: true };
        Step::Wait
    }

    /// Answers the client with an answer of ELB's own.
    pub(super) fn answer(&mut self, env: &Env<'_>, status: u16, reason: &'static str) {
        let whole = self.request.judge().is_ok() && self.request.done;
        self.request.discard();
        self.keep = whole && self.request.head.keep_alive && !env.draining;
        let persistence = Persistence::of(self.request.head.version, self.keep);
        self.response.reply(status, reason, env.date, persistence, self.head_request);
        self.phase = Phase::Reply { linger: !whole };
        self.moved = true;
    }
}
