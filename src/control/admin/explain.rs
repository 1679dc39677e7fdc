//! `/__erulb__/explain`: what would become of a request, by what is served or by a candidate that is not.
//!
//! It owns the way to the explanation, never a word of it. It is worked out aside, so that no change waits for it. Next:
//! [`crate::explain`].

use std::hash::{BuildHasher, RandomState};

use axum::Extension;
use axum::extract::State;
use serde_json::{Value, json};

use super::answer::{self, Answer, Failure};
use super::body::Json;
use crate::control::handle::HubHandle;
use crate::explain::{Asked, Explainer, candidate};
use crate::model::{Fault, check_all};

/// `{"method", "host", "path", "headers", "client", "config"}`, of which only `host` must be there; `config` has the form of the
/// file, and is asked in the place of what is served; what is to be known of it is in `warnings`.
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
        let draw = RandomState::new().hash_one(now);
        let Some(config) = given.get("config") else {
            return Ok(explainer.explain(&served, &asked, now, draw));
        };
        let snapshot = candidate(config, library).map_err(|fault| fault.below("config"))?;
        let mut explained = explainer.explain(&snapshot, &asked, now, draw);
        let (_, mut warnings) = check_all(config);
        warnings.iter_mut().for_each(|warning| warning.pointer.insert_str(0, "/config"));
        if !warnings.is_empty() {
            explained["warnings"] = json!(answer::bounded(warnings));
        }
        Ok(explained)
    });
    Ok(answer::json(&explained.await?.map_err(Failure::from)?))
}
