//! Tables of request heads: what is refused and why, what is accepted and as what.

use super::*;
use crate::http1::scan::Scan;

/// Reads the head that `bytes` begin with, as they come in pieces of `step`.
fn read(bytes: &[u8], step: usize) -> Result<(RequestHead, Found), Refusal> {
    let mut scan = Scan::default();
    for end in (step..bytes.len()).step_by(step).chain([bytes.len()]) {
        let bytes = &bytes[..end];
        let found = scan.find(bytes, 64 * 1024)?;
        if let Some(line) = scan.first_line(bytes) {
            check_request_line(line)?;
        }
        if let Some(found) = found {
            let mut head = RequestHead::default();
            return head.parse(bytes, found).map(|()| (head, found));
        }
    }
    panic!("no whole head: {}", bytes.escape_ascii());
}

/// Whole, byte by byte, with another request right behind, and at once: always the same.
fn parse(bytes: &[u8]) -> Result<RequestHead, Refusal> {
    let whole = read(bytes, bytes.len());
    let more = [bytes, b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
    for other in [read(bytes, 1), read(&more, more.len()), read(&more, 1)] {
        assert_eq!(format!("{other:?}"), format!("{whole:?}"), "{}", bytes.escape_ascii());
    }
    for bytes in [bytes, &more] {
        let mut head = RequestHead::default();
        let at_once = head.parse_at_once(bytes, 64 * 1024).map(|found| format!("{:?}", (head, found)));
        let expected = whole.as_ref().ok().map(|whole| format!("{whole:?}"));
        assert_eq!(at_once, expected, "{}", bytes.escape_ascii());
    }
    whole.map(|(head, _)| head)
}

fn with(fields: &str) -> Result<(RequestHead, Vec<u8>), Refusal> {
    let bytes = format!("POST /p HTTP/1.1\r\nHost: h\r\n{fields}\r\n").into_bytes();
    parse(&bytes).map(|head| (head, bytes))
}

fn passes(fields: &str) -> String {
    let (head, bytes) = with(fields).unwrap();
    head.runs.iter().map(|run| String::from_utf8_lossy(run.of(&bytes)).into_owned()).collect()
}

#[test]
fn a_plain_request_is_read() {
    let bytes = b"GET /a?b HTTP/1.1\r\nHost: x\r\nUser-Agent: curl\r\nA: b\r\n\r\n";
    let head = parse(bytes).unwrap();
    assert_eq!(head.method.of(bytes), b"GET");
    assert_eq!(head.target.of(bytes), b"/a?b");
    assert_eq!(head.host.unwrap().of(bytes), b"x");
    assert_eq!(head.user_agent.unwrap().of(bytes), b"curl");
    assert_eq!((head.framing, head.keep_alive, head.version), (Framing::None, true, Version::Http11));
    assert_eq!(head.runs.len(), 1);
}

#[test]
fn request_lines_are_exact() {
    for (line, refusal) in [
        ("GET / HTTP/2.0", Refusal::Version),
        ("PRI * HTTP/2.0", Refusal::Version),
        ("GET / HTTP/9.9", Refusal::Version),
        ("GET / HTTP/0.9", Refusal::Version),
        ("GET /", Refusal::RequestLine),
        ("GET", Refusal::RequestLine),
        ("garbage: a", Refusal::RequestLine),
        ("GET / HTTP/1.10", Refusal::RequestLine),
        ("GET / HTTP/1.", Refusal::RequestLine),
        ("GET / HTTP/1.x", Refusal::RequestLine),
        ("GET / HTTP/2", Refusal::RequestLine),
        ("GET / http/1.1", Refusal::RequestLine),
        ("GET / ICY/1.1", Refusal::RequestLine),
        ("GET / HTTP/1.1 ", Refusal::RequestLine),
        ("GET / HTTP/2.0 ", Refusal::RequestLine),
        ("GET /a b HTTP/1.1", Refusal::RequestLine),
        ("GET /a b HTTP/2.0", Refusal::RequestLine),
        ("G(T / HTTP/2.0", Refusal::RequestLine),
        ("G ET / HTTP/1.1", Refusal::RequestLine),
        ("GET  / HTTP/1.1", Refusal::RequestLine),
        ("GET  HTTP/2.0", Refusal::RequestLine),
        ("GET /  HTTP/1.1", Refusal::RequestLine),
        ("GET\t/ HTTP/1.1", Refusal::RequestLine),
        (" GET / HTTP/1.1", Refusal::Method),
        (" GET / HTTP/2.0", Refusal::Method),
        ("G(T / HTTP/1.1", Refusal::RequestLine),
        ("GET /\u{1} HTTP/1.1", Refusal::RequestLine),
    ] {
        let bytes = format!("{line}\r\nHost: h\r\n\r\n");
        assert_eq!(parse(bytes.as_bytes()).map(|_| ()), Err(refusal), "{line:?}");
    }
    for minor in 1..=9 {
        let bytes = format!("GET / HTTP/1.{minor}\r\nHost: h\r\n\r\n");
        assert_eq!(parse(bytes.as_bytes()).unwrap().version, Version::Http11, "{minor}");
    }
    assert!(parse(b"g!t / HTTP/1.1\r\nHost: h\r\n\r\n").is_ok());
}

#[test]
fn malformed_fields_are_refused() {
    for (field, refusal) in [
        ("A : b", Refusal::HeaderName),
        (" A: b", Refusal::HeaderName),
        ("\tA: b", Refusal::HeaderName),
        (": b", Refusal::HeaderName),
        ("A", Refusal::HeaderName),
        ("A(: b", Refusal::HeaderName),
        ("A\u{e9}: b", Refusal::HeaderName),
        ("A: b\u{0}", Refusal::HeaderValue),
        ("A: b\u{1}c", Refusal::HeaderValue),
        ("A: b\u{7f}c", Refusal::HeaderValue),
        ("A: b\rc", Refusal::HeaderValue),
        ("Host: other", Refusal::TwoHosts),
        ("User-Agent: a\r\nUSER-agent: b", Refusal::Repeated),
        ("User-Agent: a\r\nUser-Agent: a", Refusal::Repeated),
        ("Authorization: a\r\nauthorization: b", Refusal::Repeated),
        ("Content-Length: 1\r\nContent-Length: 1", Refusal::ContentLength),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked", Refusal::TwoFramings),
        ("Transfer-Encoding: chunked\r\nContent-Length: 1", Refusal::TwoFramings),
        ("Expect: something", Refusal::Expect),
    ] {
        assert_eq!(with(&format!("{field}\r\n")).map(|_| ()), Err(refusal), "{field:?}");
    }
}

#[test]
fn unusual_fields_pass() {
    for field in ["A:b", "A:", "A: b\tc", "A: \u{e9}", "a_b.c: d", "A:  b  "] {
        assert_eq!(passes(&format!("{field}\r\n")), format!("{field}\r\n"), "{field:?}");
    }
}

#[test]
fn fields_of_this_hop_do_not_pass() {
    assert_eq!(
        passes(
            "A: 1\r\nConnection: keep-alive, x-drop, host, cookie\r\nX-Drop: 1\r\nKeep-Alive: 5\r\nCookie: c\r\n\
             Proxy-Connection: x\r\nTE: gzip\r\nUpgrade: ws\r\nX-Real-IP: 1\r\nX_Forwarded_For: 1\r\nB: 2\r\n"
        ),
        "A: 1\r\nCookie: c\r\nB: 2\r\n"
    );
    assert_eq!(
        passes("Transfer-Encoding: chunked\r\nX-Forwarded-For: a\r\nTrailer: t\r\nA: 1\r\n"),
        "A: 1\r\n"
    );
    assert_eq!(passes("Connection: close, A\r\nClose: 1\r\nA: 1\r\nB: 2\r\n"), "B: 2\r\n");
    assert_eq!(passes("Content-Length: 3\r\n"), "Content-Length: 3\r\n");
}

#[test]
fn persistence_follows_version_and_connection() {
    for (head, keep) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: CLOSE\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: a, close\r\n\r\n", false),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        ("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false),
    ] {
        assert_eq!(parse(head.as_bytes()).unwrap().keep_alive, keep, "{head:?}");
    }
    assert_eq!(parse(b"GET / HTTP/1.1\r\n\r\n").map(|_| ()), Err(Refusal::NoHost));
}

