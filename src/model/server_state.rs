//! What is known of a server, once for the process: all workers read it, and one writes it when something has happened.
//!
//! It owns the failures of a server and their times, and what checks found; never what follows from them for a worker's
//! choice, and no clock: `now` is an argument. Next: [`super::server_load`] for requests under way, `data::balancer` and
//! `control::checks`, which read and write it, [`super::targets`], which keeps it through all changes.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::server_load::ServerLoad;
use crate::reason::Reason;

/// In `counts`: checks found that it fails.
const FAILING: u64 = 1 << 63;
/// In `counts`: how many of the failures are doubts, above the failures.
const DOUBTS: u64 = 0x007f_ffff;
/// In `counts`, above the doubts: what the last failure was, as a [`Blame`].
const BLAME: u32 = 32 + 23;

/// What a failure was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// There was no answer, for this reason.
    Failed(Reason),
    /// The answer was a 500 or a 504.
    ErrorStatus,
}

impl Blame {
    /// One kebab-case word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed(reason) => reason.word(),
            Self::ErrorStatus => "error-status",
        }
    }

    /// What this word means.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        let all = Reason::ALL.map(Self::Failed).into_iter().chain([Self::ErrorStatus]);
        all.into_iter().find(|blame| blame.word() == word)
    }

    /// Never 0.
    fn code(self) -> u64 {
        match self {
            Self::Failed(reason) => reason as u64 + 1,
            Self::ErrorStatus => 0xff,
        }
    }

    fn of(code: u64) -> Option<Self> {
        match code {
            0xff => Some(Self::ErrorStatus),
            code => Reason::ALL.get(usize::try_from(code.checked_sub(1)?).ok()?).copied().map(Self::Failed),
        }
    }
}

const _: () = assert!(Reason::ALL.len() < 0xff, "each has a code, and none that of `ErrorStatus`");

/// Failures and good answers of one server, as all workers have seen them.
///
/// It has a cache line of its own, so that whoever only asks [`ServerState::is_sound`] finds it in the core's own cache as
/// long as nothing happens. Workers may race here: each of them then sees the state before or after what the other has
/// noted, and [`ServerState::let_through`] alone must say yes to one of them only.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct ServerState {
    /// Failures in the lower half; above them, how many of them are doubts, what the last was, and whether checks fail. Written
    /// after the times that belong to it.
    counts: AtomicU64,
    /// The last failure. Times are nanoseconds since `start`, counted from 1; 0 is never.
    failed: AtomicU64,
    /// The last failure, or the exchange that was let through to see whether it is over.
    checked: AtomicU64,
    /// A good answer, as far as it was told.
    answered: AtomicU64,
    /// When it was put aside or began to fail its checks, or was taken up again, whichever came last.
    turned: AtomicU64,
    /// When something was noted for the first time.
    start: OnceLock<Instant>,
    load: ServerLoad,
}

const _: () = assert!(size_of::<ServerState>() == 128, "a cache line, and that of the load");

