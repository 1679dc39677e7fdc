//! Numbers that one worker counts of requests, in plain integers, until they go to control.
//!
//! It owns what is counted by which key; never an atomic, a lock, a name or a clock. Rows know domains and upstreams by their
//! slots and servers by their numbers, so whoever reads them needs a snapshot of that moment. Next:
//! `control::traffic` merges the workers' numbers by name, [`crate::control::statsd`] sends some of them.

use std::time::Instant;

pub mod failures;
pub mod gzip;
pub mod histogram;
pub mod lost;
pub mod reasons;
pub mod retries;
pub mod seldom;
pub mod table;
pub mod tally;

use failures::{Failure, Failures};
use histogram::Histogram;
use table::{Rows, Table};

/// Stands for no slot: a request of no domain.
pub const NONE: u32 = u32::MAX;

/// One request that is over, as far as it is counted.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// The slot of its domain; [`NONE`] without one.
    pub domain: u32,
    /// The slot of the upstream that it was sent to.
    pub upstream: Option<u32>,
    /// The number of the server that it was given to last; 0 if to none.
    pub server: u32,
    /// The status that the client got.
    pub status: u16,
    /// Bytes that came from the client.
    pub received: u64,
    /// Bytes that it took.
    pub sent: u64,
    /// Its first byte came.
    pub begun: Instant,
    /// It was put to the rules.
    pub routed: Instant,
    /// The connection to its last server was there.
    pub connected: Option<Instant>,
    /// The head of that one's answer was.
    pub answered: Option<Instant>,
    /// It was over.
    pub ended: Instant,
}

/// Requests of one domain with one status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// All of them.
    pub requests: u64,
    /// Those that reached an upstream.
    pub forwarded: u64,
    /// Bytes that came from clients.
    pub received: u64,
    /// Bytes that clients took.
    pub sent: u64,
}

/// How long requests of one upstream took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// From the first byte of a request to its end.
    pub request: Histogram,
    /// What servers took to the head of their answer.
    pub response: Histogram,
}

/// Numbers of one worker since they were last taken.
#[derive(Debug)]
pub struct Stats {
    domains: Table<Requests>,
    upstreams: Table<Times>,
    answers: Table<u64>,
    steps: Table<u64>,
    failures: Failures,
    /// If somebody wants them: statsd.
    costs: Option<Table<u64>>,
    is_empty: bool,
}

/// What was taken of them, on its way to control.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// By [`DomainKey`].
    pub domains: Rows<Requests>,
    /// By the slot of the upstream.
    pub upstreams: Rows<Times>,
    /// Requests by [`AnswerKey`].
    pub answers: Rows<u64>,
    /// Requests that were looked at closely by [`StepKey`].
    pub steps: Rows<u64>,
    /// Some of the requests that failed, in order.
    pub failures: Vec<Failure>,
    /// Requests by [`CostKey`].
    pub costs: Rows<u64>,
}

/// A domain's slot and a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DomainKey {
    /// [`NONE`] without one.
    pub domain: u32,
    /// The status.
    pub status: u16,
}

/// Who was asked, and the status that the client got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerKey {
    /// Who.
    pub of: Asked,
    /// The status.
    pub status: u16,
}

/// Who was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The server of this number.
    Server(u32),
    /// None: the upstream in this slot had no server for the request.
    NoneOf(u32),
}

/// A domain's slot and a cost in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CostKey {
    /// The slot.
    pub domain: u32,
    /// A [`tally::step`].
    pub cost: u32,
}

/// What a request did at a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepKey {
    /// The slot of its domain.
    pub domain: u32,
    /// The number of the rule.
    pub rule: u16,
    /// Which of its successors it chose; [`END`] where the walk ends.
    pub successor: u16,
}

/// No successor: the rule is the last of the way.
pub const END: u16 = u16::MAX;

/// The bit that tells servers from upstreams.
const SERVER: u64 = 1 << 48;

impl DomainKey {
    fn pack(self) -> u64 {
        u64::from(self.domain) << 16 | u64::from(self.status)
    }

