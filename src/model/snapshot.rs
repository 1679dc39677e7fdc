//! Placeholder until the model lands.

/// Snapshot.
#[derive(Debug)]
pub struct Snapshot;
