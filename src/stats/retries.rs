//! How often a request was sent once more, by what had become of it before.
//!
//! It owns these numbers. Next: `data::dispatch` counts, `link::Gauges` shows.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::reasons::Refused;
use crate::reason::{Reason, Whose};

/// A server answered, with a 500 or a 504.
const ERROR_STATUS: &str = "error-status";

/// Second tries since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retries {
    failed: Refused,
    error_status: u64,
    stale_connection: u64,
}

impl Retries {
    /// Another server was asked, for this reason; without one it was a 500 or a 504.
    #[cold]
    pub fn count(&mut self, reason: Option<Reason>) {
        match reason {
            Some(reason) => self.failed.count(reason),
            None => self.error_status += 1,
        }
    }

    /// How often a server that was asked failed, by reason: what was tried again, and what `ended` with that.
    #[must_use]
    pub fn failures_of_servers(&self, ended: &Refused) -> Vec<(&'static str, u64)> {
        let mut failed = self.failed;
        failed += *ended;
        let failed = failed.iter().filter(|(reason, _)| is_of_a_server(*reason));
        let statuses = (self.error_status > 0).then_some((ERROR_STATUS, self.error_status));
        failed.map(|(reason, count)| (reason.word(), count)).chain(statuses).collect()
    }

    /// Each reason with how often it was so, but for those that never were.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let others = [(ERROR_STATUS, self.error_status), ("stale-connection", self.stale_connection)];
        let failed = self.failed.iter().map(|(reason, count)| (reason.word(), count));
        failed.chain(others.into_iter().filter(|(_, count)| *count > 0))
    }

    /// The same server was asked on a fresh connection, as a pooled one had died.
    pub fn stale(&mut self) {
        self.stale_connection += 1;
    }
}

/// Whether it tells of one server that was asked, and not of none being left or of an idle connection.
fn is_of_a_server(reason: Reason) -> bool {
    let is_of_none = matches!(reason, Reason::NoServer | Reason::ServerKeepaliveTimeout);
    reason.whose() == Whose::Server && !is_of_none
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

    #[test]
    fn failures_of_servers_are_those_that_were_tried_again_and_those_that_ended_so() {
        let (mut retries, mut ended) = (Retries::default(), Refused::default());
        assert_eq!(retries.failures_of_servers(&ended), []);
        retries.count(Some(Reason::ConnectFailed));
        retries.count(None);
        retries.stale();
        let others = [Reason::NoServer, Reason::ServerKeepaliveTimeout, Reason::NoDomain, Reason::NoPorts];
        for reason in [Reason::ConnectFailed, Reason::ResponseCut].into_iter().chain(others) {
            ended.count(reason);
        }
        assert_eq!(
            retries.failures_of_servers(&ended),
            [("connect-failed", 2), ("response-cut", 1), ("error-status", 1)]
        );
    }
}
