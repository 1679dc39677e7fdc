//! Keeps the state file up to date without anyone waiting for the disk: one write at a time, and then the newest.
//!
//! It owns when the file is written and what is said of a disk that refuses; never the form of the file. Next:
//! [`state_file`](super::state_file) writes it, [`hub`](super::hub) says what is worth keeping.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::background::aside;
use super::state_file::{Kept, StateFile};
use crate::model::Good;

/// The pause after a write that failed.
const AGAIN: Duration = Duration::from_secs(10);

/// What is worth keeping of one moment.
#[derive(Debug)]
pub(super) struct Unsaved {
    pub(super) good: Good,
    /// The revision of the store that it is from.
    pub(super) revision: i64,
    /// The addresses of the names in it: `host:port` → addresses.
    pub(super) names: BTreeMap<String, Vec<SocketAddr>>,
}

/// What is to be written next. Whoever writes takes it out, so that nothing is kept that stands on the disk: it holds on to
/// all that was served.
type Newest = Arc<Mutex<Option<Unsaved>>>;

/// The task that writes, and what it is to write.
#[derive(Debug)]
pub(super) struct Saver {
    newest: Newest,
    bell: watch::Sender<()>,
    /// Why the last write failed.
    fault: watch::Receiver<Option<String>>,
    writer: JoinHandle<()>,
}

impl Saver {
    /// Starts the task on the current tokio runtime.
    pub(super) fn new(file: StateFile) -> Self {
        let (newest, (bell, rung)) = (Newest::default(), watch::channel(()));
        let (faults, fault) = watch::channel(None);
        let writer = tokio::spawn(write(file, Arc::clone(&newest), rung, faults));
        Self { newest, bell, fault, writer }
    }

    /// Why the file could not be written when that was last tried, as a sentence.
    pub(super) fn fault(&self) -> Option<String> {
        self.fault.borrow().clone()
    }

    /// Has this written, instead of anything that still waits.
    pub(super) fn save(&self, unsaved: Unsaved) {
        *locked(&self.newest) = Some(unsaved);
        self.bell.send_replace(());
    }

    /// Writes what waits, and ends.
    pub(super) async fn finish(self) {
        drop(self.bell);
        // It panics nowhere; and if it did, there would be nothing left to save.
        let _ = self.writer.await;
    }
}

fn locked(newest: &Newest) -> MutexGuard<'_, Option<Unsaved>> {
    // Nothing that could panic is done under the lock.
    newest.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn write(
    file: StateFile,
    newest: Newest,
    mut rung: watch::Receiver<()>,
    faults: watch::Sender<Option<String>>,
) {
    while rung.changed().await.is_ok() {
        loop {
            rung.borrow_and_update();
            let (to, of) = (file.clone(), Arc::clone(&newest));
            let Err(error) = aside(move || write_newest(&to, &of)).await.flatten() else {
                faults.send_replace(None);
                break;
            };
            faults.send_replace(Some(format!(
                "{} cannot be written: {error}; a restart would serve what it held before; trying on",
                file.path().display()
            )));
            // Nobody will wait for a disk that refuses when the process ends.
            if let Ok(Err(_)) = timeout(AGAIN, rung.changed()).await {
                return;
            }
        }
    }
}

/// All of it, even its end, is work for a thread that nobody waits for.
fn write_newest(file: &StateFile, newest: &Newest) -> io::Result<()> {
    let Some(unsaved) = locked(newest).take() else { return Ok(()) };
    let Unsaved { good, revision, names } = &unsaved;
    let written = file.write(&Kept { contents: good.contents(), revision: *revision, names: names.clone() });
    if written.is_err() {
        // Unless there is something newer by now.
        locked(newest).get_or_insert(unsaved);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn save(saver: &Saver, revision: i64) {
        saver.save(Unsaved { good: Good::default(), revision, names: BTreeMap::new() });
    }

    #[tokio::test]
    async fn the_newest_is_on_the_disk_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::new(folder.path().join("state"), "ELB");
        let saver = Saver::new(file.clone());
        for revision in 1..=100 {
            save(&saver, revision);
            tokio::task::yield_now().await;
        }
        saver.finish().await;
        let saved = file.read().await.unwrap();
        assert_eq!(saved.revision, 100);
    }

    #[tokio::test]
    async fn nothing_is_written_when_there_is_nothing_to_write() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::new(folder.path().join("state"), "ELB");
        Saver::new(file.clone()).finish().await;
        assert_eq!(file.read().await, None);
    }

    #[tokio::test]
    async fn a_disk_that_refuses_is_tried_again_with_what_comes_next() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::new(folder.path().join("later/state"), "ELB");
        let saver = Saver::new(file.clone());
        save(&saver, 1);
        while saver.fault().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(saver.fault().unwrap().contains("later/state cannot be written: No such file"));
        std::fs::create_dir(folder.path().join("later")).unwrap();
        save(&saver, 2);
        saver.finish().await;
        assert_eq!(file.read().await.unwrap().revision, 2);
    }
}
