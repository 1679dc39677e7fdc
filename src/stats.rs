//! Numbers that one worker counts: by domain slot, in plain integers.
//!
//! It owns counting, adding and taking; never an atomic, a lock, a name or a clock. Next: `control::statsd` merges the
//! workers' numbers by name and sends them.

use std::collections::BTreeMap;

/// Costs up to this many milliseconds are counted exactly; above, in steps of about one per cent.
pub const EXACT_COST: u32 = 1000;

/// Numbers of one domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DomainStats {
    /// Requests that reached an upstream.
    pub total: u64,
    /// Requests by final status.
    pub status: BTreeMap<u16, u64>,
    /// Requests by cost, in whole milliseconds (above a second in steps of one per cent).
    pub cost: BTreeMap<u32, u64>,
}

impl DomainStats {
    /// Counts one request.
    pub fn record(&mut self, status: u16, cost_ms: u32) {
        self.total += 1;
        *self.status.entry(status).or_default() += 1;
        *self.cost.entry(step(cost_ms)).or_default() += 1;
    }

    /// Adds another worker's numbers of the same domain.
    pub fn merge(&mut self, other: &Self) {
        self.total += other.total;
        for (status, count) in &other.status {
            *self.status.entry(*status).or_default() += count;
        }
        for (cost, count) in &other.cost {
            *self.cost.entry(*cost).or_default() += count;
        }
    }
}

/// The step that a cost is counted under: itself up to a second, then the largest of a series in which each is one per
/// cent of its decade apart. So one domain has a few thousand steps at most, whatever happens.
fn step(cost_ms: u32) -> u32 {
    if cost_ms <= EXACT_COST {
        return cost_ms;
    }
    let grain = 10u32.pow(cost_ms.ilog10() - 2);
    cost_ms / grain * grain
}

/// Numbers of one worker since they were last taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    domains: Vec<Option<Box<DomainStats>>>,
    counted: bool,
}

impl Stats {
    /// Numbers for so many domain slots.
    #[must_use]
    pub fn new(domains: usize) -> Self {
        Self { domains: vec![None; domains], counted: false }
    }

    /// Counts one request of the domain in `slot`; a slot that does not exist is not counted.
    pub fn record(&mut self, slot: u32, status: u16, cost_ms: u32) {
        if let Some(domain) = self.domains.get_mut(slot as usize) {
            domain.get_or_insert_default().record(status, cost_ms);
            self.counted = true;
        }
    }

    /// Nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.counted
    }

    /// Takes the numbers out and begins anew with so many slots.
    #[must_use]
    pub fn take(&mut self, domains: usize) -> Self {
        std::mem::replace(self, Self::new(domains))
    }

    /// Domains for which something was counted.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &DomainStats)> {
        (0u32..).zip(&self.domains).filter_map(|(slot, domain)| Some((slot, domain.as_deref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_domain_status_and_cost() {
        let mut stats = Stats::new(3);
        assert!(stats.is_empty());
        stats.record(1, 200, 7);
        stats.record(1, 200, 7);
        stats.record(1, 502, 0);
        stats.record(9, 200, 1);
        let taken = stats.take(1);
        assert!(stats.is_empty());
        let (slot, domain) = taken.iter().next().unwrap();
        assert_eq!((slot, domain.total), (1, 3));
        assert_eq!(domain.status, BTreeMap::from([(200, 2), (502, 1)]));
        assert_eq!(domain.cost, BTreeMap::from([(0, 1), (7, 2)]));
        assert_eq!(taken.iter().count(), 1);
    }

    #[test]
    fn workers_are_added() {
        let mut sum = DomainStats::default();
        let mut other = DomainStats::default();
        sum.record(200, 1);
        other.record(200, 1);
        other.record(404, 2);
        sum.merge(&other);
        assert_eq!((sum.total, sum.status[&200], sum.cost[&1]), (3, 2, 2));
    }

    #[test]
    fn long_costs_fall_into_few_steps() {
        for (cost, expected) in
            [(0, 0), (1000, 1000), (1001, 1000), (1019, 1010), (12_345, 12_300), (u32::MAX, 4_290_000_000)]
        {
            assert_eq!(step(cost), expected, "{cost}");
        }
        let steps: std::collections::BTreeSet<u32> = (0..10_000_000).step_by(7).map(step).collect();
        assert!(steps.len() < 5_000, "{}", steps.len());
    }
}
