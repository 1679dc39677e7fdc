//! What this node says of itself in etcd, under a lease; and what all nodes say.
//!
//! It owns the key `/$ELBNAME/@nodes/$id`, its lease, how often it is written, and the log lines about it; never what a document says
//! or means. It has connections of its own, so that neither the watch nor a dump waits for it, and nobody waits for it. Next:
//! `control::fleet` has the documents, [`lease`](super::lease) the calls.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until};
use tracing::{debug, info, warn};

use super::connection::{Connection, denied};
use super::keys::Keys;
use super::lease::{Lease, Written};
use super::options::EtcdOptions;
use super::watch::rest;

/// Keep-alives in the time that a lease lasts: two may get lost.
const BEATS: u32 = 3;
/// From one write to the next: a fleet of 1,000 nodes then writes 1,000 times a second at most, however often the configuration
/// changes, and a change that comes alone is told at once.
const WRITES: Duration = Duration::from_secs(1);
/// How often it is looked whether the key is still there, which somebody may have deleted with all others of the prefix.
const LOOK: Duration = Duration::from_secs(60);
/// The rest after a refusal for want of a right, which no second try changes: each of those is a login, which costs etcd 100 ms of CPU.
const REFUSED: Duration = Duration::from_secs(60);
/// Nodes that are read at most: ten times the largest fleet that was measured.
const MOST: usize = 10_000;

/// Whether others see this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is being written, or belongs to an earlier life of this process for as long as that lease lasts.
    Joining,
    /// They do.
    Joined,
    /// Another process keeps a node of this id, and says this of itself.
    Taken(Vec<u8>),
    /// etcd cannot be asked, for this reason.
    Lost(String),
}

/// The task that keeps this node among the others.
#[derive(Debug)]
pub struct NodeKeeper {
    documents: watch::Sender<String>,
    standing: watch::Receiver<Standing>,
    task: JoinHandle<()>,
}

impl NodeKeeper {
    /// Starts the task on the current tokio runtime. Nothing is written before there is a document.
    #[must_use]
    pub fn start(options: Arc<EtcdOptions>, id: &str, ttl: Duration) -> Self {
        let (documents, to_write) = watch::channel(String::new());
        let (told, standing) = watch::channel(Standing::Joining);
        let keys = Keys::new(&options.name);
        let keeper = Keeper {
            key: keys.node(id),
            keys,
            options,
            ttl,
            documents: to_write,
            standing: told,
            lease: 0,
            endpoint: 0,
            others_since: None,
        };
        Self { documents, standing, task: tokio::spawn(keeper.run()) }
    }

    /// Has this written, in the place of anything that still waits.
    pub fn tell(&self, document: String) {
        self.documents.send_replace(document);
    }

    /// Whether others see this node, as it changes.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Takes the node away, and ends.
    pub async fn leave(self) {
        drop(self.documents);
        // It panics nowhere; and if it did, the lease would end by itself.
        let _ = self.task.await;
    }
}

struct Keeper {
    options: Arc<EtcdOptions>,
    keys: Keys,
    key: String,
    ttl: Duration,
    documents: watch::Receiver<String>,
    standing: watch::Sender<Standing>,
    /// The last one that was taken; 0 for none.
    lease: i64,
    /// Which one answered last.
    endpoint: usize,
    /// Since when the key is found to be another's.
    others_since: Option<Instant>,
}

/// One connection and what was done over it.
struct Session {
    connection: Connection,
    lease: Lease,
    /// What the key says; nothing if that has to be written, whatever it says.
    written: Option<String>,
    /// Before that nothing is written.
    write_from: Instant,
    look_at: Instant,
}

impl Keeper {
    async fn run(mut self) {
        let (chance, mut failures) = (RandomState::new(), 0_u32);
        loop {
            let began = Instant::now();
            let Err(reason) = self.session().await else { return };
            // One that went well for a while is tried again at once.
            failures = if began.elapsed() > self.ttl { 0 } else { failures.saturating_add(1) };
            debug!(reason, "the node of this process cannot be kept in etcd; trying on");
            let is_refused = reason.contains("permission denied");
            let reason = denied(reason, &self.options, &format!("write {}", self.key));
            self.stands(Standing::Lost(reason));
            let chance =
                f64::from(u32::try_from(chance.hash_one(began) >> 32).unwrap_or(0)) / f64::from(u32::MAX);
            tokio::select! {
                () = sleep(if is_refused { REFUSED } else { rest(failures.max(1), chance) }) => {}
                () = closed(&mut self.documents) => return,
            }
        }
    }

