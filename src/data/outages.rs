//! Upstreams of which every server has failed: how often one of them was picked all the same, and which they are now.
//!
//! It owns the count and the list, never the decision that nobody can be used. Next: `balancer` decides, `control::outages`
//! tells people.

use std::sync::Arc;

use super::view::View;
use crate::model::UpstreamName;

/// Upstreams that are listed; more are counted only. Whoever has as many out at once needs no list.
const LISTED: usize = 64;

/// The outages of one worker.
#[derive(Debug)]
pub struct Outages {
    /// Picks, since the start, that were made as if nobody were aside, because everybody was.
    pub picks: u64,
    /// Slots of the view.
    open: Vec<u32>,
    /// Not what was told last.
    changed: bool,
}

impl Default for Outages {
    fn default() -> Self {
        Self { picks: 0, open: Vec::with_capacity(LISTED), changed: false }
    }
}

impl Outages {
    /// A server of this upstream was picked although all are aside.
    #[cold]
    pub fn opened(&mut self, upstream: u32) {
        self.picks += 1;
        if self.open.len() < LISTED && !self.open.contains(&upstream) {
            self.open.push(upstream);
            self.changed = true;
        }
    }

    /// The upstreams that are out, if they are not those that were told last.
    pub fn news(&mut self, view: &View) -> Option<Vec<Arc<UpstreamName>>> {
        let before = self.open.len();
        self.open.retain(|slot| view.is_open(*slot));
        let news = std::mem::take(&mut self.changed) || self.open.len() != before;
        news.then(|| self.open.iter().filter_map(|slot| view.name(*slot)).collect())
    }

    /// What [`Outages::news`] gave could not be told.
    pub fn untold(&mut self) {
        self.changed = true;
    }
}
