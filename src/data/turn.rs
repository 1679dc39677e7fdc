//! What one connection may do in a turn of its worker, and what becomes of it then.
//!
//! It owns the bounds of a turn, never a connection. Next: [`super::pump`].

/// Bytes that one connection may read in one turn, so that a bulk transfer does not keep the others waiting: a few of
/// the largest windows.
const BUDGET: usize = 1024 * 1024;
/// Steps that one connection's exchanges may take in one turn, and [`STEPS_A_REQUEST`] of them is what a request takes that ELB
/// answers itself: a window of 32 KiB holds a thousand small ones, and each may walk a chain of rules. Fewer would make a
/// client that asks much at once wait for a poll too often.
pub(super) const STEPS: u32 = 32 * STEPS_A_REQUEST;
/// It is routed, and it is over.
pub(super) const STEPS_A_REQUEST: u32 = 2;

/// What is to become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its turn goes on.
    GoOn,
    /// It waits for an event or its deadline.
    Rest,
    /// It could go on, and others come first.
    More,
    /// It is closed.
    Close,
    /// Its socket goes to control, with the bytes that were read.
    Adopt,
}

/// What one connection may and has done since its turn came.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// Bytes that may still be read.
    pub(super) budget: usize,
    /// Steps that may still be taken.
    pub(super) steps: u32,
    /// Something moved in this round.
    pub(super) moved: bool,
    /// A read filled its window, so more is there.
    pub(super) filled: bool,
    /// Its turn goes on, or has ended so.
    pub(super) verdict: Verdict,
}

impl Turn {
    /// All of it is ahead.
    pub const NEW: Self =
        Self { budget: BUDGET, steps: STEPS, moved: false, filled: false, verdict: Verdict::GoOn };

    /// Bytes that were read.
    #[must_use]
    pub fn read(&self) -> usize {
        BUDGET - self.budget
    }

    /// It goes on.
    #[inline]
    pub(super) fn goes_on(&self) -> bool {
        self.verdict == Verdict::GoOn
    }

    /// It has had its share: others come first.
    pub(super) fn is_spent(&self) -> bool {
        self.budget == 0 || self.steps == 0
    }
}
