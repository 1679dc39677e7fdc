//! How often a request was sent once more, by what had become of it before.
//!
//! It owns these numbers. Next: `data::dispatch` counts, `link::Gauges` shows.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::reasons::Refused;
use crate::reason::Reason;

/// Second tries since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retries {
    failed: Refused,
    error_status: u64,
    stale_connection: u64,
}

impl Retries {
    /// Another server was asked, for this reason; without one it was a 500 or a 504.
    pub fn count(&mut self, reason: Option<Reason>) {
        match reason {
            Some(reason) => self.failed.count(reason),
            None => self.error_status += 1,
        }
    }

    /// Each reason with how often it was so, but for those that never were.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let others = [("error-status", self.error_status), ("stale-connection", self.stale_connection)];
        let failed = self.failed.iter().map(|(reason, count)| (reason.word(), count));
        failed.chain(others.into_iter().filter(|(_, count)| *count > 0))
    }

    /// The same server was asked on a fresh connection, as a pooled one had died.
    pub fn stale(&mut self) {
        self.stale_connection += 1;
    }
}

impl std::ops::AddAssign for Retries {
    fn add_assign(&mut self, other: Self) {
        self.failed += other.failed;
        self.error_status += other.error_status;
        self.stale_connection += other.stale_connection;
    }
}

impl Serialize for Retries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (word, count) in self.iter() {
            map.serialize_entry(word, &count)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_shown_by_what_went_before_and_what_was_not_is_not_shown() {
        let mut retries = Retries::default();
        assert_eq!(serde_json::json!(retries), serde_json::json!({}));
        retries.count(Some(Reason::ConnectFailed));
        retries.count(None);
        retries.stale();
        retries += retries;
        let shown = serde_json::json!({"connect-failed": 2, "error-status": 2, "stale-connection": 2});
        assert_eq!(serde_json::json!(retries), shown);
    }
}
