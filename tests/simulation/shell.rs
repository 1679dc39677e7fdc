//! The shell of the simulation: one turn of reading, stepping and writing, and the answers to steps.

use std::ops::ControlFlow;

use elb::exchange::{Env, Exchange, Fate, Forward, NoServer, Phase, Routing, Shell, Side, Sign};
use elb::http1::reply::Reply;
use elb::reason::Reason;
use elb::semantics::{Gzip, ResponseEdits};

use crate::client::Closing;
use crate::request::{Fault, PEER, RULED};
use crate::response::{self, Ends};
use crate::server::Server;
use crate::world::World;

impl World {
    /// One turn; whether anything moved.
    pub(crate) fn turn(&mut self) -> bool {
        if self.over {
            return false;
        }
        if self.idle && !self.open() {
            return false;
        }
        if self.client.reset {
            self.exchange.failed(Side::Client);
        }
        self.starved = false;
        let mut moved = self.establish();
        moved |= self.receive(Side::Client);
        moved |= self.receive(Side::Server);
        // The real shell does not ask when nothing stirs; here it is asked, and must have nothing to say.
        let due = self.exchange.has_work();
        moved |= std::mem::take(&mut self.stepped);
        let goes_on = self.drive();
        assert!(due || (goes_on && !self.stepped), "a step was due, and nobody was told");
        if !goes_on {
            return true;
        }
        moved |= std::mem::take(&mut self.stepped);
        moved |= self.send(Side::Server);
        moved |= self.send(Side::Client);
        moved |= self.connecting.is_some_and(|(at, _)| at <= self.now);
        if !moved || self.chance.one_in(8) {
            self.reclaim();
        }
        moved
    }

    /// An idle connection becomes busy when something came.
    fn open(&mut self) -> bool {
        if self.env.draining || self.client.reset {
            self.end(Closing::Orderly);
            return false;
        }
        if self.client.inbound.is_empty() && !self.client.ended {
            return false;
        }
        self.idle = false;
        self.ask(Exchange::recycle);
        true
    }

    /// An attempt to connect comes to its end.
    fn establish(&mut self) -> bool {
        let Some((at, works)) = self.connecting.filter(|(at, _)| *at <= self.now) else { return false };
        self.connecting = None;
        self.note(|| format!("connected since {at}: {works}"));
        if works {
            self.ask(|exchange, env| exchange.connected(env, false));
        } else {
            self.ask(|exchange, env| exchange.refused(env, NoServer::Failed));
        }
        true
    }

    fn receive(&mut self, side: Side) -> bool {
        let server = self.server.as_ref().filter(|_| self.connecting.is_none());
        let (waiting, ended, failed) = match (side, server) {
            (Side::Client, _) => (self.client.inbound.len(), self.client.ended, false),
            (Side::Server, Some(server)) => (server.outbound.len(), server.ended, server.reset),
            (Side::Server, None) => return false,
        };
        if (waiting == 0 && !ended && !failed) || !self.exchange.wants(side) {
            return false;
        }
        if self.chance.one_in(4) {
            return true; // Not now: readiness comes later.
        }
        if !self.window(side) {
            assert!(self.dearth.is_some(), "{side:?} is wanted and there is no room for it");
            self.starved = true;
            return false;
        }
        if waiting == 0 {
            self.note(|| format!("{side:?} {}", if failed { "is reset" } else { "ends" }));
            if failed {
                self.exchange.failed(side)
            } else {
                self.client_said_all |= side == Side::Client;
                self.exchange.ended(side)
            }
            if let (Side::Server, false, Some(plan)) =
                (side, failed, self.server.as_ref().and_then(|server| server.plan.as_ref()))
            {
                self.responses[plan.response].closed = true;
            }
            return true;
        }
        let n = waiting.min(self.chance.between(1, self.grain));
        let room = self.exchange.room(side);
        let n = n.min(room.len());
        match (side, &mut self.server) {
            (Side::Server, Some(server)) => {
                room[..n].copy_from_slice(&server.outbound[..n]);
                server.outbound.drain(..n);
                if let Some(plan) = &server.plan {
                    self.responses[plan.response].given += n;
                }
            }
            _ => {
                room[..n].copy_from_slice(&self.client.inbound[..n]);
                self.client.inbound.drain(..n);
            }
        }
        self.exchange.filled(side, n);
        self.note(|| format!("{side:?} -> {n}"));
        true
    }

    fn send(&mut self, side: Side) -> bool {
        let server = self.server.as_ref().filter(|_| self.connecting.is_none());
        let (blocked, gone) = match (side, server) {
            (Side::Client, _) => (self.client.blocked > self.now, self.client.reset),
            (Side::Server, Some(server)) => (server.blocked > self.now, server.deaf || server.reset),
            (Side::Server, None) => return false,
        };
        let pending = self.exchange.out(side).iter().map(|slice| slice.len()).sum::<usize>();
        if blocked || pending == 0 {
            return false;
        }
        if self.chance.one_in(4) {
            return true;
        }
        if gone {
            self.note(|| format!("{side:?} does not listen"));
            self.exchange.write_closed(side);
            return true;
        }
        let n = pending.min(self.chance.between(1, self.grain));
        let out: Vec<u8> = self.exchange.out(side).into_iter().flatten().take(n).copied().collect();
        self.deliver(side, &out);
        self.exchange.sent(side, n);
        self.note(|| format!("{side:?} <- {:?}", String::from_utf8_lossy(&out)));
        true
    }

