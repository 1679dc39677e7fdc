//! Snapshots.

use std::sync::Arc;

use super::upstream::{Upstream, UpstreamKey};

/// The whole configuration at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// Its number; a later one has a higher.
    pub version: u64,
}

impl Snapshot {
    /// A snapshot of nothing, version 0.
    pub fn empty() -> Snapshot {
        Snapshot { version: 0 }
    }

    /// The upstream of that name.
    pub fn upstream(&self, _key: &UpstreamKey) -> Option<&Arc<Upstream>> {
        None
    }

    /// All upstreams.
    pub fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        std::iter::empty()
    }

    /// How many domains there are; their slots are 0 to this, exclusive.
    pub fn domain_count(&self) -> usize {
        0
    }

    /// The domain in a slot.
    pub fn domain_name(&self, _slot: u32) -> &str {
        ""
    }
}

impl Snapshot {
    /// The slot of a domain in this snapshot.
    #[must_use]
    pub fn domain_slot(&self, _name: &str) -> Option<u32> {
        None
    }
}
