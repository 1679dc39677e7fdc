//! What is asked and answered where a worker is watched in its steady state: small things, bodies, and how they end.
//!
//! It owns bytes that are made beforehand. Next: `stage` for who sends them.

use std::time::Duration;

use serde_json::{Value, json};

use super::stage::Case;

/// What bodies end with; it stands nowhere else.
pub(crate) const END: &[u8] = b"!END";

/// The simplest there is: a GET that is answered with 128 bytes, on eight connections.
pub(crate) fn small_get() -> Case {
    Case {
        name: "small GET",
        connections: 8,
        flags: &[],
        options: "",
        rules: direct(),
        request: b"GET /128 HTTP/1.1\r\nHost: a.test\r\nUser-Agent: test/1\r\nAccept: */*\r\n\r\n".to_vec(),
        request_end: b"\r\n\r\n",
        response: answer(128),
        response_end: END,
        once: false,
        warm: Duration::ZERO,
    }
}

/// A POST of so many bytes.
pub(crate) fn post(length: usize) -> Vec<u8> {
    let head = format!("POST /in HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n");
    [head.into_bytes(), body(length)].concat()
}

/// So many bytes, the last of which are [`END`].
pub(crate) fn body(length: usize) -> Vec<u8> {
    let mut body = vec![b'x'; length - END.len()];
    body.extend_from_slice(END);
    body
}

/// A response of so many bytes.
pub(crate) fn answer(length: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Length: {length}\r\n\r\n");
    [head.into_bytes(), body(length)].concat()
}

fn direct() -> Value {
    json!({"init": "up", "rules": {"up": {"type": "backend", "args": {"servername": "up"}}}})
}