    fn deliver(&mut self, side: Side, bytes: &[u8]) {
        let current = self.current();
        match (side, &mut self.server) {
            (Side::Server, Some(server)) => {
                assert!(!server.told, "bytes after the end of input");
                assert_eq!(server.request, Some(current));
                let request = &self.client.requests[current];
                assert!(
                    !request.denied && !matches!(request.fault, Fault::Head(_)),
                    "it was not to be forwarded"
                );
                let touched = &mut self.touched[current];
                if touched.last() != Some(&server.number) {
                    touched.push(server.number);
                    assert!(touched.len() == 1 || request.repeatable(), "{} was sent twice", request.method);
                    assert!(touched.len() <= 6, "it was tried on {} connections", touched.len());
                }
                server.receive(bytes, request, &self.client.tunnel);
            }
            _ => {
                assert!(!self.client_told, "bytes after the end of the response");
                self.client.got.extend(bytes);
            }
        }
    }

    /// The server connection decides what it will do.
    pub(crate) fn plan(&mut self) {
        let Some(server) = self.server.as_mut().filter(|server| server.wants_plan()) else { return };
        let (number, id) = (self.responses.len(), self.answered);
        let error = !self.fair || self.setbacks == 0;
        let request = &self.client.requests[id];
        let mut response = response::good(number, id, request, self.weight, error, &mut self.chance);
        if self.fair {
            self.setbacks += u32::from(matches!(response.status, 500 | 504)) * 2;
            server.plan_fair(number, &response, &mut self.chance);
        } else {
            if self.chance.one_in(3) {
                response::spoil(&mut response, request, &mut self.chance);
            }
            server.plan_foul(number, &response, self.now, &mut self.chance);
        }
        let plan = server.plan.clone();
        self.note(|| format!("server plans {plan:?} for {:?}", String::from_utf8_lossy(&response.wire)));
        self.responses.push(response);
    }

    /// Takes steps until the exchange waits; `false` when the connection is idle or over.
    fn drive(&mut self) -> bool {
        self.stepped = false;
        let driven = self.drive_exchange();
        self.switched |= matches!(self.exchange.phase(), Phase::Tunnel { .. });
        self.stepped = driven != ControlFlow::Continue(false);
        driven.is_continue()
    }

    /// What ELB says about the server whose connection it lets go must be true of it.
    fn said(&mut self, sign: Sign) {
        let Some(server) = &self.server else { return };
        let plan = server.plan.as_ref().filter(|_| self.connecting.is_none());
        let response = plan.map(|plan| &self.responses[plan.response]);
        match sign {
            Sign::Nothing => {
                let bad =
                    self.fresh && response.is_some_and(|response| !response.sound && response.given > 0);
                self.unacceptable += u32::from(bad);
            }
            Sign::Good => {
                assert!(response.is_some_and(|response| response.sound), "it has not answered well")
            }
            Sign::Doubt(_) => {
                let status = response.map_or(0, |response| response.status);
                assert!(self.late || matches!(status, 500 | 504), "a doubt about {status} in time");
            }
            Sign::Fault(_) => {
                let silent = self.fresh && (server.ended || server.reset);
                assert!(self.unconnected || self.connecting.is_some() || silent, "a fault that is none");
            }
        }
    }
}

impl Shell for World {
    type End = ();

    fn env(&self) -> &Env {
        self.steps.set(self.steps.get() + 1);
        assert!(self.steps.get() < 100, "it takes step after step and never waits");
        &self.env
    }

    fn route(&mut self, mut routing: Routing<'_>) -> ControlFlow<()> {
        self.note(|| "route".to_owned());
        let current = self.current();
        let request = &self.client.requests[current];
        assert!(!matches!(request.fault, Fault::Head(_)), "a broken head was understood");
        let asked = routing.view(PEER.as_bytes());
        assert_eq!(asked.path, format!("/r{current}").as_bytes());
        assert!(matches!(asked.canonical_host, b"sim.example" | b"abs.example"));
        self.routed = true;
        if request.denied {
            routing.reply(&self.env, &Reply::refusal(Reason::NoDomain));
            return ControlFlow::Continue(());
        }
        if self.gzip {
            let gzip = Gzip { min_length: 0, ..Gzip::default() };
            let edits = ResponseEdits { gzip: Some(Box::new(gzip)), ..ResponseEdits::default() };
            routing.change_answer(&self.env, &edits.into());
        }
        let rule = [(RULED.0.to_owned(), vec![RULED.1.to_owned()])];
        let extra = if self.ruled { &rule[..] } else { &[] };
        routing.forward(
            &self.env,
            &Forward { client: PEER.as_bytes(), peer: None, session: None, path: None, host: None, extra },
        );
        ControlFlow::Continue(())
    }

