//! What a worker does for an exchange, as `data::dispatch` does it, on connections of this world.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;

use elb::data::balancer::{Affinity, Choice, Tried};
use elb::exchange::{Env, Exchange, Fate, Forward, Heads, Need, NoServer, Routing, Shell, Side, Sign, drive};
use elb::http1::buf::Buf;
use elb::model::Health;
use elb::reason::Reason;

use crate::machine::Condition;
use crate::request::{Attempt, Link};
use crate::world::{CONNECT_TIMEOUT, Event, Say, Worker, World};

/// The size of windows, which grow where that is needed.
const WINDOW: usize = 4096;
/// Turns after which an exchange that still moves is one that never rests.
const TURNS: usize = 10_000;

/// A request, in the hands of its worker.
struct Desk<'w> {
    world: &'w mut World,
    id: usize,
}

impl World {
    /// A request comes.
    pub(crate) fn begin(&mut self, id: usize) {
        self.counts.requests += 1;
        self.note(|world| {
            let request = &world.requests[id];
            format!("r{id} {} {} at worker {}", request.method, request.path, request.worker)
        });
        self.requests[id].exchange = Some(Box::new(Exchange::new(&self.env)));
        if !self.requests[id].later.is_empty() {
            let at = self.now + self.chance.below(100) as u64;
            self.at(at, Event::Rest(id));
        }
        self.settle(id);
    }

    /// Its client goes away.
    pub(crate) fn leave(&mut self, id: usize) {
        if let Some(exchange) = &mut self.requests[id].exchange {
            exchange.failed(Side::Client);
            self.requests[id].left = true;
            self.settle(id);
        }
    }

    /// An attempt to connect has come to its end.
    pub(crate) fn connected(&mut self, id: usize, number: u64, works: bool) {
        let now = self.env.clone();
        let request = &mut self.requests[id];
        let Some(link) = request.link.as_mut().filter(|link| link.number == number && !link.up) else {
            return;
        };
        link.up = works;
        if let Some(exchange) = &mut request.exchange {
            match works {
                true => exchange.connected(&now, false),
                false => exchange.refused(&now, NoServer::Failed),
            }
        }
        self.settle(id);
    }

    /// Something comes of the server.
    pub(crate) fn hears(&mut self, id: usize, number: u64, say: Say) {
        let link = self.requests[id].link.as_mut().filter(|link| link.number == number && !link.dead);
        let Some(link) = link else { return };
        match say {
            Say::Bytes(bytes) => link.inbound.extend(bytes),
            Say::End => link.ended = true,
            Say::Reset => link.reset = true,
        }
        self.settle(id);
    }

    /// It may have waited for long enough.
    pub(crate) fn expire(&mut self, id: usize) {
        let Some(exchange) = &mut self.requests[id].exchange else { return };
        if exchange.deadline(&self.env) <= self.env.now {
            exchange.expired(&self.env);
            self.settle(id);
        }
    }

    /// Moves what can be moved until nothing can.
    pub(crate) fn settle(&mut self, id: usize) {
        let Some(mut exchange) = self.requests[id].exchange.take() else { return };
        for turn in 0.. {
            assert!(turn < TURNS, "it never rests: {:?}", exchange.phase());
            let mut moved = self.read(id, Side::Client, &mut exchange);
            moved |= self.read(id, Side::Server, &mut exchange);
            match drive(&mut exchange, &mut Heads::new(), &mut Desk { world: self, id }) {
                ControlFlow::Break(()) => return self.judge(id),
                ControlFlow::Continue(stepped) => moved |= stepped,
            }
            self.note_answer(id, &exchange);
            moved |= self.write(id, Side::Server, &mut exchange);
            moved |= self.write(id, Side::Client, &mut exchange);
            if !moved {
                break;
            }
        }
        let due = self.millis(exchange.deadline(&self.env));
        assert!(due > self.now, "the deadline is over, and nothing moves: {:?}", exchange.phase());
        if due != self.requests[id].alarm {
            self.requests[id].alarm = due;
            self.at(due, Event::Deadline(id));
        }
        self.requests[id].exchange = Some(exchange);
    }

