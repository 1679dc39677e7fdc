//! The data plane: one thread a core, each with its own connections, pool and reading of the snapshot.

pub mod balancer;
pub mod timers;
pub mod token;
