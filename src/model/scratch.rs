//! Scratch.

/// What one worker needs while it routes.
#[derive(Debug, Default)]
pub struct Scratch;

impl Scratch {
    /// An empty one.
    pub fn new() -> Scratch {
        Scratch
    }
}
