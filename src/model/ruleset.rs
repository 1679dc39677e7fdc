//! The rules of one domain: named rules linked into a graph that is checked once and then walked.
//!
//! It owns the reading of the whole (`init`, `rules`, `succ`, `fail`), the checks that need all of it, and the walk;
//! never what a single rule does. Next: `rule::kind` for the rules, `route` for who walks.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::fault::{Report, step};
use super::library::Library;
use super::route::Recorder;
use super::rule::{Backend, Filter, Rule, RuleArgs};
use super::scratch::Scratch;
use crate::semantics::RequestView;

/// Most rules of one domain, and so most steps of one walk.
pub(crate) const RULES: usize = 1024;

/// Faults of one rule set after which no more are looked for: each may be a pattern that took ten milliseconds to find too
/// large.
const FAULTS: usize = 64;

/// A checked rule set, and the JSON that it was read from. Domains with the same rules share one, and domains whose
/// rules differ only in where they lead share the shape: what is read for each request stays in cache.
#[derive(Debug)]
pub(crate) struct RuleSet {
    /// The JSON in one line, members in the order given.
    text: Arc<str>,
    shape: Arc<Shape>,
    backends: Box<[Backend]>,
    noteworthy: bool,
}

/// The rules of a set without its backends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    /// What can be reached from `init`, which comes first. Every link points further on: so every walk ends.
    nodes: Box<[Node]>,
    /// The names of the rules, one behind the other.
    names: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Node {
    test: Test,
    /// Where it goes on after no and after yes; [`NOWHERE`]: it does not, which is a denial.
    links: [u16; 2],
    /// Where its name ends in [`Shape::names`].
    name_end: u32,
}

/// A link that is not there.
const NOWHERE: u16 = u16::MAX;
const _: () = assert!(RULES < NOWHERE as usize, "every rule has a number");

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Test {
    Filter(Filter),
    /// The walk ends at this one of the backends.
    Backend(u16),
}

/// Rule sets are the same when they were given the same, in whatever order.
impl PartialEq for RuleSet {
    fn eq(&self, other: &RuleSet) -> bool {
        let parse = |text| serde_json::from_str::<Value>(text).ok();
        // Another order of members makes another text of the same length.
        self.text == other.text
            || (self.text.len() == other.text.len() && parse(&self.text) == parse(&other.text))
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
    /// Reads and checks a rule set, of which `text` is the JSON. `None` when anything is at fault; all of it is then in
    /// `report`.
    pub(crate) fn read(given: &Value, text: &str, library: &Library, report: &mut Report) -> Option<RuleSet> {
        let (faults, warnings) = (report.faults.len(), report.warnings.len());
        let (init, mut drafts) = Self::drafts(given, library, report)?;
        if report.faults.len() > faults {
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
        let (shape, backends) = shape(&mut drafts, &order);
        Some(RuleSet {
            text: text.into(),
            shape: library.shape(shape),
            backends,
            noteworthy: report.warnings.len() > warnings,
        })
    }

    /// Every rule by itself, and the number of the first one.
    fn drafts<'v>(
        given: &'v Value,
        library: &Library,
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
        let drafts = rules.iter().map(|(name, rule)| draft(name, rule, &numbers, library, report)).collect();
        let init = match object.get("init") {
            None => {
                report.fault("", "has no init");
                None
            }
            Some(init) => target(init, &numbers).map_err(|message| report.fault("/init", message)).ok(),
        };
        Some((init?, drafts))
    }

    /// The JSON it was read from, in one line.
    pub(crate) fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Whether reading it gave warnings.
    pub(crate) fn is_noteworthy(&self) -> bool {
        self.noteworthy
    }

    /// Every backend that a request can reach.
    pub(crate) fn backends(&self) -> &[Backend] {
        &self.backends
    }

    /// The same with the names of their rules.
    pub(crate) fn named_backends(&self) -> impl Iterator<Item = (&str, &Backend)> {
        self.shape.nodes.iter().enumerate().filter_map(|(at, node)| match node.test {
            Test::Backend(number) => Some((self.shape.name(at), self.backends.get(usize::from(number))?)),
            Test::Filter(_) => None,
        })
    }

    /// Walks from the first rule to a backend; `None` when a rule has no link for its answer.
    pub(crate) fn walk<R: Recorder>(
        &self,
        request: &RequestView<'_>,
        scratch: &mut Scratch,
        recorder: &mut R,
    ) -> Option<&Backend> {
        let mut at = 0;
        loop {
            let node = self.shape.nodes.get(at)?;
            let matched = match &node.test {
                Test::Filter(filter) => filter.matches(request, scratch),
                Test::Backend(_) => true,
            };
            if R::WATCHES {
                recorder.step(self.shape.name(at), matched);
            }
            if let Test::Backend(number) = node.test {
                return self.backends.get(usize::from(number));
            }
            let next = usize::from(node.links[usize::from(matched)]);
            debug_assert!(next > at, "links point further on");
            at = next;
        }
    }

    #[cfg(test)]
    pub(crate) fn shares_shape(&self, other: &RuleSet) -> bool {
        Arc::ptr_eq(&self.shape, &other.shape)
    }
}

impl Shape {
    /// The name of a rule.
    fn name(&self, at: usize) -> &str {
        let end = |at: usize| self.nodes.get(at).map_or(0, |node| node.name_end as usize);
        let begin = at.checked_sub(1).map_or(0, end);
        self.names.get(begin..end(at)).unwrap_or_default()
    }
}

/// The rules in this order, and their backends. Each rule is taken out of its draft.
fn shape(drafts: &mut [Draft<'_>], order: &[usize]) -> (Shape, Box<[Backend]>) {
    let mut place = vec![NOWHERE; drafts.len()];
    for (number, &index) in (0..).zip(order) {
        place[index] = number;
    }
    let (mut nodes, mut names, mut backends) = (Vec::with_capacity(order.len()), String::new(), Vec::new());
    for &index in order {
        let draft = &mut drafts[index];
        let Some(rule) = draft.rule.take() else { continue };
        let test = match rule {
            Rule::Filter(filter) => Test::Filter(filter),
            Rule::Backend(backend) => {
                backends.push(backend);
                Test::Backend((backends.len() - 1) as u16)
            }
        };
        names.push_str(draft.name);
        let links = draft.links.map(|link| link.map_or(NOWHERE, |to| place[to]));
        nodes.push(Node { test, links, name_end: names.len() as u32 });
    }
    (Shape { nodes: nodes.into(), names: names.into() }, backends.into())
}

/// Reads one rule and looks up its links.
fn draft<'v>(
    name: &'v str,
    rule: &Value,
    numbers: &HashMap<&str, usize>,
    library: &Library,
    report: &mut Report,
) -> Draft<'v> {
    let at = format!("/rules{}", step(name));
    let mut draft = Draft { name, rule: None, links: [None; 2] };
    if report.faults.len() >= FAULTS {
        return draft;
    }
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
    draft.rule = Rule::read(kind, &mut RuleArgs { given, at, library, report });
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
