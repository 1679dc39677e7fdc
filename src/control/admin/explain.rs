//! `/__erulb__/explain`: what would become of a request, by what is served or by a candidate that is not.
//!
//! It owns the way to the explanation, never a word of it. It is worked out aside, so that no change waits for it. Next:
//! [`crate::explain`].

use std::hash::{BuildHasher, RandomState};

use axum::Extension;
use axum::extract::State;
use serde_json::Value;

use super::answer::{self, Answer, Failure};
use super::body::Json;
use crate::control::handle::HubHandle;
use crate::explain::{Asked, Explainer, candidate};
use crate::model::Fault;

/// `{"method", "host", "path", "headers", "client", "config"}`, of which only `host` must be there; `config` has the form of the
/// file, and is asked in the place of what is served.
pub(super) async fn post(
    State(hub): State<HubHandle>,
    Extension(explainer): Extension<Explainer>,
    body: Json,
) -> Answer {
    let given = body.object()?;
    let asked = Asked::read(&given)?;
    let library = hub.library().clone();
    let (served, now) = hub.ask_now(|hub, now| (hub.serves(), now)).await?;
    let explained = hub.aside(move || -> Result<Value, Fault> {
        let given = given.get("config").map(|config| candidate(config, library));
        let given = given.transpose().map_err(|fault| fault.below("config"))?;
        let snapshot = given.as_ref().unwrap_or(&served);
        Ok(explainer.explain(snapshot, &asked, now, RandomState::new().hash_one(now)))
    });
    Ok(answer::json(&explained.await?.map_err(Failure::from)?))
}
