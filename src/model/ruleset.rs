//! The rules of one domain: named rules linked into a graph that is checked once and then walked.
//!
//! It owns the reading of the whole (`init`, `rules`, `succ`, `fail`), the checks that need all of it, and the walk;
//! never what a single rule does. Next: `rule::kind` for the rules, `route` for who walks.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::fault::{Report, step};
use super::pattern::Patterns;
use super::request::Request;
use super::route::Recorder;
use super::rule::{Backend, Rule, RuleArgs};
use super::scratch::Scratch;

/// Most rules of one domain, and so most steps of one walk.
pub(crate) const RULES: usize = 1024;

/// A checked rule set, and the JSON that it was read from.
#[derive(Debug)]
pub(crate) struct RuleSet {
    given: Value,
    /// What can be reached from `init`, which comes first. Every link points further on: so every walk ends.
    nodes: Box<[Node]>,
}

#[derive(Debug)]
struct Node {
    name: Box<str>,
    rule: Rule,
    /// Where it goes on after no and after yes; `None`: it does not, which is a denial.
    links: [Option<u32>; 2],
}

/// Rule sets are the same when they were given the same.
impl PartialEq for RuleSet {
    fn eq(&self, other: &RuleSet) -> bool {
        self.given == other.given
    }
}

impl Eq for RuleSet {}

/// A rule that was read, its links still by number in the order given.
struct Draft<'v> {
    name: &'v str,
    rule: Option<Rule>,
    links: [Option<usize>; 2],
}

/// The arguments that link rules, by answer: no, yes.
const BRANCHES: [&str; 2] = ["fail", "succ"];

impl RuleSet {
    /// Reads and checks a rule set. `None` when anything is at fault; all of it is then in `report`.
    pub(crate) fn read(given: Value, patterns: &mut Patterns, report: &mut Report) -> Option<RuleSet> {
        let before = report.faults.len();
        let (init, mut drafts) = Self::drafts(&given, patterns, report)?;
        if report.faults.len() > before {
            return None;
        }
        let order = match order(&drafts, init) {
            Ok(order) => order,
            Err((rule, branch)) => {
                let pointer = format!("/rules{}/args/{}", step(drafts[rule].name), BRANCHES[branch]);
                report.fault(pointer, "closes a circle of rules, which would never end");
                return None;
            }
        };
        let mut place = vec![None; drafts.len()];
        for (number, &index) in (0u32..).zip(&order) {
            place[index] = Some(number);
        }
        let nodes = order
            .iter()
            .filter_map(|&index| {
                let draft = &mut drafts[index];
                let links = draft.links.map(|link| link.and_then(|to| place[to]));
                Some(Node { name: draft.name.into(), rule: draft.rule.take()?, links })
            })
            .collect();
        drop(drafts);
        Some(RuleSet { given, nodes })
    }

    /// Every rule by itself, and the number of the first one.
    fn drafts<'v>(
        given: &'v Value,
        patterns: &mut Patterns,
        report: &mut Report,
    ) -> Option<(usize, Vec<Draft<'v>>)> {
        let Value::Object(object) = given else {
            report.fault("", "must be an object with init and rules");
            return None;
        };
        let rules = match object.get("rules") {
            Some(Value::Object(rules)) if rules.len() <= RULES => rules,
            Some(Value::Object(_)) => {
                report.fault("/rules", format!("has more than {RULES} rules"));
                return None;
            }
            Some(_) => {
                report.fault("/rules", "must be an object: name → rule");
                return None;
            }
            None => {
                report.fault("", "has no rules");
                return None;
            }
        };
        let numbers: HashMap<&str, usize> = rules.keys().map(String::as_str).zip(0..).collect();
        let drafts = rules.iter().map(|(name, rule)| draft(name, rule, &numbers, patterns, report)).collect();
        let init = match object.get("init") {
            None => {
                report.fault("", "has no init");
                None
            }
            Some(init) => target(init, &numbers).map_err(|message| report.fault("/init", message)).ok(),
        };
        Some((init?, drafts))
    }

    /// The JSON it was read from, exactly.
    pub(crate) fn given(&self) -> &Value {
        &self.given
    }

    /// Every backend that a request can reach, with the name of its rule.
    pub(crate) fn backends(&self) -> impl Iterator<Item = (&str, &Backend)> {
        self.nodes.iter().filter_map(|node| match &node.rule {
            Rule::Backend(backend) => Some((&*node.name, backend)),
            _ => None,
        })
    }

    /// Walks from the first rule to a backend; `None` when a rule has no link for its answer.
    pub(crate) fn walk(
        &self,
        request: &Request<'_>,
        scratch: &mut Scratch,
        recorder: &mut impl Recorder,
    ) -> Option<&Backend> {
        let mut at = 0;
        loop {
            let node = self.nodes.get(at)?;
            let matched = node.rule.matches(request, scratch);
            recorder.step(&node.name, matched);
            if let Rule::Backend(backend) = &node.rule {
                return Some(backend);
            }
            let next = node.links[usize::from(matched)]? as usize;
            debug_assert!(next > at, "links point further on");
            at = next;
        }
    }
}

