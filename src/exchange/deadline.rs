//! The one deadline of an exchange: whom it waits for, and how long that one has. Who is waited for must do what is owed, or a
//! fair part of it ([`PROGRESS`]), so that single bytes do not move a deadline.
//!
//! It owns the time and the counting of progress, never a clock (`now` comes with every call) or a phase. Next: `ends` in
//! [`super::machine`] says what happens when it passes.

use std::time::{Duration, Instant};

use super::phase::{Env, Side};
use crate::http1::limits;

/// [`limits::PROGRESS`], of which no more is counted than there is room for.
const PROGRESS: u16 = limits::PROGRESS as u16;
const _: () = assert!(PROGRESS as u32 == limits::PROGRESS, "it is counted in 16 bits");

/// Whom an exchange waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitingFor {
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

/// The unit of what is left of the time for a body; with it the longest that can be said is five days.
const TICK: Duration = Duration::from_micros(100);
/// Nothing of that time has passed.
const ALL: u32 = u32::MAX;

/// The deadline, its reason, and what was done since it was set.
#[derive(Debug)]
pub(super) struct Deadline {
    at: Instant,
    /// The deadline is no later than this, whatever moves.
    latest: Option<Instant>,
    for_whom: WaitingFor,
    /// Bytes that the client took. Like the next two it stops counting where progress has long been made.
    taken: u16,
    /// Bytes to and from the server.
    served: u16,
    /// Bytes of the body since its time was last granted in full.
    came: u16,
    /// What is left of that time, in [`TICK`]s: an exchange has many of these fields, and is to stay small. It runs while the body is what is waited for and rests while a server takes bytes, so
    /// that a body is neither drawn out byte by byte nor charged for a slow server.
    left: u32,
}

impl Deadline {
    /// One that nothing moves.
    #[inline]
    pub(super) fn new(at: Instant) -> Self {
        let for_whom = WaitingFor::Phase;
        Self { at, latest: None, for_whom, taken: 0, served: 0, came: 0, left: 0 }
    }

    /// A phase says when its time is over.
    #[inline]
    pub(super) fn set(&mut self, at: Instant) {
        self.at = at;
    }

    /// It comes no later than that, whatever moves.
    pub(super) fn limit(&mut self, latest: Instant) {
        self.latest = Some(latest);
    }

    /// It moves as far as it may.
    #[inline]
    pub(super) fn unlimit(&mut self) {
        self.latest = None;
    }

    /// The latest that it may come, if there is such.
    pub(super) fn latest(&self) -> Option<Instant> {
        self.latest
    }

    /// The latest that it may come has passed.
    pub(super) fn is_latest_past(&self, now: Instant) -> bool {
        self.latest.is_some_and(|latest| latest <= now)
    }

    /// When it is.
    #[inline]
    pub(super) fn at(&self) -> Instant {
        self.latest.map_or(self.at, |latest| latest.min(self.at))
    }

    /// When the time began that ends now, if it was so long.
    pub(super) fn since(&self, time: Duration) -> Option<Instant> {
        self.at.checked_sub(time)
    }

    /// Brings it forward.
    pub(super) fn hurry(&mut self, at: Instant) {
        self.at = self.at.min(at);
    }

    /// Bytes were read from this side.
    #[inline]
    pub(super) fn read(&mut self, side: Side, n: usize) {
        match side {
            Side::Client => add(&mut self.came, n),
            Side::Server => add(&mut self.served, n),
        }
    }

    /// Bytes were taken by this side.
    #[inline]
    pub(super) fn wrote(&mut self, side: Side, n: usize) {
        match side {
            Side::Client => add(&mut self.taken, n),
            Side::Server => add(&mut self.served, n),
        }
    }

    /// The phase sets the deadline itself, or what was waited for has come.
    #[inline]
    pub(super) fn rest(&mut self) {
        self.for_whom = WaitingFor::Phase;
    }

    /// A client whose bytes are thrown away has sent enough of them since that was asked last to be waited for again.
    pub(super) fn goes_on(&mut self) -> bool {
        let enough = self.came >= PROGRESS;
        if enough {
            self.came = 0;
        }
        enough
    }

    /// Everybody has all the time there is: an attempt begins.
    #[inline]
    pub(super) fn renew(&mut self) {
        (self.for_whom, self.came, self.left) = (WaitingFor::Phase, 0, ALL);
    }

    /// Gives a new one if somebody else is waited for now, or who was has made progress. `owes_body` says that a client owes
    /// the rest of its body whoever is waited for.
    #[inline]
    pub(super) fn follow(
        &mut self,
        for_whom: WaitingFor,
        owes_body: bool,
        server_timeout: Duration,
        env: &Env,
    ) {
        let enough = match for_whom {
            WaitingFor::Phase => return self.rest(),
            WaitingFor::Body => self.came >= PROGRESS,
            WaitingFor::Reader => self.taken >= PROGRESS,
            WaitingFor::Taker | WaitingFor::Head => self.served >= PROGRESS,
            WaitingFor::Stream | WaitingFor::Tunnel => (self.came | self.served | self.taken) != 0,
        };
        let former = self.for_whom;
        if former == for_whom && !enough {
            return;
        }
        if former == WaitingFor::Body {
            self.left = ticks(self.at.saturating_duration_since(env.now));
        }
        (self.for_whom, self.taken, self.served) = (for_whom, 0, 0);
        let policy = &env.policy;
        let time = match for_whom {
            WaitingFor::Body => {
                if enough {
                    (self.came, self.left) = (0, ALL);
                }
                if self.left == ALL { policy.client_body_timeout } else { TICK * self.left }
            }
            WaitingFor::Phase | WaitingFor::Reader => policy.client_write_timeout,
            WaitingFor::Taker | WaitingFor::Head => server_timeout,
            WaitingFor::Stream | WaitingFor::Tunnel => {
                self.came = 0;
                match for_whom {
                    WaitingFor::Tunnel => policy.tunnel_timeout,
                    _ if owes_body => server_timeout.max(policy.client_body_timeout),
                    _ => server_timeout,
                }
            }
        };
        self.at = env.now + time;
    }
}

fn ticks(time: Duration) -> u32 {
    u32::try_from(time.as_micros() / TICK.as_micros()).unwrap_or(ALL)
}

#[inline]
fn add(count: &mut u16, n: usize) {
    *count = count.saturating_add(u16::try_from(n).unwrap_or(u16::MAX));
}
