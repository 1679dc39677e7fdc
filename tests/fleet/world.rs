//! The world of one seed: servers, workers, clients, checks, and the clock, which jumps to whatever happens next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use elb::control::checks::order::{Finding, Ticket};
use elb::control::checks::schedule::Schedule;
use elb::data::balancer::Balancer;
use elb::data::budget::{Allowance, Budget};
use elb::exchange::{Env, Policy};
use elb::model::{Edit, State, Upstream};
use serde_json::{Map, Value, json};

use crate::chance::Chance;
use crate::machine::{Condition, Machine};
use crate::request::{Link, Request};

/// Second tries for a hundred requests, where no option says it.
pub(crate) const PERCENT: u32 = 20;
/// Servers that are tried for one request.
pub(crate) const TRIES: u32 = 3;
/// Milliseconds that a server may take to be connected, and may be silent.
pub(crate) const CONNECT_TIMEOUT: u64 = 200;
const SERVER_TIMEOUT: u64 = 400;
/// From then on nobody is ill.
pub(crate) const ILL_UNTIL: u64 = 7_000;
/// Requests come until then.
pub(crate) const END: u64 = 11_000;
/// How often what must be true of all servers is looked at.
const LOOK: u64 = 100;
/// Events of one run, which is far above what the longest has.
const EVENTS: usize = 100_000;

/// What happens.
#[derive(Debug)]
pub(crate) enum Event {
    Arrive(usize),
    /// The rest of a body comes.
    Rest(usize),
    /// A client goes away.
    Leave(usize),
    /// An attempt to connect ends well, or not.
    Connect(usize, u64, bool),
    /// A server says something.
    Say(usize, u64, Say),
    /// An exchange may have waited for long enough.
    Deadline(usize),
    /// A server falls ill, or is well again.
    Turn(usize),
    /// A check may be due.
    Check,
    Checked(Ticket, Finding),
    /// An operator changes weights.
    Change,
    Look,
}

/// What comes of a server.
#[derive(Debug)]
pub(crate) enum Say {
    Bytes(Vec<u8>),
    End,
    Reset,
}

/// What a worker owns.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) balancer: Balancer,
    pub(crate) budget: Budget,
    /// Requests and second tries that it has made.
    pub(crate) made: (u64, u64),
    /// Idle connections to each server.
    pub(crate) idle: Vec<Vec<Link>>,
}

/// Everything there is.
pub(crate) struct World {
    pub(crate) chance: Chance,
    start: Instant,
    /// Milliseconds since then.
    pub(crate) now: u64,
    pub(crate) env: Env,
    /// Fewer servers than are tried are ever ill, and none babbles or cuts: every request that may be repeated can be saved.
    pub(crate) is_mild: bool,
    /// Milliseconds between two requests, at most.
    pub(crate) gap: u64,
    queue: BTreeMap<(u64, u64), Event>,
    events: u64,
    state: State,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) machines: Vec<Machine>,
    pub(crate) requests: Vec<Request>,
    schedule: Option<Schedule>,
    /// When it is looked at next.
    checks: u64,
    /// Connections that were made.
    pub(crate) links: u64,
    pub(crate) counts: Counts,
    pub(crate) story: Option<Vec<String>>,
}

/// What a run had in it.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    pub(crate) served: u64,
    pub(crate) second_tries: u64,
    /// Nobody could have saved them.
    pub(crate) lost: u64,
    pub(crate) stale: u64,
    /// A server was put aside.
    pub(crate) asides: u64,
    /// One that was well, which had answered nobody for long.
    pub(crate) doubted: u64,
    pub(crate) opened: u64,
    pub(crate) failing: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        for (own, other) in [
            (&mut self.requests, other.requests),
            (&mut self.served, other.served),
            (&mut self.second_tries, other.second_tries),
            (&mut self.lost, other.lost),
            (&mut self.stale, other.stale),
            (&mut self.asides, other.asides),
            (&mut self.doubted, other.doubted),
            (&mut self.opened, other.opened),
            (&mut self.failing, other.failing),
        ] {
            *own += other;
        }
    }
}

