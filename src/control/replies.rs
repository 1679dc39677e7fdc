//! What the hub says to those who ask it: plain values, so that nobody holds on to the hub itself.
//!
//! It owns their shapes and the words for a dump that failed, never how they come about or how they look on the wire.
//! Next: [`hub`](super::hub) makes them, [`admin`](super::admin) shows them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::rejections::some;
use crate::link::Gauges;
use crate::model::{Differences, Digest, Faults, UpstreamSpec};
use crate::warning::Warning;

/// How far things have come; watched by those who wait.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The version each worker serves.
    pub(super) applied: Vec<u64>,
    /// What came from the store.
    pub(super) heard: Heard,
}

/// What came from the store since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// Loads, those that are held back too.
    pub(super) loads: u64,
    /// Reasons why it could not be read.
    pub(super) failures: u64,
}

/// A change that was accepted.
#[derive(Debug, Default)]
pub(super) struct Accepted {
    /// What its subject is now; nothing for one that is gone.
    pub(super) tag: Option<Digest>,
    /// The version that it is served in.
    pub(super) version: u64,
    /// How long to wait for the workers to serve it.
    pub(super) within: Duration,
    /// What the operator should know.
    pub(super) warnings: Vec<Warning>,
    /// For deletions, in order: the name, and whether it was there.
    pub(super) found: Vec<(String, bool)>,
}

/// What became of a change.
#[derive(Debug)]
pub(super) enum Made {
    /// It is accepted, and goes to the store if it should.
    Accepted(Accepted, Option<Awaited>),
    /// It was only tried.
    Tried(Tried),
}

/// What a change would come to.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) differences: Differences,
    /// What the operator should know.
    pub(super) warnings: Vec<Warning>,
    pub(super) stranded: Stranded,
    /// It would be refused unless it is confirmed.
    pub(super) needs_confirmation: bool,
}

/// What a change takes away of what had requests in the last seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Stranded {
    /// Domains that go, …
    pub(super) domains: usize,
    /// … of so many that had requests.
    pub(super) of_domains: usize,
    /// Servers that go, …
    pub(super) servers: usize,
    /// … of so many that had requests.
    pub(super) of_servers: usize,
    /// Requests a second that these had.
    pub(super) per_second: f64,
}

/// Why a change was not made.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is wrong.
    Faults(Faults),
    /// Its condition does not hold: the subject is this now, or is not there.
    Changed(Option<Digest>),
    /// What it was made from has changed since it was read.
    Meanwhile,
    /// It takes too much away, and nobody said that this is meant.
    Unconfirmed(Stranded),
    /// Nothing can be changed at the moment, for this reason.
    Frozen(Frozen),
}

/// Why nothing can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frozen {
    /// The next process would not know of it.
    HandingOver,
    /// This process is the next one, and the one before has not let go.
    TakingOver,
    /// The process finishes what runs and ends.
    Ending,
}

impl Frozen {
    /// The code of the answer.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::HandingOver | Self::TakingOver => "handing-over",
            Self::Ending => "stopping",
        }
    }

    /// What is said of it.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::HandingOver => {
                "the next ELB is taking over, and would not know of this change: ask again in a moment"
            }
            Self::TakingOver => {
                "this ELB is taking over from another, which has not let go yet: ask again in a moment"
            }
            Self::Ending => "this ELB finishes what runs and ends, so it takes no change",
        }
    }
}

impl From<Faults> for Refused {
    fn from(faults: Faults) -> Self {
        Self::Faults(faults)
    }
}

/// Where the configuration stands.
#[derive(Debug)]
pub(super) struct Status {
    /// The newest snapshot's version.
    pub(super) version: u64,
    /// Of what that serves.
    pub(super) digest: Digest,
    /// Changes that a restart would lose: no dump has written them yet.
    pub(super) unsaved: usize,
    /// How many workers serve `version`.
    pub(super) applied: usize,
    /// Of how many.
    pub(super) workers: usize,
    /// What the operator should know.
    pub(super) alarms: Vec<Warning>,
}

/// One worker at work.
#[derive(Debug)]
pub(super) struct Working {
    /// The version that it serves; nothing once it has ended.
    pub(super) version: Option<u64>,
    /// What it held when it last said so.
    pub(super) gauges: Gauges,
    /// How long ago that was.
    pub(super) age: Duration,
}

/// An upstream with what its servers' names lead to.
#[derive(Debug)]
pub(super) struct Listed {
    /// As the operator wrote it.
    pub(super) spec: Arc<UpstreamSpec>,
    /// The addresses of each server, in order.
    pub(super) addresses: Vec<Vec<String>>,
}

/// A dump that somebody waits for.
#[derive(Debug)]
pub(super) struct Awaited {
    /// How it ends: the revision of the store that holds what was asked for.
    pub(super) outcome: oneshot::Receiver<Result<i64, DumpError>>,
    /// How much longer than a small one it may take.
    pub(super) longer: Duration,
}

/// Why a dump did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DumpError {
    /// Nobody knows what the store holds, so nobody knows what of it an edit was meant to change.
    #[error("the store has not been read since ELB started, and a dump could undo what it holds")]
    Unread,
    /// Other commands wait already, or the store has ended.
    #[error("the store does not take commands")]
    Busy,
    /// The store refused, or could not.
    #[error("the store did not take the dump: {0}")]
    Failed(String),
    /// The store changed these keys after they were changed here, and its change is in force.
    #[error(
        "these were changed in the store as well, that change was heard of later, and the later change is in force: {}",
        some(.0)
    )]
    GaveWay(Vec<String>),
    /// It goes on.
    #[error(
        "the store has not confirmed it yet; the dump goes on, and X-ELB-Unsaved of any answer is 0 once nothing is left \
         to write"
    )]
    Late,
    /// The hub is gone.
    #[error("ELB is stopping")]
    Gone,
}

/// What became of a wish to read the store again.
#[derive(Debug)]
pub(super) enum Resync {
    /// What was held back is applied.
    Confirmed(Accepted),
    /// The store is asked; this is what had come before.
    Asked(Heard),
    /// The store does not take the question.
    Busy,
}

/// The hub is gone: the process is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ELB is stopping")]
pub(super) struct Gone;

impl From<Gone> for DumpError {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}
