//! The head of an answer whose content is compressed on its way: whether it may be, and what it says then.
//!
//! It owns which fields forbid that and which ones it changes, never the content. A head is one that was written whole, as it
//! would leave otherwise. Next: [`crate::semantics::gzip`] for what is asked and taken, `exchange::response` asks.

use super::framing::Framing;
use super::rewrite::add_field;
use crate::semantics::Gzip;
use crate::semantics::gzip::forbids_change;

/// Fields with which content is never compressed. It is coded already; it is a part of something; or somebody at the end is
/// to find out whether a byte of it was changed (RFC 9530, RFC 9421), which would have to be told a lie or nothing. What
/// announces trailers has something to say about its content as well, and they would not pass.
const FORBIDDING: [&[u8]; 8] = [
    b"content-encoding",
    b"content-range",
    b"content-md5",
    b"digest",
    b"content-digest",
    b"repr-digest",
    b"signature-input",
    b"trailer",
];

/// The field that tells caches for whom an answer is.
const VARY: &[u8] = b"vary";

/// Whether an answer with this status and head is compressed for those who take it. Its status may be any that has content, as
/// an error is as long as a page; a part (206) has none of its own to speak of.
#[must_use]
pub fn may_be(head: &[u8], status: u16, gzip: &Gzip) -> bool {
    if matches!(status, ..200 | 204 | 205 | 206 | 304) {
        return false;
    }
    let (mut types, mut fits) = (0, false);
    for (name, value) in fields(head) {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        if FORBIDDING.into_iter().any(is) || is(b"cache-control") && forbids_change(std::iter::once(value)) {
            return false;
        }
        if is(b"content-length") && is_short(value, gzip.min_length) {
            return false;
        }
        if is(b"content-type") {
            (types, fits) = (types + 1, gzip.has_type(value));
        }
    }
    // Of two types nobody knows which one is meant.
    types == 1 && fits
}

/// Says in a head that the answer is another one for clients that take other codings, if it does not say so yet.
#[cold]
pub fn vary(head: &mut Vec<u8>) {
    let says = |value: &[u8]| {
        let mut members = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        members.any(|member| member == b"*" || member.eq_ignore_ascii_case(b"accept-encoding"))
    };
    let values = || fields(head).filter(|(name, _)| name.eq_ignore_ascii_case(VARY)).map(|(_, value)| value);
    if values().any(says) {
        return;
    }
    let first = values().find(|value| !value.is_empty());
    let behind =
        first.map(|value| (value.as_ptr() as usize).wrapping_sub(head.as_ptr() as usize) + value.len());
    match behind.filter(|at| *at <= head.len()) {
        Some(at) => drop(head.splice(at..at, *b", Accept-Encoding")),
        None => add_field(head, "Vary", "Accept-Encoding"),
    }
}

/// Says in a head that its content is compressed and leaves in chunks. `framing` is what it said of its end before.
#[cold]
pub fn code(head: &mut Vec<u8>, framing: Framing) {
    each_line(head, |name, line, out| {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        // Its length is another one, and so are its ranges.
        if !is(b"content-length") && !is(b"accept-ranges") {
            put_weakly(name, line, out);
        }
    });
    add_field(head, "Content-Encoding", "gzip");
    if matches!(framing, Framing::Length(_)) {
        add_field(head, "Transfer-Encoding", "chunked");
    }
}

/// Makes the tag of an answer weak, as the bytes that it stands for are those of another coding.
#[cold]
pub fn weaken(head: &mut Vec<u8>) {
    each_line(head, put_weakly);
}

fn put_weakly(name: &[u8], line: &[u8], out: &mut Vec<u8>) {
    let tag = line.get(name.len() + 1..).unwrap_or_default().trim_ascii();
    if name.eq_ignore_ascii_case(b"etag") && tag.starts_with(b"\"") {
        for part in [name, b": W/", tag, b"\r\n"] {
            out.extend_from_slice(part);
        }
    } else {
        out.extend_from_slice(line);
    }
}

/// Writes the lines of a head anew; `put` is given the name of a field and its line.
fn each_line(head: &mut Vec<u8>, put: impl Fn(&[u8], &[u8], &mut Vec<u8>)) {
    let at = memchr::memchr(b'\n', head).map_or(head.len(), |feed| feed + 1);
    let lines = head.split_off(at);
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        put(name_of(line), line, head);
    }
}

/// The names of a head's fields and their values, without the white space around these.
fn fields(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    lines.map(|line| (name_of(line), line.get(name_of(line).len() + 1..).unwrap_or_default().trim_ascii()))
}

fn name_of(line: &[u8]) -> &[u8] {
    line.get(..memchr::memchr(b':', line).unwrap_or(0)).unwrap_or_default()
}

