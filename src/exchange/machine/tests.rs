//! Conversations with the machine: what the client sent, what the server sent, and what each of them saw.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::*;
use crate::exchange::heads::Heads;
use crate::exchange::phase::{Doubt, Fate, Forward, NoServer, Policy, Step};
use crate::exchange::{BULK_WINDOW, FIRST_WINDOW, Routing, Shell, drive};
use crate::http1::reply::Reply;
use crate::semantics::ResponseEdits;

mod faults;
mod gzip;
mod harm;
mod memory;
mod progress;
mod table;

/// An exchange and two peers whose bytes are put in and taken out by hand.
pub(super) struct Play {
    pub(super) exchange: Exchange,
    heads: Heads,
    /// What the server got since it was last looked at.
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    /// The size of the windows that are lent first.
    pub(super) window: usize,
    /// The client takes no bytes.
    pub(super) deaf: bool,
    /// The server takes no bytes.
    pub(super) stuck: bool,
    pub(super) stage: Stage,
}

/// A shell without sockets.
pub(super) struct Stage {
    pub(super) env: Env,
    /// What the shell did, in order.
    pub(super) log: Vec<Step>,
    /// Whether the next connections come from the pool.
    pub(super) reused: bool,
    /// Connections that can still be had.
    pub(super) servers: usize,
    pub(super) deny: Option<Reason>,
    /// What is changed in answers.
    pub(super) edits: Option<Arc<ResponseEdits>>,
    /// Where a request goes, and whether another server is left, is not answered.
    pub(super) silent: bool,
    /// Connections are neither made nor refused.
    pub(super) hold: bool,
    /// The request was whole when it was asked where it goes.
    pub(super) whole: bool,
    /// The server connection was dropped since that was last looked at.
    dropped: bool,
}

impl std::ops::Deref for Play {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl std::ops::DerefMut for Play {
    fn deref_mut(&mut self) -> &mut Stage {
        &mut self.stage
    }
}

impl Shell for Stage {
    type End = ();

    fn env(&self) -> &Env {
        &self.env
    }

    fn route(&mut self, mut routing: Routing<'_>) -> ControlFlow<()> {
        self.log.push(Step::Route);
        self.whole = routing.is_whole();
        match self.deny {
            _ if self.silent => {}
            Some(reason) => routing.reply(&self.env, &Reply::refusal(reason)),
            None => {
                let forward = Forward {
                    client: b"1.1.1.1",
                    peer: None,
                    session: None,
                    path: None,
                    host: None,
                    extra: &[],
                };
                if let Some(edits) = &self.edits {
                    routing.change_answer(&self.env, edits);
                }
                routing.forward(&self.env, &forward);
            }
        }
        ControlFlow::Continue(())
    }

    fn connect(&mut self, exchange: &mut Exchange, same: bool) {
        self.log.push(Step::Connect { same });
        if self.hold {
        } else if self.servers == 0 {
            exchange.refused(&self.env, NoServer::NoneLeft(Reason::NoServer));
        } else {
            self.servers -= 1;
            exchange.connected(&self.env, self.reused && !same);
        }
    }

    fn has_other(&mut self) -> Option<bool> {
        self.log.push(Step::Failover);
        (!self.silent).then_some(self.servers > 0)
    }

    fn drop_server(&mut self, sign: Sign) {
        self.log.push(Step::Drop { sign });
        self.dropped = true;
    }

    fn shutdown(&mut self, side: Side) {
        self.log.push(Step::Shutdown(side));
    }

    fn finished(&mut self, exchange: &mut Exchange, fate: Fate) -> ControlFlow<()> {
        self.log.push(Step::Finished(fate));
        if fate.keep_client && exchange.has_unread() {
            exchange.restart(&self.env);
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(())
    }

    fn close(&mut self, _: &mut Exchange, reset: bool, sign: Sign) {
        self.log.push(Step::Close { reset, sign });
    }
}

impl Play {
    pub(super) fn new() -> Self {
        let env = Env { now: Instant::now(), policy: Policy::for_tests(), date: [b'd'; 29], draining: false };
        Self {
            exchange: Exchange::new(&env),
            heads: Heads::new(),
            to_server: Vec::new(),
            to_client: Vec::new(),
            window: 16 * 1024,
            deaf: false,
            stuck: false,
            stage: Stage {
                env,
                log: Vec::new(),
                reused: false,
                servers: 9,
                deny: None,
                edits: None,
                silent: false,
                hold: false,
                whole: false,
                dropped: false,
            },
        }
    }

    /// Steps and writes until nothing moves.
    pub(super) fn turn(&mut self) -> &mut Self {
        loop {
            let Self { exchange, heads, stage, .. } = self;
            let driven = drive(exchange, heads, stage);
            if std::mem::take(&mut stage.dropped) {
                self.to_server.clear();
            }
            if driven.is_break() {
                return self;
            }
            assert!(!self.exchange.has_work(), "a step is due after the last one");
            if !self.write() {
                let _ = self.due();
                return self;
            }
        }
    }

