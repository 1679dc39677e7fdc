//! How often each reason was one: the words of `X-ELB-Reason`, and those of cuts and closes that no answer tells of.
//!
//! It owns the list of the words and a number for each, never the decision to refuse. Counting touches one number of an
//! array. Next: `data::answer` counts, `link::Gauges` shows.

use serde::ser::{Serialize, SerializeMap, Serializer};

/// Every reason for which something is refused, cut or closed, by the alphabet.
pub const REASONS: [&str; 67] = [
    "accept-failed",
    "admin-busy",
    "admin-refused",
    "ambiguous-path",
    "bad-chunk-end",
    "bad-chunk-line",
    "bad-content-length",
    "bad-expect",
    "bad-header-line",
    "bad-header-name",
    "bad-header-value",
    "bad-host",
    "bad-line-end",
    "bad-method",
    "bad-path",
    "bad-request-line",
    "bad-response",
    "bad-rewrite",
    "bad-status",
    "bad-status-line",
    "bad-target",
    "bad-trailer",
    "bad-transfer-encoding",
    "bad-version",
    "body-too-long",
    "chunked-in-old-version",
    "client-body-timeout",
    "client-header-timeout",
    "client-write-timeout",
    "connect-failed",
    "connect-refused",
    "connect-timeout",
    "half-close-timeout",
    "head-too-long",
    "idle-closed",
    "keepalive-timeout",
    "linger",
    "loop",
    "no-address",
    "no-buffers",
    "no-descriptors",
    "no-domain",
    "no-host",
    "no-memory",
    "no-places",
    "no-ports",
    "no-server",
    "no-upstream",
    "repeated-field",
    "request-cut",
    "reserved-path",
    "response-cut",
    "rule-denied",
    "server-closed",
    "server-keepalive-timeout",
    "server-timeout",
    "target-too-long",
    "too-many-chunk-extensions",
    "too-many-connection-options",
    "too-many-connections",
    "too-many-headers",
    "trace-refused",
    "trailers-too-long",
    "tunnel-timeout",
    "two-framings",
    "two-hosts",
    "unknown-coding",
];

/// What was refused since the start, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused([u64; REASONS.len()]);

impl Default for Refused {
    fn default() -> Self {
        Self([0; REASONS.len()])
    }
}

impl Refused {
    /// Counts one of this reason. A word that is not in the list is a mistake of ours, and counts nowhere.
    pub fn count(&mut self, reason: &str) {
        let at = REASONS.binary_search(&reason).ok();
        debug_assert!(at.is_some(), "{reason} is in no list of reasons");
        if let Some(count) = at.and_then(|at| self.0.get_mut(at)) {
            *count += 1;
        }
    }

    /// The reasons that there were, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        REASONS.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

impl std::ops::AddAssign for Refused {
    fn add_assign(&mut self, other: Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }
}

impl Serialize for Refused {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (reason, count) in self.iter() {
            map.serialize_entry(reason, &count)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_found_and_those_that_were_none_are_not_shown() {
        assert!(REASONS.is_sorted());
        let mut refused = Refused::default();
        assert_eq!(serde_json::json!(refused), serde_json::json!({}));
        for reason in REASONS {
            refused.count(reason);
        }
        assert!(refused.iter().eq(REASONS.map(|reason| (reason, 1))));
        let mut sum = Refused::default();
        sum.count("bad-host");
        sum += refused;
        assert_eq!(serde_json::json!(sum)["bad-host"], 2);
    }
}