/// Whether content of this length is not worth it. None at all never is.
fn is_short(length: &[u8], least: u32) -> bool {
    let length: Option<u64> = std::str::from_utf8(length).ok().and_then(|length| length.parse().ok());
    length.is_some_and(|length| length < u64::from(least.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &str) -> Vec<u8> {
        format!("HTTP/1.1 200 OK\r\n{fields}\r\n").into_bytes()
    }

    fn changed(fields: &str, change: impl Fn(&mut Vec<u8>)) -> String {
        let mut head = head(fields);
        change(&mut head);
        let text = String::from_utf8(head).unwrap();
        text.strip_prefix("HTTP/1.1 200 OK\r\n").unwrap().strip_suffix("\r\n").unwrap().to_owned()
    }

    #[test]
    fn what_may_be_compressed_row_by_row() {
        let html = "Content-Type: text/html; charset=utf-8\r\n";
        for (fields, may) in [
            ("", true),
            ("Content-Length: 1024\r\n", true),
            ("Content-Length: 1023\r\n", false),
            ("Content-Length: 0\r\n", false),
            ("Transfer-Encoding: chunked\r\n", true),
            ("Content-Encoding: br\r\n", false),
            ("content-encoding: identity\r\n", false),
            ("Content-Range: bytes 0-1/2\r\n", false),
            ("Cache-Control: private, no-transform\r\n", false),
            ("Cache-Control: private\r\nCache-Control: NO-TRANSFORM\r\n", false),
            ("Cache-Control: private, no-transforms\r\n", true),
            ("Content-MD5: x\r\n", false),
            ("Digest: sha-256=x\r\n", false),
            ("Content-Digest: sha-256=:x:\r\n", false),
            ("Repr-Digest: sha-256=:x:\r\n", false),
            ("Signature-Input: x\r\n", false),
            ("Trailer: X-Sum\r\n", false),
            ("Accept-Ranges: bytes\r\nETag: \"a\"\r\nVary: *\r\n", true),
            ("Content-Type: text/html\r\n", false),
        ] {
            for fields in [format!("{html}{fields}"), format!("{fields}{html}")] {
                assert_eq!(may_be(&head(&fields), 200, &Gzip::default()), may, "{fields}");
            }
        }
        assert!(!may_be(&head(""), 200, &Gzip::default()), "no type");
        assert!(!may_be(&head("Content-Type: image/png\r\n"), 200, &Gzip::default()));
        for (status, may) in [
            (200, true),
            (201, true),
            (203, true),
            (204, false),
            (205, false),
            (206, false),
            (302, true),
            (304, false),
            (403, true),
            (404, true),
            (416, true),
            (500, true),
            (101, false),
            (103, false),
        ] {
            assert_eq!(may_be(&head(html), status, &Gzip::default()), may, "{status}");
        }
        let all = Gzip { min_length: 0, ..Gzip::default() };
        assert!(may_be(&head(&format!("{html}Content-Length: 1\r\n")), 200, &all));
        assert!(!may_be(&head(&format!("{html}Content-Length: 0\r\n")), 200, &all));
    }

    #[test]
    fn an_answer_varies_once() {
        for (fields, varies) in [
            ("", "Vary: Accept-Encoding\r\n"),
            ("A: b\r\n", "A: b\r\nVary: Accept-Encoding\r\n"),
            ("vary: Cookie\r\nA: b\r\n", "vary: Cookie, Accept-Encoding\r\nA: b\r\n"),
            ("Vary:Cookie \r\n", "Vary:Cookie, Accept-Encoding \r\n"),
            ("Vary: \r\n", "Vary: \r\nVary: Accept-Encoding\r\n"),
            ("Vary: a\r\nVary: b\r\n", "Vary: a, Accept-Encoding\r\nVary: b\r\n"),
            ("Vary: *\r\n", "Vary: *\r\n"),
            ("Vary: Cookie , accept-encoding\r\n", "Vary: Cookie , accept-encoding\r\n"),
            ("Vary: a\r\nVary: Accept-Encoding\r\n", "Vary: a\r\nVary: Accept-Encoding\r\n"),
            ("Vary: Accept\r\n", "Vary: Accept, Accept-Encoding\r\n"),
        ] {
            assert_eq!(changed(fields, vary), varies, "{fields}");
        }
    }

    #[test]
    fn a_head_says_what_follows_it() {
        let fields =
            "A: b\r\ncontent-length: 5\r\nETag: \"x\"\r\nAccept-Ranges: bytes\r\nLast-Modified: then\r\n";
        assert_eq!(
            changed(fields, |head| code(head, Framing::Length(5))),
            "A: b\r\nETag: W/\"x\"\r\nLast-Modified: then\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"
        );
        assert_eq!(
            changed("Transfer-Encoding: chunked\r\nEtag:W/\"x\"\r\n", |head| code(head, Framing::Chunked)),
            "Transfer-Encoding: chunked\r\nEtag:W/\"x\"\r\nContent-Encoding: gzip\r\n"
        );
    }

    #[test]
    fn a_tag_is_made_weak_once_and_only_if_it_is_one() {
        for (fields, weak) in [
            ("ETag: \"x\"\r\n", "ETag: W/\"x\"\r\n"),
            ("etag:\t\"\" \r\n", "etag: W/\"\"\r\n"),
            ("ETag: W/\"x\"\r\n", "ETag: W/\"x\"\r\n"),
            ("ETag: x\r\n", "ETag: x\r\n"),
            ("X-ETag: \"x\"\r\n", "X-ETag: \"x\"\r\n"),
        ] {
            assert_eq!(changed(fields, weaken), weak, "{fields}");
        }
    }
}