    /// Keeps the node over one connection. Ends well when it is to leave.
    async fn session(&mut self) -> Result<(), String> {
        let data = self.keys.data();
        let connected = tokio::select! {
            connected = Connection::soon(&self.options, &data, self.endpoint) => connected,
            () = closed(&mut self.documents) => return Ok(()),
        };
        let (at, connection) = connected?;
        self.endpoint = at;
        let lease = connection.lease(self.lease, self.ttl).await?;
        self.lease = lease.id;
        let now = Instant::now();
        let mut session = Session { connection, lease, written: None, write_from: now, look_at: now + LOOK };
        let mut beat = interval(self.ttl / BEATS);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wants = {
                let wanted = self.documents.borrow();
                !wanted.is_empty() && session.written.as_ref() != Some(&*wanted)
            };
            tokio::select! {
                changed = self.documents.changed() => if changed.is_err() {
                    return session.connection.revoke(self.lease).await.or(Ok(()));
                },
                _ = beat.tick() => self.beat(&mut session).await?,
                () = sleep_until(session.write_from.into()), if wants => self.write(&mut session).await?,
            }
        }
    }

    /// Says that the node is still there.
    async fn beat(&mut self, session: &mut Session) -> Result<(), String> {
        if !session.connection.keep_alive(&mut session.lease).await? {
            self.lease = 0;
            return Err("the lease ended".to_owned());
        }
        let now = Instant::now();
        if now >= session.look_at {
            session.look_at = now + LOOK;
            if !session.connection.has(&self.key).await? {
                session.written = None;
            }
        }
        Ok(())
    }

    async fn write(&mut self, session: &mut Session) -> Result<(), String> {
        let document = self.documents.borrow_and_update().clone();
        let written = session.connection.write_under(self.lease, &self.key, &document).await?;
        let now = Instant::now();
        match written {
            Written::Done => {
                self.others_since = None;
                session.write_from = now + WRITES;
                session.written = Some(document);
                self.stands(Standing::Joined);
            }
            Written::Others(told) => {
                // An earlier life of this process left it, or another process lives: only time tells.
                let since = *self.others_since.get_or_insert(now);
                session.write_from = now + self.ttl / BEATS;
                let is_kept = now >= since + self.ttl + self.ttl / BEATS;
                self.stands(if is_kept { Standing::Taken(told) } else { Standing::Joining });
            }
        }
        Ok(())
    }

    /// One line of the log for each change.
    fn stands(&self, now: Standing) {
        let before = self.standing.borrow().clone();
        let is_same = std::mem::discriminant(&before) == std::mem::discriminant(&now);
        match &now {
            _ if is_same => {}
            Standing::Joining => {}
            Standing::Joined => info!("this node is in etcd: {}", self.key),
            Standing::Taken(_) => warn!(
                "another process keeps {} in etcd, so this one is not seen by others; --node-id gives it a name of its own",
                self.key
            ),
            // That etcd is away is what the store warns of.
            Standing::Lost(reason) if !reason.contains("permission denied") => {
                info!("this node cannot be kept in etcd, so others do not see it: {reason}; trying on");
            }
            Standing::Lost(reason) => {
                warn!("this node cannot be kept in etcd, so others do not see it: {reason}; trying on");
            }
        }
        self.standing.send_if_modified(|standing| {
            let differs = *standing != now;
            *standing = now;
            differs
        });
    }
}

/// Waits until no document will come any more.
async fn closed(documents: &mut watch::Receiver<String>) {
    while documents.changed().await.is_ok() {}
}

/// Reads what all nodes say.
pub struct NodeReader {
    options: Arc<EtcdOptions>,
    keys: Keys,
    /// Kept from one reading to the next.
    connection: Option<(usize, Connection)>,
}

impl std::fmt::Debug for NodeReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeReader").field("options", &self.options).finish_non_exhaustive()
    }
}

impl NodeReader {
    /// A reader without a connection.
    #[must_use]
    pub fn new(options: Arc<EtcdOptions>) -> Self {
        Self { keys: Keys::new(&options.name), options, connection: None }
    }

    /// The id of each node with its document, as many as may be.
    ///
    /// # Errors
    /// Why etcd cannot be asked, for people.
    pub async fn read(&mut self) -> Result<Vec<(String, Vec<u8>)>, String> {
        let nodes = self.keys.nodes();
        // A connection that was kept may have died since: then a new one is made, once.
        let (first, kept) = match self.connection.take() {
            Some((at, mut kept)) => {
                (at, kept.list(&nodes, MOST).await.ok().map(|listing| (at, kept, listing)))
            }
            None => (0, None),
        };
        let (at, connection, listing) = match kept {
            Some(kept) => kept,
            None => {
                let (at, mut made) = Connection::soon(&self.options, &nodes, first).await?;
                let listing = made.list(&nodes, MOST).await?;
                (at, made, listing)
            }
        };
        self.connection = Some((at, connection));
        let below = nodes.from.len();
        let node = |pair: etcd_client::KeyValue| {
            let (key, value) = pair.into_key_value();
            (String::from_utf8_lossy(key.get(below..).unwrap_or_default()).into_owned(), value)
        };
        Ok(listing.keys.into_iter().take(MOST).map(node).collect())
    }
}
