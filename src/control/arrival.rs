//! This process takes the place of another: what is left to do once it has everything.
//!
//! It owns when the old one is told that this one serves, what follows from its answer, and that no change is taken before it: one that was
//! made here would be lost if it came to nothing. Next: [`succession`](super::succession) is the other side.

use std::future::pending;
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use super::hub::Hub;
use super::replies::Frozen;
use crate::handover::{CarriedServer, Heir, Trouble};

/// Exit code of a process that could not take over: `EX_TEMPFAIL` of `sysexits.h`. The process before goes on serving.
pub const NOT_TAKEN: u8 = 75;

/// This process and the one before it.
#[derive(Debug)]
pub struct Arrival {
    heir: Option<Heir>,
    process: u32,
    version: String,
    until: Instant,
    answer: Option<oneshot::Receiver<Result<(), Trouble>>>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrived {
    /// This process has the place.
    Here,
    /// The other one keeps it, so this one ends.
    Refused,
}

impl Arrival {
    /// Of a process that has talked to another, and must be ready by `until`.
    #[must_use]
    pub fn new(heir: Heir, until: Instant) -> Self {
        let (process, version) = (heir.process, heir.version.clone());
        Self { heir: Some(heir), process, version, until, answer: None }
    }

    /// Takes what is only in the memory of the other one; from now on neither takes a change. Gives what is known of servers, which is to be
    /// taken on once they are served; nothing where the other one ended before it had told anything.
    ///
    /// # Errors
    /// The other one goes on serving: the exit code.
    pub(super) async fn inherit(&mut self, hub: &mut Hub) -> Result<Option<Vec<CarriedServer>>, u8> {
        let Some(mut heir) = self.heir.take() else { return Ok(None) };
        hub.freeze(Some(Frozen::TakingOver));
        let taken = spawn_blocking(move || {
            let carried = heir.carry();
            (heir, carried)
        });
        let Ok((heir, carried)) = taken.await else {
            error!("the thread that takes over is gone, so this process ends");
            return Err(NOT_TAKEN);
        };
        let mut carried = match carried {
            Ok(carried) => carried,
            Err(trouble) if trouble.is_end() => {
                warn!(
                    "the process before has ended before it told what it had: unsaved changes of it are lost"
                );
                return Ok(None);
            }
            Err(trouble) => {
                error!("the process before goes on serving, and this one ends: {trouble}");
                return Err(NOT_TAKEN);
            }
        };
        let servers = std::mem::take(&mut carried.servers);
        match hub.inherit(carried, Instant::now()) {
            Ok(edits) => {
                info!(edits, servers = servers.len(), "took on what the process before had in memory")
            }
            Err(faults) => {
                let why = format!("an unsaved change cannot be taken on: {faults}");
                error!("{why}; the process before goes on serving, and this one ends");
                heir.give_up(&why);
                return Err(NOT_TAKEN);
            }
        }
        self.heir = Some(heir);
        Ok(Some(servers))
    }

    /// Tells the other one that every worker serves, as soon as they do. To be called once a turn; says when it is too late.
    pub(super) fn look(&mut self, hub: &Hub, now: Instant) -> Option<Arrived> {
        if self.answer.is_none() && self.heir.is_none() {
            // The other one had ended before there was anything to tell it.
            return Some(Arrived::Here);
        }
        if now >= self.until {
            error!("not ready in time: process {} goes on serving, and this one ends", self.process);
            return Some(Arrived::Refused);
        }
        if !hub.all_turn() {
            return None;
        }
        let heir = self.heir.take()?;
        let (reply, answer) = oneshot::channel();
        let tell = move || drop(reply.send(heir.ready()));
        if let Err(error) = thread::Builder::new().name("elb-handover".to_owned()).spawn(tell) {
            error!("there is no thread to take over on, so this process ends: {error}");
            return Some(Arrived::Refused);
        }
        self.answer = Some(answer);
        None
    }

    /// When it is too late.
    pub(super) fn due(&self) -> Instant {
        self.until
    }

    /// Waits for the other one's answer. May be dropped at any await.
    pub(super) async fn next(&mut self) -> Arrived {
        let Some(answer) = &mut self.answer else { return pending().await };
        let answer = answer.await;
        let (process, version) = (self.process, &self.version);
        match answer {
            Ok(Ok(())) => {
                info!(
                    process,
                    version, "took over: every worker serves, and the process before finishes what runs"
                );
                Arrived::Here
            }
            Ok(Err(trouble)) if trouble.is_end() => {
                warn!(
                    process,
                    version, "the process before has ended before it let go: this one serves alone"
                );
                Arrived::Here
            }
            Ok(Err(trouble)) => {
                error!(process, version, "the process before goes on serving, and this one ends: {trouble}");
                Arrived::Refused
            }
            Err(_) => {
                error!("the thread that takes over is gone, so this process ends");
                Arrived::Refused
            }
        }
    }
}
