//! A candidate that a worker asks about the requests that come, beside what it serves.
//!
//! It owns the room in which the candidate is asked and what was counted since that was told; never what is served, and nothing
//! that a rule counts. Next: [`super::aside`] asks, [`crate::model::Tally`] compares.

use std::sync::Arc;
use std::time::Instant;

use super::view::{Routed, View};
use crate::link::Shadowing;
use crate::model::{Scratch, Snapshot, Tally, Verdict, foresee};
use crate::semantics::RequestView;

/// The candidate.
#[derive(Debug)]
pub struct Shadow {
    pub(super) order: Arc<Shadowing>,
    scratch: Scratch,
    pub(super) tally: Tally,
    /// It is not asked any more.
    pub(super) is_over: bool,
}

/// What it says of a request that is about to be routed.
pub(super) struct Beside<'s> {
    live: Arc<Snapshot>,
    candidate: &'s Snapshot,
    would: Option<Verdict<'s>>,
    tally: &'s mut Tally,
}

impl Shadow {
    /// One that was not asked yet.
    pub(super) fn new(order: Arc<Shadowing>) -> Self {
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
