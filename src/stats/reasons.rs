//! How often each reason was one: the words of `X-ELB-Reason`, and those of cuts and closes that no answer tells of.
//!
//! It owns a number for each reason, never the list of them or the decision to refuse. Counting touches one number of an
//! array. Next: [`crate::reason`] has the list, `data::record` counts, `link::Gauges` shows.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::reason::Reason;

/// What was refused, cut or closed since the start, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused([u64; Reason::ALL.len()]);

impl Default for Refused {
    fn default() -> Self {
        Self([0; Reason::ALL.len()])
    }
}

impl Refused {
    /// Counts one of this reason.
    pub fn count(&mut self, reason: Reason) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// The reasons that there were, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
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
            map.serialize_entry(reason.word(), &count)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_number_and_those_that_were_none_are_not_shown() {
        let mut refused = Refused::default();
        assert_eq!(serde_json::json!(refused), serde_json::json!({}));
        for reason in Reason::ALL {
            refused.count(reason);
        }
        assert!(refused.iter().eq(Reason::ALL.map(|reason| (reason, 1))));
        let mut sum = Refused::default();
        sum.count(Reason::BadHost);
        sum += refused;
        assert_eq!(serde_json::json!(sum)["bad-host"], 2);
    }
}
