//! How long things took, in the buckets that Prometheus shows.
//!
//! It owns the bounds. Next: [`stats`](super) counts requests in them, `control::admin::metrics` shows them.

use std::time::Duration;

/// Upper bounds in microseconds; what is longer is in the last bucket. From a cache's answer in the same rack to an upload.
pub const BOUNDS: [u32; 16] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 60_000_000,
];

/// How many took how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Histogram {
    /// In each bucket, not in those below it.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// Of all, in microseconds.
    pub sum: u64,
}

impl Histogram {
    /// Counts one more; gives its bucket.
    #[inline]
    pub fn add(&mut self, took: Duration) -> usize {
        let bucket = bucket(micros(took));
        self.add_at(bucket, took);
        bucket
    }

    /// Counts one more whose bucket is known.
    #[inline]
    pub fn add_at(&mut self, bucket: usize, took: Duration) {
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
        self.sum = self.sum.wrapping_add(micros(took));
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Histogram) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(own, more)| *own += more);
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[inline]
fn micros(took: Duration) -> u64 {
    took.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(took.subsec_micros()))
}

/// The bucket of the smallest number of so many bits: two bounds at most have the same number of them.
const FIRST: [u8; 33] = {
    let mut first = [0; 33];
    let mut bits = 1;
    while bits <= 32 {
        let smallest = 1_u32 << (bits - 1);
        let mut bucket = 0;
        while bucket < BOUNDS.len() && smallest > BOUNDS[bucket] {
            bucket += 1;
        }
        first[bits] = bucket as u8;
        bits += 1;
    }
    first
};

#[inline]
fn bucket(micros: u64) -> usize {
    let short = u32::try_from(micros).unwrap_or(u32::MAX);
    let bits = 32 - short.leading_zeros();
    let mut bucket = usize::from(FIRST.get(bits as usize).copied().unwrap_or_default());
    while BOUNDS.get(bucket).is_some_and(|bound| short > *bound) {
        bucket += 1;
    }
    bucket
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_is_the_first_that_holds_it() {
        let edges = BOUNDS.iter().flat_map(|bound| [bound - 1, *bound, bound + 1]);
        let powers = (0..32).flat_map(|bit| [(1_u32 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        for micros in edges.chain(powers).chain([u32::MAX]) {
            let expected = BOUNDS.iter().filter(|bound| micros > **bound).count();
            assert_eq!(bucket(u64::from(micros)), expected, "{micros}");
        }
    }

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut histogram = Histogram::default();
        for micros in [0, 250, 251, 60_000_000, 60_000_001, u64::from(u32::MAX) + 7] {
            histogram.add(Duration::from_micros(micros));
        }
        let mut expected = [0; 17];
        (expected[0], expected[1], expected[15], expected[16]) = (2, 1, 1, 2);
        assert_eq!(histogram.buckets, expected);
        assert_eq!(histogram.sum, 250 + 251 + 120_000_001 + u64::from(u32::MAX) + 7);
        let mut twice = histogram;
        twice.merge(&histogram);
        assert_eq!((twice.count(), twice.sum), (12, 2 * histogram.sum));
        histogram.add(Duration::MAX);
        assert_eq!(histogram.buckets[16], 3);
    }
}
