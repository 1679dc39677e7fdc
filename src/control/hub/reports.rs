//! What the control loop tells the hub: of the store, of names, of workers, of the state file, and that time has passed.
//!
//! It owns what follows from each, never a question of the admin API. Next: [`run`](crate::control::run) tells it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Hub;
use crate::control::alarms::Subject;
use crate::control::changes::Via;
use crate::control::checks::order::{Finding, Order, Ticket};
use crate::control::history::{Entry, Former};
use crate::control::live::Live;
use crate::control::saver::Unsaved;
use crate::control::state_file::Saved;
use crate::control::store::StoreEvent;
use crate::control::{shortages, validity};
use crate::link::{Gauges, ServerNumbers, ToWorker};
use crate::model::{Differences, KeyChange, Snapshot, Touch};
use crate::stats::Taken;

impl Hub {
    /// The store has something to say.
    pub(in crate::control) fn store_event(&mut self, event: StoreEvent, now: Instant) {
        let event = match event {
            StoreEvent::Dumped(outcome) => {
                return self.dumps.ended(&mut self.state, self.guard.known(), outcome, now);
            }
            other => other,
        };
        let is_news = !matches!(event, StoreEvent::Down { .. });
        self.state.heed(self.dumps.is_awaited());
        // Whoever takes nothing away takes nothing of anybody's.
        let live = if takes_away(&event) { self.live() } else { Live::default() };
        let changed = self.guard.event(&mut self.state, &mut self.alarms, event, &live, now);
        let (edits, others) = self.guard.take_overridden();
        self.dumps.gave_way(&edits, &others);
        if is_news {
            self.stored(changed, now);
        }
    }

    /// A worker has counted requests by the slots of this snapshot.
    pub(in crate::control) fn counted(&mut self, taken: &Taken, snapshot: &Snapshot, now: Instant) {
        self.heat.counted(&taken.steps, snapshot, now);
        self.failures.told(&taken.failures, snapshot);
        self.traffic.counted(taken, snapshot, &self.current);
        self.recent.counted(taken, snapshot, &self.current);
        let servers = &self.servers;
        let (there, is_there) = (servers.count(), |id| servers.has(id));
        self.traffic.forget_servers(there, is_there);
        self.recent.forget_servers(there, is_there);
    }

    /// A worker says what it has to do with servers.
    pub(in crate::control) fn told_of_servers(&mut self, worker: usize, servers: Vec<ServerNumbers>) {
        self.servers.told(worker, servers);
    }

    /// When a check of a server is due.
    pub(in crate::control) fn next_check(&self) -> Option<Instant> {
        self.servers.next_check()
    }

    /// The next check that is due, to be made now.
    pub(in crate::control) fn begin_check(&mut self, now: Instant) -> Option<Order> {
        self.servers.begin_check(now)
    }

    /// Checks to be given up.
    pub(in crate::control) fn stopped_checks(&mut self) -> Vec<Ticket> {
        self.servers.schedule().take_stopped()
    }

    /// A check has ended.
    pub(in crate::control) fn checked(&mut self, ticket: Ticket, finding: Finding, now: Instant) {
        self.servers.checked(ticket, finding, &self.current, now);
    }

    /// A second has passed.
    pub(in crate::control) fn tick(&mut self, now: Instant) {
        if self.guard.tick(&mut self.state, &mut self.alarms, now) {
            self.stored(true, now);
        }
        self.servers.look(&self.current);
    }

    /// The state file cannot be written, for this reason; or it can.
    pub(in crate::control) fn state_file(&mut self, fault: Option<String>) {
        match fault {
            Some(fault) => self.alarms.raise(Subject::StateFile, fault),
            None => self.alarms.clear(Subject::StateFile, "the state file is written again"),
        }
    }

    /// What a state file kept: it serves until the store is there, and what the store says then is judged against it.
    /// It was written `age` ago.
    pub(in crate::control) fn remember(&mut self, saved: Saved, age: Duration, now: Instant) {
        self.resolver.remember(saved.names.clone());
        self.guard.remember(&mut self.state, &mut self.alarms, saved.contents, age, now);
        self.changed(Via::StateFile.by_nobody(), now);
    }

