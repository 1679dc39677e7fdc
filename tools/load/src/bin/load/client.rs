//! One loop: its connections, each with one request under way or none, and the numbers that come of it.
//!
//! It owns the sockets and the order of asking; it never decides when measuring begins. Next: `plan` for the stages,
//! `report` for the numbers.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use load::head;
use load::net::{self, Flow, Poll, Ready, TICKER};
use rustix::fd::OwnedFd;

use crate::plan::{Plan, Stage, Watch};
use crate::report::{Fault, Report};
use crate::requests::Requests;

/// How long a loop may sleep: then it looks whether a new stage has begun.
const NAP: Duration = Duration::from_millis(50);
/// Idle connections that are opened at once.
const GROUP: usize = 64;

/// A connection.
#[derive(Debug)]
struct Conn {
    socket: OwnedFd,
    /// It asks once and then waits.
    idle: bool,
    /// A request is under way: its number, how much of it was sent, and when it began.
    asked: Option<Asked>,
}

#[derive(Debug)]
struct Asked {
    request: usize,
    sent: usize,
    since: Instant,
    /// Bytes of a head that is not whole.
    head: Vec<u8>,
    /// Bytes of the body that are still to come, once the head is whole.
    left: Option<usize>,
}

/// The loop.
#[derive(Debug)]
pub(crate) struct Client {
    plan: Plan,
    requests: Arc<Requests>,
    watch: Arc<Watch>,
    conns: Vec<Conn>,
    report: Report,
    stage: Stage,
    answers: u64,
    /// Idle connections that have had their answer.
    crowd: usize,
    /// The request that is next.
    next: usize,
    /// In an open loop: connections that wait for a request, requests that wait for one, and when the next one comes.
    waiting: Vec<usize>,
    due: VecDeque<Instant>,
    next_due: Instant,
    scratch: Vec<u8>,
}

impl Client {
    pub(crate) fn new(plan: Plan, requests: Arc<Requests>, watch: Arc<Watch>) -> Self {
        Self {
            plan,
            requests,
            watch,
            conns: Vec::new(),
            report: Report::default(),
            stage: Stage::Warm,
            answers: 0,
            crowd: 0,
            next: 0,
            waiting: Vec::new(),
            due: VecDeque::new(),
            next_due: Instant::now(),
            scratch: vec![0; 256 * 1024],
        }
    }

    pub(crate) fn report(&self) -> &Report {
        &self.report
    }

    /// Asks until it is over, and returns with its connections still open.
    pub(crate) fn run(mut self) -> io::Result<Self> {
        let mut poll = Poll::new()?;
        for _ in 0..self.plan.connections {
            let number = self.open(&poll, false)?;
            if self.plan.interval.is_some() {
                self.waiting.push(number);
            } else {
                self.ask(number, Instant::now());
            }
        }
        // It is only woken by it: what is due is worked out from the clock.
        let ticker = match self.plan.interval {
            Some(interval) => {
                let ticker = net::ticker(interval)?;
                poll.add(&ticker, TICKER)?;
                Some(ticker)
            }
            None => None,
        };
        self.next_due = Instant::now();
        loop {
            self.stage = self.watch.stage();
            let enough = self.plan.limit.is_some_and(|limit| self.answers >= limit);
            if enough || self.stage == Stage::Over || self.watch.is_given_up() {
                return Ok(self);
            }
            if self.stage == Stage::Crowd {
                self.gather(&poll)?;
            }
            poll.wait(Some(NAP), |poll, ready| match ready.token {
                TICKER => {
                    ticker.iter().for_each(net::heard);
                    Ok(())
                }
                _ => self.stir(poll, ready),
            })?;
            self.keep_rate();
        }
    }

    fn open(&mut self, poll: &Poll, idle: bool) -> io::Result<usize> {
        let number = self.conns.len();
        let socket = net::connect(self.plan.target)?;
        poll.add(&socket, number as u64)?;
        self.conns.push(Conn { socket, idle, asked: None });
        Ok(number)
    }

    /// The same place with a fresh connection.
    fn reopen(&mut self, poll: &Poll, number: usize) -> io::Result<()> {
        let socket = net::connect(self.plan.target)?;
        poll.add(&socket, number as u64)?;
        self.conns[number].socket = socket;
        Ok(())
    }

    /// Opens more of the idle connections, a few at a time.
    fn gather(&mut self, poll: &Poll) -> io::Result<()> {
        let end = (self.crowd + GROUP).min(self.plan.idle);
        for _ in self.conns.len() - self.plan.connections..end {
            let number = self.open(poll, true)?;
            self.ask(number, Instant::now());
        }
        Ok(())
    }

