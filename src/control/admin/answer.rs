//! The shape of every answer: one JSON value and a newline.
//!
//! It owns the envelope, how many warnings it holds, and the failure that each endpoint returns instead of panicking;
//! never what is in it. Next: [`write`](super::write) fills it for the requests that change something.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::model::{Digest, Fault, Faults};
use crate::warning::{Code, Warning};

/// Warnings in one head, and characters of one: a client may bound its head at 8 KiB.
const IN_HEAD: usize = 8;
const CHARACTERS: usize = 400;
/// Warnings in one body: what a person reads. A change of 20,000 domains may have as many.
const IN_BODY: usize = 32;

/// How many seconds a client should wait after a 503: whatever is short here passes by itself within about one.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) struct Failure(Box<Told>);

/// What is told of it.
#[derive(Debug)]
struct Told {
    status: StatusCode,
    /// One word for programs, which stays what it is.
    code: &'static str,
    error: String,
    /// Where in the body (RFC 6901), when the body is to blame.
    pointer: Option<String>,
    /// All that is wrong with the body, if more than its form was looked at.
    faults: Option<Faults>,
    /// More members of the answer.
    members: Map<String, Value>,
    /// The methods that the path knows, for a 405.
    allow: Option<&'static str>,
    /// What is there, for a condition that does not hold.
    tag: Option<Digest>,
}

/// The code of a change that was made from what others have changed meanwhile.
pub(super) const MEANWHILE: &str = "changed-meanwhile";

/// What an endpoint gives.
pub(super) type Answer = Result<Response, Failure>;

/// The code of a failure that has none of its own.
pub(super) fn usual_code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "bad-request",
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not-found",
        StatusCode::REQUEST_TIMEOUT => "too-slow",
        StatusCode::METHOD_NOT_ALLOWED => "method-not-allowed",
        StatusCode::CONFLICT => "conflict",
        StatusCode::PRECONDITION_FAILED => "precondition-failed",
        StatusCode::PAYLOAD_TOO_LARGE => "body-too-large",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        StatusCode::GATEWAY_TIMEOUT => "late",
        _ => "internal",
    }
}

impl Failure {
    /// A failure with this status and sentence.
    pub(super) fn new(status: StatusCode, error: impl fmt::Display) -> Self {
        Self(Box::new(Told {
            status,
            code: usual_code(status),
            error: error.to_string(),
            pointer: None,
            faults: None,
            members: Map::new(),
            allow: None,
            tag: None,
        }))
    }

    /// The same with a code of its own.
    pub(super) fn coded(mut self, code: &'static str) -> Self {
        self.0.code = code;
        self
    }

    /// The same with one more member.
    pub(super) fn with(mut self, name: &str, value: Value) -> Self {
        self.0.members.insert(name.to_owned(), value);
        self
    }

    /// 400: the body is wrong at `pointer`.
    pub(super) fn body(pointer: impl Into<String>, error: impl fmt::Display) -> Self {
        let mut failure = Self::new(StatusCode::BAD_REQUEST, error).coded("bad-body");
        failure.0.pointer = Some(pointer.into());
        failure
    }

    /// 400: what the body says cannot be served.
    pub(super) fn faults(faults: Faults) -> Self {
        let Fault { pointer, message } = &*faults;
        let mut failure = Self::body(pointer.clone(), message).coded("invalid");
        failure.0.faults = Some(faults);
        failure
    }

    /// The same with pointers that `place` makes of its own.
    pub(super) fn placed(mut self, place: impl Fn(&str) -> String) -> Self {
        self.0.pointer = self.0.pointer.as_deref().map(&place);
        self.0.faults = self.0.faults.map(|faults| faults.placed(place));
        self
    }

    /// Whether somebody else changed meanwhile what this was made from, so that it may be made anew.
    pub(super) fn is_of_others(&self) -> bool {
        self.0.code == MEANWHILE
    }

    /// Whether a condition did not hold.
    pub(super) fn is_of_condition(&self) -> bool {
        self.0.status == StatusCode::PRECONDITION_FAILED
    }

    /// 405: the path knows the methods in `allow` only.
    pub(super) fn method(allow: &'static str) -> Self {
        let error = format!("only {allow} here");
        let mut failure = Self::new(StatusCode::METHOD_NOT_ALLOWED, error);
        failure.0.allow = Some(allow);
        failure
    }

