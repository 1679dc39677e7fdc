//! Picks a server among those of an upstream, in one worker.
//!
//! ```text
//!   balance ──► peer           who can be used: room, failures, backups, who is left when nobody is
//!      │
//!      ├──► round_robin        whose turn it is in a plain sequence: nothing else is asked then
//!      │
//!      └──► general ──► methods ──► round_robin, least_conn, ewma, hash, random
//!              │                       │  a file a method; `method` says what one is
//!              │                    by_chance
//!              └──► sticky, key     clients that are kept at a server, and what a request has to do with one
//!
//!   choice, lease              what a pick depends on, what is owed for it, and what one exchange has tried
//! ```

mod balance;
mod by_chance;
mod choice;
mod ewma;
mod general;
mod hash;
mod key;
mod lease;
mod least_conn;
mod method;
mod methods;
mod peer;
mod random;
mod round_robin;
mod sticky;

#[cfg(test)]
mod tests;

pub use balance::Balancer;
pub use choice::{Affinity, Choice};
pub use lease::{Doubts, Lease, Tried};