    /// Tells the balancer that the head of an answer has come, as `data::dispatch` does.
    fn note_answer(&mut self, id: usize, exchange: &Exchange) {
        let (course, request) = (exchange.course(), &mut self.requests[id]);
        if let (Some(sent), Some(answered), Some(lease)) =
            (course.connected, course.answered, request.lease.as_mut().filter(|lease| lease.waits()))
        {
            self.workers[request.worker].balancer.answered(lease, sent, answered);
        }
    }

    fn read(&mut self, id: usize, side: Side, exchange: &mut Exchange) -> bool {
        if !exchange.wants(side) {
            return false;
        }
        let request = &mut self.requests[id];
        let inbound = match (side, &mut request.link) {
            (Side::Client, _) => {
                if std::mem::take(&mut request.told) {
                    exchange.ended(side);
                    return true;
                }
                &mut request.inbound
            }
            (Side::Server, Some(link)) if link.up => {
                if !link.told && (link.reset || (link.ended && link.inbound.is_empty())) {
                    link.told = true;
                    if link.reset {
                        exchange.failed(side)
                    } else {
                        exchange.ended(side)
                    }
                    return true;
                }
                &mut link.inbound
            }
            (Side::Server, _) => return false,
        };
        if inbound.is_empty() {
            return false;
        }
        exchange.free_room(side);
        let Need { least, .. } = exchange.need(side);
        if least > 0 {
            drop(exchange.lend(side, Buf::new(least.next_power_of_two().max(WINDOW))));
        }
        let room = exchange.room(side);
        let n = inbound.len().min(room.len());
        room[..n].copy_from_slice(&inbound[..n]);
        inbound.drain(..n);
        exchange.filled(side, n);
        n > 0
    }

    fn write(&mut self, id: usize, side: Side, exchange: &mut Exchange) -> bool {
        let out = exchange.out(side).concat();
        if out.is_empty() {
            return false;
        }
        let request = &mut self.requests[id];
        match (side, &mut request.link) {
            (Side::Client, _) => request.got.extend(&out),
            (Side::Server, Some(link)) if link.up => {
                link.got.extend(&out);
                let attempt = request.attempts.last_mut().expect("an attempt");
                attempt.bytes += out.len();
            }
            (Side::Server, _) => return false,
        }
        exchange.sent(side, out.len());
        if side == Side::Server {
            self.asked(id);
        }
        true
    }

    /// A server does what it does when it has a whole request.
    fn asked(&mut self, id: usize) {
        let request = &mut self.requests[id];
        let Some(link) = request.link.as_mut().filter(|link| !link.dead && !link.planned) else { return };
        if !link.is_asked() {
            return;
        }
        link.planned = true;
        let (number, machine) = (link.number, link.machine);
        let own = self.machines[machine].at(self.now);
        let how = if own == Condition::Well { request.broken.unwrap_or(own) } else { own };
        request.attempts.last_mut().expect("an attempt").answer = Some(how);
        let pace = self.machines[machine].pace as usize;
        let at = self.now + self.chance.between(pace, 2 * pace) as u64;
        let says = match how {
            Condition::Hangs | Condition::Stalls => return,
            Condition::Refuses | Condition::Resets => Say::Reset,
            Condition::Fails => say(500, "this is not well", "", 16),
            Condition::Babbles => Say::Bytes(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec()),
            Condition::Cuts => say(200, "this is all", "", 1000),
            Condition::Well if self.chance.one_in(16) => say(200, "good", "Connection: close\r\n", 4),
            Condition::Well => say(200, "good", "", 4),
        };
        self.at(at, Event::Say(id, number, says));
        if how == Condition::Cuts {
            self.at(at + 1, Event::Say(id, number, Say::End));
        }
    }

    /// The server connection is let go, with what that says about the server; `keep` puts it with the idle ones.
    fn let_go(&mut self, id: usize, sign: Sign, keep: bool) {
        let request = &mut self.requests[id];
        let Some(mut link) = request.link.take() else { return };
        if let Some(attempt) = request.attempts.last_mut() {
            (attempt.until, attempt.sign) = (self.now, Some(sign));
            attempt.dead |= link.dead && attempt.reused;
        }
        if keep && !link.dead && !link.ended && !link.reset {
            assert!(link.planned && link.inbound.is_empty(), "kept in the middle of a request");
            link.got.clear();
            link.planned = false;
            self.workers[request.worker].idle[link.machine].push(link);
        }
    }

