//! What happened in the last seconds: all requests second by second, and the rate of each name.
//!
//! It owns the seconds. One is over when every worker has said once more how it does: workers report each second by their own
//! clocks, and seconds of ours would now and then hold two reports of one worker and then none. What a second costs follows from
//! what was counted in it; only who looks goes through the names. Next: [`lately`](super::lately) for one name,
//! [`admin`](super::admin) shows it.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::lately::{Lately, Sums, Times, WINDOW};
use super::traffic::{Slots, bound, upstream_name};
use crate::link::Gauges;
use crate::model::{ServerId, Snapshot};
use crate::stats::histogram::Histogram;
use crate::stats::reasons::Refused;
use crate::stats::{self, AnswerKey, Asked, DomainKey, Requests, Taken};

/// Seconds that are kept: a minute shows what a change did, and Prometheus is for longer times.
pub(super) const SECONDS: usize = 60;
/// Names that are told apart while nobody looks: all that there are, as whoever is asked for them may be any.
const NAMES: usize = usize::MAX;

/// All of it.
#[derive(Debug)]
pub(super) struct Recent {
    /// The second that is not over yet.
    now: Second,
    begun: Option<Instant>,
    /// Those that are over, the oldest first.
    seconds: VecDeque<Second>,
    /// Who has reported in this second.
    told: Vec<bool>,
    /// Since the start.
    total: Counted,
    domains: Slots<Lately>,
    upstreams: Slots<Upstream>,
    servers: HashMap<ServerId, Lately>,
    workers: Vec<Worker>,
    /// What all workers had refused at the end of each second of the window, the oldest first.
    refused: VecDeque<Refused>,
    /// The version whose names are here, and no others.
    pruned: u64,
}

/// What was counted of all requests.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    pub(super) sums: Sums,
    pub(super) received: u64,
    pub(super) sent: u64,
}

/// One second.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Second {
    /// Counted from 0.
    pub(super) number: u32,
    /// How long it was: as long as the slowest report was late.
    pub(super) took: Duration,
    pub(super) counted: Counted,
    /// How long requests took that were sent to an upstream.
    pub(super) times: Histogram,
}

/// What was done for an upstream of late.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Upstream {
    lately: Lately,
    times: Times,
}

/// What a worker did of late.
#[derive(Debug, Clone, Copy, Default)]
struct Worker {
    /// Requests since the start, when it reported last.
    requests: u64,
    lately: Lately,
}

/// An upstream of which there was something of late.
#[derive(Debug, Clone)]
pub(super) struct Busy {
    /// As [`crate::model::UpstreamName::key`] has it.
    pub(super) name: Box<str>,
    pub(super) sums: Sums,
    pub(super) times: Histogram,
}

impl Counted {
    fn add(&mut self, status: u16, more: &Requests) {
        self.sums.requests += more.requests;
        self.sums.errors += errors(status, more.requests);
        self.received += more.received;
        self.sent += more.sent;
    }

    fn merge(&mut self, other: &Self) {
        self.sums.requests += other.sums.requests;
        self.sums.errors += other.sums.errors;
        self.received += other.received;
        self.sent += other.sent;
    }
}

