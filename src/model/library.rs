//! What rule sets have in common, once: patterns, shapes, whole rule sets and the names of upstreams.
//!
//! It owns the sharing, never the reading (that is `ruleset`). A library is a handle: its clones are one library, so a
//! thread that has time can read a large change while the control thread goes on. Next: `check` and `domains` read
//! with it.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::fault::Report;
use super::intern::Interner;
use super::pattern::Patterns;
use super::ruleset::{RuleSet, Shape};
use super::upstream_name::{UpstreamName, UpstreamNames};

/// Everything that was read and is still in use.
#[derive(Debug, Clone, Default)]
pub struct Library(Arc<Mutex<Shelves>>);

/// What a library holds.
#[derive(Debug, Default)]
pub(crate) struct Shelves {
    pub(crate) patterns: Patterns,
    pub(crate) names: UpstreamNames,
    shapes: Interner<Shape>,
    sets: Interner<RuleSet>,
}

impl Library {
    /// An empty one.
    pub fn new() -> Library {
        Library::default()
    }

    /// One at a time, for the length of one rule set: whoever reads ten thousand holds nobody up for longer than that.
    fn with<T>(&self, work: impl FnOnce(&mut Shelves) -> T) -> T {
        // All that a panic could leave behind is an entry less.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads and checks a rule set. `None` when anything is at fault; all of it is then in `report`.
    pub(crate) fn read(&self, given: &Value, report: &mut Report) -> Option<Arc<RuleSet>> {
        let text = given.to_string();
        self.with(|shelves| {
            // One with something to tell is read again for that.
            let known = shelves.set(&text);
            if let Some(known) = known.as_ref().filter(|known| !known.is_noteworthy()) {
                return Some(Arc::clone(known));
            }
            let read = RuleSet::read(given, &text, shelves, report)?;
            Some(known.unwrap_or_else(|| shelves.sets.add(text.as_str(), read)))
        })
    }

    /// The rule set of that very text, if one is in use: then it need not be read.
    pub(crate) fn known(&self, text: &str) -> Option<Arc<RuleSet>> {
        self.with(|shelves| shelves.set(text))
    }

    /// The name of an upstream, given in lower case.
    pub(crate) fn name(&self, key: &str) -> Arc<UpstreamName> {
        self.with(|shelves| shelves.names.get(key))
    }
}

impl Shelves {
    fn set(&self, text: &str) -> Option<Arc<RuleSet>> {
        self.sets.get(text, |set| &**set.text() == text)
    }

    /// The same shape, shared with all rule sets that have it.
    pub(crate) fn shape(&mut self, shape: Shape) -> Arc<Shape> {
        let known = self.shapes.get(&shape, |known| *known == shape);
        known.unwrap_or_else(|| self.shapes.add(&shape.clone(), shape))
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
    fn equal_rule_sets_are_one_and_those_alike_share_their_shape() {
        let library = Library::new();
        let read = |given: &Value| library.read(given, &mut Report::default()).unwrap();
        let first = read(&rules("x", "up1"));
        assert!(Arc::ptr_eq(&first, &read(&rules("x", "up1"))));
        assert!(Arc::ptr_eq(&first, &library.known(first.text()).unwrap()));
        let second = read(&rules("x", "up2"));
        assert!(!Arc::ptr_eq(&first, &second) && first.shares_shape(&second));
        assert!(!first.shares_shape(&read(&rules("y", "up1"))));
        let text = first.text().to_string();
        drop(first);
        assert!(library.known(&text).is_none(), "nobody holds it any more");
    }

    #[test]
    fn what_is_to_be_known_is_told_each_time() {
        let library = Library::new();
        for _ in 0..2 {
            let mut report = Report::default();
            let held = library.read(&rules("(?=x)", "up1"), &mut report).unwrap();
            assert_eq!(report.warnings.len(), 1);
            assert!(held.is_noteworthy());
        }
    }
}
