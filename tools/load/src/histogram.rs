//! Latencies, counted in steps of about one per cent, so that any number of them takes the same few kilobytes.
//!
//! It owns the counting and the percentiles, never a clock. Next: `bin/load` fills one for each thread.

/// Steps for each doubling.
const STEPS: u64 = 64;

/// A histogram of nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// Counts one latency.
    pub fn record(&mut self, nanoseconds: u64) {
        let step = step(nanoseconds);
        if step >= self.counts.len() {
            self.counts.resize(step + 1, 0);
        }
        self.counts[step] += 1;
        self.total += 1;
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        self.counts.resize(self.counts.len().max(other.counts.len()), 0);
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += theirs);
        self.total += other.total;
    }

    /// The latency that this share of all is not above, in nanoseconds; 0 when nothing was counted.
    #[must_use]
    pub fn percentile(&self, share: f64) -> u64 {
        let rank = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (step, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank && seen > 0 {
                return value(step as u64);
            }
        }
        0
    }
}

/// Below [`STEPS`] one step a nanosecond; above, as many steps in each doubling.
fn step(nanoseconds: u64) -> usize {
    let doublings = u64::from((nanoseconds / STEPS).checked_ilog2().map_or(0, |log| log + 1));
    let step = if doublings == 0 {
        nanoseconds
    } else {
        // The leading bit is implied by the doubling.
        doublings * STEPS + (nanoseconds >> (doublings - 1)) - STEPS
    };
    step as usize
}

/// The lowest value of a step.
fn value(step: u64) -> u64 {
    match (step / STEPS, step % STEPS) {
        (0, rest) => rest,
        (doublings, rest) => (STEPS + rest) << (doublings - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_each_other_and_are_fine() {
        let mut last = 0;
        for nanoseconds in (0..1 << 20).chain((20..60).map(|bits| 1 << bits)) {
            let step = step(nanoseconds);
            assert!(step == last || step == last + 1 || nanoseconds > 1 << 20);
            last = step;
            let low = value(step as u64);
            assert!(low <= nanoseconds && nanoseconds - low <= nanoseconds / 64, "{nanoseconds}: {low}");
        }
    }

    #[test]
    fn percentiles_are_ranks() {
        let mut all = Histogram::default();
        assert_eq!(all.percentile(0.5), 0);
        (1..=50).for_each(|n| all.record(n));
        let mut more = Histogram::default();
        more.record(1 << 30);
        all.add(&more);
        assert_eq!((all.percentile(0.5), all.percentile(0.98), all.percentile(0.999)), (26, 50, 1 << 30));
    }
}
