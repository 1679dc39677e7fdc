//! A candidate that a worker asks about the requests that come, beside what it serves.
//!
//! It owns the room in which the candidate is asked and what was counted since that was told; never what is served, and nothing
//! that a rule counts. Next: [`super::aside`] asks, [`crate::model::Tally`] compares.

use std::sync::Arc;
use std::time::Instant;

use super::view::{Routed, View};
use super::worker::Worker;
use crate::link::{Report, Shadowing};
use crate::model::{Scratch, Snapshot, Tally, Verdict, foresee};
use crate::semantics::RequestView;

/// The candidate.
#[derive(Debug)]
pub struct Shadow {
    order: Arc<Shadowing>,
    scratch: Scratch,
    tally: Tally,
    /// It is not asked any more.
    is_over: bool,
}

/// What it says of a request that is about to be routed.
pub(super) struct Beside<'s> {
    live: Arc<Snapshot>,
    candidate: &'s Snapshot,
    would: Option<Verdict<'s>>,
    tally: &'s mut Tally,
}

impl Shadow {
    fn new(order: Arc<Shadowing>) -> Self {
        Self { order, scratch: Scratch::new(), tally: Tally::default(), is_over: false }
    }

    /// What the candidate says of the `number`th request of this worker, if it is to be asked about that one.
    pub(super) fn foresee(
        &mut self,
        view: &View,
        request: &RequestView<'_>,
        (number, now): (u64, Instant),
    ) -> Option<Beside<'_>> {
        let Self { order, scratch, tally, is_over } = self;
        if *is_over || number & order.mask != 0 || now >= order.until {
            return None;
        }
        let (live, candidate) = (Arc::clone(view.snapshot()), &order.candidate);
        let would = foresee(candidate, &live, request, (view.draw(number), now), scratch);
        Some(Beside { live, candidate, would, tally })
    }
}

impl Beside<'_> {
    /// The request was routed.
    pub(super) fn compare(self, request: &RequestView<'_>, routed: &Routed<'_>) {
        let Self { live, candidate, would, tally } = self;
        let forward;
        let goes = match routed {
            Routed::Answered(verdict) => verdict,
            Routed::Forward { backend, path, .. } => {
                forward = Verdict::Forward { backend, path: *path };
                &forward
            }
        };
        tally.count((&live, candidate), goes, would.as_ref(), request);
    }
}

impl Worker {
    /// Asks a candidate from now on.
    pub(super) fn begin_shadow(&mut self, order: Arc<Shadowing>) {
        self.ctx.seeing.look_besides(order.mask);
        self.ctx.shadow = Some(Box::new(Shadow::new(order)));
        self.send_shadow();
    }

    /// Asks it no more.
    pub(super) fn end_shadow(&mut self, run: u64) {
        if let Some(shadow) = self.ctx.shadow.as_mut().filter(|shadow| shadow.order.run == run) {
            shadow.is_over = true;
            self.send_shadow();
        }
    }

    /// Tells control what was counted. With a full channel the numbers stay here until the next time.
    pub(super) fn send_shadow(&mut self) {
        let Some(shadow) = &mut self.ctx.shadow else { return };
        shadow.is_over |= self.ctx.env.now >= shadow.order.until;
        if shadow.is_over {
            self.ctx.seeing.look_as_usual();
        }
        let Ok(permit) = self.reports.try_reserve() else { return };
        let (tally, run) = (Box::new(std::mem::take(&mut shadow.tally)), shadow.order.run);
        let over = if shadow.is_over { self.ctx.shadow.take().map(|shadow| shadow.order) } else { None };
        permit.send(Report::Shadowed { worker: self.index, run, tally, over });
    }
}
