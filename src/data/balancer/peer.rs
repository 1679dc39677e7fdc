//! One server as a worker's balancer sees it: its definition, its exchanges under way, and what follows from its failures.
//!
//! It owns the arithmetic of health, never the order of servers. What is known of a server all workers share; a healthy
//! request only looks whether that is nothing. Next: [`crate::model::ServerState`] for what is shared, [`super::balance`], which asks a
//! method for one of these.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::exchange::{Doubt, Sign};
use crate::model::{Blame, Server, ServerId, ServerSpec, ServerState};
use crate::reason::Reason;

/// The part of `fail_timeout` after which a worker tells the others of a good answer again. The window in which they take a
/// doubt for what was asked is shorter by that.
const TELL: u32 = 16;

/// The whole of a weight.
pub(super) const FULL: u32 = 1024;

/// A server's definition and counters.
#[derive(Debug)]
pub(super) struct Peer {
    /// Which server this is, through all definitions that have it.
    pub(super) id: ServerId,
    pub(super) conns: u32,
    /// Exchanges that this worker may begin there: any number, or none when it is down or drained.
    room: u32,
    /// `max_conns`: exchanges of all workers at once; any number is `u32::MAX`.
    limit: u32,
    pub(super) weight: u32,
    pub(super) max_fails: u32,
    pub(super) backup: bool,
    /// It is its upstream's only one, but for those that are down.
    alone: bool,
    pub(super) state: Arc<ServerState>,
    fail_timeout: Duration,
    /// The last good answer that this worker has seen.
    answered: Option<Instant>,
    /// Others were told of one, and are told again after that.
    told: Option<Instant>,
    spec: Arc<ServerSpec>,
}

impl Peer {
    pub(super) fn new(server: &Server) -> Self {
        let spec = &server.spec;
        Self {
            id: server.id,
            conns: 0,
            room: if spec.down || spec.drain { 0 } else { u32::MAX },
            limit: if spec.max_conns == 0 { u32::MAX } else { spec.max_conns },
            weight: spec.weight,
            max_fails: spec.max_fails,
            backup: spec.backup,
            alone: false,
            state: Arc::clone(&server.state),
            fail_timeout: spec.fail_timeout,
            answered: None,
            told: None,
            spec: Arc::clone(spec),
        }
    }

    /// Becomes the server that was `known` under the definition before; says whether its terms are the same.
    pub(super) fn carry(&mut self, known: &Self) -> bool {
        // A good answer is true whatever the terms are. Whether others know of it depends on how long it counts.
        (self.conns, self.answered) = (known.conns, known.answered);
        let same = self.spec == known.spec;
        if same {
            self.told = known.told;
        }
        same
    }

    /// It is the only one: whatever it does, it is never put aside, and what it did is no matter when others come.
    pub(super) fn stand_alone(&mut self) {
        self.alone = true;
        self.state.forgive();
    }

    /// It is `down` or drained: nobody is sent there who is not kept there.
    pub(super) fn is_out(&self) -> bool {
        self.room == 0
    }

    /// It is defined as `down`: nobody at all is sent there.
    pub(super) fn is_down(&self) -> bool {
        self.spec.down
    }

