//! The first requests of each second that failed, one by one: a few are enough to see what is wrong.
//!
//! It owns how many are kept, never a name. Next: `control::failures` keeps the last of them by name.

use std::time::{Duration, Instant};

use crate::reason::Reason;

/// Failed requests that a worker tells of between two reports; their number stands elsewhere.
const KEPT: usize = 32;

/// One request that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// The slot of its domain; [`NONE`](super::NONE) without one.
    pub domain: u32,
    /// The slot of the upstream that it was sent to.
    pub upstream: Option<u32>,
    /// The number of the server that it was given to last; 0 if to none.
    pub server: u32,
    /// The status that the client got.
    pub status: u16,
    /// Why ELB refused, answered or cut it.
    pub reason: Option<Reason>,
    /// When it was over.
    pub ended: Instant,
    /// From its first byte to its end.
    pub took: Duration,
}

/// Those of one worker since they were last taken.
#[derive(Debug)]
pub struct Failures(Vec<Failure>);

impl Default for Failures {
    fn default() -> Self {
        Self(Vec::with_capacity(KEPT))
    }
}

impl Failures {
    /// One more; further ones than may be kept are left out.
    pub fn add(&mut self, failure: Failure) {
        if self.0.len() < KEPT {
            self.0.push(failure);
        }
    }

    /// Hands them over and begins anew.
    pub fn take(&mut self) -> Vec<Failure> {
        let taken = self.0.clone();
        self.0.clear();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ones_are_kept() {
        let ended = Instant::now();
        let failure = |domain| Failure {
            domain,
            upstream: None,
            server: 0,
            status: 502,
            reason: None,
            ended,
            took: Duration::ZERO,
        };
        let mut failures = Failures::default();
        (0..100).for_each(|domain| failures.add(failure(domain)));
        assert_eq!(
            failures.take().iter().map(|one| one.domain).collect::<Vec<_>>(),
            (0..32).collect::<Vec<_>>()
        );
        assert_eq!(failures.take(), []);
    }
}
