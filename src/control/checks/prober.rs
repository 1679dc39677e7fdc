//! The checks that are under way.
//!
//! It owns their tasks, never which there are: whoever orders them bounds their number. Next: [`probe`](super::probe) makes
//! one, [`schedule`](super::schedule) says when.

use std::collections::BTreeMap;

use tokio::task::{AbortHandle, JoinSet};

use super::order::{Finding, Order, Ticket};
use super::probe::probe;
use crate::tls::Toward;

/// All checks under way.
#[derive(Debug)]
pub(in crate::control) struct Prober {
    toward: Toward,
    running: JoinSet<(Ticket, Finding)>,
    handles: BTreeMap<Ticket, AbortHandle>,
}

impl Prober {
    /// None is under way. Sessions of TLS will begin like this.
    pub(in crate::control) fn new(toward: Toward) -> Self {
        Self { toward, running: JoinSet::new(), handles: BTreeMap::new() }
    }

    /// Begins a check.
    pub(in crate::control) fn begin(&mut self, order: Order) {
        let (ticket, toward) = (order.ticket, self.toward.clone());
        let handle = self.running.spawn(async move { (ticket, probe(order, &toward).await) });
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
