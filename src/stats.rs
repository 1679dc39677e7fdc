//! Numbers that one worker counts: by domain slot, in plain integers.
//!
//! It owns counting, adding and taking; never an atomic, a lock, a name or a clock. Next: [`crate::control::statsd`]
//! merges the workers' numbers by name and sends them.

use std::mem;

pub mod reasons;
pub mod retries;
pub mod seldom;

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

/// Numbers of one domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DomainStats {
    /// Requests that reached an upstream.
    pub total: u64,
    /// Requests by final status.
    pub status: Tally,
    /// Requests by cost, in whole milliseconds (see [`step`]).
    pub cost: Tally,
}

impl DomainStats {
    /// Adds what another worker, or another second, counted.
    pub fn merge(&mut self, other: &DomainStats) {
        self.total += other.total;
        self.status.merge(&other.status);
        self.cost.merge(&other.cost);
    }
}

/// Numbers of one worker since they were last taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    domains: Vec<Option<Box<DomainStats>>>,
    total: u64,
}

impl Stats {
    /// Room for that many domain slots.
    #[must_use]
    pub fn new(domains: usize) -> Stats {
        Stats { domains: vec![None; domains], total: 0 }
    }

    /// Counts one request: its domain's slot, the final status, and the milliseconds that its tries took together.
    pub fn record(&mut self, slot: u32, status: u16, cost_ms: u32) {
        let Some(domain) = self.slot(slot) else { return };
        domain.total += 1;
        domain.status.add(u32::from(status), 1);
        domain.cost.add(step(cost_ms), 1);
        self.total += 1;
    }

    /// The numbers of the domain in a slot. A slot that there is no room for is a mistake of ours, and counts nowhere.
    fn slot(&mut self, slot: u32) -> Option<&mut DomainStats> {
        let slot = usize::try_from(slot).ok().and_then(|slot| self.domains.get_mut(slot));
        debug_assert!(slot.is_some(), "a request was counted for a domain that the snapshot does not have");
        slot.map(|slot| &mut **slot.get_or_insert_default())
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Hands everything over and begins anew with room for `domains` slots.
    pub fn take(&mut self, domains: usize) -> Stats {
        mem::replace(self, Stats::new(domains))
    }

    /// The slots for which something was counted.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &DomainStats)> {
        (0_u32..).zip(&self.domains).filter_map(|(slot, domain)| Some((slot, domain.as_deref()?)))
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
    fn requests_are_counted_by_domain_status_and_cost() {
        let mut stats = Stats::new(3);
        assert!(stats.is_empty());
        stats.record(2, 200, 7);
        stats.record(2, 200, 7);
        stats.record(2, 502, 0);
        stats.record(0, 404, 1234);
        assert!(!stats.is_empty());
        let counted: Vec<(u32, &DomainStats)> = stats.iter().collect();
        assert_eq!(counted.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [0, 2]);
        let domain = counted[1].1;
        assert_eq!(domain.total, 3);
        assert_eq!(domain.status.iter().collect::<Vec<_>>(), [(200, 2), (502, 1)]);
        assert_eq!(domain.cost.iter().collect::<Vec<_>>(), [(0, 1), (7, 2)]);
        assert_eq!((counted[0].1.cost.get(1230), counted[0].1.cost.get(1234)), (1, 0));
    }

    #[test]
    fn what_is_taken_is_gone_and_the_numbering_may_change() {
        let mut stats = Stats::new(1);
        stats.record(0, 200, 1);
        let taken = stats.take(5);
        assert_eq!(taken.iter().count(), 1);
        assert_eq!(stats, Stats::new(5));
        stats.record(4, 200, 1);
        assert_eq!(stats.iter().next().unwrap().0, 4);
    }

    #[test]
    fn two_workers_add_up() {
        let (mut one, mut two) = (Stats::new(1), Stats::new(1));
        one.record(0, 200, 5);
        two.record(0, 200, 3);
        two.record(0, 500, 5);
        let mut sum = one.iter().next().unwrap().1.clone();
        sum.merge(two.iter().next().unwrap().1);
        assert_eq!(sum.total, 3);
        assert_eq!(sum.status.iter().collect::<Vec<_>>(), [(200, 2), (500, 1)]);
        assert_eq!(sum.cost.iter().collect::<Vec<_>>(), [(3, 1), (5, 2)]);
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
