//! What must be true in any weather.

use std::time::Duration;

use elb::exchange::Sign;
use elb::model::{BalancingMethod, Health};

use crate::machine::Condition;
use crate::request::{Attempt, KEYS, Request};
use crate::world::{PERCENT, TRIES, Worker, World};

/// Milliseconds by which requests may be late by chance.
const LATE: u64 = 500;

impl World {
    /// How the server at this place is, as far as the workers know.
    pub(crate) fn health(&self, at: usize) -> Health {
        let server = &self.upstream.servers[at];
        server.state.health(server.spec.max_fails, server.spec.fail_timeout)
    }

    /// A worker was told this of the server at this place, whose health was `before` that.
    pub(crate) fn said(&mut self, id: usize, at: usize, sign: Sign, before: Health) {
        let (request, now) = (&self.requests[id], self.now);
        let attempt = *request.attempts.last().expect("an attempt");
        let machine = &self.machines[at];
        let is_well = machine.is_well_from(attempt.from, now);
        let is_aside = |health| matches!(health, Health::Aside { .. });
        let falls = !is_aside(before) && is_aside(self.health(at));
        assert_eq!(attempt.machine, at, "of another server");
        assert!(!falls || matches!(sign, Sign::Fault(_)), "{sign:?} puts server {at} aside");
        match sign {
            Sign::Good => assert!(matches!(attempt.answer, Some(Condition::Well)), "good: {attempt:?}"),
            Sign::Nothing => {}
            Sign::Fault(_) => assert!(!is_well, "a fault of server {at}, which was well"),
            Sign::Doubt(_) => {
                assert!(!is_well || request.broken.is_some(), "a doubt of server {at}, which was well")
            }
        }
        let machine = &mut self.machines[at];
        match sign {
            Sign::Good => machine.last_good = Some(now),
            Sign::Fault(_) | Sign::Doubt(_) => machine.last_blame = now,
            Sign::Nothing => machine.last_vain = now,
        }
        self.counts.asides += u64::from(falls);
        if falls {
            self.note(|_| format!("server {at} is put aside by r{id}: {sign:?}"));
        }
    }

    /// A worker has decided which doubts of a request count, when its servers were `before` that.
    pub(crate) fn concluded(&mut self, id: usize, before: &[Health]) {
        let now = self.now;
        for (at, before) in before.iter().enumerate() {
            let request = &self.requests[id];
            let Some(attempt) = request.attempts.iter().rev().find(|attempt| attempt.machine == at) else {
                continue;
            };
            let is_aside = |health: Health| matches!(health, Health::Aside { .. });
            let falls = !is_aside(*before) && is_aside(self.health(at));
            let is_well = self.machines[at].is_well_from(attempt.from, attempt.until.min(now));
            // Others may know of a good answer a sixteenth of `fail_timeout` later than of the one before.
            let patience = self.fail_timeout(at) * 15 / 16;
            let was_good = |good: u64| now - good <= patience || good > request.routed;
            let answers = self.machines[at].last_good.is_some_and(was_good);
            let is_only = request.tried.len() == 1;
            assert!(
                !falls || !is_well || (is_only && !answers),
                "server {at} is aside because of one URL, r{id}"
            );
            let machine = &mut self.machines[at];
            (machine.last_blame, machine.last_vain) = (now, now);
            machine.is_wronged |= falls && is_well;
            self.counts.asides += u64::from(falls);
            self.counts.doubted += u64::from(falls && is_well);
            if falls {
                self.note(|_| format!("server {at} is put aside by r{id}, with which others did better"));
            }
        }
    }

    /// A worker says that there is nobody else to ask: all were asked, or those who were not are aside, and not everybody is.
    pub(crate) fn none_left(&self, id: usize) {
        let is_usable = |at: &usize| match self.health(*at) {
            Health::Up => true,
            Health::Aside { until } => until < self.env.now,
            Health::Failing => false,
        };
        let attempts = &self.requests[id].attempts;
        let all = 0..self.machines.len();
        let others: Vec<usize> =
            all.clone().filter(|at| !attempts.iter().any(|attempt| attempt.machine == *at)).collect();
        let is_out = !all.into_iter().any(|at| is_usable(&at));
        let left = others.iter().any(|at| is_out || is_usable(at));
        assert!(!left, "r{id} is not sent to one of {others:?}");
    }

    /// A request is over.
    pub(crate) fn judge(&mut self, id: usize) {
        self.requests[id].ended = Some(self.now);
        self.note(|world| {
            let request = &world.requests[id];
            format!("r{id} is over: {}, whole and good {}", request.status(), request.is_served())
        });
        let request = &self.requests[id];
        assert!(request.lease.is_none() && request.link.is_none(), "something is not given back");
        let sent = request.attempts.iter().filter(|attempt| attempt.bytes > 0).count();
        assert!(request.is_idempotent() || sent <= 1, "a POST was sent {sent} times");
        assert!(request.tried.len() <= TRIES as usize, "{} servers were tried", request.tried.len());
        // A connection that was kept may have died meanwhile: then the same server is asked once more.
        let stale = request.attempts.iter().filter(|attempt| attempt.reused).count();
        assert!(request.attempts.len() <= TRIES as usize + stale, "too many attempts");
        if request.left || request.broken.is_some() {
            return;
        }
        if request.is_served() {
            self.counts.served += 1;
        } else {
            self.lost(request);
            self.counts.lost += 1;
        }
    }