    /// What was packed.
    #[must_use]
    pub fn of(key: u64) -> Self {
        Self { domain: (key >> 16) as u32, status: key as u16 }
    }
}

impl AnswerKey {
    fn pack(self) -> u64 {
        let who = match self.of {
            Asked::Server(number) => SERVER | u64::from(number) << 16,
            Asked::NoneOf(slot) => u64::from(slot) << 16,
        };
        who | u64::from(self.status)
    }

    /// What was packed.
    #[must_use]
    pub fn of(key: u64) -> Self {
        let number = (key >> 16) as u32;
        let of = if key & SERVER == 0 { Asked::NoneOf(number) } else { Asked::Server(number) };
        Self { of, status: key as u16 }
    }
}

impl StepKey {
    fn pack(self) -> u64 {
        u64::from(self.domain) << 32 | u64::from(self.rule) << 16 | u64::from(self.successor)
    }

    /// What was packed.
    #[must_use]
    pub fn of(key: u64) -> Self {
        Self { domain: (key >> 32) as u32, rule: (key >> 16) as u16, successor: key as u16 }
    }
}

impl CostKey {
    fn pack(self) -> u64 {
        u64::from(self.domain) << 32 | u64::from(self.cost)
    }

    /// What was packed.
    #[must_use]
    pub fn of(key: u64) -> Self {
        Self { domain: (key >> 32) as u32, cost: key as u32 }
    }
}

impl Stats {
    /// Nothing yet. `costs` says whether somebody wants those.
    #[must_use]
    pub fn new(costs: bool) -> Stats {
        Stats {
            domains: Table::default(),
            upstreams: Table::default(),
            answers: Table::default(),
            steps: Table::default(),
            failures: Failures::default(),
            costs: costs.then(Table::default),
            is_empty: true,
        }
    }

    /// Counts one request.
    #[inline(always)]
    pub fn record(&mut self, one: &Counted) {
        self.is_empty = false;
        let &Counted { domain, status, .. } = one;
        let requests = self.domains.at(DomainKey { domain, status }.pack());
        requests.requests += 1;
        requests.forwarded += u64::from(one.upstream.is_some());
        requests.received += one.received;
        requests.sent += one.sent;
        let Some(slot) = one.upstream else { return };
        let times = self.upstreams.at(u64::from(slot));
        let took = one.ended.saturating_duration_since(one.begun);
        let place = times.request.add(took);
        if let (Some(connected), Some(answered)) = (one.connected, one.answered) {
            // Most requests begin in one turn of a worker and end in another, and all of it happens in these two.
            if connected == one.begun && answered == one.ended {
                times.response.add_at(place, took);
            } else {
                times.response.add(answered.saturating_duration_since(connected));
            }
        }
        let of = if one.server == 0 { Asked::NoneOf(slot) } else { Asked::Server(one.server) };
        *self.answers.at(AnswerKey { of, status }.pack()) += 1;
        if let Some(costs) = &mut self.costs {
            let cost = one.ended.saturating_duration_since(one.routed).as_millis();
            let cost = tally::step(u32::try_from(cost).unwrap_or(u32::MAX));
            *costs.at(CostKey { domain, cost }.pack()) += 1;
        }
    }

    /// Notes one that failed, which was counted.
    pub fn fail(&mut self, failure: Failure) {
        self.failures.add(failure);
    }

