//! The events of an exchange (bytes came, bytes left, an end was seen) and the phases that only pass bytes on.
//!
//! It owns backpressure: what may be read is what can be held. It never decides where a request goes. Next: `machine`.

use super::machine::Exchange;
use super::phase::{Env, Fate, Phase, Side, Sign, Step};
use crate::http1::buf::Buf;
use crate::reason::Reason;

impl Exchange {
    /// Whether bytes of this side are wanted now. `false` is the backpressure: they stay in the kernel. Before they are
    /// read, [`Exchange::make_room`] must be asked.
    #[must_use]
    pub fn wants(&self, side: Side) -> bool {
        match (side, self.phase) {
            (Side::Client, Phase::Head) => !self.request.ended,
            (Side::Client, Phase::Connect | Phase::Await | Phase::Relay) => {
                !self.request.done
                    && !self.request.ended
                    && !self.request.abandoned
                    && self.request.can_hold_more()
            }
            (Side::Client, Phase::Tunnel { .. }) => {
                !self.request.ended && self.request.window.as_ref().is_none_or(|window| !window.is_full())
            }
            (Side::Client, Phase::Linger) => !self.request.ended,
            (Side::Server, Phase::Await) => {
                // What a tunnel brings before it may is not given more room than is there.
                let held = self.switching && self.response.window.as_ref().is_some_and(Buf::is_full);
                !self.response.ended && !held
            }
            (Side::Server, Phase::Relay | Phase::Tunnel { .. }) => {
                !self.response.done
                    && !self.response.ended
                    && self
                        .response
                        .window
                        .as_ref()
                        .is_none_or(|window| !window.is_full() || window.is_stuck())
            }
            _ => false,
        }
    }

    /// Nothing of a request has come, so that nothing is lost when the exchange is given back.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.phase == Phase::Head && self.request.unread().is_empty() && !self.request.ended
    }

    /// Where bytes of this side go; empty when no window was lent.
    pub fn room(&mut self, side: Side) -> &mut [u8] {
        let window = match side {
            Side::Client => &mut self.request.window,
            Side::Server => &mut self.response.window,
        };
        window.as_mut().map_or(&mut [], Buf::room)
    }

    /// `n` bytes of this side were put into its room.
    pub fn filled(&mut self, side: Side, n: usize) {
        self.unseen = true;
        self.waiting.read(side, n);
        match side {
            Side::Client => {
                if let Some(window) = &mut self.request.window {
                    window.filled(n);
                    self.request.bulk.came(n, window);
                }
            }
            Side::Server => {
                self.response.begun = true;
                if let Some(window) = &mut self.response.window {
                    window.filled(n);
                    self.response.bulk.came(n, window);
                }
            }
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

    /// The connection to this side is gone for reading.
    pub fn failed(&mut self, side: Side) {
        self.fail(side);
    }

    /// This side takes no more bytes. A server may have answered before it stopped listening, so its answer is still
    /// read; a client that does not listen is gone.
    pub fn deaf(&mut self, side: Side) {
        match side {
            Side::Client => self.fail(side),
            Side::Server => {
                (self.request.abandoned, self.unseen) = (true, true);
            }
        }
    }

    /// What should be sent to this side, in order.
    #[must_use]
    pub fn out(&self, side: Side) -> [&[u8]; 3] {
        match (side, self.phase) {
            (Side::Client, _) => self.response.slices(),
            (Side::Server, Phase::Await | Phase::Relay | Phase::Tunnel { .. }) => self.request.slices(),
            (Side::Server, _) => [&[]; 3],
        }
    }

    /// The first `n` bytes of [`Exchange::out`] were taken.
    pub fn sent(&mut self, side: Side, n: usize) {
        self.waiting.wrote(side, n);
        match side {
            Side::Client => {
                self.unseen = true;
                self.response.sent(n);
                self.shed();
            }
            Side::Server => {
                // Whoever waits for an answer does nothing about a request that has left; whoever passes bytes does, or waits to.
                self.unseen |= self.phase != Phase::Await || self.switching;
                self.request.sent(n);
                if !self.idempotent {
                    // It will not be sent twice, so its window serves the next request sooner.
                    self.request.forfeit();
                }
            }
        }
    }

    pub(super) fn tunnel(&mut self) {
        for window in [&mut self.request.window, &mut self.response.window].into_iter().flatten() {
            let waiting = window.unjudged().len();
            window.accept(waiting);
        }
        let Phase::Tunnel { server_shut, client_shut } = &mut self.phase else { return };
        if self.server_failed {
            // A reset stays one: only that tells the client that something may be missing.
            return self.end(Step::Close { reset: true, sign: Sign::Good });
        }
        if self.request.ended && !*server_shut && self.request.is_flushed() {
            *server_shut = true;
            self.orders.push(Step::Shutdown(Side::Server));
        }
        if self.response.ended && !*client_shut && self.response.is_flushed() {
            *client_shut = true;
            self.orders.push(Step::Shutdown(Side::Client));
        }
        if *server_shut && *client_shut {
            self.close(Sign::Good);
        }
    }

    pub(super) fn replying(&mut self, env: &Env, linger: bool) {
        if !self.response.is_flushed() {
            return;
        }
        if linger && !self.request.ended {
            return self.linger(env);
        }
        let keep_client = !linger && self.keeps();
        self.end(Step::Finished(Fate { keep_client, keep_server: false, sign: Sign::Nothing }));
    }

    /// What still comes is thrown away from now on, so that the answer reaches a client that sends first and reads then: a
    /// close over unread bytes is a reset, which may overtake it. How much comes does not matter, how long it takes does.
    pub(super) fn linger(&mut self, env: &Env) {
        self.phase = Phase::Linger;
        self.deadline = env.now + env.policy.linger_timeout;
        self.latest = Some(env.now + env.policy.linger_time);
        self.orders.push(Step::Shutdown(Side::Client));
        self.lingering(env);
    }

    pub(super) fn lingering(&mut self, env: &Env) {
        if let Some(window) = self.request.window.as_mut().filter(|window| !window.is_empty()) {
            window.clear();
            if self.waiting.goes_on() {
                self.deadline = env.now + env.policy.linger_timeout;
            }
        }
        if self.request.ended {
            return self.close(Sign::Nothing);
        }
        if self.latest.is_some_and(|latest| env.now >= latest) {
            self.set_reason(Reason::LingerTimeout);
            self.close(Sign::Nothing);
        }
    }
}
