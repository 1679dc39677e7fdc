//! The rules of one domain, as they were read and checked.
//!
//! It owns the reading of the whole (`init`, `rules`, and each rule by its type), never what a single rule reads or
//! does nor the walk through them. Next: [`graph`](super::graph) links the rules, [`rule`](super::rule) reads one,
//! [`library`](super::library) shares what was read.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::digest::Digest;
use super::fault::{Fault, Report, step};
use super::graph::{Draft, Graph, RULES, Way};
use super::lint::lint;
use super::parts::Parts;
use super::recorder::Recorder;
use super::rule::{Backend, RuleArgs, RuleType, Terminal};
use super::scratch::Scratch;
use crate::semantics::RequestView;

/// Reading stops after so many faults of one rule set: each may be a pattern that takes ten milliseconds to be found too large.
const FAULTS: usize = 64;

/// A checked rule set, and the JSON that it was read from. Domains with the same rules share one, and domains whose
/// rules differ only in where they lead share the graph: what is read for each request stays in cache.
#[derive(Debug)]
pub(crate) struct RuleSet {
    /// The JSON in one line, members in the order given.
    text: Arc<str>,
    /// Of the same JSON.
    digest: Digest,
    graph: Arc<Graph>,
    ends: Box<[Terminal]>,
    /// `None` when reading gave no warnings.
    notes: Option<Box<Notes>>,
}

/// What was remarkable about a rule set; few have it, so it is boxed.
#[derive(Debug)]
struct Notes {
    /// Arguments that their rules do not have.
    unknown: Vec<Fault>,
}

/// Two rule sets are equal when their JSON is equal; the order of members makes no difference.
impl PartialEq for RuleSet {
    fn eq(&self, other: &RuleSet) -> bool {
        let parse = |text| serde_json::from_str::<Value>(text).ok();
        // Another order of members makes another text of the same length.
        self.text == other.text
            || (self.text.len() == other.text.len() && parse(&self.text) == parse(&other.text))
    }
}

impl Eq for RuleSet {}

impl RuleSet {
    /// Reads and checks a rule set, of which `text` is the JSON. `None` when anything is at fault; all of it is then in
    /// `report`. Arguments that no rule has are in it too, and are no fault here: the caller says what follows.
    pub(crate) fn read(given: &Value, text: &str, parts: &Parts, report: &mut Report) -> Option<RuleSet> {
        let (faults, warnings, unknown) = (report.faults.len(), report.warnings.len(), report.unknown.len());
        let (init, mut drafts) = drafts(given, parts, report)?;
        if report.faults.len() > faults {
            return None;
        }
        let (graph, ends) = match Graph::build(&mut drafts, init) {
            Ok(built) => built,
            Err(circle) => {
                let draft = &drafts[circle.rule];
                let pointer = format!("/rules{}/args{}", step(draft.name), draft.links[circle.link].pointer);
                report.fault(pointer, "closes a circle of rules, which would never end");
                return None;
            }
        };
        lint(&graph, drafts.iter().map(|draft| draft.name), report);
        let unknown = report.unknown.get(unknown..).unwrap_or_default();
        let is_noteworthy = report.warnings.len() > warnings || !unknown.is_empty();
        let notes = is_noteworthy.then(|| Box::new(Notes { unknown: unknown.to_vec() }));
        let digest = Digest::of_json(given);
        Some(RuleSet { text: text.into(), digest, graph: Arc::new(graph), ends, notes })
    }

    /// The JSON it was read from, in one line.
    pub(crate) fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The digest of that JSON, whatever the order of its members: equal rule sets have equal ones.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// Replaces the graph by an equal one that is shared: `share` gives it.
    pub(crate) fn share_graph(&mut self, share: impl FnOnce(&Arc<Graph>) -> Arc<Graph>) {
        self.graph = share(&self.graph);
    }

    /// Whether reading it gave warnings, or arguments that no rule has.
    pub(crate) fn is_noteworthy(&self) -> bool {
        self.notes.is_some()
    }

    /// Arguments that its rules do not have, each at its place; they do nothing.
    pub(crate) fn unknown(&self) -> &[Fault] {
        self.notes.as_ref().map_or(&[], |notes| &notes.unknown)
    }

