//! What comes before a final response: interim responses, `100 Continue`, and the switch to another protocol.

use std::sync::mpsc;

use crate::support::client::get;
use crate::support::elb::Launch;
use crate::support::exact::OURS;
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, ok};
use crate::support::stage::Then::{Closes, Waits};
use crate::support::stage::{bad_gateway, hear, paths, stage};
use crate::support::wait::PATIENCE;

const FINAL: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";

#[test]
fn interim_responses_reach_http_1_1_and_never_1_0() {
    for (interim, passes) in [
        (&b"HTTP/1.1 100 Continue\r\n\r\n"[..], &b""[..]),
        (b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n"),
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: a\r\nlink: b\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nLink: a\r\nlink: b\r\n\r\n",
        ),
        (
            b"HTTP/1.1 199 Unheard Of\r\nContent-Length: 5\r\nConnection: A\r\nA: b\r\n\r\n",
            b"HTTP/1.1 199 Unheard Of\r\n\r\n",
        ),
        (b"HTTP/1.0 103 \r\nTransfer-Encoding: gzip\r\n\r\n", b""),
    ] {
        let says = [interim, interim, FINAL].concat();
        let (_server, elb) = stage(&[(&says, Waits)]);
        for path in paths(0) {
            let heard = hear(&elb, &format!("GET {path} HTTP/1.1"), "");
            if interim.starts_with(b"HTTP/1.0") {
                bad_gateway(&heard, "bad-response-framing", interim); // Chunks are not spoken there.
                continue;
            }
            let expected = [passes, passes, FINAL].concat();
            assert_eq!(heard.0.escape_ascii().to_string(), expected.escape_ascii().to_string());
            let (old, _) = hear(&elb, &format!("GET {path} HTTP/1.0"), "");
            assert_eq!(old, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
        }
    }
}

#[test]
fn interim_responses_are_counted() {
    let flood = |count: usize| [&b"HTTP/1.1 103 Early\r\n\r\n".repeat(count)[..], FINAL].concat();
    let (most, more, endless) = (flood(64), flood(65), flood(1000));
    let (_server, elb) = stage(&[(&most, Waits), (&more, Closes), (&endless, Closes)]);
    assert_eq!(hear(&elb, "GET /0 HTTP/1.1", "").0, most);
    for path in ["/1", "/2"] {
        bad_gateway(&hear(&elb, &format!("GET {path} HTTP/1.0"), ""), "too-many-interim-responses", &more);
        let (heard, _) = hear(&elb, &format!("GET {path} HTTP/1.1"), "");
        assert!(!heard.windows(15).any(|window| window == b"HTTP/1.1 200 OK"), "{}", heard.escape_ascii());
    }
}

#[test]
fn only_elb_answers_an_expectation_and_never_to_http_1_0() {
    let server = Server::answering(|request| format!("HTTP/1.1 100 Continue\r\n\r\n{}", ok(&request.text())));
    let elb = Launch::serving(&rules::site(&[&server])).start();
    let head = |version: &str| {
        format!("PUT / HTTP/{version}\r\nHost: {SITE}\r\nContent-Length: 4\r\nExpect: 100-Continue\r\n\r\n")
    };
    let mut client = elb.client();
    client.send(head("1.1"));
    assert_eq!(client.bytes(25), b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send("body");
    assert_eq!(client.response().text(), "body");
    client.send(head("1.1") + "body");
    let answer = client.response();
    assert!(
        answer.status() == 200 || client.response().text() == "body",
        "a body that is there may need no word"
    );

    let mut old = elb.client();
    old.send(head("1.0"));
    old.send("body");
    assert_eq!(old.response().text(), "body", "no 100 before it");
    for request in server.requests() {
        let seen = String::from_utf8(request.wire()).expect("text");
        assert_eq!(seen, format!("PUT / HTTP/1.1\r\n{OURS}Content-Length: 4\r\n\r\nbody"));
    }
}

#[test]
fn a_switch_of_protocols_is_taken_only_as_it_was_asked_for() {
    let switch = |protocol: &str| format!("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\n{protocol}\r\n");
    let asks = "Connection: Upgrade\r\nUpgrade: websocket, chat/2\r\n";
    for (version, fields, answer) in [
        ("1.1", "", switch("Upgrade: websocket\r\n")),
        ("1.1", "Upgrade: websocket\r\n", switch("Upgrade: websocket\r\n")),
        ("1.1", "Connection: Upgrade\r\n", switch("Upgrade: websocket\r\n")),
        ("1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\n", switch("Upgrade: h2c\r\n")),
        ("1.0", asks, switch("Upgrade: websocket\r\n")),
        ("1.1", asks, switch("Upgrade: other\r\n")),
        ("1.1", asks, switch("Upgrade: websocket, other\r\n")),
        ("1.1", asks, switch("Upgrade:\r\n")),
        ("1.1", asks, switch("")),
        ("1.1", asks, "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n".to_owned()),
        // HTTP/1.0 knows no upgrades (RFC 9110, section 7.8).
        ("1.1", asks, switch("Upgrade: websocket\r\n").replace("HTTP/1.1", "HTTP/1.0")),
    ] {
        let (_server, elb) = stage(&[(answer.as_bytes(), Waits)]);
        let heard = hear(&elb, &format!("GET /0 HTTP/{version}"), fields);
        bad_gateway(&heard, "unasked-switch", format!("{fields:?} {answer:?}").as_bytes());
    }
    let answer = switch("Upgrade: WebSocket\r\nA: b\r\n");
    let (_server, elb) = stage(&[(answer.as_bytes(), Closes)]);
    let (heard, _) = hear(&elb, "GET /0 HTTP/1.1", asks);
    let expected = "HTTP/1.1 101 Switching\r\nA: b\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&heard), expected);
}

#[test]
fn an_upgrade_may_have_a_body_and_switches_behind_it() {
    let (seen, sees) = mpsc::channel();
    let server = Server::start(move |talk| {
        let request = talk.request()?.expect("a request");
        seen.send(request.wire()).expect("a test that listens");
        talk.send("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")?;
        let bytes = talk.bytes(4)?;
        talk.send(bytes)
    });
    let elb = Launch::serving(&rules::site(&[&server])).start();
    let mut client = elb.client();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: {SITE}\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: 4\r\n\r\nbodyraw!"
    ));
    assert_eq!(client.head().status(), 101);
    assert_eq!(client.bytes(4), b"raw!");
    client.ended();
    let expected = format!(
        "POST / HTTP/1.1\r\n{OURS}Content-Length: 4\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nbody"
    );
    assert_eq!(String::from_utf8_lossy(&sees.recv_timeout(PATIENCE).expect("a request")), expected);
}

#[test]
fn an_early_answer_arrives_while_the_upload_still_runs() {
    let (go, goes) = mpsc::channel::<()>();
    let goes = std::sync::Mutex::new(goes);
    let server = Server::start(move |talk| {
        talk.head()?;
        talk.send("HTTP/1.1 413 Too Much\r\nContent-Length: 4\r\n\r\nstop")?;
        let _ = goes.lock().expect("one connection").recv_timeout(PATIENCE);
        Ok(())
    });
    let elb = Launch::serving(&rules::site(&[&server])).start();
    let mut client = elb.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 100000\r\n\r\nbegin"));
    let answer = client.response();
    assert_eq!((answer.status(), answer.text().as_str()), (413, "stop"));
    assert_eq!(answer.head.get("Connection"), Some("close"), "the next request would meet the end");
    let _ = client.try_send(get(SITE, "/smuggled"));
    go.send(()).expect("a server that waits");
    client.finish();
    client.ended();
    assert_eq!(server.requests().len(), 0);
}
