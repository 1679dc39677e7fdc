//! Reading and checking rule sets one by one out of their JSON.
//!
//! It owns the two shapes in which many come: domains, and a document of domains and upstreams. As one tree of values ten thousand rule
//! sets would take a hundred megabytes for a moment. It reads what is as it should be at its top; all else is left to
//! [`prepare`](super::prepare), which has the words for what is wrong. Next: [`check`](mod@super::check) reads one rule set.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::change::{Change, Prepared, UpstreamChange};
use super::check::{DomainNames, domain, upstreams};
use super::fault::{Faults, Report};
use super::json::{Once, Place};
use super::library::Library;
use super::prepare::prepared;
use super::ruleset::RuleSet;

impl Library {
    /// The same as to prepare [`Edit::PutDomains`](super::Edit::PutDomains) with the object that `json` is, in a fraction of the memory.
    /// `None` when it is no such object, or one with a name that is there twice.
    ///
    /// # Errors
    /// As [`Library::prepare`].
    pub fn prepare_domains(&self, json: &[u8]) -> Option<Result<Prepared, Faults>> {
        let mut reading = Reading::new(self, false);
        let mut json = serde_json::Deserializer::from_slice(json);
        reading.deserialize(&mut json).ok()?;
        json.end().ok()?;
        let change = Change { domains: reading.read, ..Change::default() };
        Some(prepared(change, reading.report))
    }

    /// The same as to prepare the whole of an [`Edit::Document`](super::Edit::Document), [`Mode::Whole`](super::Mode::Whole), that `json` is. `None` when it
    /// has anything at its top but an object of domains and one of upstreams, in which each name is there once and none is null.
    ///
    /// # Errors
    /// As [`Library::prepare`].
    pub fn prepare_document(&self, json: &[u8]) -> Option<Result<Prepared, Faults>> {
        let mut json = serde_json::Deserializer::from_slice(json);
        let (mut domains, given) = json.deserialize_map(Document(self)).ok()?;
        json.end().ok()?;
        let mut report = Report::default();
        report.absorb("domains", std::mem::take(&mut domains.report));
        let mut inner = Report::default();
        let upstreams = upstreams(&given, &mut inner).into_iter().map(UpstreamChange::Put).collect();
        report.absorb("upstreams", inner);
        let change = Change { domains: domains.read, upstreams, is_whole: true, is_document: true };
        Some(prepared(change, report))
    }
}

struct Reading<'l> {
    library: &'l Library,
    seen: HashSet<String>,
    names: DomainNames,
    read: Vec<(String, Option<Arc<RuleSet>>)>,
    report: Report,
    /// Null takes a domain away, and is no fault.
    is_document: bool,
}

impl<'l> Reading<'l> {
    fn new(library: &'l Library, is_document: bool) -> Self {
        let (seen, names) = (HashSet::new(), DomainNames::default());
        Self { library, seen, names, read: Vec::new(), report: Report::default(), is_document }
    }
}

impl<'de> DeserializeSeed<'de> for &mut Reading<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Reading<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object: domain → rule set")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(name) = entries.next_key::<String>()? {
            if !self.seen.insert(name.clone()) {
                return Err(A::Error::custom("a name is there twice"));
            }
            let rules = entries.next_value_seed(Once(&mut Place::default()))?;
            if rules.is_null() && self.is_document {
                return Err(A::Error::custom("a domain is taken away"));
            }
            // What comes behind the last fault that is told is only checked to be JSON.
            if self.report.is_full() {
                continue;
            }
            let read = domain(&name, &rules, self.library, &mut self.names, &mut self.report);
            self.read.extend(read.map(|rules| (name, Some(rules))));
        }
        Ok(())
    }
}

/// Domains, read, and upstreams as they were given.
struct Document<'l>(&'l Library);

impl<'l, 'de> Visitor<'de> for Document<'l> {
    type Value = (Reading<'l>, Map<String, Value>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of domains and upstreams")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (mut domains, mut upstreams) = (None, None);
        while let Some(name) = members.next_key::<String>()? {
            match name.as_str() {
                "domains" if domains.is_none() => {
                    let mut reading = Reading::new(self.0, true);
                    members.next_value_seed(&mut reading)?;
                    domains = Some(reading);
                }
                "upstreams" if upstreams.is_none() => {
                    match members.next_value_seed(Once(&mut Place::default()))? {
                        Value::Object(given) if !given.values().any(Value::is_null) => {
                            upstreams = Some(given)
                        }
                        _ => return Err(A::Error::custom("no object of upstreams that are there")),
                    }
                }
                _ => return Err(A::Error::custom("another member")),
            }
        }
        domains.zip(upstreams).ok_or_else(|| A::Error::custom("a member is missing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Edit, Mode, State};
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

    /// What comes of putting a document at once, and piece by piece if that is possible.
    fn both_of_document(json: &str) -> [Came; 2] {
        let outcome = |prepared: &dyn Fn(&Library) -> Option<Result<Prepared, Faults>>| {
            let mut state = State::new();
            let prepared = prepared(state.library())?;
            Some(prepared.map(|prepared| {
                let warnings = state.apply(prepared).unwrap().warnings;
                (format!("{:?} {:?}", state.domains(), state.take_differences()), warnings)
            }))
        };
        let whole = outcome(&|library| {
            let Ok(Value::Object(mut given)) = serde_json::from_str(json) else { return None };
            let mut part = |name| given.remove(name)?.as_object().cloned();
            let (domains, upstreams) = (part("domains")?, part("upstreams")?);
            Some(library.prepare(Edit::Document { domains, upstreams, mode: Mode::Whole }))
        });
        [whole, outcome(&|library| library.prepare_document(json.as_bytes()))]
    }

    #[test]
    fn a_document_that_is_no_plain_one_is_left_to_others() {
        for json in [
            "",
            "[]",
            "{}",
            r#"{"domains": {}}"#,
            r#"{"upstreams": {}}"#,
            r#"{"domains": {}, "upstreams": {}, "more": 1}"#,
            r#"{"domains": {}, "domains": {}, "upstreams": {}}"#,
            r#"{"domains": {"a": {}, "a": {}}, "upstreams": {}}"#,
            r#"{"domains": {"a": null}, "upstreams": {}}"#,
            r#"{"domains": {}, "upstreams": {"up": null}}"#,
            r#"{"domains": [], "upstreams": {}}"#,
            r#"{"domains": {}, "upstreams": {"up": {"h:1": "", "h:1": ""}}}"#,
            r#"{"domains": {}, "upstreams": {}} 1"#,
        ] {
            assert!(Library::default().prepare_document(json.as_bytes()).is_none(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn a_document_piece_by_piece_comes_to_the_same_as_at_once(
            entries in proptest::collection::vec(("[aAb/~]{0,2}", prop_oneof![3 => Just(RULES), 1 => Just("{}")]), 0..4),
            servers in proptest::collection::vec(("[uU]{1,2}", prop_oneof![3 => Just(r#"{"h:1": "weight=2"}"#), 1 => Just("5")]), 0..3),
        ) {
            let object = |entries: &[(String, &str)]| {
                let entries: Vec<_> = entries.iter().map(|(name, value)| format!("{name:?}: {value}")).collect();
                format!("{{{}}}", entries.join(","))
            };
            let [whole, piecewise] = both_of_document(&format!(
                r#"{{"upstreams": {}, "domains": {}}}"#, object(&servers), object(&entries)
            ));
            if let Some(piecewise) = piecewise {
                prop_assert_eq!(whole, Some(piecewise));
            }
        }

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
