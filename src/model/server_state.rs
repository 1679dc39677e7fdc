//! What is known of a server, once for the process: all workers read it, and one writes it when something has happened.
//!
//! It owns the failures of a server and their times, never what follows from them for a worker's choice, and no clock:
//! `now` is an argument. Next: `data::balancer` reads and writes it, `targets` keeps it through all changes.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Failures and good answers of one server, as all workers have seen them.
///
/// It has a cache line of its own, so that whoever only asks [`ServerState::is_sound`] finds it in the core's own cache as
/// long as nothing happens. Workers may race here: each of them then sees the state before or after what the other has
/// noted, and [`ServerState::let_through`] alone must say yes to one of them only.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct ServerState {
    /// Failures in the lower half, in the upper how many of them are doubts. Written after the times that belong to it.
    counts: AtomicU64,
    /// The last failure. Times are nanoseconds since `start`, counted from 1; 0 is never.
    failed: AtomicU64,
    /// The last failure, or the exchange that was let through to see whether it is over.
    checked: AtomicU64,
    /// A good answer, as far as it was told.
    answered: AtomicU64,
    /// When something was noted for the first time.
    start: OnceLock<Instant>,
}

const _: () = assert!(size_of::<ServerState>() == 64, "one cache line");

impl ServerState {
    /// No failure is counted. One load, for every request.
    #[inline]
    pub fn is_sound(&self) -> bool {
        self.counts.load(Ordering::Relaxed) == 0
    }

    /// Failures that are counted, those of doubts included.
    pub fn failures(&self) -> u32 {
        failures(self.counts.load(Ordering::Acquire))
    }

    /// Has `fail_timeout` passed since the last failure, and since the last exchange that was let through to see?
    pub fn has_rested(&self, fail_timeout: Duration, now: Instant) -> bool {
        let checked = self.checked.load(Ordering::Acquire);
        checked == 0 || self.since(checked, now) > fail_timeout
    }

    /// Lets an exchange through that shows whether failures are over: one each `fail_timeout`, of all workers'. `true` when
    /// it is this one.
    pub fn let_through(&self, fail_timeout: Duration, now: Instant) -> bool {
        let checked = self.checked.load(Ordering::Acquire);
        let is_due = checked == 0 || self.since(checked, now) > fail_timeout;
        is_due
            && self
                .checked
                .compare_exchange(checked, self.ticks(now), Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    }

    /// An exchange shows whether failures are over, though it may not be time: there is nobody else to ask.
    pub fn ask(&self, now: Instant) {
        self.checked.fetch_max(self.ticks(now), Ordering::AcqRel);
    }

    /// A failure; a doubt is one that may have been the fault of what was asked.
    pub fn fail(&self, doubt: bool, now: Instant) {
        let now = self.ticks(now);
        self.failed.fetch_max(now, Ordering::AcqRel);
        self.checked.fetch_max(now, Ordering::AcqRel);
        self.update(|failures, doubts| (failures.saturating_add(1), doubts.saturating_add(u32::from(doubt))));
    }

    /// A good answer while failures are counted: doubts are dispelled, and failures that it was let through after.
    pub fn recover(&self) {
        self.update(|failures, doubts| {
            let was_let_through = self.failed.load(Ordering::Acquire) < self.checked.load(Ordering::Acquire);
            (if was_let_through { 0 } else { failures.saturating_sub(doubts) }, 0)
        });
    }

    /// Whoever was to show whether failures are over has not shown it: the next one may.
    pub fn leave_open(&self) {
        self.checked.store(self.failed.load(Ordering::Acquire), Ordering::Release);
    }

    /// A good answer came, some of which are told; whoever tells decides how often.
    pub fn tell_answer(&self, now: Instant) {
        self.answered.fetch_max(self.ticks(now), Ordering::AcqRel);
    }

    /// Whether a good answer was told that came after `since`, or within the last `fail_timeout`.
    pub fn has_answered(&self, since: Instant, fail_timeout: Duration, now: Instant) -> bool {
        let answered = self.answered.load(Ordering::Acquire);
        answered != 0 && (answered >= self.ticks(since) || self.since(answered, now) <= fail_timeout)
    }

    /// What it did wrong is no matter.
    pub fn forgive(&self) {
        self.counts.store(0, Ordering::Release);
    }

    /// It counts as new: an operator has dealt with it.
    pub(crate) fn begin_anew(&self) {
        self.answered.store(0, Ordering::Release);
        self.forgive();
    }

    fn update(&self, change: impl Fn(u32, u32) -> (u32, u32)) {
        // Always changes something, so it never fails.
        let _ = self.counts.fetch_update(Ordering::AcqRel, Ordering::Acquire, |counts| {
            let (failures, doubts) = change(failures(counts), (counts >> 32) as u32);
            Some(u64::from(failures) | u64::from(doubts) << 32)
        });
    }

    fn ticks(&self, at: Instant) -> u64 {
        let start = *self.start.get_or_init(|| at);
        let passed = at.saturating_duration_since(start).as_nanos();
        u64::try_from(passed).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn since(&self, ticks: u64, now: Instant) -> Duration {
        Duration::from_nanos(self.ticks(now).saturating_sub(ticks))
    }
}

fn failures(counts: u64) -> u32 {
    counts as u32
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn many_workers_let_one_exchange_through_at_a_time() {
        let (state, start) = (ServerState::default(), Instant::now());
        let (barrier, through) = (Barrier::new(4), AtomicUsize::new(0));
        state.fail(false, start);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 1..=1000 {
                        barrier.wait();
                        let now = start + (TIMEOUT + Duration::from_nanos(1)) * round;
                        through.fetch_add(usize::from(state.let_through(TIMEOUT, now)), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(through.into_inner(), 1000);
    }

    #[test]
    fn no_failure_is_lost_and_no_doubt_outlives_a_good_answer() {
        let (state, start) = (ServerState::default(), Instant::now());
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let state = &state;
                scope.spawn(move || (0..1000).for_each(|_| state.fail(worker % 2 == 0, start)));
            }
        });
        assert_eq!(state.failures(), 4000);
        state.recover();
        assert_eq!(state.failures(), 2000, "faults stay until it was let through after them");
        assert!(state.let_through(TIMEOUT, start + TIMEOUT * 2));
        state.recover();
        assert!(state.is_sound());
    }

    #[test]
    fn times_of_workers_whose_clocks_were_read_a_little_earlier_are_no_trouble() {
        let (state, late) = (ServerState::default(), Instant::now() + TIMEOUT);
        let early = late - Duration::from_millis(1);
        assert!(state.has_rested(TIMEOUT, early) && !state.has_answered(early, TIMEOUT, late));
        state.fail(false, late);
        state.fail(false, early);
        assert!(!state.has_rested(Duration::ZERO, early) && !state.has_rested(Duration::ZERO, late));
        state.tell_answer(early);
        assert!(state.has_answered(late, TIMEOUT, late));
        assert!(!state.has_answered(late + TIMEOUT, TIMEOUT, late + TIMEOUT * 2));
    }
}
