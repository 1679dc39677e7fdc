//! Numbers that one worker counts: by domain slot, in plain integers.
//!
//! It owns counting, adding and taking; never an atomic, a lock, a name or a clock. Next: `control::statsd` merges the
//! workers' numbers by name and sends them.

use std::collections::BTreeMap;

/// Numbers of one domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DomainStats {
    /// Requests that reached an upstream.
    pub total: u64,
    /// Requests by final status.
    pub status: BTreeMap<u16, u64>,
    /// Requests by cost, in whole milliseconds (above a second in steps of one per cent).
    pub cost: BTreeMap<u32, u64>,
}

/// Numbers of one worker since they were last taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    domains: Vec<Option<Box<DomainStats>>>,
}