    /// The place in the balancer is given back, as `data::settle` does it.
    fn give_back(&mut self, id: usize, sign: Sign) {
        let request = &mut self.requests[id];
        let Some(lease) = request.lease.take() else { return };
        let (worker, since) = (request.worker, request.routed);
        let at = self.workers[worker].balancer.index_of(&lease);
        let before = at.map(|at| self.health(at));
        let (since, now) = (self.instant(since), self.env.now);
        if let Sign::Doubt(doubt) = sign {
            let request = &mut self.requests[id];
            request.doubts.hold(doubt, &request.tried, &lease);
        }
        self.workers[worker].balancer.done(lease, sign, since, now);
        if let (Some(at), Some(before)) = (at, before) {
            self.said(id, at, sign, before);
        }
        if sign == Sign::Good {
            self.conclude(id, true);
        }
    }

    /// What was held against the servers that a request has tried counts, or does not, as `data::settle` says it.
    fn conclude(&mut self, id: usize, bettered: bool) {
        let request = &mut self.requests[id];
        if request.doubts.is_empty() {
            return;
        }
        let before: Vec<Health> = (0..self.machines.len()).map(|at| self.health(at)).collect();
        let request = &mut self.requests[id];
        let (worker, since) = (request.worker, request.routed);
        let (tried, doubts) = (request.tried.clone(), std::mem::take(&mut request.doubts));
        let (since, now) = (self.instant(since), self.env.now);
        self.workers[worker].balancer.conclude(&tried, doubts, bettered, since, now);
        self.concluded(id, &before);
    }

    /// The worker follows the definition of the upstream, as `data::view` does.
    fn follow(&mut self, worker: usize) {
        let balancer = &mut self.workers[worker].balancer;
        if !std::sync::Arc::ptr_eq(balancer.upstream(), &self.upstream) {
            balancer.carry(&self.upstream);
        }
    }
}

fn say(status: u16, body: &str, fields: &str, length: usize) -> Say {
    Say::Bytes(format!("HTTP/1.1 {status} So\r\n{fields}Content-Length: {length}\r\n\r\n{body}").into_bytes())
}

impl Desk<'_> {
    /// Asks the balancer for a server, and says at which place it is.
    fn pick(&mut self, same: bool) -> Result<usize, NoServer> {
        let (world, id) = (&mut *self.world, self.id);
        let worker = world.requests[id].worker;
        world.follow(worker);
        let (now, Worker { budget, made, .. }) = (world.env.now, &mut world.workers[worker]);
        if world.requests[id].tried.is_empty() {
            budget.request(now);
            made.0 += 1;
        } else if !same {
            if !budget.spend(now) {
                world.requests[id].over_budget = true;
                return Err(NoServer::NoneLeft(Reason::NoServer));
            }
            made.1 += 1;
        }
        let lease = world.requests[id].lease.as_ref().filter(|_| same);
        if let Some(at) = lease.and_then(|lease| world.workers[worker].balancer.index_of(lease)) {
            return Ok(at);
        }
        world.give_back(id, Sign::Nothing);
        let request = &mut world.requests[id];
        world.counts.second_tries += u64::from(!request.tried.is_empty());
        let choice = Choice { tried: &request.tried, now, affinity: &request.affinity };
        let balancer = &mut world.workers[worker].balancer;
        let Some((at, lease)) = balancer.pick(&choice) else {
            world.none_left(id);
            return Err(NoServer::NoneLeft(Reason::NoServer));
        };
        assert!(request.attempts.iter().all(|attempt| attempt.machine != at), "server {at} is asked twice");
        request.tried.add(&lease);
        request.lease = Some(lease);
        Ok(at)
    }

    /// A connection to the server, which was used before or is made.
    fn connect_to(&mut self, exchange: &mut Exchange, machine: usize, same: bool) {
        let (world, id) = (&mut *self.world, self.id);
        let (now, worker) = (world.now, world.requests[id].worker);
        let pooled = if same { None } else { world.workers[worker].idle[machine].pop() };
        let open = world.workers[worker].balancer.take_opened();
        world.counts.opened += u64::from(open);
        world.machines[machine].picked = now;
        let reused = pooled.is_some();
        let mut attempt = Attempt {
            machine,
            from: now,
            until: u64::MAX,
            reused,
            dead: false,
            bytes: 0,
            sign: None,
            answer: None,
        };
        let how = world.machines[machine].at(now);
        if let Some(mut link) = pooled {
            link.dead |= world.machines[machine].has_crashed_since(link.made, now);
            if world.machines[machine].is_hasty && world.chance.one_in(4) {
                (link.dead, link.ended) = (true, true);
            }
            attempt.dead = link.dead;
            world.note(|_| {
                format!("r{id} to server {machine}, kept connection {}, dead {}", link.number, link.dead)
            });
            world.requests[id].attempts.push(attempt);
            world.requests[id].link = Some(link);
            return exchange.connected(&world.env, true);
        }
        world.links += 1;
        let number = world.links;
        world.note(|_| format!("r{id} to server {machine}, new connection {number}"));
        world.requests[id].attempts.push(attempt);
        if how == Condition::Refuses && world.chance.one_in(2) {
            world.requests[id].attempts.last_mut().expect("it").until = now;
            return exchange.refused(&world.env, NoServer::Failed);
        }
        world.requests[id].link = Some(Link::new(number, machine, now));
        let (works, takes) = match how {
            Condition::Hangs => (false, 10 * CONNECT_TIMEOUT),
            Condition::Refuses => (false, 0),
            _ => (true, world.chance.below(3) as u64),
        };
        world.at(now + takes, Event::Connect(id, number, works));
    }
}

