//! What rule sets have in common, once: their parts, their graphs, and whole rule sets.
//!
//! It owns the sharing, never the reading (that is `ruleset`). A library is a handle: its clones are one library, so a
//! thread that has time can read a large change while the control thread goes on. Next: [`check`](mod@super::check) and
//! [`domains`](super::domains) read with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::compiled::PatternNumbers;
use super::fault::{Fault, Report};
use super::graph::Graph;
use super::intern::Interner;
use super::json::read_json;
use super::parts::Parts;
use super::ruleset::RuleSet;
use super::upstream_name::UpstreamName;

/// Everything that was read and is still in use.
#[derive(Debug, Clone, Default)]
pub struct Library {
    parts: Parts,
    interners: Arc<Mutex<Interners>>,
}

/// What a library holds beside the parts.
#[derive(Debug, Default)]
struct Interners {
    graphs: Interner<Graph>,
    sets: Interner<RuleSet>,
    /// Texts of a store that were read already, and what is wrong with them.
    faults: HashMap<Box<str>, Fault>,
}

impl Library {
    /// Most memory, in bytes, that all compiled patterns take together, unless it is said otherwise.
    pub const PATTERNS: usize = Parts::PATTERNS;

    /// An empty one, whose compiled patterns may take so many bytes together.
    pub fn new(patterns: usize) -> Library {
        Library { parts: Parts::new(patterns), interners: Arc::default() }
    }

    /// Locks for one lookup, as [`Parts`] does.
    fn with<T>(&self, look: impl FnOnce(&mut Interners) -> T) -> T {
        // All that a panic could leave behind is an entry less.
        look(&mut self.interners.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads and checks a rule set. `None` when anything is at fault; all of it is then in `report`.
    pub(crate) fn read(&self, given: &Value, report: &mut Report) -> Option<Arc<RuleSet>> {
        // Twice as fast as to have it formatted, and the same text.
        let text = serde_json::to_string(given).unwrap_or_else(|_| given.to_string());
        // One with something to tell is read again for that.
        let known = self.known(&text);
        if let Some(known) = known.as_ref().filter(|known| !known.is_noteworthy()) {
            return Some(Arc::clone(known));
        }
        let read = RuleSet::read(given, &text, &self.parts, report)?;
        known.or_else(|| Some(self.with(|interners| interners.put_set(read))))
    }

    /// Reads and checks the text of a rule set, unless that was done already.
    ///
    /// # Errors
    /// The first fault.
    pub(crate) fn read_text(&self, text: &str) -> Result<Arc<RuleSet>, Fault> {
        if let Some(known) = self.known(text) {
            return Ok(known);
        }
        if let Some(fault) = self.with(|interners| interners.faults.get(text).cloned()) {
            return Err(fault);
        }
        let given = read_json(text.as_bytes())?;
        let mut report = Report::default();
        self.read(&given, &mut report).ok_or_else(|| report.first())
    }

    /// Keeps the fault of a text, so that it is not read again.
    pub(super) fn keep_fault(&self, text: &str, fault: Fault) {
        self.with(|interners| interners.faults.insert(text.into(), fault));
    }

    pub(super) fn forget_fault(&self, text: &str) {
        self.with(|interners| interners.faults.remove(text));
    }

    /// Whether the rule set of that very text need not be read, as it is in use.
    pub fn is_known(&self, text: &str) -> bool {
        self.known(text).is_some()
    }

    /// The rule set of that very text, if one is in use: then it need not be read.
    pub(crate) fn known(&self, text: &str) -> Option<Arc<RuleSet>> {
        self.with(|interners| interners.set(text))
    }

    /// The name of an upstream, given in lower case.
    pub(crate) fn name(&self, key: &str) -> Arc<UpstreamName> {
        self.parts.name(key)
    }

    /// What is to be known of patterns.
    pub fn patterns(&self) -> PatternNumbers {
        self.parts.numbers()
    }

    /// Gives back what still points to patterns and rule sets that are gone, if many are: small pieces, but they keep the
    /// memory around them from going back to the system. To be called now and then.
    pub fn tidy(&self) {
        if self.parts.tidy() {
            self.with(|interners| {
                interners.graphs.forget_dead();
                interners.sets.forget_dead();
            });
        }
    }
}

impl Interners {
    fn set(&self, text: &str) -> Option<Arc<RuleSet>> {
        self.sets.get(text, |set| &**set.text() == text)
    }

    /// The same set, shared with all who read it, and its graph with all sets that have it.
    fn put_set(&mut self, mut read: RuleSet) -> Arc<RuleSet> {
        let text = Arc::clone(read.text());
        if let Some(known) = self.set(&text) {
            return known;
        }
        read.share_graph(|graph| {
            let known = self.graphs.get(graph, |known| *known == **graph);
            known.unwrap_or_else(|| self.graphs.add(graph, Arc::clone(graph)))
        });
        self.sets.add(&*text, read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(pattern: &str, servername: &str) -> Value {
        json!({"init": "a", "rules": {
            "a": {"type": "ua", "args": {"pattern": pattern, "succ": "b", "fail": "b"}},
            "b": {"type": "backend", "args": {"servername": servername}}}})
    }

    #[test]
    fn a_member_that_a_store_has_twice_is_a_fault_at_its_place() {
        let text = rules("x", "up").to_string();
        let twice = text.replace(r#""servername":"up""#, r#""servername":"up","servername":"other""#);
        let library = Library::default();
        assert!(library.read_text(&text).is_ok());
        assert_eq!(library.read_text(&twice).unwrap_err().pointer, "/rules/b/args/servername");
    }

    #[test]
    fn equal_rule_sets_are_one_and_those_alike_share_their_graph() {
        let library = Library::default();
        let read = |given: &Value| library.read(given, &mut Report::default()).unwrap();
        let first = read(&rules("x", "up1"));
        assert!(Arc::ptr_eq(&first, &read(&rules("x", "up1"))));
        assert!(Arc::ptr_eq(&first, &library.known(first.text()).unwrap()));
        let second = read(&rules("x", "up2"));
        assert!(!Arc::ptr_eq(&first, &second) && first.shares_graph(&second));
        assert!(!first.shares_graph(&read(&rules("y", "up1"))));
        let text = first.text().to_string();
        drop(first);
        assert!(library.known(&text).is_none(), "nobody holds it any more");
    }

    #[test]
    fn what_is_to_be_known_is_told_each_time() {
        let library = Library::default();
        for _ in 0..2 {
            let mut report = Report::default();
            let held = library.read(&rules("(?=x)", "up1"), &mut report).unwrap();
            assert_eq!(report.warnings.len(), 1);
            assert!(held.is_noteworthy());
        }
    }
}