    /// What it is to be given needs more than the sequence: a bound over all workers, or a weight that grows.
    pub(super) fn is_plain(&self) -> bool {
        self.limit == u32::MAX && self.spec.slow_start.is_zero()
    }

    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.conns < self.room
    }

    #[inline]
    pub(super) fn is_usable(&self, now: Instant) -> bool {
        self.has_room() && (self.is_sound() || self.is_trusted(now))
    }

    /// Fewer than `max_conns` are under way, of all workers'.
    fn is_below_limit(&self) -> bool {
        self.limit == u32::MAX || self.state.load().active() < self.limit
    }

    /// As [`has_room`](Self::has_room), with `max_conns`.
    pub(super) fn has_place(&self) -> bool {
        self.has_room() && self.is_below_limit()
    }

    /// As [`is_usable`](Self::is_usable), with `max_conns`.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.has_room() && self.may_stay(now)
    }

    /// Whether those who are kept there can be sent there, though it may be drained.
    pub(super) fn may_stay(&self, now: Instant) -> bool {
        !self.is_down() && self.is_below_limit() && (self.is_sound() || self.is_trusted(now))
    }

    /// Its weight now, in parts of [`FULL`].
    #[inline]
    pub(super) fn weight_at(&self, now: Instant) -> u64 {
        u64::from(self.weight) * u64::from(self.share(now))
    }

    /// How much of its weight it has now, of [`FULL`]: less while it starts slowly, and never nothing.
    #[inline]
    pub(super) fn share(&self, now: Instant) -> u32 {
        if self.spec.slow_start.is_zero() { FULL } else { self.warmth(now) }
    }

    #[cold]
    fn warmth(&self, now: Instant) -> u32 {
        let (passed, whole) = (self.state.up_for(now).as_millis(), self.spec.slow_start.as_millis());
        let share = (passed * u128::from(FULL)).checked_div(whole).unwrap_or(u128::from(FULL));
        share.clamp(1, FULL.into()) as u32
    }

    /// No failure is counted, and no check has failed.
    #[inline]
    pub(super) fn is_sound(&self) -> bool {
        self.state.is_sound()
    }

    /// A server that has failed: not too often yet, or long enough ago? One whose checks fail is not used, however long ago.
    #[cold]
    fn is_trusted(&self, now: Instant) -> bool {
        self.is_tolerated() || (!self.state.is_failing() && self.state.has_rested(self.fail_timeout, now))
    }

    fn is_tolerated(&self) -> bool {
        let is_aside = || self.max_fails != 0 && self.state.failures() >= self.max_fails;
        self.alone || !(self.state.is_failing() || is_aside())
    }

    /// An exchange begins, if it may: `false` when another worker was a moment faster to put the server aside, or to let one
    /// through. After failures an exchange shows whether they are over, once a `fail_timeout`, or whenever there is nobody
    /// else to ask (`open`).
    #[inline]
    pub(super) fn begin(&mut self, open: bool, now: Instant) -> bool {
        if !self.is_sound() && !self.may_begin(open, now) {
            return false;
        }
        self.conns += 1;
        true
    }

    #[cold]
    fn may_begin(&self, open: bool, now: Instant) -> bool {
        if open {
            self.state.ask(now);
            return true;
        }
        // What passes here shows whether failures are over, also where it need not wait for that.
        let is_let_through = self.state.let_through(self.fail_timeout, now);
        self.is_tolerated() || (is_let_through && !self.state.is_failing())
    }

    /// As [`begin`](Self::begin), and counts in the load of all workers. `false` also when `max_conns` are under way.
    pub(super) fn enter(&mut self, open: bool, now: Instant) -> bool {
        let load = self.state.load();
        if !load.enter(self.limit) {
            return false;
        }
        let begun = self.begin(open, now);
        if !begun {
            self.state.load().leave(1);
        }
        begun
    }

    /// An exchange begins, whatever is known of the server.
    pub(super) fn begin_all_the_same(&mut self, now: Instant) {
        if !self.begin(false, now) {
            self.conns += 1;
        }
    }

    /// An exchange has ended well, as most do: nothing was known of the server, and nobody is to be told of it. `false`, and
    /// nothing is done, when there is more to do.
    #[inline(always)]
    pub(super) fn end_as_usual(&mut self, now: Instant) -> bool {
        if !self.is_sound() || self.told.is_none_or(|told| now >= told) {
            return false;
        }
        debug_assert!(self.conns > 0, "a lease is given back once");
        self.conns = self.conns.saturating_sub(1);
        self.answered = Some(now);
        true
    }

    /// An exchange has ended, or left the server; says whether that counts as a failure.
    pub(super) fn end(&mut self, sign: Sign, now: Instant) -> bool {
        debug_assert!(self.conns > 0, "a lease is given back once");
        self.conns = self.conns.saturating_sub(1);
        match sign {
            Sign::Good => {
                self.answered = Some(now);
                if self.told.is_none_or(|told| now >= told) {
                    self.tell(now);
                }
                if !self.is_sound() {
                    self.recover(now);
                }
                false
            }
            // What follows from a doubt is seen later.
            Sign::Doubt(_) => false,
            Sign::Nothing if self.is_sound() => false,
            Sign::Nothing => {
                self.state.leave_open();
                false
            }
            Sign::Fault(reason) => {
                self.state.fail(Blame::Failed(reason), false, self.max_fails, now);
                true
            }
        }
    }

    /// A doubt about it counts, or does not, of an exchange that began no earlier than `since`; says whether it was a failure.
    #[cold]
    #[inline(never)]
    pub(super) fn resolve(&mut self, doubt: Doubt, counts: bool, since: Instant, now: Instant) -> bool {
        let answers = |at: Instant| at >= since || now.saturating_duration_since(at) <= self.fail_timeout;
        let has_answered =
            self.answered.is_some_and(answers) || self.state.has_answered(since, self.fail_timeout, now);
        if counts && !has_answered {
            let blame = match doubt {
                Doubt::Silence => Blame::Failed(Reason::ServerTimeout),
                Doubt::ErrorStatus => Blame::ErrorStatus,
            };
            self.state.fail(blame, true, self.max_fails, now);
            return true;
        }
        if !counts && !self.is_sound() {
            self.state.leave_open();
        }
        false
    }

    #[cold]
    #[inline(never)]
    fn recover(&self, now: Instant) {
        self.state.recover(self.max_fails, now);
    }

    #[cold]
    #[inline(never)]
    fn tell(&mut self, now: Instant) {
        self.state.tell_answer(now);
        self.told = now.checked_add(self.fail_timeout / TELL);
    }
}
