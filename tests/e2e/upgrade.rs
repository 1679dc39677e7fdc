//! Upgrades: a websocket through ELB, and requests to upgrade that lead nowhere.

use std::io;
use std::sync::mpsc;

use crate::support::client::Client;
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::{Conversation, Server, ok};
use crate::support::wait::PATIENCE;
use crate::support::websocket::{ACCEPTED, frame, handshake, payload};

/// A websocket server that sends every message back, and says farewell when the client has finished.
fn echo(talk: &mut Conversation) -> io::Result<()> {
    if talk.request()?.is_none() {
        return Ok(());
    }
    talk.send(ACCEPTED)?;
    while let Ok(message) = payload(|length| talk.bytes(length)) {
        talk.send(frame(&message, false))?;
    }
    talk.send(frame(b"farewell", false))
}

#[track_caller]
fn received(client: &mut Client) -> Vec<u8> {
    payload(|length| Ok::<_, io::Error>(client.bytes(length))).expect("a frame")
}

#[test]
fn a_websocket_carries_messages_of_every_size_both_ways() {
    let server = Server::start(echo);
    let elb = Elb::before(&[&server]);

    let mut client = elb.client();
    client.send(handshake(SITE));
    let head = client.head();
    assert_eq!(head.status(), 101);
    assert_eq!(head.get("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(head.get("Upgrade").map(str::to_lowercase).as_deref(), Some("websocket"));
    assert_eq!(head.get("Connection").map(str::to_lowercase).as_deref(), Some("upgrade"));
    let seen = server.request().head;
    assert_eq!(seen.get("Upgrade").map(str::to_lowercase).as_deref(), Some("websocket"));
    assert_eq!(seen.get("Connection").map(str::to_lowercase).as_deref(), Some("upgrade"));

    for length in [0, 1, 125, 126, 65_535, 65_536, 3_000_000] {
        let message: Vec<u8> = (0..length).map(|at| (at % 253) as u8).collect();
        let mut sender = client.sender();
        let frame = frame(&message, true);
        let sending = std::thread::spawn(move || sender.send(&frame));
        assert!(received(&mut client) == message, "{length} bytes came back changed");
        sending.join().expect("the sender").expect("a whole frame sent");
    }
}

#[test]
fn each_direction_of_a_tunnel_ends_by_itself() {
    let server = Server::start(echo);
    let elb = Elb::before(&[&server]);

    let mut client = elb.client();
    client.send(handshake(SITE));
    client.head();
    client.send(frame(b"last words", true));
    client.finish();

    assert_eq!(received(&mut client), b"last words");
    assert_eq!(received(&mut client), b"farewell", "the server still spoke when the client had finished");
    client.ended();
}

#[test]
fn a_server_that_has_finished_still_hears_its_client() {
    let (heard, hears) = mpsc::channel();
    let server = Server::start(move |talk| {
        talk.request()?;
        talk.send([ACCEPTED.as_bytes(), &frame(b"last words", false)].concat())?;
        talk.finish()?;
        let message = payload(|length| talk.bytes(length))?;
        heard.send((message, talk.some()?)).expect("a test that listens");
        Ok(())
    });
    let elb = Elb::before(&[&server]);

    let mut client = elb.client();
    client.send(handshake(SITE));
    client.head();
    assert_eq!(received(&mut client), b"last words");
    client.ended();
    client.send(frame(b"after the end", true));
    client.finish();
    let expected = (b"after the end".to_vec(), Vec::new());
    assert_eq!(hears.recv_timeout(PATIENCE).expect("what came after the end"), expected);
}

#[test]
fn bytes_on_the_heels_of_both_heads_pass() {
    let server = Server::start(|talk| {
        talk.request()?;
        talk.send([ACCEPTED.as_bytes(), &frame(b"welcome", false)].concat())?;
        let message = payload(|length| talk.bytes(length))?;
        talk.send(frame(&message, false))
    });
    let elb = Elb::before(&[&server]);

    let mut client = elb.client();
    client.send([handshake(SITE).as_bytes(), &frame(b"early", true)].concat());

    assert_eq!(client.head().status(), 101);
    assert_eq!(received(&mut client), b"welcome");
    assert_eq!(received(&mut client), b"early");
    client.ended();
}

#[test]
fn an_open_websocket_survives_the_removal_of_its_upstream_and_domain() {
    let server = Server::start(echo);
    let elb = Elb::before(&[&server]);
    let mut client = elb.client();
    client.send(handshake(SITE));
    client.head();

    elb.admin().delete("domain", &serde_json::json!([SITE]));
    elb.admin().delete("upstream", &serde_json::json!(["up"]));

    client.send(frame(b"still there?", true));
    assert_eq!(received(&mut client), b"still there?");
}

#[test]
fn a_refused_upgrade_is_an_ordinary_answer() {
    let server = Server::answering(|_| ok("no"));
    let elb = Elb::before(&[&server]);

    let mut client = elb.client();
    assert_eq!(client.ask(handshake(SITE)).text(), "no");
    assert_eq!(client.ask(handshake(SITE)).text(), "no", "the connection still speaks HTTP");
}

#[test]
fn an_upgrade_to_http_2_is_not_passed_on() {
    let server = Server::named("a");
    let elb = Elb::before(&[&server]);

    let answer = elb.client().ask(format!(
        "GET / HTTP/1.1\r\nHost: {SITE}\r\nConnection: Upgrade, HTTP2-Settings\r\n\
         Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
    ));

    assert_eq!(answer.text(), "a");
    let seen = server.request().head;
    assert_eq!((seen.get("Upgrade"), seen.get("HTTP2-Settings")), (None, None));
}

#[test]
fn a_silent_tunnel_ends_after_its_own_time() {
    let server = Server::start(echo);
    let elb = Launch::serving(&rules::site(&[&server])).flag("--tunnel-timeout=300ms").start();

    let mut client = elb.client();
    client.send(handshake(SITE));
    assert_eq!(client.head().status(), 101);
    client.ended();
    assert_eq!((server.connections(), server.request().head.get("Upgrade")), (1, Some("websocket")));
}
