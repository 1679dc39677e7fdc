//! The only writer of the configuration: edits and store events go in, snapshots for the workers come out.
//!
//! It owns when a snapshot is due and which version a change will be served in; never what a rule means (`model`), who
//! has which version (`workers`) or a socket. It waits for nothing and reads no clock: `run` calls it and says what time it
//! is, and `handle` is how others ask it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, watch};
use tracing::debug;

use super::alarms::{Alarms, Subject};
use super::changes::{Author, Changes, Via};
use super::dumps::{Dumps, longer};
use super::failures::Failures;
use super::fleet::Built;
use super::heat::Heat;
use super::history::History;
use super::lookups::Lookups;
use super::recent::Recent;
use super::replies::{Accepted, Awaited, Frozen, Progress, Resync, Status, Working};
use super::resolve::Resolver;
use super::servers::{Servers, Shown};
use super::shadow::Shadows;
use super::sources::Sources;
use super::store::StoreCommand;
use super::store_guard::StoreGuard;
use super::traffic::Traffic;
use super::workers::Workers;
use crate::link::WorkerHandle;
use crate::model::{Digest, Library, Named, Rejected, Snapshot, State, Wanted};
#[cfg(test)]
use crate::model::{Edit, Faults};
use crate::warning::{Code, Warning};

/// How long a change of the store waits for the first addresses of names it brings, so that rules do not lead to a new
/// upstream before its servers are known. A change by the API has looked its names up already, and waits for nobody's.
const NAMES: Duration = Duration::from_millis(800);
/// How long the caller of a change waits for the workers.
const ACKS: Duration = Duration::from_secs(1);

/// The configuration and everything on its way to the workers.
#[derive(Debug)]
pub(super) struct Hub {
    state: State,
    /// The newest snapshot; older ones may still be on their way.
    current: Arc<Snapshot>,
    /// Of what it serves.
    digest: Digest,
    built: Built,
    changes: Changes,
    history: History,
    /// The way by which changes of the store come.
    via: Via,
    /// Since when `current` is behind the state or the addresses.
    behind: Option<Instant>,
    /// Somebody waits for the next snapshot who has no part in the names that are looked up.
    urgent: bool,
    resolver: Resolver,
    workers: Workers,
    servers: Servers,
    traffic: Traffic,
    sources: Sources,
    recent: Recent,
    heat: Heat,
    failures: Failures,
    shadows: Shadows,
    guard: StoreGuard,
    alarms: Alarms,
    store: mpsc::Sender<StoreCommand>,
    dumps: Dumps,
    /// The store layer differs from what the state file holds.
    unsaved: bool,
    /// Why no change is taken by the API at the moment.
    frozen: Option<Frozen>,
    progress: watch::Sender<Progress>,
}

impl Hub {
    /// A hub with nothing in it and nobody to serve. `store` takes commands for the store, whose changes come by `via`; `origin`
    /// is one moment by both clocks.
    pub(super) fn new(
        library: Library,
        resolver: Resolver,
        store: mpsc::Sender<StoreCommand>,
        via: Via,
        origin: (Instant, SystemTime),
    ) -> Self {
        let mut state = State::reading_with(library);
        Self {
            digest: state.digest(),
            state,
            current: Arc::new(Snapshot::empty()),
            built: Built::default(),
            changes: Changes::default(),
            history: History::new(origin),
            via,
            behind: None,
            urgent: false,
            resolver,
            workers: Workers::default(),
            servers: Servers::new(),
            traffic: Traffic::new(),
            sources: Sources::default(),
            recent: Recent::new(),
            heat: Heat::default(),
            failures: Failures::default(),
            shadows: Shadows::default(),
            guard: StoreGuard::default(),
            alarms: Alarms::default(),
            dumps: Dumps::new(store.clone()),
            store,
            unsaved: false,
            frozen: None,
            progress: watch::Sender::default(),
        }
    }

