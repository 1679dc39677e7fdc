//! What the questions about something with a name have in common: the name, and what its value is compared with.
//!
//! It owns the reading of both, never where the value stands. Next: [`header`](super::header), [`query`](super::query) and
//! [`cookie`](super::cookie).

use super::args::Args;
use super::matcher::{Form, Matcher};
use crate::semantics::syntax::is_token;

/// Longest name.
const NAME: usize = 255;

/// A name, and what the value must be; without that it need only be there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Named {
    pub(super) name: Box<str>,
    pub(super) test: Option<Matcher>,
}

impl Named {
    /// The arguments of all these types.
    pub(super) const ARGUMENTS: &[&str] = &["name", "pattern", "match", "regex", "succ", "fail"];

    /// Reads `name`, and `pattern` if it is there; `token` says that the name can be nothing but a token (RFC 9110, section
    /// 5.6.2).
    pub(super) fn read(args: &mut Args<'_>, token: bool) -> Option<Named> {
        args.branches();
        let test = match args.given.contains_key("pattern") {
            true => Some(Matcher::read(args, Form::Exact)),
            false => {
                let lone = ["match", "regex"].into_iter().find(|word| args.given.contains_key(*word));
                if let Some(word) = lone {
                    return args.fault(word, "says how a pattern is meant, and there is none");
                }
                None
            }
        };
        let name = args.text("name")?;
        if name.is_empty() || name.len() > NAME || (token && !name.bytes().all(is_token)) {
            let what = if token { " of letters, digits, - and the like" } else { "" };
            return args.fault("name", format!("must be a name{what}, of 1 to {NAME} bytes"));
        }
        Some(Named { name: name.into(), test: test.map_or(Some(None), |test| test.map(Some))? })
    }

    /// Whether all that the other takes is taken; `same` says which names are one.
    pub(super) fn covers(&self, other: &Named, same: impl Fn(&str, &str) -> bool) -> bool {
        let takes_as_much = match (&self.test, &other.test) {
            (None, _) => true,
            (Some(test), Some(other)) => test.covers(other),
            (Some(_), None) => false,
        };
        takes_as_much && same(&self.name, &other.name)
    }

    /// What it is compared with, for people.
    pub(super) fn told(&self) -> String {
        self.test.as_ref().map_or_else(|| "is there".to_owned(), Matcher::told)
    }
}
