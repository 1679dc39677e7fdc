//! The store over etcd's v3 API: carries out what the state machine of `watch` says.
//!
//! It owns the two tasks (one follows etcd, one takes commands) and the log lines, never a decision. The connection is
//! made anew for every list, which logs in anew: so an expired token, a changed user store and a compacted watch are
//! all cured by the same step. Next: [`watch`](super::watch) decides, [`connection`](super::connection) talks,
//! [`dump`](super::dump) writes.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use etcd_client::{KeyValue, WatchRequestSender, WatchResponse, WatchResponseStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep_until, timeout_at};
use tracing::{debug, info, warn};

use super::connection::{Connection, Listing, plain};
use super::dump::dump;
use super::keys::{Key, KeyRange, Keys};
use super::merge::text;
use super::options::EtcdOptions;
use super::port::{COMMANDS, EVENTS, StoreCommand, StoreEvent, StoreHandle};
use super::seen::Seen;
use super::watch::{Core, Heard, Note, Step};
use crate::model::Contents;

/// Stray keys that are told by name; a store that holds more of them has been told enough.
const STRAYS: usize = 100;

/// How much later than asked for this thread may be woken before the rest counts as time in which nobody listened.
const LATE: Duration = Duration::from_millis(100);

/// Starts the store on the current tokio runtime. It runs until the command channel of the handle closes.
#[must_use]
pub fn start(options: EtcdOptions) -> StoreHandle {
    let (events, events_out) = mpsc::channel(EVENTS);
    let (commands_in, commands) = mpsc::channel(COMMANDS);
    let shared = Arc::new(Shared::default());
    let seen = shared.seen.clone();
    tokio::task::spawn(take_commands(Arc::new(options), shared, events, commands));
    StoreHandle { events: events_out, commands: commands_in, seen }
}

/// What the two tasks share.
#[derive(Debug, Default)]
struct Shared {
    /// The endpoint that was used last, where a dump tries first.
    endpoint: AtomicUsize,
    resync: Notify,
    /// Told when a dump has found etcd well: whoever rests from it need not rest any longer.
    reached: Notify,
    /// When it was well: at a list, and at each message of the watch.
    seen: Seen,
}

async fn take_commands(
    options: Arc<EtcdOptions>,
    shared: Arc<Shared>,
    events: mpsc::Sender<StoreEvent>,
    mut commands: mpsc::Receiver<StoreCommand>,
) {
    let told = events.clone();
    let follower = Follower {
        keys: Keys::new(&options.name),
        options: Arc::clone(&options),
        shared: Arc::clone(&shared),
        events,
        connection: None,
        watch: None,
        range: Keys::new(&options.name).data(),
        stray: BTreeSet::new(),
        chance: RandomState::new(),
    };
    let following = tokio::task::spawn(follower.run());
    while let Some(command) = commands.recv().await {
        match command {
            StoreCommand::Dump { writes } => {
                let (options, shared, told) = (Arc::clone(&options), Arc::clone(&shared), told.clone());
                // On a task of its own, so that one that takes long holds up neither a resync nor the end.
                tokio::task::spawn(async move {
                    let first = shared.endpoint.load(Ordering::Relaxed);
                    let outcome = dump(&options, first, writes, || shared.reached.notify_waiters()).await;
                    // The control loop may have gone; the dump was made all the same.
                    let _ = told.send(StoreEvent::Dumped(outcome)).await;
                });
            }
            StoreCommand::Resync => shared.resync.notify_one(),
        }
    }
    // It only reads, so it may be stopped anywhere.
    following.abort();
}

/// The task that follows etcd.
struct Follower {
    options: Arc<EtcdOptions>,
    keys: Keys,
    shared: Arc<Shared>,
    events: mpsc::Sender<StoreEvent>,
    connection: Option<Connection>,
    watch: Option<(WatchRequestSender, WatchResponseStream)>,
    /// What is listed and watched.
    range: KeyRange,
    /// Keys that name nothing and that the log has told of.
    stray: BTreeSet<Vec<u8>>,
    chance: RandomState,
}

impl Follower {
    async fn run(mut self) {
        let mut core = Core::new(self.options.endpoints.len(), self.options.pulse);
        loop {
            match core.step() {
                Step::Report(event) => {
                    let began = Instant::now();
                    if self.events.send(event).await.is_err() {
                        return;
                    }
                    core.missed(began.elapsed());
                }
                Step::Say(note) => self.say(&note),
                Step::Rest(until) => tokio::select! {
                    () = sleep_until(until.into()) => core.rested(),
                    () = self.shared.resync.notified() => core.resync(),
                    () = self.shared.reached.notified() => core.rested(),
                },
                Step::List(endpoint) => match self.list(endpoint).await {
                    Ok((at, contents, revision)) => core.listed(at, contents, revision),
                    Err(reason) => core.failed(reason, Instant::now(), self.chance()),
                },
                Step::Watch(from) => match self.open_watch(from).await {
                    Ok(()) => core.opened(Instant::now()),
                    Err(reason) => core.failed(reason, Instant::now(), self.chance()),
                },
                Step::Ask => {
                    if let Err(reason) = self.ask().await {
                        core.failed(reason, Instant::now(), self.chance());
                    }
                }
                Step::Listen(until) => self.listen(&mut core, until).await,
            }
        }
    }

    async fn list(&mut self, first: usize) -> Result<(usize, Contents, i64), String> {
        self.watch = None;
        self.connection = None;
        let Some(mail) = self.options.certificates_to.clone() else { return self.list_range(first).await };
        self.range = self.keys.data_and_certificates();
        match self.list_range(first).await {
            // Who may read rules and upstreams alone goes on with them.
            Err(reason) if reason.contains("permission denied") => {
                mail.refused(reason);
                self.range = self.keys.data();
                self.list_range(first).await
            }
            listed => listed,
        }
    }

