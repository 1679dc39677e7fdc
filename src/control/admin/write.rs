//! What every change has in common: apply, wait for the workers, dump if asked to, answer.
//!
//! It owns the times, which together stay below the two seconds that the Python client waits for any answer; never the
//! shape of a body. Next: `domain` and `upstream` bring the edits.

use std::time::Duration;

use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde_json::{Map, Value};

use super::answer::{Failure, json};
use super::router::flag;
use crate::control::answers::{Accepted, DumpError};
use crate::control::handle::{Gone, HubHandle};
use crate::model::{Edit, Prepared};

/// How long a store may take before its client is told that it is late.
pub(super) const STORE: Duration = Duration::from_millis(1800);

/// A change that is made.
#[derive(Debug)]
pub(super) struct Written {
    /// The version it is served in.
    version: u64,
    /// The store's revision that holds it, if a dump was asked for.
    revision: Option<i64>,
    /// What the operator should know about this change.
    pub(super) warnings: Vec<String>,
    /// For deletions, in order: the name, and whether it was there.
    pub(super) found: Vec<(String, bool)>,
}

/// Makes a change. With `?dump=1` it is in the store as well when this returns.
pub(super) async fn write(hub: &HubHandle, uri: &Uri, edit: Edit) -> Result<Written, Failure> {
    let prepared = hub.prepare(edit).await??;
    apply(hub, uri, prepared).await
}

/// The same with a change that was prepared.
pub(super) async fn apply(hub: &HubHandle, uri: &Uri, prepared: Prepared) -> Result<Written, Failure> {
    let accepted = hub.ask(move |hub| hub.apply(prepared)).await?;
    let stored = async {
        if !flag(uri, "dump") {
            return Ok(None);
        }
        hub.dump(STORE).await.map(Some)
    };
    let (mut written, revision) = tokio::join!(serve(hub, accepted), stored);
    written.revision = revision
        .map_err(|error| Failure::new(status(&error), format!("the change is served, but {error}")))?;
    Ok(written)
}

/// Waits until every worker serves what was accepted, within bounds.
pub(super) async fn serve(hub: &HubHandle, accepted: Accepted) -> Written {
    let (serving, workers) = hub.served(&accepted).await;
    let Accepted { version, mut warnings, found, .. } = accepted;
    if serving < workers {
        warnings.push(format!(
            "{serving} of {workers} workers serve version {version} so far; X-ELB-Version and X-ELB-Applied of any answer \
             show when all do"
        ));
    }
    Written { version, revision: None, warnings, found }
}

/// `{"msg":"OK"}` as the first ELB said it, and what it never told: where the configuration stands now.
pub(super) async fn ok(hub: &HubHandle, written: Written) -> Result<Response, Failure> {
    let status = hub.ask(|hub| hub.status()).await?;
    let mut body = Map::new();
    body.insert("msg".to_owned(), Value::from("OK"));
    body.insert("version".to_owned(), Value::from(written.version));
    body.insert("edits".to_owned(), Value::from(status.edits));
    if let Some(revision) = written.revision {
        body.insert("revision".to_owned(), Value::from(revision));
    }
    let warnings: Vec<String> = written.warnings.into_iter().chain(status.alarms).collect();
    if !warnings.is_empty() {
        body.insert("warnings".to_owned(), Value::from(warnings));
    }
    Ok(json(&body))
}

/// The status that says how a dump failed.
pub(super) fn status(error: &DumpError) -> StatusCode {
    match error {
        DumpError::Late => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl From<DumpError> for Failure {
    fn from(error: DumpError) -> Self {
        Self::new(status(&error), error)
    }
}

impl From<Gone> for Failure {
    fn from(gone: Gone) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, gone)
    }
}
