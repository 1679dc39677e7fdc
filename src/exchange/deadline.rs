//! The one deadline of an exchange: whom it waits for in each phase, and what happens when it passes.
//!
//! It owns no clock; `now` comes with every call. Single bytes do not move it: who is waited for must do what is owed,
//! or a fair part of it ([`limits::PROGRESS`]). Next: `attempt` for what follows a silence.

use std::time::{Duration, Instant};

use super::machine::Exchange;
use super::phase::{Env, Phase, Side, Sign, Step};
use super::retry::Failure;
use crate::http1::limits;
use crate::http1::rewrite::Persistence;

/// Whom an exchange waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// Whoever the phase says: it has set its deadline itself, and nothing moves it.
    Phase,
    /// A client that owes the rest of its body.
    Body,
    /// A client that has bytes to take.
    Reader,
    /// A server that has bytes to take.
    Taker,
    /// A server that owes the head of its response.
    Head,
    /// The rest of a response, and maybe of the request: any byte will do, as event streams are slow for good reasons.
    Stream,
    /// Both ends of a tunnel: likewise.
    Tunnel,
}

/// The deadline's reason, and what was done since it was set.
#[derive(Debug)]
pub(super) struct Patience {
    awaited: Awaited,
    /// Bytes that the client took. Like the next two it stops counting where progress has long been made.
    taken: u32,
    /// Bytes to and from the server.
    served: u32,
    /// Bytes of the body since its time was last granted in full.
    came: u32,
    /// What is left of that time. It runs while the body is what is waited for and rests while a server takes bytes, so
    /// that a body is neither drawn out byte by byte nor charged for a slow server.
    left: Duration,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { awaited: Awaited::Phase, taken: 0, served: 0, came: 0, left: Duration::ZERO }
    }

    /// Bytes were read from this side.
    pub(super) fn read(&mut self, side: Side, n: usize) {
        match side {
            Side::Client => add(&mut self.came, n),
            Side::Server => add(&mut self.served, n),
        }
    }

    /// Bytes were taken by this side.
    pub(super) fn wrote(&mut self, side: Side, n: usize) {
        match side {
            Side::Client => add(&mut self.taken, n),
            Side::Server => add(&mut self.served, n),
        }
    }

    /// The phase sets the deadline itself, or what was waited for has come.
    pub(super) fn rest(&mut self) {
        self.awaited = Awaited::Phase;
    }

    /// A client whose bytes are thrown away has sent enough of them since that was asked last to be waited for again.
    pub(super) fn goes_on(&mut self) -> bool {
        let enough = self.came >= limits::PROGRESS;
        if enough {
            self.came = 0;
        }
        enough
    }

    /// Everybody has all the time there is: an attempt begins.
    pub(super) fn renew(&mut self, env: &Env) {
        (self.awaited, self.came, self.left) = (Awaited::Phase, 0, env.policy.client_body_timeout);
    }
}

fn add(count: &mut u32, n: usize) {
    *count = count.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
}

impl Exchange {
    /// When the shell must call [`Exchange::expired`] if nothing moves until then. Asked when the exchange rests: whom it
    /// waits for in the middle of a turn does not matter, as no time passes there.
    pub fn deadline(&mut self, env: &Env) -> Instant {
        if std::mem::take(&mut self.moved) {
            self.set_deadline(env);
        }
        self.latest.map_or(self.deadline, |latest| latest.min(self.deadline))
    }