impl Shell for Desk<'_> {
    type End = ();

    fn env(&self) -> &Env {
        &self.world.env
    }

    fn route(&mut self, routing: Routing<'_>) -> ControlFlow<()> {
        let request = &mut self.world.requests[self.id];
        let mut hasher = DefaultHasher::new();
        request.path.hash(&mut hasher);
        request.affinity = Affinity { key: hasher.finish(), sticky: 0 };
        request.routed = self.world.now;
        request.tried = Tried::new();
        let forward =
            Forward { client: b"192.0.2.1", peer: None, session: None, path: None, host: None, extra: &[] };
        routing.forward(&self.world.env, &forward);
        ControlFlow::Continue(())
    }

    fn connect(&mut self, exchange: &mut Exchange, same: bool) {
        assert!(self.world.requests[self.id].link.is_none(), "the former connection is still there");
        self.world.counts.stale += u64::from(same);
        match self.pick(same) {
            Ok(at) => self.connect_to(exchange, at, same),
            Err(why) => exchange.refused(&self.world.env, why),
        }
    }

    fn has_other(&mut self) -> Option<bool> {
        let world = &mut *self.world;
        let request = &world.requests[self.id];
        let choice = Choice { tried: &request.tried, now: world.env.now, affinity: &request.affinity };
        let worker = request.worker;
        let others = world.workers[worker].balancer.others(&choice);
        if !others {
            world.none_left(self.id);
        }
        let may = others && world.workers[worker].budget.has_left(world.env.now);
        world.requests[self.id].over_budget |= others && !may;
        Some(may)
    }

    fn drop_server(&mut self, sign: Sign) {
        let id = self.id;
        self.world.note(|_| format!("r{id} drops its server: {sign:?}"));
        self.world.let_go(id, sign, false);
        if sign != Sign::Nothing {
            self.world.give_back(id, sign);
        }
    }

    fn shutdown(&mut self, side: Side) {
        self.world.requests[self.id].told |= side == Side::Client;
    }

    fn finished(&mut self, _: &mut Exchange, fate: Fate) -> ControlFlow<()> {
        let id = self.id;
        self.world.let_go(id, fate.sign, fate.keep_server);
        self.world.give_back(id, fate.sign);
        self.world.conclude(id, fate.sign == Sign::Good);
        ControlFlow::Break(())
    }

    fn close(&mut self, _: &mut Exchange, _: bool, sign: Sign) {
        self.world.let_go(self.id, sign, false);
        self.world.give_back(self.id, sign);
        self.world.conclude(self.id, sign == Sign::Good);
    }
}
