//! The world of one seed: a client connection, servers, the clock, the weather, and the loop that moves bytes.
//!
//! The loop is that of the real shell: read what is ready and wanted, take steps, write what is ready and pending. What
//! is ready, and how much of it moves at once, is chance.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use elb::exchange::{Env, Exchange, Heads, Need, Phase, Policy, Side, drive};
use elb::http1::buf::Buf;
use elb::reason::Reason;

use crate::chance::Chance;
use crate::client::{Client, Closing};
use crate::request::{MAX_BODY, MAX_HEAD};
use crate::response::Response;
use crate::server::Server;

/// Longest time that a deadline may lie ahead: a tunnel's.
const FARTHEST: Duration = Duration::from_secs(3600);
/// Turns that a world may take, which is far above what the longest one takes.
const TURNS: usize = 400_000;
/// Times the clock may be moved forward because nothing moves.
const WAITS: usize = 2_000;
/// How long a connection rests between requests.
pub(crate) const KEEP_ALIVE: u64 = 65_000;
/// How long an answer may take to begin when its client has said all.
const HALF_CLOSED: Duration = Duration::from_secs(5);

/// Everything there is.
pub(crate) struct World {
    pub(crate) chance: Chance,
    /// Nobody does anything wrong; then everything must succeed.
    pub(crate) fair: bool,
    /// How much moves at once, at most.
    pub(crate) grain: usize,
    /// About how long bodies are.
    pub(crate) weight: usize,
    pub(crate) ruled: bool,
    /// Answers are compressed for clients that take that.
    pub(crate) gzip: bool,
    /// The size of the first window of each side.
    window: usize,
    /// Larger windows are lent where they are useful.
    generous: bool,
    start: Instant,
    /// Milliseconds since then.
    pub(crate) now: u64,
    pub(crate) env: Env,
    pub(crate) exchange: Exchange,
    /// Between two requests: nothing is lent, and the exchange is to be made new.
    pub(crate) idle: bool,
    pub(crate) idle_since: u64,
    pub(crate) over: bool,
    drains_at: Option<u64>,
    /// From when until when no windows are to be had.
    pub(crate) dearth: Option<(u64, u64)>,
    /// In this turn one was wanted in vain.
    pub(crate) starved: bool,
    pub(crate) client: Client,
    pub(crate) server: Option<Server>,
    /// The server connection is established at that time, or fails.
    pub(crate) connecting: Option<(u64, bool)>,
    pub(crate) pool: Vec<Server>,
    /// The connection that is the client's own, and its number, also while it is in use.
    pub(crate) own: Option<Server>,
    pub(crate) known: Option<usize>,
    /// The server connection was made for this attempt.
    pub(crate) fresh: bool,
    /// It was not to be had.
    pub(crate) unconnected: bool,
    /// The deadline has passed in this attempt.
    pub(crate) late: bool,
    /// Answers to this request that could not be accepted.
    pub(crate) unacceptable: u32,
    pub(crate) responses: Vec<Response>,
    /// Requests that were answered to the end.
    pub(crate) answered: usize,
    /// Bytes that the client had when each was.
    pub(crate) marks: Vec<usize>,
    /// Connections on which bytes of a request were put, by request.
    pub(crate) touched: Vec<Vec<usize>>,
    /// Attempts on the present request that came to nothing through no fault of ELB.
    pub(crate) setbacks: u32,
    /// The present request was routed.
    pub(crate) routed: bool,
    pub(crate) switched: bool,
    /// A step was taken that a peer may have noticed.
    pub(crate) stepped: bool,
    /// Steps since the exchange was driven.
    pub(crate) steps: Cell<usize>,
    pub(crate) connections: usize,
    /// The client was told that nothing more will come.
    pub(crate) client_told: bool,
    pub(crate) expirations: usize,
    /// The exchange was told that the client will send nothing more.
    pub(crate) client_said_all: bool,
    /// The client had said all and was not waited for any longer.
    pub(crate) let_go: bool,
    lent: [usize; 2],
    pub(crate) log: Option<Vec<String>>,
}

fn policy() -> Policy {
    Policy {
        tunnel_timeout: FARTHEST,
        half_close_timeout: HALF_CLOSED,
        max_body: MAX_BODY as u64,
        max_head: MAX_HEAD,
        ..Policy::for_tests()
    }
}

