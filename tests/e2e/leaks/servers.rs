//! The servers of the storm: good ones, which check what they are asked, and bad ones, each connection in its own way.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::Storm;
use crate::support::chance::Chance;
use crate::support::message::Head;
use crate::support::server::{Conversation, Server};
use crate::support::websocket::ACCEPTED;

/// What belongs to a number, and to no other: content in which a byte too many or of another request shows.
pub(super) fn content(number: u64, length: usize) -> Vec<u8> {
    format!("<{number}>").into_bytes().into_iter().cycle().take(length).collect()
}

/// The answer of a good server: framed in one of four ways, the last of which ends with the connection.
fn answer(number: u64, length: usize, to_head: bool) -> Vec<u8> {
    let content = content(number, length);
    let (framing, body) = match number % 4 {
        0 => (format!("Content-Length: {length}"), content),
        1 => ("Transfer-Encoding: chunked".to_owned(), chunks(&content)),
        2 => {
            let early = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
            let head =
                format!("{early}HTTP/1.1 200 OK\r\nX-Number: {number}\r\nContent-Length: {length}\r\n\r\n");
            return [head.into_bytes(), if to_head { Vec::new() } else { content }].concat();
        }
        _ => ("Connection: close".to_owned(), content),
    };
    let head = format!("HTTP/1.1 200 OK\r\nX-Number: {number}\r\n{framing}\r\n\r\n");
    [head.into_bytes(), if to_head { Vec::new() } else { body }].concat()
}

fn chunks(content: &[u8]) -> Vec<u8> {
    let mut chunked = Vec::new();
    for piece in content.chunks(1000) {
        chunked.extend(format!("{:x}\r\n", piece.len()).bytes());
        chunked.extend(piece);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    chunked
}

/// The number and the length that a request for `/NUMBER/LENGTH` asks for.
fn asked(head: &Head) -> Option<(u64, usize)> {
    let (number, length) = head.target().strip_prefix('/')?.split_once('/')?;
    Some((number.parse().ok()?, length.parse().ok()?))
}

/// A server that answers everything as it should, and finds fault with what no client of the storm can have asked.
pub(super) fn good(storm: &Arc<Storm>) -> Server {
    let storm = Arc::clone(storm);
    Server::start(move |talk| {
        while let Some(head) = talk.head()? {
            if head.get("Upgrade").is_some() {
                return echo(talk);
            }
            let mut body = Vec::new();
            talk.body(&head, &mut |piece| body.extend_from_slice(piece))?;
            let Some((number, length)) = asked(&head) else {
                storm.fault(format!("a server was asked for {}", head.line));
                return Ok(());
            };
            if head.get("X-Number").is_some_and(|told| told != number.to_string())
                || body != content(number, body.len())
            {
                storm.fault(format!("a server got parts of two requests: {head:?}"));
            }
            talk.send(answer(number, length, head.method() == "HEAD"))?;
            if number % 4 == 3 {
                return Ok(());
            }
        }
        Ok(())
    })
}

/// Sends back whatever comes.
fn echo(talk: &mut Conversation) -> io::Result<()> {
    talk.send(ACCEPTED)?;
    loop {
        let bytes = talk.some()?;
        if bytes.is_empty() {
            return Ok(());
        }
        talk.send(bytes)?;
    }
}

/// A server that does something else on each connection. What it says that is not the answer is `WRONG`.
pub(super) fn bad(seed: u64) -> Server {
    Server::start(move |talk| {
        let mut chance = Chance::new(seed << 32 | talk.number as u64);
        while let Some(head) = talk.head()? {
            talk.body(&head, &mut |_| {})?;
            let Some((number, length)) = asked(&head) else { return Ok(()) };
            let right = answer(number, length, head.method() == "HEAD");
            if !behaves(talk, &mut chance, &right, number)? {
                return Ok(());
            }
        }
        Ok(())
    })
}

/// Answers in one way or another. Gives whether the connection goes on.
fn behaves(talk: &mut Conversation, chance: &mut Chance, right: &[u8], number: u64) -> io::Result<bool> {
    let some = chance.below(right.len());
    match chance.below(14) {
        0..=2 => talk.send(right).map(|()| number % 4 != 3),
        3 => {
            for piece in right.chunks(right.len() / 4 + 1) {
                talk.send(piece)?;
                thread::sleep(Duration::from_millis(chance.between(1, 30) as u64));
            }
            Ok(number % 4 != 3)
        }
        // The end of a body that ends with its connection cannot be told from a cut, unless it is a reset.
        4 if number % 4 != 3 => talk.send(&right[..some]).map(|()| false),
        4 | 5 => {
            talk.send(&right[..some])?;
            talk.crash().map(|()| false)
        }
        6 => Ok(false),
        7 => talk.some().map(|_| false),
        8 => {
            // As an attack on whoever asks next; in one packet, for what comes later may be an answer.
            let wrong = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nWRONG";
            let right = if number % 4 == 3 { b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" } else { right };
            talk.send([right, wrong].concat()).map(|()| true)
        }
        9 => talk
            .send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nWRONG!")
            .map(|()| true),
        10 => talk
            .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5 x\r\nWRONG\r\n0\r\n\r\n")
            .map(|()| true),
        11 => talk.send("SSH-2.0-WRONG\r\n").map(|()| true),
        12 => {
            talk.send("HTTP/1.1 101 WRONG\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nWRONG").map(|()| true)
        }
        _ => talk.send("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n").map(|()| true),
    }
}