    /// 412: the subject is another one than the condition has, or is not there.
    pub(super) fn condition(tag: Option<Digest>) -> Self {
        let error = match tag {
            Some(_) => "it is not what If-Match or If-None-Match ask for; ETag has what it is",
            None => "it is not there, and If-Match asks for it",
        };
        let mut failure = Self::new(StatusCode::PRECONDITION_FAILED, error);
        failure.0.tag = tag;
        failure
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.error)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::faults(fault.into())
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::faults(faults)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Told { status, code, error, pointer, faults, members, allow, tag: now } = *self.0;
        let mut body = Map::new();
        body.insert("error".to_owned(), Value::String(error));
        if let Some(pointer) = pointer {
            body.insert("pointer".to_owned(), Value::String(pointer));
        }
        body.insert("code".to_owned(), code.into());
        if let Some(faults) = faults {
            let shown = |Fault { pointer, message }: &Fault| json!({"pointer": pointer, "error": message});
            body.insert("faults".to_owned(), faults.iter().map(shown).collect());
        }
        body.extend(members);
        let mut response = json(&body);
        *response.status_mut() = status;
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        tag(&mut response, now);
        response
    }
}

/// Says what the subject of the request is now (RFC 9110, section 8.8.3).
pub(super) fn tag(response: &mut Response, tag: Option<Digest>) {
    if let Some(value) = tag.and_then(|tag| HeaderValue::try_from(format!("\"{tag}\"")).ok()) {
        response.headers_mut().insert(header::ETAG, value);
    }
}

/// 200 with `value` and a newline, so that a shell shows it well.
pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => json_text(body),
        // Maps with string keys always serialize; a type that does not is a fault of ours, and must not end the thread.
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{{\"error\":\"unserializable: {error:?}\"}}\n"))
                .into_response()
        }
    }
}

/// The same for a value that is JSON already.
pub(super) fn json_text(text: impl Into<Vec<u8>>) -> Response {
    let mut body = text.into();
    body.push(b'\n');
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

/// The JSON of an object whose members are JSON already.
pub(super) fn object<'m>(members: impl Iterator<Item = (&'m str, &'m str)>) -> String {
    let mut text = String::from("{");
    for (name, value) in members {
        text.push_str(if text.len() > 1 { "," } else { "" });
        text.push_str(&Value::from(name).to_string());
        text.push(':');
        text.push_str(value);
    }
    text.push('}');
    text
}

/// As many warnings as a body may hold, each at its longest, and how many more there are.
pub(super) fn bounded(warnings: Vec<Warning>) -> Vec<Warning> {
    let more = warnings.len().saturating_sub(IN_BODY);
    let cut = |warning: Warning| warning.cut(CHARACTERS);
    let mut kept: Vec<Warning> = warnings.into_iter().take(IN_BODY).map(cut).collect();
    kept.extend((more > 0).then(|| rest(more)));
    kept
}

fn rest(more: usize) -> Warning {
    Warning::new(Code::More, "", format!("and {more} more warnings"))
}

/// Adds warnings as headers, for the answers whose body has no room for them.
pub(super) fn warn(headers: &mut HeaderMap, warnings: &[Warning]) {
    let name = HeaderName::from_static("x-elb-warning");
    let room = IN_HEAD.saturating_sub(headers.get_all(&name).iter().count());
    // The last place tells of those that have none.
    let told = if warnings.len() > room { room.saturating_sub(1) } else { room };
    let more = warnings.len().saturating_sub(told);
    let rest = (more > 0 && told < room).then(|| rest(more));
    for warning in warnings.iter().take(told).chain(&rest) {
        let plain = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
        let text: String = warning.to_string().chars().take(CHARACTERS).map(plain).collect();
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.append(name.clone(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_fit_into_a_head() {
        let mut headers = HeaderMap::new();
        let told = |text: String| Warning::new(Code::NoAddress, "", text);
        warn(&mut headers, &vec![told("a\r\nb: é".repeat(1000)); 20]);
        assert_eq!(headers.len(), IN_HEAD);
        let long = |value: &&HeaderValue| value.len() == CHARACTERS && !value.as_bytes().contains(&b'\r');
        assert_eq!(headers.values().filter(long).count(), IN_HEAD - 1);
        assert!(headers.values().any(|value| value == "and 13 more warnings [more]"));
        warn(&mut headers, &[told("one that finds no place".to_owned())]);
        assert_eq!(headers.len(), IN_HEAD);
    }

    #[test]
    fn warnings_in_a_body_are_some_and_the_count_of_the_rest() {
        let told = |text: &str| Warning::new(Code::NoAddress, "/é", text);
        let few = vec![told("é"); IN_BODY];
        assert_eq!(bounded(few.clone()), few);
        let many = bounded(vec![told(&"é".repeat(10_000)); 20_000]);
        assert_eq!(many.len(), IN_BODY + 1);
        assert!(many.iter().all(|warning| warning.message.chars().count() <= CHARACTERS + 3));
        assert_eq!(many[IN_BODY].to_string(), "and 19968 more warnings [more]");
        assert_eq!(many[0].pointer, "/é");
    }

    #[test]
    fn a_503_says_when_to_come_again() {
        for (status, again) in [(503, Some("1")), (400, None), (504, None)] {
            let response = Failure::new(StatusCode::from_u16(status).unwrap(), "why").into_response();
            let given = response.headers().get("retry-after").map(|value| value.to_str().unwrap());
            assert_eq!(given, again, "{status}");
        }
    }
}
