//! The rule types in one table: the list that a new type joins with one line.
//!
//! It owns the names of the types and which of them end a walk, never what one of them does. Next: [`ua`](super::ua),
//! [`path`](super::path), [`backend`](super::backend); [`ruleset`](super::super::ruleset) reads them,
//! [`graph`](super::super::graph) asks them.

use super::args::{Args, Arguments, listed};
use super::backend::Backend;
use super::contract::{Ask, Kind};
use crate::model::recorder::Look;
use crate::model::scratch::Scratch;
use crate::semantics::RequestView;

/// Makes all that there is of each type out of its line.
macro_rules! rule_types {
    (
        asked, most of all: $($most_word:literal => $most_file:ident::$Most:ident: $most_about:literal;)*
        asked: $($word:literal => $file:ident::$Type:ident: $about:literal;)*
        ends: $($end_word:literal => $end_file:ident::$End:ident: $end_about:literal;)*
    ) => {
        /// One rule that is asked where to go on, without its name and links.
        #[derive(Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Rule {
            $(#[doc = $most_about] $Most(super::$most_file::$Most),)*
            $(#[doc = $about] $Type(super::$file::$Type),)*
        }

        /// What ends a walk.
        #[derive(Debug, PartialEq, Eq)]
        pub enum Terminal {
            $(#[doc = $end_about] $End(super::$end_file::$End),)*
        }

        impl RuleType {
            /// All types, in the order in which they are told.
            pub(crate) const ALL: &[RuleType] = &[
                $(RuleType {
                    name: $most_word,
                    arguments: <super::$most_file::$Most>::ARGUMENTS,
                    read: |args| Kind::read(args).map(|rule| RuleRead::Ask(Rule::$Most(rule))),
                },)*
                $(RuleType {
                    name: $word,
                    arguments: <super::$file::$Type>::ARGUMENTS,
                    read: |args| Kind::read(args).map(|rule| RuleRead::Ask(Rule::$Type(rule))),
                },)*
                $(RuleType {
                    name: $end_word,
                    arguments: <super::$end_file::$End>::ARGUMENTS,
                    read: |args| Kind::read(args).map(|end| RuleRead::End(Terminal::$End(end))),
                },)*
            ];
        }

        impl Rule {
            /// Which of its successors comes next, see [`Ask::answer`]. Inlined into the walk, as are the types that nearly all
            /// rules are of: it has as many callers as there are recorders. The others get a copy of the request, so that where
            /// none of them is asked it lies in registers.
            #[inline(always)]
            pub(crate) fn answer(&self, request: &RequestView<'_>, draw: u64, scratch: &mut Scratch) -> usize {
                $(if let Rule::$Most(rule) = self {
                    return rule.answer(request, draw, scratch);
                })*
                self.answer_seldom(*request, draw, scratch)
            }

            #[inline(never)]
            fn answer_seldom(&self, request: RequestView<'_>, draw: u64, scratch: &mut Scratch) -> usize {
                match self {
                    $(Rule::$Most(rule) => rule.answer(&request, draw, scratch),)*
                    $(Rule::$Type(rule) => rule.answer(&request, draw, scratch),)*
                }
            }

            /// What it looks at, see [`Ask::look`].
            #[cold]
            pub(crate) fn look(&self, request: &RequestView<'_>, scratch: &mut Scratch) -> Look {
                match self {
                    $(Rule::$Most(rule) => rule.look(request, scratch),)*
                    $(Rule::$Type(rule) => rule.look(request, scratch),)*
                }
            }

            /// The argument that names a successor, see [`Ask::branch`].
            #[cold]
            pub(crate) fn branch(&self, successor: usize) -> String {
                match self {
                    $(Rule::$Most(rule) => rule.branch(successor),)*
                    $(Rule::$Type(rule) => rule.branch(successor),)*
                }
            }

            /// Whether it surely says yes wherever the other does, see [`Ask::covers`].
            pub(crate) fn covers(&self, other: &Rule) -> bool {
                match (self, other) {
                    $((Rule::$Most(rule), Rule::$Most(other)) => rule.covers(other),)*
                    $((Rule::$Type(rule), Rule::$Type(other)) => rule.covers(other),)*
                    _ => false,
                }
            }

            /// Whether rules behind this answer see another path.
            pub(crate) fn changes_path(&self, answer: bool) -> bool {
                match self {
                    $(Rule::$Most(rule) => rule.changes_path(answer),)*
                    $(Rule::$Type(rule) => rule.changes_path(answer),)*
                }
            }

            /// The name of its type.
            pub(crate) fn kind(&self) -> &'static str {
                match self {
                    $(Rule::$Most(_) => $most_word,)*
                    $(Rule::$Type(_) => $word,)*
                }
            }
        }

        impl Terminal {
            /// The name of its type.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Terminal::$End(_) => $end_word,)*
                }
            }
        }
    };
}

