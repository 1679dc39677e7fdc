//! `/__erulb__/graph`: the rules of one domain, to be drawn.
//!
//! It owns the way to them: nobody has to get the rule sets of all domains for one. The drawing is made aside, as rules are read for
//! it. Next: [`crate::explain::Drawing`].

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::answer::{self, Answer, Failure};
use super::servers::word;
use crate::control::handle::HubHandle;
use crate::explain::Drawing;

/// `{"domain", "rules": [{"name", "type", "about", "is_reached", "links": [{"word", "to", "heat"}, …]}, …], "given": rule set}`.
pub(super) async fn get(State(hub): State<HubHandle>, uri: Uri) -> Answer {
    let Some(domain) = word(&uri, "domain") else {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "say which: ?domain=NAME, as it was put"));
    };
    let name = domain.clone();
    let Some(text) = hub.ask(move |hub| hub.rules_of(&name)).await? else {
        return Err(Failure::new(StatusCode::NOT_FOUND, format!("there is no domain {domain:?}")));
    };
    let drawn = hub.aside(move || {
        let given: Value = serde_json::from_str(&text).unwrap_or_default();
        let mut drawn = Drawing::read(&domain, &given).map(|drawing| drawing.json())?;
        drawn["given"] = given;
        Ok(drawn)
    });
    let drawn: Result<Value, crate::model::Fault> = drawn.await?;
    // What is in force was read before, so a fault in it is none of whoever asks.
    let fault = |fault| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, json!(format!("{fault}")));
    Ok(answer::json(&drawn.map_err(fault)?))
}
