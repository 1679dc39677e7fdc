//! The rule types in one enum: the list that a new type joins.
//!
//! It owns the names of the types and which of them are filters, never what one of them does. Next: `ua`, `path`,
//! `backend`; `ruleset` links them.

use super::args::Args;
use super::backend::Backend;
use super::path::Path;
use super::ua::Ua;
use crate::model::scratch::Scratch;
use crate::semantics::RequestView;

/// One rule, without its name and links.
#[derive(Debug)]
pub(crate) enum Rule {
    /// It answers yes or no.
    Filter(Filter),
    /// A leaf: where the request goes.
    Backend(Backend),
}

/// A rule that answers yes or no.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Filter {
    /// On the user agent.
    Ua(Ua),
    /// On the path.
    Path(Path),
}

impl Rule {
    /// The names of all types, for messages.
    pub(crate) const TYPES: &str = "ua, path or backend";

    /// Whether there is a type of that name.
    pub(crate) fn knows(kind: &str) -> bool {
        matches!(kind, "ua" | "path" | "backend")
    }

    /// Whether a rule of that type answers yes or no, and so has `succ` and `fail`.
    pub(crate) fn is_filter(kind: &str) -> bool {
        kind != "backend"
    }

    /// Reads a rule; `None` when `args` are at fault, which is then reported, or the type is unknown.
    pub(crate) fn read(kind: &str, args: &mut Args<'_>) -> Option<Rule> {
        match kind {
            "ua" => Ua::read(args).map(|ua| Rule::Filter(Filter::Ua(ua))),
            "path" => Path::read(args).map(|path| Rule::Filter(Filter::Path(path))),
            "backend" => Backend::read(args).map(Rule::Backend),
            _ => None,
        }
    }
}

impl Filter {
    /// What it answers.
    pub(crate) fn matches(&self, request: &RequestView<'_>, scratch: &mut Scratch) -> bool {
        match self {
            Filter::Ua(ua) => ua.matches(request, scratch),
            Filter::Path(path) => path.matches(request, scratch),
        }
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::model::fault::{Fault, Report};
    use crate::model::library::Library;
    use crate::semantics::Sketch;
    use serde_json::Value;

    pub(crate) fn read(kind: &str, args: Value) -> Result<Rule, Vec<Fault>> {
        let mut report = Report::default();
        let mut args = Args {
            given: args.as_object().expect("an object"),
            at: "/args".to_owned(),
            library: &Library::default(),
            report: &mut report,
        };
        let rule = Rule::read(kind, &mut args);
        assert_eq!(rule.is_some(), report.faults.is_empty(), "{:?}", report.faults);
        rule.ok_or(report.faults)
    }

    /// Reads a filter and asks it.
    pub(crate) fn ask(kind: &str, args: Value, request: &Sketch, scratch: &mut Scratch) -> bool {
        match read(kind, args).unwrap() {
            Rule::Filter(filter) => filter.matches(&request.view(), scratch),
            Rule::Backend(backend) => panic!("{backend:?}"),
        }
    }

    pub(crate) fn request(path: &[u8], user_agent: Option<&[u8]>) -> Sketch {
        Sketch::new("h", path).agent(user_agent)
    }
}