    async fn list_range(&mut self, first: usize) -> Result<(usize, Contents, i64), String> {
        let (at, mut connection) = Connection::first_to_answer(&self.options, &self.range, first).await?;
        self.shared.endpoint.store(at, Ordering::Relaxed);
        let Listing { keys, revision } =
            connection.list(&self.range, usize::MAX).await.map_err(|reason| {
                let address = self.options.endpoints.get(at).map_or("", String::as_str);
                format!("{address}: {reason}")
            })?;
        self.connection = Some(connection);
        self.shared.seen.at(Instant::now());
        Ok((at, self.contents(keys, revision), revision))
    }

    async fn open_watch(&mut self, from: i64) -> Result<(), String> {
        let connection = self.connection.as_ref().ok_or("there is no connection")?;
        self.watch = Some(connection.watch(&self.range, from).await?);
        Ok(())
    }

    async fn ask(&mut self) -> Result<(), String> {
        let (sender, _) = self.watch.as_mut().ok_or("there is no watch")?;
        sender.request_progress().await.map_err(plain)
    }

    async fn listen(&mut self, core: &mut Core, until: Instant) {
        let message = match self.watch.as_mut() {
            Some((_, stream)) => tokio::select! {
                message = timeout_at(until.into(), stream.message()) => message,
                () = self.shared.resync.notified() => return core.resync(),
            },
            None => Ok(Ok(None)),
        };
        let (now, chance) = (Instant::now(), self.chance());
        match message {
            Err(_) => {
                core.missed(now.saturating_duration_since(until).saturating_sub(LATE));
                core.quiet(now, chance);
            }
            Ok(Ok(Some(message))) => {
                let message = self.read(&message);
                core.heard(message, now, chance);
            }
            Ok(Ok(None)) => core.failed("the watch ended".into(), now, chance),
            Ok(Err(error)) => core.failed(plain(error), now, chance),
        }
    }

    fn read(&mut self, message: &WatchResponse) -> Heard {
        if message.canceled() {
            return Heard::Canceled(match (message.compact_revision(), message.cancel_reason()) {
                (0, "") => "no reason was given".into(),
                (0, reason) => reason.into(),
                (compacted, _) => format!("compacted up to revision {compacted}"),
            });
        }
        self.shared.seen.at(Instant::now());
        let revision = message.header().map_or(0, etcd_client::ResponseHeader::revision);
        if message.events().is_empty() {
            return Heard::Progress(revision);
        }
        let pairs: Vec<&KeyValue> = message.events().iter().filter_map(etcd_client::Event::kv).collect();
        let revision = pairs.iter().map(|pair| pair.mod_revision()).max().unwrap_or(revision);
        let (mut changes, mut certificates) = (Vec::new(), Vec::new());
        for pair in pairs {
            // A deleted key has version 0, a written one at least 1.
            let text = (pair.version() != 0).then(|| text(pair.value()));
            if let Some(name) = self.keys.certificate_at(pair.key()) {
                certificates.push((name, (text, pair.mod_revision())));
            } else if let Some(key) = self.key(pair.key()) {
                changes.push(key.change(text));
            }
        }
        if let Some(mail) = &self.options.certificates_to
            && !certificates.is_empty()
        {
            mail.changed(certificates);
        }
        Heard::Changes { changes, revision }
    }

    fn contents(&mut self, pairs: Vec<KeyValue>, revision: i64) -> Contents {
        let (mut contents, mut certificates) = (Contents::default(), BTreeMap::new());
        for pair in pairs {
            if let Some(name) = self.keys.certificate_at(pair.key()) {
                certificates.insert(name, (text(pair.value()), pair.mod_revision()));
                continue;
            }
            match self.key(pair.key()) {
                Some(Key::Rule { domain }) => {
                    contents.rules.insert(domain, text(pair.value()));
                }
                Some(Key::Server { upstream, server }) => {
                    contents.upstreams.entry(upstream).or_default().insert(server, text(pair.value()));
                }
                None => {}
            }
        }
        // What comes of a range without them says nothing about them.
        if let Some(mail) = &self.options.certificates_to
            && self.range != self.keys.data()
        {
            mail.loaded(certificates, revision);
        }
        contents
    }

    /// What a key names. One that should name something and does not is told once.
    fn key(&mut self, written: &[u8]) -> Option<Key> {
        let key = self.keys.read(written);
        let stray = key.is_none() && self.stray.len() < STRAYS && self.keys.is_stray(written);
        if stray && self.stray.insert(written.to_vec()) {
            let written = String::from_utf8_lossy(written);
            warn!("{written:?} names neither a domain nor a server; ignored");
        }
        key
    }

    fn say(&self, note: &Note) {
        match note {
            Note::Connected { endpoint, revision } => {
                let endpoint = self.options.endpoints.get(*endpoint).map_or("", String::as_str);
                info!(endpoint, revision, "etcd was read");
            }
            Note::Again(reason) => info!(reason, "etcd is read again"),
            Note::Backwards { from, to } => {
                warn!(from, to, "the revision of etcd went backwards: it was wiped or restored");
            }
            // The one who hears of it says what is served meanwhile, so that it is one line in the log.
            Note::Down(reason) => debug!(reason, "etcd cannot be reached; trying on"),
        }
    }

    /// A number from 0 to 1.
    fn chance(&self) -> f64 {
        f64::from(u32::try_from(self.chance.hash_one(Instant::now()) >> 32).unwrap_or(0))
            / f64::from(u32::MAX)
    }
}