    fn connect(&mut self, exchange: &mut Exchange, same: bool) {
        self.note(|| format!("connect, the same: {same}"));
        assert!(self.server.is_none() && self.connecting.is_none(), "the former connection is still there");
        let current = self.current();
        let repeatable = self.client.requests[current].repeatable();
        assert!(self.unacceptable < 2, "a third server is asked for what cannot be accepted");
        (self.unconnected, self.late, self.fresh) = (false, false, true);
        if !same
            && self.touched[current].is_empty()
            && let Some(mut server) = self.own.take()
        {
            server.lent(current);
            self.note(|| format!("connection {} is the client's own", server.number));
            (self.server, self.fresh) = (Some(server), false);
            return exchange.connected(&self.env, true);
        }
        if !same && !self.pool.is_empty() && !self.chance.one_in(4) {
            let mut server = self.pool.swap_remove(0);
            server.lent(current);
            if self.fair && repeatable && self.chance.one_in(4) {
                server.ended = true; // As it was lent.
            }
            self.note(|| format!("connection {} from the pool", server.number));
            (self.server, self.fresh) = (Some(server), false);
            return exchange.connected(&self.env, true);
        }
        let odds = if self.fair { 3 + 100 * self.setbacks as usize } else { 6 };
        let refused =
            if self.fair { self.setbacks < 2 && self.chance.one_in(odds) } else { self.chance.one_in(odds) };
        self.setbacks += u32::from(refused);
        self.unconnected = refused;
        if !self.fair && self.chance.one_in(16) {
            let why = NoServer::NoneLeft(Reason::NoPorts);
            return exchange.refused(&self.env, why);
        }
        if refused && self.chance.one_in(2) {
            return exchange.refused(&self.env, NoServer::Failed);
        }
        let time = self.chance.pick(if self.fair { &[0, 1, 900][..] } else { &[0, 1, 900, 3000, 10_000] });
        self.connections += 1;
        let mut server = Server::new(self.connections);
        server.lent(current);
        (self.server, self.connecting) = (Some(server), Some((self.now + time, !refused)));
    }

    fn has_other(&mut self) -> Option<bool> {
        let other = self.chance.one_in(2);
        self.note(|| format!("failover, another server: {other}"));
        Some(other)
    }

    fn drop_server(&mut self, sign: Sign) {
        self.note(|| format!("drop, {sign:?}"));
        assert!(!blames(sign) || !self.fair || self.setbacks > 0, "a good server is blamed");
        self.said(sign);
        (self.server, self.connecting) = (None, None);
    }

    fn shutdown(&mut self, side: Side) {
        self.note(|| format!("shutdown {side:?}"));
        match side {
            Side::Client => self.client_told = true,
            Side::Server => {
                let server = self.server.as_mut().expect("a server connection");
                assert!(!server.told, "it was told twice");
                server.told = true;
            }
        }
    }

    fn close(&mut self, _: &mut Exchange, reset: bool, sign: Sign) {
        self.note(|| format!("close, {sign:?}"));
        assert!(!blames(sign) || !self.fair, "a good server is blamed");
        self.said(sign);
        self.end(if reset { Closing::Reset } else { Closing::Orderly });
    }

    /// An exchange is over: who goes on?
    fn finished(&mut self, exchange: &mut Exchange, fate: Fate) -> ControlFlow<()> {
        self.note(|| format!("finished, {fate:?}"));
        assert!(
            exchange.out(Side::Client).iter().all(|slice| slice.is_empty()),
            "bytes are left for the client"
        );
        if let Some(mut server) = self.server.take()
            && fate.keep_server
            && let (Some(id), Some(plan)) = (server.request, &server.plan)
        {
            let (request, response) = (&self.client.requests[id], &self.responses[plan.response]);
            assert_ne!(response.ends, Ends::Switched);
            let private = exchange.is_private();
            assert_eq!(private, request.private || response.challenges, "whose connection it is");
            if server.rests(request, response) {
                if private || self.known == Some(server.number) {
                    // Whoever uses it next would be taken for this client.
                    self.known = Some(server.number);
                    self.own = Some(server);
                } else {
                    self.pool.push(server);
                }
            }
        }
        self.answered += 1;
        self.marks.push(self.client.got.len());
        (self.setbacks, self.routed, self.connecting, self.unacceptable) = (0, false, None, 0);
        if !fate.keep_client {
            self.end(Closing::Orderly);
            return ControlFlow::Break(());
        }
        if exchange.has_unread() {
            exchange.restart(&self.env);
            return ControlFlow::Continue(());
        }
        assert!(!self.client_said_all, "kept although it has ended");
        for side in [Side::Client, Side::Server] {
            if let Some(window) = exchange.surrender(side) {
                self.give(side, &window);
            }
        }
        (self.idle, self.idle_since) = (true, self.now);
        ControlFlow::Break(())
    }
}

/// Whether this may put a server aside.
fn blames(sign: Sign) -> bool {
    matches!(sign, Sign::Doubt(_) | Sign::Fault(_))
}
