//! Edits that no dump has written, told to another process and made there once more.
//!
//! It owns that form: texts by name, as an operator could have sent them. Next: [`State`] has the edits, `control::hub` carries them
//! from one process to the next.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::change::{Edit, Mode, Outcome};
use super::fault::{Fault, Faults};
use super::state::State;

/// Edits by name: JSON, or nothing where something was deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsaved {
    /// Of domains.
    pub domains: BTreeMap<String, Option<String>>,
    /// Of upstreams, by their spelling; deleted ones in lower case.
    pub upstreams: BTreeMap<String, Option<String>>,
}

impl Unsaved {
    /// How many domains and upstreams they concern.
    #[must_use]
    pub fn len(&self) -> usize {
        self.domains.len() + self.upstreams.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl State {
    /// All edits that no dump has written.
    pub fn unsaved(&self) -> Unsaved {
        let (domains, upstreams) = (self.domains.layers(), self.upstreams.layers());
        let of_domain = |name: &std::sync::Arc<str>| {
            let edit = domains.edit(name)?;
            Some((name.to_string(), edit.map(|rules| rules.text().to_string())))
        };
        let of_upstream = |key: &std::sync::Arc<str>| {
            let edit = upstreams.edit(key)?;
            let name = edit.map_or_else(|| key.to_string(), |spec| spec.name.clone());
            Some((name, edit.map(|spec| spec.text().to_string())))
        };
        Unsaved {
            domains: domains.edited().filter_map(of_domain).collect(),
            upstreams: upstreams.edited().filter_map(of_upstream).collect(),
        }
    }

    /// Makes edits once more that another process had: all of them, or none.
    ///
    /// # Errors
    /// What this build of ELB refuses of them.
    pub fn take_over(&mut self, unsaved: Unsaved) -> Result<Outcome, Faults> {
        let values = |texts: BTreeMap<String, Option<String>>| -> Result<Map<String, Value>, Faults> {
            let read = |(name, text): (String, Option<String>)| {
                let value = text.map_or(Ok(Value::Null), |text| serde_json::from_str(&text));
                let fault =
                    |error: serde_json::Error| Faults::from(Fault::new(name.as_str(), error.to_string()));
                value.map_err(fault).map(|value| (name.clone(), value))
            };
            texts.into_iter().map(read).collect()
        };
        let (domains, upstreams) = (values(unsaved.domains)?, values(unsaved.upstreams)?);
        self.edit(Edit::Document { domains, upstreams, mode: Mode::Each })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Contents;

    fn stored() -> Contents {
        let mut contents = Contents::default();
        for site in ["kept.test", "changed.test", "gone.test"] {
            contents.rules.insert(site.to_owned(), rules("one").to_string());
        }
        for upstream in ["One", "gone"] {
            contents
                .upstreams
                .entry(upstream.to_owned())
                .or_default()
                .insert("10.0.0.1:80".to_owned(), String::new());
        }
        contents
    }

    fn rules(upstream: &str) -> Value {
        json!({"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": upstream}}}})
    }

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn edits_are_the_same_in_the_next_process() {
        let mut old = State::new();
        old.load(stored());
        old.edit(Edit::PutDomains(map(json!({"changed.test": rules("Two"), "new.test": rules("two")}))))
            .unwrap();
        old.edit(Edit::PutUpstreams(map(json!({
            "Two": {"10.0.0.9:80": "weight=2", "10.0.0.3:80": "drain", "@options": "method=least_conn"}
        }))))
        .unwrap();
        old.edit(Edit::DeleteDomains(vec!["gone.test".to_owned()])).unwrap();
        old.edit(Edit::DeleteUpstreams(vec!["Gone".to_owned()])).unwrap();
        let unsaved = old.unsaved();
        assert_eq!((unsaved.len(), old.pending_edits()), (5, 5));

        let mut new = State::new();
        new.load(stored());
        assert!(new.take_over(unsaved.clone()).unwrap().changed);
        assert_eq!((new.unsaved(), new.digest()), (unsaved, old.digest()));
        assert_eq!(new.effective(), old.effective());
        let names = |state: &State| -> Vec<String> {
            state.upstream("two").unwrap().servers.iter().map(|server| server.name.clone()).collect()
        };
        assert_eq!(names(&new), names(&old), "in their order");
    }

    #[test]
    fn edits_without_a_store_are_taken_over_and_none_changes_nothing() {
        let mut old = State::new();
        old.edit(Edit::PutDomains(map(json!({"a.test": rules("10.0.0.1:80")})))).unwrap();
        let mut new = State::new();
        new.take_over(old.unsaved()).unwrap();
        assert_eq!((new.digest(), new.pending_edits()), (old.digest(), 1));
        assert!(!State::new().take_over(Unsaved::default()).unwrap().changed);
    }

    #[test]
    fn what_this_build_refuses_changes_nothing() {
        let mut state = State::new();
        let domains = BTreeMap::from([
            ("a.test".to_owned(), Some(rules("10.0.0.1:80").to_string())),
            ("b.test".to_owned(), Some("{ no JSON".to_owned())),
        ]);
        assert!(state.take_over(Unsaved { domains, ..Unsaved::default() }).is_err());
        assert_eq!(state.pending_edits(), 0);
    }
}
