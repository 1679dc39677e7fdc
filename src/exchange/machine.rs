//! One proxied request and its response, as a machine without sockets: events in, steps out.
//!
//! It owns the phase, the deadline and every transition between phases; it never reads a clock, touches a socket or
//! knows a rule. The shell calls it in a loop of a few lines (`data::pump`). Next: `request` and `response` are its two
//! halves, `attempt` and `relay` the ways to a server and back, `retry` and `finish` its two tables.

use std::time::Instant;

use super::heads::Heads;
use super::orders::Orders;
use super::phase::{Env, Forward, Phase, Side, Sign, Step};
use super::request::RequestHalf;
use super::response::ResponseHalf;
use super::retry::{self, Failure};
use super::waiting::Waiting;
use crate::http1::framing::Version;
use crate::http1::reply::Reply;
use crate::http1::scan::Scan;
use crate::reason::Reason;
use crate::semantics::RequestView;
use crate::semantics::reserved::Reserved;

/// One exchange, and after it the next on the same client connection.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // Independent facts, each with its own sentence.
pub struct Exchange {
    pub(super) phase: Phase,
    /// What the shell is to do next.
    pub(super) orders: Orders,
    /// Something has happened that no transition has looked at.
    pub(super) unseen: bool,
    pub(super) request: RequestHalf,
    pub(super) response: ResponseHalf,
    /// Of the head that is awaited: the request's, then the response's.
    pub(super) scan: Scan,
    pub(super) deadline: Instant,
    /// The deadline is no later than this, whatever moves.
    pub(super) latest: Option<Instant>,
    pub(super) waiting: Waiting,
    /// Servers tried, the present one included.
    pub(super) tries: u32,
    /// The present server connection came from the pool.
    pub(super) reused: bool,
    pub(super) idempotent: bool,
    pub(super) head_request: bool,
    /// Where the exchange ends on the server's connection is not certain ([`retry::unexpected_body`]).
    pub(super) blurred: bool,
    /// The server's connection is the client's from now on ([`crate::http1::fields::binds`]).
    pub(super) private: bool,
    /// The client was promised that its connection goes on.
    pub(super) keep: bool,
    pub(super) continued: bool,
    pub(super) server_failed: bool,
    /// An answer came that could not be accepted: one more server is asked, and no third.
    pub(super) unacceptable: bool,
    /// The server has switched protocols before the request's body was through: its answer waits for that.
    pub(super) switching: bool,
    /// What another server may better, and the answer if none can.
    pub(super) last_failure: Option<Failure>,
    /// Why ELB answered itself, or cut.
    reason: Option<Reason>,
}

impl Exchange {
    /// An exchange whose first byte has just come.
    #[must_use]
    pub fn new(env: &Env) -> Self {
        Self {
            phase: Phase::Head,
            orders: Orders::NONE,
            unseen: false,
            request: RequestHalf::new(),
            response: ResponseHalf::new(),
            scan: Scan::default(),
            deadline: env.now + env.policy.client_header_timeout,
            latest: None,
            waiting: Waiting::new(),
            tries: 0,
            reused: false,
            idempotent: false,
            head_request: false,
            blurred: false,
            private: false,
            keep: false,
            continued: false,
            server_failed: false,
            unacceptable: false,
            switching: false,
            last_failure: None,
            reason: None,
        }
    }

    /// Ready for the next request of the same client; bytes of it that were read already are kept.
    pub fn restart(&mut self, env: &Env) {
        self.request.reset();
        self.response.reset();
        self.scan.reset();
        (self.phase, self.orders, self.unseen) = (Phase::Head, Orders::NONE, self.has_unread());
        self.deadline = env.now + env.policy.client_header_timeout;
        self.waiting.rest();
        (self.tries, self.reused, self.continued, self.head_request) = (0, false, false, false);
        (self.server_failed, self.unacceptable, self.switching) = (false, false, false);
        (self.last_failure, self.reason, self.latest) = (None, None, None);
    }

