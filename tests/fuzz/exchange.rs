//! A whole connection: a script of events is played to the exchange by a shell that moves bytes as `data::pump` does.
//!
//! After every event: it settles, a deadline lies ahead, windows are of a known size, and all that was sent reads as
//! whole messages, none of them unasked for. Nothing is kept that did not end exactly, and a cut body never ends as if
//! it were whole. The language of the script is in `script.rs`.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::time::Instant;

use elb::exchange::{
    BULK_WINDOW, Env, Exchange, FIRST_WINDOW, Fate, Forward, Heads, Need, NoServer, Phase, Policy, Routing,
    Shell, Side, Sign, drive,
};
use elb::http1::buf::Buf;
use elb::http1::reply::Reply;
use elb::reason::Reason;
use elb::semantics::{Gzip, RequestView, ResponseEdits};

use super::script::{Event, Servers, events};
use super::{shown, streams};

/// Sizes of windows, as `data::buffers` has them.
const CLASSES: [usize; 3] = [FIRST_WINDOW, BULK_WINDOW, 256 * 1024];
/// Turns after which an exchange that still moves is one that never rests.
const TURNS: usize = 20_000;
/// Events of one script; more only cost time.
const EVENTS: usize = 200;
const DATE: [u8; 29] = *b"Sun, 06 Nov 1994 08:49:37 GMT";

pub fn run(bytes: &[u8]) {
    let mut shell = Play::new();
    for event in events(bytes).take(EVENTS) {
        shell.happens(event);
        shell.settle();
        // What is wrong on the wire is found where it was written, not when the connection closes.
        streams::responses(&shell.client.got, &shell.to_head);
        if shell.closed {
            break;
        }
    }
}

/// A peer: what it has sent that was not read yet, and what it was sent.
struct Peer {
    sent: Vec<u8>,
    ended: bool,
    failed: bool,
    /// The end, or the failure, was handed over.
    told: bool,
    /// Bytes that it takes with one write.
    takes: usize,
    got: Vec<u8>,
}

impl Peer {
    fn new(takes: usize) -> Self {
        Self { sent: Vec::new(), ended: false, failed: false, told: false, takes, got: Vec::new() }
    }
}

/// A connection to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    None,
    Coming,
    Up,
}

/// An exchange, its two peers, and the shell between them.
struct Play {
    exchange: Exchange,
    env: Env,
    client: Peer,
    server: Peer,
    link: Link,
    servers: Servers,
    deny: bool,
    /// The stock has windows.
    windows: bool,
    /// A request is under way.
    active: bool,
    /// For each request whether it was a HEAD.
    to_head: Vec<bool>,
    finished: usize,
    tunnel: bool,
    /// The client was told that nothing more comes.
    told_client: bool,
    closed: bool,
    /// Steps since it was driven.
    steps: Cell<usize>,
}

fn policy() -> Policy {
    Policy { max_head: 4096, ..Policy::for_tests() }
}

impl Play {
    fn new() -> Self {
        let env = Env { now: Instant::now(), policy: policy(), date: DATE, draining: false };
        Self {
            exchange: Exchange::new(&env),
            env,
            client: Peer::new(usize::MAX),
            server: Peer::new(usize::MAX),
            link: Link::None,
            servers: Servers::New,
            deny: false,
            windows: true,
            active: false,
            to_head: Vec::new(),
            finished: 0,
            tunnel: false,
            told_client: false,
            closed: false,
            steps: Cell::new(0),
        }
    }

    /// Calls the exchange with what it must be told.
    fn with<T>(&mut self, call: impl FnOnce(&mut Exchange, &Env) -> T) -> T {
        call(&mut self.exchange, &self.env)
    }

    /// The same for a call that has the exchange apart from its shell.
    fn apart<T>(&mut self, call: impl FnOnce(&mut Self, &mut Exchange) -> T) -> T {
        let mut exchange = std::mem::replace(&mut self.exchange, Exchange::new(&self.env));
        let result = call(self, &mut exchange);
        self.exchange = exchange;
        result
    }

    fn happens(&mut self, event: Event) {
        let up = self.link == Link::Up;
        match event {
            Event::ClientSends(bytes) if !self.client.ended => self.client.sent.extend(bytes),
            Event::ServerSends(bytes) if up && !self.server.ended => self.server.sent.extend(bytes),
            Event::ClientEnds => self.client.ended = true,
            Event::ServerEnds => self.server.ended = up,
            Event::ClientResets => self.client.failed = true,
            Event::ServerResets => self.server.failed = up,
            Event::ClientTakes(most) => self.client.takes = most,
            Event::ServerTakes(most) => self.server.takes = most,
            Event::TimePasses if self.active => self.time_passes(),
            Event::Windows(there) => self.windows = there,
            Event::Deny => self.deny = true,
            Event::Drain => self.env.draining = true,
            Event::Servers(servers) => self.servers = servers,
            Event::Connects(true) if self.link == Link::Coming => {
                self.apart(|play, exchange| play.connected(exchange, false));
            }
            Event::Connects(false) if self.link == Link::Coming => {
                self.with(|exchange, env| exchange.refused(env, NoServer::Failed));
            }
            _ => {}
        }
    }

