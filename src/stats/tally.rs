//! How often each of a few numbers came: statuses, and times in steps that people read.
//!
//! It owns the list and the steps. Next: [`control::statsd`](crate::control::statsd) sends both by domain.

/// Costs up to here, in milliseconds, are counted as they are.
const EXACT: u32 = 1000;

/// How often each of a few numbers came: a sorted list, because a domain sees few statuses and few costs in a second,
/// and a list is one piece of memory that travels as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(Vec<(u32, u64)>);

impl Tally {
    /// Counts `number` once more, or `times` more.
    pub fn add(&mut self, number: u32, times: u64) {
        match self.0.binary_search_by_key(&number, |&(counted, _)| counted) {
            Ok(at) => {
                if let Some((_, count)) = self.0.get_mut(at) {
                    *count += times;
                }
            }
            Err(at) => self.0.insert(at, (number, times)),
        }
    }

    /// How often `number` came.
    #[must_use]
    pub fn get(&self, number: u32) -> u64 {
        let found = self.0.binary_search_by_key(&number, |&(counted, _)| counted);
        found.ok().and_then(|at| self.0.get(at)).map_or(0, |&(_, count)| count)
    }

    /// The numbers that came and how often, by size.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.0.iter().copied()
    }

    /// Adds what another tally counted.
    pub fn merge(&mut self, other: &Tally) {
        for (number, times) in other.iter() {
            self.add(number, times);
        }
    }
}

/// The cost that stands for `ms`: itself up to a second; above, the nearest multiple of 1, 2 or 5 times a power of
/// ten, never more than half a per cent away. So the numbers of steps stay few, and the steps are ones people read.
#[must_use]
pub fn step(ms: u32) -> u32 {
    if ms <= EXACT {
        return ms;
    }
    // From 1000 in steps of 10, from 2000 of 20, from 5000 of 50, from 10,000 of 100 …
    let decade = 10_u64.pow(ms.ilog10().saturating_sub(2));
    let ms = u64::from(ms);
    let width = match ms / (decade * 100) {
        0..2 => decade,
        2..5 => 2 * decade,
        _ => 5 * decade,
    };
    u32::try_from((ms + width / 2) / width * width).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tallies_add_up() {
        let (mut one, mut two) = (Tally::default(), Tally::default());
        one.add(200, 1);
        two.add(500, 1);
        two.add(200, 2);
        one.merge(&two);
        assert_eq!(one.iter().collect::<Vec<_>>(), [(200, 3), (500, 1)]);
        assert_eq!((one.get(200), one.get(404)), (3, 0));
    }

    #[test]
    fn steps_are_exact_up_to_a_second_and_round_above() {
        for (ms, stands_for) in [
            (0, 0),
            (999, 999),
            (1000, 1000),
            (1001, 1000),
            (1005, 1010),
            (1994, 1990),
            (2011, 2020),
            (4999, 5000),
            (5024, 5000),
            (9980, 10_000),
            (12_345, 12_300),
            (60_001, 60_000),
            (u32::MAX, u32::MAX),
        ] {
            assert_eq!(step(ms), stands_for, "{ms}");
        }
    }

    proptest! {
        #[test]
        fn a_step_is_within_half_a_per_cent_and_stands_for_itself(ms in 0_u32..4_000_000_000) {
            let stands_for = step(ms);
            prop_assert!(u64::from(stands_for.abs_diff(ms)) * 200 <= u64::from(ms));
            prop_assert_eq!(step(stands_for), stands_for);
            prop_assert!(step(ms + 1) >= stands_for);
        }
    }
}
