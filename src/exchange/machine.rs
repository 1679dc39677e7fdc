//! One proxied request and its response, as a machine without sockets: events in, steps out.
//!
//! It owns the phase and every transition between phases; it never reads a clock, touches a socket or knows a rule. An event
//! (bytes came, bytes left, an end was seen, time is over) is noted where it happens. What follows from it is decided when
//! the exchange is driven ([`super::drive()`]), so that a worker can let many read first, and decide then. Backpressure is
//! decided here too: what may be read is what can be held.
//!
//! This file has what happens to an exchange, `steps` its transitions, and `ends` those that end it without its server, and what is told of it then. Nothing else sees
//! its fields. Next: [`super::request`] and [`super::response`] are its two halves, [`super::retry`] and [`super::finish`] its
//! two tables.

mod ends;
mod steps;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use super::course::Course;
use super::deadline::Deadline;
use super::facts::Facts;
use super::orders::Orders;
use super::phase::{Env, Phase, Side, Sign};
use super::request::RequestHalf;
use super::request_id::RequestId;
use super::response::ResponseHalf;
use super::retry::Attempts;
use super::sizes::{HEAD, SMALL_WINDOW};
use super::terms::Terms;
use super::windows::{self, Need};
use crate::http1::buf::Buf;
use crate::http1::scan::Scan;
use crate::reason::Reason;

