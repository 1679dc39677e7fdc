//! A large answer to a slow reader: the server is held back, the process stays small and idle.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::client::get;
use crate::support::elb::Elb;
use crate::support::rules::SITE;
use crate::support::server::{Conversation, Server};
use crate::support::wait;

const GIGABYTE: u64 = 1 << 30;
/// What may be under way between a server and a client that does not read: socket buffers and windows.
const UNDER_WAY: u64 = 32 << 20;
/// What the process may grow by.
const GROWTH: u64 = 16 << 20;

/// A block whose bytes name their place, so that the client can check a gigabyte without holding it.
fn block() -> Vec<u8> {
    (0..1_u32 << 20).map(|at| (at % 251) as u8).collect()
}

/// Sends a gigabyte in the framing that the target names, and counts what has left.
fn pour(talk: &mut Conversation, sent: &AtomicU64) -> io::Result<()> {
    let request = talk.request()?.expect("a request");
    let chunked = request.head.target() == "/chunked";
    let block = block();
    talk.send(match chunked {
        true => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
        false => format!("HTTP/1.1 200 OK\r\nContent-Length: {GIGABYTE}\r\n\r\n"),
    })?;
    for _ in 0..GIGABYTE / block.len() as u64 {
        if chunked {
            talk.send(format!("{:x}\r\n", block.len()))?;
        }
        for piece in block.chunks(64 << 10) {
            talk.send(piece)?;
            sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
        }
        if chunked {
            talk.send("\r\n")?;
        }
    }
    if chunked { talk.send("0\r\n\r\n") } else { Ok(()) }
}

fn download(target: &str) {
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let server = Server::start(move |talk| pour(talk, &counter));
    let elb = Elb::before(&[&server]);
    let before = elb.memory();

    let mut client = elb.client();
    client.send(get(SITE, target));
    let head = client.head();
    let held = wait::until_still("the server to be held back", || sent.load(Ordering::SeqCst));
    assert!(held < UNDER_WAY, "{held} bytes left the server for a client that read none");

    let (spent, watched) = (elb.cpu(), Instant::now());
    wait::until("a while of standing still", || {
        (watched.elapsed() > Duration::from_millis(500)).then_some(())
    });
    let spent = elb.cpu() - spent;
    assert!(spent < Duration::from_millis(250), "{spent:?} of processor time to wait for half a second");

    let block = block();
    let mut at = 0_usize;
    let read = client.try_body(&head, &mut |mut piece| {
        while !piece.is_empty() {
            let offset = at % block.len();
            let length = piece.len().min(block.len() - offset);
            assert!(piece[..length] == block[offset..offset + length], "wrong bytes after {at}");
            (at, piece) = (at + length, &piece[length..]);
        }
    });
    read.expect("the whole body");
    assert_eq!(at as u64, GIGABYTE);

    let after = elb.memory();
    assert!(after.peak < before.peak + GROWTH, "{before:?} became {after:?}");
}

#[test]
fn a_gigabyte_with_a_length_to_a_reader_that_is_slow_at_first() {
    download("/length");
}

#[test]
fn a_gigabyte_in_chunks_to_a_reader_that_is_slow_at_first() {
    download("/chunked");
}

#[test]
fn a_client_that_goes_away_frees_the_server() {
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let (ending, endings) = std::sync::mpsc::channel();
    let server = Server::start(move |talk| {
        ending.send(pour(talk, &counter).is_err()).expect("a test that listens");
        Ok(())
    });
    let elb = Elb::before(&[&server]);

    let mut client = elb.client();
    client.send(get(SITE, "/length"));
    client.head();
    drop(client);

    let cut = endings.recv_timeout(wait::PATIENCE).expect("the end of the server's script");
    assert!(cut, "the whole gigabyte went to nobody");
}