    /// Counts what a request did at a rule.
    #[inline]
    pub fn step(&mut self, key: StepKey) {
        self.is_empty = false;
        *self.steps.at(key.pack()) += 1;
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Whether they should be taken now, so that each name keeps a row of its own.
    #[inline]
    #[must_use]
    pub fn is_nearly_full(&self) -> bool {
        self.domains.is_nearly_full()
            || self.upstreams.is_nearly_full()
            || self.answers.is_nearly_full()
            || self.steps.is_nearly_full()
            || self.costs.as_ref().is_some_and(Table::is_nearly_full)
    }

    /// Hands everything over and begins anew.
    pub fn take(&mut self) -> Taken {
        self.is_empty = true;
        Taken {
            domains: self.domains.take(),
            upstreams: self.upstreams.take(),
            answers: self.answers.take(),
            steps: self.steps.take(),
            failures: self.failures.take(),
            costs: self.costs.as_mut().map(Table::take).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn request(status: u16) -> Counted {
        let begun = Instant::now();
        let after = |ms| begun + Duration::from_millis(ms);
        Counted {
            domain: 3,
            upstream: Some(2),
            server: 9,
            status,
            received: 30,
            sent: 40,
            begun,
            routed: after(5),
            connected: Some(after(6)),
            answered: Some(after(11)),
            ended: after(12),
        }
    }

    #[test]
    fn requests_are_counted_by_domain_upstream_server_and_cost() {
        let mut stats = Stats::new(true);
        assert!(stats.is_empty());
        stats.record(&request(200));
        stats.record(&request(200));
        let step = StepKey { domain: 3, rule: 1, successor: 0 };
        stats.step(step);
        stats.record(&Counted { server: 0, answered: None, ..request(503) });
        stats.record(&Counted { domain: NONE, upstream: None, ..request(404) });
        assert!(!stats.is_empty());
        let taken = stats.take();
        let domains: Vec<_> =
            taken.domains.rows.iter().map(|(key, requests)| (DomainKey::of(*key), *requests)).collect();
        let row = |domain, status, requests, forwarded| {
            let numbers = Requests { requests, forwarded, received: requests * 30, sent: requests * 40 };
            (DomainKey { domain, status }, numbers)
        };
        assert_eq!(domains, [row(3, 200, 2, 2), row(3, 503, 1, 1), row(NONE, 404, 1, 0)]);
        let answers: Vec<_> = taken.answers.rows.iter().map(|(key, n)| (AnswerKey::of(*key), *n)).collect();
        let answer = |of, status, times| (AnswerKey { of, status }, times);
        assert_eq!(answers, [answer(Asked::Server(9), 200, 2), answer(Asked::NoneOf(2), 503, 1)]);
        let [(2, times)] = taken.upstreams.rows[..] else { panic!("{taken:?}") };
        assert_eq!((times.request.count(), times.response.count()), (3, 2));
        assert_eq!((times.request.sum, times.response.sum), (36_000, 10_000));
        let [(key, 3)] = taken.costs.rows[..] else { panic!("{taken:?}") };
        assert_eq!(CostKey::of(key), CostKey { domain: 3, cost: 7 });
        assert_eq!(taken.steps.rows, [(step.pack(), 1)]);
        assert!(stats.is_empty());
        assert_eq!(stats.take(), Taken::default());
    }

    #[test]
    fn a_request_of_two_turns_has_one_time() {
        let mut stats = Stats::new(false);
        let one = request(200);
        stats.record(&Counted { connected: Some(one.begun), answered: Some(one.ended), ..one });
        let [(_, times)] = stats.take().upstreams.rows[..] else { panic!("one row") };
        assert_eq!(times.request, times.response);
    }

    #[test]
    fn keys_are_what_was_packed() {
        for number in [0, 1, 0xFFFF, u32::MAX] {
            for status in [0, 200, 999, u16::MAX] {
                let key = DomainKey { domain: number, status };
                assert_eq!(DomainKey::of(key.pack()), key);
                for of in [Asked::Server(number), Asked::NoneOf(number)] {
                    let key = AnswerKey { of, status };
                    assert_eq!(AnswerKey::of(key.pack()), key);
                }
            }
            let key = StepKey { domain: number, rule: 7, successor: END };
            assert_eq!(StepKey::of(key.pack()), key);
            let key = CostKey { domain: 7, cost: number };
            assert_eq!(CostKey::of(key.pack()), key);
        }
    }

    #[test]
    fn without_statsd_there_are_no_costs() {
        let mut stats = Stats::new(false);
        stats.record(&request(200));
        assert_eq!(stats.take().costs, Rows::default());
    }
}
