//! The arguments of one rule, read from JSON with every fault noted at its place.
//!
//! It owns the checks that rule types share, and the links that a rule has read, never what an argument means. Next:
//! [`ua`](super::ua), [`path`](super::path) and [`backend`](super::backend) read theirs.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::model::engines::{SEEN, STEPS};
use crate::model::fault::{Report, step};
use crate::model::parts::Parts;
use crate::model::pattern::Pattern;
use crate::spelling;
use crate::warning::Code;

/// The names that the arguments of a type may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arguments {
    /// Those that mean something of their own.
    pub(crate) named: &'static [&'static str],
    /// Every other name means something too.
    pub(crate) others: bool,
}

impl Arguments {
    /// These and no others.
    pub(crate) const fn only(named: &'static [&'static str]) -> Arguments {
        Arguments { named, others: false }
    }
}

/// Arguments of one rule that are told of when the type does not have them.
const UNKNOWN: usize = 16;

/// The `args` of one rule.
pub(crate) struct Args<'a> {
    /// The arguments as given.
    pub(crate) given: &'a Map<String, Value>,
    /// The pointer of `given` in the rule set.
    pub(crate) at: String,
    /// The rules of the set by name.
    rules: &'a HashMap<&'a str, usize>,
    /// Where patterns are kept and names get their slots.
    pub(crate) parts: &'a Parts,
    /// Where faults go.
    pub(crate) report: &'a mut Report,
    /// Some rule of the set asks for groups of the pattern that matched last.
    pub(crate) captures: bool,
    links: Vec<Link>,
}

/// A link of a rule to one that follows it.
#[derive(Debug)]
pub(crate) struct Link {
    /// Where the rule's arguments say it: `/succ`.
    pub(crate) pointer: String,
    /// The rule that follows, by its number in the order given; `None`: none does, which is a denial.
    pub(crate) to: Option<usize>,
}

impl Link {
    /// Most that one rule may have.
    pub(crate) const MOST: usize = 32;
}

impl<'a> Args<'a> {
    /// The arguments `given` at the pointer `at`. `rules` are those of the set.
    pub(crate) fn new(
        given: &'a Map<String, Value>,
        at: String,
        rules: &'a HashMap<&'a str, usize>,
        parts: &'a Parts,
        report: &'a mut Report,
    ) -> Args<'a> {
        Args { given, at, rules, parts, report, captures: false, links: Vec::new() }
    }

    /// The same, where groups of patterns are asked for, or not.
    pub(crate) fn capturing(self, captures: bool) -> Args<'a> {
        Args { captures, ..self }
    }

    /// The links that were read, in that order.
    pub(crate) fn into_links(self) -> Vec<Link> {
        self.links
    }

    /// The links of a rule that answers no or yes, so that its answer is `usize::from(yes)`.
    pub(crate) fn branches(&mut self) {
        self.link("fail");
        self.link("succ");
    }

    /// The rule that the argument `name` names is the next successor. An argument that is not there is a denial, and so no
    /// fault.
    pub(crate) fn link(&mut self, name: &str) {
        match self.given.get(name) {
            Some(Value::String(rule)) => self.link_to(step(name), rule),
            Some(_) => {
                let _: Option<()> = self.fault(name, "must be the name of a rule");
                self.links.push(Link { pointer: step(name), to: None });
            }
            None => self.links.push(Link { pointer: step(name), to: None }),
        }
    }

    /// This rule is the next successor; the arguments say so at `pointer`.
    pub(crate) fn link_to(&mut self, pointer: String, rule: &str) {
        let to = self.rules.get(rule).copied();
        if to.is_none() {
            self.report.fault(format!("{}{pointer}", self.at), format!("there is no rule {rule}"));
        }
        if self.links.len() < Link::MOST {
            self.links.push(Link { pointer, to });
        } else {
            let message = format!("has more than {} rules behind it", Link::MOST);
            self.report.fault(format!("{}{pointer}", self.at), message);
        }
    }

    /// Notes arguments that the type does not have.
    pub(super) fn tell_unknown(&mut self, kind: &str, known: Arguments) {
        if known.others {
            return;
        }
        for name in self.given.keys().filter(|name| !known.named.contains(&name.as_str())).take(UNKNOWN) {
            let names = known.named.iter().map(|known| (*known, *known));
            let hint = match spelling::nearest(&name.to_ascii_lowercase(), names) {
                Some(meant) => format!("; is {meant} meant?"),
                None => format!(", which has {}", listed(known.named.iter().copied(), "and")),
            };
            let message = format!("is no argument of a rule of type {kind}{hint}");
            self.report.unknown(format!("{}{}", self.at, step(name)), message);
        }
    }

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

    /// A list that must be there, with at least one item and at most so many.
    pub(crate) fn list(&mut self, name: &str, most: usize) -> Option<&'a [Value]> {
        match self.given.get(name) {
            Some(Value::Array(items)) if (1..=most).contains(&items.len()) => Some(items),
            Some(_) => self.fault(name, format!("must be a list of 1 to {most}")),
            None => {
                self.report.fault(self.at.clone(), format!("has no {name}"));
                None
            }
        }
    }

    /// Notes a fault in one item of a list.
    pub(crate) fn fault_at(&mut self, name: &str, item: usize, message: impl Into<String>) {
        self.report.fault(format!("{}{}/{item}", self.at, step(name)), message);
    }

    /// Notes what is to be known of one item of a list.
    pub(crate) fn warn_at(&mut self, code: Code, name: &str, item: usize, message: impl Into<String>) {
        self.report.warn(code, format!("{}{}/{item}", self.at, step(name)), message);
    }

    /// Warns of a capital in a pattern that is compared with a text in lower case.
    pub(crate) fn warn_of_capital(&mut self, pattern: &Pattern, what: &str) {
        if let Some((letter, place)) = pattern.capital() {
            let message = format!(
                "{what} is put into lower case before it is compared, so the capital {letter} (at byte {place}) matches \
                 nothing: write it small, or (?i) before it"
            );
            self.warn(Code::CapitalLetter, "pattern", message);
        }
    }

    /// A whole number in these bounds, or `otherwise` where there is none.
    pub(crate) fn number(&mut self, name: &str, least: u64, most: u64, otherwise: u64) -> Option<u64> {
        let Some(given) = self.given.get(name) else { return Some(otherwise) };
        match given.as_u64().filter(|number| (least..=most).contains(number)) {
            Some(number) => Some(number),
            None => self.fault(name, format!("must be a whole number from {least} to {most}")),
        }
    }

    /// A pattern that must be there. `grouped`: where its first group lies will be asked.
    pub(crate) fn pattern(&mut self, name: &str, grouped: bool) -> Option<Pattern> {
        let text = self.text(name)?;
        match self.parts.pattern(&text, grouped) {
            Ok(pattern) => {
                if pattern.backtracks() {
                    self.warn(
                        Code::Backtracking,
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
    pub(crate) fn warn(&mut self, code: Code, name: &str, message: impl Into<String>) {
        self.report.warn(code, format!("{}{}", self.at, step(name)), message);
    }
}

/// Words as a sentence has them.
pub(super) fn listed(words: impl IntoIterator<Item = &'static str>, joint: &str) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    match words.split_last() {
        Some((last, rest @ [_, ..])) => format!("{} {joint} {last}", rest.join(", ")),
        _ => words.concat(),
    }
}
