//! What a pick depends on, besides the servers.
//!
//! It owns that shape. Next: `balance` picks by it, `key` says where `key` and `sticky` come from.

use std::time::Instant;

use super::lease::Tried;

/// What is known of the request that a server is picked for.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'c> {
    /// Those that the exchange has tried already.
    pub tried: &'c Tried,
    /// When it is made.
    pub now: Instant,
    /// The hash of what it has in common with the requests that go to the same server; of no matter but to `hash`.
    pub key: u64,
    /// The server that its client is kept at, by the id in its cookie; 0 for none.
    pub sticky: u64,
}

impl<'c> Choice<'c> {
    /// One that depends on nothing in the request.
    #[must_use]
    pub fn new(tried: &'c Tried, now: Instant) -> Self {
        Self { tried, now, key: 0, sticky: 0 }
    }
}