    /// Writes what may leave; whether anything did.
    fn write(&mut self) -> bool {
        let mut moved = false;
        for side in [Side::Server, Side::Client] {
            let blocked = if side == Side::Client { self.deaf } else { self.stuck };
            let out = self.exchange.out(side).concat();
            if blocked || out.is_empty() {
                continue;
            }
            if side == Side::Server { &mut self.to_server } else { &mut self.to_client }.extend(&out);
            self.exchange.sent(side, out.len());
            moved = true;
        }
        moved
    }

    pub(super) fn feed(&mut self, side: Side, mut bytes: &[u8]) -> &mut Self {
        while !bytes.is_empty() {
            assert!(self.exchange.wants(side), "{side:?} is not wanted");
            self.exchange.free_room(side);
            let Need { useful, .. } = self.exchange.need(side);
            if useful > 0 {
                let size = if useful == FIRST_WINDOW { self.window } else { useful.next_power_of_two() };
                drop(self.exchange.lend(side, Buf::new(size)));
            }
            let room = self.exchange.room(side);
            let n = room.len().min(bytes.len());
            assert!(n > 0, "no room for {side:?}");
            room[..n].copy_from_slice(&bytes[..n]);
            self.exchange.filled(side, n);
            bytes = &bytes[n..];
            self.turn();
        }
        self
    }

    pub(super) fn client(&mut self, bytes: &str) -> &mut Self {
        self.feed(Side::Client, bytes.as_bytes())
    }

    pub(super) fn server(&mut self, bytes: &str) -> &mut Self {
        self.feed(Side::Server, bytes.as_bytes())
    }

    pub(super) fn ends(&mut self, side: Side) -> &mut Self {
        self.exchange.ended(side);
        self.turn()
    }

    pub(super) fn time_passes(&mut self) -> &mut Self {
        self.env.now = self.due();
        self.exchange.expired(&self.stage.env);
        self.turn()
    }

    /// So many seconds pass, and nothing happens.
    pub(super) fn seconds(&mut self, n: u64) -> &mut Self {
        self.env.now += Duration::from_secs(n);
        self
    }

    /// When its time is over.
    pub(super) fn due(&mut self) -> Instant {
        self.exchange.deadline(&self.stage.env)
    }

    /// Seconds until the deadline.
    pub(super) fn patience(&mut self) -> u64 {
        self.due().duration_since(self.env.now).as_secs()
    }

    pub(super) fn server_saw(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.to_server)).unwrap()
    }

    pub(super) fn client_saw(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.to_client)).unwrap()
    }

    /// What was said about servers when their connections were dropped.
    pub(super) fn signs(&self) -> Vec<Sign> {
        let sign = |step: &Step| if let Step::Drop { sign } = step { Some(*sign) } else { None };
        self.log.iter().filter_map(sign).collect()
    }

    pub(super) fn last(&self) -> Step {
        *self.log.last().unwrap()
    }
}

pub(super) const GET: &str = "GET /p HTTP/1.1\r\nHost: h\r\n\r\n";
pub(super) const SEEN: &str = "GET /p HTTP/1.1\r\nHost: h\r\nX-Real-IP: 1.1.1.1\r\nX-Forwarded-For: 1.1.1.1\r\nREMOTE-HOST: 1.1.1.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\nX-Forwarded-Host: h\r\n\r\n";
pub(super) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
pub(super) const KEEP_BOTH: Step =
    Step::Finished(Fate { keep_client: true, keep_server: true, sign: Sign::Good });
/// After an answer of ELB's own.
pub(super) const KEEP_CLIENT: Step =
    Step::Finished(Fate { keep_client: true, keep_server: false, sign: Sign::Nothing });

#[test]
fn a_request_goes_and_its_response_comes() {
    let mut play = Play::new();
    assert_eq!(play.client(GET).server_saw(), SEEN);
    assert_eq!(play.server(OK).client_saw(), OK);
    assert_eq!(play.log, [Step::Route, Step::Connect { same: false }, KEEP_BOTH]);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut play = Play::new();
    play.client(&GET.repeat(3));
    for _ in 0..3 {
        assert_eq!(play.server_saw(), SEEN);
        assert_eq!(play.server(OK).client_saw(), OK);
    }
    assert_eq!(play.log.iter().filter(|step| **step == KEEP_BOTH).count(), 3);
}

