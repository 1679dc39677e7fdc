//! Request bodies: one JSON value, whatever the `Content-Type` says.
//!
//! It owns the size limit and the two shapes a body may have at its top (an object, a list of names); what is inside is
//! the model's to judge. Next: [`domain`](super::domain) and [`upstream`](super::upstream) use both shapes.

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::answer::Failure;
use crate::control::handle::BYTES_AT_ONCE;
use crate::control::replies::Gone;
use crate::model::{Fault, read_json};

/// The largest body. Ten thousand rule sets of a kilobyte are 10 MiB; this leaves room and still ends somewhere.
pub(super) const LIMIT: usize = 64 << 20;

/// The body as JSON.
#[derive(Debug)]
pub(super) struct Json(pub(super) Value);

impl<S: Sync> FromRequest<S> for Json {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        Text::from_request(request, state).await?.json().await
    }
}

/// The body as it came; it is not blank.
#[derive(Debug)]
pub(super) struct Text(pub(super) Bytes);

impl<S: Sync> FromRequest<S> for Text {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let bytes = read(request.into_body()).await?;
        if bytes.trim_ascii().is_empty() {
            return Err(Failure::body("", "the body is empty; JSON is expected"));
        }
        Ok(Self(bytes))
    }
}

impl Text {
    /// The JSON that it is.
    pub(super) async fn json(self) -> Result<Json, Failure> {
        let Self(bytes) = self;
        // serde_json bounds the nesting (128) by itself, so a body of brackets cannot exhaust the stack.
        let parsed = if bytes.len() <= BYTES_AT_ONCE {
            read_json(&bytes)
        } else {
            let parse = move || read_json(&bytes);
            tokio::task::spawn_blocking(parse).await.map_err(|_| Gone)?
        };
        parsed.map(Json).map_err(|Fault { pointer, message }| {
            let message = if pointer.is_empty() { format!("the body {message}") } else { message };
            Failure::body(pointer, message)
        })
    }
}

async fn read(body: Body) -> Result<Bytes, Failure> {
    let too_large = || {
        let error = format!("the body is larger than {} MiB", LIMIT >> 20);
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, error)
    };
    // A declared length is refused before a byte is taken, so a client that asked 100-continue sends nothing.
    if body.size_hint().lower() > LIMIT as u64 {
        return Err(too_large());
    }
    axum::body::to_bytes(body, LIMIT).await.map_err(|error| {
        let cause = std::error::Error::source(&error);
        if cause.is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>()) {
            too_large()
        } else {
            Failure::new(StatusCode::BAD_REQUEST, format!("the body could not be read: {error}"))
        }
    })
}

impl Json {
    /// The body as an object.
    pub(super) fn object(self) -> Result<Map<String, Value>, Failure> {
        match self.0 {
            Value::Object(map) => Ok(map),
            other => Err(Failure::body("", format!("an object is expected, not {}", kind(&other)))),
        }
    }

    /// The body as a list of names.
    pub(super) fn names(self) -> Result<Vec<String>, Failure> {
        let Value::Array(items) = self.0 else {
            return Err(Failure::body("", format!("a list of names is expected, not {}", kind(&self.0))));
        };
        let name = |(index, item): (usize, Value)| match item {
            Value::String(name) => Ok(name),
            other => {
                Err(Failure::body(format!("/{index}"), format!("a name is expected, not {}", kind(&other))))
            }
        };
        items.into_iter().enumerate().map(name).collect()
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
