//! One server as a balancer sees it: its definition, its exchanges under way, its failures and what makes up for them.
//!
//! It owns the arithmetic of health, never the order of servers. Next: `balance`, which asks a method for one of these.

use std::time::{Duration, Instant};

use crate::exchange::Sign;
use crate::model::{Server, ServerId};

/// A server's definition and counters.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// Which server this is, through all definitions that have it.
    pub(super) id: ServerId,
    pub(super) backup: bool,
    /// Exchanges it may have at once: any number without `max_conns`, none when it is down.
    room: u32,
    pub(super) conns: u32,
    pub(super) max_fails: u32,
    /// Failures, those of `doubts` included.
    pub(super) fails: u32,
    /// Failures that may have been the fault of what was asked.
    doubts: u32,
    pub(super) weight: u32,
    fail_timeout: Duration,
    /// The last failure.
    accessed: Option<Instant>,
    /// The last failure, or the pick that looked whether it is over.
    checked: Option<Instant>,
    /// The last good answer.
    answered: Option<Instant>,
}

impl Peer {
    pub(super) fn new(server: &Server) -> Self {
        let spec = &server.spec;
        Self {
            id: server.id,
            backup: spec.backup,
            room: match spec.max_conns {
                _ if spec.down => 0,
                0 => u32::MAX,
                max_conns => max_conns,
            },
            conns: 0,
            max_fails: spec.max_fails,
            fails: 0,
            doubts: 0,
            weight: spec.weight,
            fail_timeout: spec.fail_timeout,
            accessed: None,
            checked: None,
            answered: None,
        }
    }

    /// Becomes the server that was `known` under the definition before; says whether its terms are the same.
    pub(super) fn carry(&mut self, known: &Self) -> bool {
        self.conns = known.conns;
        let same = self.terms() == known.terms();
        if same {
            (self.fails, self.doubts) = (known.fails, known.doubts);
            (self.accessed, self.checked, self.answered) = (known.accessed, known.checked, known.answered);
        }
        same
    }

    /// What the operator said about it.
    fn terms(&self) -> (u32, u32, Duration, u32, bool) {
        (self.weight, self.max_fails, self.fail_timeout, self.room, self.backup)
    }

    /// It is defined as `down`.
    pub(super) fn is_down(&self) -> bool {
        self.room == 0
    }

    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.conns < self.room
    }

    #[inline]
    pub(super) fn is_usable(&self, now: Instant) -> bool {
        self.has_room() && (self.fails == 0 || self.is_trusted(now))
    }

    /// A server that has failed: not too often yet, or long enough ago?
    #[cold]
    fn is_trusted(&self, now: Instant) -> bool {
        self.max_fails == 0 || self.fails < self.max_fails || self.rested(now)
    }

    /// Has `fail_timeout` passed since the last failure, and since the last exchange that was let through to see?
    #[inline]
    fn rested(&self, now: Instant) -> bool {
        self.checked.is_none_or(|checked| now.saturating_duration_since(checked) > self.fail_timeout)
    }

    /// An exchange begins. After failures it shows whether they are over, once a `fail_timeout`, or whenever there is nobody
    /// else to ask (`open`).
    #[inline]
    pub(super) fn begin(&mut self, open: bool, now: Instant) {
        self.conns += 1;
        if self.fails > 0 && (open || self.rested(now)) {
            self.checked = Some(now);
        }
    }

    /// An exchange that began no earlier than `since` has ended, or left the server; says whether that counts as a failure.
    #[inline]
    pub(super) fn end(&mut self, sign: Sign, since: Instant, now: Instant) -> bool {
        debug_assert!(self.conns > 0, "a lease is given back once");
        self.conns = self.conns.saturating_sub(1);
        match sign {
            Sign::Good => {
                self.answered = Some(now);
                if self.fails > 0 {
                    self.recover();
                }
                false
            }
            Sign::Nothing if self.fails == 0 => false,
            sign => self.suffer(sign, since, now),
        }
    }

    /// It has answered well: doubts are dispelled, and failures that it was let through after.
    #[cold]
    fn recover(&mut self) {
        self.fails -= self.doubts.min(self.fails);
        self.doubts = 0;
        if self.accessed < self.checked {
            self.fails = 0;
        }
    }

    #[cold]
    fn suffer(&mut self, sign: Sign, since: Instant, now: Instant) -> bool {
        let answers = |at: Instant| at >= since || now.saturating_duration_since(at) <= self.fail_timeout;
        match sign {
            // Whoever was to show whether failures are over has not shown it: the next one may.
            Sign::Good | Sign::Nothing => {
                self.checked = self.accessed;
                false
            }
            Sign::Doubt if self.answered.is_some_and(answers) => false,
            Sign::Doubt | Sign::Fault => {
                self.fails = self.fails.saturating_add(1);
                self.doubts += u32::from(sign == Sign::Doubt);
                (self.accessed, self.checked) = (Some(now), Some(now));
                true
            }
        }
    }

    /// What it did wrong is no matter: it is the only one.
    pub(super) fn forgive(&mut self) {
        (self.fails, self.doubts) = (0, 0);
    }
}
