//! What is to be done, and how far it is: the words between the program's main thread and its loops.
//!
//! It owns the plan, the stages and the two counters that all loops share, never a socket. Next: `client` follows it.

use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

/// Errors after which there is nothing left to measure.
const TOO_MANY: usize = 1000;

/// The work of one loop.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Whom it asks.
    pub(crate) target: SocketAddrV4,
    /// Connections at once.
    pub(crate) connections: usize,
    /// Connections that ask once and wait then.
    pub(crate) idle: usize,
    /// A connection for each request.
    pub(crate) once: bool,
    /// Length of the body that must come.
    pub(crate) body: usize,
    /// Time between two requests; in a closed loop there is none.
    pub(crate) interval: Option<Duration>,
    /// Ends after so many answers.
    pub(crate) limit: Option<u64>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Connections are made and everything grows warm.
    Warm,
    /// The idle connections are there too.
    Crowd,
    /// Answers count.
    Measure,
    /// Nothing is asked any more.
    Over,
}

/// What all loops look at.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    stage: AtomicU8,
    errors: AtomicUsize,
    /// Idle connections that have had their answer.
    pub(crate) crowd: AtomicUsize,
}

impl Watch {
    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Warm,
            1 => Stage::Crowd,
            2 => Stage::Measure,
            _ => Stage::Over,
        }
    }

    pub(crate) fn count_error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.errors.load(Ordering::Relaxed) > TOO_MANY
    }
}
