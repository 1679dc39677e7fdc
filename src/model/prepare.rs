//! Reading and checking an edit before it is applied: all of it that takes long, and needs no state.
//!
//! It owns that step, so that it can be taken on another thread; never what is checked (that is `check`) or what comes
//! of it. Ten thousand rule sets are read one by one out of their JSON: as one tree of values they would take a hundred
//! megabytes for a moment, and the process would keep them. Next: [`state`](super::state) applies what was prepared.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::change::{Change, Edit, Mode, Prepared, UpstreamChange};
use super::check::{DomainNames, domain, upstreams};
use super::fault::{Faults, Report};
use super::json::{Once, Place};
use super::library::Library;
use super::patch::UpstreamPatch;
use super::ruleset::RuleSet;

impl Library {
    /// Reads and checks an edit whole: all of it that takes long, and needs no state. Equal parts of all that was
    /// prepared with one library are one in memory.
    ///
    /// # Errors
    /// The faults, with pointers that lead into what was put: `/up1/127.0.0.1:80`.
    pub fn prepare(&self, edit: Edit) -> Result<Prepared, Faults> {
        let mut report = Report::default();
        let change = match edit {
            Edit::PutDomains(given) => {
                Change { domains: self.rule_sets(given, &mut report), ..Change::default() }
            }
            Edit::PatchDomains(given) => {
                Change { domains: self.rule_sets_or_none(given, &mut report), ..Change::default() }
            }
            Edit::DeleteDomains(names) => {
                let domains = names.into_iter().map(|name| (name, None)).collect();
                Change { domains, ..Change::default() }
            }
            Edit::PutUpstreams(given) => {
                let upstreams = upstreams(&given, &mut report).into_iter().map(UpstreamChange::Put).collect();
                Change { upstreams, ..Change::default() }
            }
            Edit::PatchUpstreams(given) => {
                let patches = UpstreamPatch::read_all(&given, &mut report).into_iter();
                Change { upstreams: patches.map(UpstreamChange::Patch).collect(), ..Change::default() }
            }
            Edit::DeleteUpstreams(names) => {
                let upstreams = names.into_iter().map(UpstreamChange::Delete).collect();
                Change { upstreams, ..Change::default() }
            }
            Edit::Document { domains, upstreams, mode } => {
                self.document(domains, upstreams, mode, &mut report)
            }
        };
        prepared(change, report)
    }

    /// Both kinds; null takes one away, and where all is said, there is nothing to take away.
    fn document(
        &self,
        domains: Map<String, Value>,
        given: Map<String, Value>,
        mode: Mode,
        report: &mut Report,
    ) -> Change {
        let mut inner = Report::default();
        let read = self.rule_sets_or_none(domains, &mut inner);
        report.absorb("domains", inner);
        let (gone, given) = part(given);
        let mut inner = Report::default();
        let mut changes: Vec<UpstreamChange> = match mode {
            Mode::Merge => {
                let may_be_new = |patch| UpstreamPatch { may_be_new: true, ..patch };
                let patches = UpstreamPatch::read_all(&given, &mut inner).into_iter().map(may_be_new);
                patches.map(UpstreamChange::Patch).collect()
            }
            Mode::Whole | Mode::Each => {
                upstreams(&given, &mut inner).into_iter().map(UpstreamChange::Put).collect()
            }
        };
        changes.extend(gone.into_iter().map(|(name, _)| UpstreamChange::Delete(name)));
        report.absorb("upstreams", inner);
        Change { domains: read, upstreams: changes, is_whole: mode == Mode::Whole, is_document: true }
    }

    /// Rule sets, and domains that go.
    fn rule_sets_or_none(
        &self,
        given: Map<String, Value>,
        report: &mut Report,
    ) -> Vec<(String, Option<Arc<RuleSet>>)> {
        let (gone, given) = part(given);
        let mut read = self.rule_sets(given, report);
        read.extend(gone.into_iter().map(|(name, _)| (name, None)));
        read
    }

    /// Rule sets, until there are as many faults as are told of.
    fn rule_sets(
        &self,
        given: Map<String, Value>,
        report: &mut Report,
    ) -> Vec<(String, Option<Arc<RuleSet>>)> {
        let mut read = Vec::with_capacity(given.len());
        let mut names = DomainNames::default();
        for (name, rules) in given {
            if report.is_full() {
                break;
            }
            let rules = domain(&name, &rules, self, &mut names, report);
            read.extend(rules.map(|rules| (name, Some(rules))));
        }
        read
    }

