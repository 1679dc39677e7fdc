//! The folder of certificates that clients are shown: read at the start, looked at now and then, and read again when it has changed.
//!
//! It owns the reading of the folder and its bounds, and tells workers; never what a certificate is. What cannot be used is told in the
//! log, and what was read last is shown on. Next: [`crate::tls`] reads the texts.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info};

use super::background::aside;
use super::validity::{Certificates, CertificatesSeen};
use crate::link::{NotTaken, ToWorker, WorkerHandle};
use crate::settings::unreadable;
use crate::tls::{Expiry, PairText, Sessions, Shown};

/// How often the folder is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Certificates in it. More are a mistake, such as a folder of something else.
const MOST: usize = 20_000;
/// What the file beside a certificate ends with that has its staple.
const STAPLE: &str = "ocsp";
/// Bytes of one file: a chain is some kilobytes.
const LONGEST: u64 = 256 * 1024;

/// What tells one state of the folder from another: each certificate with when it, its key and its staple changed, and how long they are.
type Stamp = Vec<(PathBuf, [(SystemTime, u64); 3])>;

/// Reads the folder, tells the workers, and goes on looking at it. Without a folder there is nothing to do.
///
/// # Errors
/// The certificates cannot be used. It was told in the log.
pub(super) async fn begin(
    folder: Option<&Path>,
    workers: &[WorkerHandle],
    seen: CertificatesSeen,
) -> Result<(), ()> {
    let Some(folder) = folder else { return Ok(()) };
    let told = |reason: String| error!("the certificates in {} cannot be used: {reason}", folder.display());
    let mut keeper = Keeper::new(folder, workers, seen).map_err(told)?;
    keeper.look().await.map_err(told)?;
    keeper.tell();
    keeper.known(None);
    tokio::spawn(keeper.run());
    Ok(())
}

struct Keeper {
    folder: PathBuf,
    workers: Vec<WorkerHandle>,
    sessions: Arc<Sessions>,
    /// The folder as it was when it was read and could be used.
    stamp: Option<Stamp>,
    /// What was read last.
    count: usize,
    soonest: Option<Expiry>,
    /// Who is told of that.
    seen: CertificatesSeen,
    /// For workers that have not taken it yet.
    untold: Option<ToWorker>,
}

impl Keeper {
    fn new(folder: &Path, workers: &[WorkerHandle], seen: CertificatesSeen) -> Result<Self, String> {
        let sessions = Sessions::new().map_err(|error| error.to_string())?;
        Ok(Self {
            folder: folder.to_owned(),
            workers: workers.to_vec(),
            sessions: Arc::new(sessions),
            stamp: None,
            count: 0,
            soonest: None,
            seen,
            untold: None,
        })
    }

    async fn run(mut self) {
        let mut tick = interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let folder = self.folder.display().to_string();
            let unusable = |reason| {
                format!(
                    "the certificates in {folder} cannot be used: {reason}; those from before are shown on"
                )
            };
            let fault = self.look().await.err().map(unusable);
            self.known(fault);
            self.tell();
        }
    }

    /// Reads the folder if it has changed.
    async fn look(&mut self) -> Result<(), String> {
        let (folder, stamp, sessions) = (self.folder.clone(), self.stamp.clone(), Arc::clone(&self.sessions));
        let work = move || {
            let found = stamp_of(&folder).map_err(|error| error.to_string())?;
            if stamp.as_ref() == Some(&found) {
                return Ok(None);
            }
            Ok(Some((read(&found, &sessions), found)))
        };
        let looked: Result<_, String> = aside(work).await.map_err(|error| error.to_string())?;
        let Some((outcome, stamp)) = looked? else { return Ok(()) };
        // What cannot be used is read again: it may have been a file that was not whole yet, or no descriptor that was left.
        let read = outcome?;
        self.untold = Some(ToWorker::Tls(read.config));
        (self.count, self.soonest) = (read.count, read.soonest);
        self.stamp = Some(stamp);
        Ok(())
    }

    /// Has it known how certificates stand now.
    fn known(&self, fault: Option<String>) {
        let (count, soonest, at) = (self.count, self.soonest.clone(), Some(SystemTime::now()));
        self.seen.tell(Certificates { count, soonest, fault, at });
    }

    fn tell(&mut self) {
        let Some(ToWorker::Tls(config)) = &self.untold else { return };
        let tell = |worker: &WorkerHandle| worker.send(ToWorker::Tls(Arc::clone(config)));
        // Whoever has it already takes it once more, with the next look.
        if self.workers.iter().all(|worker| tell(worker) != Err(NotTaken::Full)) {
            self.untold = None;
        }
    }
}

/// Which certificates there are, in the order of their names.
fn stamp_of(folder: &Path) -> io::Result<Stamp> {
    let mut stamp = Stamp::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "crt") {
            continue;
        }
        if stamp.len() >= MOST {
            return Err(io::Error::other(format!("there are more than {MOST}")));
        }
        let of = |path: &Path| fs::metadata(path).and_then(|file| Ok((file.modified()?, file.len())));
        let key = path.with_extension("key");
        let staple = path.with_extension(STAPLE);
        let all = [of(&path), of(&key), of(&staple)].map(|one| one.unwrap_or((SystemTime::UNIX_EPOCH, 0)));
        stamp.push((path, all));
    }
    stamp.sort();
    Ok(stamp)
}

/// What was read of a folder.
struct Found {
    config: Arc<ServerConfig>,
    count: usize,
    soonest: Option<Expiry>,
}

fn read(stamp: &Stamp, sessions: &Sessions) -> Result<Found, String> {
    let mut texts = Vec::with_capacity(stamp.len());
    for (path, _) in stamp {
        let key = path.with_extension("key");
        let both = [text(path)?, text(&key)?];
        texts.push((path, key, both, staple(&path.with_extension(STAPLE))?));
    }
    let pairs = texts.iter().map(|(path, key, [certificate, secret], staple)| PairText {
        certificate: (path.as_path(), certificate.as_str()),
        key: (key.as_path(), secret.as_str()),
        staple: staple.as_deref(),
    });
    let shown = Shown::read(pairs)?;
    let (count, names, soonest) = (shown.count(), shown.names(), shown.soonest().cloned());
    let config = sessions.with(shown).map_err(|error| error.to_string())?;
    info!("certificates: {count}, for {names} names");
    Ok(Found { config, count, soonest })
}

/// What an authority says of a certificate, if it was put there.
fn staple(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, &error)),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    // An answer of OCSP is one sequence of DER; what else is there would be sent to clients, which break off for it.
    let is_sequence = bytes.first() == Some(&0x30);
    if !is_sequence || bytes.len() as u64 > LONGEST {
        let most = LONGEST;
        return Err(format!("{} is no answer of OCSP in DER, or longer than {most} bytes", path.display()));
    }
    Ok(Some(bytes))
}

fn text(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let told = |error: io::Error| unreadable(path, &error);
    fs::File::open(path).map_err(told)?.take(LONGEST + 1).read_to_string(&mut text).map_err(told)?;
    if text.len() as u64 > LONGEST {
        return Err(format!("{} is longer than {LONGEST} bytes", path.display()));
    }
    Ok(text)
}
