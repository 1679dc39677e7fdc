//! What is known of a server, told to another process and put back there.
//!
//! It owns that form, in which times are ages; never who tells it. Next: `control::hub` carries it from one process to the next.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Blame, DOUBTS, FAILING, ServerState, failures};

/// What is known of a server at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerKnown {
    /// Its checks fail.
    pub is_failing: bool,
    /// Failures that are counted.
    pub failures: u32,
    /// How many of them may have been the fault of what was asked.
    pub doubts: u32,
    /// What the last of them was.
    pub blame: Option<Blame>,
    /// Since the last failure.
    pub failed: Option<Duration>,
    /// Since an exchange was let through to see whether failures are over, or the last failure.
    pub checked: Option<Duration>,
    /// Since it was put aside or began to fail its checks, or was taken up again.
    pub turned: Option<Duration>,
}

impl ServerState {
    /// All of it; nothing for a server of which there is nothing to tell.
    pub fn known(&self, now: Instant) -> Option<ServerKnown> {
        let counts = self.counts.load(Ordering::Acquire);
        let age = |noted: u64| (noted != 0).then(|| self.since(noted, now));
        let known = ServerKnown {
            is_failing: counts & FAILING != 0,
            failures: failures(counts),
            doubts: (counts >> 32 & DOUBTS) as u32,
            blame: self.blame(),
            failed: age(self.failed.load(Ordering::Acquire)),
            checked: age(self.checked.load(Ordering::Acquire)),
            turned: age(self.turned.load(Ordering::Acquire)),
        };
        (known != ServerKnown::default()).then_some(known)
    }

    /// Takes it on, for a server that nobody has used yet.
    pub fn know(&self, known: &ServerKnown, now: Instant) {
        let ages = [known.failed, known.checked, known.turned];
        let oldest = ages.into_iter().flatten().max().unwrap_or_default();
        // Ages count from the first moment that is noted, so that has to be the oldest.
        self.start.get_or_init(|| now.checked_sub(oldest).unwrap_or(now));
        let noted =
            |age: Option<Duration>| age.map_or(0, |age| self.ticks(now.checked_sub(age).unwrap_or(now)));
        self.failed.store(noted(known.failed), Ordering::Release);
        self.checked.store(noted(known.checked), Ordering::Release);
        self.turned.store(noted(known.turned), Ordering::Release);
        if known.failures > 0 {
            self.update(known.blame, |_, _| (known.failures, known.doubts.min(known.failures)));
        }
        if known.is_failing {
            self.counts.fetch_or(FAILING, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Health;
    use crate::reason::Reason;

    #[test]
    fn what_is_known_of_a_server_is_the_same_in_the_next_process() {
        let (old, begun) = (ServerState::default(), Instant::now() + Duration::from_secs(1000));
        assert_eq!(old.known(begun), None);
        let at = |seconds: u64| begun + Duration::from_secs(seconds);
        let timeout = Duration::from_secs(10);
        old.fail(Blame::ErrorStatus, true, 2, at(1));
        old.fail(Blame::Failed(Reason::ConnectFailed), false, 2, at(3));
        old.set_check(false, at(4));
        let new = ServerState::default();
        new.know(&old.known(at(5)).unwrap(), at(5));
        for state in [&old, &new] {
            assert_eq!((state.failures(), state.is_failing()), (2, true));
            assert_eq!(state.blame(), Some(Blame::Failed(Reason::ConnectFailed)));
            assert_eq!(state.changed_at(), Some(at(4)));
            state.set_check(true, at(6));
            assert_eq!(state.health(2, timeout), Health::Aside { until: at(13) });
            assert!(!state.let_through(timeout, at(12)) && state.let_through(timeout, at(14)));
            state.recover(2, at(15));
            assert!(state.is_sound());
        }
        assert_eq!(new.known(at(20)), old.known(at(20)));
    }
}
