//! What the control loop does when the place of this process, or of the one before it, changes hands.
//!
//! It owns what follows for everything else that the loop holds: who speaks for the node, who writes its files. Next:
//! [`succession`](super::succession) and [`arrival`](super::arrival) say when.

use std::time::Instant;

use super::arrival::{Arrived, NOT_TAKEN};
use super::history::HistorySaver;
use super::run::{Control, Phase};
use super::succession::{Happening, Heired};
use crate::handover::Told;

impl Control {
    /// The next process wants something, or is gone.
    pub(super) fn happened(&mut self, happening: Happening, now: Instant) {
        match happening {
            Happening::Knocked(stream) => self.succession.knocked(stream, now),
            Happening::Ended(status) => self.succession.ended(status, &mut self.hub),
            Happening::Asked(ask) => {
                let objection = self.objection();
                if let Some(heired) = self.succession.asked(ask, &mut self.hub, objection, now) {
                    self.hand_over(heired, now);
                }
            }
        }
    }

    /// Why no other process may take the place of this one.
    pub(super) fn objection(&self) -> Option<Told> {
        match self.phase {
            Phase::Serving if self.arrival.is_some() => {
                Some(Told::stays("this process has not taken over itself yet"))
            }
            Phase::Serving => None,
            _ => Some(Told::ends("this process is ending")),
        }
    }

    /// This process has the place of another, or ends.
    pub(super) fn arrived(&mut self, arrived: Arrived, now: Instant) {
        self.arrival = None;
        match arrived {
            Arrived::Here => {
                self.hub.freeze(None);
                self.succession.arrive();
                self.manager.arrive();
            }
            Arrived::Refused => {
                self.code = NOT_TAKEN;
                self.stop(true, now);
            }
        }
    }

    /// Another process has the place: what speaks for this node, and what is kept of it, is that one's from now on. What runs here is
    /// finished.
    pub(super) fn hand_over(&mut self, heired: Heired, now: Instant) {
        self.heired = Some(heired);
        self.manager.leave_to(heired.process);
        self.saver = None;
        self.history = HistorySaver::new(None);
        if let Some(teller) = self.teller.take() {
            // The key of this node is written by the other process as soon as it is free.
            tokio::spawn(teller.leave());
        }
        self.metrics.close();
        self.drain(now);
    }
}