/// Reads one rule and looks up its links.
fn draft<'v>(
    name: &'v str,
    rule: &Value,
    numbers: &HashMap<&str, usize>,
    patterns: &mut Patterns,
    report: &mut Report,
) -> Draft<'v> {
    let at = format!("/rules{}", step(name));
    let mut draft = Draft { name, rule: None, links: [None; 2] };
    let kind = match rule.get("type") {
        Some(Value::String(kind)) if Rule::knows(kind) => kind,
        Some(_) => {
            report.fault(format!("{at}/type"), format!("must be {}", Rule::TYPES));
            return draft;
        }
        None => {
            report.fault(at, "has no type");
            return draft;
        }
    };
    let Some(Value::Object(given)) = rule.get("args") else {
        report.fault(at, "has no args, which must be an object");
        return draft;
    };
    let at = format!("{at}/args");
    if Rule::is_filter(kind) {
        draft.links = links(given, &at, numbers, report);
    }
    draft.rule = Rule::read(kind, &mut RuleArgs { given, at, patterns, report });
    draft
}

/// Where a filter goes on. A branch that is not there means 403, so that is no fault.
fn links(
    args: &Map<String, Value>,
    at: &str,
    numbers: &HashMap<&str, usize>,
    report: &mut Report,
) -> [Option<usize>; 2] {
    BRANCHES.map(|branch| match target(args.get(branch)?, numbers) {
        Ok(number) => Some(number),
        Err(message) => {
            report.fault(format!("{at}/{branch}"), message);
            None
        }
    })
}

fn target(value: &Value, numbers: &HashMap<&str, usize>) -> Result<usize, String> {
    let name = value.as_str().ok_or("must be the name of a rule")?;
    numbers.get(name).copied().ok_or_else(|| format!("there is no rule {name}"))
}

/// The rules that can be reached from `init`, each before those it links to (the reverse of the order in which a
/// depth-first search leaves them). Where any rules form a circle: the rule and the branch that close it.
fn order(drafts: &[Draft<'_>], init: usize) -> Result<Vec<usize>, (usize, usize)> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnTheWay,
        Left,
    }
    let mut marks = vec![Mark::New; drafts.len()];
    let mut order = Vec::with_capacity(drafts.len());
    let mut reached = 0;
    for root in std::iter::once(init).chain(0..drafts.len()) {
        if marks[root] != Mark::New {
            continue;
        }
        // Rules on the way, each with the branch to look at next.
        let mut way = vec![(root, 0)];
        while let Some((rule, branch)) = way.last_mut() {
            marks[*rule] = Mark::OnTheWay;
            let Some(link) = drafts[*rule].links.get(*branch) else {
                marks[*rule] = Mark::Left;
                order.push(*rule);
                way.pop();
                continue;
            };
            let here = (*rule, *branch);
            *branch += 1;
            match link.map(|to| (to, marks[to])) {
                Some((_, Mark::OnTheWay)) => return Err(here),
                Some((to, Mark::New)) => way.push((to, 0)),
                _ => {}
            }
        }
        if root == init {
            reached = order.len();
        }
    }
    order.truncate(reached);
    order.reverse();
    Ok(order)
}

#[cfg(test)]
mod tests;
