//! How others ask the hub: questions that it answers between two turns of its loop, and waiting for what follows.
//!
//! It owns the waiting (for workers, for the store), never a decision; the hub itself waits for nothing. Next: the
//! endpoints in [`admin`](super::admin) hold one each.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::certificates::Desk;
use super::fleet::{Fleet, Identity};
use super::hub::Hub;
use super::lookups::Lookups;
use super::reader::Reader;
use super::replies::{Accepted, Awaited, DumpError, Gone, Heard, Progress};
use crate::model::{Edit, Faults, Library, Prepared};

/// Upstreams that are read on the control thread: a millisecond.
const AT_ONCE: usize = 32;
/// Bytes of JSON that are parsed on the control thread: a millisecond.
pub(super) const BYTES_AT_ONCE: usize = 64 << 10;
/// Questions that may wait for the hub.
const QUESTIONS: usize = 64;

/// Something to be done with the hub, between two turns of the control loop, which says what time it is. An endpoint
/// brings its own question, so a new endpoint needs no new message.
pub(super) type Question = Box<dyn FnOnce(&mut Hub, Instant) + Send>;

/// Everybody else's end of the hub.
#[derive(Debug, Clone)]
pub(super) struct HubHandle {
    questions: mpsc::Sender<Question>,
    progress: watch::Receiver<Progress>,
    library: Library,
    lookups: Lookups,
    reader: Reader,
    fleet: Fleet,
    certificates: Desk,
}

impl HubHandle {
    /// A handle, and where its questions arrive.
    pub(super) fn new(hub: &Hub, reader: Reader) -> (Self, mpsc::Receiver<Question>) {
        let (questions, arrive) = mpsc::channel(QUESTIONS);
        let (progress, library, lookups) = (hub.watch(), hub.library(), hub.lookups());
        let nobody = Identity::default();
        let (fleet, certificates) = (Fleet::alone(nobody), Desk::default());
        (Self { questions, progress, library, lookups, reader, fleet, certificates }, arrive)
    }

    /// The same among other nodes.
    pub(super) fn among(self, fleet: Fleet) -> Self {
        Self { fleet, ..self }
    }

    /// The same where certificates are kept.
    pub(super) fn with_certificates(self, certificates: Desk) -> Self {
        Self { certificates, ..self }
    }

    /// Where certificates are shown and written.
    pub(super) fn certificates(&self) -> &Desk {
        &self.certificates
    }

