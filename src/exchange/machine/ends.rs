//! The ends of an exchange that are not the server's answer: its time is over, others need its place or its windows, ELB
//! answers itself, the client is heard out.
//!
//! It says who is waited for in each phase, and owns no clock: `now` comes with every call. Next:
//! [`crate::exchange::deadline`] for what moves a deadline, [`super::steps`] for all other transitions.

use std::time::{Duration, Instant};

use super::Exchange;
use crate::exchange::course::Course;
use crate::exchange::deadline::WaitingFor;
use crate::exchange::heads::Heads;
use crate::exchange::phase::{AfterReply, Doubt, Env, Fate, Phase, Side, Sign, Step};
use crate::exchange::request_id::line_of;
use crate::exchange::retry::Failure;
use crate::http1::framing::Version;
use crate::http1::reply::Reply;
use crate::http1::rewrite::Persistence;
use crate::reason::Reason;

impl Exchange {
    /// When the shell must call [`Exchange::expired`] if nothing moves until then. Asked when the exchange rests: whom it
    /// waits for in the middle of a turn does not matter, as no time passes there.
    pub fn deadline(&mut self, env: &Env) -> Instant {
        let server_timeout = self.server_timeout(env);
        self.deadline.follow(self.waiting_for(), self.request.is_owed(), server_timeout, env);
        self.deadline.at()
    }

    fn waiting_for(&self) -> WaitingFor {
        match self.phase {
            Phase::Reply { .. } => WaitingFor::Reader,
            Phase::Relay { .. } if !self.response.is_flushed() => WaitingFor::Reader,
            Phase::Await if !self.request.is_flushed() => WaitingFor::Taker,
            Phase::Await if self.request.is_owed() => WaitingFor::Body,
            Phase::Await => WaitingFor::Head,
            Phase::Relay { .. } => WaitingFor::Stream,
            Phase::Tunnel { .. } => WaitingFor::Tunnel,
            _ => WaitingFor::Phase,
        }
    }

    /// The client has sent its end of input behind all of its request. It may wait for the answer, and it may be gone, as one is
    /// whose user has pressed a key: that cannot be told apart, so the answer has some time to begin, and its server is let
    /// go then. To be told whenever the exchange rests.
    pub fn half_closed(&mut self, env: &Env) {
        let waits = matches!(self.phase, Phase::Connect | Phase::Await) && self.request.done;
        if waits && self.deadline.latest().is_none() {
            self.deadline.limit(env.now + env.policy.half_close_timeout);
        }
    }

    /// A head that is not whole has so much time and no more; gives the deadline.
    pub fn hurry(&mut self, env: &Env, time: Duration) -> Instant {
        if self.phase == Phase::Head {
            self.deadline.hurry(env.now + time);
        }
        self.deadline(env)
    }

    /// The deadline has passed; the next step says how it goes on.
    pub fn expired(&mut self, env: &Env) {
        match self.phase {
            Phase::Connect | Phase::Await if self.deadline.is_latest_past(env.now) => {
                self.set_reason(Reason::HalfCloseTimeout);
                self.close(Sign::Nothing);
            }
            Phase::Head if self.scan.begun(self.request.unread()) => {
                self.refuse(env, Reason::ClientHeaderTimeout);
            }
            Phase::Connect => self.failed_attempt(env, Failure::Connect { timeout: true }),
            Phase::Await if self.request.is_owed() => {
                self.drop_server(Sign::Nothing);
                self.refuse(env, Reason::ClientBodyTimeout);
            }
            Phase::Await => self.failed_attempt(env, Failure::Silence),
            Phase::Relay { .. } if !self.response.is_flushed() => self.reset(Reason::ClientWriteTimeout),
            // A server that has answered may well wait for the rest of the body before it goes on.
            Phase::Relay { .. } if self.request.is_owed() => {
                self.cut(Sign::Nothing, Reason::ClientBodyTimeout);
            }
            Phase::Relay { .. } => self.cut(Sign::Doubt(Doubt::Silence), Reason::ServerTimeout),
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
            Phase::Relay { .. } if self.response.is_flushed() => self.cut(Sign::Nothing, Reason::NoBuffers),
            _ => self.expired(env),
        }
    }

    /// Since when a peer has taken nothing of what waits for it, if that is what is waited for.
    #[must_use]
    pub fn stalled_since(&self, env: &Env) -> Option<Instant> {
        match self.waiting_for() {
            WaitingFor::Reader => self.deadline.since(env.policy.client_write_timeout),
            WaitingFor::Taker => self.deadline.since(self.server_timeout(env)),
            _ => None,
        }
    }

    /// Windows are short, and this exchange has been slow: it gives its own back.
    pub fn let_go(&mut self, env: &Env) {
        match self.phase {
            Phase::Head | Phase::Await => self.starved(env),
            _ => self.reset(Reason::NoBuffers),
        }
    }