impl Recent {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            now: Second::default(),
            begun: None,
            seconds: VecDeque::new(),
            told: Vec::new(),
            total: Counted::default(),
            domains: Slots::new(NAMES),
            upstreams: Slots::new(NAMES),
            servers: HashMap::new(),
            workers: Vec::new(),
            refused: VecDeque::new(),
            pruned: 0,
        }
    }

    /// A worker has counted these; `snapshot` is what it serves, and `current` the newest.
    pub(super) fn counted(&mut self, taken: &Taken, snapshot: &Snapshot, current: &Snapshot) {
        let second = self.now.number;
        for (key, numbers) in &taken.domains.rows {
            let DomainKey { domain, status } = DomainKey::of(*key);
            self.now.counted.add(status, numbers);
            if domain != stats::NONE {
                let named =
                    self.domains.at(domain, snapshot.domain_name(domain), current.domain_name(domain));
                named.add(second, sums(status, numbers.requests));
            }
        }
        self.now.counted.add(0, &taken.domains.rest);
        let [name, now] = [snapshot, current].map(|of| move |slot| upstream_name(of, slot));
        for (slot, times) in &taken.upstreams.rows {
            let slot = *slot as u32;
            let upstream = self.upstreams.at(slot, name(slot), now(slot));
            let requests = times.request.count();
            upstream.lately.add(second, Sums { requests, errors: 0 });
            upstream.times.add(second, &times.request);
            self.now.times.merge(&times.request);
        }
        self.now.times.merge(&taken.upstreams.rest.request);
        for (key, requests) in &taken.answers.rows {
            let AnswerKey { of, status } = AnswerKey::of(*key);
            match of {
                Asked::NoneOf(slot) => {
                    let failed = Sums { requests: 0, errors: errors(status, *requests) };
                    self.upstreams.at(slot, name(slot), now(slot)).lately.add(second, failed);
                }
                Asked::Server(number) => {
                    if let Some(id) = ServerId::of(number) {
                        self.servers.entry(id).or_default().add(second, sums(status, *requests));
                    }
                }
            }
        }
    }

    /// A worker says how it does, which it does after it has told what it counted. `running` workers have not ended; `all` is what
    /// these hold together.
    pub(super) fn reported(
        &mut self,
        worker: usize,
        own: &Gauges,
        running: usize,
        all: &Gauges,
        now: Instant,
    ) {
        if self.workers.len() <= worker {
            self.workers.resize(worker + 1, Worker::default());
            self.told.resize(worker + 1, false);
        }
        if let Some(known) = self.workers.get_mut(worker) {
            let requests = own.requests.saturating_sub(known.requests);
            known.requests = own.requests;
            known.lately.add(self.now.number, Sums { requests, errors: 0 });
        }
        let again = self.told.get_mut(worker).is_some_and(|told| std::mem::replace(told, true));
        // One that hangs does not hold the second: another has then reported twice.
        if again || self.told.iter().filter(|told| **told).count() >= running {
            self.end_second(all, now);
        }
    }

    fn end_second(&mut self, all: &Gauges, now: Instant) {
        let begun = self.begun.replace(now);
        self.now.took = begun.map_or(Duration::from_secs(1), |begun| now.saturating_duration_since(begun));
        self.total.merge(&self.now.counted);
        push(&mut self.seconds, self.now, SECONDS);
        push(&mut self.refused, all.refused, WINDOW + 1);
        self.now = Second { number: self.now.number.saturating_add(1), ..Second::default() };
        self.told.iter_mut().for_each(|told| *told = false);
    }

    /// Forgets servers that are gone, when they are many.
    pub(super) fn forget_servers(&mut self, there: usize, is_there: impl Fn(ServerId) -> bool) {
        bound(&mut self.servers, there, is_there);
    }

    /// Forgets names that are not in the configuration any more.
    pub(super) fn prune(&mut self, current: &Snapshot) {
        if std::mem::replace(&mut self.pruned, current.version) != current.version {
            self.domains.prune(|slot| current.domain_name(slot));
            self.upstreams.prune(|slot| upstream_name(current, slot));
        }
    }

    /// Of all requests since the start, up to the last second that is over.
    pub(super) fn total(&self) -> Counted {
        self.total
    }

    /// The seconds from this number on, the oldest first.
    pub(super) fn seconds(&self, from: u32) -> impl Iterator<Item = &Second> {
        self.seconds.iter().filter(move |second| second.number >= from)
    }

    /// The window as one: its length, and what was counted in it.
    pub(super) fn window(&self) -> Second {
        let mut window = Second { number: self.now.number, ..Second::default() };
        for second in self.seconds.iter().rev().take(WINDOW) {
            window.took += second.took;
            window.counted.merge(&second.counted);
            window.times.merge(&second.times);
        }
        window
    }

    /// Domains that had requests in the window, by slot. It looks at all that ever had some: three milliseconds for 100,000.
    pub(super) fn domains(&self) -> Vec<(u32, Sums)> {
        let some = |(slot, _, lately): (u32, &str, &Lately)| Some((slot, self.some(lately)?));
        self.domains.iter().filter_map(some).collect()
    }

    /// Upstreams that had requests in the window. Errors are those of requests that it had no server for; others are its servers'.
    pub(super) fn upstreams(&self) -> Vec<Busy> {
        let second = self.now.number;
        let some = |(_, name, upstream): (u32, &str, &Upstream)| {
            let sums = self.some(&upstream.lately)?;
            Some(Busy { name: name.into(), sums, times: upstream.times.all(second) })
        };
        self.upstreams.iter().filter_map(some).collect()
    }

    /// Servers that had requests in the window.
    pub(super) fn servers(&self) -> HashMap<ServerId, Sums> {
        self.servers.iter().filter_map(|(id, lately)| Some((*id, self.some(lately)?))).collect()
    }

    fn some(&self, lately: &Lately) -> Option<Sums> {
        let sums = lately.sums(self.now.number);
        (sums != Sums::default()).then_some(sums)
    }

    /// Requests that a worker routed in the window.
    pub(super) fn worker(&self, worker: usize) -> u64 {
        self.workers.get(worker).map_or(0, |one| one.lately.sums(self.now.number).requests)
    }

    /// What was refused at the begin of the window.
    pub(super) fn refused_before(&self) -> Refused {
        self.refused.front().copied().unwrap_or_default()
    }
}

