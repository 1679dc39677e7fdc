//! Request bodies: every framing and size, streamed in bounded memory.

use std::io;
use std::sync::mpsc;

use crate::support::client::Client;
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::{Conversation, Server, ok};
use crate::support::wait::PATIENCE;

/// What the process may grow by while a body of any size passes: its windows, and what the allocator keeps.
const GROWTH: u64 = 16 << 20;
/// The largest body that the default settings let through.
const LARGEST: usize = 50 << 20;

/// Bytes that say where they are, so that a lost, doubled or moved one shows.
fn sample(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// A number that any change of any byte changes.
fn checksum(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// A script that reads bodies as they come and answers with their length and checksum.
fn weigh(talk: &mut Conversation) -> io::Result<()> {
    while let Some(head) = talk.head()? {
        let (mut length, mut sum) = (0, 0);
        talk.body(&head, &mut |piece| {
            length += piece.len();
            sum = checksum(sum, piece);
        })?;
        talk.send(ok(&format!("{length} {sum}")))?;
    }
    Ok(())
}

fn weight(body: &[u8]) -> String {
    format!("{} {}", body.len(), checksum(0, body))
}

fn post_with_length(client: &mut Client, body: &[u8]) {
    client.send(format!("POST / HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.send(body);
}

fn post_in_chunks(client: &mut Client, body: &[u8], chunk: usize) {
    client.send(format!("POST / HTTP/1.1\r\nHost: {SITE}\r\nTransfer-Encoding: chunked\r\n\r\n"));
    for chunk in body.chunks(chunk) {
        let mut piece = format!("{:x}\r\n", chunk.len()).into_bytes();
        piece.extend_from_slice(chunk);
        piece.extend_from_slice(b"\r\n");
        client.send(piece);
    }
    client.send("0\r\n\r\n");
}

#[test]
fn bodies_of_every_size_arrive_whole_in_both_framings() {
    let server = Server::start(weigh);
    let elb = Elb::before(&[&server]);
    let mut client = elb.client();

    for length in [0, 1, 2, 1000, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 262_145, 1 << 20] {
        let body = sample(length);
        post_with_length(&mut client, &body);
        assert_eq!(client.response().text(), weight(&body), "{length} bytes with a length");
        for chunk in [1021, 16_384, 100_000] {
            post_in_chunks(&mut client, &body, chunk);
            assert_eq!(client.response().text(), weight(&body), "{length} bytes in chunks of {chunk}");
        }
    }
}

#[test]
fn the_largest_body_passes_without_the_process_growing() {
    let server = Server::start(weigh);
    let elb = Elb::before(&[&server]);
    let body = sample(LARGEST);
    let mut client = elb.client();
    post_with_length(&mut client, &body[..1 << 20]);
    client.response();
    let before = elb.memory();

    post_with_length(&mut client, &body);
    assert_eq!(client.response().text(), weight(&body));
    post_in_chunks(&mut client, &body, 65_536);
    assert_eq!(client.response().text(), weight(&body));

    let after = elb.memory();
    assert!(after.peak < before.peak + GROWTH, "{before:?} became {after:?}");
}

#[test]
fn a_body_above_the_limit_is_refused_by_its_length_and_while_it_comes() {
    let server = Server::start(weigh);
    let elb = Launch::serving(&rules::site(&[&server])).flag("--max-body=64k").start();

    let mut client = elb.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 65537\r\n\r\n"));
    assert_eq!(client.response().status(), 413);

    let mut client = elb.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: {SITE}\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n"));
    let _ = client.try_send(sample(65_537));
    assert_eq!(client.response().status(), 413);

    let mut client = elb.client();
    post_with_length(&mut client, &sample(65_536));
    assert_eq!(client.response().status(), 200, "the limit itself is allowed");
}

#[test]
fn a_body_streams_before_it_is_whole() {
    let (arrived, arrivals) = mpsc::channel();
    let server = Server::start(move |talk| {
        let head = talk.head()?.expect("a request");
        talk.body(&head, &mut |piece| arrived.send(piece.to_vec()).expect("a test that listens"))?;
        talk.send(ok("thanks"))
    });
    let elb = Elb::before(&[&server]);

    let mut client = elb.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 6\r\n\r\none"));
    assert_eq!(arrivals.recv_timeout(PATIENCE).expect("the first half, before the second was sent"), b"one");
    client.send("two");
    assert_eq!(arrivals.recv_timeout(PATIENCE).expect("the second half"), b"two");
    assert_eq!(client.response().text(), "thanks");
}

#[test]
fn a_client_that_expects_100_continue_is_told_to_go_on() {
    let server = Server::answering(|request| ok(&request.text()));
    let elb = Elb::before(&[&server]);

    let mut client = elb.client();
    client
        .send(format!("PUT / HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"));
    assert_eq!(client.head().status(), 100);
    client.send("body");
    assert_eq!(client.response().text(), "body");
    assert_eq!(server.request().head.get("Expect"), None);
}

#[test]
fn a_client_that_expects_100_continue_is_refused_before_it_sends() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).flag("--max-body=1k").start();

    for (host, length, status) in [("nobody.test", 5, 404), (SITE, 1025, 413)] {
        let mut client = elb.client();
        client.send(format!(
            "PUT / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        ));
        assert_eq!(client.response().status(), status);
    }
    let mut client = elb.client();
    let answer = client.ask(format!("GET / HTTP/1.1\r\nHost: {SITE}\r\nExpect: a miracle\r\n\r\n"));
    assert_eq!(answer.status(), 417);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn an_answer_may_come_while_the_body_is_still_on_its_way() {
    let server = Server::start(|talk| {
        talk.head()?;
        talk.send("HTTP/1.1 413 Too Much\r\nContent-Length: 4\r\nConnection: close\r\n\r\nstop")?;
        talk.finish()?;
        while !talk.some()?.is_empty() {}
        Ok(())
    });
    let elb = Elb::before(&[&server]);

    let mut client = elb.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 1000000\r\n\r\nbegin"));
    let answer = client.response();
    assert_eq!((answer.status(), answer.text().as_str()), (413, "stop"));
}

#[test]
fn a_body_that_is_cut_short_never_looks_whole_to_the_server() {
    let (ending, endings) = mpsc::channel();
    let server = Server::start(move |talk| {
        let end = talk.request().map(|request| request.is_some());
        ending.send(end.is_ok_and(|whole| whole)).expect("a test that listens");
        Ok(())
    });
    let elb = Elb::before(&[&server]);

    for start in ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let mut client = elb.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: {SITE}\r\n{start}"));
        drop(client);
        // A request that was cut before a server was chosen need not reach one at all.
        if let Ok(whole) = endings.recv_timeout(std::time::Duration::from_secs(2)) {
            assert!(!whole, "the server took a cut request for a whole one: {start:?}");
        }
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn what_comes_behind_an_early_answer_is_read_for_a_time_however_much_it_is() {
    // 404 is ELB's own answer, the other a server's.
    let server = Server::start(|talk| {
        talk.head()?;
        talk.send("HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\nstop")?;
        while !talk.some()?.is_empty() {}
        Ok(())
    });
    let elb = Elb::before(&[&server]);
    for (host, status) in [(SITE, 403), ("nobody.test", 404)] {
        let mut client = elb.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 30000000\r\n\r\n"));
        // A client that sends all before it reads: a reset would take the answer from it.
        let piece = vec![b'x'; 1_000_000];
        for _ in 0..30 {
            client.send(&piece);
        }
        let answer = client.response();
        assert_eq!((answer.status(), answer.head.get("Connection")), (status, Some("close")));
        client.finish();
        client.ended();
    }
}
