//! How often something may happen, counted for the process: all workers take from the same tokens.
//!
//! It owns the table of keys and the arithmetic of rates (GCRA, as ATM and nginx's `limit_req` have it); never what a key is
//! made of nor what follows a refusal, and no clock: `now` is an argument. Next: [`limit`](super::rule) asks for each
//! request, [`scratch`](super::scratch) says when it is.

use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Keys that share a cache line, among which a new one takes the place of another.
const WAYS: usize = 4;
/// Lines of the table: 262,144 keys in 4 MiB, for all limits together.
const LINES: usize = 1 << 16;
/// How often an attempt begins anew because another worker was faster. Each time that one was counted, so it ends; this is the
/// bound that a proof has, and whoever reaches it passes.
const RACES: usize = 64;

/// A rate and what may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Rate {
    /// Nanoseconds from one to the next.
    pub(crate) interval: u64,
    /// Those that may come at once, beside the one that is due.
    pub(crate) burst: u32,
}

impl Rate {
    fn tolerance(self) -> u64 {
        self.interval.saturating_mul(u64::from(self.burst))
    }
}

/// What limits need to know of the request that a worker routes, and what they found.
#[derive(Debug, Default)]
pub(crate) struct Rating {
    /// When it is; `None`: nothing is counted.
    pub(crate) now: Option<Instant>,
    /// It is only asked what would be.
    pub(crate) looks: bool,
    /// The slot of its domain.
    pub(crate) domain: u32,
    /// How long the one that was refused last would have to wait.
    pub(crate) wait: Duration,
}

impl Rating {
    /// It is so late; `looks` says that nothing is to be counted.
    #[inline]
    pub(crate) fn at(&mut self, now: Option<Instant>, looks: bool) {
        (self.now, self.looks) = (now, looks);
    }
}

/// What is known of the latest 262,144 keys. It is shared by all limits, has one size from the first limit on, and keeps for
/// each key the time at which all that it took is paid for. A new key takes the place of the one in its line that is paid for
/// first: one that is paid for already is as good as new, so nothing is lost as long as fewer keys than places are in debt.
pub(crate) struct Rates {
    lines: Box<[Line]>,
    hasher: RandomState,
    /// Times are nanoseconds since this.
    start: OnceLock<Instant>,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([Place; WAYS]);

#[derive(Debug, Default)]
struct Place {
    /// The hash of the key; 0 is none.
    key: AtomicU64,
    /// When all that it took is paid for (the *theoretical arrival time* of GCRA).
    paid: AtomicU64,
}

impl Default for Rates {
    fn default() -> Rates {
        let lines = (0..LINES).map(|_| Line::default()).collect();
        Rates { lines, hasher: RandomState::new(), start: OnceLock::new() }
    }
}

impl Rates {
    /// The hash of a key. It is another one in each process, so that nobody can choose keys that meet.
    pub(crate) fn hash(&self, feed: impl FnOnce(&mut DefaultHasher)) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        feed(&mut hasher);
        hasher.finish().max(1)
    }

