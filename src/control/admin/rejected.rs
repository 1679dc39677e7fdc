//! `/__erulb__/rejected`: keys of the store that are not served as they stand there.
//!
//! It owns the shape of the list; the model decides what is on it. Next:
//! [`model::State::rejected`](crate::model::State::rejected).

use axum::extract::State;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use crate::control::handle::HubHandle;
use crate::model::Rejected;

/// `{"rejected": [{"key", "error", "pointer", "serving"}, …]}`.
pub(super) async fn get(State(hub): State<HubHandle>) -> Answer {
    let rejected = hub.ask(|hub| hub.rejected()).await?;
    Ok(answer::json(&json!({"rejected": rejected.iter().map(shown).collect::<Value>()})))
}

fn shown(rejected: &Rejected) -> Value {
    let serving = if rejected.last_good { "last-good" } else { "nothing" };
    json!({"key": rejected.key, "error": rejected.message, "pointer": rejected.pointer, "serving": serving})
}
