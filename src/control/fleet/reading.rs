//! What all nodes say, for whoever asks.
//!
//! It owns that etcd is asked once a second at most, however many ask here, and why there is nothing to read. Next:
//! [`judge`](mod@super::judge) says what it means.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};

use super::document::{Document, Identity};
use crate::control::store::{NodeReader, Standing};

/// How old what is shown may be: whoever looks each second sees each change, and 60 dashboards are one.
const FRESH: Duration = Duration::from_secs(1);
/// How long a reading may take; who asks has the rest of its own patience for the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// All nodes, as this one knows them.
#[derive(Debug, Clone)]
pub(in crate::control) struct Fleet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    identity: Identity,
    /// Nothing where no others can be.
    shared: Option<Shared>,
}

#[derive(Debug)]
struct Shared {
    standing: watch::Receiver<Standing>,
    reading: Mutex<Reading>,
}

#[derive(Debug)]
struct Reading {
    reader: NodeReader,
    last: Option<(Instant, Read)>,
}

/// What etcd said, or why it did not.
pub(in crate::control) type Read = Result<Arc<Vec<(String, Vec<u8>)>>, String>;

impl Fleet {
    /// A node that has nobody beside it.
    pub(in crate::control) fn alone(identity: Identity) -> Self {
        Self(Arc::new(Inner { identity, shared: None }))
    }

    /// A node among others.
    pub(in crate::control) fn among(
        identity: Identity,
        reader: NodeReader,
        standing: watch::Receiver<Standing>,
    ) -> Self {
        let reading = Mutex::new(Reading { reader, last: None });
        Self(Arc::new(Inner { identity, shared: Some(Shared { standing, reading }) }))
    }

    /// Who this node is.
    pub(in crate::control) fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Whether others read what this node says; why not, as a sentence.
    pub(in crate::control) fn unseen(&self) -> Option<String> {
        let Some(shared) = &self.0.shared else {
            return Some(
                "the configuration is in a file, so there is no fleet: this is the only node".to_owned(),
            );
        };
        match &*shared.standing.borrow() {
            Standing::Joined => None,
            Standing::Joining => Some("this node is not in the fleet yet".to_owned()),
            Standing::Lost(reason) => Some(format!("this node cannot be kept in etcd: {reason}")),
            Standing::Taken(told) => {
                let Document { address, started, .. } = Document::read("", told);
                Some(format!(
                    "this node is not in the fleet: another process keeps its id, started at {started:?}, asked at {address:?}; \
                     --node-id gives it a name of its own"
                ))
            }
        }
    }

    /// What all say; nothing where there are no others.
    pub(in crate::control) async fn read(&self) -> Option<Read> {
        let shared = self.0.shared.as_ref()?;
        // One asks, and the others wait for what it hears.
        let mut reading = shared.reading.lock().await;
        if let Some((at, read)) = &reading.last
            && at.elapsed() < FRESH
        {
            return Some(read.clone());
        }
        let read = match timeout(PATIENCE, reading.reader.read()).await {
            Ok(read) => read.map(Arc::new),
            Err(_) => Err(format!("no answer in {} ms", PATIENCE.as_millis())),
        };
        reading.last = Some((Instant::now(), read.clone()));
        Some(read)
    }
}
