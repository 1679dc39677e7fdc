//! What a store must do, whatever it is: report its contents and their changes, and take a dump.
//!
//! It owns the messages between a store's task and the control loop, never a connection or a file. A store is a task
//! that runs until its command channel closes. Next: [`etcd`](super::etcd) and [`file`](super::file) are the two that
//! exist.

use tokio::sync::mpsc;

use super::seen::Seen;
use crate::model::{Contents, KeyChange, KeyWrite};

/// Events that may wait for the control loop; the store waits when it is full.
pub const EVENTS: usize = 64;
/// Commands that may wait for the store. The control loop has one dump made at a time.
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
    /// A dump has ended. What it wrote is reported like any other change, before or after this.
    Dumped(Result<Dumped, String>),
}

/// What a dump has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dumped {
    /// The store's revision that holds it.
    pub revision: i64,
    /// Changes that were not made, because the key was not what had been read of it any more. What it is now is reported
    /// like any other change.
    pub conflicts: Vec<KeyChange>,
    /// Keys that the store cannot hold, and why.
    pub refused: Vec<(String, String)>,
}

/// What the control loop asks of a store.
#[derive(Debug)]
pub enum StoreCommand {
    /// Write these keys, each only if it is still what was read of it, and no other; then report
    /// [`StoreEvent::Dumped`].
    Dump {
        /// What was read, what is wanted.
        writes: Vec<KeyWrite>,
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
    /// When it was well.
    pub seen: Seen,
}
