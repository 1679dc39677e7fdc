//! A candidate is asked beside what is served.
//!
//! It owns the orders to the workers, never what they find. Next: [`shadow`](crate::control::shadow) adds that up.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::Hub;
use crate::control::shadow::{Candidate, NoRun, Run, Served, Stage};
use crate::link::ToWorker;
use crate::model::Tally;

impl Hub {
    /// What is served, or about to be.
    pub(in crate::control) fn what_is_served(&self) -> Served {
        let (domains, upstreams) = (self.state.domain_list(), self.state.upstreams());
        Served { snapshot: Arc::clone(&self.current), domains, upstreams }
    }

    /// Has every worker ask this candidate.
    ///
    /// # Errors
    /// Another one is asked, or a worker takes no orders; then none asks it.
    pub(in crate::control) fn begin_shadow(
        &mut self,
        candidate: Candidate,
        now: Instant,
    ) -> Result<(), NoRun> {
        let order = self.shadows.begin(candidate, (self.current.version, self.digest), now)?;
        let (taken, is_whole) = self.workers.offer(|| ToWorker::Shadow(Arc::clone(&order)));
        self.shadows.taken(taken, now);
        if is_whole { Ok(()) } else { Err(self.end_shadow().map_or(NoRun::Hangs, |()| NoRun::Hangs)) }
    }

    /// Has no worker ask one any more; nothing if none is asked.
    pub(in crate::control) fn end_shadow(&mut self) -> Option<()> {
        let run = self.shadows.cut()?;
        // A worker that hangs ends it by itself when its time is over.
        self.workers.offer(|| ToWorker::EndShadow(run));
        Some(())
    }

    /// A worker tells what it found.
    pub(in crate::control) fn shadowed(
        &mut self,
        worker: usize,
        (run, is_over): (u64, bool),
        tally: Tally,
        now: Instant,
    ) {
        self.shadows.told(worker, run, tally, is_over, now);
    }

    /// What is known of the run that there is, or was last.
    pub(in crate::control) fn shadow(&self) -> Option<Run> {
        self.shadows.last().cloned()
    }

    /// To wait for what becomes of it.
    pub(in crate::control) fn shadow_stage(&self) -> watch::Receiver<Stage> {
        self.shadows.watch()
    }
}
