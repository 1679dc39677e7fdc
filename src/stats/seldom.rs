//! How often a line of the log is worth writing when strangers can cause one.
//!
//! It owns the pause between two lines and the count of what they leave out, never a line. `now` is an argument. Next:
//! `data::door` and `control::admin::access` ask it before they tell of a refusal.

use std::time::{Duration, Instant};

/// The least time between two lines of a kind: a flood is told, and the log stays readable.
const PAUSE: Duration = Duration::from_secs(10);

/// One kind of line.
#[derive(Debug, Default)]
pub struct Seldom {
    told: Option<Instant>,
    untold: u64,
}

impl Seldom {
    /// Something happened that a line would tell of. Gives how often it did since the last line, if one is due.
    pub fn due(&mut self, now: Instant) -> Option<u64> {
        self.untold += 1;
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < PAUSE) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_line_every_ten_seconds_that_counts_the_rest() {
        let (mut seldom, begin) = (Seldom::default(), Instant::now());
        assert_eq!(seldom.due(begin), Some(1));
        assert!((0..1000).all(|_| seldom.due(begin + PAUSE / 2).is_none()));
        assert_eq!(seldom.due(begin + PAUSE), Some(1001));
    }
}