/// How a server does, for whoever shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It can be used.
    Up,
    /// It failed too often. At `until` one request shows whether that is over.
    Aside {
        /// When that is, or was.
        until: Instant,
    },
    /// Its checks fail.
    Failing,
}

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

    /// What the last of these failures was.
    pub fn blame(&self) -> Option<Blame> {
        Blame::of(blame_code(self.counts.load(Ordering::Acquire)))
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

    /// A failure; a doubt is one that may have been the fault of what was asked. `max_fails` of them put it aside.
    pub fn fail(&self, blame: Blame, doubt: bool, max_fails: u32, now: Instant) {
        let now = self.ticks(now);
        self.failed.fetch_max(now, Ordering::AcqRel);
        self.checked.fetch_max(now, Ordering::AcqRel);
        let before = self.update(Some(blame), |failures, doubts| {
            (failures.saturating_add(1), doubts.saturating_add(u32::from(doubt)))
        });
        if before.checked_add(1) == Some(max_fails) {
            self.turned.fetch_max(now, Ordering::AcqRel);
        }
    }

    /// A good answer while failures are counted: doubts are dispelled, and failures that it was let through after.
    pub fn recover(&self, max_fails: u32, now: Instant) {
        let left = |failures: u32, doubts: u32| {
            let was_let_through = self.failed.load(Ordering::Acquire) < self.checked.load(Ordering::Acquire);
            (if was_let_through { 0 } else { failures.saturating_sub(doubts) }, 0)
        };
        let is_aside = |failures: u32| max_fails != 0 && failures >= max_fails;
        let before = self.update(None, left);
        if is_aside(before) && !is_aside(self.failures()) {
            self.turned.fetch_max(self.ticks(now), Ordering::AcqRel);
        }
    }

    /// Checks found that it can be used, or cannot be. Said again it changes nothing. A server that is checked no longer has
    /// to be told that it is up.
    pub fn set_check(&self, up: bool, now: Instant) {
        let before = match up {
            true => self.counts.fetch_and(!FAILING, Ordering::AcqRel),
            false => self.counts.fetch_or(FAILING, Ordering::AcqRel),
        };
        if (before & FAILING != 0) == up {
            self.turned.fetch_max(self.ticks(now), Ordering::AcqRel);
        }
    }

    /// Its checks fail.
    pub fn is_failing(&self) -> bool {
        self.counts.load(Ordering::Acquire) & FAILING != 0
    }

    /// How it does, by the parameters that it has.
    pub fn health(&self, max_fails: u32, fail_timeout: Duration) -> Health {
        if self.is_failing() {
            return Health::Failing;
        }
        let is_aside = max_fails != 0 && self.failures() >= max_fails;
        let checked = is_aside.then(|| self.instant(self.checked.load(Ordering::Acquire))).flatten();
        let until = checked.and_then(|checked| checked.checked_add(fail_timeout));
        until.map_or(Health::Up, |until| Health::Aside { until })
    }

    /// When its health changed last: put aside, failing its checks, or taken up again. Nothing for one that always did well and
    /// has no `slow_start`.
    pub fn changed_at(&self) -> Option<Instant> {
        self.instant(self.turned.load(Ordering::Acquire))
    }

    /// For how long it has been there, since it came, came back or was taken up again: it came when this is first asked.
    pub fn up_for(&self, now: Instant) -> Duration {
        let now = self.ticks(now);
        let turned = match self.turned.load(Ordering::Acquire) {
            0 => self
                .turned
                .compare_exchange(0, now, Ordering::AcqRel, Ordering::Acquire)
                .map_or_else(|at| at, |_| now),
            turned => turned,
        };
        Duration::from_nanos(now.saturating_sub(turned))
    }

    /// What it has to do.
    #[inline]
    pub fn load(&self) -> &ServerLoad {
        &self.load
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

    /// What it did wrong is no matter. What checks found is.
    pub fn forgive(&self) {
        self.counts.fetch_and(FAILING, Ordering::AcqRel);
    }

    /// It counts as new: an operator has dealt with it. `returns` says that it got nothing before and gets something now. That it
    /// has answered well stays true: otherwise one broken URL, asked for after a change of weights, would put it aside.
    pub(crate) fn begin_anew(&self, returns: bool) {
        self.load.forget();
        if returns || self.failures() > 0 {
            self.turned.store(0, Ordering::Release);
        }
        self.forgive();
    }

    /// Changes failures and doubts, and says what the last was, if there is another one; how many failures there were.
    fn update(&self, blame: Option<Blame>, change: impl Fn(u32, u32) -> (u32, u32)) -> u32 {
        let changed = self.counts.fetch_update(Ordering::AcqRel, Ordering::Acquire, |counts| {
            let (failures, doubts) = change(failures(counts), (counts >> 32 & DOUBTS) as u32);
            let blame = match failures {
                0 => 0,
                _ => blame.map_or(blame_code(counts), Blame::code),
            };
            let doubts = u64::from(doubts).min(DOUBTS);
            Some(counts & FAILING | blame << BLAME | doubts << 32 | u64::from(failures))
        });
        failures(changed.unwrap_or_else(|counts| counts))
    }

    fn instant(&self, ticks: u64) -> Option<Instant> {
        self.start.get()?.checked_add(Duration::from_nanos(ticks.checked_sub(1)?))
    }

    /// A time as it is noted here, in nanoseconds.
    pub fn ticks(&self, at: Instant) -> u64 {
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

fn blame_code(counts: u64) -> u64 {
    (counts & !FAILING) >> BLAME
}

pub(super) mod known;

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    const REFUSED: Blame = Blame::Failed(Reason::ConnectFailed);
    const TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn every_blame_has_a_code_of_its_own() {
        let all = Reason::ALL.map(Blame::Failed).into_iter().chain([Blame::ErrorStatus]);
        all.for_each(|blame| assert_eq!(Blame::of(blame.code()), Some(blame)));
        assert_eq!(Blame::of(0), None);
    }

    #[test]
    fn many_workers_let_one_exchange_through_at_a_time() {
        let (state, start) = (ServerState::default(), Instant::now());
        let (barrier, through) = (Barrier::new(4), AtomicUsize::new(0));
        state.fail(REFUSED, false, 1, start);
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
                scope.spawn(move || (0..1000).for_each(|_| state.fail(REFUSED, worker % 2 == 0, 1, start)));
            }
        });
        assert_eq!(state.failures(), 4000);
        state.recover(1, start);
        assert_eq!(state.failures(), 2000, "faults stay until it was let through after them");
        assert!(state.let_through(TIMEOUT, start + TIMEOUT * 2));
        state.recover(1, start + TIMEOUT * 2);
        assert!(state.is_sound());
    }

    #[test]
    fn times_of_workers_whose_clocks_were_read_a_little_earlier_are_no_trouble() {
        let (state, late) = (ServerState::default(), Instant::now() + TIMEOUT);
        let early = late - Duration::from_millis(1);
        assert!(state.has_rested(TIMEOUT, early) && !state.has_answered(early, TIMEOUT, late));
        state.fail(REFUSED, false, 1, late);
        state.fail(REFUSED, false, 1, early);
        assert!(!state.has_rested(Duration::ZERO, early) && !state.has_rested(Duration::ZERO, late));
        state.tell_answer(early);
        assert!(state.has_answered(late, TIMEOUT, late));
        assert!(!state.has_answered(late + TIMEOUT, TIMEOUT, late + TIMEOUT * 2));
    }

    #[test]
    fn what_checks_find_stays_whatever_requests_find() {
        let (state, start) = (ServerState::default(), Instant::now());
        let health = || state.health(2, TIMEOUT);
        assert_eq!((health(), state.changed_at()), (Health::Up, None));
        state.set_check(false, start);
        state.fail(REFUSED, true, 2, start);
        state.fail(REFUSED, false, 2, start);
        assert_eq!((health(), state.failures(), state.is_sound()), (Health::Failing, 2, false));
        assert_eq!(state.blame(), Some(REFUSED));
        state.fail(Blame::ErrorStatus, true, 2, start);
        state.recover(2, start);
        assert_eq!((state.failures(), state.blame()), (1, Some(Blame::ErrorStatus)), "what the last one was");
        state.fail(REFUSED, false, 2, start);
        state.set_check(false, start + TIMEOUT);
        assert_eq!(state.changed_at(), Some(start), "what is said again is not new");
        state.forgive();
        assert_eq!((health(), state.failures(), state.blame()), (Health::Failing, 0, None));
        state.set_check(true, start + TIMEOUT);
        assert_eq!(
            (health(), state.is_sound(), state.changed_at()),
            (Health::Up, true, Some(start + TIMEOUT))
        );
        state.set_check(true, start + TIMEOUT * 2);
        assert_eq!(state.changed_at(), Some(start + TIMEOUT));
    }

    #[test]
    fn a_server_that_is_aside_has_an_end_of_that_and_its_age_begins_with_it() {
        let (state, start) = (ServerState::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(state.up_for(start), Duration::ZERO);
        assert_eq!(state.up_for(at(5)), Duration::from_secs(5));
        state.fail(REFUSED, false, 2, at(6));
        assert_eq!(
            (state.health(2, TIMEOUT), state.changed_at()),
            (Health::Up, Some(start)),
            "one is not enough"
        );
        state.fail(REFUSED, false, 2, at(7));
        assert_eq!(state.health(2, TIMEOUT), Health::Aside { until: at(17) });
        assert_eq!((state.health(0, TIMEOUT), state.changed_at()), (Health::Up, Some(at(7))));
        assert!(state.let_through(TIMEOUT, at(18)));
        state.recover(2, at(19));
        assert_eq!((state.health(2, TIMEOUT), state.up_for(at(20))), (Health::Up, Duration::from_secs(1)));
        // New parameters are no return, unless it was aside or got nothing, and what it has answered stays answered.
        state.tell_answer(at(20));
        state.begin_anew(false);
        assert!(state.has_answered(at(21), TIMEOUT, at(21)));
        assert_eq!(state.up_for(at(21)), Duration::from_secs(2));
        state.begin_anew(true);
        assert_eq!((state.up_for(at(22)), state.up_for(at(23))), (Duration::ZERO, Duration::from_secs(1)));
    }
}