    /// The client has sent its end of input behind all of its request. It may wait for the answer, and it may be gone, as one is
    /// whose user has pressed a key: that cannot be told apart, so the answer has some time to begin, and its server is let
    /// go then. To be told whenever the exchange rests.
    pub fn half_closed(&mut self, env: &Env) {
        let waits = matches!(self.phase, Phase::Connect { .. } | Phase::Await) && self.request.done;
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

    /// Sets the deadline anew if somebody else is waited for now, or who was has made progress.
    fn set_deadline(&mut self, env: &Env) {
        let (former, awaited) = (self.patience.awaited, self.awaited());
        let patience = &mut self.patience;
        let enough = match awaited {
            Awaited::Phase => return patience.rest(),
            Awaited::Body => patience.came >= limits::PROGRESS,
            Awaited::Reader => patience.taken >= limits::PROGRESS,
            Awaited::Taker | Awaited::Head => patience.served >= limits::PROGRESS,
            Awaited::Stream | Awaited::Tunnel => true,
        };
        if former == awaited && !enough {
            return;
        }
        if former == Awaited::Body {
            patience.left = self.deadline.saturating_duration_since(env.now);
        }
        (patience.awaited, patience.taken, patience.served) = (awaited, 0, 0);
        let policy = &env.policy;
        let time = match awaited {
            Awaited::Body => {
                if enough {
                    (patience.came, patience.left) = (0, policy.client_body_timeout);
                }
                patience.left
            }
            Awaited::Phase | Awaited::Reader => policy.client_write_timeout,
            Awaited::Stream if self.owes_body() => policy.server_timeout.max(policy.client_body_timeout),
            Awaited::Taker | Awaited::Head | Awaited::Stream => policy.server_timeout,
            Awaited::Tunnel => policy.tunnel_timeout,
        };
        self.deadline = env.now + time;
    }

    fn awaited(&self) -> Awaited {
        match self.phase {
            Phase::Reply { .. } => Awaited::Reader,
            Phase::Relay if !self.response.is_flushed() => Awaited::Reader,
            Phase::Await if !self.request.is_flushed() => Awaited::Taker,
            Phase::Await if self.owes_body() => Awaited::Body,
            Phase::Await => Awaited::Head,
            Phase::Relay => Awaited::Stream,
            Phase::Tunnel { .. } => Awaited::Tunnel,
            _ => Awaited::Phase,
        }
    }

    /// The deadline has passed. [`Step::Wait`] means that the next [`Exchange::step`] says how it goes on.
    pub fn expired(&mut self, env: &Env) -> Step {
        self.stirred = true;
        match self.phase {
            Phase::Connect { .. } | Phase::Await if self.latest.is_some_and(|latest| latest <= env.now) => {
                self.because("half-close-timeout");
                return self.close(Sign::Nothing);
            }
            Phase::Head if self.scan.begun(self.request.unread()) => {
                self.dismiss(env, 408, "client-header-timeout")
            }
            Phase::Connect { .. } => self.failed_attempt(env, Failure::Connect { timeout: true }),
            Phase::Await if self.owes_body() => {
                self.drop = Some(Sign::Nothing);
                self.dismiss(env, 408, "client-body-timeout");
            }
            Phase::Await => self.failed_attempt(env, Failure::Silence),
            Phase::Relay if !self.response.is_flushed() => {
                self.because("client-write-timeout");
                self.phase = Phase::Over;
                return Step::Close { reset: true, sign: Sign::Nothing };
            }
            // A server that has answered may well wait for the rest of the body before it goes on.
            Phase::Relay if self.owes_body() => return self.cut(Sign::Nothing, "client-body-timeout"),
            Phase::Relay => return self.cut(Sign::Doubt, "server-timeout"),
            Phase::Tunnel { .. } => {
                self.because("tunnel-timeout");
                return self.close(Sign::Good);
            }
            phase => {
                self.because(match phase {
                    Phase::Linger { .. } => "linger",
                    Phase::Reply { .. } => "client-write-timeout",
                    _ => "client-header-timeout",
                });
                return self.close(Sign::Nothing);
            }
        }
        Step::Wait
    }

    /// The deadline has passed, and bytes that are there could not be read because no window was to be had. That is no
    /// peer's fault; what does not wait for them ends as ever.
    pub fn starved(&mut self, env: &Env) -> Step {
        self.stirred = true;
        match self.phase {
            Phase::Head => self.dismiss(env, 503, "no-buffers"),
            Phase::Await => {
                self.drop = Some(Sign::Nothing);
                self.answer(env, 503, "no-buffers");
            }
            Phase::Relay if self.response.is_flushed() => return self.cut(Sign::Nothing, "no-buffers"),
            _ => return self.expired(env),
        }
        Step::Wait
    }

    /// Since when a peer has taken nothing of what waits for it, if that is what is waited for.
    #[must_use]
    pub fn stalled_since(&self, env: &Env) -> Option<Instant> {
        let time = match self.awaited() {
            Awaited::Reader => env.policy.client_write_timeout,
            Awaited::Taker => env.policy.server_timeout,
            _ => return None,
        };
        self.deadline.checked_sub(time)
    }

    /// Windows are short, and this exchange has been slow: it gives its own back.
    pub fn let_go(&mut self, env: &Env) -> Step {
        if matches!(self.phase, Phase::Head | Phase::Await) {
            return self.starved(env);
        }
        self.because("no-buffers");
        self.phase = Phase::Over;
        Step::Close { reset: true, sign: Sign::Nothing }
    }

    /// The server has all that has come of the request, and the client owes the rest.
    fn owes_body(&self) -> bool {
        !self.request.done && !self.request.abandoned && self.request.is_flushed()
    }

    /// Answers a request that is not whole; its connection ends.
    fn dismiss(&mut self, env: &Env, status: u16, reason: &'static str) {
        self.because(reason);
        self.keep = false;
        self.request.discard();
        self.response.reply(status, reason, &env.date, Persistence::Close, self.head_request);
        self.phase = Phase::Reply { linger: true };
        self.moved = true;
    }
}