    /// Every backend that a request can reach.
    pub(crate) fn backends(&self) -> impl Iterator<Item = &Backend> {
        self.ends.iter().filter_map(Terminal::backend)
    }

    /// The same with the names of their rules.
    pub(crate) fn named_backends(&self) -> impl Iterator<Item = (&str, &Backend)> {
        self.graph
            .named_ends()
            .filter_map(|(rule, end)| Some((rule, self.ends.get(usize::from(end))?.backend()?)))
    }

    /// The name of a rule, by the number that [`RuleSet::walk`] gave; empty when there is none.
    pub(crate) fn rule_name(&self, number: u16) -> &str {
        self.graph.name(number)
    }

    /// What a request is answered with that ended at this rule, by its number, because none follows there.
    #[cold]
    pub(crate) fn refusal(&self, rule: u16) -> Option<u16> {
        self.graph.rule(rule)?.refusal()
    }

    /// Walks from the first rule to a terminal. Gives the number of the last rule, and the terminal: `None` when that rule had
    /// no link for its answer.
    pub(crate) fn walk<R: Recorder>(
        &self,
        request: &RequestView<'_>,
        draw: u64,
        scratch: &mut Scratch,
        recorder: &mut R,
    ) -> (u16, Option<&Terminal>) {
        let Way { last, end } = self.graph.walk(request, draw, scratch, recorder);
        let end = end.and_then(|end| self.ends.get(usize::from(end)));
        if R::WATCHES
            && let Some(end) = end
        {
            recorder.end(self.rule_name(last), end.kind());
        }
        (last, end)
    }

    #[cfg(test)]
    pub(crate) fn shares_graph(&self, other: &RuleSet) -> bool {
        Arc::ptr_eq(&self.graph, &other.graph)
    }
}

/// Every rule by itself, and the number of the first one.
fn drafts<'v>(given: &'v Value, parts: &Parts, report: &mut Report) -> Option<(usize, Vec<Draft<'v>>)> {
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
    let captures = rules.values().any(asks_for_groups);
    let drafts = rules.iter().map(|(name, rule)| draft(name, rule, &numbers, captures, parts, report));
    let drafts = drafts.collect();
    let init = match object.get("init") {
        None => {
            report.fault("", "has no init");
            None
        }
        Some(Value::String(name)) => {
            let number = numbers.get(name.as_str()).copied();
            if number.is_none() {
                report.fault("/init", format!("there is no rule {name}"));
            }
            number
        }
        Some(_) => {
            report.fault("/init", "must be the name of a rule");
            None
        }
    };
    Some((init?, drafts))
}

/// Whether a rule makes something of the groups of another: a redirect with `"to": "/x/$1"`.
fn asks_for_groups(rule: &Value) -> bool {
    if rule.get("type").and_then(Value::as_str) != Some("redirect") {
        return false;
    }
    let to = rule.get("args").and_then(|args| args.get("to")).and_then(Value::as_str).unwrap_or_default();
    // Behind a dollar of its own, a digit is a digit.
    to.split("$$")
        .flat_map(|part| part.split('$').skip(1))
        .any(|part| part.starts_with(|c| ('1'..='9').contains(&c)))
}

/// Reads one rule and its links.
fn draft<'v>(
    name: &'v str,
    rule: &Value,
    numbers: &HashMap<&str, usize>,
    captures: bool,
    parts: &Parts,
    report: &mut Report,
) -> Draft<'v> {
    let at = format!("/rules{}", step(name));
    let mut draft = Draft { name, rule: None, links: Vec::new() };
    if report.faults.len() + report.unknown.len() >= FAULTS {
        return draft;
    }
    let kind = match rule.get("type") {
        Some(kind) => kind.as_str().and_then(RuleType::named),
        None => {
            report.fault(at, "has no type");
            return draft;
        }
    };
    let Some(kind) = kind else {
        report.fault(format!("{at}/type"), format!("must be {}", RuleType::list()));
        return draft;
    };
    let Some(Value::Object(given)) = rule.get("args") else {
        report.fault(at, "has no args, which must be an object");
        return draft;
    };
    let mut args = RuleArgs::new(given, format!("{at}/args"), numbers, parts, report).capturing(captures);
    draft.rule = kind.read(&mut args);
    draft.links = args.into_links();
    draft
}

#[cfg(test)]
mod tests;
