//! Every server in force, with what is known of it outside of workers: its checks, how it does, and what workers say of it.
//!
//! It owns that it follows the snapshots: a server that is taken away is forgotten at once, checks included. It never makes
//! a check and never judges a server. Next: [`checks`](super::checks) for those, [`health`](super::health) for the words,
//! [`hub`](super::hub) calls.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

use super::checks::order::{Finding, Order, Ticket};
use super::checks::schedule::{LastCheck, Schedule};
use super::health::{Journal, failures};
use super::traffic::Traffic;
use crate::link::ServerNumbers;
use crate::model::{Condition, Server, ServerId, Snapshot, Upstream, UpstreamSpec};

/// All of them.
#[derive(Debug)]
pub(super) struct Servers {
    schedule: Schedule,
    journal: Journal,
    /// What each worker said last of each server in force; nothing of one that has not been used.
    numbers: HashMap<ServerId, Vec<ServerNumbers>>,
}

/// One server at one of its addresses, for whoever shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// Nothing while its name has no address.
    pub(super) id: Option<ServerId>,
    pub(super) upstream: Arc<str>,
    pub(super) server: String,
    /// Nothing while the name has none.
    pub(super) address: Option<String>,
    pub(super) state: &'static str,
    /// Since when it does as it does; nothing when it always did well.
    pub(super) since: Option<Instant>,
    /// For one that is aside: when a request shows whether that is over.
    pub(super) until: Option<Instant>,
    pub(super) reason: Option<String>,
    pub(super) failures: u32,
    pub(super) last_check: Option<LastCheck>,
    /// Of all workers together.
    pub(super) active: u64,
    pub(super) idle_connections: u64,
    pub(super) requests: u64,
    /// Requests that it was the last to get, by the status that their clients got.
    pub(super) statuses: Vec<(u16, u64)>,
}

impl Servers {
    /// None yet.
    pub(super) fn new() -> Self {
        // Several ELBs that begin together need not check together.
        let seed = RandomState::new().hash_one(());
        Self { schedule: Schedule::new(seed), journal: Journal::default(), numbers: HashMap::new() }
    }

    /// The servers of `current` are in force from now on, instead of those of `before`.
    pub(super) fn follow(&mut self, before: &Snapshot, current: &Snapshot, now: Instant) {
        for slot in current.upstreams_differing(before) {
            let servers = current.upstream(slot).map_or(&[][..], |upstream| &upstream.servers);
            let there: HashSet<ServerId> = servers.iter().map(|server| server.id).collect();
            let gone = before.upstream(slot).into_iter().flat_map(|upstream| &upstream.servers);
            for server in gone.filter(|server| !there.contains(&server.id)) {
                self.schedule.remove(server.id, now);
                self.journal.forget(server.id);
                self.numbers.remove(&server.id);
            }
            for id in there {
                self.numbers.entry(id).or_default();
            }
            if let Some(upstream) = current.upstream(slot) {
                self.schedule.define(slot, upstream, now);
            }
        }
    }

    /// A worker says what is different with these servers.
    pub(super) fn told(&mut self, worker: usize, servers: Vec<ServerNumbers>) {
        for told in servers {
            // One that is gone by now is nobody's.
            let Some(known) = self.numbers.get_mut(&told.server) else { continue };
            if known.len() <= worker {
                known.resize(worker + 1, ServerNumbers::none(told.server));
            }
            if let Some(own) = known.get_mut(worker) {
                *own = told;
            }
        }
    }

    /// Whether there is such a server.
    pub(super) fn has(&self, id: ServerId) -> bool {
        self.numbers.contains_key(&id)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.numbers.len()
    }

    /// A worker has ended: it has no connections any more.
    pub(super) fn ended(&mut self, worker: usize) {
        for own in self.numbers.values_mut().filter_map(|known| known.get_mut(worker)) {
            (own.active, own.idle) = (0, 0);
        }
    }

    /// Tells of servers that have gone or are back.
    pub(super) fn look(&mut self, current: &Snapshot) {
        let Self { schedule, journal, .. } = self;
        journal.look(current.upstreams().map(|upstream| &**upstream), |id| why(schedule, id));
    }

