//! Fields that a rule makes: their names and values, as an operator writes them.
//!
//! It owns what a value may be and how control bytes in it are made harmless, never which names are allowed. Next:
//! [`backend`](super::backend) and [`respond`](super::respond) read with it.

use serde_json::Value;

use super::args::Args;
use crate::semantics::policy;
use crate::semantics::syntax::is_token;

/// Most values that one rule adds or removes: a head of ours must fit where the peer's did.
pub(super) const HEADERS: usize = 64;
/// Most bytes of their names and values together.
pub(super) const HEADER_BYTES: usize = 8 * 1024;

/// The values of one field; none for a text or an object that is empty.
pub(super) fn values(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::Object(object) if object.is_empty() => Ok(Vec::new()),
        Value::Array(items) => items.iter().filter(|item| !item.is_null()).map(one).collect(),
        other => Ok(vec![one(other)?]),
    }
}

fn one(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(harmless(text)),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err("must be a string, a number, true, false, or a list of them".to_owned()),
    }
}

/// The text with control characters percent-encoded, as the first ELB sent them: no value can begin a new line.
pub(super) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_control() && character != '\t' {
            out.push_str(&format!("%{:02X}", u32::from(character)));
        } else {
            out.push(character);
        }
    }
    out
}

/// The name of a field of an answer that a rule may set.
pub(super) fn response_name(name: &str) -> Result<(), String> {
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err("is not a header name".to_owned());
    }
    if policy::is_ours_in_answers(name.as_bytes()) {
        return Err("is ELB's own business and cannot be set".to_owned());
    }
    Ok(())
}

/// Fields of an answer, as an object at the argument `name`, or at a member of it: `{"X-A": "1", "X-B": ["2", "3"]}`.
pub(super) fn of_response(
    args: &mut Args<'_>,
    pointer: &str,
    given: &Value,
) -> Option<Vec<(Box<str>, Box<str>)>> {
    let Value::Object(members) = given else {
        args.report
            .fault(format!("{}{pointer}", args.at), "must be an object: name → value, or a list of them");
        return None;
    };
    let too_many = format!("has more than {HEADERS} headers or {HEADER_BYTES} bytes of them");
    // Each is compared with those before it, so their number is bounded first.
    if members.len() > HEADERS {
        args.report.fault(format!("{}{pointer}", args.at), too_many);
        return None;
    }
    let (mut fields, mut bytes, mut sound) = (Vec::new(), 0, true);
    for (at, (name, value)) in members.iter().enumerate() {
        let twin = members.keys().take(at).find(|other| other.eq_ignore_ascii_case(name));
        let once = twin
            .map_or(Ok(()), |twin| Err(format!("is the same header as {twin}: case makes no difference")));
        match once.and_then(|()| response_name(name)).and_then(|()| values(value)) {
            Ok(values) => {
                bytes += values.iter().map(|value| name.len() + value.len()).sum::<usize>();
                fields.extend(values.into_iter().map(|value| (name.as_str().into(), value.into())));
            }
            Err(message) => {
                sound = false;
                let place = format!("{}{pointer}{}", args.at, crate::model::fault::step(name));
                args.report.fault(place, message);
            }
        }
    }
    if fields.len() > HEADERS || bytes > HEADER_BYTES {
        args.report.fault(format!("{}{pointer}", args.at), too_many);
        return None;
    }
    sound.then_some(fields)
}