#[test]
fn a_body_streams_and_its_trailers_end_here() {
    let mut play = Play::new();
    play.client("POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    assert!(play.server_saw().ends_with("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"));
    play.client("0\r\nA: b\r\n\r\n");
    assert_eq!(play.server_saw(), "0\r\n\r\n");
    play.server(OK);
    assert_eq!(play.last(), KEEP_BOTH);
}

#[test]
fn close_delimited_bodies_reach_the_client_in_chunks() {
    let mut play = Play::new();
    play.client(GET).server("HTTP/1.1 200 OK\r\n\r\nhello").server(" world").ends(Side::Server);
    assert_eq!(
        play.client_saw(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    );
    assert_eq!(play.last(), Step::Finished(Fate { keep_client: true, keep_server: false, sign: Sign::Good }));
}

#[test]
fn chunks_are_unwrapped_for_an_old_client() {
    let mut play = Play::new();
    play.client("GET /p HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n");
    play.server(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: r\r\n\r\n",
    );
    assert_eq!(play.client_saw(), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcde");
    let fate = Fate { keep_client: false, keep_server: true, sign: Sign::Good };
    assert_eq!(play.last(), Step::Finished(fate));
}

#[test]
fn a_cut_response_is_a_cut() {
    let mut play = Play::new();
    play.client(GET).server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").ends(Side::Server);
    assert!(play.client_saw().ends_with("half"));
    assert_eq!(play.last(), Step::Close { reset: false, sign: Sign::Nothing });
}

#[test]
fn a_dead_pooled_connection_is_replaced_without_a_word() {
    let mut play = Play::new();
    play.reused = true;
    play.client(GET).ends(Side::Server);
    assert_eq!(
        play.log[1..],
        [Step::Connect { same: false }, Step::Drop { sign: Sign::Nothing }, Step::Connect { same: true }]
    );
    assert_eq!(play.server_saw(), SEEN);
    play.server(OK);
    assert_eq!(play.last(), KEEP_BOTH);
}

#[test]
fn failures_go_to_the_next_server_and_then_to_the_client() {
    let mut play = Play::new();
    play.client(GET).ends(Side::Server).server("SSH-2.0\r\n").time_passes();
    let text = play.client_saw();
    assert!(text.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"), "{text}");
    assert!(text.contains("\r\nX-ELB-Reason: server-timeout\r\n"), "{text}");
    assert_eq!(play.signs(), [Sign::Fault(Reason::ServerClosed), Sign::Nothing, Sign::Doubt(Doubt::Silence)]);
    assert_eq!(play.last(), KEEP_CLIENT);
}

#[test]
fn a_500_is_bettered_or_passed_on() {
    let error = "HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\nx";
    let mut play = Play::new();
    play.client(GET).server(error).server(OK);
    assert_eq!(play.client_saw(), OK);
    let mut play = Play::new();
    play.servers = 1;
    assert_eq!(play.client(GET).server(error).client_saw(), error);
    let mut post = Play::new();
    post.client("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(post.server(error).client_saw(), error);
}

#[test]
fn an_expectation_is_answered_here() {
    let mut play = Play::new();
    play.client("POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(play.client_saw(), "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(!play.server_saw().contains("Expect"));
    play.client("ab").server("HTTP/1.1 100 Continue\r\n\r\n").server(OK);
    assert_eq!((play.server_saw().as_str(), play.client_saw().as_str()), ("ab", OK));
}

#[test]
fn interim_responses_pass_to_new_clients_only() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    let mut play = Play::new();
    assert_eq!(play.client(GET).server(early).client_saw(), early);
    assert_eq!(play.server(OK).client_saw(), OK);
    let mut old = Play::new();
    old.client("GET /p HTTP/1.0\r\nHost: h\r\n\r\n");
    assert_eq!(old.server(early).client_saw(), "");
}

#[test]
fn an_upgrade_becomes_a_tunnel() {
    let mut play = Play::new();
    play.client("GET /p HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
    play.server("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhi");
    assert!(play.client_saw().ends_with("Upgrade: websocket\r\n\r\nhi"));
    assert!(play.server_saw().ends_with("\r\n\r\nearly"));
    assert_eq!(play.client("more").server_saw(), "more");
    play.ends(Side::Client);
    assert_eq!(play.last(), Step::Shutdown(Side::Server));
    assert_eq!(play.server("bye").client_saw(), "bye");
    play.ends(Side::Server);
    assert_eq!(play.last(), Step::Close { reset: false, sign: Sign::Good });
}

#[test]
fn a_refused_request_is_answered_and_the_rest_is_thrown_away() {
    let mut play = Play::new();
    play.client("GET /p HTTP/1.1\r\nHost: h\r\nBad Header: x\r\n\r\n");
    let text = play.client_saw();
    assert!(text.contains("400 Bad Request") && text.contains("X-ELB-Reason: bad-header-name"), "{text}");
    assert_eq!(play.last(), Step::Shutdown(Side::Client));
    play.client("GET / HTTP/1.1\r\nHost: h\r\n\r\n").ends(Side::Client);
    assert_eq!(
        (play.client_saw().as_str(), play.last()),
        ("", Step::Close { reset: false, sign: Sign::Nothing })
    );
}

#[test]
fn a_bad_first_line_is_the_reason_whatever_came_with_it() {
    let mut play = Play::new();
    play.client("GET / HTTP/2.0\r\nHost: h\nbare\r\n\r\n");
    let text = play.client_saw();
    assert!(text.contains("X-ELB-Reason: bad-version"), "{text}");
}

#[test]
fn a_denied_request_keeps_the_connection() {
    let mut play = Play::new();
    play.deny = Some(Reason::NoDomain);
    assert!(play.client(GET).client_saw().starts_with("HTTP/1.1 404 Not Found\r\n"));
    assert_eq!(play.last(), KEEP_CLIENT);
}

#[test]
fn an_early_answer_reaches_a_client_that_still_uploads() {
    let mut play = Play::new();
    play.client("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc");
    play.server("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    assert!(play.client_saw().starts_with("HTTP/1.1 413"));
    assert_eq!(play.log[2..], [Step::Drop { sign: Sign::Good }, Step::Shutdown(Side::Client)]);
}

#[test]
fn a_request_is_whole_when_its_body_has_come() {
    for (request, whole) in [
        ("GET /p HTTP/1.1\r\nHost: h\r\n\r\n", true),
        ("GET /p HTTP/1.1\r\nHost: h\r\n\r\nGET", true),
        ("PUT /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab", false),
        ("PUT /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", true),
        ("PUT /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false),
    ] {
        let mut play = Play::new();
        play.silent = true;
        play.client(request);
        assert_eq!(play.log, [Step::Route]);
        assert_eq!(play.whole, whole, "{request:?}");
    }
}

#[test]
fn bodies_beyond_the_limit_are_refused() {
    let mut play = Play::new();
    play.client("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n");
    assert!(play.client_saw().starts_with("HTTP/1.1 413"));
    let mut chunked = Play::new();
    chunked.client("POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n");
    assert!(chunked.client_saw().starts_with("HTTP/1.1 413"));
}

#[test]
fn each_phase_has_its_deadline() {
    let mut slow_head = Play::new();
    slow_head.client("GET /p HTT").time_passes();
    assert!(slow_head.client_saw().contains("X-ELB-Reason: client-header-timeout"));
    let mut slow_body = Play::new();
    slow_body.client("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc").time_passes();
    assert!(slow_body.client_saw().contains("X-ELB-Reason: client-body-timeout"));
    let mut silent_server = Play::new();
    silent_server.client(GET).server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").time_passes();
    assert_eq!(silent_server.last(), Step::Close { reset: false, sign: Sign::Doubt(Doubt::Silence) });
    let mut nothing = Play::new();
    nothing.time_passes();
    assert_eq!(nothing.last(), Step::Close { reset: false, sign: Sign::Nothing });
}

/// The window that a server's side would be lent for its next read.
fn useful(play: &mut Play) -> usize {
    let unused = play.exchange.reclaim(Side::Server);
    assert!(unused.is_some(), "all has left");
    play.exchange.need(Side::Server).useful
}

#[test]
fn a_server_that_fills_its_window_gets_a_larger_one_while_it_sends_as_much() {
    let mut play = Play::new();
    play.window = FIRST_WINDOW;
    play.client(GET).server("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nfirst");
    assert_eq!(useful(&mut play), FIRST_WINDOW, "a promise alone is worth nothing");
    play.server(&"x".repeat(2 * FIRST_WINDOW + 1000));
    assert_eq!(useful(&mut play), BULK_WINDOW);
    play.server(&"x".repeat(FIRST_WINDOW));
    assert_eq!(useful(&mut play), BULK_WINDOW);
    play.server("and a little");
    assert_eq!(useful(&mut play), FIRST_WINDOW);
}

#[test]
fn a_window_is_no_larger_than_what_is_left_of_the_body() {
    let mut play = Play::new();
    play.window = FIRST_WINDOW;
    let left = FIRST_WINDOW + 99;
    let length = left + 2 * FIRST_WINDOW;
    play.client(GET).server(&format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
    play.server(&"x".repeat(2 * FIRST_WINDOW));
    assert_eq!(useful(&mut play), left);
}

#[test]
fn a_client_that_is_behind_gets_its_server_no_larger_window() {
    let mut play = Play::new();
    play.window = FIRST_WINDOW;
    play.client(GET).server("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    play.deaf = true;
    play.server(&"x".repeat(FIRST_WINDOW - 512)).server("x");
    assert_eq!(play.exchange.need(Side::Server), Need { least: 0, useful: 0 });
}