    fn time_passes(&mut self) {
        self.env.now = self.with(Exchange::deadline);
        self.with(Exchange::expired);
    }

    /// Moves what can be moved until nothing can.
    fn settle(&mut self) {
        for _ in 0..TURNS {
            if self.closed || !(self.active || self.begin()) {
                return;
            }
            let mut moved = self.receive_from_client();
            moved |= self.receive_from_server();
            let due = self.exchange.has_work();
            let stepped = self.drive();
            assert!(due || !stepped, "a step was due, and nobody was told");
            moved |= stepped;
            if self.closed || !self.active {
                continue;
            }
            moved |= self.send(Side::Server);
            moved |= self.send(Side::Client);
            if !moved {
                return self.rest();
            }
        }
        panic!("it never rests: {:?}", self.exchange.phase());
    }

    /// The next request begins with the next bytes, or the end, of the client.
    fn begin(&mut self) -> bool {
        let stirs = !self.client.sent.is_empty() || self.client.ended || self.client.failed;
        if stirs {
            self.with(|exchange, env| exchange.recycle(env));
            self.active = true;
            self.to_head.push(false);
        }
        stirs
    }

    fn receive_from_client(&mut self) -> bool {
        if self.client.failed {
            self.exchange.failed(Side::Client);
            return !std::mem::replace(&mut self.client.told, true);
        }
        self.wants(Side::Client) && read(&mut self.client, &mut self.exchange, Side::Client)
    }

    fn receive_from_server(&mut self) -> bool {
        if self.link != Link::Up || !self.wants(Side::Server) {
            return false;
        }
        if self.server.failed {
            self.exchange.failed(Side::Server);
            return !std::mem::replace(&mut self.server.told, true);
        }
        read(&mut self.server, &mut self.exchange, Side::Server)
    }

    /// Whether a side may be read, and has a window with room.
    fn wants(&mut self, side: Side) -> bool {
        if !self.exchange.wants(side) {
            return false;
        }
        self.exchange.free_room(side);
        let Need { useful, .. } = self.exchange.need(side);
        let lent = CLASSES.into_iter().find(|class| *class >= useful).filter(|_| self.windows);
        if let Some(size) = lent
            && useful > 0
        {
            drop(self.exchange.lend(side, Buf::new(size)));
        }
        !self.exchange.room(side).is_empty()
    }

    /// Takes steps until the exchange waits or is over; whether there was any.
    fn drive(&mut self) -> bool {
        let mut heads = Heads::new(); // Since the last turn they were other exchanges'.
        self.steps.set(0);
        let driven = self.apart(|play, exchange| drive(exchange, &mut heads, play));
        driven != ControlFlow::Continue(false)
    }

    fn connected(&mut self, exchange: &mut Exchange, reused: bool) {
        self.link = Link::Up;
        self.server = Peer::new(self.server.takes);
        exchange.connected(&self.env, reused);
    }

    fn leave_server(&mut self) {
        if self.link == Link::Up {
            let read = streams::requests(&self.server.got, self.tunnel);
            assert!(read.whole <= 1, "more than one request: {}", shown(&self.server.got));
        }
        self.link = Link::None;
    }

    fn send(&mut self, side: Side) -> bool {
        let out = self.exchange.out(side).concat();
        let peer = match side {
            Side::Client => &mut self.client,
            Side::Server if self.link == Link::Up => &mut self.server,
            Side::Server => return false,
        };
        let n = out.len().min(peer.takes);
        if n == 0 {
            return false;
        }
        if peer.failed {
            self.exchange.write_closed(side);
        } else {
            peer.got.extend_from_slice(&out[..n]);
            self.exchange.sent(side, n);
        }
        true
    }

    /// Nothing moves any more: windows that hold nothing go back, and time must bound the wait.
    fn rest(&mut self) {
        for side in [Side::Client, Side::Server] {
            drop(self.exchange.reclaim(side));
        }
        self.tunnel |= matches!(self.exchange.phase(), Phase::Tunnel { .. });
        assert!(
            self.with(Exchange::deadline) > self.env.now,
            "no deadline ahead in {:?}",
            self.exchange.phase()
        );
    }
}

impl Shell for Play {
    type End = ();

    fn env(&self) -> &Env {
        self.steps.set(self.steps.get() + 1);
        assert!(self.steps.get() < TURNS, "it takes steps for ever");
        &self.env
    }

