//! A count of lines that were not written.
//!
//! It owns the number, which whoever loses a line raises and a scrape reads. It is written to only when a line is lost, so
//! nobody waits for it. Next: the access log and the process's own log have one each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many lines are missing since the start. Copies are one count.
#[derive(Debug, Clone, Default)]
pub struct Lost(Arc<AtomicU64>);

impl Lost {
    /// So many more.
    pub fn add(&self, lines: u64) {
        self.0.fetch_add(lines, Ordering::Relaxed);
    }

    /// All of them.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