    /// A request came to nothing: nobody could have saved it.
    fn lost(&self, request: &Request) {
        for attempt in request.attempts.iter().filter(|attempt| !attempt.dead) {
            let is_well = self.machines[attempt.machine].is_well_from(attempt.from, attempt.until);
            assert!(!is_well, "it failed at server {}, which was well: {attempt:?}", attempt.machine);
        }
        if !request.is_idempotent() || request.over_budget {
            return;
        }
        let is_wronged = |at: usize| self.machines[at].is_wronged && self.health(at) != Health::Up;
        let is_hopeless = (0..self.machines.len()).any(is_wronged);
        assert!(!self.is_mild || is_hopeless, "it was lost, and there was always a server that was well");
        // The client has seen the beginning of an answer.
        let is_cut = |attempt: &Attempt| attempt.answer == Some(Condition::Cuts);
        let babbles = |attempt: &&Attempt| attempt.answer == Some(Condition::Babbles);
        let attempts = &request.attempts;
        let unacceptable = attempts.iter().rev().skip(1).any(|attempt| babbles(&attempt));
        if attempts.last().is_some_and(is_cut) || request.tried.len() == TRIES as usize || unacceptable {
            return;
        }
        for (at, machine) in self.machines.iter().enumerate() {
            let tried = attempts.iter().any(|attempt| attempt.machine == at);
            let could = machine.is_well_from(request.begun, self.now) && self.health(at) == Health::Up;
            assert!(tried || !could, "server {at} was well and was not asked");
        }
    }

    /// From time to time: nobody who is well is kept waiting.
    pub(crate) fn look(&mut self) {
        for at in 0..self.machines.len() {
            let Some(well) = self.machines[at].well_since(self.now) else { continue };
            let check = self.upstream.options.check.as_ref();
            let rise = check.map_or(0, |check| {
                let whole = check.interval.mul_f64(1.1) + Duration::from_millis(20);
                (whole * (check.rise + 1) + check.timeout).as_millis() as u64
            });
            let machine = &self.machines[at];
            let rested = well.max(machine.last_blame) + self.fail_timeout(at);
            let Health::Aside { until } = self.health(at) else {
                let failing = self.health(at) == Health::Failing;
                assert!(
                    !failing || self.now <= well + rise,
                    "checks of server {at} fail, which is well since {well}"
                );
                continue;
            };
            // One that is under way is waited for.
            let latest = rested.max(machine.picked + self.fail_timeout(at));
            assert!(
                self.millis(until) <= latest,
                "server {at} is well since {well}, and aside until {until:?}"
            );
            // A request that says nothing about the server leaves it to the next one that comes there.
            let due = rested.max(machine.last_vain).max(well + rise) + self.turn_of_all() + LATE;
            assert!(self.is_idle(at) || self.now <= due, "server {at} is well since {well}, and still aside");
        }
    }

    /// At the end everything was given back, and everybody is well.
    pub(crate) fn rest(&mut self) {
        for (at, worker) in self.workers.iter().enumerate() {
            assert_eq!(worker.balancer.leases(), 0, "worker {at} has lent places for good");
            self.keeps_budget(worker);
        }
        for (at, server) in self.upstream.servers.iter().enumerate() {
            assert_eq!(server.state.load().active(), 0, "server {at} is busy for good");
        }
        for request in &self.requests {
            let ended = request.ended;
            assert!(
                ended.is_some_and(|ended| ended < request.begun + 2_000),
                "{} {} of {} ended {ended:?}",
                request.method,
                request.path,
                request.begun
            );
        }
    }

    /// Second tries were as many as the budget allows: ten a second of all workers, counted over ten seconds, and so many for a
    /// hundred requests, which count for two spans of five seconds.
    fn keeps_budget(&self, worker: &Worker) {
        let percent = u64::from(self.upstream.options.retry_budget.unwrap_or(PERCENT));
        let (requests, tries) = worker.made;
        let floor = 100_u64.div_ceil(self.workers.len() as u64);
        let spans = self.now / 5_000 + 1;
        let most = if percent == 0 { 0 } else { spans * floor + 2 * requests * percent / 100 };
        assert!(tries <= most, "{tries} second tries for {requests} requests, {most} are allowed");
    }

    /// No request need come to this server, though it may: others are first, or faster.
    fn is_idle(&self, at: usize) -> bool {
        self.upstream.servers[at].spec.backup || self.upstream.options.method == BalancingMethod::Ewma
    }

    /// Milliseconds in which each server has had its turn twice, or ten times where that is by chance, as it is where each
    /// worker has a sequence of its own.
    fn turn_of_all(&self) -> u64 {
        let weights: u32 = self.upstream.servers.iter().map(|server| server.spec.weight).sum();
        let turns = match self.upstream.options.method {
            BalancingMethod::Hash => 2 * KEYS as u64,
            BalancingMethod::RoundRobin if self.workers.len() == 1 => weights.into(),
            _ => 5 * u64::from(weights),
        };
        turns * self.gap
    }

    /// In milliseconds.
    fn fail_timeout(&self, at: usize) -> u64 {
        self.upstream.servers[at].spec.fail_timeout.as_millis() as u64
    }
}