    /// The schedule of checks.
    pub(super) fn schedule(&mut self) -> &mut Schedule {
        &mut self.schedule
    }

    /// When the next check is due.
    pub(super) fn next_check(&self) -> Option<Instant> {
        self.schedule.next()
    }

    /// The next check that is due.
    pub(super) fn begin_check(&mut self, now: Instant) -> Option<Order> {
        self.schedule.begin(now)
    }

    /// A check has ended.
    pub(super) fn checked(&mut self, ticket: Ticket, finding: Finding, current: &Snapshot, now: Instant) {
        let Self { schedule, journal, .. } = self;
        if let Some(slot) = schedule.end(ticket, finding, now)
            && let Some(upstream) = current.upstream(slot)
        {
            journal.look_at(upstream, |id| why(schedule, id));
        }
    }

    /// Those of the upstreams that are `wanted`, by the names of these; of each in the order of its definition.
    pub(super) fn list(
        &self,
        current: &Snapshot,
        traffic: &Traffic,
        wanted: impl Fn(&str) -> bool,
    ) -> Vec<Shown> {
        let mut upstreams: Vec<_> = current.specs().filter(|(spec, _)| wanted(&spec.name)).collect();
        upstreams.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        upstreams.into_iter().flat_map(|(spec, upstream)| self.list_one(spec, upstream, traffic)).collect()
    }

    fn list_one(&self, spec: &UpstreamSpec, upstream: &Upstream, traffic: &Traffic) -> Vec<Shown> {
        let name: Arc<str> = spec.name.as_str().into();
        let show = |server: &Server| Shown {
            statuses: traffic.server(server.id).to_vec(),
            ..self.show(&name, server, upstream)
        };
        let mut shown: Vec<Shown> = upstream.servers.iter().map(show).collect();
        let there: HashSet<&str> = upstream.servers.iter().map(|server| &*server.spec.name).collect();
        let lost = spec.servers.iter().filter(|server| !there.contains(&*server.name));
        shown.extend(lost.map(|server| Shown::unresolved(&name, &server.name)));
        shown
    }

    fn show(&self, upstream_name: &Arc<str>, server: &Server, upstream: &Upstream) -> Shown {
        let condition = Condition::of(server, upstream);
        let numbers = self.numbers.get(&server.id).map_or(&[][..], Vec::as_slice);
        let (until, reason) = match condition {
            Condition::Aside { until } => (Some(until), Some(failures(server))),
            Condition::Failing => (None, why(&self.schedule, server.id)),
            Condition::Up | Condition::Draining | Condition::Down => (None, None),
        };
        Shown {
            id: Some(server.id),
            upstream: Arc::clone(upstream_name),
            server: server.spec.name.clone(),
            address: Some(server.endpoint.to_string()),
            state: condition.word(),
            since: server.state.changed_at(),
            until,
            reason,
            failures: server.state.failures(),
            last_check: self.schedule.last(server.id).cloned(),
            active: numbers.iter().map(|own| u64::from(own.active)).sum(),
            idle_connections: numbers.iter().map(|own| u64::from(own.idle)).sum(),
            requests: numbers.iter().map(|own| own.requests).sum(),
            statuses: Vec::new(),
        }
    }
}

impl Shown {
    fn unresolved(upstream: &Arc<str>, server: &str) -> Self {
        Self {
            id: None,
            upstream: Arc::clone(upstream),
            server: server.to_owned(),
            address: None,
            state: "unresolved",
            since: None,
            until: None,
            reason: Some("its name has no address".to_owned()),
            failures: 0,
            last_check: None,
            active: 0,
            idle_connections: 0,
            requests: 0,
            statuses: Vec::new(),
        }
    }
}

/// What the last check of a server found.
fn why(schedule: &Schedule, id: ServerId) -> Option<String> {
    schedule.last(id).map(|last| last.finding.what.to_string())
}

#[cfg(test)]
mod tests;
