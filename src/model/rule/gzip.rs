//! The argument `gzip` of a backend: `true` or an object that says for which answers, and how hard it is tried.
//!
//! It owns how that is written, never what is compressed. Next: [`crate::semantics::gzip`] has the defaults,
//! [`backend`](super::backend) keeps it.

use serde_json::{Map, Value};

use super::args::Args;
use crate::model::fault::step;
use crate::semantics::Gzip;
use crate::semantics::gzip::is_type;

/// Its name.
pub(super) const NAME: &str = "gzip";

/// Types that one rule may name: each answer is compared with all of them.
const TYPES: usize = 64;
/// Bytes of one of them.
const TYPE_BYTES: usize = 128;
/// The largest length that has to be reached; what is above that is no bound that anybody means.
const LONGEST: u32 = 1 << 30;

/// What the argument says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing.
    Nothing,
    /// It is a request header of that name, as all texts and lists are.
    Header,
    /// Answers are compressed.
    Gzip(Gzip),
}

impl Asked {
    /// How they are, if they are.
    pub(super) fn asked(self) -> Option<Box<Gzip>> {
        match self {
            Self::Gzip(gzip) => Some(Box::new(gzip)),
            Self::Nothing | Self::Header => None,
        }
    }
}

/// Reads it; nothing where it is faulty.
pub(super) fn read(args: &mut Args<'_>) -> Option<Asked> {
    match args.given.get(NAME) {
        None | Some(Value::Null | Value::Bool(false)) => Some(Asked::Nothing),
        Some(Value::Bool(true)) => Some(Asked::Gzip(Gzip::default())),
        Some(Value::Object(members)) => object(args, members).map(Asked::Gzip),
        Some(Value::String(_) | Value::Array(_)) => Some(Asked::Header),
        Some(Value::Number(_)) => {
            args.fault(NAME, "must be true, false, or an object with types, level and min_length")
        }
    }
}

/// Notes a fault in a member, or in an item of one.
fn fault<T>(args: &mut Args<'_>, at: &str, message: impl Into<String>) -> Option<T> {
    args.report.fault(format!("{}/{NAME}{at}", args.at), message);
    None
}

fn object(args: &mut Args<'_>, members: &Map<String, Value>) -> Option<Gzip> {
    let (mut gzip, mut sound) = (Gzip::default(), true);
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        let read = match name.as_str() {
            "types" => types(args, value).map(|types| gzip.types = Some(types)),
            "level" => number(args, "/level", value, 1, 9).map(|level| gzip.level = level as u8),
            "min_length" => {
                number(args, "/min_length", value, 0, LONGEST).map(|length| gzip.min_length = length)
            }
            other => fault(args, &step(other), "must be types, level or min_length"),
        };
        sound &= read.is_some();
    }
    sound.then_some(gzip)
}

fn number(args: &mut Args<'_>, at: &str, value: &Value, least: u32, most: u32) -> Option<u32> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    match number.filter(|number| (least..=most).contains(number)) {
        Some(number) => Some(number),
        None => fault(args, at, format!("must be a whole number from {least} to {most}")),
    }
}

fn types(args: &mut Args<'_>, value: &Value) -> Option<Box<[Box<str>]>> {
    let Some(items) = value.as_array().filter(|items| (1..=TYPES).contains(&items.len())) else {
        return fault(args, "/types", format!("must be a list of 1 to {TYPES} media types"));
    };
    let mut types = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let text = item.as_str().filter(|text| text.len() <= TYPE_BYTES && is_type(text));
        match text {
            Some(text) => types.push(text.to_ascii_lowercase().into()),
            None => {
                let message = "must be a media type such as text/html, without parameters and without *";
                let _: Option<()> = fault(args, &format!("/types/{at}"), message);
            }
        }
    }
    (types.len() == items.len()).then(|| types.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::rule::kind::{RuleRead, Terminal, testing};
    use crate::semantics::gzip::{LEVEL, MIN_LENGTH};

    /// What a backend with this argument asks for, and its headers.
    fn read(given: Value) -> Result<(Option<Gzip>, usize), String> {
        match testing::read("backend", json!({"servername": "up", NAME: given})) {
            Ok(RuleRead::End(Terminal::Backend(backend))) => {
                let gzip = backend.edits().and_then(|edits| edits.gzip.as_deref().cloned());
                Ok((gzip, backend.headers().len()))
            }
            Ok(other) => panic!("{other:?}"),
            Err(faults) => Err(faults[0].to_string()),
        }
    }

    #[test]
    fn it_is_on_by_true_and_by_an_object_and_off_by_default() {
        for on in [json!(true), json!({}), json!({"level": null})] {
            assert_eq!(read(on), Ok((Some(Gzip::default()), 0)));
        }
        for off in [json!(false), json!(null)] {
            assert_eq!(read(off), Ok((None, 0)));
        }
        assert_eq!((Gzip::default().level, Gzip::default().min_length), (LEVEL, MIN_LENGTH));
        let (gzip, _) = read(json!({"types": ["Text/HTML", "a/b"], "level": 9, "min_length": 0})).unwrap();
        let types: Box<[Box<str>]> = ["text/html".into(), "a/b".into()].into();
        assert_eq!(gzip, Some(Gzip { types: Some(types), level: 9, min_length: 0 }));
    }

    #[test]
    fn a_text_or_a_list_is_a_request_header_as_before() {
        for header in [json!("on"), json!(["a", 1]), json!(""), json!([])] {
            assert_eq!(read(header), Ok((None, 1)));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_at_its_place() {
        for (given, pointer) in [
            (json!(5), ""),
            (json!({"level": 0}), "/level"),
            (json!({"level": 10}), "/level"),
            (json!({"level": "9"}), "/level"),
            (json!({"min_length": -1}), "/min_length"),
            (json!({"min_length": 1.5}), "/min_length"),
            (json!({"min_length": 1u64 << 32}), "/min_length"),
            (json!({"types": []}), "/types"),
            (json!({"types": "text/html"}), "/types"),
            (json!({"types": vec!["a/b"; TYPES + 1]}), "/types"),
            (json!({"types": ["text/html", "text/*"]}), "/types/1"),
            (json!({"types": ["text/html; charset=utf-8"]}), "/types/0"),
            (json!({"types": [5]}), "/types/0"),
            (json!({"types": [format!("a/{}", "b".repeat(TYPE_BYTES))]}), "/types/0"),
            (json!({"kinds": []}), "/kinds"),
        ] {
            let fault = read(given).unwrap_err();
            assert!(fault.starts_with(&format!("/args/gzip{pointer}: ")), "{fault}");
        }
    }

    #[test]
    fn it_stands_beside_what_is_changed_in_heads() {
        let args = json!({"servername": "up", "gzip": true, "response_headers": {"remove": ["Server"]}});
        let Ok(RuleRead::End(Terminal::Backend(backend))) = testing::read("backend", args) else {
            panic!("no backend")
        };
        let edits = backend.edits().unwrap();
        assert_eq!((edits.dropped.len(), edits.gzip.as_deref()), (1, Some(&Gzip::default())));
    }
}