    /// One more of `key`. With `look` it is only asked whether it might.
    ///
    /// # Errors
    /// It is one too many; how long it would have to wait.
    pub(crate) fn take(&self, key: u64, rate: Rate, now: Instant, look: bool) -> Result<(), Duration> {
        let now = self.ticks(now);
        let Some(line) = self.lines.get(key as usize % LINES) else { return Ok(()) };
        for _ in 0..RACES {
            let known = line.0.iter().find(|place| place.key.load(Ordering::Acquire) == key);
            let place = match known {
                Some(place) => place,
                None if look => return Ok(()),
                None => match line.replace(key, now) {
                    Some(place) => place,
                    None => continue,
                },
            };
            let paid = place.paid.load(Ordering::Acquire);
            let begins = paid.max(now);
            let early = (begins - now).saturating_sub(rate.tolerance());
            if early > 0 {
                return Err(Duration::from_nanos(early));
            }
            let then = begins.saturating_add(rate.interval);
            if look || place.paid.compare_exchange(paid, then, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn ticks(&self, at: Instant) -> u64 {
        let start = *self.start.get_or_init(|| at);
        u64::try_from(at.saturating_duration_since(start).as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Line {
    /// Gives the place that is paid for first to `key`, if no other worker is faster.
    fn replace(&self, key: u64, now: u64) -> Option<&Place> {
        let oldest = self.0.iter().min_by_key(|place| place.paid.load(Ordering::Relaxed))?;
        let before = oldest.key.load(Ordering::Acquire);
        oldest.key.compare_exchange(before, key, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        oldest.paid.store(now, Ordering::Release);
        Some(oldest)
    }
}

impl std::fmt::Debug for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rates").field("places", &(LINES * WAYS)).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    const MS: Duration = Duration::from_millis(1);

    fn rate(per_second: u64, burst: u32) -> Rate {
        Rate { interval: 1_000_000_000 / per_second, burst }
    }

    /// How many of these requests pass: one each `every`.
    fn passed(rates: &Rates, key: u64, rate: Rate, start: Instant, count: u32, every: Duration) -> usize {
        (0..count).filter(|n| rates.take(key, rate, start + every * *n, false).is_ok()).count()
    }

    #[test]
    fn a_rate_lets_so_many_pass_and_a_burst_so_many_at_once() {
        let (rates, start) = (Rates::default(), Instant::now());
        assert_eq!(passed(&rates, 1, rate(100, 0), start, 10_000, MS), 1000, "ten seconds");
        assert_eq!(passed(&rates, 2, rate(100, 50), start, 1000, Duration::ZERO), 51);
        assert_eq!(rates.take(2, rate(100, 50), start, false), Err(MS * 10), "the next is due then");
        assert_eq!(passed(&rates, 2, rate(100, 50), start + MS * 100, 1000, Duration::ZERO), 10);
        assert_eq!(passed(&rates, 3, rate(100, 0), start, 5, MS * 10), 5, "keys are on their own");
    }

    #[test]
    fn to_look_takes_nothing() {
        let (rates, start) = (Rates::default(), Instant::now());
        for _ in 0..5 {
            assert_eq!(rates.take(7, rate(1, 0), start, true), Ok(()));
        }
        assert_eq!(rates.take(7, rate(1, 0), start, false), Ok(()));
        for _ in 0..2 {
            assert_eq!(rates.take(7, rate(1, 0), start + MS, true), Err(MS * 999));
        }
    }

    #[test]
    fn a_million_keys_have_one_size_and_those_in_debt_stay() {
        let (rates, start) = (Rates::default(), Instant::now());
        assert_eq!(size_of_val(&*rates.lines), 4 * 1024 * 1024);
        // One that has taken a minute ahead is not forgotten for those who have taken a millisecond.
        let slow = Rate { interval: 60_000_000_000, burst: 0 };
        let debtor = rates.hash(|hasher| hasher.write(b"debtor"));
        assert!(rates.take(debtor, slow, start, false).is_ok());
        for number in 0..1_000_000_u32 {
            assert!(
                rates
                    .take(rates.hash(|hasher| hasher.write_u32(number)), rate(1000, 0), start + MS, false)
                    .is_ok()
            );
        }
        assert!(rates.take(debtor, slow, start + MS, false).is_err());
    }

    #[test]
    fn four_workers_at_three_times_the_rate_pass_what_one_would() {
        let (rates, start) = (Rates::default(), Instant::now());
        let (clock, passed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    // Ten seconds of 3,000 requests a second in all.
                    while let Some(n) = Some(clock.fetch_add(1, Ordering::Relaxed)).filter(|n| *n < 30_000) {
                        let at = start + Duration::from_micros(n as u64 * 1_000 / 3);
                        let took = rates.take(9, rate(1000, 20), at, false).is_ok();
                        passed.fetch_add(usize::from(took), Ordering::Relaxed);
                    }
                });
            }
        });
        let passed = passed.into_inner();
        assert!((9_900..=10_100).contains(&passed), "{passed} of 10,000");
    }
}
