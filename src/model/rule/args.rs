//! The arguments of one rule, read from JSON with every fault noted at its place.
//!
//! It owns the checks that rule types share, never what an argument means. Next: `ua`, `path` and `backend` read theirs.

use serde_json::{Map, Value};

use crate::model::fault::{Report, step};
use crate::model::library::Shelves;
use crate::model::pattern::{BACKTRACKS, Pattern};

/// The `args` of one rule.
pub(crate) struct Args<'a> {
    /// The arguments as given.
    pub(crate) given: &'a Map<String, Value>,
    /// The pointer of `given` in the rule set.
    pub(crate) at: String,
    /// Where patterns are compiled and names get their slots.
    pub(crate) shelves: &'a mut Shelves,
    /// Where faults go.
    pub(crate) report: &'a mut Report,
}

impl Args<'_> {
    /// Notes a fault in the argument `name`; gives `None`, as what cannot be read is not there.
    pub(crate) fn fault<T>(&mut self, name: &str, message: impl Into<String>) -> Option<T> {
        self.report.fault(format!("{}{}", self.at, step(name)), message);
        None
    }

    /// A string that must be there.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.given.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(_) => self.fault(name, "must be a string"),
            None => {
                self.report.fault(self.at.clone(), format!("has no {name}"));
                None
            }
        }
    }

    /// A boolean, false when absent. Nothing else passes for one: the first ELB took `"false"` and 0 for true.
    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.given.get(name) {
            None => Some(false),
            Some(Value::Bool(flag)) => Some(*flag),
            Some(_) => self.fault(name, "must be true or false"),
        }
    }

    /// A pattern that must be there, compiled.
    pub(crate) fn pattern(&mut self, name: &str) -> Option<Pattern> {
        let text = self.text(name)?;
        match self.shelves.patterns.get(&text) {
            Ok(pattern) => {
                if pattern.backtracks() {
                    self.report.warn(
                        format!("{}{}", self.at, step(name)),
                        format!(
                            "the pattern needs backtracking (look-around, back-references and the like): slower, and \
                             after {BACKTRACKS} steps back it counts as no match"
                        ),
                    );
                }
                Some(pattern)
            }
            Err(problem) => self.fault(name, format!("the pattern does not compile: {problem}")),
        }
    }
}