rule_types! {
    asked, most of all:
    "ua" => ua::Ua: "On the user agent.";
    "path" => path::Path: "On the path.";
    asked:
    "header" => header::Header: "On a field.";
    "method" => method::Method: "On the method.";
    "query" => query::Query: "On a word of the query.";
    "cookie" => cookie::Cookie: "On a cookie.";
    "client" => client::Client: "On the address of the client.";
    "host" => host::Host: "On the host.";
    "split" => split::Split: "On chance, or on who it is.";
    "rewrite" => rewrite::Rewrite: "Another path.";
    "limit" => limit::Limit: "On how often requests come.";
    ends:
    "redirect" => redirect::Redirect: "The client is sent elsewhere.";
    "respond" => respond::Respond: "ELB answers with a page.";
    "deny" => deny::Deny: "ELB refuses.";
    "backend" => backend::Backend: "The request goes to an upstream.";
}

impl Rule {
    /// What a request is answered with where the rule says no and none follows; `None`: as every filter has it.
    #[cold]
    pub(crate) fn refusal(&self) -> Option<u16> {
        match self {
            Rule::Limit(limit) => Some(limit.status()),
            _ => None,
        }
    }
}

impl Terminal {
    /// The backend, if the walk ends at one.
    pub(crate) fn backend(&self) -> Option<&Backend> {
        match self {
            Terminal::Backend(backend) => Some(backend),
            Terminal::Redirect(_) | Terminal::Respond(_) | Terminal::Deny(_) => None,
        }
    }
}

/// A rule type.
#[derive(Debug)]
pub(crate) struct RuleType {
    /// What `type` says.
    pub(crate) name: &'static str,
    /// What its rules may be given.
    pub(crate) arguments: Arguments,
    read: fn(&mut Args<'_>) -> Option<RuleRead>,
}

/// A rule that was read.
#[derive(Debug)]
pub(crate) enum RuleRead {
    /// It is asked where to go on.
    Ask(Rule),
    /// It ends a walk.
    End(Terminal),
}

impl RuleType {
    /// The type of that name.
    pub(crate) fn named(name: &str) -> Option<&'static RuleType> {
        RuleType::ALL.iter().find(|known| known.name == name)
    }

    /// The names of all types, for messages: `ua, path or backend`.
    pub(crate) fn list() -> String {
        listed(RuleType::ALL.iter().map(|known| known.name), "or")
    }

    /// Reads a rule of this type; `None` when `args` are at fault, which is then reported.
    pub(crate) fn read(&self, args: &mut Args<'_>) -> Option<RuleRead> {
        args.tell_unknown(self.name, self.arguments);
        (self.read)(args)
    }
}

#[cfg(test)]
pub(super) mod testing {
    //! Rules by themselves, for the tests of their types.

    use std::collections::HashMap;

    use serde_json::Value;

    use super::*;
    use crate::model::fault::{Fault, Report};
    use crate::model::parts::Parts;
    use crate::semantics::Sketch;

    /// Reads a rule of a set in which there are rules `a`, `b` and `c`.
    pub(crate) fn read(kind: &str, args: Value) -> Result<RuleRead, Vec<Fault>> {
        let mut report = Report::default();
        let (parts, numbers) = (Parts::new(1 << 24), HashMap::from([("a", 0), ("b", 1), ("c", 2)]));
        let given = args.as_object().expect("an object");
        let mut args = Args::new(given, "/args".to_owned(), &numbers, &parts, &mut report);
        let rule = RuleType::named(kind).expect("a type").read(&mut args);
        assert_eq!(rule.is_some(), report.faults.is_empty(), "{:?}", report.faults);
        report.refuse_unknown();
        match rule {
            Some(rule) if report.faults.is_empty() => Ok(rule),
            _ => Err(report.faults),
        }
    }

    /// The same in a set that asks for groups.
    pub(crate) fn ask_capturing(kind: &str, args: Value, request: &Sketch, scratch: &mut Scratch) -> usize {
        let mut report = Report::default();
        let (parts, numbers) = (Parts::new(1 << 24), HashMap::new());
        let given = args.as_object().expect("an object");
        let args = Args::new(given, "/args".to_owned(), &numbers, &parts, &mut report);
        match RuleType::named(kind).expect("a type").read(&mut args.capturing(true)).expect("a rule") {
            RuleRead::Ask(rule) => rule.answer(&request.view(), 0, scratch),
            RuleRead::End(end) => panic!("{end:?}"),
        }
    }

    /// Reads a rule and asks it.
    pub(crate) fn ask(kind: &str, args: Value, request: &Sketch, scratch: &mut Scratch) -> usize {
        match read(kind, args).unwrap() {
            RuleRead::Ask(rule) => rule.answer(&request.view(), 0, scratch),
            RuleRead::End(end) => panic!("{end:?}"),
        }
    }

    /// A request for a path by a user agent.
    pub(crate) fn request(path: &[u8], user_agent: Option<&[u8]>) -> Sketch {
        Sketch::new("h", path).agent(user_agent)
    }
}

#[cfg(test)]
mod tests;
