//! `/__erulb__/domain`: rule sets by domain.
//!
//! It owns the shapes of the three answers, which the Python client relies on; the hub owns what happens. Next:
//! [`write`](super::write) for what every change has in common.

use axum::extract::State;

use super::answer::{Answer, json_text};
use super::body::{Json, Text};
use super::query::Flags;
use super::write::{apply, ok, write};
use crate::control::changes::Author;
use crate::control::handle::HubHandle;
use crate::model::Edit;

/// All domains: `{domain: rule set}`, as they were given.
pub(super) async fn get(State(hub): State<HubHandle>) -> Answer {
    Ok(json_text(hub.ask(|hub| hub.domains()).await?))
}

/// Adds domains, or replaces their rule sets whole.
pub(super) async fn put(State(hub): State<HubHandle>, author: Author, flags: Flags, body: Text) -> Answer {
    let prepared = match hub.prepare_domains(body.0.clone()).await? {
        Some(prepared) => prepared?,
        None => hub.prepare(Edit::PutDomains(body.json().await?.object()?)).await??,
    };
    let written = apply(&hub, author, &flags, prepared).await?;
    ok(&hub, written).await
}

/// Deletes the domains in a list of names; a name that is not there is no fault.
pub(super) async fn delete(State(hub): State<HubHandle>, author: Author, flags: Flags, body: Json) -> Answer {
    let written = write(&hub, author, &flags, Edit::DeleteDomains(body.names()?)).await?;
    ok(&hub, written).await
}
