//! When a store last gave a sign of life.
//!
//! It owns the moment, which the store's task sets and a scrape reads; never what was said. Next: [`etcd`](super::etcd) and
//! [`file`](super::file) set it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The moment of the last answer, watch message or look that found a store well. Copies are one moment.
#[derive(Debug, Clone, Default)]
pub struct Seen(Arc<Mutex<Option<Instant>>>);

impl Seen {
    /// The store is well.
    pub(super) fn at(&self, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// How long that is ago, if it ever was.
    #[must_use]
    pub fn age(&self, now: Instant) -> Option<Duration> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.map(|last| now.saturating_duration_since(last))
    }
}
