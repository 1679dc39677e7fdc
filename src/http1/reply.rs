//! Whole responses that ELB makes itself, as values: a status, fields, a body, and the reason if it is a refusal.
//!
//! It owns their form, never the decision to answer. Every one carries `Date` and `Content-Length`, and a refusal
//! `X-ELB-Reason`. Next: [`crate::exchange`] decides, and hands the date in.

use super::rewrite::{Persistence, decimal};
use crate::reason::Reason;

/// `100 Continue`, sent when the body will be taken.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// What a 405 says: the methods that are served.
const ALLOW: &[Field<'_>] = &[("Allow", [b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", b"", b"", b""])];
/// What a 503 says: whatever ELB is short of (buffers, descriptors, ports, memory) comes back within about a second.
const RETRY_AFTER: &[Field<'_>] = &[("Retry-After", [b"1", b"", b"", b""])];
/// The bytes of an HTTP date, as in `Sun, 06 Nov 1994 08:49:37 GMT`.
pub type Date = [u8; 29];

/// A text in borrowed pieces, one behind the other, so that nothing is put together before it is written.
pub type Pieces<'a> = [&'a [u8]; 4];
/// A field: its name, and its value without a control byte.
pub type Field<'a> = (&'a str, Pieces<'a>);

/// A whole response of ELB's own, but for what the exchange knows: the date, and what becomes of the connection.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// A final status: 200 or above.
    pub status: u16,
    /// Fields besides those that every reply has.
    pub fields: &'a [Field<'a>],
    /// More of these as they leave, each a line with its end; who gives them has checked them.
    pub lines: [&'a [u8]; 2],
    /// The line of the request's id, likewise; empty for none.
    pub id: &'a [u8],
    /// What it says; without one its length is 0.
    pub body: Option<Body<'a>>,
    /// Why the request was refused, if it was.
    pub reason: Option<Reason>,
}

/// What a reply says.
#[derive(Debug, Clone, Copy)]
pub struct Body<'a> {
    /// The media type.
    pub kind: &'a str,
    /// The text.
    pub text: Pieces<'a>,
}

impl<'a> Reply<'a> {
    /// One that says nothing but its status.
    #[must_use]
    pub fn plain(status: u16) -> Self {
        Self { status, fields: &[], lines: [b""; 2], id: b"", body: None, reason: None }
    }

    /// The request is refused for this reason, in a line for people: `404 Not Found: no-domain`. A reason that has no
    /// status has no reply; it is a fault of ours, a 500, if one is made all the same.
    #[must_use]
    pub fn refusal(reason: Reason) -> Self {
        Self::refusal_as(reason, reason.status().unwrap_or(500))
    }

    /// The same with another status.
    #[must_use]
    pub fn refusal_as(reason: Reason, status: u16) -> Self {
        let line = known(status).unwrap_or("refused");
        let text: Pieces<'_> = [line.as_bytes(), b": ", reason.word().as_bytes(), b"\n"];
        let fields = match status {
            405 => ALLOW,
            503 => RETRY_AFTER,
            _ => &[],
        };
        let body = Some(Body { kind: "text/plain", text });
        Self { status, fields, lines: [b""; 2], id: b"", body, reason: Some(reason) }
    }

