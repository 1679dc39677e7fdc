//! The last requests that failed, by name.
//!
//! It owns how many are kept. They are those that workers told of, which is not each of a second with many. Next:
//! [`hub`](super::hub) tells it what workers counted, `admin::overview` shows it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::model::{ServerId, Snapshot};
use crate::reason::Reason;
use crate::stats;
use crate::stats::failures::Failure;

/// How many: a screen of them.
const KEPT: usize = 32;

/// All of them, the newest last.
#[derive(Debug, Default)]
pub(super) struct Failures(VecDeque<Failed>);

/// One request that failed; what it had none of is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) ended: Instant,
    pub(super) took: Duration,
    pub(super) domain: String,
    pub(super) upstream: String,
    pub(super) server: String,
    pub(super) status: u16,
    pub(super) reason: Option<Reason>,
}

impl Failures {
    /// A worker tells of these by the slots of this snapshot.
    pub(super) fn told(&mut self, failures: &[Failure], snapshot: &Snapshot) {
        for failure in failures.iter().skip(failures.len().saturating_sub(KEPT)) {
            if self.0.len() >= KEPT {
                self.0.pop_front();
            }
            self.0.push_back(Failed::new(failure, snapshot));
        }
    }

    /// The newest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Failed> {
        self.0.iter().rev()
    }
}

impl Failed {
    fn new(failure: &Failure, snapshot: &Snapshot) -> Self {
        let &Failure { domain, upstream, server, status, reason, ended, took } = failure;
        let known = upstream.and_then(|slot| snapshot.upstream(slot));
        let servers = known.map_or(&[][..], |upstream| &upstream.servers);
        let server = servers.iter().find(|one| Some(one.id) == ServerId::of(server));
        let domain = if domain == stats::NONE { "" } else { snapshot.domain_name(domain) };
        Self {
            ended,
            took,
            domain: domain.to_owned(),
            upstream: upstream
                .and_then(|slot| snapshot.upstream_name(slot))
                .map_or("", |name| name.key())
                .to_owned(),
            server: server.map_or("", |server| &server.spec.name).to_owned(),
            status,
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::traffic::state;

    #[test]
    fn the_last_ones_are_kept_by_name() {
        let snapshot = state(&["a.test"]).snapshot(1);
        let upstream = snapshot.upstreams_differing(&Snapshot::empty()).next();
        let server = upstream.and_then(|slot| Some(snapshot.upstream(slot)?.servers[0].id.number())).unwrap();
        let failure = |status| Failure {
            domain: snapshot.domain_slot("a.test").unwrap(),
            upstream,
            server,
            status,
            reason: Some(Reason::ConnectFailed),
            ended: Instant::now(),
            took: Duration::ZERO,
        };
        let mut failures = Failures::default();
        failures
            .told(&[Failure { domain: stats::NONE, upstream: None, server: 0, ..failure(500) }], &snapshot);
        let first = failures.iter().next().unwrap().clone();
        assert_eq!((&*first.domain, &*first.upstream, &*first.server), ("", "", ""));
        failures.told(&(500..599).map(failure).collect::<Vec<_>>(), &snapshot);
        let first = failures.iter().next().unwrap();
        assert_eq!(
            (first.status, &*first.domain, &*first.upstream, &*first.server),
            (598, "a.test", "up", "127.0.0.1:1")
        );
        assert_eq!(failures.iter().count(), KEPT);
    }
}
