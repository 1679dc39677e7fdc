//! Which configuration every worker serves, by what it is made of.
//!
//! It owns what is remembered of versions on their way to workers; never who has which. Next: [`hub`](crate::control::hub) builds
//! versions, [`document`](super::document) has what other nodes are told.

use std::collections::BTreeMap;
use std::time::Instant;

use super::document::Served;
use crate::model::Digest;

/// Versions that are remembered: a worker has one on its way and takes the newest next, so only one that hangs while a thousand pass
/// it is asked for an older one.
const REMEMBERED: usize = 1024;

/// What versions were made of.
#[derive(Debug, Default)]
pub(in crate::control) struct Built {
    /// Digest, and the store's revision up to which it is in it.
    versions: BTreeMap<u64, (Digest, i64)>,
    last: Option<Served>,
}

impl Built {
    /// A version was built.
    pub(in crate::control) fn built(&mut self, version: u64, digest: Digest, revision: i64) {
        self.versions.insert(version, (digest, revision));
        while self.versions.len() > REMEMBERED {
            self.versions.pop_first();
        }
    }

    /// Every worker serves `version` or a newer one. `all` is the revision up to which everything is in it, if nothing is on its way.
    pub(in crate::control) fn reached(&mut self, version: u64, all: Option<i64>, now: Instant) -> Served {
        while self.versions.first_key_value().is_some_and(|(first, _)| *first < version) {
            self.versions.pop_first();
        }
        let (digest, revision) =
            self.versions.get(&version).map_or((None, 0), |(digest, revision)| (Some(*digest), *revision));
        let is_same = |last: &Served| last.digest == digest;
        let since = self.last.filter(is_same).map_or(now, |last| last.since);
        let served = Served { version, digest, revision: all.unwrap_or(revision), since };
        self.last = Some(served);
        served
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::State;

    #[test]
    fn the_oldest_version_that_a_worker_serves_is_what_all_serve() {
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        let (one, two) = (Digest::of_json(&1.into()), State::new().digest());
        let mut built = Built::default();
        built.built(1, one, 10);
        let first = built.reached(1, Some(12), at(0));
        assert_eq!(first, Served { version: 1, digest: Some(one), revision: 12, since: at(0) });
        built.built(2, two, 13);
        built.built(3, two, 14);
        assert_eq!(built.reached(1, None, at(1)), Served { revision: 10, ..first }, "a worker is behind");
        let second = built.reached(2, None, at(2));
        assert_eq!(second, Served { version: 2, digest: Some(two), revision: 13, since: at(2) });
        let third = built.reached(3, Some(14), at(3));
        assert_eq!(third, Served { version: 3, revision: 14, ..second }, "it has served this digest before");
        assert_eq!(built.versions.len(), 1, "what is over is forgotten");
    }

    #[test]
    fn a_worker_that_hung_for_a_thousand_changes_serves_something_unknown() {
        let mut built = Built::default();
        let digest = State::new().digest();
        (1..3000).for_each(|version| built.built(version, digest, 1));
        assert_eq!(built.versions.len(), REMEMBERED);
        assert_eq!(built.reached(7, None, Instant::now()).digest, None);
        assert_eq!(built.reached(2999, None, Instant::now()).digest, Some(digest));
    }
}