    /// Since when the client owes what others need not wait for when there is no place for them: the rest of a head, or its
    /// end behind an answer that was its last.
    #[must_use]
    pub fn idles_since(&self, env: &Env) -> Option<Instant> {
        match self.phase {
            Phase::Head => self.deadline.since(env.policy.client_header_timeout),
            Phase::Linger => self.deadline.latest()?.checked_sub(env.policy.linger_time),
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

    /// The client does not take what waits for it, and is to notice that something is missing.
    fn reset(&mut self, reason: Reason) {
        self.set_reason(reason);
        self.end(Step::Close { reset: true, sign: Sign::Nothing });
    }

    /// Answers a request that is faulty or not whole; its connection ends.
    #[cold]
    #[inline(never)]
    pub(super) fn refuse(&mut self, env: &Env, reason: Reason) {
        self.set_reason(reason);
        self.request.discard();
        self.request.done = false;
        self.phase = Phase::Reply { then: AfterReply::Linger };
        let reply = Reply::refusal(reason);
        self.put_reply(&reply, env, Persistence::Close);
    }

    /// The answer to [`Step::Route`]: it goes nowhere, and this is the reply.
    pub(in crate::exchange) fn reply(&mut self, env: &Env, heads: &Heads, reply: &Reply<'_>) {
        self.request.skip_head(heads.request.end);
        self.answer(env, reply);
    }

    /// Answers the client with an answer of ELB's own. Whatever of the request was not read is thrown away behind it.
    pub(super) fn answer(&mut self, env: &Env, reply: &Reply<'_>) {
        if let Some(reason) = reply.reason {
            self.set_reason(reason);
        }
        let whole = self.request.parse_body().is_ok() && self.request.done;
        self.request.discard();
        self.deadline.unlimit();
        let then = match whole {
            true if self.facts.keep_alive && !env.draining => AfterReply::Keep,
            true => AfterReply::Close,
            false => AfterReply::Linger,
        };
        self.phase = Phase::Reply { then };
        let persistence = Persistence::of(self.facts.version, then == AfterReply::Keep);
        self.put_reply(reply, env, persistence);
    }

    /// Writes an answer of ELB's own, with the id of its request.
    fn put_reply(&mut self, reply: &Reply<'_>, env: &Env, persistence: Persistence) {
        let id = line_of(self.id.as_deref());
        let reply = Reply { id, ..*reply };
        self.response.reply(&reply, &env.date, persistence, self.facts.is_head);
    }

    pub(super) fn replying(&mut self, env: &Env, then: AfterReply) {
        if !self.response.is_flushed() {
            return;
        }
        if then == AfterReply::Linger && !self.request.ended {
            return self.linger(env);
        }
        let keep_client = then == AfterReply::Keep && !self.request.is_at_end();
        self.end(Step::Finished(Fate { keep_client, keep_server: false, sign: Sign::Nothing }));
    }

    /// What still comes is thrown away from now on, so that the answer reaches a client that sends first and reads then: a
    /// close over unread bytes is a reset, which may overtake it. How much comes does not matter, how long it takes does.
    pub(super) fn linger(&mut self, env: &Env) {
        self.phase = Phase::Linger;
        self.deadline.set(env.now + env.policy.linger_timeout);
        self.deadline.limit(env.now + env.policy.linger_time);
        self.orders.push(Step::Shutdown(Side::Client));
        self.lingering(env);
    }

    pub(super) fn lingering(&mut self, env: &Env) {
        if let Some(window) = self.request.window.as_mut().filter(|window| !window.is_empty()) {
            window.clear();
            if self.deadline.goes_on() {
                self.deadline.set(env.now + env.policy.linger_timeout);
            }
        }
        if self.request.ended {
            return self.close(Sign::Nothing);
        }
        if self.deadline.is_latest_past(env.now) {
            self.set_reason(Reason::LingerTimeout);
            self.close(Sign::Nothing);
        }
    }

    pub(super) fn request_cut(&mut self) {
        self.set_reason(Reason::RequestCut);
        self.close(Sign::Nothing);
    }

    /// Keeps the first reason: what follows from it is none.
    pub(super) fn set_reason(&mut self, reason: Reason) {
        self.reason.get_or_insert(reason);
    }

    /// The server connection is closed before anything else is done.
    pub(super) fn drop_server(&mut self, sign: Sign) {
        self.orders.push(Step::Drop { sign });
    }

    pub(super) fn close(&mut self, sign: Sign) {
        self.end(Step::Close { reset: false, sign });
    }

    /// Nothing more happens after this.
    pub(super) fn end(&mut self, order: Step) {
        self.phase = Phase::Over;
        self.orders.end(order);
    }
}

/// What is told of it when it is over, and the id that it was given.
impl Exchange {
    /// The status that the client got, or 0 before that is known.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.response.status
    }

    /// What has become of the request so far.
    #[must_use]
    pub fn course(&self) -> Course {
        let unread = self.request.unread().len() as u64;
        Course { received: self.course.received.saturating_sub(unread), ..self.course }
    }

    /// Servers tried, the present one included.
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.attempts.tries
    }

    /// What had become of the last attempt when another server was asked; nothing when it was a 500 or a 504.
    #[must_use]
    pub fn last_failure(&self) -> Option<Reason> {
        self.attempts.last_failure()
    }

    /// Why the request was refused or the exchange cut, told once.
    #[must_use]
    pub fn take_reason(&mut self) -> Option<Reason> {
        self.reason.take()
    }

    /// Whether its request is one of HTTP/1.0.
    #[must_use]
    pub fn is_old(&self) -> bool {
        self.facts.version == Version::Http10
    }

    /// The request id; empty when it has none.
    #[must_use]
    pub fn id(&self) -> &[u8] {
        self.id.as_ref().map_or(&[], |id| id.text())
    }

    /// Its request has this id, which is to be visible ASCII: servers and answers of ELB's own are told of it.
    pub(in crate::exchange) fn give_id(&mut self, id: &[u8]) {
        self.id.get_or_insert_default().set(id);
    }
}
