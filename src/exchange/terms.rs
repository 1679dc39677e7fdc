//! What an upstream asks for that is not as the policy has it.
//!
//! It owns these values, never where they come from. Next: `data::terms` makes them of the options of an upstream.

use std::time::Duration;

/// What holds for the attempts of one request, in place of the [`Policy`](super::Policy).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// From the attempt to the established connection.
    pub connect_timeout: Duration,
    /// Silence of a server.
    pub server_timeout: Duration,
    /// Servers tried.
    pub tries: u32,
    /// What the answer says in a `Set-Cookie` field of its own, to keep its client at a server.
    pub cookie: Option<Box<str>>,
}
