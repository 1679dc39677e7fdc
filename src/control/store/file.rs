//! The store over one JSON file: watched by looking once a second, dumped by merging into what is there.
//!
//! It owns the task, the looking and the merge with what somebody else wrote; never the form of the document. Next:
//! [`document`] reads and writes the text.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use super::document;
use super::port::{COMMANDS, Dumped, EVENTS, StoreCommand, StoreEvent, StoreHandle};
use super::seen::Seen;
use crate::control::replace::{replace, whole};
use crate::model::{Contents, KeyChange, KeyWrite};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// A file that was written more recently than this is read again, however equal its times are: clocks of file systems
/// are coarse, and a second write may bear the time of the first.
const SETTLED: Duration = Duration::from_secs(2);

/// Bytes that are read at once.
const AT_ONCE: usize = 64 * 1024;

/// Starts the store on the current tokio runtime. It runs until the command channel of the handle closes. A file that
/// does not exist is an empty store, and the first dump makes it.
#[must_use]
pub fn start(path: PathBuf) -> StoreHandle {
    let (events, events_out) = mpsc::channel(EVENTS);
    let (commands_in, commands) = mpsc::channel(COMMANDS);
    let seen = Seen::default();
    let keeper = Keeper {
        path,
        events,
        seen: seen.clone(),
        known: None,
        stamp: None,
        fault: None,
        missing: false,
        revision: 0,
    };
    tokio::task::spawn(keeper.run(commands));
    StoreHandle { events: events_out, commands: commands_in, seen }
}

/// Contents, as short as two 64-bit hashes: enough to tell whether they are the same, and a copy of all would be as
/// large as everything that is served.
type Digest = [u64; 2];

fn digest(contents: &Contents) -> Digest {
    [1_u8, 2].map(|salt| {
        let mut hasher = DefaultHasher::new();
        (salt, contents).hash(&mut hasher);
        hasher.finish()
    })
}

/// The control loop has gone.
struct Gone;

struct Keeper {
    path: PathBuf,
    events: mpsc::Sender<StoreEvent>,
    /// When a look found it sound, or not there.
    seen: Seen,
    /// What the control loop was told last.
    known: Option<Digest>,
    /// The file as it was when that was read, if it can be told from a later one.
    stamp: Option<Stamp>,
    /// What was wrong with it when we looked last.
    fault: Option<String>,
    missing: bool,
    /// Counts what was read or written.
    revision: i64,
}

impl Keeper {
    async fn run(mut self, mut commands: mpsc::Receiver<StoreCommand>) {
        let mut tick = interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let end = tokio::select! {
                // The first tick comes at once, and what was asked meanwhile is answered by one who has looked.
                biased;
                _ = tick.tick() => self.look().await,
                command = commands.recv() => match command {
                    Some(StoreCommand::Dump { writes }) => self.dump(writes).await,
                    Some(StoreCommand::Resync) => {
                        (self.known, self.stamp, self.fault) = (None, None, None);
                        self.look().await
                    }
                    None => Err(Gone),
                },
            };
            if end.is_err() {
                return;
            }
        }
    }

    async fn look(&mut self) -> Result<(), Gone> {
        let (path, stamp) = (self.path.clone(), self.stamp.clone());
        // After a fault it is told of anew, the same or not.
        let known = self.known.filter(|_| self.fault.is_none());
        let found = blocking(move || look(&path, stamp, known, SystemTime::now())).await;
        if found.is_ok() {
            self.seen.at(Instant::now());
        }
        match found {
            Ok(Look::Same(stamp)) => {
                self.is_there(stamp);
                Ok(())
            }
            Ok(Look::Read(contents, digest, stamp)) => {
                self.is_there(stamp);
                self.loaded(contents, digest).await
            }
            Ok(Look::Missing) => {
                self.stamp = None;
                if !self.missing {
                    warn!(path = %self.path.display(), "there is no configuration file: the store is empty");
                }
                self.missing = true;
                let empty = Contents::default();
                let digest = digest(&empty);
                self.loaded(empty, digest).await
            }
            Err(fault) => self.down(fault).await,
        }
    }

    fn is_there(&mut self, stamp: Option<Stamp>) {
        self.stamp = stamp;
        if self.missing {
            info!(path = %self.path.display(), "the configuration file is there now");
        }
        self.missing = false;
    }

    async fn loaded(&mut self, contents: Contents, digest: Digest) -> Result<(), Gone> {
        let recovered = self.fault.take().is_some();
        if !recovered && self.known == Some(digest) {
            return Ok(());
        }
        self.known = Some(digest);
        self.revision += 1;
        self.send(StoreEvent::Loaded { contents, revision: self.revision }).await
    }

    async fn down(&mut self, fault: String) -> Result<(), Gone> {
        self.stamp = None;
        if self.fault.as_ref() == Some(&fault) {
            return Ok(());
        }
        let reason = format!("{}: {fault}", self.path.display());
        debug!(reason, "the configuration file cannot be read; what was read last stays");
        self.fault = Some(fault);
        self.send(StoreEvent::Down { reason }).await
    }

    async fn send(&self, event: StoreEvent) -> Result<(), Gone> {
        self.events.send(event).await.map_err(|_| Gone)
    }

    /// Writes what is wanted into the file as it is now. What others wrote into it is reported first, and stays.
    async fn dump(&mut self, writes: Vec<KeyWrite>) -> Result<(), Gone> {
        self.stamp = None;
        self.look().await?;
        let (path, known) = (self.path.clone(), self.known);
        let outcome = match blocking(move || dump(&path, writes)).await {
            Ok(Wrote { before, after, changes, conflicts }) => {
                self.missing &= changes.is_empty();
                self.revision += i64::from(!changes.is_empty());
                if known == Some(before) {
                    self.known = Some(after);
                    let revision = self.revision;
                    self.send(StoreEvent::Changed { changes, revision }).await?;
                } else {
                    // Somebody wrote between the look and the dump, so all of it is news.
                    self.look().await?;
                }
                Ok(Dumped { revision: self.revision, conflicts, refused: Vec::new() })
            }
            Err(reason) => Err(reason),
        };
        self.stamp = None;
        self.send(StoreEvent::Dumped(outcome)).await
    }
}

