//! `/__erulb__/dump`: the store takes what is served.
//!
//! It owns the answer; `handle` waits for the store, and the store knows how to write without ever being empty. Next:
//! `write` for the same as part of a change.

use axum::extract::State;

use super::answer::Answer;
use super::write::{STORE, Written, ok};
use crate::control::handle::HubHandle;

/// Writes everything that is served into the store. Unlike the first ELB, it says OK only when it is there.
pub(super) async fn put(State(hub): State<HubHandle>) -> Answer {
    let revision = Some(hub.dump(STORE).await?);
    ok(&hub, Written { revision, ..Written::default() }).await
}