    /// The same with a JSON object that holds an `error` and a `code`, as the admin API words its refusals. The pieces of the sentence
    /// are ELB's own words and addresses: nothing in them needs an escape.
    #[must_use]
    pub fn error(reason: Reason, error: [&'a [u8]; 2]) -> Self {
        let plain =
            |piece: &[u8]| piece.iter().all(|byte| (b' '..=b'~').contains(byte) && !b"\"\\".contains(byte));
        debug_assert!(error.iter().all(|piece| plain(piece)), "{error:?} needs an escape");
        // The codes that the API has for these statuses.
        let end: &[u8] = match reason.status() {
            Some(403) => b"\",\"code\":\"forbidden\"}\n",
            Some(503) => b"\",\"code\":\"unavailable\"}\n",
            _ => b"\",\"code\":\"not-found\"}\n",
        };
        let text: Pieces<'_> = [b"{\"error\":\"", error[0], error[1], end];
        Self { body: Some(Body { kind: "application/json", text }), ..Self::refusal(reason) }
    }

    /// Appends it. `bodiless` leaves the text out, as the answer to HEAD must.
    pub fn write(&self, out: &mut Vec<u8>, date: &Date, persistence: Persistence, bodiless: bool) {
        out.extend_from_slice(b"HTTP/1.1 ");
        match known(self.status) {
            Some(line) => out.extend_from_slice(line.as_bytes()),
            None => {
                decimal(out, self.status.into());
                out.push(b' ');
            }
        }
        field(out, "\r\nDate", &[date]);
        let text = self.body.map_or(Pieces::default(), |body| body.text);
        if let Some(Body { kind, .. }) = self.body {
            field(out, "Content-Type", &[kind.as_bytes()]);
        }
        // RFC 9110, section 8.6: the one has no content, and the other would tell the length of what it is not.
        if !matches!(self.status, 204 | 304) {
            out.extend_from_slice(b"Content-Length: ");
            decimal(out, text.iter().map(|piece| piece.len() as u64).sum());
            out.extend_from_slice(b"\r\n");
        }
        if let Some(reason) = self.reason {
            field(out, "X-ELB-Reason", &[reason.word().as_bytes()]);
        }
        for (name, value) in self.fields {
            field(out, name, value);
        }
        self.lines.iter().chain([&self.id]).for_each(|lines| out.extend_from_slice(lines));
        out.extend_from_slice(persistence.field());
        out.extend_from_slice(b"\r\n");
        if !bodiless {
            text.iter().for_each(|piece| out.extend_from_slice(piece));
        }
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: &[&[u8]]) {
    debug_assert!(
        value.iter().all(|piece| !piece.iter().any(u8::is_ascii_control)),
        "{name} breaks the head"
    );
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    value.iter().for_each(|piece| out.extend_from_slice(piece));
    out.extend_from_slice(b"\r\n");
}

/// The status and the reason phrase of what ELB answers with itself (RFC 9110, section 15); another status is written
/// without a phrase.
fn known(status: u16) -> Option<&'static str> {
    Some(match status {
        200 => "200 OK",
        204 => "204 No Content",
        301 => "301 Moved Permanently",
        302 => "302 Found",
        303 => "303 See Other",
        304 => "304 Not Modified",
        307 => "307 Temporary Redirect",
        308 => "308 Permanent Redirect",
        400 => "400 Bad Request",
        401 => "401 Unauthorized",
        403 => "403 Forbidden",
        404 => "404 Not Found",
        405 => "405 Method Not Allowed",
        408 => "408 Request Timeout",
        410 => "410 Gone",
        413 => "413 Content Too Large",
        414 => "414 URI Too Long",
        417 => "417 Expectation Failed",
        421 => "421 Misdirected Request",
        429 => "429 Too Many Requests",
        431 => "431 Request Header Fields Too Large",
        451 => "451 Unavailable For Legal Reasons",
        500 => "500 Internal Server Error",
        501 => "501 Not Implemented",
        502 => "502 Bad Gateway",
        503 => "503 Service Unavailable",
        504 => "504 Gateway Timeout",
        505 => "505 HTTP Version Not Supported",
        508 => "508 Loop Detected",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its head without the empty line, and its body.
    fn written(reply: &Reply<'_>, bodiless: bool) -> (String, String) {
        let mut out = Vec::new();
        reply.write(&mut out, b"Sun, 06 Nov 1994 08:49:37 GMT", Persistence::Close, bodiless);
        let text = String::from_utf8(out).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn refusal(reason: Reason) -> String {
        written(&Reply::refusal(reason), false).0
    }

    #[test]
    fn the_length_is_that_of_the_text() {
        for reason in Reason::ALL.into_iter().filter(|reason| reason.status().is_some()) {
            let (head, body) = written(&Reply::refusal(reason), false);
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
            assert!(head.contains(&format!("\r\nX-ELB-Reason: {reason}\r\n")), "{head}");
            assert!(head.ends_with("\r\nConnection: close"), "{head}");
            let line = body.strip_suffix(&format!(": {reason}\n")).unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {line}\r\nDate: Sun")), "{head}");
            assert!(line.len() > 4, "the phrase of {line} is not known");
        }
    }

    #[test]
    fn an_answer_to_head_has_the_length_but_not_the_text() {
        let (head, body) = written(&Reply::refusal(Reason::NoDomain), true);
        assert!(head.contains("Content-Length: 25\r\n") && body.is_empty(), "{head}");
    }

    #[test]
    fn whoever_finds_elb_short_of_something_is_told_when_to_come_again() {
        assert!(refusal(Reason::NoBuffers).contains("\r\nRetry-After: 1\r\n"));
        assert!(!refusal(Reason::NoServer).contains("Retry-After"));
    }

    #[test]
    fn an_error_in_json_has_the_length_of_its_text() {
        let reply = Reply::error(Reason::AdminRefused, [b"192.0.2.1", b" may not"]);
        for bodiless in [false, true] {
            let (head, body) = written(&reply, bodiless);
            assert!(head.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{head}");
            assert!(head.contains("\r\nContent-Type: application/json\r\nContent-Length: 49\r\n"), "{head}");
            assert_eq!(
                body,
                if bodiless { "" } else { "{\"error\":\"192.0.2.1 may not\",\"code\":\"forbidden\"}\n" }
            );
        }
    }

    #[test]
    fn a_refused_method_is_told_which_are_allowed() {
        assert!(refusal(Reason::TraceRefused).contains("\r\nAllow: GET, "));
    }

    #[test]
    fn an_answer_that_has_no_content_tells_no_length() {
        for status in [204, 304] {
            let (head, body) =
                written(&Reply { lines: [b"ETag: \"x\"\r\n", b"A: b\r\n"], ..Reply::plain(status) }, false);
            assert!(!head.contains("Content-Length") && body.is_empty(), "{head}");
            assert!(head.ends_with("\r\nETag: \"x\"\r\nA: b\r\nConnection: close"), "{head}");
        }
    }

    #[test]
    fn a_reply_need_be_no_refusal() {
        let to: Pieces<'_> = [b"https://", b"h.test", b"/a", b"?b"];
        let reply = Reply { fields: &[("Location", to)], ..Reply::plain(399) };
        let (head, body) = written(&reply, false);
        assert!(head.starts_with("HTTP/1.1 399 \r\nDate: "), "{head}");
        let rest = "\r\nContent-Length: 0\r\nLocation: https://h.test/a?b\r\nConnection: close";
        assert!(head.ends_with(rest) && body.is_empty(), "{head}");
    }
}