fn errors(status: u16, requests: u64) -> u64 {
    if status >= 500 { requests } else { 0 }
}

fn sums(status: u16, requests: u64) -> Sums {
    Sums { requests, errors: errors(status, requests) }
}

/// Adds one, and lets the oldest go above so many.
fn push<T>(list: &mut VecDeque<T>, one: T, most: usize) {
    if list.len() >= most {
        list.pop_front();
    }
    list.push_back(one);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::traffic::{SLACK, counted, state};

    fn seconds(recent: &Recent) -> Vec<(u32, u64, u64, u128)> {
        let row = |second: &Second| {
            let Sums { requests, errors } = second.counted.sums;
            (second.number, requests, errors, second.took.as_millis())
        };
        recent.seconds(0).map(row).collect()
    }

    #[test]
    fn a_second_is_over_when_every_worker_has_reported() {
        let snapshot = state(&["a.test", "b.test"]).snapshot(1);
        let (mut recent, begun) = (Recent::new(), Instant::now());
        let at = |millis: u64| begun + Duration::from_millis(millis);
        let mut gauges = Gauges::default();
        let mut report = |recent: &mut Recent, worker: usize, running: usize, millis: u64| {
            gauges.requests += 1;
            recent.reported(worker, &gauges, running, &gauges, at(millis));
        };
        report(&mut recent, 0, 2, 0);
        assert_eq!(seconds(&recent), []);
        report(&mut recent, 1, 2, 500);
        recent.counted(&counted(&snapshot, "a.test", 200), &snapshot, &snapshot);
        recent.counted(&counted(&snapshot, "a.test", 502), &snapshot, &snapshot);
        recent.counted(&counted(&snapshot, "nobody.test", 404), &snapshot, &snapshot);
        report(&mut recent, 0, 2, 1000);
        report(&mut recent, 1, 2, 1500);
        assert_eq!(seconds(&recent), [(0, 0, 0, 1000), (1, 3, 1, 1000)]);
        // One hangs.
        report(&mut recent, 0, 2, 2000);
        report(&mut recent, 0, 2, 3000);
        assert_eq!(seconds(&recent)[2..], [(2, 0, 0, 1500)]);
        // It has ended.
        report(&mut recent, 0, 1, 4000);
        assert_eq!(seconds(&recent)[3..], [(3, 0, 0, 1000)]);
        let window = recent.window();
        assert_eq!((window.counted.sums.requests, window.took.as_millis()), (3, 4500));
        assert_eq!(recent.total().sums, Sums { requests: 3, errors: 1 });
        let slot = snapshot.domain_slot("a.test").unwrap();
        assert_eq!(recent.domains(), [(slot, Sums { requests: 2, errors: 1 })]);
        let [up] = &recent.upstreams()[..] else { panic!("one") };
        assert_eq!((&*up.name, up.sums, up.times.count()), ("up", Sums { requests: 3, errors: 0 }, 3));
        let server = snapshot.upstreams().next().unwrap().servers[0].id;
        assert_eq!(recent.servers()[&server], Sums { requests: 3, errors: 1 });
        (5..100).for_each(|second| report(&mut recent, 0, 1, second * 1000));
        assert_eq!(recent.seconds(0).count(), SECONDS);
        assert_eq!(recent.seconds(95).count(), 4);
        assert_eq!((recent.domains().len(), recent.servers().len()), (0, 0), "that was long ago");
        assert_eq!(recent.worker(0), WINDOW as u64);
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut state = state(&["a.test"]);
        let first = state.snapshot(1);
        let mut recent = Recent::new();
        recent.counted(&counted(&first, "a.test", 200), &first, &first);
        recent.end_second(&Gauges::default(), Instant::now());
        state.edit(crate::model::Edit::DeleteDomains(vec!["a.test".to_owned()])).unwrap();
        recent.prune(&state.snapshot(2));
        assert_eq!(recent.domains(), []);
        recent
            .servers
            .extend((1..=SLACK as u32 + 1).filter_map(ServerId::of).map(|id| (id, Lately::default())));
        recent.forget_servers(0, |_| false);
        assert_eq!(recent.servers.len(), 0);
    }
}
