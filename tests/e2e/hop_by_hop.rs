//! What ends at this hop, in both directions, and what cannot be made to end there.

use crate::support::client::get;
use crate::support::elb::Launch;
use crate::support::exact::{OURS, accepted, pair};
use crate::support::rules::{self, SITE};
use crate::support::stage::Then::Waits;
use crate::support::stage::{actor, hear, stage};

/// Fields of a request, and what the server sees of them.
#[track_caller]
fn requests(cases: &[(&str, &str)]) {
    let (server, elb) = pair();
    for (sent, seen) in cases {
        let request = format!("GET / HTTP/1.1\r\nHost: site.test\r\n{sent}\r\n");
        accepted(&elb, &server, request.as_bytes(), format!("GET / HTTP/1.1\r\n{OURS}{seen}\r\n").as_bytes());
    }
}

/// Fields of a response, and what the client sees of them.
#[track_caller]
fn responses(cases: &[(&str, &str)]) {
    for (sent, seen) in cases {
        let says = format!("HTTP/1.1 200 OK\r\n{sent}Content-Length: 0\r\n\r\n");
        let (_server, elb) = stage(&[(says.as_bytes(), Waits)]);
        let (heard, _) = hear(&elb, "GET /0 HTTP/1.1", "");
        let expected = format!("HTTP/1.1 200 OK\r\n{seen}Content-Length: 0\r\n\r\n");
        assert_eq!(String::from_utf8_lossy(&heard), expected, "{sent:?}");
    }
}

/// Dropped in both directions, alone or with what stands around them.
const ENDS: &[(&str, &str)] = &[
    ("Connection: keep-alive\r\nA: b\r\n", "A: b\r\n"),
    ("Connection: X-Drop\r\nX-Drop: 1\r\nA: b\r\nx-drop: 2\r\n", "A: b\r\n"),
    ("X-Drop: 1\r\nA: b\r\nX-Drop: 2\r\nConnection: keep-alive ,\tx-DROP,,\r\n", "A: b\r\n"),
    ("Connection: X-One\r\nconnection: X-Two\r\nX-One: 1\r\nX-Two: 2\r\nX-Three: 3\r\n", "X-Three: 3\r\n"),
    ("Connection:\r\nA: b\r\n", "A: b\r\n"),
    ("Connection: X-Nobody\r\nX-Nobody-Else: 1\r\n", "X-Nobody-Else: 1\r\n"),
    ("Keep-Alive: timeout=5\r\nA: b\r\nKEEP-ALIVE: max=9\r\n", "A: b\r\n"),
    ("Proxy-Connection: keep-alive\r\nA: b\r\n", "A: b\r\n"),
    ("Upgrade: websocket\r\nA: b\r\n", "A: b\r\n"),
    ("TE: gzip\r\nA: b\r\n", "A: b\r\n"),
    ("HTTP2-Settings: AAMA\r\nConnection: HTTP2-Settings\r\nA: b\r\n", "A: b\r\n"),
];

/// Kept in both directions, for routing, framing or access rest on them.
const STAYS: &[&str] = &[
    "Authorization",
    "Cookie",
    "Set-Cookie",
    "Forwarded",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "Content-Type",
    "Content-Encoding",
    "Cache-Control",
    "Date",
    "Location",
    "Range",
    "WWW-Authenticate",
    "User-Agent",
];

#[test]
fn fields_of_the_hop_do_not_pass() {
    requests(ENDS);
    responses(ENDS);
}

#[test]
fn fields_that_others_rest_on_cannot_be_dropped_by_naming_them() {
    let named: Vec<(String, String)> = STAYS
        .iter()
        .map(|name| (format!("Connection: {name}\r\n{name}: 1\r\n"), format!("{name}: 1\r\n")))
        .collect();
    let cases: Vec<(&str, &str)> = named.iter().map(|(sent, seen)| (sent.as_str(), seen.as_str())).collect();
    responses(&cases);
    // How a request came to ELB says ELB, whoever else has a word on it.
    let said = |(sent, _): &&(&str, &str)| !sent.contains("X-Forwarded-");
    let (passes, ends): (Vec<_>, Vec<_>) = cases.iter().copied().partition(|case| said(&case));
    requests(&passes);
    requests(&ends.iter().map(|(sent, _)| (*sent, "")).collect::<Vec<_>>());
    requests(&[
        ("Connection: Host, X-Real-IP, X-Forwarded-For, REMOTE-HOST\r\nX-Real-IP: 9\r\nA: b\r\n", "A: b\r\n"),
        ("Connection: Content-Length\r\nContent-Length: 0\r\n", "Content-Length: 0\r\n"),
    ]);
    responses(&[("Connection: Content-Length, Content-Length\r\n", "")]);
}

#[test]
fn the_list_of_those_who_forwarded_grows_by_the_client() {
    let (server, elb) = pair();
    for (sent, list) in [
        ("X-Forwarded-For: 203.0.113.7\r\n", "203.0.113.7, 127.0.0.1"),
        ("X-Forwarded-For: a, b\r\nA: b\r\nx-forwarded-for:  c \r\n", "a, b, c, 127.0.0.1"),
        ("X-Forwarded-For:\r\n", "127.0.0.1"),
        ("Connection: X-Forwarded-For\r\nX-Forwarded-For: a\r\n", "a, 127.0.0.1"),
    ] {
        let seen = OURS.replace("X-Forwarded-For: 127.0.0.1", &format!("X-Forwarded-For: {list}"));
        let rest = if sent.contains("A: b") { "A: b\r\n" } else { "" };
        accepted(
            &elb,
            &server,
            format!("GET / HTTP/1.1\r\nHost: site.test\r\n{sent}\r\n").as_bytes(),
            format!("GET / HTTP/1.1\r\n{seen}{rest}\r\n").as_bytes(),
        );
    }
}

