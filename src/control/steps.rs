//! What the control loop does when the place of this process, or of the one before it, changes hands.
//!
//! It owns what follows for everything else that the loop holds: who speaks for the node, who writes its files. Next:
//! [`succession`](super::succession) and [`arrival`](super::arrival) say when.

use std::env;
use std::io;
use std::process::ExitStatus;
use std::time::Instant;

use tracing::error;

use super::arrival::{Arrived, NOT_TAKEN};
use super::history::HistorySaver;
use super::run::{Control, Phase};
use super::succession::{Happening, Heired};
use crate::handover::Told;

/// Where a service manager is told of ELB, if there is one.
const MANAGER: &str = "NOTIFY_SOCKET";
/// Exit code of a process whose successor has crashed, so that it is started again.
const LEFT_ALONE: u8 = 1;

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
                self.stop(Some("another ELB goes on serving"), now);
            }
        }
    }

    /// Another process has the place: what speaks for this node, and what is kept of it, is that one's from now on. What runs here is
    /// finished.
    pub(super) fn hand_over(&mut self, heired: Heired, now: Instant) {
        self.manager.leave_to(heired.process);
        self.heired = Some(heired);
        self.saver = None;
        self.history = HistorySaver::new(None);
        if let Some(teller) = self.teller.take() {
            // The key of this node is written by the other process as soon as it is free.
            tokio::spawn(teller.leave());
        }
        self.metrics.close();
        self.drain(now);
    }

    /// The process that took over is gone while this one finishes what runs. One that ended as it was told to has left its place to another, or
    /// to nobody. After a crash nobody takes new connections; a service manager starts ELB again, but not before this process has ended.
    pub(super) fn left_alone(&mut self, status: io::Result<ExitStatus>, now: Instant) {
        let Some(heired) = &mut self.heired else { return };
        heired.child = None;
        let Some(status) = status.ok().filter(|status| !status.success()) else { return };
        let process = heired.process;
        error!(process, "the ELB that took over has ended with {status}: nobody takes new connections");
        if env::var_os(MANAGER).is_some() {
            self.code = LEFT_ALONE;
            self.stop(
                Some("the ELB that took over is gone, and the service manager waits for the end of this one"),
                now,
            );
        }
    }
}