    fn route(&mut self, mut routing: Routing<'_>) -> ControlFlow<()> {
        let request = routing.view(b"192.0.2.1");
        assert!(request.path.starts_with(b"/"), "{}", shown(request.path));
        assert!(!request.canonical_host.iter().any(u8::is_ascii_uppercase));
        looked_up(&request, routing.unread());
        let head = routing.unread();
        let line = &head[head.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(0)..];
        if let Some(to_head) = self.to_head.last_mut() {
            *to_head = line.starts_with(b"HEAD ");
        }
        if self.deny {
            routing.reply(&self.env, &Reply::refusal(Reason::NoDomain));
        } else {
            let gzip = Gzip { min_length: 0, ..Gzip::default() };
            let edits = ResponseEdits { gzip: Some(Box::new(gzip)), ..ResponseEdits::default() };
            routing.change_answer(&self.env, &edits.into());
            let extra = [("X-Rule".to_owned(), vec!["1".to_owned()])];
            let forward = Forward {
                client: b"192.0.2.1",
                peer: None,
                session: None,
                path: None,
                host: None,
                extra: &extra,
            };
            routing.forward(&self.env, &forward);
        }
        ControlFlow::Continue(())
    }

    fn connect(&mut self, exchange: &mut Exchange, same: bool) {
        self.leave_server();
        match self.servers {
            Servers::New => self.connected(exchange, false),
            Servers::Pooled => self.connected(exchange, !same),
            Servers::Later => self.link = Link::Coming,
            Servers::Refused => exchange.refused(&self.env, NoServer::Failed),
            Servers::None => exchange.refused(&self.env, NoServer::NoneLeft(Reason::NoServer)),
        }
    }

    fn has_other(&mut self) -> Option<bool> {
        Some(!matches!(self.servers, Servers::None))
    }

    fn drop_server(&mut self, _: Sign) {
        self.leave_server();
    }

    fn shutdown(&mut self, side: Side) {
        self.told_client |= side == Side::Client;
    }

    fn finished(&mut self, exchange: &mut Exchange, fate: Fate) -> ControlFlow<()> {
        assert!(exchange.out(Side::Client).concat().is_empty(), "finished with something left to say");
        if fate.keep_server && self.link == Link::Up {
            let read = streams::requests(&self.server.got, false);
            let exact = read.whole == 1 && !read.partial;
            assert!(exact || read.unreadable, "kept in the midst of a request: {read:?}");
        }
        self.leave_server();
        self.finished += 1;
        if !fate.keep_client {
            self.closed = true;
            return ControlFlow::Break(());
        }
        let read = streams::responses(&self.client.got, &self.to_head);
        let exact = read.whole == self.finished && !read.partial;
        assert!(exact || read.unreadable, "{} finished: {read:?}", self.finished);
        if exchange.has_unread() {
            self.to_head.push(false);
            exchange.restart(&self.env);
            return ControlFlow::Continue(());
        }
        for side in [Side::Client, Side::Server] {
            drop(exchange.surrender(side));
        }
        self.active = false;
        ControlFlow::Break(())
    }

    /// Both connections are closed. A body that ends with its connection must have ended, else only a reset tells.
    fn close(&mut self, _: &mut Exchange, reset: bool, _: Sign) {
        let read = streams::responses(&self.client.got, &self.to_head);
        let hidden = read.until_close && !reset && !self.told_client && !self.client.failed;
        assert!(!hidden, "a cut that looks like an end: {}", shown(&self.client.got));
        self.leave_server();
        self.closed = true;
    }
}

/// Reads once, as from a socket that is known to be readable.
fn read(peer: &mut Peer, exchange: &mut Exchange, side: Side) -> bool {
    if peer.sent.is_empty() {
        if peer.ended && !peer.told {
            peer.told = true;
            exchange.ended(side);
            return true;
        }
        return false;
    }
    let room = exchange.room(side);
    let n = room.len().min(peer.sent.len());
    room[..n].copy_from_slice(&peer.sent[..n]);
    peer.sent.drain(..n);
    exchange.filled(side, n);
    true
}

/// What is looked up in a request is what stands in its head.
fn looked_up(request: &RequestView<'_>, head: &[u8]) {
    let lines: Vec<&[u8]> = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    let first = lines.iter().position(|line| !line.is_empty()).unwrap_or(0);
    let mut words = lines[first].split(|byte| *byte == b' ');
    assert_eq!(words.next(), Some(request.method()));
    let query = words.next().and_then(|target| target.splitn(2, |byte| *byte == b'?').nth(1));
    assert_eq!(request.query(), query, "{}", shown(head));
    let fields = lines[first + 1..].iter().take_while(|line| !line.is_empty());
    let fields: Vec<(&[u8], &[u8])> = fields
        .filter_map(|line| line.split_at_checked(line.iter().position(|byte| *byte == b':')?))
        .map(|(name, value)| (name, value[1..].trim_ascii()))
        .collect();
    assert_eq!(request.user_agent(), request.field(b"User-Agent").next(), "{}", shown(head));
    for (name, _) in fields.iter().chain(&[(&b"user-agent"[..], &b""[..])]) {
        let expected =
            fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
        assert!(request.field(name).eq(expected), "{} of {}", shown(name), shown(head));
    }
}
