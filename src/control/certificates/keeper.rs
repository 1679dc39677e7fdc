//! The task that has all certificates: it looks at the folder, takes news of etcd, and tells workers.
//!
//! It owns when that is done and what is told; never what a certificate is. What cannot be used is told in the log, and what was read last is
//! shown on. Next: [`folder`](super::folder) and [`stored`](super::stored) are where they come from.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{error, info, warn};

use super::clients::ClientCa;
use super::folder::Folder;
use super::remembered::Remembered;
use super::stored::Stored;
use crate::control::background::aside;
use crate::control::store::CertificateMail;
use crate::control::validity::{Certificates, CertificatesSeen, Origin, Row, Texts};
use crate::link::{NotTaken, ToWorker, WorkerHandle};
use crate::tls::{Certified, SealKeys, Sessions, Shown};

/// How often the folder is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How soon a worker is told again whose mailbox was full.
const AGAIN: Duration = Duration::from_millis(50);
/// The pause after a write of the file that failed.
const WRITE_AGAIN: Duration = Duration::from_secs(10);

/// Where certificates are kept.
#[derive(Debug, Default)]
pub(in crate::control) struct Kept {
    /// A folder.
    pub(in crate::control) folder: Option<PathBuf>,
    /// The file of those who may sign for clients, and whether each client must show that.
    pub(in crate::control) clients: Option<(PathBuf, bool)>,
    /// etcd: what comes of it.
    pub(in crate::control) mail: Option<CertificateMail>,
    /// What opens the keys that are there.
    pub(in crate::control) keys: Option<Arc<SealKeys>>,
    /// What etcd had in an earlier life.
    pub(in crate::control) remembered: Option<Remembered>,
}

/// Reads what there is, tells the workers, and goes on looking at it. Where nothing is kept there is nothing to do.
///
/// # Errors
/// The certificates of the folder cannot be used. It was told in the log.
pub(in crate::control) async fn begin(
    kept: Kept,
    workers: &[WorkerHandle],
    seen: CertificatesSeen,
) -> Result<(), ()> {
    if kept.folder.is_none() && kept.mail.is_none() {
        return Ok(());
    }
    let told = kept.folder.as_ref().map_or("etcd".to_owned(), |folder| folder.display().to_string());
    let told = |reason: String| error!("the certificates in {told} cannot be used: {reason}");
    let is_in_etcd = kept.mail.is_some();
    let mut keeper = Keeper::new(kept, workers, seen).map_err(told)?;
    let fault = keeper.turn(true).await.map_err(told)?;
    if let Some(fault) = fault {
        told(fault);
        return Err(());
    }
    let nothing = keeper.seen.get().is_none_or(|now| now.count == 0);
    match (nothing, is_in_etcd) {
        (true, false) => {
            told("there is no certificate".to_owned());
            return Err(());
        }
        (true, true) => warn!("there is no certificate yet: clients with TLS are refused until there is one"),
        (false, _) => {}
    }
    tokio::spawn(keeper.run());
    Ok(())
}

/// Where certificates come from. A thread of its own reads them, so it is lent to that.
#[derive(Debug)]
struct Source {
    folder: Option<Folder>,
    clients: Option<ClientCa>,
    stored: Stored,
    sessions: Sessions,
}

struct Keeper {
    source: Arc<Mutex<Source>>,
    mail: Option<CertificateMail>,
    remembered: Option<Remembered>,
    workers: Vec<WorkerHandle>,
    /// Who is told how they stand.
    seen: CertificatesSeen,
    /// For workers that have not taken it yet.
    untold: Option<ToWorker>,
    /// Which state of etcd's certificates the file holds, and when it may be written.
    written: u64,
    write_from: Instant,
}

/// What a look has found.
struct Found {
    /// What is shown, if that is new.
    fresh: Option<Fresh>,
    /// What is wrong with the folder.
    fault: Option<String>,
    /// The same, or what is wrong in etcd, in a sentence.
    told: Option<String>,
    /// Everything of etcd up to this revision is in it.
    revision: i64,
    /// The number of the state of etcd's certificates.
    version: u64,
}

/// Other certificates than before.
struct Fresh {
    config: Arc<ServerConfig>,
    seen: Certificates,
}

impl Keeper {
    fn new(kept: Kept, workers: &[WorkerHandle], seen: CertificatesSeen) -> Result<Self, String> {
        let source = Source {
            folder: kept.folder.as_deref().map(Folder::new),
            clients: kept.clients.map(|(path, must)| ClientCa::new(&path, must)),
            stored: Stored::new(kept.keys),
            sessions: sessions()?,
        };
        Ok(Self {
            source: Arc::new(Mutex::new(source)),
            mail: kept.mail,
            remembered: kept.remembered,
            workers: workers.to_vec(),
            seen,
            untold: None,
            written: 0,
            write_from: Instant::now(),
        })
    }

