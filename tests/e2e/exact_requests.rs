//! Request heads, byte for byte: what is refused and why, and what the server sees of everything else.

use crate::support::elb::Launch;
use crate::support::exact::{OURS, accepted, ours_for, pair, refused};
use crate::support::message::Message;
use crate::support::rules;
use crate::support::server::Server;

/// Refuses each of these, and lets none of them or of what follows them reach the server.
#[track_caller]
fn all_refused(cases: &[(u16, &str, &[u8])]) {
    let (server, elb) = pair();
    for (status, reason, request) in cases {
        refused(&elb, *status, reason, request);
    }
    assert_eq!((server.connections(), server.requests().len()), (0, 0), "something was forwarded");
}

/// The last request that came.
fn last(server: &Server) -> Message {
    server.requests().pop().expect("a request")
}

/// The same for fields, each in an otherwise good request.
#[track_caller]
fn fields_refused(cases: &[(u16, &str, &[u8])]) {
    let whole = |field: &[u8]| [b"POST / HTTP/1.1\r\nHost: site.test\r\n", field, b"\r\n\r\nabc"].concat();
    let requests: Vec<_> =
        cases.iter().map(|(status, reason, field)| (*status, *reason, whole(field))).collect();
    all_refused(
        &requests.iter().map(|(status, reason, bytes)| (*status, *reason, &bytes[..])).collect::<Vec<_>>(),
    );
}

