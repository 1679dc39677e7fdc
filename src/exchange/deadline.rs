//! The one deadline of an exchange: which silence it bounds in each phase, and what happens when it passes.
//!
//! It owns no clock; `now` comes with every call. Next: `attempt` for what follows a silence.

use super::machine::Exchange;
use super::phase::{Env, Phase, Step};
use super::retry::Failure;
use crate::http1::rewrite::Persistence;

impl Exchange {
    pub(super) fn set_deadline(&mut self, env: &Env<'_>) {
        if !std::mem::take(&mut self.moved) {
            return;
        }
        let policy = env.policy;
        let silence = match self.phase {
            Phase::Await if self.owes_body() => policy.client_body_timeout,
            Phase::Relay if !self.response.is_flushed() => policy.client_write_timeout,
            Phase::Await | Phase::Relay => policy.server_timeout,
            Phase::Tunnel { .. } => policy.tunnel_timeout,
            Phase::Reply { .. } => policy.client_write_timeout,
            _ => return,
        };
        self.deadline = env.now + silence;
    }

    /// The deadline has passed. [`Step::Wait`] means that the next [`Exchange::step`] says how it goes on.
    pub fn expired(&mut self, env: &Env<'_>) -> Step {
        match self.phase {
            Phase::Head if self.request.head_begun() => self.timed_out(env, "client-header-timeout"),
            Phase::Connect { .. } => self.failed_attempt(env, Failure::Connect { timeout: true }),
            Phase::Await if self.owes_body() => {
                self.drop = Some(false);
                self.timed_out(env, "client-body-timeout");
            }
            Phase::Await => self.failed_attempt(env, Failure::Silence),
            Phase::Relay if self.response.is_flushed() => return self.cut(true),
            Phase::Relay => {
                self.phase = Phase::Over;
                return Step::Close { reset: true, failed: false };
            }
            _ => return self.close(false),
        }
        Step::Wait
    }

    /// The server has all that has come of the request, and the client owes the rest.
    pub(super) fn owes_body(&self) -> bool {
        !self.request.done && !self.request.abandoned && self.request.is_flushed()
    }

    pub(super) fn timed_out(&mut self, env: &Env<'_>, reason: &'static str) {
        self.keep = false;
        self.request.discard();
        self.response.reply(408, reason, env.date, Persistence::Close, self.head_request);
        self.phase = Phase::Reply { linger: true };
        self.moved = true;
    }
}