    /// Sends what is due in an open loop, as far as connections are free.
    fn keep_rate(&mut self) {
        let Some(interval) = self.plan.interval else { return };
        let now = Instant::now();
        while self.next_due <= now {
            self.due.push_back(self.next_due);
            self.next_due += interval;
        }
        while let Some(number) = self.waiting.pop() {
            match self.due.pop_front() {
                Some(due) => self.ask(number, due),
                None => {
                    self.waiting.push(number);
                    break;
                }
            }
        }
    }

    fn ask(&mut self, number: usize, since: Instant) {
        let request = self.next;
        self.next = (self.next + 1) % self.requests.len();
        let conn = &mut self.conns[number];
        conn.asked = Some(Asked { request, sent: 0, since, head: Vec::new(), left: None });
        conn.send(&self.requests);
    }

    fn stir(&mut self, poll: &Poll, ready: Ready) -> io::Result<()> {
        let number = ready.token as usize;
        let conn = &mut self.conns[number];
        if ready.writable {
            conn.send(&self.requests);
        }
        if !ready.readable {
            return Ok(());
        }
        loop {
            let n = match net::receive(&conn.socket, &mut self.scratch) {
                Flow::Moved(n) => n,
                Flow::Blocked => return Ok(()),
                Flow::Gone => return self.fail(poll, number, Fault::Closed),
            };
            match conn.judge(&self.scratch[..n], self.plan.body) {
                Err(fault) => return self.fail(poll, number, fault),
                Ok(true) => return self.answered(poll, number),
                Ok(false) if n < self.scratch.len() && !ready.ended => return Ok(()),
                Ok(false) => {}
            }
        }
    }

    /// A request was answered as it should be.
    fn answered(&mut self, poll: &Poll, number: usize) -> io::Result<()> {
        let now = Instant::now();
        self.answers += 1;
        let conn = &mut self.conns[number];
        if let Some(asked) = conn.asked.take()
            && self.stage == Stage::Measure
        {
            let latency = now.saturating_duration_since(asked.since);
            self.report.requests += 1;
            self.report.latencies.record(latency.as_nanos() as u64);
        }
        if conn.idle {
            self.crowd += 1;
            self.watch.crowd.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        if self.plan.once {
            self.reopen(poll, number)?;
        }
        if self.plan.interval.is_some() {
            self.waiting.push(number);
        } else {
            self.ask(number, now);
        }
        Ok(())
    }

    /// A request was not; it is asked again on a fresh connection.
    fn fail(&mut self, poll: &Poll, number: usize, fault: Fault) -> io::Result<()> {
        self.report.faults[fault as usize] += 1;
        self.watch.count_error();
        self.reopen(poll, number)?;
        if let Some(asked) = self.conns[number].asked.take() {
            // Who asks has waited since the first time.
            self.ask(number, asked.since);
        }
        Ok(())
    }
}

impl Conn {
    /// Sends what is left of the request. A connection that is gone tells so when it is read.
    fn send(&mut self, requests: &Requests) {
        let Some(asked) = &mut self.asked else { return };
        let rest = &requests.get(asked.request)[asked.sent..];
        if !rest.is_empty()
            && let Flow::Moved(n) = net::send(&self.socket, rest)
        {
            asked.sent += n;
        }
    }

    /// Looks at bytes that have come; `true` when they end the answer.
    fn judge(&mut self, bytes: &[u8], expected: usize) -> Result<bool, Fault> {
        let Some(asked) = &mut self.asked else { return Err(Fault::Length) };
        let (left, came) = match asked.left {
            Some(left) => (left, bytes.len()),
            None => {
                let joined;
                let bytes = if asked.head.is_empty() {
                    bytes
                } else {
                    asked.head.extend_from_slice(bytes);
                    joined = std::mem::take(&mut asked.head);
                    &joined
                };
                let Some(end) = head::end(bytes) else {
                    asked.head = bytes.to_vec();
                    return Ok(false);
                };
                check(&bytes[..end], expected)?;
                (expected, bytes.len() - end)
            }
        };
        let left = left.checked_sub(came).ok_or(Fault::Length)?;
        asked.left = Some(left);
        Ok(left == 0)
    }
}

fn check(head: &[u8], expected: usize) -> Result<(), Fault> {
    if !head.starts_with(b"HTTP/1.1 200") {
        return Err(Fault::Status);
    }
    if head::content_length(head) == Some(expected) { Ok(()) } else { Err(Fault::Length) }
}
