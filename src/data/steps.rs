//! Which rules a request was asked by, and what they chose: by numbers, for whoever counts or logs it.
//!
//! It owns a bounded list of them, never a name. Next: [`super::aside`] fills one, `model::graph` walks.

use crate::model::Recorder;
use crate::stats::{self, Stats, StepKey};

/// Steps that are kept: a way of more rules is rare, and what is behind these is left out.
pub(super) const STEPS: usize = 16;

/// The steps of one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps {
    steps: [(u16, u16); STEPS],
    count: usize,
}

impl Default for Steps {
    fn default() -> Self {
        Self { steps: [(0, 0); STEPS], count: 0 }
    }
}

impl Recorder for Steps {
    const WATCHES: bool = false;
    const COUNTS: bool = true;

    #[inline]
    fn chose(&mut self, rule: u16, successor: usize) {
        if let Some(place) = self.steps.get_mut(self.count) {
            *place = (rule, u16::try_from(successor).unwrap_or(stats::END));
            self.count += 1;
        }
    }
}

impl Steps {
    /// Those that were kept, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        self.steps.iter().take(self.count).copied()
    }

    /// Counts them for a domain, and the end of the way at the `last` rule.
    pub(super) fn count(&self, domain: u32, last: u16, stats: &mut Stats) {
        for (rule, successor) in self.iter() {
            stats.step(StepKey { domain, rule, successor });
        }
        stats.step(StepKey { domain, rule: last, successor: stats::END });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_of_many_rules_is_kept_in_part() {
        let mut steps = Steps::default();
        (0..100).for_each(|rule| steps.chose(rule, 1));
        assert_eq!(steps.iter().count(), STEPS);
        assert_eq!(steps.iter().last(), Some((15, 1)));
        let mut stats = Stats::new(false);
        steps.count(7, 99, &mut stats);
        let taken = stats.take().steps.rows;
        let ends: Vec<StepKey> = taken
            .iter()
            .map(|(key, _)| StepKey::of(*key))
            .filter(|key| key.successor == stats::END)
            .collect();
        assert_eq!(
            (taken.len(), ends),
            (STEPS + 1, vec![StepKey { domain: 7, rule: 99, successor: stats::END }])
        );
    }
}
