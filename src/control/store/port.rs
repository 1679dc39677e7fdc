//! What a store must do, whatever it is: report its contents and their changes, and take a dump.
//!
//! It owns the messages between a store's task and the control loop, never a connection or a file. A store is a task
//! that runs until its command channel closes. Next: `etcd` and `file` are the two that exist.

use tokio::sync::{mpsc, oneshot};

use crate::model::{Contents, KeyChange};

/// Events that may wait for the control loop; the store waits when it is full.
pub const EVENTS: usize = 64;
/// Dumps that may wait for the store.
pub const COMMANDS: usize = 8;

/// What a store reports.
#[derive(Debug)]
pub enum StoreEvent {
    /// The whole contents, at the first load and after every gap in the watch.
    Loaded {
        /// All keys.
        contents: Contents,
        /// The store's revision (etcd's; a counter of loads for a file).
        revision: i64,
    },
    /// Keys that changed together (one revision, or a few that came within milliseconds).
    Changed {
        /// The changes, in order.
        changes: Vec<KeyChange>,
        /// The revision after them.
        revision: i64,
    },
    /// The store was lost. Sent once for each change of state, not for each attempt.
    Down {
        /// What went wrong, for people.
        reason: String,
    },
}

/// What the control loop asks of a store.
#[derive(Debug)]
pub enum StoreCommand {
    /// Make the store hold exactly `contents` (diffed, never delete-then-put), and say how it went.
    Dump {
        /// The effective configuration, all of it.
        contents: Contents,
        /// The answer: the revision that was reached, or what went wrong.
        reply: oneshot::Sender<Result<i64, String>>,
    },
    /// Report [`StoreEvent::Loaded`] again.
    Resync,
}

/// The control loop's end of a running store.
#[derive(Debug)]
pub struct StoreHandle {
    /// What the store reports.
    pub events: mpsc::Receiver<StoreEvent>,
    /// What it is asked.
    pub commands: mpsc::Sender<StoreCommand>,
}
