//! The arguments of one rule, read from JSON with every fault noted at its place.
//!
//! It owns the checks that rule types share, never what an argument means. Next: `ua`, `path` and `backend` read theirs.

use serde_json::{Map, Value};

use crate::model::engines::{SEEN, STEPS};
use crate::model::fault::{Report, step};
use crate::model::library::Library;
use crate::model::pattern::Pattern;

/// The `args` of one rule.
pub(crate) struct Args<'a> {
    /// The arguments as given.
    pub(crate) given: &'a Map<String, Value>,
    /// The pointer of `given` in the rule set.
    pub(crate) at: String,
    /// Where patterns are compiled and names get their slots.
    pub(crate) library: &'a Library,
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

    /// A pattern that must be there, compiled. `grouped`: where its first group lies will be asked.
    pub(crate) fn pattern(&mut self, name: &str, grouped: bool) -> Option<Pattern> {
        let text = self.text(name)?;
        match self.library.pattern(&text, grouped) {
            Ok(pattern) => {
                if pattern.backtracks() {
                    self.warn(
                        name,
                        format!(
                            "the pattern needs backtracking (look-around, back-references and the like): slower, and it \
                             counts as no match in more than {SEEN} bytes, or once the patterns of that kind have taken \
                             {STEPS} steps for one request; searches_given_up of GET /__erulb__/workers counts these"
                        ),
                    );
                }
                Some(pattern)
            }
            Err(problem) => self.fault(name, format!("the pattern does not compile: {problem}")),
        }
    }

    /// Notes what is to be known of the argument `name`.
    pub(crate) fn warn(&mut self, name: &str, message: impl Into<String>) {
        self.report.warn(format!("{}{}", self.at, step(name)), message);
    }
}