    /// Ready for another client.
    pub fn recycle(&mut self, env: &Env) {
        self.request.ended = false;
        self.restart(env);
    }

    /// Bytes of a further request are waiting.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        !self.request.unread().is_empty()
    }

    /// A step is due: [`Exchange::step`] is to be called until it says [`Step::Wait`].
    #[must_use]
    #[inline]
    pub fn has_work(&self) -> bool {
        self.unseen || !self.orders.is_empty()
    }

    /// The server's connection may know its user now, so that nobody else may use it. Asked when the exchange has finished.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// Where the exchange stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The status that the client got, or 0 before that is known.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.response.status
    }

    /// Servers tried, the present one included.
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// Why the request was refused or the exchange cut, told once.
    #[must_use]
    pub fn take_reason(&mut self) -> Option<Reason> {
        self.reason.take()
    }

    /// What may be looked at in the request; `client` is whose it is, as text. Valid while [`Step::Route`] waits for its
    /// answer.
    #[must_use]
    #[inline(always)]
    pub fn request_view<'a>(&'a self, heads: &'a Heads, client: &'a [u8]) -> RequestView<'a> {
        heads.asked.view(self.request.unread(), client)
    }

    /// Whose the path of the request is; valid while [`Step::Route`] waits for its answer.
    #[inline]
    #[must_use]
    pub fn reserved(&self, heads: &Heads) -> Reserved {
        heads.asked.reserved(self.request.unread())
    }

    /// Whether all of the request was read; valid while [`Step::Route`] waits for its answer. Chunks are never taken for whole.
    #[must_use]
    pub fn is_whole(&self, heads: &Heads) -> bool {
        heads.asked.is_whole(self.request.unread())
    }

    /// Bytes of the request that were read and not consumed; all of it while [`Step::Route`] waits for its answer.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.request.unread()
    }

    /// Takes the next transition, or says what the shell must do first.
    #[inline(always)]
    pub fn step(&mut self, env: &Env, heads: &mut Heads) -> Step {
        if self.orders.is_empty() && std::mem::take(&mut self.unseen) {
            self.transition(env, heads);
        }
        if cfg!(debug_assertions) {
            self.check_invariants(env);
        }
        self.orders.take()
    }

    #[inline(always)]
    fn transition(&mut self, env: &Env, heads: &mut Heads) {
        match self.phase {
            Phase::Head => self.head(env, heads),
            Phase::Route | Phase::Better | Phase::Over => {}
            Phase::Connect => self.connecting(env),
            Phase::Await => self.awaiting(env, heads),
            Phase::Relay => self.relay(env),
            Phase::Tunnel { .. } => self.tunnel(),
            Phase::Reply { linger } => self.replying(env, linger),
            Phase::Linger => self.lingering(env),
        }
    }

    fn head(&mut self, env: &Env, heads: &mut Heads) {
        match self.request.find(&mut heads.asked, &mut self.scan, &env.policy) {
            Err(refusal) => self.refuse(env, refusal.reason()),
            Ok(false) if self.request.ended => self.close(Sign::Nothing),
            Ok(false) => {}
            Ok(true) => {
                let method = heads.asked.head.method.of(self.request.unread());
                (self.idempotent, self.head_request) = (retry::idempotent(method), method == b"HEAD");
                self.blurred = !self.request.done && retry::unexpected_body(method);
                self.private = heads.asked.head.binds;
                self.phase = Phase::Route;
                self.orders.push(Step::Route);
            }
        }
    }

    /// The answer to [`Step::Route`]: it goes nowhere, and this is the reply.
    pub fn reply(&mut self, env: &Env, heads: &Heads, reply: &Reply<'_>) {
        self.request.skip_head(heads.asked.end);
        self.answer(env, reply);
    }

    /// The answer to [`Step::Route`]: there.
    pub fn forward(&mut self, env: &Env, heads: &mut Heads, forward: &Forward<'_>) {
        self.request.commit(heads, forward, env.policy.host_as_received);
        self.seek(env, false);
    }

    fn awaiting(&mut self, env: &Env, heads: &mut Heads) {
        if let Err(refusal) = self.request.judge() {
            self.drop_server(Sign::Nothing);
            return self.refuse(env, refusal.reason());
        }
        if self.switching && !self.request.is_through() {
            return self.hold(env);
        }
        // A server that speaks before it was asked answers something else: on a connection from the pool, an earlier
        // request, which says nothing about what it would answer on a fresh one.
        let unasked = self.response.begun && !self.request.begun;
        if unasked && self.reused {
            self.restart_response();
            return self.failed_attempt(env, Failure::Closed);
        }
        match self.response.find(heads, &mut self.scan, self.head_request) {
            Err(refusal) => {
                self.failed_attempt(env, Failure::Unacceptable(refusal.reason_of_response()));
            }
            Ok(_) if unasked => {
                self.failed_attempt(env, Failure::Unacceptable(Reason::UnaskedResponse));
            }
            Ok(true) => self.responded(env, heads),
            Ok(false) if self.response.ended || self.server_failed => {
                self.failed_attempt(env, Failure::Closed);
            }
            Ok(false) if self.is_request_cut() => self.request_cut(),
            Ok(false) => {}
        }
    }

    /// A head was found: interim, switching, or final.
    fn responded(&mut self, env: &Env, heads: &mut Heads) {
        let old = self.request.version == Version::Http10;
        match heads.response.status {
            101 => {
                if self.request.asked_for(self.response.protocol(heads)) {
                    if !self.request.is_through() {
                        self.switching = true;
                        self.scan.reset();
                        return self.hold(env);
                    }
                    self.response.switch(heads);
                    self.latest = None;
                    self.request.forfeit();
                    self.request.forget_protocols();
                    self.phase = Phase::Tunnel { server_shut: false, client_shut: false };
                    return self.tunnel();
                }
                self.failed_attempt(env, Failure::Unacceptable(Reason::UnaskedSwitch));
            }
            status @ 100..200 => {
                if self.response.has_said_enough(heads) {
                    let failure = Failure::Unacceptable(Reason::TooManyInterimResponses);
                    return self.failed_attempt(env, failure);
                }
                // 100 answers an expectation, and ELB has answered it itself.
                self.response.interim(heads, status != 100 && !old);
                self.scan.reset();
                self.waiting.rest();
                self.awaiting(env, heads)
            }
            status => {
                if matches!(status, 500 | 504) && self.attempt(env).may_go_on() {
                    self.phase = Phase::Better;
                    return self.orders.push(Step::Others);
                }
                self.commit(env, heads);
                self.relay(env);
            }
        }
    }

    /// A switch of protocols that came before the request's body was through waits for that: what the client sends is its
    /// body until then, and the server is told so by what it gets. An end that comes meanwhile is nobody's fault.
    fn hold(&mut self, env: &Env) {
        if self.response.ended || self.server_failed {
            self.failed_attempt(env, Failure::Unacceptable(Reason::ResponseCut));
        } else if self.is_request_cut() {
            self.request_cut();
        }
    }

    /// Another server will answer.
    pub(super) fn restart_response(&mut self) {
        self.response.restart();
        self.scan.reset();
        self.switching = false;
    }

    /// The answer to [`Step::Others`]: whether an untried server is left.
    pub fn better(&mut self, env: &Env, heads: &mut Heads, others: bool) {
        if others {
            self.drop_server(Sign::Doubt);
            self.seek(env, false);
        } else {
            self.commit(env, heads);
            self.relay(env);
        }
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

    /// The client connection goes on after ELB's own answer.
    pub(super) fn keeps(&self) -> bool {
        self.keep && !(self.request.ended && self.request.unread().is_empty())
    }

    pub(super) fn fail(&mut self, side: Side) {
        match side {
            Side::Client if self.phase == Phase::Over => {}
            Side::Client => self.close(Sign::Nothing),
            Side::Server => (self.server_failed, self.unseen) = (true, true),
        }
    }
}

#[cfg(test)]
mod tests;
