//! What a pick depends on, besides the servers.
//!
//! It owns these shapes. Next: [`super::balance`] picks by it, [`super::key`] says where the affinity comes from.

use std::time::Instant;

use super::lease::Tried;

/// Where a request belongs among the servers of an upstream, by what stands in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Affinity {
    /// The hash of what it has in common with the requests that go to the same server; 0 where the upstream has no key.
    pub key: u64,
    /// The id of the server that its client is kept at; 0 for none.
    pub sticky: u64,
}

/// What is known of the request that a server is picked for.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'c> {
    /// Those that the exchange has tried already.
    pub tried: &'c Tried,
    /// When it is made.
    pub now: Instant,
    /// Where the request belongs.
    pub affinity: &'c Affinity,
}
