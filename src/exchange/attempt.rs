//! The way to a server: connecting, what follows when an attempt comes to nothing, and the answers ELB gives itself.
//!
//! It owns the transitions around [`Phase::Connect`], never the tables that decide them. Next: `retry`.

use super::machine::Exchange;
use super::phase::{Env, NoServer, Phase, Sign, Step};
use super::retry::{self, Attempt, Failure, Verdict};
use crate::http1::reply::Reply;
use crate::http1::rewrite::Persistence;
use crate::reason::Reason;

impl Exchange {
    /// Asks for a server, or for the `same` again on a fresh connection, if the request is still worth one.
    pub(super) fn seek(&mut self, env: &Env, same: bool) {
        match self.request.judge() {
            Err(refusal) => self.refuse(env, refusal.reason()),
            Ok(()) if self.is_request_cut() => self.request_cut(),
            Ok(()) => {
                if !same {
                    self.tries += 1;
                }
                self.deadline = env.now + env.policy.connect_timeout;
                self.phase = Phase::Connect;
                self.orders.push(Step::Connect { same });
            }
        }
    }

    /// More of the request has come while a connection is made, or its end.
    pub(super) fn connecting(&mut self, env: &Env) {
        match self.request.judge() {
            Err(refusal) => {
                self.drop_server(Sign::Nothing);
                self.refuse(env, refusal.reason());
            }
            Ok(()) if self.is_request_cut() => self.request_cut(),
            Ok(()) => {}
        }
    }

    /// The client has ended before its request has.
    pub(super) fn is_request_cut(&self) -> bool {
        self.request.ended && !self.request.done
    }

    pub(super) fn request_cut(&mut self) {
        self.set_reason(Reason::RequestCut);
        self.close(Sign::Nothing);
    }

    /// The answer to [`Step::Connect`]: a connection is there, from the pool or fresh. One that comes when its time is
    /// over is nobody's: the [`Step::Drop`] that closes it is already due.
    pub fn connected(&mut self, env: &Env, reused: bool) {
        if !self.is_connecting() {
            return;
        }
        self.reused = reused;
        self.server_failed = false;
        self.request.rewind();
        self.restart_response();
        self.phase = Phase::Await;
        self.waiting.renew(env);
        // What came with the connection; a refusal is found again by the next step.
        self.unseen = self.request.judge().is_err() || self.is_request_cut();
        if self.request.expects_continue && !self.continued {
            self.continued = true;
            if !self.request.done && self.request.unread().is_empty() {
                self.response.say_continue();
            }
        }
    }

    /// The answer to [`Step::Connect`], at once or later: there will be no connection. After the deadline it is no news.
    pub fn refused(&mut self, env: &Env, why: NoServer) {
        match why {
            _ if !self.is_connecting() => {}
            NoServer::Failed => self.failed_attempt(env, Failure::Connect { timeout: false }),
            NoServer::NoneLeft(reason) => {
                let reason = self.last_failure.map_or(reason, Failure::reason);
                self.answer(env, &Reply::refusal(reason));
            }
        }
    }

    /// The shell was asked for a connection and has not answered.
    fn is_connecting(&self) -> bool {
        self.phase == Phase::Connect && self.orders.is_empty()
    }

    pub(super) fn attempt(&self, env: &Env) -> Attempt {
        Attempt {
            sent: self.request.begun,
            stale: self.reused && !self.response.begun,
            idempotent: self.idempotent,
            replayable: self.request.kept,
            tries_left: self.tries < env.policy.tries,
            last: self.unacceptable,
        }
    }

    /// An attempt came to nothing; another one follows, or the client is told.
    pub(super) fn failed_attempt(&mut self, env: &Env, failure: Failure) {
        let attempt = self.attempt(env);
        let sign = failure.sign(self.reused);
        self.unacceptable |= matches!(failure, Failure::Unacceptable(_));
        match retry::decide(failure, attempt) {
            Verdict::Again => {
                self.drop_server(Sign::Nothing);
                self.seek(env, true);
            }
            Verdict::Next => {
                self.last_failure = Some(failure);
                self.drop_server(sign);
                self.seek(env, false);
            }
            Verdict::Give(reason) => {
                self.drop_server(sign);
                self.answer(env, &Reply::refusal(reason));
            }
        }
    }

    /// Answers a request that is faulty or not whole; its connection ends.
    #[cold]
    #[inline(never)]
    pub(super) fn refuse(&mut self, env: &Env, reason: Reason) {
        self.set_reason(reason);
        self.keep = false;
        self.request.discard();
        self.request.done = false;
        let reply = Reply::refusal(reason);
        self.response.reply(&reply, &env.date, Persistence::Close, self.head_request);
        self.phase = Phase::Reply { linger: true };
    }

    /// Answers the client with an answer of ELB's own. Whatever of the request was not read is thrown away behind it.
    pub(super) fn answer(&mut self, env: &Env, reply: &Reply<'_>) {
        if let Some(reason) = reply.reason {
            self.set_reason(reason);
        }
        let whole = self.request.judge().is_ok() && self.request.done;
        self.request.discard();
        self.keep = whole && self.request.keep_alive && !env.draining;
        (self.phase, self.latest) = (Phase::Reply { linger: !whole }, None);
        let persistence = Persistence::of(self.request.version, self.keep);
        self.response.reply(reply, &env.date, persistence, self.head_request);
    }
}
