//! How many answers were compressed, and what that saved.
//!
//! It owns these numbers. Next: `exchange::press` counts, `link::Gauges` shows.

use serde::Serialize;

/// Answers since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Gzip {
    /// Those that were compressed, or are.
    pub answers: u64,
    /// Bytes of their content.
    pub content_bytes: u64,
    /// Bytes that were made of them.
    pub sent_bytes: u64,
    /// Those that were not, as too many were at once.
    pub skipped: u64,
}

impl std::ops::AddAssign for Gzip {
    fn add_assign(&mut self, other: Self) {
        self.answers += other.answers;
        self.content_bytes += other.content_bytes;
        self.sent_bytes += other.sent_bytes;
        self.skipped += other.skipped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_add_up() {
        let mut all = Gzip { answers: 1, content_bytes: 2, sent_bytes: 3, skipped: 4 };
        all += all;
        assert_eq!(all, Gzip { answers: 2, content_bytes: 4, sent_bytes: 6, skipped: 8 });
    }
}
