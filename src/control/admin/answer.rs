//! The shape of every answer: one JSON value and a newline.
//!
//! It owns the envelope, and the failure that each endpoint returns instead of panicking; never what is in it. Next:
//! `write` fills it for the requests that change something.

use std::fmt;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::Fault;

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    error: String,
    /// Where in the body (RFC 6901), when the body is to blame.
    pointer: Option<String>,
    /// The methods that the path knows, for a 405.
    allow: Option<&'static str>,
}

/// What an endpoint gives.
pub(super) type Answer = Result<Response, Failure>;

impl Failure {
    /// A failure with this status and sentence.
    pub(super) fn new(status: StatusCode, error: impl fmt::Display) -> Self {
        Self { status, error: error.to_string(), pointer: None, allow: None }
    }

    /// 400: the body is wrong at `pointer`.
    pub(super) fn body(pointer: impl Into<String>, error: impl fmt::Display) -> Self {
        Self { pointer: Some(pointer.into()), ..Self::new(StatusCode::BAD_REQUEST, error) }
    }

    /// 405: the path knows the methods in `allow` only.
    pub(super) fn method(allow: &'static str) -> Self {
        let error = format!("only {allow} here");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, error) }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::body(fault.pointer, fault.message)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut body = Map::new();
        body.insert("error".to_owned(), Value::String(self.error));
        if let Some(pointer) = self.pointer {
            body.insert("pointer".to_owned(), Value::String(pointer));
        }
        let mut response = json(&body);
        *response.status_mut() = self.status;
        if let Some(allow) = self.allow {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
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