    /// The same as to prepare [`Edit::PutDomains`] with the object that `json` is, in a fraction of the memory. `None`
    /// when it is no such object, or one with a name that is there twice: then it takes the whole of it to say what is
    /// to be done.
    ///
    /// # Errors
    /// As [`Library::prepare`].
    pub fn prepare_domains(&self, json: &[u8]) -> Option<Result<Prepared, Faults>> {
        let mut reading = Reading {
            library: self,
            seen: HashSet::new(),
            names: DomainNames::default(),
            read: Vec::new(),
            report: Report::default(),
        };
        let mut json = serde_json::Deserializer::from_slice(json);
        let is_plain = json.deserialize_map(&mut reading).ok()?;
        json.end().ok()?;
        let change = Change { domains: reading.read, ..Change::default() };
        is_plain.then(|| prepared(change, reading.report))
    }
}

/// What is null, and what is something.
fn part(given: Map<String, Value>) -> (Map<String, Value>, Map<String, Value>) {
    given.into_iter().partition(|(_, value)| value.is_null())
}

fn prepared(change: Change, mut report: Report) -> Result<Prepared, Faults> {
    let warnings = std::mem::take(&mut report.warnings);
    match report.all() {
        Some(faults) => Err(faults),
        None => Ok(Prepared { change, warnings, basis: Vec::new() }),
    }
}

struct Reading<'l> {
    library: &'l Library,
    seen: HashSet<String>,
    names: DomainNames,
    read: Vec<(String, Option<Arc<RuleSet>>)>,
    report: Report,
}

impl<'de> Visitor<'de> for &mut Reading<'_> {
    /// Whether every name was there once.
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object: domain → rule set")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<bool, A::Error> {
        while let Some(name) = entries.next_key::<String>()? {
            if !self.seen.insert(name.clone()) {
                entries.next_value::<IgnoredAny>()?;
                while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(false);
            }
            let rules = entries.next_value_seed(Once(&mut Place::default()))?;
            // What comes behind the last fault that is told is only checked to be JSON.
            if self.report.is_full() {
                continue;
            }
            let read = domain(&name, &rules, self.library, &mut self.names, &mut self.report);
            self.read.extend(read.map(|rules| (name, Some(rules))));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::State;
    use crate::warning::Warning;
    use proptest::prelude::*;

    type Came = Option<Result<(String, Vec<Warning>), Faults>>;

    /// What comes of putting `json` at once, and one by one if that is possible.
    fn both(json: &str) -> [Came; 2] {
        let outcome = |prepared: &dyn Fn(&Library) -> Option<Result<Prepared, Faults>>| {
            let mut state = State::new();
            let prepared = prepared(state.library())?;
            Some(prepared.map(|prepared| {
                let warnings = state.apply(prepared).unwrap().warnings;
                (Value::Object(state.domains()).to_string(), warnings)
            }))
        };
        let whole = outcome(&|library| match serde_json::from_str(json) {
            Ok(Value::Object(given)) => Some(library.prepare(Edit::PutDomains(given))),
            _ => None,
        });
        [whole, outcome(&|library| library.prepare_domains(json.as_bytes()))]
    }

    const RULES: &str = r#"{"init":"a","rules":{"a":{"type":"backend","args":{"servername":"up"}}}}"#;

    #[test]
    fn what_is_no_object_or_says_something_twice_is_left_to_others() {
        for json in
            ["", "[]", "5", "{", "{} 1", r#"{"a": {}, "a": {}, "b": 1}"#, r#"{"a": {"b": 1, "b": 2}}"#]
        {
            assert!(Library::default().prepare_domains(json.as_bytes()).is_none(), "{json}");
        }
        let [whole, piecewise] = both(&format!(r#"{{"a": {RULES}, "b": {{}}, "": 5}}"#));
        assert_eq!(whole, piecewise);
        assert_eq!(whole.unwrap().unwrap_err().pointer, "/b");
    }

    proptest! {
        #[test]
        fn one_by_one_comes_to_the_same_as_all_at_once(
            entries in proptest::collection::vec(("[aAb/~]{0,2}", prop_oneof![3 => Just(RULES), 1 => Just("{}"), 1 => Just("]")]), 0..4),
        ) {
            let entries: Vec<_> = entries.iter().map(|(name, rules)| format!("{name:?}: {rules}")).collect();
            let [whole, piecewise] = both(&format!("{{{}}}", entries.join(",")));
            if let Some(piecewise) = piecewise {
                prop_assert_eq!(whole, Some(piecewise));
            }
        }
    }
}