impl World {
    /// The world of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let count = chance.pick(&[1, 2, 3, 3, 4, 5, 8]);
        let cuts = chance.one_in(2);
        // Mostly fewer are ill than are tried.
        let frail = if chance.one_in(4) { count } else { (TRIES as usize - 1).min(count - 1) };
        let machines: Vec<Machine> = (0..count)
            .map(|at| {
                let pace = chance.pick(&[1, 3, 10]);
                let mut machine = if at < frail {
                    Machine::frail(pace, ILL_UNTIL, cuts, &mut chance)
                } else {
                    Machine::well(pace)
                };
                machine.is_hasty = chance.one_in(3);
                machine
            })
            .collect();
        let method = chance.pick(&[
            "round_robin",
            "round_robin",
            "round_robin",
            "least_conn",
            "ewma",
            "random",
            "hash key=path",
        ]);
        let checks = chance.pick(&[
            "",
            "",
            "check=/up check_interval=200ms check_timeout=50ms rise=2 fall=2",
            "check=tcp check_interval=300ms check_timeout=100ms rise=1 fall=3",
        ]);
        let mut servers = Vec::new();
        for at in 0..count {
            let (weight, fails) = (chance.pick(&[1, 1, 1, 2, 5]), chance.pick(&[1, 1, 1, 2, 3]));
            let backup = if at + 1 == count && count > 2 && chance.one_in(4) { " backup" } else { "" };
            servers.push(format!(
                "weight={weight} max_fails={fails} fail_timeout={}{backup}",
                chance.pick(&[1, 2])
            ));
        }
        let workers = chance.pick(&[1, 1, 2, 4, 8]);
        // The last is more than anybody needs.
        let budget = chance.pick(&["", "", "retry_budget=0%", "retry_budget=5%", "retry_budget=1000%"]);
        let mut world =
            Self::new(chance, machines, &servers, &format!("method={method} {checks} {budget}"), workers);
        world.is_mild = frail < TRIES as usize && frail < count && !cuts;
        world.fill();
        world
    }

    /// A world without requests.
    pub(crate) fn new(
        mut chance: Chance,
        machines: Vec<Machine>,
        servers: &[String],
        options: &str,
        workers: usize,
    ) -> Self {
        let start = Instant::now();
        let mut state = State::new();
        let upstream = put(&mut state, servers, options);
        let percent = upstream.options.retry_budget.unwrap_or(PERCENT);
        let allowance = Allowance::new(percent, workers);
        let worker = |_| Worker {
            budget: Budget::new(allowance),
            made: (0, 0),
            balancer: Balancer::new(&upstream, chance.below(1000) as u64),
            idle: machines.iter().map(|_| Vec::new()).collect(),
        };
        let workers = (0..workers).map(worker).collect();
        let schedule = upstream.options.check.as_ref().map(|_| {
            let mut schedule = Schedule::new(chance.below(1000) as u64);
            schedule.define(0, &upstream, start);
            schedule
        });
        let policy = Policy {
            connect_timeout: Duration::from_millis(CONNECT_TIMEOUT),
            server_timeout: Duration::from_millis(SERVER_TIMEOUT),
            max_body: 100_000,
            tries: TRIES,
            ..Policy::for_tests()
        };
        let mut world = Self {
            chance,
            start,
            now: 0,
            env: Env { now: start, policy, date: [b'd'; 29], draining: false },
            is_mild: false,
            gap: 0,
            queue: BTreeMap::new(),
            events: 0,
            state,
            upstream,
            workers,
            machines,
            requests: Vec::new(),
            schedule,
            checks: 0,
            links: 0,
            counts: Counts::default(),
            story: None,
        };
        for at in 0..world.machines.len() {
            let turns: Vec<u64> = world.machines[at].phases.iter().map(|(from, _)| *from).collect();
            turns.into_iter().filter(|from| *from > 0).for_each(|from| world.at(from, Event::Turn(at)));
        }
        world.at(0, Event::Check);
        world
    }

    /// Clients, who come all the time, and whatever else happens to the balancer.
    fn fill(&mut self) {
        let broken = self.chance.one_in(2);
        self.gap = self.chance.pick(&[30, 60, 100]);
        let mut at = 0;
        // Before anybody asks for what is broken, everybody has answered somebody.
        let calm = 1_000;
        while at < END {
            at += self.chance.below(self.gap as usize) as u64;
            let (number, workers) = (self.requests.len(), self.workers.len());
            let request = Request::new(number, workers, broken && at > calm, at, &mut self.chance);
            self.arrive(request);
            if self.chance.one_in(40) {
                let leaves = at + self.chance.below(300) as u64;
                self.at(leaves, Event::Leave(number));
            }
        }
        if self.chance.one_in(4) {
            let at = self.chance.below(END as usize) as u64;
            self.at(at, Event::Change);
        }
        (0..END / LOOK).for_each(|tick| self.at(tick * LOOK, Event::Look));
    }

    pub(crate) fn arrive(&mut self, request: Request) {
        self.at(request.begun, Event::Arrive(self.requests.len()));
        self.requests.push(request);
    }

    pub(crate) fn at(&mut self, at: u64, event: Event) {
        self.events += 1;
        self.queue.insert((at, self.events), event);
    }

    pub(crate) fn instant(&self, at: u64) -> Instant {
        self.start + Duration::from_millis(at)
    }

    /// Milliseconds, rounded up.
    pub(crate) fn millis(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.start).as_nanos().div_ceil(1_000_000) as u64
    }

    pub(crate) fn note(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.story.is_some() {
            let line = format!("{:>6} {}", self.now, what(self));
            self.story.iter_mut().for_each(|story| story.push(line.clone()));
        }
    }

    /// Runs until nothing is to happen any more.
    pub(crate) fn run(&mut self) {
        self.note(|world| format!("{} workers, {}", world.workers.len(), world.upstream.options));
        for at in 0..self.machines.len() {
            self.note(|world| format!("server {at}: {}", world.upstream.servers[at].spec));
        }
        let mut turns = 0;
        while self.step() {
            turns += 1;
            assert!(turns < EVENTS, "the world does not end");
        }
        self.rest();
    }

    /// A request comes now; it runs until that is over.
    pub(crate) fn ask(&mut self, request: Request) {
        let id = self.requests.len();
        self.arrive(request);
        while self.requests[id].ended.is_none() && self.step() {}
    }

    /// Whatever is next happens, if anything is.
    fn step(&mut self) -> bool {
        let Some(((at, _), event)) = self.queue.pop_first() else { return false };
        (self.now, self.env.now) = (at, self.instant(at));
        self.happens(event);
        true
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Arrive(id) => self.begin(id),
            Event::Rest(id) => {
                let later = std::mem::take(&mut self.requests[id].later);
                self.requests[id].inbound.extend(later);
                self.settle(id);
            }
            Event::Leave(id) => self.leave(id),
            Event::Connect(id, link, works) => self.connected(id, link, works),
            Event::Say(id, link, say) => self.hears(id, link, say),
            Event::Deadline(id) => self.expire(id),
            Event::Turn(machine) => self.turn(machine),
            Event::Check => self.check(),
            Event::Checked(ticket, finding) => self.checked(ticket, finding),
            Event::Change => self.change(),
            Event::Look => self.look(),
        }
    }

    /// A server falls ill, or is well again.
    fn turn(&mut self, machine: usize) {
        let how = self.machines[machine].at(self.now);
        self.note(|_| format!("server {machine}: {how:?}"));
        if how != Condition::Refuses {
            return;
        }
        for worker in &mut self.workers {
            // Of some a worker hears before it lends them.
            let seen = self.chance.one_in(2);
            worker.idle[machine].retain(|_| !seen);
            worker.idle[machine].iter_mut().for_each(|link| (link.dead, link.reset) = (true, true));
        }
        for id in 0..self.requests.len() {
            let link = self.requests[id].link.as_mut().filter(|link| link.machine == machine && !link.dead);
            let Some(link) = link else { continue };
            (link.dead, link.reset) = (true, true);
            let (number, up) = (link.number, link.up);
            if up { self.settle(id) } else { self.connected(id, number, false) }
        }
    }

    /// Begins the checks that are due.
    fn check(&mut self) {
        let Some(mut schedule) = self.schedule.take().filter(|_| self.now < END) else { return };
        while let Some(order) = schedule.begin(self.env.now) {
            let at = self.upstream.servers.iter().position(|server| server.endpoint == order.endpoint);
            let machine = &self.machines[at.expect("a server of the upstream")];
            let within = order.within.as_millis() as u64;
            let (ok, took) = match (machine.at(self.now), &order.question) {
                (Condition::Hangs, _) | (Condition::Stalls, Some(_)) => (false, within),
                (Condition::Refuses, _) => (false, 0),
                (Condition::Well, _) | (_, None) => (true, machine.pace),
                _ => (false, machine.pace),
            };
            let finding = Finding { took: Duration::from_millis(took), what: "".into(), ok };
            self.at(self.now + took, Event::Checked(order.ticket, finding));
        }
        if let Some(next) = schedule.next() {
            let next = self.millis(next).max(self.now + 1);
            if self.checks <= self.now || next < self.checks {
                self.checks = next;
                self.at(next, Event::Check);
            }
        }
        self.schedule = Some(schedule);
    }

    fn checked(&mut self, ticket: Ticket, finding: Finding) {
        let (ok, now) = (finding.ok, self.env.now);
        let Some(schedule) = &mut self.schedule else { return };
        if schedule.end(ticket, finding, now).is_some() {
            self.counts.failing += u64::from(!ok);
            let at = self.upstream.servers.iter().position(|server| server.id == ticket.server);
            self.note(|_| format!("checks of server {}: {ok}", at.unwrap_or(usize::MAX)));
        }
        self.check();
    }

    /// Other weights, which are other parameters: nothing is held against those who get them.
    fn change(&mut self) {
        let parameters = |server: &elb::model::Server| {
            let heavy = server.spec.weight == 1;
            let mut spec = elb::model::ServerSpec::clone(&server.spec);
            spec.weight = if heavy { 3 } else { 1 };
            spec.to_string()
        };
        let servers: Vec<String> = self.upstream.servers.iter().map(parameters).collect();
        self.note(|_| "other weights".to_owned());
        self.upstream = put(&mut self.state, &servers, &self.upstream.options.to_string());
        if let Some(schedule) = &mut self.schedule {
            schedule.define(0, &self.upstream, self.env.now);
        }
    }
}

/// Defines the upstream: one server for each text of parameters.
fn put(state: &mut State, servers: &[String], options: &str) -> Arc<Upstream> {
    let names =
        servers.iter().enumerate().map(|(at, text)| (format!("10.0.0.{}:80", at + 1), text.as_str().into()));
    let mut upstream: Map<String, Value> = names.collect();
    upstream.insert("@options".to_owned(), options.into());
    let Value::Object(given) = json!({ "fleet": upstream }) else { panic!("an object") };
    state.edit(Edit::PutUpstreams(given)).expect("an upstream");
    Arc::clone(state.snapshot(1).upstream_named("fleet").expect("the upstream"))
}
