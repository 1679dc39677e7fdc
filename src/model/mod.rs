//! What the operator said: rules, upstreams, and immutable snapshots of both. Pure.

mod contents;
mod snapshot;

pub use contents::{Contents, KeyChange, Servers};
pub use snapshot::Snapshot;
