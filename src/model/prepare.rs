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

use super::change::{Change, Edit, Prepared};
use super::check::{DomainNames, domain, upstreams};
use super::fault::{Fault, Report};
use super::json::{Once, Place};
use super::library::Library;
use super::patch::UpstreamPatch;
use super::ruleset::RuleSet;

impl Library {
    /// Reads and checks an edit whole: all of it that takes long, and needs no state. Equal parts of all that was
    /// prepared with one library are one in memory.
    ///
    /// # Errors
    /// The first fault, with a pointer that leads into what was put: `/up1/127.0.0.1:80`.
    pub fn prepare(&self, edit: Edit) -> Result<Prepared, Fault> {
        let mut report = Report::default();
        let change = match edit {
            Edit::PutDomains(given) => Change::PutDomains(self.prepare_each(given, &mut report)),
            Edit::PutUpstreams(given) => Change::PutUpstreams(upstreams(&given, &mut report)),
            Edit::PatchUpstreams(given) => {
                Change::PatchUpstreams(UpstreamPatch::read_all(&given, &mut report))
            }
            Edit::DeleteDomains(names) => Change::DeleteDomains(names),
            Edit::DeleteUpstreams(names) => Change::DeleteUpstreams(names),
        };
        prepared(change, report)
    }

    /// Rule sets up to the first fault, which is what is told.
    fn prepare_each(&self, given: Map<String, Value>, report: &mut Report) -> Vec<(String, Arc<RuleSet>)> {
        let mut read = Vec::with_capacity(given.len());
        let mut names = DomainNames::default();
        for (name, rules) in given {
            match domain(&name, &rules, self, &mut names, report) {
                Some(rules) => read.push((name, rules)),
                None => break,
            }
        }
        read
    }

    /// The same as to prepare [`Edit::PutDomains`] with the object that `json` is, in a fraction of the memory. `None`
    /// when it is no such object, or one with a name that is there twice: then it takes the whole of it to say what is
    /// to be done.
    ///
    /// # Errors
    /// As [`Library::prepare`].
    pub fn prepare_domains(&self, json: &[u8]) -> Option<Result<Prepared, Fault>> {
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
        is_plain.then(|| prepared(Change::PutDomains(reading.read), reading.report))
    }
}

fn prepared(change: Change, report: Report) -> Result<Prepared, Fault> {
    if !report.faults.is_empty() {
        return Err(report.first());
    }
    Ok(Prepared { change, warnings: report.warnings })
}

struct Reading<'l> {
    library: &'l Library,
    seen: HashSet<String>,
    names: DomainNames,
    read: Vec<(String, Arc<RuleSet>)>,
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
            // The first fault is what is told, so what comes behind it is only checked to be JSON.
            if !self.report.faults.is_empty() {
                continue;
            }
            let read = domain(&name, &rules, self.library, &mut self.names, &mut self.report);
            self.read.extend(read.map(|rules| (name, rules)));
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

    type Came = Option<Result<(String, Vec<Warning>), Fault>>;

    /// What comes of putting `json` at once, and one by one if that is possible.
    fn both(json: &str) -> [Came; 2] {
        let outcome = |prepared: &dyn Fn(&Library) -> Option<Result<Prepared, Fault>>| {
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
