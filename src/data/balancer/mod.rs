//! Picks a server among those of an upstream, in one worker.
//!
//! ```text
//!   balance ──► peer           who can be used: room, failures, backups, who is left when nobody is
//!      │
//!   methods ──► round_robin    whose turn it is among them; a file a method, and `method` says what one is
//!      │
//!   lease                      what is owed for a pick, and what one exchange has tried
//! ```

mod balance;
mod lease;
mod method;
mod methods;
mod peer;
mod round_robin;

#[cfg(test)]
mod tests;

pub use balance::{Balancer, Choice};
pub use lease::{Lease, Tried};