#[test]
fn an_upgrade_needs_the_connection_token_and_is_never_h2c() {
    let asked = |fields: &str| with(fields).unwrap().0.upgrade.is_some();
    assert!(asked("Connection: Upgrade\r\nUpgrade: websocket\r\n"));
    assert!(!asked("Upgrade: websocket\r\n"));
    assert!(!asked("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"));
    assert!(!asked("Connection: upgrade\r\nUpgrade: websocket, h2c\r\n"));
    assert!(
        parse(b"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
            .unwrap()
            .upgrade
            .is_none()
    );
}

#[test]
fn expectations() {
    for (value, expects) in [
        ("", false),
        (",, ,", false),
        ("100-continue", true),
        ("100-continue,", true),
        (", 100-Continue", true),
        ("100-continue,\t100-CONTINUE", true),
    ] {
        assert_eq!(with(&format!("Expect: {value}\r\n")).unwrap().0.expects_continue, expects, "{value:?}");
    }
    assert!(with("Expect: 100-continue\r\nExpect: 100-continue\r\nExpect:\r\n").unwrap().0.expects_continue);
    for value in ["meow", "100-continue, more", "100-continue;a=b", "\"100-continue\"", "100 -continue"] {
        assert_eq!(with(&format!("Expect: {value}\r\n")).map(|_| ()), Err(Refusal::Expect), "{value:?}");
    }
    assert!(with("Expect: 100-Continue\r\n").unwrap().0.expects_continue);
    assert!(!parse(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").unwrap().expects_continue);
    assert!(parse(b"POST / HTTP/1.0\r\nExpect: other\r\n\r\n").is_ok());
}

/// What a list costs is what is looked at of it.
#[test]
fn no_list_is_walked_to_an_end_that_means_nothing() {
    for (field, list, status) in [
        ("TE", ",", None),
        ("TE", "a,", None),
        ("Expect", ",", Some(Refusal::Expect)),
        ("Expect", "100-continue,", Some(Refusal::Expect)),
        ("Connection: upgrade\r\nUpgrade", "a,", None),
        ("Connection", ",", Some(Refusal::ConnectionOptions)),
        ("Transfer-Encoding", ",", Some(Refusal::TransferEncoding)),
        ("Transfer-Encoding", "a,", Some(Refusal::TransferEncoding)),
        ("Trailer", "a,", None),
        ("Keep-Alive", "a,", None),
    ] {
        let bytes =
            format!("GET / HTTP/1.1\r\nHost: h\r\n{field}: {}\r\n\r\n", list.repeat(30_000 / list.len()));
        let found = Found { start: 0, end: bytes.len() };
        let (parsed, steps) = fields::testing::of(|| RequestHead::default().parse(bytes.as_bytes(), found));
        assert_eq!(parsed.err(), status, "{field}");
        assert!(steps <= limits::LIST_MEMBERS + 2, "{steps} steps for {field}: {list}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_reach_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        let mut scan = Scan::default();
        if let Ok(Some(found)) = scan.find(&bytes, 1024) {
            let _ = RequestHead::default().parse(&bytes, found);
        }
    }

    /// What is accepted at once is what is accepted after the careful search, and nothing else.
    #[test]
    fn both_ways_accept_the_same(parts in proptest::collection::vec(proptest::sample::select(vec![
        "GET", " ", "/", "HTTP/1.1", "HTTP/1.0", "\r\n", "\n", "\r", "Host", ":", "h", "A: b", "\t", "Content-Length: 1",
    ]), 0..24)) {
        let bytes = ["GET / HTTP/1.1\r\nHost: h\r\n".to_owned(), parts.concat(), "\r\n\r\n".to_owned()].concat().into_bytes();
        let mut scan = Scan::default();
        let mut head = RequestHead::default();
        let careful = scan.find(&bytes, 1024).ok().flatten().filter(|found| head.parse(&bytes, *found).is_ok());
        let at_once = RequestHead::default().parse_at_once(&bytes, 1024);
        proptest::prop_assert_eq!(careful, at_once);
    }
}