    /// Takes on the versions that were kept with what was just remembered, so that numbers go on and each of them can be served again.
    pub(in crate::control) fn resume(&mut self, Former { entries, last }: Former) {
        let Some(newest) = entries.last() else { return };
        self.current = Arc::new(Snapshot::empty_at(newest.version.max(self.current.version)));
        let touch = |name: Arc<str>, before, after: Option<Arc<str>>| {
            (before != after).then_some(Touch { name, before, after })
        };
        let domains = last.domains.into_iter().filter_map(|(name, before)| {
            let after = self.state.domain(&name).cloned();
            Some((Arc::clone(&name), touch(name, before, after)?))
        });
        let domains = domains.collect();
        let upstreams = last.upstreams.into_iter().filter_map(|(key, (name, before))| {
            let after = self.state.upstream(&key).map(|spec| spec.text());
            Some((key.into(), touch(name, before, after)?))
        });
        let upstreams = upstreams.collect();
        self.history.resume(entries, Differences { domains, upstreams });
    }

    /// All versions that are kept, the oldest first, if there are other ones since this was asked.
    pub(in crate::control) fn history_news(&mut self) -> Option<Vec<Arc<Entry>>> {
        self.history.take_news()
    }

    /// The store did not answer in time.
    pub(in crate::control) fn begin_without_store(&mut self, reason: &str) {
        self.guard.lost(&mut self.alarms, reason);
    }

    /// What a state file should hold, if it does not yet.
    pub(in crate::control) fn unsaved(&mut self) -> Option<Unsaved> {
        std::mem::take(&mut self.unsaved).then(|| Unsaved {
            good: self.state.last_good(),
            revision: self.guard.revision(),
            names: self.resolver.all_addresses(),
        })
    }

    /// Waits for the next lookup. Gives the name and its addresses when those changed: they are for [`Hub::learnt`]. May
    /// be dropped at any await.
    pub(in crate::control) async fn looked_up(&mut self) -> Option<(String, Vec<SocketAddr>)> {
        self.resolver.next().await
    }

    /// Is there no name left that has no address because it was never looked up?
    pub(in crate::control) fn is_usable(&self) -> bool {
        self.resolver.is_usable()
    }

    /// Is there no name left that was never looked up?
    pub(in crate::control) fn is_resolved(&self) -> bool {
        self.resolver.is_settled()
    }

    /// Looks every name up again, or only those whose last lookup failed.
    pub(in crate::control) fn refresh_names(&mut self, all: bool) {
        if all { self.resolver.refresh() } else { self.resolver.retry() }
    }

    /// A worker reports what it serves.
    pub(in crate::control) fn applied(&mut self, worker: usize, version: u64) {
        self.workers.applied(worker, version);
    }

    /// A worker reports what it holds.
    pub(in crate::control) fn measured(&mut self, worker: usize, gauges: Gauges, now: Instant) {
        self.workers.measured(worker, gauges, now);
        let all = self.workers.all();
        self.recent.reported(worker, &gauges, self.workers.running(), &all, now);
        shortages::judge(&mut self.alarms, &all);
        validity::judge(&mut self.alarms, &self.sources.certificates);
    }

    /// A worker has ended.
    pub(in crate::control) fn ended(&mut self, worker: usize, now: Instant) {
        self.workers.ended(worker, now);
        self.servers.ended(worker);
        self.shadows.ended(worker, now);
    }

    /// Whether every worker takes connections, or has.
    pub(in crate::control) fn all_turn(&self) -> bool {
        self.workers.all_turn()
    }

    /// Workers that have not ended.
    pub(in crate::control) fn running(&self) -> usize {
        self.workers.running()
    }

    /// Gives an order to every worker.
    pub(in crate::control) fn order(&self, order: impl Fn() -> ToWorker) {
        self.workers.order(order);
    }
}

/// Whether keys go, or may be gone.
fn takes_away(event: &StoreEvent) -> bool {
    match event {
        StoreEvent::Loaded { .. } => true,
        StoreEvent::Changed { changes, .. } => changes.iter().any(KeyChange::is_removal),
        StoreEvent::Dumped(_) | StoreEvent::Down { .. } => false,
    }
}
