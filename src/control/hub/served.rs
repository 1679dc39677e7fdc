//! What the hub knows of this node, for others to be told.
//!
//! It owns this look, and remembers nothing. Next: [`fleet`](crate::control::fleet) tells them.

use std::time::Instant;

use super::Hub;
use crate::control::fleet::{Node, Served};
use crate::readiness::{Readiness, Unready};

impl Hub {
    /// What every worker serves.
    pub(in crate::control) fn served(&mut self, now: Instant) -> Served {
        let newest = self.current.version;
        let oldest = self.workers.versions().min().unwrap_or(newest).min(newest);
        let is_all = oldest == newest && self.behind.is_none();
        let all = is_all.then(|| self.guard.known().revision);
        self.built.reached(oldest, all, now)
    }

    /// What is known of this node.
    pub(in crate::control) fn node(&mut self, readiness: &Readiness, now: Instant) -> Node {
        Node {
            served: self.served(now),
            unsaved: self.state.pending_edits(),
            alarms: self.alarms().iter().map(|alarm| alarm.code.word()).collect(),
            reasons: readiness.reasons().map(Unready::word).collect(),
        }
    }
}
