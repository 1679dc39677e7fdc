//! Whole responses that ELB makes itself: a status, one word that says why, and a short text.
//!
//! It owns their form, never the decision to answer. Every one carries `Date`, `Content-Length` and `X-ELB-Reason`.
//! Next: `exchange` decides, and hands the date in.

use super::rewrite::{Persistence, decimal};
use crate::reason::Reason;

/// `100 Continue`, sent when the body will be taken.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// What every 503 says: whatever ELB is short of (buffers, descriptors, ports, memory) comes back within about a second.
const RETRY_AFTER: &[u8] = b"Retry-After: 1\r\n";
/// The bytes of an HTTP date, as in `Sun, 06 Nov 1994 08:49:37 GMT`.
pub type Date = [u8; 29];

/// Appends a whole response, and gives its status. `bodiless` leaves the text out, as the answer to HEAD must.
pub fn write(
    out: &mut Vec<u8>,
    reason: Reason,
    date: &Date,
    persistence: Persistence,
    bodiless: bool,
) -> u16 {
    let (status, reason) = (reason.status().unwrap_or(500), reason.word());
    // "404 Not Found: no-domain" and a newline.
    let text = [&digits(status)[..], b" ", phrase(status).as_bytes(), b": ", reason.as_bytes(), b"\n"];
    head(out, status, reason, (b"text/plain", &text), date, persistence);
    if !bodiless {
        text.iter().for_each(|piece| out.extend_from_slice(piece));
    }
    status
}

/// The same with a JSON object that holds an `error`, as the admin API words its refusals. The pieces of the sentence are
/// ELB's own words and addresses: nothing in them needs an escape.
pub fn write_error(
    out: &mut Vec<u8>,
    reason: Reason,
    error: [&[u8]; 2],
    date: &Date,
    persistence: Persistence,
    bodiless: bool,
) -> u16 {
    let (status, reason) = (reason.status().unwrap_or(500), reason.word());
    let plain =
        |piece: &[u8]| piece.iter().all(|byte| (b' '..=b'~').contains(byte) && !b"\"\\".contains(byte));
    debug_assert!(error.iter().all(|piece| plain(piece)), "{error:?} needs an escape");
    let text = [b"{\"error\":\"", error[0], error[1], b"\"}\n"];
    head(out, status, reason, (b"application/json", &text), date, persistence);
    if !bodiless {
        text.iter().for_each(|piece| out.extend_from_slice(piece));
    }
    status
}

fn head(
    out: &mut Vec<u8>,
    status: u16,
    reason: &str,
    (kind, text): (&[u8], &[&[u8]]),
    date: &Date,
    persistence: Persistence,
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(&digits(status));
    out.push(b' ');
    out.extend_from_slice(phrase(status).as_bytes());
    out.extend_from_slice(b"\r\nDate: ");
    out.extend_from_slice(date);
    out.extend_from_slice(b"\r\nContent-Type: ");
    out.extend_from_slice(kind);
    out.extend_from_slice(b"\r\nContent-Length: ");
    decimal(out, text.iter().map(|piece| piece.len() as u64).sum());
    out.extend_from_slice(b"\r\nX-ELB-Reason: ");
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
    if status == 405 {
        out.extend_from_slice(b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n");
    }
    if status == 503 {
        out.extend_from_slice(RETRY_AFTER);
    }
    out.extend_from_slice(persistence.field());
    out.extend_from_slice(b"\r\n");
}

/// The three digits of a status.
fn digits(status: u16) -> [u8; 3] {
    [100, 10, 1].map(|place| b'0' + u8::try_from(status / place % 10).unwrap_or_default())
}

/// The reason phrase of the statuses that ELB answers with (RFC 9110, section 15).
fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        508 => "Loop Detected",
        _ => "Refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(reason: Reason, bodiless: bool) -> (String, String) {
        let mut out = Vec::new();
        let status = write(&mut out, reason, b"Sun, 06 Nov 1994 08:49:37 GMT", Persistence::Close, bodiless);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    #[test]
    fn the_length_is_that_of_the_text() {
        for reason in Reason::ALL.into_iter().filter(|reason| reason.status().is_some()) {
            let (head, body) = reply(reason, false);
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
            assert!(head.contains(&format!("\r\nX-ELB-Reason: {reason}\r\n")), "{head}");
            assert!(head.ends_with("\r\nConnection: close"), "{head}");
            assert!(body.ends_with(&format!(": {reason}\n")) && !body.contains("Refused"), "{body}");
        }
    }

    #[test]
    fn an_answer_to_head_has_the_length_but_not_the_text() {
        let (head, body) = reply(Reason::NoDomain, true);
        assert!(head.contains("Content-Length: 25\r\n") && body.is_empty(), "{head}");
    }

    #[test]
    fn whoever_finds_elb_short_of_something_is_told_when_to_come_again() {
        assert!(reply(Reason::NoBuffers, false).0.contains("\r\nRetry-After: 1\r\n"));
        assert!(!reply(Reason::NoServer, false).0.contains("Retry-After"));
    }

    #[test]
    fn an_error_in_json_has_the_length_of_its_text() {
        let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
        for bodiless in [false, true] {
            let mut out = Vec::new();
            let error: [&[u8]; 2] = [b"192.0.2.1", b" may not"];
            write_error(&mut out, Reason::AdminRefused, error, date, Persistence::Keep, bodiless);
            let text = String::from_utf8(out).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{head}");
            assert!(head.contains("\r\nContent-Type: application/json\r\nContent-Length: 30\r\n"), "{head}");
            assert_eq!(body, if bodiless { "" } else { "{\"error\":\"192.0.2.1 may not\"}\n" });
        }
    }

    #[test]
    fn a_refused_method_is_told_which_are_allowed() {
        assert!(reply(Reason::TraceRefused, false).0.contains("\r\nAllow: GET, "));
    }
}