    /// Builds the snapshot that `workers` start with, and sends them newer ones from now on.
    pub(super) fn first(&mut self, workers: Vec<WorkerHandle>, now: Instant) -> Arc<Snapshot> {
        self.build(now);
        self.workers = Workers::new(workers, self.current.version, now);
        self.tell();
        Arc::clone(&self.current)
    }

    /// Does what has become possible: builds a snapshot if one is due, sends it to whoever may take it, tells those who
    /// wait. To be called after everything that happens to the hub.
    pub(super) fn settle(&mut self, now: Instant) {
        let went = self.dumps.settle(&mut self.state, self.guard.known(), now);
        if went.changed {
            self.stored(true, now);
        }
        if went.ended {
            // What was lacking may be back.
            self.tick(now);
        }
        if self.behind.is_some() && self.due(now).is_none() && self.workers.has_room() {
            self.build(now);
        }
        self.workers.send(&self.current, now);
        self.tell();
    }

    /// When a snapshot is due that waits for nothing but the addresses of new names.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let due = self.behind? + NAMES;
        (!self.urgent && !self.resolver.is_settled() && due > now).then_some(due)
    }

    fn build(&mut self, now: Instant) {
        let version = self.current.version + 1;
        let snapshot = Arc::new(self.state.snapshot(version));
        let before = std::mem::replace(&mut self.current, snapshot);
        self.servers.follow(&before, &self.current, now);
        self.digest = self.state.digest();
        self.shadows.serves(self.digest);
        let made = self.changes.served(version, self.digest);
        self.history.add(version, self.digest, made, now);
        self.built.built(version, self.digest, self.guard.known().revision);
        (self.behind, self.urgent) = (None, false);
        debug!("version {version}: {} domains", self.current.domain_count());
    }

    /// Something that a snapshot shows is different, by this author. The version it will be served in is `self.next()`.
    fn changed(&mut self, author: Author, now: Instant) {
        for (name, wanted) in self.state.take_host_news() {
            if !wanted {
                self.resolver.forget(&name);
            } else if let Some(known) = self.resolver.want(&name) {
                self.state.learn(&name, known.to_vec());
            }
        }
        self.behind.get_or_insert(now);
        self.changes.note(author, self.state.take_differences(), self.next());
    }

    /// The newest snapshot: what workers serve, or are about to.
    pub(super) fn serves(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current)
    }

    /// What the store holds, or what of it is served, is different.
    fn stored(&mut self, changed: bool, now: Instant) {
        self.stored_by(self.via.by_nobody(), changed, now);
    }

    fn stored_by(&mut self, author: Author, changed: bool, now: Instant) {
        self.unsaved = true;
        if changed {
            self.changed(author, now);
        }
    }

    /// The version in which everything that was accepted so far is served.
    fn next(&self) -> u64 {
        self.current.version + u64::from(self.behind.is_some())
    }

    fn tell(&self) {
        let progress = Progress { applied: self.workers.versions().collect(), heard: self.guard.heard() };
        self.progress.send_if_modified(|old| {
            let differs = *old != progress;
            *old = progress;
            differs
        });
    }

    /// To wait for what the hub cannot answer at once.
    pub(super) fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }
}

/// What the admin API asks.
impl Hub {
    /// Where changes are prepared.
    pub(super) fn library(&self) -> Library {
        self.state.library().clone()
    }

    /// Where names are looked up.
    pub(super) fn lookups(&self) -> Lookups {
        self.resolver.lookups()
    }

    /// Those of the names that need a lookup: no address of theirs is known, and they are hosts at all.
    pub(super) fn unknown(&self, mut wanted: Vec<Wanted>) -> Vec<Wanted> {
        wanted.retain(|one| {
            let is_host = one.servername.as_ref().is_none_or(|key| !self.state.has_upstream(key));
            is_host && self.resolver.addresses(&one.host).is_none()
        });
        wanted
    }

    /// A lookup has ended, and the name has other addresses now.
    pub(super) fn learnt(&mut self, name: &str, addresses: Vec<SocketAddr>, now: Instant) {
        self.unsaved = true;
        if self.state.learn(name, addresses) {
            self.behind.get_or_insert(now);
        }
    }