#[test]
fn request_lines_that_are_refused() {
    all_refused(&[
        // Line ends.
        (400, "bad-line-end", b"GET / HTTP/1.1\nHost: site.test\n\n"),
        (400, "bad-line-end", b"GET / HTTP/1.1\r\nHost: site.test\n\r\n"),
        (400, "bad-line-end", b"GET / HTTP/1.1\r\nHost: site.test\r\n\n"),
        (400, "bad-line-end", b"\nGET / HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        (400, "bad-request-line", b"GET /\r HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        (400, "bad-method", b"\rGET / HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        (400, "bad-request-line", b"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        // The three parts and what separates them.
        (400, "bad-request-line", b"GET\r\n\r\n"),
        (400, "bad-request-line", b"GET  / HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        (400, "bad-request-line", b"GET\t/ HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        (400, "bad-request-line", b"G(T / HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        (400, "bad-request-line", b"G\0T / HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        (400, "bad-request-line", b"G\xe9T / HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        (400, "bad-method", b" GET / HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        (400, "bad-request-line", b"G ET / HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        (400, "bad-request-line", b"GET / x HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        (400, "bad-request-line", b"GET /a b HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        (400, "bad-request-line", b"GET /  HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        (400, "bad-request-line", b"GET / HTTP/1.1 \r\nHost: site.test\r\n\r\n"),
        (400, "bad-request-line", b"GET /\r\n"),
        (400, "bad-request-line", b"garbage: a\r\n"),
        // What is no version.
        (400, "bad-request-line", b"GET / HTTP/1.10\r\nHost: site.test\r\n\r\n"),
        (400, "bad-request-line", b"GET / HTTP/01.1\r\nHost: site.test\r\n\r\n"),
        (400, "bad-request-line", b"GET / HTTP/2\r\nHost: site.test\r\n\r\n"),
        (400, "bad-request-line", b"GET / http/1.1\r\nHost: site.test\r\n\r\n"),
        (400, "bad-request-line", b"GET / HTTP/1,1\r\nHost: site.test\r\n\r\n"),
        (400, "bad-request-line", b"GET / ICY/1.1\r\nHost: site.test\r\n\r\n"),
        (400, "bad-request-line", b"GET /a b HTTP/2.0\r\nHost: site.test\r\n\r\n"),
        // Other protocols, which need not send a line end to be told.
        (400, "tls-on-plain-port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        (400, "proxy-protocol", b"PROXY TCP4 192.0.2.1 192.0.2.2 50000 80\r\nGET / HTTP/1.1\r\n\r\n"),
        (400, "proxy-protocol", b"PROXY UNKNOWN\r\n"),
        (400, "proxy-protocol", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c"),
        // Versions that are not spoken.
        (505, "bad-version", b"GET / HTTP/0.9\r\nHost: site.test\r\n\r\n"),
        (505, "bad-version", b"GET / HTTP/2.0\r\nHost: site.test\r\n\r\n"),
        (505, "bad-version", b"GET / HTTP/9.9\r\nHost: site.test\r\n\r\n"),
        (505, "bad-version", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ]);
}

#[test]
fn targets_that_are_refused() {
    let cases: &[(u16, &str, &[u8])] = &[
        (400, "bad-target", b"GET x"),
        (400, "bad-target", b"GET *"),
        (400, "bad-target", b"OPTIONS **"),
        (400, "bad-target", b"OPTIONS *x"),
        (400, "bad-target", b"GET site.test:80"),
        (400, "bad-target", b"GET ?x"),
        (400, "bad-target", b"GET \\x"),
        (400, "bad-target", b"GET ftp://site.test/"),
        (400, "bad-target", b"GET http:/site.test/"),
        (400, "bad-target", b"GET http:site.test"),
        (400, "bad-target", b"GET /a#b"),
        (400, "bad-target", b"GET /?#"),
        (400, "bad-target", b"GET http://site.test#a"),
        (400, "bad-request-line", b"GET /\0"),
        (400, "bad-request-line", b"GET /\x01"),
        (400, "bad-request-line", b"GET /\tx"),
        (400, "bad-request-line", b"GET /?a\x1fb"),
        (400, "bad-request-line", b"GET /\x7f"),
        (400, "bad-host", b"GET http://"),
        (400, "bad-host", b"GET http:///x"),
        (400, "bad-host", b"GET http://:80/"),
        (400, "bad-host", b"GET http://user@site.test/"),
        (400, "bad-host", b"GET http://user:word@site.test/"),
        (400, "bad-host", b"GET http://@site.test/"),
        (400, "bad-host", b"GET http://site.test:8x/"),
        (400, "bad-host", b"GET http://site.test:65536/"),
        (400, "bad-path", b"GET /.."),
        (400, "bad-path", b"GET /a/../../b"),
        (400, "bad-path", b"GET /%2e%2e/x"),
        (400, "bad-path", b"GET /%"),
        (400, "bad-path", b"GET /%4"),
        (400, "bad-path", b"GET /%zz"),
        (400, "bad-path", b"GET /%00"),
        (400, "bad-path", b"GET http://site.test/../x"),
        (405, "method-connect", b"CONNECT site.test:443"),
        (405, "method-connect", b"CONNECT /"),
        (405, "trace-refused", b"TRACE /"),
    ];
    let whole = |line: &[u8]| [line, b" HTTP/1.1\r\nHost: site.test\r\n\r\n"].concat();
    let requests: Vec<_> =
        cases.iter().map(|(status, reason, line)| (*status, *reason, whole(line))).collect();
    all_refused(
        &requests.iter().map(|(status, reason, bytes)| (*status, *reason, &bytes[..])).collect::<Vec<_>>(),
    );
}

#[test]
fn hosts_that_are_refused() {
    let (server, elb) = pair();
    refused(&elb, 400, "no-host", b"GET / HTTP/1.1\r\nA: b\r\n\r\n");
    refused(&elb, 400, "no-host", b"GET http://site.test/ HTTP/1.1\r\n\r\n");
    refused(&elb, 400, "two-hosts", b"GET / HTTP/1.1\r\nHost: site.test\r\nhOST: site.test\r\n\r\n");
    refused(&elb, 400, "two-hosts", b"GET / HTTP/1.0\r\nHost: site.test\r\nA: b\r\nHost: x\r\n\r\n");
    refused(&elb, 400, "bad-host", b"GET http://site.test/ HTTP/1.1\r\nHost: a b\r\n\r\n");
    for host in [
        "",
        ":80",
        "a b",
        "a/b",
        "a?b",
        "a#b",
        "a@b",
        "a,b:x",
        "a..b",
        ".a",
        "a:b",
        "a:8 0",
        "a:-1",
        "a:+80",
        "a:65536",
        "a:80:80",
        "[::1",
        "[::1]x",
        "::1",
        "[1.2.3.4]",
        "[::1%25eth0]",
        "a%",
        "a%2",
        "a%zz",
        "\u{e9}.test",
        "site.test, site.test",
    ] {
        for version in ["1.1", "1.0"] {
            let request = format!("GET / HTTP/{version}\r\nHost: {host}\r\n\r\n");
            refused(&elb, 400, "bad-host", request.as_bytes());
        }
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn fields_that_are_refused() {
    fields_refused(&[
        (400, "bad-header-name", b"A : b"),
        (400, "bad-header-name", b" A: b"),
        (400, "bad-header-name", b"A: b\r\n c"),
        (400, "bad-header-name", b"A: b\r\n\tc: d"),
        (400, "bad-header-name", b": b"),
        (400, "bad-header-name", b"A"),
        (400, "bad-header-name", b"A b: c"),
        (400, "bad-header-name", b"A\0: b"),
        (400, "bad-header-name", b"A\xe9: b"),
        (400, "bad-header-name", b"A\x0b: b"),
        (400, "bad-header-name", b"A[]: b"),
        (400, "bad-header-value", b"A: b\0c"),
        (400, "bad-header-value", b"A: b\rc"),
        (400, "bad-header-value", b"A: \x01"),
        (400, "bad-header-value", b"A: b\x0bc"),
        (400, "bad-header-value", b"A: \x1b"),
        (400, "bad-header-value", b"A: \x7f"),
        (400, "repeated-field", b"User-Agent: one\r\nA: b\r\nuser-agent: two"),
        (400, "repeated-field", b"User-Agent: one\r\nUser-Agent: one"),
        (400, "repeated-field", b"Authorization: Basic YQ==\r\nAUTHORIZATION: Bearer x"),
        (417, "bad-expect", b"Expect: a miracle"),
        (417, "bad-expect", b"Expect: 100-continue;a=b"),
        (417, "bad-expect", b"Expect: 100-continue, more"),
    ]);
}

#[test]
fn framing_that_is_refused() {
    fields_refused(&[
        (400, "bad-content-length", b"Content-Length: 3\r\nContent-Length: 3"),
        (400, "bad-content-length", b"Content-Length: 3\r\nA: b\r\ncontent-length: 4"),
        (400, "bad-content-length", b"Content-Length: 3, 3"),
        (400, "bad-content-length", b"Content-Length: 3,"),
        (400, "bad-content-length", b"Content-Length:"),
        (400, "bad-content-length", b"Content-Length: +3"),
        (400, "bad-content-length", b"Content-Length: -3"),
        (400, "bad-content-length", b"Content-Length: 1 3"),
        (400, "bad-content-length", b"Content-Length: 0x3"),
        (400, "bad-content-length", b"Content-Length: 3.0"),
        (400, "bad-content-length", b"Content-Length: 3_0"),
        (400, "bad-content-length", b"Content-Length: \xd9\xa3"),
        (400, "bad-content-length", b"Content-Length: 9223372036854775808"),
        (400, "bad-content-length", b"Content-Length: 18446744073709551619"),
        (400, "bad-content-length", b"Content-Length: 00000000000000000003"),
        (400, "bad-header-name", b"Content-Length : 3"),
        (400, "bad-header-value", b"Content-Length: \x0b3"),
        (400, "two-framings", b"Content-Length: 3\r\nTransfer-Encoding: chunked"),
        (400, "two-framings", b"Transfer-Encoding: chunked\r\nContent-Length: 3"),
        (400, "two-framings", b"Transfer-Encoding: chunked\r\nA: b\r\nContent-Length: 0"),
        (501, "unknown-coding", b"Transfer-Encoding: gzip, chunked"),
        (501, "unknown-coding", b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"),
        (501, "unknown-coding", b"Transfer-Encoding: gzip"),
        (501, "unknown-coding", b"Transfer-Encoding: identity"),
        (501, "unknown-coding", b"Transfer-Encoding: xchunked"),
        (400, "bad-transfer-encoding", b"Transfer-Encoding: chunked, chunked"),
        (400, "bad-transfer-encoding", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        (400, "bad-transfer-encoding", b"Transfer-Encoding: chunked, gzip"),
        (400, "bad-transfer-encoding", b"Transfer-Encoding: chunked, identity"),
        (400, "bad-transfer-encoding", b"Transfer-Encoding: chunked;x=y"),
        (400, "bad-transfer-encoding", b"Transfer-Encoding: \"chunked\""),
        (400, "bad-transfer-encoding", b"Transfer-Encoding: chunked chunked"),
        (400, "bad-transfer-encoding", b"Transfer-Encoding: ,chunked"),
        (400, "bad-transfer-encoding", b"Transfer-Encoding:"),
        (400, "bad-header-value", b"Transfer-Encoding: \x0bchunked"),
        (400, "bad-header-value", b"Transfer-Encoding: chunked\0"),
        (400, "bad-header-name", b"Transfer-Encoding : chunked"),
        (400, "bad-header-name", b"Transfer-Encoding\x0b: chunked"),
        (400, "bad-header-name", b"Transfer-Encoding:\r\n chunked"),
    ]);
    let old = b"POST / HTTP/1.0\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    all_refused(&[(400, "chunked-in-old-version", old)]);
}

#[test]
fn heads_above_a_limit_are_refused() {
    let line = |length: usize| {
        format!("GET /{} HTTP/1.1\r\nHost: site.test\r\n\r\n", "x".repeat(length - "GET / HTTP/1.1".len()))
    };
    let fields = |count: usize| {
        let fields: String = (1..count).map(|number| format!("X-{number}: y\r\n")).collect();
        format!("GET / HTTP/1.1\r\nHost: site.test\r\n{fields}\r\n")
    };
    let head = |length: usize| {
        let start = "GET / HTTP/1.1\r\nHost: site.test\r\nA: ";
        format!("{start}{}\r\n\r\n", "x".repeat(length - start.len() - 4))
    };
    let (server, elb) = pair();
    for good in [line(16 << 10), fields(256), head(64 << 10)] {
        assert_eq!(elb.client().ask(&good).status(), 200);
    }
    let seen = server.requests().len();
    refused(&elb, 414, "target-too-long", line((16 << 10) + 1).as_bytes());
    refused(&elb, 414, "target-too-long", &[b'x'; 20_000]);
    refused(&elb, 431, "too-many-headers", fields(257).as_bytes());
    refused(&elb, 431, "head-too-long", head((64 << 10) + 1).as_bytes());
    refused(&elb, 431, "head-too-long", head(100_000).as_bytes());
    assert_eq!(server.requests().len(), seen);

    let small = Launch::serving(&rules::site(&[&server])).flag("--max-head=1k").start();
    assert_eq!(small.client().ask(head(1024)).status(), 200);
    refused(&small, 431, "head-too-long", head(1025).as_bytes());
}

#[test]
fn request_lines_go_out_as_they_came() {
    let (server, elb) = pair();
    for (sent, seen) in [
        ("GET /", "GET /"),
        ("\r\nGET /", "GET /"),
        ("\r\n\r\nGET /", "GET /"),
        ("HEAD /", "HEAD /"),
        ("get /", "get /"),
        ("BREW /", "BREW /"),
        ("!#$%&'*+-.^_`|~09az /", "!#$%&'*+-.^_`|~09az /"),
        ("OPTIONS *", "OPTIONS *"),
        ("GET /a%2Fb//c/.d/..e;f=g/...?x=%zz&y=/./../", "GET /a%2Fb//c/.d/..e;f=g/...?x=%zz&y=/./../"),
        ("GET //x", "GET //x"),
        ("GET /?", "GET /?"),
        ("GET /\u{e9}\"<>\\^`{|}", "GET /\u{e9}\"<>\\^`{|}"),
        ("GET /http://x/", "GET /http://x/"),
        ("GET http://site.test/x?y", "GET /x?y"),
        ("GET hTTp://SITE.test:81/x", "GET /x"),
        ("GET https://site.test", "GET /"),
        ("GET http://site.test?x", "GET /?x"),
        ("OPTIONS http://site.test", "OPTIONS *"),
        ("OPTIONS http://site.test/", "OPTIONS /"),
    ] {
        for version in ["1.1", "1.2", "1.9"] {
            let request = format!("{sent} HTTP/{version}\r\nHost: site.test\r\n\r\n");
            let ours = if sent.contains("SITE.test:81") { ours_for("SITE.test:81") } else { OURS.to_owned() };
            accepted(&elb, &server, request.as_bytes(), format!("{seen} HTTP/1.1\r\n{ours}\r\n").as_bytes());
        }
    }
}

/// Old browsers and applications send their own encoding; whose it is, only the server knows.
#[test]
fn bytes_beyond_ascii_in_a_target_go_out_as_they_came() {
    let (server, elb) = pair();
    for target in [
        &b"/s?q=\xd6\xd0\xce\xc4"[..], // GBK
        b"/caf\xe9",                   // Latin-1
        b"/a?x=\xff",
        b"/\xe2\x82", // half a character of UTF-8
        b"/\x80\x9f\xa0\xc0\xaf\xfe",
        "/\u{20ac}?\u{1f600}".as_bytes(),
    ] {
        let request = [b"GET ", target, b" HTTP/1.1\r\nHost: site.test\r\n\r\n"].concat();
        let seen = [b"GET ", target, b" HTTP/1.1\r\n", OURS.as_bytes(), b"\r\n"].concat();
        accepted(&elb, &server, &request, &seen);
    }
}

#[test]
fn the_authority_of_the_target_wins_over_host() {
    let (server, elb) = pair();
    for host in ["other.test", "", "other.test:99", "a%41"] {
        let request = format!("GET http://site.test/ HTTP/1.1\r\nHost: {host}\r\n\r\n");
        accepted(&elb, &server, request.as_bytes(), format!("GET / HTTP/1.1\r\n{OURS}\r\n").as_bytes());
    }
    for host in ["SITE.test", "site.test:", "site.test:8080", "site.test.", "site.test.:65535"] {
        let request = format!("GET / HTTP/1.1\r\nhost:{host}\t\r\n\r\n");
        let ours = ours_for(host);
        accepted(&elb, &server, request.as_bytes(), format!("GET / HTTP/1.1\r\n{ours}\r\n").as_bytes());
    }
}

#[test]
fn fields_keep_their_case_their_order_and_their_bytes() {
    let (server, elb) = pair();
    for fields in [
        &b"A:b\r\na: c\r\nA:  d \t\r\nB:\r\nA: e\r\n"[..],
        b"x-lower: 1\r\nX-UPPER: 2\r\nx_under.dot: 3\r\nX_Trace_Id: 4\r\n",
        b"A: \xe9\xff\x80\r\nB: a\tb\r\nC: \"quoted, list\", (x)\r\n",
        b"!#$%&'*+-.^_`|~: odd\r\n",
        b"Via: 1.1 before\r\nForwarded: for=x\r\nX-Forwarded-Server: y\r\nX-Forwarded-Protocol: z\r\n",
        b"User-Agent: one\r\nCookie: a=1\r\nCookie: b=2\r\nAuthorization: x\r\nCONTENT-length: 0\r\n",
        b"Referer: a\r\nReferer: b\r\nContent-Type: c\r\nContent-Type: d\r\nAccept: e\r\nAccept: f\r\n",
    ] {
        let request = [b"GET / HTTP/1.1\r\nHost: site.test\r\n", fields, b"\r\n"].concat();
        let seen = [b"GET / HTTP/1.1\r\n", OURS.as_bytes(), fields, b"\r\n"].concat();
        accepted(&elb, &server, &request, &seen);
    }
}

#[test]
fn names_that_a_server_would_confuse_with_ours_are_dropped() {
    let (server, elb) = pair();
    accepted(
        &elb,
        &server,
        b"GET / HTTP/1.1\r\nHost: site.test\r\nX_Real_IP: 1\r\nx-real_ip: 2\r\nX_Forwarded_For: 3\r\nX-Real-IP: 4\r\n\
          REMOTE_HOST: 5\r\nRemote-Host: 6\r\nUser_Agent: 9\r\nContent_Length: 7\r\nTransfer_Encoding: chunked\r\nX_Other: 8\r\n\r\n",
        format!("GET / HTTP/1.1\r\n{OURS}X_Other: 8\r\n\r\n").as_bytes(),
    );
    let ruled = Server::named("ruled");
    let elb = Launch::serving(&serde_json::json!({
        "domains": {"site.test": {"init": "r1", "rules": {"r1": {"type": "backend",
            "args": {"servername": "up", "X-User": "nobody"}}}}},
        "upstreams": {"up": rules::upstream(&[&ruled], "")},
    }))
    .start();
    elb.client()
        .ask("GET / HTTP/1.1\r\nHost: site.test\r\nX_User: root\r\nx-USER: root\r\nX-Users: all\r\n\r\n");
    let seen = String::from_utf8(ruled.request().wire()).expect("text");
    assert_eq!(seen, format!("GET / HTTP/1.1\r\n{OURS}X-Users: all\r\nX-User: nobody\r\n\r\n"));
}

#[test]
fn http_1_0_goes_out_as_1_1() {
    let (server, elb) = pair();
    let mut client = elb.client();
    client.ask("GET / HTTP/1.0\r\nHost: site.test\r\nTE: trailers\r\nExpect: 100-continue\r\nA: b\r\n\r\n");
    client.ended();
    let seen = String::from_utf8(server.request().wire()).expect("text");
    assert_eq!(seen, format!("GET / HTTP/1.1\r\n{OURS}A: b\r\n\r\n"));
}

/// A server that is asked in HTTP/1.1 must be told a host, and an empty one is none: nobody makes one up.
#[test]
fn http_1_0_without_a_host_goes_out_without_one_or_with_the_rules() {
    let (server, named) = (Server::named("x"), Server::named("named"));
    let any = |args: serde_json::Value| serde_json::json!({"*": {"init": "r1", "rules": {"r1": {"type": "backend", "args": args}}}});
    for (server, args, host) in [
        (&server, serde_json::json!({"servername": "up"}), ""),
        (&named, serde_json::json!({"servername": "up", "host": "known.test"}), "Host: known.test\r\n"),
    ] {
        let elb = Launch::serving(&serde_json::json!({
            "domains": any(args),
            "upstreams": {"up": rules::upstream(&[server], "")},
        }))
        .start();
        let ours = OURS.replacen("Host: site.test\r\n", host, 1);
        let ours = ours.replace("X-Forwarded-Port: 80\r\nX-Forwarded-Host: site.test\r\n", "");
        for (sent, seen) in [("GET /", "GET /"), ("GET /a?b", "GET /a?b"), ("OPTIONS *", "OPTIONS *")] {
            assert_eq!(elb.client().ask(format!("{sent} HTTP/1.0\r\nA: b\r\n\r\n")).status(), 200);
            let wire = String::from_utf8(last(server).wire()).expect("text");
            assert_eq!(wire, format!("{seen} HTTP/1.1\r\n{ours}A: b\r\n\r\n"));
        }
        // One that is empty is no better in the old version than in the new.
        for version in ["1.0", "1.1"] {
            let request = format!("GET / HTTP/{version}\r\nHost:\r\n\r\n");
            refused(&elb, 400, "bad-host", request.as_bytes());
        }
        refused(&elb, 400, "no-host", b"GET / HTTP/1.1\r\n\r\n");
    }
}

#[test]
fn a_host_may_hold_escapes_and_is_another_one_with_them() {
    let (any, site) = (Server::named("any"), Server::named("site"));
    let elb = Launch::serving(&serde_json::json!({
        "domains": {"*": rules::to("any"), "site.test": rules::to("site"), "*.test": rules::to("site")},
        "upstreams": {"any": rules::upstream(&[&any], ""), "site": rules::upstream(&[&site], "")},
    }))
    .start();
    for (sent, by, seen) in [
        ("a%41", "any", "a%41"),
        ("A%4A.example:80", "any", "a%4a.example"),
        ("%73ite.test", "site", "%73ite.test"),
        ("site%2etest", "any", "site%2etest"),
    ] {
        let answer = elb.client().ask(format!("GET / HTTP/1.1\r\nHost: {sent}\r\n\r\n"));
        assert_eq!(answer.text(), by, "{sent}");
        let server = if by == "any" { &any } else { &site };
        assert_eq!(last(server).head.get("Host"), Some(seen), "{sent}");
    }
}

#[test]
fn expectations_are_a_list_of_which_nothing_is_nothing() {
    let (server, elb) = pair();
    for value in ["", ",", "100-continue,", ", 100-continue", "100-continue, 100-CONTINUE", "100-continue"] {
        let mut client = elb.client();
        client.send(format!(
            "POST /p HTTP/1.1\r\nHost: site.test\r\nExpect: {value}\r\nContent-Length: 3\r\n\r\n"
        ));
        if value.contains("100") {
            assert_eq!(client.head().status(), 100, "{value:?}");
        }
        client.send("abc");
        assert_eq!(client.response().status(), 200, "{value:?}");
        let wire = String::from_utf8(last(&server).wire()).expect("text");
        assert_eq!(wire, format!("POST /p HTTP/1.1\r\n{OURS}Content-Length: 3\r\n\r\nabc"), "{value:?}");
    }
}
