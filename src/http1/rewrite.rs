//! Writes the heads that leave: what is added, dropped and replaced, in both directions.
//!
//! It owns the order and spelling of outgoing fields, never the decision which body or persistence they announce.
//! Unchanged lines are copied in runs. Next: [`crate::exchange`] says what to write and sends it.

use super::fields::{ExtraFields, Span};
use super::framing::{Framing, Version};
use super::origin::{self, Origin};
use super::request_head::RequestHead;
use super::response_head::ResponseHead;
use crate::semantics::ResponseEdits;
use crate::semantics::field::{Name, alike, name};

/// What a request head needs beside the client's own bytes.
#[derive(Debug, Clone, Copy)]
pub struct ToServer<'a> {
    /// The client's address.
    pub client: &'a [u8],
    /// The address of who brought the request, where that is not the client.
    pub peer: Option<&'a [u8]>,
    /// The `Host` that the server sees; empty for none, which only HTTP/1.0 can ask for.
    pub host: &'a [u8],
    /// The target that the server sees.
    pub target: Target<'a>,
    /// Fields that the rule adds, replaces or removes.
    pub extra: &'a ExtraFields,
    /// The line `X-Request-Id: …` with its end, which replaces the client's; empty for none.
    pub id: &'a [u8],
    /// How the request came.
    pub origin: Origin<'a>,
}

/// The target that a server sees.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// The client's, byte for byte.
    AsCame,
    /// Another, in parts that are joined: path, `?`, query.
    Anew([&'a [u8]; 3]),
}

/// The field that carries the id of a request.
const REQUEST_ID: &[u8] = b"x-request-id";

/// Appends these, one by one: what is constant is written without a call.
macro_rules! join {
    ($out:ident, $($part:expr),+) => { $($out.extend_from_slice($part);)+ };
}

/// How the client connection goes on after a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It is used again, which HTTP/1.1 needs no word for.
    Keep,
    /// It is used again by an HTTP/1.0 client, which must be told.
    KeepOld,
    /// It closes.
    Close,
}

impl Persistence {
    /// For a client of this version whose connection is kept or not.
    #[must_use]
    pub fn of(version: Version, keep: bool) -> Self {
        match (keep, version) {
            (false, _) => Self::Close,
            (true, Version::Http11) => Self::Keep,
            (true, Version::Http10) => Self::KeepOld,
        }
    }

    /// The field that says so.
    #[must_use]
    pub fn field(self) -> &'static [u8] {
        match self {
            Self::Keep => b"",
            Self::KeepOld => b"Connection: keep-alive\r\n",
            Self::Close => b"Connection: close\r\n",
        }
    }
}

