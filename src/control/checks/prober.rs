//! The checks that are under way.
//!
//! It owns their tasks, never which there are: whoever orders them bounds their number. Next: [`probe`](super::probe) makes
//! one, [`schedule`](super::schedule) says when.

use std::collections::BTreeMap;

use tokio::task::{AbortHandle, JoinSet};

use super::order::{Finding, Order, Ticket};
use super::probe::probe;

/// All checks under way.
#[derive(Debug, Default)]
pub(in crate::control) struct Prober {
    running: JoinSet<(Ticket, Finding)>,
    handles: BTreeMap<Ticket, AbortHandle>,
}

impl Prober {
    /// Begins a check.
    pub(in crate::control) fn begin(&mut self, order: Order) {
        let ticket = order.ticket;
        let handle = self.running.spawn(async move { (ticket, probe(order).await) });
        self.handles.insert(ticket, handle);
    }

    /// Gives a check up: its connection is closed, and nobody hears of it.
    pub(in crate::control) fn stop(&mut self, ticket: Ticket) {
        if let Some(handle) = self.handles.remove(&ticket) {
            handle.abort();
        }
    }

    /// Waits for a check to end; for ever when none is under way. May be dropped at any await.
    pub(in crate::control) async fn ended(&mut self) -> (Ticket, Finding) {
        loop {
            match self.running.join_next().await {
                Some(Ok((ticket, finding))) => {
                    // One that was stopped when it had just ended.
                    if self.handles.remove(&ticket).is_some() {
                        return (ticket, finding);
                    }
                }
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }
}