impl World {
    pub(crate) fn new(seed: u64, log: bool) -> Self {
        let mut chance = Chance::new(seed);
        let fair = chance.one_in(3);
        let (grain, weight) = chance.pick(&[(1, 20), (7, 100), (40, 300), (600, 1500), (20_000, 4000)]);
        let ruled = chance.one_in(4);
        let gzip = chance.one_in(2);
        let window = chance.pick(&[512, 1024, 4096, 16_384]);
        let generous = chance.one_in(3);
        let start = Instant::now();
        let env = Env { now: start, policy: policy(), date: [b'd'; 29], draining: false };
        let client = Client::new(fair, weight, ruled, &mut chance);
        let drains_at = (!fair && chance.one_in(6)).then(|| chance.pick(&[0, 1, 500, 5000]));
        let dearth = (!fair && chance.one_in(5)).then(|| {
            let from = chance.pick(&[0, 1, 500, 5000]);
            (from, from + chance.pick(&[1, 10_000, 100_000]))
        });
        Self {
            exchange: Exchange::new(&env),
            touched: vec![Vec::new(); client.requests.len()],
            chance,
            fair,
            grain,
            weight,
            ruled,
            gzip,
            window,
            generous,
            start,
            now: 0,
            env,
            idle: true,
            idle_since: 0,
            over: false,
            drains_at,
            dearth,
            starved: false,
            client,
            server: None,
            connecting: None,
            pool: Vec::new(),
            own: None,
            known: None,
            fresh: false,
            unconnected: false,
            late: false,
            unacceptable: 0,
            responses: Vec::new(),
            answered: 0,
            marks: Vec::new(),
            setbacks: 0,
            routed: false,
            switched: false,
            stepped: false,
            steps: Cell::new(0),
            connections: 0,
            client_told: false,
            expirations: 0,
            client_said_all: false,
            let_go: false,
            lent: [0; 2],
            log: log.then(Vec::new),
        }
    }

    /// Runs until the connection is closed.
    pub(crate) fn run(&mut self) {
        let (mut turns, mut waits) = (0, 0);
        while !self.over {
            turns += 1;
            assert!(turns < TURNS, "the world does not end: bytes go on moving");
            let moved = self.peers() | self.turn();
            if !moved && !self.over {
                waits += 1;
                assert!(waits < WAITS, "the world does not end: it waits again and again");
                self.wait();
            }
        }
        for side in [Side::Client, Side::Server] {
            if let Some(window) = self.exchange.surrender(side) {
                self.give(side, &window);
            }
        }
        assert_eq!(self.lent, [0; 2], "windows were lost");
    }

    pub(crate) fn note(&mut self, what: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(log) = &mut self.log {
            log.push(format!("{now:>7} {}", what()));
        }
    }

    /// The number of the request that is under way.
    pub(crate) fn current(&self) -> usize {
        self.answered
    }

    /// Calls the exchange with the time and the policy.
    pub(crate) fn ask<T>(&mut self, call: impl FnOnce(&mut Exchange, &Env) -> T) -> T {
        self.env.now = self.start + Duration::from_millis(self.now);
        call(&mut self.exchange, &self.env)
    }

    /// Drives the exchange, which is apart from its shell meanwhile.
    pub(crate) fn drive_exchange(&mut self) -> ControlFlow<(), bool> {
        self.env.now = self.start + Duration::from_millis(self.now);
        let mut heads = Heads::new(); // Since the last turn they were other exchanges'.
        self.steps.set(0);
        let mut exchange = std::mem::replace(&mut self.exchange, Exchange::new(&self.env));
        let driven = drive(&mut exchange, &mut heads, self);
        if self.over {
            let after = drive(&mut exchange, &mut heads, self);
            assert_eq!(after, ControlFlow::Continue(false), "after the end nothing follows");
        }
        self.exchange = exchange;
        driven
    }

    /// When the exchange's time is over, which is never far.
    fn deadline(&mut self) -> u64 {
        if self.client.ended {
            self.ask(Exchange::half_closed);
        }
        let deadline = self.ask(Exchange::deadline);
        let ahead = deadline.saturating_duration_since(self.start + Duration::from_millis(self.now));
        let waits = matches!(self.exchange.phase(), Phase::Connect | Phase::Await);
        if self.client.ended && waits && !self.exchange.wants(Side::Client) && !self.starved {
            assert!(
                ahead <= HALF_CLOSED || self.is_unread(),
                "a server is kept for a client that may be gone"
            );
        }
        assert!(ahead <= FARTHEST, "the deadline is {ahead:?} ahead");
        let at = deadline.saturating_duration_since(self.start);
        u64::try_from(at.as_millis()).expect("a time within the run")
    }

    /// Bytes of the request that is under way are still to be read.
    fn is_unread(&self) -> bool {
        let request = &self.client.requests[self.current()];
        !self.client.inbound.is_empty() && request.wire.len() > request.head
    }

