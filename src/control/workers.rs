//! All workers as the hub sees them: who serves which version, and whose mailbox may take the next.
//!
//! It owns delivery: one snapshot in flight a worker, so versions that come meanwhile are merged into the newest; and
//! what each said last of itself. It never knows what is in a snapshot or when one is due. Next: [`hub`](super::hub)
//! hands snapshots over, [`run`](super::run) passes reports on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;

use super::replies::Working;
use crate::link::{Gauges, NotTaken, ToWorker, WorkerHandle};
use crate::model::Snapshot;

/// The version of a worker that has ended: it serves nothing, so nobody needs to wait for it.
const ENDED: u64 = u64::MAX;

/// How long a worker may take to look into its mailbox, and to say how it does, which it does each second: turns take
/// milliseconds, so it hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// All workers.
#[derive(Debug, Default)]
pub(super) struct Workers {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    handle: WorkerHandle,
    applied: u64,
    /// Since when a snapshot is on its way to it.
    in_flight: Option<Instant>,
    gauges: Gauges,
    /// When it said so, or when it began.
    told: Instant,
    /// It has said so at all, so it turns.
    turns: bool,
}

impl Workers {
    /// Workers that begin with `version`.
    pub(super) fn new(handles: Vec<WorkerHandle>, version: u64, now: Instant) -> Self {
        let gauges = Gauges::default();
        let member =
            |handle| Member { handle, applied: version, in_flight: None, gauges, told: now, turns: false };
        Self { members: handles.into_iter().map(member).collect() }
    }

    /// Would a snapshot that is built now be sent to anyone? Building one that nobody can take yet would be wasted.
    pub(super) fn has_room(&self) -> bool {
        self.members.is_empty() || self.members.iter().any(|member| member.in_flight.is_none())
    }

    /// Sends `snapshot` to everyone who serves an older one and has none in flight.
    pub(super) fn send(&mut self, snapshot: &Arc<Snapshot>, now: Instant) {
        for member in &mut self.members {
            if member.in_flight.is_none() && member.applied < snapshot.version {
                // A full mailbox is tried again with the next turn of the loop, a second away at most.
                let sent = member.handle.send(ToWorker::Snapshot(Arc::clone(snapshot)));
                member.in_flight = sent.is_ok().then_some(now);
            }
        }
    }

    /// A worker reports what it serves.
    pub(super) fn applied(&mut self, worker: usize, version: u64) {
        if let Some(member) = self.members.get_mut(worker) {
            member.applied = version;
            member.in_flight = None;
        }
    }

    /// A worker reports what it holds.
    pub(super) fn measured(&mut self, worker: usize, gauges: Gauges, now: Instant) {
        if let Some(member) = self.members.get_mut(worker) {
            (member.gauges, member.told, member.turns) = (gauges, now, true);
        }
    }

    /// What all of them hold together.
    pub(super) fn all(&self) -> Gauges {
        let mut all = Gauges::default();
        self.members.iter().for_each(|member| all += member.gauges);
        all
    }

    /// A worker has ended, and holds nothing any more.
    pub(super) fn ended(&mut self, worker: usize, now: Instant) {
        self.applied(worker, ENDED);
        self.measured(worker, Gauges::default(), now);
    }

    /// What each worker serves and holds, in order.
    pub(super) fn working(&self, now: Instant) -> Vec<Working> {
        let working = |member: &Member| Working {
            version: Some(member.applied).filter(|version| *version != ENDED),
            gauges: member.gauges,
            age: now.saturating_duration_since(member.told),
        };
        self.members.iter().map(working).collect()
    }

    /// The version each worker serves, in order.
    pub(super) fn versions(&self) -> impl ExactSizeIterator<Item = u64> {
        self.members.iter().map(|member| member.applied)
    }

    /// Whether one has not taken a snapshot for too long, and whether one has not said for too long how it does.
    pub(super) fn are_late(&self, now: Instant) -> (bool, bool) {
        let is_late = |since: Instant| now.saturating_duration_since(since) >= PATIENCE;
        let mut running = self.members.iter().filter(|member| member.applied != ENDED);
        let behind = running.clone().any(|member| member.in_flight.is_some_and(is_late));
        (behind, running.any(|member| is_late(member.told)))
    }

    /// Whether every worker has turned: it has its listeners, and takes connections.
    pub(super) fn all_turn(&self) -> bool {
        self.members.iter().all(|member| member.turns)
    }

    /// How many workers have not ended.
    pub(super) fn running(&self) -> usize {
        self.members.iter().filter(|member| member.applied != ENDED).count()
    }

    /// Gives an order to everyone who has not ended. Says who has taken it, and whether those are all.
    pub(super) fn offer(&self, order: impl Fn() -> ToWorker) -> (BTreeSet<usize>, bool) {
        let mut taken = BTreeSet::new();
        let mut is_whole = true;
        for member in self.members.iter().filter(|member| member.applied != ENDED) {
            match member.handle.send(order()) {
                Ok(()) => drop(taken.insert(member.handle.index)),
                Err(refused) => is_whole &= refused == NotTaken::Ended,
            }
        }
        (taken, is_whole)
    }

    /// Gives an order to everyone who has not ended.
    pub(super) fn order(&self, order: impl Fn() -> ToWorker) {
        for member in self.members.iter().filter(|member| member.applied != ENDED) {
            // A mailbox takes eight messages. At most one snapshot and two orders are in it, so it is full only when the
            // worker reads none. A worker that has just ended needs no order: its report is on the way.
            if member.handle.send(order()) == Err(NotTaken::Full) {
                warn!(
                    "worker {} hangs: it has not read its orders; what it serves is cut when the process ends",
                    member.handle.index
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::bridge;

    #[test]
    fn a_worker_that_hangs_is_behind_and_silent_and_one_that_ended_is_neither() {
        let (_ends, end) = bridge(2, true).unwrap();
        let begun = Instant::now();
        let at = |seconds: u64| begun + Duration::from_secs(seconds);
        let mut workers = Workers::new(end.workers, 1, begun);
        let snapshot = Arc::new(Snapshot::empty());
        let newer = Arc::new(crate::model::State::new().snapshot(2));
        workers.send(&snapshot, at(1));
        assert_eq!(workers.are_late(at(1)), (false, false));
        workers.send(&newer, at(1));
        for worker in 0..2 {
            workers.measured(worker, Gauges::default(), at(4));
        }
        assert_eq!(workers.are_late(at(5)), (false, false));
        assert_eq!(workers.are_late(at(6)), (true, false), "none of them has taken it");
        workers.applied(0, 2);
        assert_eq!(workers.are_late(at(6)), (true, false));
        workers.applied(1, 2);
        assert_eq!(workers.are_late(at(6)), (false, false));
        assert_eq!(workers.are_late(at(9)), (false, true), "they said how they do at 4");
        workers.ended(0, at(9));
        workers.ended(1, at(9));
        assert_eq!(workers.are_late(at(90)), (false, false));
    }
}
