//! What is wrong with what an operator said, and where.
//!
//! It owns the fault and the writing of JSON pointers, never a judgement. Next: [`ruleset`](super::ruleset),
//! [`server`](super::server) and [`state`](super::state) find faults, the admin API and `elb check` show them.

use std::fmt;
use std::ops::Deref;

use crate::warning::{Code, Warning};

/// One thing that cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, as a JSON pointer (RFC 6901) into what was given; empty for the whole of it.
    pub pointer: String,
    /// What is wrong and what would be right, for people.
    pub message: String,
}

impl Fault {
    /// A fault at `pointer`.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Fault {
        Fault { pointer: pointer.into(), message: message.into() }
    }

    /// The same fault, seen from one level further out: below the member `name`.
    #[must_use]
    pub fn below(mut self, name: &str) -> Fault {
        self.pointer.insert_str(0, &step(name));
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.pointer, self.message)
    }
}

impl std::error::Error for Fault {}

/// All that is wrong with a change: at least one fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    first: Box<Fault>,
    others: Vec<Fault>,
}

impl Faults {
    /// Faults that are looked for in one change: what a person mends at a time.
    pub const MOST: usize = 32;

    /// These, the first ones of them; nothing if there are none.
    #[must_use]
    pub fn of(faults: Vec<Fault>) -> Option<Faults> {
        let mut faults = faults.into_iter();
        let first = Box::new(faults.next()?);
        Some(Faults { first, others: faults.take(Faults::MOST - 1).collect() })
    }

    /// All of them, in the order in which they stand there.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        std::iter::once(&*self.first).chain(&self.others)
    }

    /// The same faults, with pointers that `place` makes of theirs.
    #[must_use]
    pub fn placed(mut self, place: impl Fn(&str) -> String) -> Faults {
        for fault in std::iter::once(&mut *self.first).chain(&mut self.others) {
            fault.pointer = place(&fault.pointer);
        }
        self
    }
}

impl From<Fault> for Faults {
    fn from(first: Fault) -> Faults {
        Faults { first: Box::new(first), others: Vec::new() }
    }
}

/// Where there is room for one, it is the first.
impl Deref for Faults {
    type Target = Fault;

    fn deref(&self) -> &Fault {
        &self.first
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        match self.others.len() {
            0 => Ok(()),
            others => write!(f, " (and {others} more)"),
        }
    }
}

impl std::error::Error for Faults {}

/// Everything found while reading one value, so that an operator is told all of it at once.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What cannot be accepted.
    pub(crate) faults: Vec<Fault>,
    /// What can, but should be known.
    pub(crate) warnings: Vec<Warning>,
    /// Names that mean nothing where they stand: what is new may not have them, and what a store has serves as it did.
    pub(crate) unknown: Vec<Fault>,
}

impl Report {
    pub(crate) fn fault(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.faults.push(Fault::new(pointer, message));
    }

    pub(crate) fn warn(&mut self, code: Code, pointer: impl Into<String>, message: impl Into<String>) {
        self.warnings.push(Warning::new(code, pointer, message));
    }

    pub(crate) fn unknown(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.unknown.push(Fault::new(pointer, message));
    }

    /// Takes names that mean nothing for faults, the first ones: what is missing may be what they were meant to be.
    pub(crate) fn refuse_unknown(&mut self) {
        self.faults.splice(0..0, self.unknown.drain(..));
    }

    /// Takes names that mean nothing for warnings, as what a store has is served without them.
    pub(crate) fn tolerate_unknown(&mut self) {
        let warn = |Fault { pointer, message }| {
            let message = message + " (a store is served without it; the admin API refuses it)";
            Warning { code: Code::UnknownArgument, pointer, message }
        };
        self.warnings.extend(self.unknown.drain(..).map(warn));
    }

    /// The first fault: what is told where there is room for one. Reading that gave nothing always noted why.
    pub(crate) fn first(self) -> Fault {
        self.faults.into_iter().next().unwrap_or_else(|| Fault::new("", "cannot be read"))
    }

    /// All faults; nothing if there are none.
    pub(crate) fn all(self) -> Option<Faults> {
        Faults::of(self.faults)
    }

    /// Whether as many faults were found as are told of.
    pub(crate) fn is_full(&self) -> bool {
        self.faults.len() >= Faults::MOST
    }

    /// Adds what was found in the member `name` of the value at hand.
    pub(crate) fn absorb(&mut self, name: &str, inner: Report) {
        self.faults.extend(inner.faults.into_iter().map(|fault| fault.below(name)));
        self.warnings.extend(inner.warnings.into_iter().map(|mut warning| {
            warning.pointer.insert_str(0, &step(name));
            warning
        }));
        self.unknown.extend(inner.unknown.into_iter().map(|unknown| unknown.below(name)));
    }
}

/// One step of a JSON pointer: `/` and the name, with `~` and `/` in it escaped (RFC 6901, section 3).
pub(crate) fn step(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_escaped_and_find_the_place() {
        let fault = Fault::new("/args/servername", "is empty").below("r~1/x").below("rules").below("a/b");
        assert_eq!(fault.pointer, "/a~1b/rules/r~01~1x/args/servername");
        let document = serde_json::json!({"a/b": {"rules": {"r~1/x": {"args": {"servername": 7}}}}});
        assert_eq!(document.pointer(&fault.pointer), Some(&serde_json::json!(7)));
        assert_eq!(fault.to_string(), "/a~1b/rules/r~01~1x/args/servername: is empty");
        assert_eq!(Fault::new("", "is empty").to_string(), "is empty");
    }
}