    /// The peers do what they do by themselves.
    fn peers(&mut self) -> bool {
        if self.drains_at.is_some_and(|at| at <= self.now) && !self.env.draining {
            self.env.draining = true;
            self.note(|| "the process drains".to_owned());
        }
        let grain = self.chance.between(1, self.grain);
        let mut moved =
            self.chance.one_in(2) || self.client.act(self.now, self.answered, self.switched, grain);
        self.plan();
        if let Some(server) = &mut self.server
            && let (Some(id), Some(plan)) = (server.request, &server.plan)
        {
            let response = plan.response;
            moved |= server.act(self.now, &self.client.requests[id], &mut self.responses[response], grain);
        }
        if !self.fair && self.chance.one_in(50) {
            // A connection at rest dies and nobody notices.
            for server in &mut self.pool {
                (server.ended, server.deaf) = (true, true);
            }
        }
        moved
    }

    /// Nothing moves: the clock goes on to whatever is next.
    fn wait(&mut self) {
        let now = self.now;
        let deadline = if self.idle { self.idle_since + KEEP_ALIVE } else { self.deadline() };
        assert!(self.idle || deadline > now, "the deadline is in the past, and nothing moves");
        assert!(self.connecting.is_none_or(|(at, _)| at > now), "a connection is there and nothing moves");
        let peers = [
            self.client.wake(now),
            self.server.as_ref().and_then(|server| server.wake(now)),
            self.connecting.map(|(at, _)| at),
            self.drains_at.filter(|_| !self.env.draining),
            self.dearth.filter(|_| self.starved).map(|(_, to)| to),
        ];
        let next = peers.into_iter().flatten().filter(|at| *at > now).min().unwrap_or(u64::MAX);
        // Nothing is left to come in from the client's script when it has no act: then only the deadline is.
        self.now = next.min(deadline);
        if self.now < deadline {
            return;
        }
        if self.idle {
            self.note(|| "the idle connection is closed".to_owned());
            self.end(Closing::Orderly);
            return;
        }
        self.expirations += 1;
        self.late = true;
        let phase = self.exchange.phase();
        self.unconnected |= phase == Phase::Connect;
        self.note(|| format!("the deadline passes in {phase:?}"));
        let call = if self.starved { Exchange::starved } else { Exchange::expired };
        self.ask(call);
        if self.exchange.phase() == Phase::Over
            && self.exchange.take_reason() == Some(Reason::HalfCloseTimeout)
        {
            assert!(self.client.ended, "let go, and the client had not said all");
            self.let_go = true;
        }
        self.turn();
        assert!(self.over || self.idle || self.deadline() > self.now, "the deadline stays in the past");
    }

    /// The connection to the client is closed.
    pub(crate) fn end(&mut self, closing: Closing) {
        let told = self.client_told && closing == Closing::Orderly;
        self.note(|| format!("the client connection ends: {closing:?}, told {told}"));
        self.over = true;
        self.client.closing = closing;
        self.server = None;
    }

    /// Lends a window where one is wanted; whether there is room after that.
    pub(crate) fn window(&mut self, side: Side) -> bool {
        if !self.exchange.room(side).is_empty() && !self.generous {
            return true;
        }
        if self.dearth.is_some_and(|(from, to)| (from..to).contains(&self.now)) {
            if self.exchange.release_replay() && side == Side::Server {
                self.reclaim();
            }
            return !self.exchange.room(side).is_empty();
        }
        let at = side as usize;
        self.exchange.free_room(side);
        let Need { least, useful } = self.exchange.need(side);
        let larger = self.generous && useful > least;
        if least == 0 && !larger {
            return true;
        }
        let size = if larger {
            useful.next_power_of_two()
        } else if self.lent[at] == 0 {
            self.window
        } else {
            least.next_power_of_two()
        };
        let bound = if side == Side::Client { 128 * 1024 } else { 512 * 1024 };
        assert!(size <= bound, "a window of {size} for the {side:?}");
        self.lent[at] += 1;
        if let Some(unused) = self.exchange.lend(side, Buf::new(size)) {
            self.give(side, &unused);
        }
        assert_eq!(self.lent[at], 1, "one window a side");
        !self.exchange.room(side).is_empty()
    }

    pub(crate) fn give(&mut self, side: Side, window: &Buf) {
        assert!(window.is_empty(), "a window came back with bytes in it");
        self.lent[side as usize] -= 1;
    }

    /// Rests, and sometimes gives windows back that hold nothing.
    pub(crate) fn reclaim(&mut self) {
        for side in [Side::Client, Side::Server] {
            if let Some(window) = self.exchange.reclaim(side) {
                self.give(side, &window);
            }
        }
    }
}
