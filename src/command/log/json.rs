//! A line of the log as one JSON object: `timestamp`, `level`, `message`, and `fields` where there are some.
//!
//! It owns that object and what is left out of one that would be too long: a line that is cut somewhere would be no JSON. Next:
//! [`form`](super::form) asks for it.

use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::queue::LONGEST;
use super::timestamp::timestamp;

/// Bytes of a line, so that the queue, which keeps room for a mark and an end, cuts none.
const ROOM: usize = LONGEST - 64;
/// What stands at the end of a line of which something was left out.
const CUT: &str = r#","cut":true"#;
/// Stands where a text was cut.
const MORE: &str = "…";
/// What `tracing` calls the text of an event.
const MESSAGE: &str = "message";
/// How fields begin that say where in the source a line of the `log` crate was made.
const ORIGIN: &str = "log.";

/// The line of an event, without its end.
pub(super) fn event(event: &Event<'_>) -> String {
    let mut said = Said::default();
    event.record(&mut said);
    object(*event.metadata().level(), &said.message, &said.fields)
}

/// The line of a text, without its end.
pub(super) fn line(level: Level, text: &str) -> String {
    object(level, text, &[])
}

fn object(level: Level, message: &str, fields: &[(&str, Value)]) -> String {
    let head = format!(r#"{{"timestamp":"{}","level":"{level}","message":"#, timestamp());
    let room = ROOM.saturating_sub(head.len() + CUT.len() + 1);
    let (message, mut is_cut) = quoted(message, room);
    let mut line = head + &message;
    let mut opened = "";
    for (name, value) in fields {
        let begin = if opened.is_empty() { r#","fields":{"# } else { "," };
        let field = format!("{begin}{}:{value}", Value::from(*name));
        // Two braces end the line.
        if line.len() + field.len() + CUT.len() + 2 > ROOM {
            is_cut = true;
            continue;
        }
        line.push_str(&field);
        opened = "}";
    }
    line.push_str(opened);
    line.push_str(if is_cut { CUT } else { "" });
    line.push('}');
    line
}

/// A text as JSON in so many bytes; says whether it had to be cut for it.
fn quoted(text: &str, room: usize) -> (String, bool) {
    let whole = Value::from(text).to_string();
    if whole.len() <= room {
        return (whole, false);
    }
    let mut left = room.saturating_sub(MORE.len() + 2);
    let fits = |character: &char| {
        // JSON writes control characters as \u and four digits, or shorter.
        let cost = match character {
            '"' | '\\' => 2,
            '\0'..'\x20' => 6,
            plain => plain.len_utf8(),
        };
        let fits = cost <= left;
        left = left.saturating_sub(cost);
        fits
    };
    let cut: String = text.chars().take_while(fits).chain(MORE.chars()).collect();
    (Value::from(cut).to_string(), true)
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Said {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        match (field.name(), value.into()) {
            (MESSAGE, Value::String(text)) => self.message = text,
            (MESSAGE, other) => self.message = other.to_string(),
            (name, _) if name.starts_with(ORIGIN) => {}
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for Said {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(line: &str) -> Value {
        assert!(line.len() <= ROOM && !line.contains(['\n', '\r']), "{line}");
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    #[test]
    fn a_line_is_an_object_with_time_level_message_and_fields() {
        let told =
            read(&object(Level::INFO, "it \"said\"\nso", &[("version", json!(7)), ("+domains", json!("a"))]));
        assert!(told["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{told}");
        assert_eq!((&told["level"], &told["message"]), (&json!("INFO"), &json!("it \"said\"\nso")));
        assert_eq!(told["fields"], json!({"version": 7, "+domains": "a"}));
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(names(&told), "timestamp level message fields");
        assert_eq!(names(&read(&line(Level::WARN, ""))), "timestamp level message");
    }

    #[test]
    fn what_is_too_long_is_cut_and_still_json() {
        for text in ["x", "\n", "\"", "é", "\u{1}", "\u{10ffff}"] {
            let told = read(&line(Level::ERROR, &text.repeat(LONGEST)));
            assert_eq!(told["cut"], true, "{text:?}");
            let message = told["message"].as_str().unwrap();
            assert!(message.len() > 1000 && message.ends_with(MORE), "{text:?}");
        }
        let long = "y".repeat(LONGEST);
        let told =
            read(&object(Level::INFO, "a", &[("one", json!(1)), ("long", json!(long)), ("two", json!(2))]));
        assert_eq!((&told["fields"], &told["cut"]), (&json!({"one": 1, "two": 2}), &json!(true)));
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_json(message in "\\PC{0,20}|.{0,20}", times in 1..2000usize, name in ".{0,9}", value in ".{0,2000}") {
            let told = read(&object(Level::INFO, &message.repeat(times), &[(&name, json!(value)), ("b", json!(value))]));
            prop_assert_eq!(&told["level"], "INFO");
        }
    }
}