    /// Makes a change, or none of it.
    #[cfg(test)]
    pub(super) fn edit(&mut self, edit: Edit, now: Instant) -> Result<Accepted, Faults> {
        self.apply(self.library().prepare(edit)?, Default::default(), Via::Api.by_nobody(), now)
    }

    /// Everything that was accepted so far, as something to wait for.
    pub(super) fn accepted(&self, now: Instant) -> Accepted {
        let names = self.due(now).map_or(Duration::ZERO, |due| due.saturating_duration_since(now));
        Accepted { version: self.next(), within: names + ACKS, ..Accepted::default() }
    }

    /// Every server, or those of one upstream; nothing when there is no such upstream.
    pub(super) fn servers(&self, upstream: Option<&str>) -> Option<Vec<Shown>> {
        let wanted = |name: &str| upstream.is_none_or(|wanted| wanted.eq_ignore_ascii_case(name));
        let is_there = upstream.is_none_or(|name| self.current.upstream_named(name).is_some());
        is_there.then(|| self.servers.list(&self.current, &self.traffic, wanted))
    }

    /// Keys of the store that are not served as they stand there.
    pub(super) fn rejected(&self) -> Vec<Rejected> {
        self.state.rejected()
    }

    /// What each worker serves and holds.
    pub(super) fn workers(&self, now: Instant) -> Vec<Working> {
        self.workers.working(now)
    }

    /// The store's revision that was heard of last.
    pub(super) fn revision(&self) -> i64 {
        self.guard.known().revision
    }

    /// Where the configuration stands.
    pub(super) fn status(&self) -> Status {
        let version = self.current.version;
        Status {
            version,
            unsaved: self.state.pending_edits(),
            applied: self.workers.versions().filter(|applied| *applied >= version).count(),
            workers: self.workers.versions().len(),
            alarms: self.alarms(),
            digest: self.digest,
        }
    }

    fn alarms(&self) -> Vec<Warning> {
        let names = self.resolver.alarm().map(|text| Warning::new(Code::NoAddress, "", text));
        self.alarms.warnings().chain(names).collect()
    }

    /// Reads the store again; confirmed by somebody, applies what is held back instead.
    pub(super) fn resync(&mut self, confirmed: Option<Author>, now: Instant) -> Resync {
        if let Some(author) = confirmed.filter(|_| self.frozen.is_none())
            && let Some(changed) = self.guard.confirm(&mut self.state, &mut self.alarms, now)
        {
            self.stored_by(Author { via: self.via, ..author }, changed, now);
            return Resync::Confirmed(self.accepted(now));
        }
        match self.store.try_send(StoreCommand::Resync) {
            Ok(()) => Resync::Asked(self.guard.heard()),
            Err(_) => Resync::Busy,
        }
    }

    /// Whether anybody has said what to serve: a store, a state file, or the API.
    pub(super) fn is_configured(&self) -> bool {
        self.guard.has_source() || self.state.size() > 0
    }

    /// Whether a worker has not taken a snapshot for too long, and whether one is silent.
    pub(super) fn late_workers(&self, now: Instant) -> (bool, bool) {
        self.workers.are_late(now)
    }

    /// What is held back, as a sentence.
    pub(super) fn held(&self) -> Option<String> {
        self.alarms.of(Subject::Held).map(str::to_owned)
    }

    /// Why the store cannot be read, if that is known.
    pub(super) fn store_fault(&self) -> Option<String> {
        self.guard.down().map(str::to_owned)
    }

    /// Has the store take what is `named`, and whatever is unsaved. See `dumps`.
    pub(super) fn dump(&mut self, named: Named) -> Awaited {
        let longer = longer(self.state.pending_edits(), self.state.size());
        Awaited { outcome: self.dumps.ask(named, self.guard.was_read()), longer }
    }
}

mod carried;
mod change;
mod lists;
mod reports;
mod served;
mod shadow;
mod sight;
#[cfg(test)]
mod tests;
