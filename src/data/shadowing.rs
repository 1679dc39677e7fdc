//! When a worker asks a candidate, and how control is told what it found.
//!
//! It owns these moments, never a comparison. Next: [`super::shadow`] has the candidate, [`super::worker`] the turn.

use std::sync::Arc;

use super::shadow::Shadow;
use super::worker::Worker;
use crate::link::{Report, Shadowing};

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