/// Appends the head that the server gets. `bytes` are those that `head` was parsed from.
#[inline(always)]
pub fn request(out: &mut Vec<u8>, bytes: &[u8], head: &RequestHead, to: &ToServer<'_>) {
    match to.target {
        Target::AsCame => out.extend_from_slice(head.method_and_target(bytes)),
        Target::Anew(target) => {
            put_line(out, &[head.method.of(bytes), b" ", target[0], target[1], target[2]])
        }
    }
    if to.host.is_empty() {
        // An empty `Host` is what ELB itself refuses.
        put_line(out, &[b" HTTP/1.1\r\nX-Real-IP: "]);
    } else {
        join!(out, b" HTTP/1.1\r\nHost: ", to.host, b"\r\nX-Real-IP: ");
    }
    join!(out, to.client, b"\r\nX-Forwarded-For: ");
    if !to.extra.is_empty() || !head.forwarded_for.is_empty() {
        forwarded_for(out, bytes, head, to.extra);
    }
    out.extend_from_slice(to.peer.unwrap_or(to.client));
    if to.extra.is_empty() && head.origin.is_empty() && to.origin.is_plain() {
        join!(out, b"\r\nREMOTE-HOST: ", to.client, origin::PLAIN, to.origin.authority, b"\r\n");
    } else {
        put_line(out, &[b"\r\nREMOTE-HOST: ", to.client]);
        let Origin { authority, is_trusted, session, passes, .. } = to.origin;
        origin::write(out, bytes, head, to.extra, authority, [is_trusted, passes], session);
        put_line(out, &[b"\r\n"]);
    }
    if to.extra.is_empty() && to.id.is_empty() {
        runs(out, bytes, &head.runs);
    } else {
        changed_fields(out, bytes, head, to.extra, to.id);
    }
    if head.framing == Framing::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    match (head.upgrade, head.takes_trailers) {
        (Some(upgrade), _) => put(out, &[b"Connection: upgrade\r\nUpgrade: ", upgrade.of(bytes), b"\r\n"]),
        (None, true) => out.extend_from_slice(b"Connection: TE\r\nTE: trailers\r\n"),
        (None, false) => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// The client's fields without those that a rule or the id of the request replaces, and these.
#[inline(never)]
fn changed_fields(out: &mut Vec<u8>, bytes: &[u8], head: &RequestHead, extra: &ExtraFields, id: &[u8]) {
    let has_id = !id.is_empty();
    let replaced = |line: &[u8]| {
        extra.iter().any(|(own, _)| is_field(line, own.as_bytes())) || has_id && is_field(line, REQUEST_ID)
    };
    runs_without(out, bytes, &head.runs, replaced);
    extra_fields(out, extra);
    // What a rule says of it stands.
    if !extra.iter().any(|(own, _)| alike(own.as_bytes(), REQUEST_ID)) {
        out.extend_from_slice(id);
    }
}

/// The client's list, or the rule's in its place: whom its server is told of before the client itself.
#[inline(never)]
fn forwarded_for(out: &mut Vec<u8>, bytes: &[u8], head: &RequestHead, extra: &ExtraFields) {
    let replaced = extra.iter().find(|(field, _)| name(field.as_bytes()) == Name::ForwardedFor);
    match replaced {
        Some((_, values)) => values.iter().for_each(|value| put(out, &[value.as_bytes(), b", "])),
        None => head
            .forwarded_for
            .iter()
            .map(|value| value.of(bytes))
            .filter(|value| !value.is_empty())
            .for_each(|value| put(out, &[value, b", "])),
    }
}

/// Copies the lines but for those that are dropped.
fn runs_without(out: &mut Vec<u8>, bytes: &[u8], runs: &[Span], dropped: impl Fn(&[u8]) -> bool) {
    for run in runs {
        let run = run.of(bytes);
        let (mut kept, mut at) = (0, 0); // What is kept is copied when a line is dropped, or the run ends.
        for feed in memchr::memchr_iter(b'\n', run) {
            if dropped(run.get(at..).unwrap_or_default()) {
                out.extend_from_slice(run.get(kept..at).unwrap_or_default());
                kept = feed + 1;
            }
            at = feed + 1;
        }
        out.extend_from_slice(run.get(kept..).unwrap_or_default());
    }
}

/// Whether a line begins with this name, or one that is alike. The colon is looked at first, for few names are as long.
fn is_field(line: &[u8], name: &[u8]) -> bool {
    line.get(name.len()) == Some(&b':') && line.get(..name.len()).is_some_and(|field| alike(field, name))
}

fn extra_fields(out: &mut Vec<u8>, extra: &ExtraFields) {
    for (field, values) in extra {
        // What ELB itself writes about the client cannot be replaced, as in the first ELB.
        let field = field.as_bytes();
        if matches!(name(field), Name::ForwardedFor | Name::Ours) && !origin::is_one(field) {
            continue;
        }
        for value in values {
            put(out, &[field, b": ", value.as_bytes(), b"\r\n"]);
        }
    }
}

/// Appends the head of a final response that the client gets, framed as `framing` says.
pub fn response(
    out: &mut Vec<u8>,
    bytes: &[u8],
    head: &ResponseHead,
    framing: Framing,
    persistence: Persistence,
) {
    if head.announces_trailers && framing != head.framing {
        // Where the chunks do not pass, no trailers will.
        status_line(out, bytes, head);
        runs_without(out, bytes, &head.runs, |line| is_field(line, b"trailer"));
    } else {
        lines(out, bytes, head);
    }
    if framing == Framing::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if head.upgrade.is_some() {
        // A 426 without it says nothing (RFC 9110, sections 7.8 and 15.5.22).
        out.extend_from_slice(b"Connection: upgrade\r\n");
    }
    out.extend_from_slice(persistence.field());
    out.extend_from_slice(b"\r\n");
}

/// Adds a field to a head that was written whole. Its value is ELB's own, or was checked: it begins no new line.
#[cold]
pub fn add_field(out: &mut Vec<u8>, name: &str, value: &str) {
    debug_assert!(!value.bytes().any(|byte| matches!(byte, b'\r' | b'\n')), "{value:?} breaks the head");
    if out.ends_with(b"\r\n\r\n") {
        out.truncate(out.len() - 2);
        put(out, &[name.as_bytes(), b": ", value.as_bytes(), b"\r\n\r\n"]);
    }
}

/// Drops and adds fields of a final response that was written whole, as a rule says. None of them frames it.
#[cold]
pub fn edit(out: &mut Vec<u8>, edits: &ResponseEdits) {
    if !edits.dropped.is_empty() {
        let fields = memchr::memchr(b'\n', out).map_or(out.len(), |end| end + 1);
        let rest = out.split_off(fields);
        for line in rest.split_inclusive(|byte| *byte == b'\n') {
            if !edits.dropped.iter().any(|name| is_named(line, name.as_bytes())) {
                out.extend_from_slice(line);
            }
        }
    }
    edits.added.iter().for_each(|(name, value)| add_field(out, name, value));
}

/// Whether a line is the field of that name, in any case.
fn is_named(line: &[u8], name: &[u8]) -> bool {
    line.get(name.len()) == Some(&b':')
        && line.get(..name.len()).is_some_and(|own| own.eq_ignore_ascii_case(name))
}

/// Appends the head of an interim response (1xx, not 101).
pub fn interim(out: &mut Vec<u8>, bytes: &[u8], head: &ResponseHead) {
    lines(out, bytes, head);
    out.extend_from_slice(b"\r\n");
}

/// Appends the 101 that ends HTTP on this connection.
pub fn switching(out: &mut Vec<u8>, bytes: &[u8], head: &ResponseHead) {
    lines(out, bytes, head);
    let protocol = head.upgrade.unwrap_or_default();
    put(out, &[b"Connection: upgrade\r\nUpgrade: ", protocol.of(bytes), b"\r\n\r\n"]);
}

/// The status line and what passes. Nearly always these are the first bytes that came.
fn lines(out: &mut Vec<u8>, bytes: &[u8], head: &ResponseHead) {
    let fields = head.reason.end() + "\r\n".len();
    match head.runs.split_first() {
        Some((first, rest)) if first.at as usize == fields && speaks_ours(bytes) && spaced(head) => {
            out.extend_from_slice(bytes.get(..first.end()).unwrap_or_default());
            runs(out, bytes, rest);
        }
        _ => {
            status_line(out, bytes, head);
            runs(out, bytes, &head.runs);
        }
    }
}

/// Whether a head begins with `HTTP/1.1`. One of a later version was understood as that, and leaves as that.
fn speaks_ours(head: &[u8]) -> bool {
    head.get("HTTP/1.".len()) == Some(&b'1')
}

/// Whether the space behind the status is there, which servers forget where there is no reason.
fn spaced(head: &ResponseHead) -> bool {
    head.reason.at as usize == "HTTP/1.1 200 ".len()
}

fn status_line(out: &mut Vec<u8>, bytes: &[u8], head: &ResponseHead) {
    out.extend_from_slice(b"HTTP/1.1 ");
    decimal(out, u64::from(head.status));
    put(out, &[b" ", head.reason.of(bytes), b"\r\n"]);
}

fn runs(out: &mut Vec<u8>, bytes: &[u8], runs: &[Span]) {
    for run in runs {
        out.extend_from_slice(run.of(bytes));
    }
}

/// The same where it is rarely done.
#[cold]
#[inline(never)]
fn put_line(out: &mut Vec<u8>, parts: &[&[u8]]) {
    put(out, parts);
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Appends a number in decimal digits, without the formatting machinery.
pub fn decimal(out: &mut Vec<u8>, number: u64) {
    digits::<10>(out, number);
}

/// Appends a number in hexadecimal digits: the size of a chunk.
pub fn hexadecimal(out: &mut Vec<u8>, number: u64) {
    digits::<16>(out, number);
}

fn digits<const BASE: u64>(out: &mut Vec<u8>, mut number: u64) {
    let mut text = [0u8; 20];
    let mut at = text.len();
    loop {
        at -= 1;
        #[allow(clippy::cast_possible_truncation)]
        let digit = (number % BASE) as u8;
        text[at] = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        number /= BASE;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::scan::Scan;

    fn to_server(bytes: &[u8], extra: &ExtraFields) -> String {
        let found = Scan::default().find(bytes, 1 << 16).unwrap().unwrap();
        let mut head = RequestHead::default();
        head.parse(bytes, found).unwrap();
        let origin =
            Origin { authority: b"X", is_bare: true, is_trusted: false, session: None, passes: false };
        let target = Target::Anew([b"/p", b"?", b"q"]);
        let to = ToServer { client: b"192.0.2.1", peer: None, host: b"h", target, extra, id: b"", origin };
        let mut out = Vec::new();
        request(&mut out, bytes, &head, &to);
        String::from_utf8(out).unwrap()
    }

    fn to_client(bytes: &[u8], framing: Framing, persistence: Persistence) -> String {
        let found = Scan::default().find(bytes, 1 << 16).unwrap().unwrap();
        let mut head = ResponseHead::default();
        head.parse(bytes, found, false).unwrap();
        let mut out = Vec::new();
        match head.status {
            101 => switching(&mut out, bytes, &head),
            100..200 => interim(&mut out, bytes, &head),
            _ => response(&mut out, bytes, &head, framing, persistence),
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_server_sees_the_client_and_its_fields() {
        assert_eq!(
            to_server(
                b"GET /x HTTP/1.0\r\nHost: X:80\r\nA: 1\r\nX-Forwarded-For: a\r\nB: 2\r\nx-forwarded-for: b, c\r\n\r\n",
                &[]
            ),
            "GET /p?q HTTP/1.1\r\nHost: h\r\nX-Real-IP: 192.0.2.1\r\nX-Forwarded-For: a, b, c, 192.0.2.1\r\n\
             REMOTE-HOST: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\nX-Forwarded-Host: X\r\n\
             A: 1\r\nB: 2\r\n\r\n"
        );
    }

    #[test]
    fn rules_add_replace_and_remove_fields() {
        let extra = [
            ("a".to_owned(), vec!["9".to_owned(), "8".to_owned()]),
            ("gone".to_owned(), vec![]),
            ("X-User".to_owned(), vec!["me".to_owned()]),
            ("X-Forwarded-For".to_owned(), vec!["1".to_owned()]),
            ("X-Real-IP".to_owned(), vec!["forged".to_owned()]),
        ];
        assert_eq!(
            to_server(
                b"GET /x HTTP/1.1\r\nHost: X\r\nA: 1\r\nGone: x\r\nX_User: you\r\nX-Forwarded-For: z\r\nB: 2\r\n\r\n",
                &extra
            ),
            "GET /p?q HTTP/1.1\r\nHost: h\r\nX-Real-IP: 192.0.2.1\r\nX-Forwarded-For: 1, 192.0.2.1\r\n\
             REMOTE-HOST: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\nX-Forwarded-Host: X\r\n\
             B: 2\r\na: 9\r\na: 8\r\nX-User: me\r\n\r\n"
        );
    }

    #[test]
    fn framing_upgrade_and_trailers_are_announced() {
        let chunked = to_server(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n",
            &[],
        );
        assert!(
            chunked.ends_with("Transfer-Encoding: chunked\r\nConnection: TE\r\nTE: trailers\r\n\r\n"),
            "{chunked}"
        );
        let upgrade =
            to_server(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", &[]);
        assert!(upgrade.ends_with("Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"), "{upgrade}");
    }

    #[test]
    fn responses_speak_our_version_and_say_how_it_goes_on() {
        let bytes = b"HTTP/1.0 200\r\nServer: s\r\nConnection: close\r\n\r\n";
        assert_eq!(
            to_client(bytes, Framing::Chunked, Persistence::Keep),
            "HTTP/1.1 200 \r\nServer: s\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        assert_eq!(
            to_client(
                b"HTTP/1.1 200 Good\r\nContent-Length: 3\r\n\r\n",
                Framing::Length(3),
                Persistence::KeepOld
            ),
            "HTTP/1.1 200 Good\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n"
        );
        assert_eq!(
            to_client(
                b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: ws\r\nA: b\r\n\r\n",
                Framing::None,
                Persistence::Keep
            ),
            "HTTP/1.1 101 S\r\nA: b\r\nConnection: upgrade\r\nUpgrade: ws\r\n\r\n"
        );
        assert_eq!(
            to_client(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", Framing::None, Persistence::Keep),
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        );
    }

    #[test]
    fn trailers_are_announced_only_where_they_may_pass() {
        let bytes = b"HTTP/1.1 200 OK\r\nA: 1\r\nTrailer: Sum\r\nTransfer-Encoding: chunked\r\nB: 2\r\n\r\n";
        assert_eq!(
            to_client(bytes, Framing::Chunked, Persistence::Keep),
            "HTTP/1.1 200 OK\r\nA: 1\r\nTrailer: Sum\r\nB: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        assert_eq!(
            to_client(bytes, Framing::Close, Persistence::Close),
            "HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn numbers() {
        let mut out = Vec::new();
        decimal(&mut out, u64::MAX);
        hexadecimal(&mut out, 0xbeef);
        decimal(&mut out, 0);
        assert_eq!(out, b"18446744073709551615beef0");
    }
}
