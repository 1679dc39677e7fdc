//! Tells the others what is true of this node, when it changes.
//!
//! It owns when it is looked and what counts as a change; never the way there (`store`) and no judgement. The control loop calls it
//! once a turn and does not wait for it. Next: [`document`](super::document) has the form.

use std::time::{Duration, Instant, SystemTime};

use super::document::{Document, Identity, Node};
use crate::control::admin::Moment;
use crate::control::hub::Hub;
use crate::control::store::NodeKeeper;
use crate::readiness::Readiness;

/// How often it is looked at what is no configuration: alarms, readiness, edits.
const LOOK: Duration = Duration::from_millis(500);

/// This node's voice, if there is a store in which others read.
#[derive(Debug)]
pub(in crate::control) struct Teller {
    keeper: Option<NodeKeeper>,
    identity: Identity,
    /// What was told last.
    told: Option<Node>,
    /// `since` of what was told, in the calendar's words, which would differ by the moment at which they are found.
    since: Option<(Instant, Option<String>)>,
    look_at: Option<Instant>,
}

impl Teller {
    /// A voice by way of `keeper`.
    pub(in crate::control) fn new(identity: Identity, keeper: Option<NodeKeeper>) -> Self {
        Self { keeper, identity, told: None, since: None, look_at: None }
    }

    /// Tells what is new.
    pub(in crate::control) fn look(&mut self, hub: &mut Hub, readiness: &Readiness, now: Instant) {
        let Some(keeper) = &self.keeper else { return };
        let served = hub.served(now);
        let is_due = self.look_at.is_none_or(|at| now >= at);
        if !is_due && self.told.as_ref().is_some_and(|told| told.served == served) {
            return;
        }
        self.look_at = Some(now + LOOK);
        let node = hub.node(readiness, now);
        if self.told.as_ref() == Some(&node) {
            return;
        }
        let since = match self.since.take() {
            Some((at, text)) if at == served.since => text,
            _ => Moment { measured: now, calendar: SystemTime::now() }.text(served.since),
        };
        keeper.tell(Document::of(&self.identity, &node, since.clone()).text());
        self.since = Some((served.since, since));
        self.told = Some(node);
    }

    /// Takes this node away from among the others.
    pub(in crate::control) async fn leave(self) {
        if let Some(keeper) = self.keeper {
            keeper.leave().await;
        }
    }
}