#[test]
fn of_te_only_trailers_survives() {
    let survives = "A: b\r\nConnection: TE\r\nTE: trailers\r\n";
    requests(&[
        ("TE: trailers\r\nA: b\r\n", survives),
        ("Connection: te\r\nTE: gzip, Trailers;q=1, deflate\r\nA: b\r\n", "A: b\r\n"),
        ("TE: deflate\r\nTE: gzip;q=0.1 ,trailers\r\nA: b\r\n", survives),
        ("TE: xtrailers\r\nA: b\r\n", "A: b\r\n"),
        ("TE:\r\nA: b\r\n", "A: b\r\n"),
    ]);
}

#[test]
fn an_upgrade_passes_only_when_it_is_one() {
    requests(&[
        (
            "Upgrade: websocket\r\nA: b\r\nConnection: keep-alive, Upgrade\r\n",
            "A: b\r\nConnection: upgrade\r\nUpgrade: websocket\r\n",
        ),
        (
            "Connection: upgrade, X-Drop\r\nX-Drop: 1\r\nUpgrade: a/1, b\r\nTE: trailers\r\n",
            "Connection: upgrade\r\nUpgrade: a/1, b\r\n",
        ),
        ("Connection: Upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n", "Connection: upgrade\r\nUpgrade: b\r\n"),
        (&format!("Connection: Upgrade\r\nUpgrade: {}\r\n", ["a"; 200].join(",")), ""),
        ("Connection: Upgrade\r\nUpgrade: h2c\r\n", ""),
        ("Connection: Upgrade\r\nUpgrade: websocket, H2C\r\n", ""),
        ("Connection: Upgrade\r\nUpgrade:\r\n", ""),
        ("Connection: Upgrade\r\n", ""),
        ("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n", ""),
    ]);
}

#[test]
fn close_in_any_case_and_place_ends_the_connection() {
    let (server, elb) = pair();
    for (version, fields, stays) in [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: X-Drop ,CLOSE\r\nX-Drop: 1\r\nClose: 1\r\n", false),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: KEEP-alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Connection: x, keep-alive\r\n", true),
        ("1.0", "Keep-Alive: timeout=5\r\n", false),
    ] {
        let mut client = elb.client();
        let before = server.requests().len();
        client.send(format!("GET / HTTP/{version}\r\nHost: {SITE}\r\n{fields}\r\n{}", get(SITE, "/next")));
        let answer = client.response();
        let word = match (stays, version) {
            (false, _) => Some("close"),
            (true, "1.0") => Some("keep-alive"),
            (true, _) => None,
        };
        assert_eq!(answer.head.get("Connection"), word, "HTTP/{version} {fields:?}");
        if stays {
            assert_eq!(client.response().text(), "seen", "HTTP/{version} {fields:?}");
        } else {
            client.ended();
        }
        let seen = server.requests().split_off(before);
        assert_eq!(seen[0].wire(), format!("GET / HTTP/1.1\r\n{OURS}\r\n").as_bytes());
        assert_eq!(seen.len(), 1 + usize::from(stays), "HTTP/{version} {fields:?}");
    }
}

#[test]
fn a_server_is_asked_again_on_its_connection_when_both_messages_ended_exactly() {
    for (head, stays) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: a, Close\r\n\r\nx", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: Keep-Alive\r\n\r\nx", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", true),
    ] {
        let server = actor(&[(head.as_bytes(), Waits)]);
        // One worker has one pool.
        let elb = Launch::serving(&rules::site(&[&server])).workers(1).start();
        let mut client = elb.client();
        for _ in 0..3 {
            assert_eq!(client.ask(get(SITE, "/0")).text(), "x");
        }
        assert_eq!(server.connections(), if stays { 1 } else { 3 }, "{head:?}");
    }
}

#[test]
fn a_server_is_not_asked_again_on_a_connection_that_may_still_have_something_to_say() {
    let length = "Content-Length: 2\r\n\r\nhi";
    let chunks = "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ];
    for (request, line, stays) in [
        ("HEAD /0", "\r\n", true),
        ("HEAD /1", "\r\n", false),
        ("HEAD /2", "\r\n", false),
        ("GET /3", "\r\n", true),
        ("GET /4", "\r\n", false),
        ("GET /5", "\r\n", false),
        ("GET /6", "\r\n", true),
        ("GET /0", length, false),
        ("GET /0", chunks, false),
        ("GET /0", "Content-Length: 0\r\n\r\n", true),
        ("HEAD /0", length, false),
        ("DELETE /0", length, false),
        ("DELETE /0", chunks, false),
        ("DELETE /0", "\r\n", true),
        ("OPTIONS /0", length, false),
        ("PUT /0", length, true),
        ("POST /0", chunks, true),
        ("PROPFIND /0", length, true),
    ]
    .map(|(line, rest, stays)| (format!("{line} HTTP/1.1\r\nHost: {SITE}\r\n{rest}"), line, stays))
    {
        let says: Vec<_> = answers.iter().map(|says| (says.as_bytes(), Waits)).collect();
        let server = actor(&says);
        let elb = Launch::serving(&rules::site(&[&server])).workers(1).start();
        let mut client = elb.client();
        for _ in 0..3 {
            assert!(client.ask(&request).status() < 400);
        }
        assert_eq!(server.connections(), if stays { 1 } else { 3 }, "{line} {request:?}");
    }
}
