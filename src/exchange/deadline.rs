//! The one deadline of an exchange: whom it waits for in each phase, and what happens when it passes.
//!
//! It owns no clock; `now` comes with every call. Next: `waiting` for what moves it, `attempt` for what follows a silence.

use std::time::{Duration, Instant};

use super::machine::Exchange;
use super::phase::{Env, Phase, Sign, Step};
use super::retry::Failure;
use super::waiting::WaitingFor;
use crate::http1::reply::Reply;
use crate::reason::Reason;

impl Exchange {
    /// When the shell must call [`Exchange::expired`] if nothing moves until then. Asked when the exchange rests: whom it
    /// waits for in the middle of a turn does not matter, as no time passes there.
    pub fn deadline(&mut self, env: &Env) -> Instant {
        let (for_whom, owes_body) = (self.waiting_for(), self.owes_body());
        if let Some(deadline) = self.waiting.renewed(for_whom, owes_body, self.deadline, env) {
            self.deadline = deadline;
        }
        self.latest.map_or(self.deadline, |latest| latest.min(self.deadline))
    }

    /// The client has sent its end of input behind all of its request. It may wait for the answer, and it may be gone, as one is
    /// whose user has pressed a key: that cannot be told apart, so the answer has some time to begin, and its server is let
    /// go then. To be told whenever the exchange rests.
    pub fn half_closed(&mut self, env: &Env) {
        let waits = matches!(self.phase, Phase::Connect | Phase::Await) && self.request.done;
        if waits && self.latest.is_none() {
            self.latest = Some(env.now + env.policy.half_close_timeout);
        }
    }

    /// A head that is not whole has so much time and no more; gives the deadline.
    pub fn hurry(&mut self, env: &Env, time: Duration) -> Instant {
        if self.phase == Phase::Head {
            self.deadline = self.deadline.min(env.now + time);
        }
        self.deadline(env)
    }

    fn waiting_for(&self) -> WaitingFor {
        match self.phase {
            Phase::Reply { .. } => WaitingFor::Reader,
            Phase::Relay if !self.response.is_flushed() => WaitingFor::Reader,
            Phase::Await if !self.request.is_flushed() => WaitingFor::Taker,
            Phase::Await if self.owes_body() => WaitingFor::Body,
            Phase::Await => WaitingFor::Head,
            Phase::Relay => WaitingFor::Stream,
            Phase::Tunnel { .. } => WaitingFor::Tunnel,
            _ => WaitingFor::Phase,
        }
    }

    /// The deadline has passed; the next [`Exchange::step`] says how it goes on.
    pub fn expired(&mut self, env: &Env) {
        match self.phase {
            Phase::Connect | Phase::Await if self.latest.is_some_and(|latest| latest <= env.now) => {
                self.set_reason(Reason::HalfCloseTimeout);
                self.close(Sign::Nothing);
            }
            Phase::Head if self.scan.begun(self.request.unread()) => {
                self.refuse(env, Reason::ClientHeaderTimeout);
            }
            Phase::Connect => self.failed_attempt(env, Failure::Connect { timeout: true }),
            Phase::Await if self.owes_body() => {
                self.drop_server(Sign::Nothing);
                self.refuse(env, Reason::ClientBodyTimeout);
            }
            Phase::Await => self.failed_attempt(env, Failure::Silence),
            Phase::Relay if !self.response.is_flushed() => {
                self.set_reason(Reason::ClientWriteTimeout);
                self.end(Step::Close { reset: true, sign: Sign::Nothing });
            }
            // A server that has answered may well wait for the rest of the body before it goes on.
            Phase::Relay if self.owes_body() => self.cut(Sign::Nothing, Reason::ClientBodyTimeout),
            Phase::Relay => self.cut(Sign::Doubt, Reason::ServerTimeout),
            Phase::Tunnel { .. } => {
                self.set_reason(Reason::TunnelTimeout);
                self.close(Sign::Good);
            }
            phase => {
                self.set_reason(match phase {
                    Phase::Linger => Reason::LingerTimeout,
                    Phase::Reply { .. } => Reason::ClientWriteTimeout,
                    _ => Reason::ClientHeaderTimeout,
                });
                self.close(Sign::Nothing);
            }
        }
    }

    /// The deadline has passed, and bytes that are there could not be read because no window was to be had. That is no
    /// peer's fault; what does not wait for them ends as ever.
    pub fn starved(&mut self, env: &Env) {
        match self.phase {
            Phase::Head => self.refuse(env, Reason::NoBuffers),
            Phase::Await => {
                self.drop_server(Sign::Nothing);
                self.answer(env, &Reply::refusal(Reason::NoBuffers));
            }
            Phase::Relay if self.response.is_flushed() => self.cut(Sign::Nothing, Reason::NoBuffers),
            _ => self.expired(env),
        }
    }

    /// Since when a peer has taken nothing of what waits for it, if that is what is waited for.
    #[must_use]
    pub fn stalled_since(&self, env: &Env) -> Option<Instant> {
        let time = match self.waiting_for() {
            WaitingFor::Reader => env.policy.client_write_timeout,
            WaitingFor::Taker => env.policy.server_timeout,
            _ => return None,
        };
        self.deadline.checked_sub(time)
    }

    /// Windows are short, and this exchange has been slow: it gives its own back.
    pub fn let_go(&mut self, env: &Env) {
        if matches!(self.phase, Phase::Head | Phase::Await) {
            return self.starved(env);
        }
        self.set_reason(Reason::NoBuffers);
        self.end(Step::Close { reset: true, sign: Sign::Nothing });
    }

    /// Since when the client owes what others need not wait for when there is no place for them: the rest of a head, or its
    /// end behind an answer that was its last.
    #[must_use]
    pub fn idles_since(&self, env: &Env) -> Option<Instant> {
        match self.phase {
            Phase::Head => self.deadline.checked_sub(env.policy.client_header_timeout),
            Phase::Linger => self.latest?.checked_sub(env.policy.linger_time),
            _ => None,
        }
    }

    /// Another client gets the place of this one, which idles.
    pub fn displaced(&mut self, env: &Env) {
        if self.phase == Phase::Head && self.scan.begun(self.request.unread()) {
            return self.refuse(env, Reason::NoPlaces);
        }
        self.set_reason(Reason::IdleClosed);
        self.close(Sign::Nothing);
    }

    /// The server has all that has come of the request, and the client owes the rest.
    fn owes_body(&self) -> bool {
        !self.request.done && !self.request.abandoned && self.request.is_flushed()
    }
}