    /// The other nodes.
    pub(super) fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Where names are looked up that the hub does not know yet.
    pub(super) fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    /// Asks the hub, and waits for its answer.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Hub) -> T + Send + 'static,
    ) -> Result<T, Gone> {
        self.ask_now(|hub, _| question(hub)).await
    }

    /// The same with the time at which the hub comes to it.
    pub(super) async fn ask_now<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Hub, Instant) -> T + Send + 'static,
    ) -> Result<T, Gone> {
        let (reply, answer) = oneshot::channel();
        // A reply that nobody waits for any more is no fault: its client hung up.
        let question: Question = Box::new(move |hub, now| drop(reply.send(question(hub, now))));
        self.questions.send(question).await.map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }

    /// What is read already.
    pub(super) fn library(&self) -> &Library {
        &self.library
    }

    /// Has something worked out that may take long, where nobody waits for the thread.
    ///
    /// # Errors
    /// That the process is ending.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Gone> {
        self.reader.read(work).await
    }

    /// Reads and checks a change before the hub sees it; a large one where nobody waits for the thread, and so is any that
    /// brings patterns, for a few bytes of them can take milliseconds to compile.
    ///
    /// # Errors
    /// What is wrong with it; or that the process is ending.
    pub(super) async fn prepare(&self, edit: Edit) -> Result<Result<Prepared, Faults>, Gone> {
        if edit.size() <= AT_ONCE && !edit.has_rules() {
            return Ok(self.library.prepare(edit));
        }
        let library = self.library.clone();
        self.reader.read(move || library.prepare(edit)).await
    }

    /// The same for domains as they were sent; see [`Library::prepare_domains`].
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub(super) async fn prepare_domains(
        &self,
        json: Bytes,
    ) -> Result<Option<Result<Prepared, Faults>>, Gone> {
        let library = self.library.clone();
        self.reader.read(move || library.prepare_domains(&json)).await
    }

    /// The same for a document as it was sent; see [`Library::prepare_document`].
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub(super) async fn prepare_document(
        &self,
        json: Bytes,
    ) -> Result<Option<Result<Prepared, Faults>>, Gone> {
        let library = self.library.clone();
        self.reader.read(move || library.prepare_document(&json)).await
    }

    /// Waits until every worker serves what was accepted. Gives how many do, of how many.
    pub(super) async fn served(&self, accepted: &Accepted) -> (usize, usize) {
        let (version, mut progress) = (accepted.version, self.progress.clone());
        let all = progress.wait_for(|now| now.applied.iter().all(|applied| *applied >= version));
        // Late or gone: what is known at the end of the wait is the answer either way.
        let _ = timeout(accepted.within, all).await;
        let now = self.progress.borrow();
        (now.applied.iter().filter(|applied| **applied >= version).count(), now.applied.len())
    }

    /// Waits until the store has said more than `before`. False when that was no load, or did not come in time.
    pub(super) async fn loaded(&self, before: Heard, within: Duration) -> bool {
        let mut progress = self.progress.clone();
        let more = progress.wait_for(|now| now.heard != before);
        matches!(timeout(within, more).await, Ok(Ok(now)) if now.heard.loads > before.loads)
    }

    /// Waits for a dump; `within` is what a small one may take. Gives the revision.
    ///
    /// # Errors
    /// What stood in its way; or that it goes on.
    pub(super) async fn dumped(&self, awaited: Awaited, within: Duration) -> Result<i64, DumpError> {
        let Awaited { outcome, longer } = awaited;
        match timeout(within + longer, outcome).await {
            Ok(outcome) => outcome.unwrap_or(Err(DumpError::Gone)),
            Err(_) => Err(DumpError::Late),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use serde_json::json;

    use super::*;

    /// Reading on this thread would be done at the first look: there is nothing to wait for.
    #[tokio::test]
    async fn a_change_that_brings_patterns_is_read_on_another_thread() {
        let (questions, _arrive) = mpsc::channel(1);
        let (_progress, progress) = watch::channel(Progress::default());
        let (lookups, reader) = (Lookups::system(), Reader::start().unwrap());
        let library = Library::default();
        let fleet = Fleet::alone(Identity::default());
        let certificates = Desk::default();
        let handle =
            HubHandle { questions, progress, library, lookups, reader: reader.clone(), fleet, certificates };
        let rules = json!({"init": "a", "rules": {
            "a": {"type": "ua", "args": {"pattern": r"\p{L}{5}", "succ": "b", "fail": "b"}},
            "b": {"type": "backend", "args": {"servername": "up"}}}});
        let given = json!({"a.test": rules}).as_object().cloned().unwrap();
        let mut nobody = Context::from_waker(Waker::noop());

        // The other thread is busy, so what it is brought waits, however fast this machine is.
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let mut busy = pin!(reader.read(move || wait.recv().is_ok()));
        assert!(busy.as_mut().poll(&mut nobody).is_pending());
        let mut whole = pin!(handle.prepare(Edit::PutDomains(given.clone())));
        assert!(whole.as_mut().poll(&mut nobody).is_pending());
        let text = Bytes::from(json!(given).to_string());
        let mut piecewise = pin!(handle.prepare_domains(text));
        assert!(piecewise.as_mut().poll(&mut nobody).is_pending());
        go.send(()).unwrap();
        assert!(whole.await.unwrap().is_ok());

        assert!(piecewise.await.unwrap().unwrap().is_ok());

        let names = Edit::DeleteDomains(vec!["a.test".to_owned()]);
        assert!(
            matches!(pin!(handle.prepare(names)).poll(&mut nobody), Poll::Ready(_)),
            "that takes no time"
        );
    }
}