/// One exchange, and after it the next on the same client connection.
#[derive(Debug)]
pub struct Exchange {
    phase: Phase,
    /// What the shell is to do next.
    orders: Orders,
    /// Something has happened that no transition has looked at.
    unseen: bool,
    request: RequestHalf,
    response: ResponseHalf,
    /// Of the head that is awaited: the request's, then the response's.
    scan: Scan,
    facts: Facts,
    attempts: Attempts,
    deadline: Deadline,
    course: Course,
    /// What holds for its attempts, where that is not what the policy says.
    terms: Option<Arc<Terms>>,
    /// Why ELB answered itself, or cut.
    reason: Option<Reason>,
    /// Its request id, if it was given one; the room for it is kept.
    id: Option<Box<RequestId>>,
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
            facts: Facts::none(),
            attempts: Attempts::default(),
            deadline: Deadline::new(env.now + env.policy.client_header_timeout),
            course: Course::new(env.now, 0),
            terms: None,
            reason: None,
            id: None,
        }
    }

    /// Ready for the next request of the same client; bytes of it that were read already are kept.
    pub fn restart(&mut self, env: &Env) {
        self.request.reset();
        self.response.reset();
        self.scan.reset();
        (self.phase, self.orders, self.unseen) = (Phase::Head, Orders::NONE, self.has_unread());
        (self.facts, self.attempts, self.reason) = (Facts::none(), Attempts::default(), None);
        self.terms = None;
        if let Some(id) = &mut self.id {
            id.clear();
        }
        self.deadline = Deadline::new(env.now + env.policy.client_header_timeout);
        self.course = Course::new(env.now, self.unread().len());
    }

    /// Ready for another client.
    pub fn recycle(&mut self, env: &Env) {
        self.request.ended = false;
        self.restart(env);
    }

    /// A step is due: the exchange is to be driven.
    #[must_use]
    #[inline]
    pub fn has_work(&self) -> bool {
        self.unseen || !self.orders.is_empty()
    }

    /// Bytes of a further request are waiting.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        !self.request.unread().is_empty()
    }

    /// Bytes that were read and not consumed; who takes the connection over takes them with it.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.request.unread()
    }

    /// Nothing of a request has come, so that nothing is lost when the exchange is given back.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.phase == Phase::Head && !self.has_unread() && !self.request.ended
    }

    /// The server's connection may know its user now, so that nobody else may use it. Asked when the exchange has finished.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.facts.private
    }

    /// Where the exchange stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether bytes of this side are wanted now. `false` is the backpressure: they stay in the kernel. Before they are
    /// read, [`Exchange::free_room`] and [`Exchange::need`] must be asked.
    #[must_use]
    pub fn wants(&self, side: Side) -> bool {
        match (side, self.phase) {
            (Side::Client, Phase::Head | Phase::Linger) => !self.request.ended,
            (Side::Client, Phase::Connect | Phase::Await | Phase::Relay { .. }) => self.request.wants_more(),
            (Side::Client, Phase::Tunnel { .. }) => {
                !self.request.ended && self.request.window.as_ref().is_none_or(|window| !window.is_full())
            }
            (Side::Server, Phase::Await) => {
                // What a tunnel brings before it may is not given more room than is there.
                let held = self.attempts.switching && self.response.window.as_ref().is_some_and(Buf::is_full);
                !self.response.ended && !held
            }
            (Side::Server, Phase::Relay { .. } | Phase::Tunnel { .. }) => self.response.wants_more(),
            _ => false,
        }
    }

    /// Where bytes of this side go; empty when no window was lent.
    pub fn room(&mut self, side: Side) -> &mut [u8] {
        self.place(side).as_mut().map_or(&mut [], Buf::room)
    }

    /// `n` bytes of this side were put into its room.
    pub fn filled(&mut self, side: Side, n: usize) {
        self.unseen = true;
        self.deadline.read(side, n);
        match side {
            Side::Client => {
                self.course.received += n as u64;
                self.request.filled(n);
            }
            Side::Server => self.response.filled(n),
        }
    }

    /// This side will send nothing more.
    pub fn ended(&mut self, side: Side) {
        self.unseen = true;
        match side {
            Side::Client => self.request.ended = true,
            Side::Server => self.response.ended = true,
        }
    }

    /// The connection to this side is gone. Without a client nothing is worth going on with.
    pub fn failed(&mut self, side: Side) {
        match side {
            Side::Client if self.phase == Phase::Over => {}
            Side::Client => self.close(Sign::Nothing),
            Side::Server => (self.attempts.server_failed, self.unseen) = (true, true),
        }
    }

    /// This side takes no more bytes. A server may have answered before it stopped listening, so its answer is still
    /// read; a client that does not listen is gone.
    pub fn write_closed(&mut self, side: Side) {
        match side {
            Side::Client => self.failed(side),
            Side::Server => (self.request.abandoned, self.unseen) = (true, true),
        }
    }

    /// What should be sent to this side, in order.
    #[must_use]
    pub fn out(&self, side: Side) -> [&[u8]; 3] {
        match (side, self.phase) {
            (Side::Client, _) => self.response.slices(),
            (Side::Server, Phase::Await | Phase::Relay { .. } | Phase::Tunnel { .. }) => {
                self.request.slices()
            }
            (Side::Server, _) => [&[]; 3],
        }
    }

    /// The first `n` bytes of [`Exchange::out`] were taken.
    pub fn sent(&mut self, side: Side, n: usize) {
        self.deadline.wrote(side, n);
        match side {
            Side::Client => {
                self.unseen = true;
                self.course.sent += n as u64;
                self.response.sent(n);
                // Interim heads that the client did not read for long may be large.
                self.response.outbox.shed();
            }
            Side::Server => {
                // Whoever waits for an answer does nothing about a request that has left; whoever passes bytes does, or waits to.
                self.unseen |= self.phase != Phase::Await || self.attempts.switching;
                self.request.sent(n);
                if !self.facts.is_idempotent {
                    // It will not be sent twice, so its window serves the next request sooner.
                    self.request.release_replay();
                }
            }
        }
    }

    /// Frees the room of what need not be kept, where more is to be read and finds none otherwise.
    #[inline]
    pub fn free_room(&mut self, side: Side) {
        if side == Side::Client {
            self.request.free_room();
        }
    }

    /// What window would hold the bytes that this side brings next, or hold them better than the one it has.
    #[must_use]
    #[inline]
    pub fn need(&self, side: Side) -> Need {
        match side {
            Side::Client => self.request.need(),
            Side::Server => self.response.need(),
        }
    }

    /// Lends a window to a side that has none, or exchanges the one it has; the one that is not used comes back.
    #[must_use]
    pub fn lend(&mut self, side: Side, window: Buf) -> Option<Buf> {
        windows::lend(self.place(side), window)
    }

    /// Takes a side's window back if it holds nothing.
    #[must_use]
    pub fn reclaim(&mut self, side: Side) -> Option<Buf> {
        windows::reclaim(self.place(side))
    }

    /// Takes a side's window back with whatever it holds: the exchange is over.
    #[must_use]
    pub fn surrender(&mut self, side: Side) -> Option<Buf> {
        if side == Side::Server {
            self.response.press = None; // One that has done its work went back before.
        }
        windows::surrender(self.place(side))
    }

    /// Gives up what is kept of the request for another try, as windows are short; `true` when there was anything.
    pub fn release_replay(&mut self) -> bool {
        let outside = self.request.outside() + self.facts.outside();
        let keeps = self.request.is_replayable()
            && self.request.has_begun()
            && (self.request.window.is_some() || outside > HEAD);
        if keeps {
            self.request.release_replay();
        }
        keeps
    }

    /// Whether a window is lent to this exchange.
    #[must_use]
    pub fn has_window(&self) -> bool {
        self.request.window.is_some() || self.response.window.is_some()
    }

    /// Bytes of the windows that are lent to this exchange.
    #[must_use]
    pub fn held(&self) -> usize {
        let windows = [&self.request.window, &self.response.window];
        windows.into_iter().flatten().map(Buf::capacity).sum()
    }

    /// Bytes that are held beside the windows, and count like them: heads that leave, and what was asked for in them. What
    /// every exchange has from the beginning does not.
    #[inline]
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // Heads are bounded far below that.
    pub fn outside(&self) -> u32 {
        let outside = self.request.outside() + self.facts.outside() + self.response.outbox.capacity();
        outside.saturating_sub(2 * HEAD) as u32
    }

    /// Whether this is the beginning of a head, in a window that is much too large for it.
    #[inline]
    #[must_use]
    pub fn is_slow_head(&self) -> bool {
        self.phase == Phase::Head
            && self.request.window.as_ref().is_some_and(|window| {
                window.capacity() > SMALL_WINDOW && window.all().len() <= SMALL_WINDOW / 2
            })
    }

    /// What was agreed on for this request.
    #[must_use]
    pub fn terms(&self) -> Option<&Terms> {
        self.terms.as_deref()
    }

    /// How long a server may be silent.
    #[inline]
    fn server_timeout(&self, env: &Env) -> Duration {
        self.terms.as_ref().map_or(env.policy.server_timeout, |terms| terms.server_timeout)
    }

    /// How many servers may be tried.
    fn most_tries(&self, env: &Env) -> u32 {
        self.terms.as_ref().map_or(env.policy.tries, |terms| terms.tries)
    }

    fn place(&mut self, side: Side) -> &mut Option<Buf> {
        match side {
            Side::Client => &mut self.request.window,
            Side::Server => &mut self.response.window,
        }
    }

    /// What is true between any two calls, whatever the peers sent. Asserted after each step in debug builds.
    fn check_invariants(&self, env: &Env) {
        self.request.check_invariants();
        self.response.check_invariants();
        let (request, response) = (&self.request, &self.response);
        match self.phase {
            Phase::Head | Phase::Route => {
                debug_assert!(!request.has_begun() && request.is_replayable(), "sent before it was routed");
                debug_assert!(response.status == 0, "answered before it was routed");
            }
            Phase::Connect | Phase::Await | Phase::Failover => {
                debug_assert!(response.status == 0, "a final head is out, and an attempt goes on");
            }
            Phase::Relay { keep } => {
                debug_assert!(response.status >= 200, "a response without a status is relayed");
                debug_assert!(!request.is_replayable(), "a request is kept for a replay that cannot come");
                debug_assert!(!(keep && response.until_close), "two ends for one connection");
            }
            Phase::Tunnel { .. } => {
                debug_assert!(response.status == 101 && request.done, "a tunnel without a switch");
                debug_assert!(request.unread().is_empty(), "bytes wait in a tunnel");
            }
            Phase::Reply { .. } => {
                debug_assert!(response.done && response.status >= 200, "an answer that is none");
            }
            Phase::Linger => debug_assert!(response.is_flushed(), "told before the answer was out"),
            Phase::Over => {}
        }
        let tries = self.attempts.tries;
        debug_assert!(tries <= env.policy.tries.max(self.most_tries(env)).max(1), "tried {tries} times");
    }
}
