//! `/__erulb__/resync`: the store is read again, and what was held back may be confirmed.
//!
//! It owns the answers; `store_guard` decides what is held back. Next: [`hub`](super::super::hub) for what confirming
//! does.

use axum::extract::State;
use axum::http::StatusCode;

use super::answer::{Answer, Failure};
use super::query::{Flags, Word};
use super::write::{STORE, ok, serve};
use crate::control::changes::Author;
use crate::control::handle::HubHandle;
use crate::control::replies::Resync;

/// Reads the store again. With `?confirm=1`, applies what is held back, if anything is.
pub(super) async fn put(State(hub): State<HubHandle>, author: Author, flags: Flags) -> Answer {
    let confirmed = flags.has(Word::Confirm).then_some(author);
    let accepted = match hub.ask_now(move |hub, now| hub.resync(confirmed, now)).await? {
        Resync::Confirmed(accepted) => accepted,
        Resync::Busy => return Err(unavailable("the store does not take commands")),
        Resync::Asked(before) => {
            if !hub.loaded(before, STORE).await {
                return Err(unavailable(&match hub.ask(|hub| hub.store_fault()).await? {
                    Some(fault) => format!("the store cannot be read: {fault}"),
                    None => "the store has not answered yet; its answer is taken when it comes".to_owned(),
                }));
            }
            if let Some(held) = hub.ask(|hub| hub.held()).await? {
                return Err(Failure::new(StatusCode::CONFLICT, held));
            }
            hub.ask_now(|hub, now| hub.accepted(now)).await?
        }
    };
    let written = serve(&hub, accepted).await;
    ok(&hub, written).await
}

fn unavailable(error: &str) -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, error)
}