/// What one look has found.
enum Look {
    /// What is known already, and the stamp to know it by.
    Same(Option<Stamp>),
    Missing,
    /// The contents, and the digest and the stamp to know them by.
    Read(Contents, Digest, Option<Stamp>),
}

/// What tells one version of a file from another without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    /// When its inode was changed last, in seconds and nanoseconds since 1970: whoever writes and puts the old time of
    /// modification back (`rsync --inplace --times`) cannot put this one back.
    changed: (i64, i64),
    bytes: u64,
    inode: u64,
}

impl Stamp {
    fn of(found: &fs::Metadata) -> io::Result<Stamp> {
        let changed = (found.ctime(), found.ctime_nsec());
        Ok(Stamp { modified: found.modified()?, changed, bytes: found.len(), inode: found.ino() })
    }

    /// Whether both times are so old that a later write would bear another.
    fn is_settled(&self, now: SystemTime) -> bool {
        let (seconds, nanoseconds) = self.changed;
        let since = u64::try_from(seconds).ok().zip(u32::try_from(nanoseconds).ok());
        let changed = since
            .and_then(|(seconds, more)| SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, more)));
        [Some(self.modified), changed]
            .into_iter()
            .all(|time| time.is_some_and(|time| now.duration_since(time).is_ok_and(|age| age >= SETTLED)))
    }
}

/// Looks at the file, and reads it unless it bears the stamp of what is known. A second's work with very much in it, so the
/// judgement whether it says anything new is made here as well, where nobody waits.
fn look(path: &Path, last: Option<Stamp>, known: Option<Digest>, now: SystemTime) -> Result<Look, String> {
    let stamp = match fs::metadata(path) {
        Ok(found) => Stamp::of(&found).map_err(|error| error.to_string())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::Missing),
        Err(error) => return Err(error.to_string()),
    };
    if last.as_ref() == Some(&stamp) {
        return Ok(Look::Same(last));
    }
    let settled = stamp.is_settled(now);
    let contents = match fs::File::open(path) {
        Ok(file) => document::read(io::BufReader::with_capacity(AT_ONCE, file))
            .map_err(|fault| fs::read(path).ok().and_then(|text| document::fault(&text)).unwrap_or(fault))
            .map_err(|fault| cut_short(path, fault))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::Missing),
        Err(error) => return Err(error.to_string()),
    };
    let (digest, stamp) = (digest(&contents), settled.then_some(stamp));
    Ok(if known == Some(digest) { Look::Same(stamp) } else { Look::Read(contents, digest, stamp) })
}

/// What is wrong with the file, and where all of it is if ELB itself was cut short while it wrote.
fn cut_short(path: &Path, fault: String) -> String {
    match whole(path) {
        Ok(whole) if whole.exists() => {
            format!("{fault}; all of what was last written stands in {}", whole.display())
        }
        _ => fault,
    }
}

/// What a dump did to the file.
struct Wrote {
    before: Digest,
    after: Digest,
    changes: Vec<KeyChange>,
    conflicts: Vec<KeyChange>,
}

/// Merges `writes` into what is there, and replaces the file if that makes a difference.
fn dump(path: &Path, writes: Vec<KeyWrite>) -> Result<Wrote, String> {
    let (mut contents, before) = match look(path, None, None, SystemTime::now()) {
        Ok(Look::Read(contents, digest, _)) => (contents, digest),
        Ok(_) => (Contents::default(), digest(&Contents::default())),
        Err(fault) => return Err(format!("not overwritten, because what is there cannot be read: {fault}")),
    };
    let (mut changes, mut conflicts) = (Vec::new(), Vec::new());
    for write in writes {
        let now = contents.get(&write.wanted);
        if now != write.read.as_deref() {
            if now != write.wanted.text() {
                conflicts.push(write.wanted);
            }
        } else if !write.is_check() {
            changes.push(write.wanted.without_text());
            contents.apply(write.wanted);
        }
    }
    let after = digest(&contents);
    if before != after {
        replace(path, |out| document::write(&contents, out)).map_err(|error| error.to_string())?;
    }
    // The texts are told as they were written, and each is held once: there may be as much of them as is served.
    changes.iter_mut().for_each(|change| contents.move_text(change));
    Ok(Wrote { before, after, changes, conflicts })
}

async fn blocking<T, F>(work: F) -> Result<T, String>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, String> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
}

#[cfg(test)]
mod tests;
