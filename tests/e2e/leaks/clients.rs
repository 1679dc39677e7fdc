//! The clients of the storm. Only valid ones judge what they hear; the others are judged by what ELB holds after them.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::servers::content;
use super::{BAD, GOOD, Storm, TEMP};
use crate::support::chance::Chance;
use crate::support::client::Client;
use crate::support::message::Message;
use crate::support::websocket::handshake;

/// Requests on one connection.
const PER_CONNECTION: usize = 20;
/// Longest answer that is asked for.
const LONGEST: usize = 100_000;
/// Longest that an odd client waits for anything: so much longer than ELB's own patience that ELB moves first.
const HURRY: Duration = Duration::from_secs(4);

/// Between two things of an odd client, so that it leaves the processor to others.
const PACE: Duration = Duration::from_millis(5);

/// Messages that must be refused, and behind which nothing may be read as a request.
const REFUSED: &[&str] = &[
    "POST /1/1 HTTP/1.1\r\nHost: good.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /1/1 HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST /1/1 HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "POST /1/1 HTTP/1.1\r\nHost: good.test\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "POST /1/1 HTTP/1.1\r\nHost: good.test\r\nContent-Length: +1\r\n\r\nx",
    "POST /1/1 HTTP/1.0\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET /1/1 HTTP/1.1\r\nHost: good.test\r\nX: a\r\n b\r\n\r\n",
    "GET /1/1 HTTP/1.1\r\nHost: good.test\nX: a\r\n\r\n",
    "GET /1/1 HTTP/1.1\r\nHost: good.test\r\nHost: bad.test\r\n\r\n",
    "GET http://u@good.test/1/1 HTTP/1.1\r\nHost: good.test\r\n\r\n",
    "GET /1/1 HTTP/1.1\r\nHost: good.test\r\nX: \0\r\n\r\n",
    "GET /1/../../1 HTTP/1.1\r\nHost: good.test\r\n\r\n",
    "CONNECT good.test:80 HTTP/1.1\r\nHost: good.test\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];
/// What would be a request if ELB lost its place.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: good.test\r\n\r\n";

/// A request that a server can check, and what must come of it.
struct Asked {
    number: u64,
    length: usize,
    host: &'static str,
    method: &'static str,
    bytes: Vec<u8>,
}

impl Asked {
    fn any(chance: &mut Chance) -> Asked {
        let number = chance.below(1 << 40) as u64;
        let length = chance.below(1 << chance.clone().between(4, 17)).min(LONGEST);
        let host = chance.pick(&[GOOD, GOOD, GOOD, GOOD, GOOD, BAD, TEMP]);
        let method = chance.pick(&["GET", "GET", "HEAD", "PUT", "POST"]);
        let mut head =
            format!("{method} /{number}/{length} HTTP/1.1\r\nHost: {host}\r\nX-Number: {number}\r\n");
        let mut body = Vec::new();
        if matches!(method, "PUT" | "POST") {
            body = content(number, chance.below(20_000));
            if chance.one_in(2) {
                head += "Transfer-Encoding: chunked\r\n";
                let last = if body.is_empty() { "0\r\n\r\n" } else { "\r\n0\r\n\r\n" };
                let size = if body.is_empty() { String::new() } else { format!("{:x}\r\n", body.len()) };
                body = [size.as_bytes(), &body, last.as_bytes()].concat();
            } else {
                head += &format!("Content-Length: {}\r\n", body.len());
            }
        }
        let bytes = [head.as_bytes(), b"\r\n", &body].concat();
        Asked { number, length, host, method, bytes }
    }

    /// The whole answer; `None` when there was none that is.
    fn judge(&self, answer: Option<&Message>) -> Result<(), String> {
        let Some(answer) = answer else {
            return if self.host == BAD { Ok(()) } else { Err("no whole answer".to_owned()) };
        };
        let what =
            || format!("{}: {}", answer.head.line, answer.text().chars().take(200).collect::<String>());
        match (answer.status(), self.host) {
            (200, _) => {}
            (404 | 502, TEMP) | (500 | 502 | 504, BAD) => return Ok(()),
            _ => return Err(what()),
        }
        let lied = self.host == BAD && self.number % 4 == 3 && answer.body.is_empty();
        let body = if self.method == "HEAD" { Vec::new() } else { content(self.number, self.length) };
        if lied || answer.body == body { Ok(()) } else { Err(what()) }
    }
}

/// Asks well, one request after the other or several at once, and judges every answer.
pub(super) fn valid(storm: &Storm, to: SocketAddr, mut chance: Chance) {
    while storm.goes_on() {
        storm.opens("valid");
        let mut client = match Client::try_connect(to) {
            Ok(client) => client,
            Err(error) => return storm.fault(format!("connecting: {error}")),
        };
        let mut left = PER_CONNECTION;
        while left > 0 && storm.goes_on() {
            let count = if chance.one_in(4) { chance.between(2, 3) } else { 1 };
            left = left.saturating_sub(count);
            let asked: Vec<Asked> = (0..count).map(|_| Asked::any(&mut chance)).collect();
            if !ask(storm, &mut client, &asked) {
                break;
            }
        }
    }
}

/// Sends requests together and hears their answers in order. Gives whether the connection goes on.
fn ask(storm: &Storm, client: &mut Client, asked: &[Asked]) -> bool {
    let mut sender = client.sender();
    let bytes: Vec<u8> = asked.iter().flat_map(|asked| asked.bytes.clone()).collect();
    let sending = thread::spawn(move || drop(sender.send(&bytes)));
    let mut goes_on = true;
    for asked in asked {
        let answer = final_answer(client, asked.method);
        match asked.judge(answer.as_ref()) {
            Ok(()) => drop(storm.right.fetch_add(u64::from(answer.is_some()), Ordering::SeqCst)),
            Err(fault) => {
                let Asked { number, length, host, method, .. } = asked;
                storm.fault(format!("{method} /{number}/{length} of {host}: {fault}"));
            }
        }
        let closes = |answer: &Message| answer.head.get("Connection").is_some_and(|option| option == "close");
        // What was sent behind an answer that ends the connection is not answered.
        if answer.as_ref().is_none_or(closes) {
            goes_on = false;
            break;
        }
    }
    sending.join().is_ok() && goes_on
}

fn final_answer(client: &mut Client, method: &str) -> Option<Message> {
    loop {
        let answer = client.try_response_to(method).ok()??;
        if answer.status() >= 200 {
            return Some(answer);
        }
    }
}

/// Opens tunnels, and leaves them in one of three ways.
pub(super) fn tunnels(storm: &Storm, to: SocketAddr, mut chance: Chance) {
    while storm.goes_on() {
        storm.opens("tunnels");
        let Ok(mut client) = Client::try_connect(to) else { continue };
        client.hurry(HURRY);
        let asked = handshake(GOOD).replace("/echo", "/1/1");
        if client.try_send(asked).is_err() || client.head().status() != 101 {
            storm.fault("a handshake failed");
            continue;
        }
        let bytes = content(chance.below(1000) as u64, 1000);
        if client.try_send(&bytes).is_err() || client.bytes(1000) != bytes {
            storm.fault("an echo came back changed");
        }
        match chance.below(3) {
            0 => client.reset(),
            1 => drop(client),
            _ => drop(client.try_response()),
        }
    }
}

/// Says what must be refused, with a request behind it that nobody made.
pub(super) fn hostile(storm: &Storm, to: SocketAddr, mut chance: Chance) {
    while storm.goes_on() {
        storm.opens("hostile");
        let Ok(mut client) = Client::try_connect(to) else { continue };
        client.hurry(HURRY);
        let message = chance.pick(REFUSED);
        if client.try_send(format!("{message}{SMUGGLED}")).is_err() {
            continue;
        }
        match client.try_response() {
            Ok(Some(answer)) if answer.status() < 400 => {
                storm.fault(format!("{} for {message:?}", answer.head.line));
            }
            Ok(Some(_)) => drop(storm.refused.fetch_add(1, Ordering::SeqCst)),
            _ => {}
        }
        if let Ok(Some(more)) = client.try_response() {
            storm.fault(format!("a second answer, {}, for {message:?}", more.head.line));
        }
        thread::sleep(PACE);
    }
}

/// Begins something, and is gone.
pub(super) fn aborted(storm: &Storm, to: SocketAddr, mut chance: Chance) {
    while storm.goes_on() {
        storm.opens("aborted");
        let Ok(mut client) = Client::try_connect(to) else { continue };
        client.hurry(HURRY);
        let mut asked = Asked::any(&mut chance);
        if chance.one_in(2) {
            asked.bytes.truncate(chance.below(asked.bytes.len()));
        }
        let sent = client.try_send(&asked.bytes);
        match chance.below(4) {
            0 => drop(client),
            1 if sent.is_ok() => {
                client.finish();
                drop(client.try_response());
            }
            2 if sent.is_ok() => {
                thread::sleep(Duration::from_millis(chance.below(50) as u64));
                client.reset();
            }
            _ => client.reset(),
        }
        thread::sleep(PACE);
    }
}

/// Takes its time: with its head, with its body, with reading, or with everything.
pub(super) fn slow(storm: &Storm, to: SocketAddr, mut chance: Chance) {
    while storm.goes_on() {
        storm.opens("slow");
        let Ok(mut client) = Client::try_connect(to) else { continue };
        client.hurry(HURRY);
        let head = format!("GET /8/3000000 HTTP/1.1\r\nHost: {GOOD}\r\n\r\n");
        let upload = format!("POST /8/8 HTTP/1.1\r\nHost: {GOOD}\r\nContent-Length: 9000\r\n\r\n");
        match chance.below(4) {
            0 => drip(storm, &mut client, head.as_bytes()),
            1 => drip(storm, &mut client, &[upload.as_bytes(), &content(8, 9000)].concat()),
            2 => {
                // A download that nobody reads, for longer than ELB waits.
                let _ = client.try_send(head);
                rest(storm, Duration::from_millis(chance.between(100, 3000) as u64));
            }
            _ => rest(storm, Duration::from_millis(chance.between(100, 3000) as u64)),
        }
    }
}

/// Sends a byte now and then, until ELB has had enough.
fn drip(storm: &Storm, client: &mut Client, bytes: &[u8]) {
    for byte in bytes {
        if !storm.goes_on() || client.try_send([*byte]).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn rest(storm: &Storm, length: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < length && storm.goes_on() {
        thread::sleep(Duration::from_millis(10));
    }
}
