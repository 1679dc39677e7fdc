//! Which ways requests took through the rules of each domain within the last hour, as far as workers looked.
//!
//! It owns these counts by names of rules, so that they outlast a change of the rules; never a share and no drawing. It is told
//! the time. Next: [`hub`](super::hub) tells it what workers counted, `admin::graph` shows it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::model::Snapshot;
use crate::stats::StepKey;
use crate::stats::table::Rows;

/// What was counted is forgotten after one to two of these.
const HALF: Duration = Duration::from_mins(30);
/// Domains that are followed at a time. Each takes about a hundred bytes for each of its rules, and an operator looks at one.
const DOMAINS: usize = 10_000;
/// Steps that are followed of one domain: twice as many as it may have rules.
const STEPS: usize = 2048;

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Heat {
    domains: HashMap<Box<str>, Domain>,
}

/// One domain.
#[derive(Debug)]
struct Domain {
    /// By rule and by which of its successors it chose.
    steps: HashMap<(Box<str>, u16), Times>,
    /// When this half of an hour began.
    since: Instant,
}

#[derive(Debug, Clone, Copy, Default)]
struct Times {
    /// In this half of an hour.
    now: u64,
    /// In the one before.
    before: u64,
}

/// How often a rule chose one of its successors.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Step {
    /// The name of the rule.
    pub(super) rule: Box<str>,
    /// Which, counted from 0; [`stats::END`](crate::stats::END) where it is the last rule of a way.
    pub(super) successor: u16,
    /// Requests among those that were looked at.
    pub(super) times: u64,
}

impl Domain {
    fn turn(&mut self, now: Instant) {
        if now < self.since + HALF {
            return;
        }
        // After a longer silence nothing is of the half before.
        let is_recent = now < self.since + 2 * HALF;
        self.since = now;
        self.steps.retain(|_, times| {
            *times = Times { now: 0, before: if is_recent { times.now } else { 0 } };
            times.before > 0
        });
    }
}

impl Heat {
    /// A worker has counted these steps by the numbers of this snapshot.
    pub(super) fn counted(&mut self, steps: &Rows<u64>, snapshot: &Snapshot, now: Instant) {
        for (key, times) in &steps.rows {
            let StepKey { domain, rule, successor } = StepKey::of(*key);
            let (name, rule) = (snapshot.domain_name(domain), snapshot.rule_name(domain, rule));
            if name.is_empty() || rule.is_empty() {
                continue;
            }
            if !self.domains.contains_key(name) {
                if self.domains.len() >= DOMAINS {
                    self.forget(snapshot, now);
                }
                if self.domains.len() >= DOMAINS {
                    continue;
                }
                self.domains.insert(name.into(), Domain { steps: HashMap::new(), since: now });
            }
            let Some(domain) = self.domains.get_mut(name) else { continue };
            domain.turn(now);
            let step = (Box::from(rule), successor);
            if domain.steps.len() < STEPS || domain.steps.contains_key(&step) {
                domain.steps.entry(step).or_default().now += times;
            }
        }
    }

    /// Forgets domains that are gone, or that nobody asked for within an hour.
    fn forget(&mut self, current: &Snapshot, now: Instant) {
        self.domains.retain(|name, domain| {
            domain.turn(now);
            !domain.steps.is_empty() && current.domain_slot(name).is_some()
        });
    }

    /// What was counted of a domain, by rule.
    pub(super) fn of(&mut self, domain: &str, now: Instant) -> Vec<Step> {
        let Some(domain) = self.domains.get_mut(domain) else { return Vec::new() };
        domain.turn(now);
        let step = |((rule, successor), times): (&(Box<str>, u16), &Times)| Step {
            rule: rule.clone(),
            successor: *successor,
            times: times.now + times.before,
        };
        let mut steps: Vec<Step> = domain.steps.iter().map(step).collect();
        steps.sort();
        steps
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{Edit, State};
    use crate::stats::{END, Stats};

    fn snapshot() -> Snapshot {
        let mut state = State::new();
        let Value::Object(domains) = json!({"a.test": {"init": "p", "rules": {
            "p": {"type": "path", "args": {"pattern": "/x", "succ": "b", "fail": "b"}},
            "b": {"type": "backend", "args": {"servername": "up"}}}}})
        else {
            panic!("an object")
        };
        state.edit(Edit::PutDomains(domains)).unwrap();
        state.snapshot(1)
    }

    #[test]
    fn steps_are_told_by_rule_for_an_hour() {
        let (snapshot, begun, mut heat) = (snapshot(), Instant::now(), Heat::default());
        let domain = snapshot.domain_slot("a.test").unwrap();
        let count = |heat: &mut Heat, minutes: u64| {
            let mut stats = Stats::new(false);
            stats.step(StepKey { domain, rule: 0, successor: 1 });
            stats.step(StepKey { domain, rule: 1, successor: END });
            stats.step(StepKey { domain: domain + 1, rule: 0, successor: 1 });
            heat.counted(&stats.take().steps, &snapshot, begun + Duration::from_mins(minutes));
        };
        let told = |heat: &mut Heat, minutes: u64| {
            let steps = heat.of("a.test", begun + Duration::from_mins(minutes));
            steps
                .iter()
                .map(|step| format!("{} {} {}", step.rule, step.successor, step.times))
                .collect::<Vec<_>>()
        };
        count(&mut heat, 0);
        count(&mut heat, 20);
        assert_eq!(told(&mut heat, 25), [format!("b {END} 2"), "p 1 2".to_owned()]);
        count(&mut heat, 40);
        assert_eq!(told(&mut heat, 41), [format!("b {END} 3"), "p 1 3".to_owned()]);
        assert_eq!(told(&mut heat, 75), [format!("b {END} 1"), "p 1 1".to_owned()]);
        assert_eq!(told(&mut heat, 200), [""; 0]);
        assert_eq!(heat.domains.len(), 1, "a domain that is not there has none");
        heat.forget(&Snapshot::empty(), begun);
        assert!(heat.domains.is_empty());
    }
}
