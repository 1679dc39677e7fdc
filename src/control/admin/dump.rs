//! `/__erulb__/dump`: the store takes what is served.
//!
//! It owns the answer; `handle` waits for the store, and the store knows how to write without ever being empty. Next:
//! [`write`](super::write) for the same as part of a change.

use axum::extract::State;

use super::answer::Answer;
use super::write::{STORE, Written, ok};
use crate::control::handle::HubHandle;
use crate::model::Named;

/// Writes every change that is not in the store yet, and whatever the store lost while it is held back. Unlike the first
/// ELB, it says OK only when it is there.
pub(super) async fn put(State(hub): State<HubHandle>) -> Answer {
    let awaited = hub.ask(|hub| hub.dump(Named::all())).await?;
    let revision = Some(hub.dumped(awaited, STORE).await?);
    ok(&hub, Written { revision, ..Written::default() }).await
}