    async fn run(mut self) {
        let mut tick = interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let untold = self.untold.is_some();
            let again = Instant::now() + AGAIN;
            tokio::select! {
                _ = tick.tick() => {}
                () = came(self.mail.as_ref()) => {}
                () = sleep_until(again), if untold => {
                    self.tell();
                    continue;
                }
            }
            if let Err(reason) = self.turn(false).await {
                warn!("certificates cannot be read: {reason}");
            }
        }
    }

    /// Reads what has changed, and tells of it. Gives what is wrong with the folder.
    async fn turn(&mut self, is_first: bool) -> Result<Option<String>, String> {
        let source = Arc::clone(&self.source);
        let mail = self.mail.clone();
        let before = is_first.then(|| (self.seen.take_inherited(), self.remembered.clone()));
        let work = move || {
            let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
            source.look(mail.as_ref(), before)
        };
        let Found { fresh, fault, told, revision, version } =
            aside(work).await.map_err(|error| error.to_string())??;
        let mut now = self.seen.get().unwrap_or_default();
        if let Some(Fresh { config, seen }) = fresh {
            (self.untold, now) = (Some(ToWorker::Tls(config)), seen);
        }
        // Whoever waits for a revision is to find it with the workers.
        self.tell();
        self.seen.tell(Certificates { fault: told, at: Some(SystemTime::now()), revision, ..now });
        self.keep(version).await;
        Ok(fault)
    }

    fn tell(&mut self) {
        let Some(ToWorker::Tls(config)) = &self.untold else { return };
        let tell = |worker: &WorkerHandle| worker.send(ToWorker::Tls(Arc::clone(config)));
        // Whoever has it already takes it once more.
        if self.workers.iter().all(|worker| tell(worker) != Err(NotTaken::Full)) {
            self.untold = None;
        }
    }

    /// Has the disk hold this state of what etcd has.
    async fn keep(&mut self, version: u64) {
        let Some(file) = self.remembered.clone() else { return };
        if version == self.written || Instant::now() < self.write_from {
            return;
        }
        let source = Arc::clone(&self.source);
        let work = move || {
            let source = source.lock().unwrap_or_else(PoisonError::into_inner);
            file.write(source.stored.texts())
        };
        match aside(work).await.flatten() {
            Ok(()) => self.written = version,
            Err(error) => {
                self.write_from = Instant::now() + WRITE_AGAIN;
                warn!("certificates cannot be kept beside the state file: {error}; trying on");
            }
        }
    }
}

/// New keys for tickets.
fn sessions() -> Result<Sessions, String> {
    Sessions::new().map_err(|error| error.to_string())
}

/// Waits for news. May be dropped at any await.
async fn came(mail: Option<&CertificateMail>) {
    match mail {
        Some(mail) => mail.came().await,
        None => std::future::pending().await,
    }
}

impl Source {
    fn look(
        &mut self,
        mail: Option<&CertificateMail>,
        before: Option<(Texts, Option<Remembered>)>,
    ) -> Result<Found, String> {
        let (mut is_new, mut fault) = (before.is_some(), None);
        match self.folder.as_mut().map(Folder::look) {
            Some(Ok(differs)) => is_new |= differs,
            Some(Err(why)) => fault = Some(why),
            None => {}
        }
        match self.clients.as_mut().map(ClientCa::look) {
            // A session that was begun with somebody whom nobody trusts any more is not taken up again: its ticket is of no use.
            Some(Ok(true)) => {
                self.sessions = sessions()?;
                is_new = true;
            }
            Some(Err(why)) => fault = fault.or(Some(why)),
            Some(Ok(false)) | None => {}
        }
        // What the process before or an earlier life knew counts until etcd has spoken, and what that says is judged against it.
        if let Some((inherited, remembered)) = before.filter(|_| mail.is_some()) {
            let of_file = || remembered.map_or_else(Texts::new, |file| file.read());
            self.stored.remember(if inherited.is_empty() { of_file() } else { inherited });
        }
        if let Some(news) = mail.and_then(CertificateMail::take) {
            is_new |= self.stored.take(news);
        }
        let fresh = is_new.then(|| self.fresh()).transpose()?;
        let of_files = fault.as_ref().map(|why| {
            let path = self.folder.as_ref().map(Folder::path);
            let place = path.map_or("files".to_owned(), |path| path.display().to_string());
            format!("the certificates in {place} cannot be used: {why}; those from before are shown on")
        });
        let told = of_files.or_else(|| self.stored.fault());
        Ok(Found { fresh, fault, told, revision: self.stored.revision(), version: self.stored.version() })
    }

    /// All of them together. Those of the folder come first: who put them on this machine means this machine.
    fn fresh(&self) -> Result<Fresh, String> {
        let in_folder = self.folder.iter().flat_map(Folder::certificates);
        let shown = Shown::of(in_folder.chain(self.stored.certificates()));
        let (count, names, soonest) = (shown.count(), shown.names(), shown.soonest().cloned());
        let clients = self.clients.as_ref().and_then(ClientCa::trust);
        let config = self.sessions.with(shown, clients).map_err(|error| error.to_string())?;
        info!("certificates: {count}, for {names} names");
        let seen = Certificates { count, soonest, rows: self.rows(), ..Certificates::default() };
        Ok(Fresh { config, seen })
    }

    fn rows(&self) -> Arc<[Row]> {
        let row = |certified: &Arc<Certified>| Row {
            name: certified.name.clone(),
            certified: Some(Arc::clone(certified)),
            origin: Origin::Folder,
            fault: None,
            text: None,
        };
        let in_folder = self.folder.iter().flat_map(Folder::certificates).map(row);
        let in_etcd = self.stored.records().iter().map(|(name, record)| {
            let is_sealed = record.good.as_ref().is_some_and(|good| good.is_sealed);
            Row {
                name: name.as_str().into(),
                certified: record.good.as_ref().map(|good| Arc::clone(&good.certified)),
                origin: Origin::Etcd { is_sealed },
                fault: record.bad.as_ref().map(|(_, why)| why.as_str().into()),
                text: record.good.as_ref().map(|good| good.text.clone()),
            }
        });
        in_folder.chain(in_etcd).collect()
    }
}
