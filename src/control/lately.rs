//! How much there was of late: numbers of the last seconds, that cost nothing while nothing happens.
//!
//! It owns that what is older is forgotten when it is looked at or added to, so that nobody has to go through all names once a
//! second. It knows no clock: seconds have numbers. Next: [`recent`](super::recent) has one of these for each name.

use crate::stats::histogram::{BOUNDS, Histogram};

/// Seconds that a rate is made of: enough that one busy moment is not taken for a trend, and few enough to see it end.
pub(super) const WINDOW: usize = 10;
/// The window, and the second that is not over yet.
const RING: usize = WINDOW + 1;

/// Requests, and how many of them were errors: answered with 500 or more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) requests: u64,
    pub(super) errors: u64,
}

/// Those of the last seconds, each in the place of its number.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lately {
    newest: u32,
    requests: [u32; RING],
    errors: [u32; RING],
}

/// Times of the last one to two windows: a histogram for each second of each name would take ten times the memory.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times {
    begun: u32,
    now: Histogram,
    before: Histogram,
}

impl Lately {
    /// Some more in this second, which is the newest.
    pub(super) fn add(&mut self, second: u32, more: Sums) {
        self.advance(second);
        let place = second as usize % RING;
        for (list, more) in [(&mut self.requests, more.requests), (&mut self.errors, more.errors)] {
            if let Some(count) = list.get_mut(place) {
                *count = count.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
            }
        }
    }

    fn advance(&mut self, second: u32) {
        let passed = (second.saturating_sub(self.newest) as usize).min(RING);
        for step in 0..passed {
            let place = (second as usize - step) % RING;
            for list in [&mut self.requests, &mut self.errors] {
                if let Some(count) = list.get_mut(place) {
                    *count = 0;
                }
            }
        }
        self.newest = self.newest.max(second);
    }

    /// What there was in the window before this second, which is not over.
    pub(super) fn sums(&self, second: u32) -> Sums {
        let mut sums = Sums::default();
        for back in 1..=WINDOW as u32 {
            let Some(one) = second.checked_sub(back) else { break };
            // What is newer than the newest was not written, and what is a ring older is written over.
            if one > self.newest || self.newest - one >= RING as u32 {
                continue;
            }
            let place = one as usize % RING;
            sums.requests += self.requests.get(place).map_or(0, |count| u64::from(*count));
            sums.errors += self.errors.get(place).map_or(0, |count| u64::from(*count));
        }
        sums
    }
}

impl Times {
    /// Some more in this second.
    pub(super) fn add(&mut self, second: u32, more: &Histogram) {
        let window = WINDOW as u32;
        match second.saturating_sub(self.begun) {
            passed if passed >= 2 * window => *self = Self { begun: second, ..Self::default() },
            passed if passed >= window => {
                self.before = std::mem::take(&mut self.now);
                self.begun += window;
            }
            _ => {}
        }
        self.now.merge(more);
    }

    /// What there was of late.
    pub(super) fn all(&self, second: u32) -> Histogram {
        let mut all = Histogram::default();
        let passed = second.saturating_sub(self.begun) as usize;
        if passed < 3 * WINDOW {
            all.merge(&self.now);
        }
        if passed < 2 * WINDOW {
            all.merge(&self.before);
        }
        all
    }
}

/// The time in milliseconds within which that part of all was done, as `histogram_quantile()` of Prometheus has it: evenly
/// spread within a bucket. What is in the last one took its bound at least, and nothing was in none.
pub(super) fn quantile(times: &Histogram, part: f64) -> Option<f64> {
    let all = times.count();
    let wanted = part * all as f64;
    let (mut below, mut least) = (0.0, 0.0);
    for (count, bound) in times.buckets.iter().zip(BOUNDS) {
        let (count, bound) = (*count as f64, f64::from(bound) / 1e3);
        if count > 0.0 && below + count >= wanted {
            return Some(least + (bound - least) * (wanted - below) / count);
        }
        (below, least) = (below + count, bound);
    }
    (all > 0).then_some(least)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sums(requests: u64, errors: u64) -> Sums {
        Sums { requests, errors }
    }

    #[test]
    fn the_window_is_the_seconds_that_are_over() {
        let mut lately = Lately::default();
        lately.add(0, sums(1, 1));
        assert_eq!(lately.sums(0), sums(0, 0), "it is not over");
        assert_eq!(lately.sums(1), sums(1, 1));
        lately.add(3, sums(10, 0));
        lately.add(3, sums(10, 0));
        assert_eq!(lately.sums(4), sums(21, 1));
        assert_eq!(lately.sums(10), sums(21, 1));
        assert_eq!(lately.sums(11), sums(20, 0));
        assert_eq!(lately.sums(14), sums(0, 0));
        lately.add(500, sums(7, 0));
        assert_eq!(lately.sums(501), sums(7, 0), "nothing is left of what was long ago");
        assert_eq!(lately.sums(500), sums(0, 0));
    }

    #[test]
    fn each_second_counts_once_however_they_follow() {
        for step in 1..25_u32 {
            let mut lately = Lately::default();
            for turn in 0..60_u32 {
                lately.add(turn * step, sums(1, 0));
                let expected = (0..=turn).filter(|old| (turn - old) * step < WINDOW as u32).count() as u64;
                assert_eq!(lately.sums(turn * step + 1).requests, expected, "step {step}, turn {turn}");
            }
        }
    }

    #[test]
    fn times_are_those_of_the_last_one_to_two_windows() {
        let mut one = Histogram::default();
        one.add(Duration::from_millis(3));
        let mut times = Times::default();
        for second in 0..10 {
            times.add(second, &one);
        }
        assert_eq!(times.all(19).count(), 10);
        times.add(19, &one);
        assert_eq!(times.all(19).count(), 11);
        assert_eq!(times.all(29).count(), 11);
        assert_eq!(times.all(30).count(), 1);
        assert_eq!(times.all(40).count(), 0);
        times.add(100, &one);
        assert_eq!(times.all(100).count(), 1);
    }

    #[test]
    fn a_part_of_all_was_done_within_a_time() {
        let mut times = Histogram::default();
        assert_eq!(quantile(&times, 0.5), None);
        times.buckets[2] += 10;
        assert_eq!(quantile(&times, 0.5), Some(0.75), "half way from 0.5 to 1 ms");
        assert_eq!(quantile(&times, 1.0), Some(1.0));
        times.buckets[16] += 10;
        assert_eq!(quantile(&times, 0.5), Some(1.0));
        assert_eq!(quantile(&times, 0.99), Some(60_000.0), "at least");
    }
}
