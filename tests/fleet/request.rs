//! A client's request, what became of each attempt, and what the client got.

use elb::data::balancer::{Affinity, Doubts, Lease, Tried};
use elb::exchange::{Exchange, Sign};

use crate::chance::Chance;
use crate::machine::Condition;

/// URLs that are not broken. Where the URL decides on the server, they come in turn.
pub(crate) const KEYS: usize = 40;

/// One request on a connection of its own.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) worker: usize,
    pub(crate) method: &'static str,
    pub(crate) path: String,
    /// What every server makes of this URL, however well it is.
    pub(crate) broken: Option<Condition>,
    /// Bytes that were not read yet.
    pub(crate) inbound: Vec<u8>,
    /// The rest of its body, which comes later.
    pub(crate) later: Vec<u8>,
    pub(crate) begun: u64,
    pub(crate) ended: Option<u64>,
    /// Its client went away.
    pub(crate) left: bool,
    /// The client was told that nothing more comes, and says the same then.
    pub(crate) told: bool,
    pub(crate) exchange: Option<Box<Exchange>>,
    /// For when it is to be looked at again.
    pub(crate) alarm: u64,
    pub(crate) routed: u64,
    pub(crate) affinity: Affinity,
    pub(crate) lease: Option<Lease>,
    pub(crate) tried: Tried,
    pub(crate) doubts: Doubts,
    pub(crate) link: Option<Link>,
    pub(crate) attempts: Vec<Attempt>,
    /// Another server was not asked, as there had been too many second tries.
    pub(crate) over_budget: bool,
    /// What the client got.
    pub(crate) got: Vec<u8>,
}

/// What the request had of one server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) machine: usize,
    pub(crate) from: u64,
    pub(crate) until: u64,
    /// On a connection that had been used before.
    pub(crate) reused: bool,
    /// Its connection was dead, or died as it was lent.
    pub(crate) dead: bool,
    /// Bytes of the request that left.
    pub(crate) bytes: usize,
    pub(crate) sign: Option<Sign>,
    /// What the server did, if it got to do anything.
    pub(crate) answer: Option<Condition>,
}

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) number: u64,
    pub(crate) machine: usize,
    pub(crate) made: u64,
    /// It is established.
    pub(crate) up: bool,
    /// The server's end of it is gone.
    pub(crate) dead: bool,
    /// What the server got of the present request.
    pub(crate) got: Vec<u8>,
    /// The server has made up its mind.
    pub(crate) planned: bool,
    pub(crate) inbound: Vec<u8>,
    pub(crate) ended: bool,
    pub(crate) reset: bool,
    /// The exchange knows of its end.
    pub(crate) told: bool,
}

impl Link {
    pub(crate) fn new(number: u64, machine: usize, made: u64) -> Self {
        Self {
            number,
            machine,
            made,
            up: false,
            dead: false,
            got: Vec::new(),
            planned: false,
            inbound: Vec::new(),
            ended: false,
            reset: false,
            told: false,
        }
    }

    /// The whole request is here.
    pub(crate) fn is_asked(&self) -> bool {
        let Some(end) = self.got.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
        self.got.len() >= end + 4 + length(&self.got[..end])
    }
}

impl Request {
    /// A request by chance. Broken URLs are among them if `broken` says so.
    pub(crate) fn new(number: usize, workers: usize, broken: bool, begun: u64, chance: &mut Chance) -> Self {
        let method = chance.pick(&["GET", "GET", "GET", "GET", "PUT", "POST"]);
        let broken = (broken && method != "PUT" && chance.one_in(10))
            .then(|| chance.pick(&[Condition::Fails, Condition::Babbles, Condition::Stalls]));
        let path = broken.map_or_else(|| format!("/r{}", number % KEYS), |how| format!("/broken/{how:?}"));
        let mut request = Self::plain(method, &path, chance.below(workers), begun);
        request.broken = broken;
        if method != "GET" {
            let length = chance.pick(&[1, 100, 3000, 20_000]);
            let body = chance.content(100).repeat(200);
            request.inbound =
                format!("{method} {path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n")
                    .into_bytes();
            let early = if chance.one_in(2) { length } else { chance.below(length) };
            request.inbound.extend(&body[..early]);
            request.later = body[early..length].to_vec();
        }
        request
    }

    /// A request without a body.
    pub(crate) fn plain(method: &'static str, path: &str, worker: usize, begun: u64) -> Self {
        Self {
            worker,
            method,
            path: path.to_owned(),
            broken: None,
            inbound: format!("{method} {path} HTTP/1.1\r\nHost: a.test\r\n\r\n").into_bytes(),
            later: Vec::new(),
            begun,
            ended: None,
            left: false,
            told: false,
            exchange: None,
            alarm: 0,
            routed: begun,
            affinity: Affinity::default(),
            lease: None,
            tried: Tried::new(),
            doubts: Doubts::default(),
            link: None,
            attempts: Vec::new(),
            over_budget: false,
            got: Vec::new(),
        }
    }

    /// To do it twice is to do it once.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.method != "POST"
    }

    /// The status that the client got, or 0.
    pub(crate) fn status(&self) -> u16 {
        let status = self.got.get(9..12).and_then(|status| std::str::from_utf8(status).ok());
        status.map_or(0, |status| status.parse().expect("a status of digits"))
    }

    /// The client got a good answer, and all of it.
    pub(crate) fn is_served(&self) -> bool {
        let Some(end) = self.got.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
        let body = &self.got[end + 4..];
        self.status() == 200 && body.len() == length(&self.got[..end])
    }
}

/// `Content-Length` of a head, or 0.
fn length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head);
    let value = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    value.map_or(0, |value| value.parse().expect("a number"))
}
