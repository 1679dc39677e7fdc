//! How a text is compared: it begins so, is so, or a pattern matches it.
//!
//! It owns the words for these forms and the comparison, never what is compared. Next: [`path`](super::path),
//! [`header`](super::header) and others read one.

use serde_json::Value;

use super::args::Args;
use super::literal;
use crate::model::engines::Engines;
use crate::model::pattern::Pattern;
use crate::warning::Code;

/// The words for the forms.
const FORMS: [&str; 3] = ["prefix", "exact", "regex"];

/// A form of comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The text begins so.
    Prefix,
    /// It is so.
    Exact,
    /// A pattern matches somewhere in it.
    Regex,
}

impl Form {
    /// What `match` and `regex` say, or `otherwise`; `None` when they are at fault.
    pub(crate) fn read(args: &mut Args<'_>, otherwise: Form) -> Option<Form> {
        let regex = args.flag("regex")?;
        let form = match args.given.get("match") {
            None if regex => return Some(Form::Regex),
            None => return Some(otherwise),
            Some(Value::String(word)) => match word.as_str() {
                "prefix" => Form::Prefix,
                "exact" => Form::Exact,
                "regex" => Form::Regex,
                _ => return args.fault("match", format!("must be {}", super::args::listed(FORMS, "or"))),
            },
            Some(_) => return args.fault("match", format!("must be {}", super::args::listed(FORMS, "or"))),
        };
        match args.given.get("regex") {
            Some(Value::Bool(regex)) if *regex != (form == Form::Regex) => {
                args.fault("match", "says something else than regex does")
            }
            _ => Some(form),
        }
    }
}

/// A text or a pattern that something is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Matcher {
    /// The text begins with these bytes; nothing takes all.
    Prefix(Box<[u8]>),
    /// It is these bytes.
    Exact(Box<[u8]>),
    /// The pattern matches somewhere.
    Regex(Pattern),
    /// The same, and its groups are kept.
    Capture(Pattern),
}

impl Matcher {
    /// Reads `pattern`, which must be there, with what says how it is meant.
    pub(crate) fn read(args: &mut Args<'_>, otherwise: Form) -> Option<Matcher> {
        let form = Form::read(args, otherwise)?;
        Matcher::of(args, form)
    }

    /// The same in a form that is known.
    pub(crate) fn of(args: &mut Args<'_>, form: Form) -> Option<Matcher> {
        warn_of_form(args, form);
        Some(match form {
            Form::Prefix => Matcher::Prefix(args.text("pattern")?.into_bytes().into()),
            Form::Exact => Matcher::Exact(args.text("pattern")?.into_bytes().into()),
            Form::Regex if args.captures => Matcher::Capture(args.pattern("pattern", true)?),
            Form::Regex => Matcher::Regex(args.pattern("pattern", false)?),
        })
    }

    /// The same for a text that has no capitals.
    pub(crate) fn in_lower_case(self) -> Matcher {
        match self {
            Matcher::Prefix(text) => Matcher::Prefix(text.to_ascii_lowercase().into()),
            Matcher::Exact(text) => Matcher::Exact(text.to_ascii_lowercase().into()),
            pattern => pattern,
        }
    }

    /// Whether this text is meant.
    #[inline(always)]
    pub(crate) fn takes(&self, text: &[u8], engines: &mut Engines) -> bool {
        match self {
            Matcher::Prefix(prefix) => text.starts_with(prefix),
            Matcher::Exact(whole) => *text == **whole,
            Matcher::Regex(pattern) => engines.is_match(pattern, text),
            Matcher::Capture(pattern) => engines.capture(pattern, text),
        }
    }

    /// Whether all that the other takes is surely taken.
    pub(crate) fn covers(&self, other: &Matcher) -> bool {
        match (self, other) {
            (Matcher::Prefix(prefix), Matcher::Prefix(text) | Matcher::Exact(text)) => {
                text.starts_with(prefix)
            }
            _ => self == other,
        }
    }

    /// What the operator wrote, and how it is meant.
    pub(crate) fn told(&self) -> String {
        match self {
            Matcher::Prefix(text) => format!("{}…", String::from_utf8_lossy(text)),
            Matcher::Exact(text) => String::from_utf8_lossy(text).into_owned(),
            Matcher::Regex(pattern) | Matcher::Capture(pattern) => pattern.text().to_owned(),
        }
    }
}

/// Warns of a pattern that says less than was meant, or says it in a dearer way.
fn warn_of_form(args: &mut Args<'_>, form: Form) {
    let Some(Value::String(pattern)) = args.given.get("pattern") else { return };
    match form {
        Form::Regex if !args.captures => {
            if let Some(advice) = literal::advice(pattern) {
                args.warn(Code::LiteralRegex, "pattern", advice);
            }
        }
        Form::Prefix | Form::Exact if pattern.starts_with('^') => {
            let message = "begins with ^, which stands for itself where there is no regex: set regex to true, or leave it out";
            args.warn(Code::CaretWithoutRegex, "pattern", message);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::model::rule::kind::testing::{self, read, request};
    use crate::model::scratch::Scratch;
    use serde_json::{Value, json};

    fn takes(args: Value, path: &[u8]) -> bool {
        testing::ask("path", args, &request(path, None), &mut Scratch::new()) == 1
    }

    #[test]
    fn the_form_says_what_a_pattern_means() {
        for (form, takes_it) in
            [("prefix", [true, true, false]), ("exact", [true, false, false]), ("regex", [true; 3])]
        {
            let asked = [&b"/a.b"[..], b"/a.bc", b"/aXb"];
            let found = asked.map(|path| takes(json!({"pattern": "/a.b", "match": form}), path));
            assert_eq!(found, takes_it, "{form}");
        }
        assert!(takes(json!({"pattern": "/a.b", "regex": true, "match": "regex"}), b"/aXb"));
        assert!(takes(json!({"pattern": "/a.b", "regex": false, "match": "exact"}), b"/a.b"));
    }

    #[test]
    fn faults_are_told_at_their_place() {
        for (args, fault) in [
            (json!({"pattern": "/", "match": "glob"}), "/args/match: must be prefix, exact or regex"),
            (json!({"pattern": "/", "match": 1}), "/args/match: must be prefix, exact or regex"),
            (
                json!({"pattern": "/", "match": "exact", "regex": true}),
                "/args/match: says something else than regex does",
            ),
            (
                json!({"pattern": "/", "match": "regex", "regex": false}),
                "/args/match: says something else than regex does",
            ),
        ] {
            assert_eq!(read("path", args).unwrap_err()[0].to_string(), fault);
        }
    }
}
