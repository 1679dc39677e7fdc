//! How a change by the API is to be made: by whom, on which condition, and how far.
//!
//! It owns these words and the judgement of a condition (RFC 9110, section 13), never the change. Next: `admin::write` fills it
//! from a request, [`hub`](super::hub) keeps to it.

use super::changes::Author;
use crate::model::Digest;

/// What a request is about, and its condition with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    /// The configuration.
    All,
    Domain(String),
    Upstream(String),
    /// Upstream and server.
    Server(String, String),
}

/// One change.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) author: Author,
    pub(super) subject: Subject,
    pub(super) condition: Condition,
    /// Somebody said that what it takes away is meant to go.
    pub(super) is_confirmed: bool,
    /// The store takes it as well.
    pub(super) is_dumped: bool,
    /// It is only asked what it would come to.
    pub(super) is_trial: bool,
    /// Servers whose names have no address are accepted.
    pub(super) may_be_unresolved: bool,
}

impl Wish {
    /// To change the configuration, whatever it is.
    #[cfg(test)]
    pub(super) fn of(author: Author) -> Wish {
        Wish {
            author,
            subject: Subject::All,
            condition: Condition::default(),
            is_confirmed: false,
            is_dumped: false,
            is_trial: false,
            may_be_unresolved: false,
        }
    }

    /// The same about this.
    pub(super) fn about(self, subject: Subject) -> Wish {
        Wish { subject, ..self }
    }
}

/// What must hold of the subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Condition {
    /// It is one of these.
    pub(super) matches: Option<Tags>,
    /// It is none of these.
    pub(super) none_of: Option<Tags>,
}

/// Tags in a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tags {
    /// `*`: whatever is there.
    Any,
    /// As they were written, without quotes.
    These(Vec<String>),
}

impl Tags {
    /// Reads the values of a field. Weak tags match nothing: a change compares strongly.
    pub(super) fn read<'v>(values: impl Iterator<Item = &'v str>) -> Tags {
        let mut tags = Vec::new();
        for tag in values.flat_map(|value| value.split(',')).map(str::trim) {
            if tag == "*" {
                return Tags::Any;
            }
            // Who has it from a shell may have lost the quotes.
            let plain = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag);
            tags.extend((!plain.is_empty()).then(|| plain.to_owned()));
        }
        Tags::These(tags)
    }

    fn has(&self, tag: Option<Digest>) -> bool {
        match (self, tag) {
            (_, None) => false,
            (Tags::Any, Some(_)) => true,
            (Tags::These(tags), Some(tag)) => {
                let tag = tag.to_string();
                tags.contains(&tag)
            }
        }
    }
}

impl Condition {
    /// Whether it holds of a subject with that tag, or of one that is not there.
    pub(super) fn holds(&self, tag: Option<Digest>) -> bool {
        self.matches.as_ref().is_none_or(|tags| tags.has(tag))
            && !self.none_of.as_ref().is_some_and(|tags| tags.has(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_condition_is_judged_as_http_has_it() {
        let (one, other) = (Digest::of_json(&json!(1)), Digest::of_json(&json!(2)));
        let tags = |text: String| Some(Tags::read([&*text].into_iter()));
        let both = format!("\"{other}\" , \"{one}\"");
        for (matches, none_of, tag, holds) in [
            (None, None, None, true),
            (tags("*".into()), None, Some(one), true),
            (tags("*".into()), None, None, false),
            (None, tags("*".into()), Some(one), false),
            (None, tags("*".into()), None, true),
            (tags(both.clone()), None, Some(one), true),
            (tags(one.to_string()), None, Some(one), true),
            (tags(format!("W/\"{one}\"")), None, Some(one), false),
            (tags(format!("\"{other}\"")), None, Some(one), false),
            (tags(String::new()), None, Some(one), false),
            (None, tags(both), Some(one), false),
        ] {
            let condition = Condition { matches, none_of };
            assert_eq!(condition.holds(tag), holds, "{condition:?} {tag:?}");
        }
    }
}
