//! What every change has in common: apply, wait for the workers, dump if asked to, answer.
//!
//! It owns the times, which together stay below the two seconds that the Python client waits for any answer; never the
//! shape of a body. Next: [`domain`](super::domain) and [`upstream`](super::upstream) bring the edits.

use std::time::{Duration, Instant};

use axum::http::{HeaderName, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::answer::{self, Failure, bounded};
use super::query::{Flags, Word};
use crate::control::changes::Author;
use crate::control::handle::HubHandle;
use crate::control::hub::Hub;
use crate::control::replies::{Accepted, DumpError, Gone};
use crate::model::{Edit, Fault, Prepared};
use crate::warning::{Code, Warning};

/// How long a store may take before its client is told that it is late.
pub(super) const STORE: Duration = Duration::from_millis(1800);

/// A change that is made.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// The store's revision that holds it, if a dump was asked for.
    pub(super) revision: Option<i64>,
    /// What the operator should know about this change.
    pub(super) warnings: Vec<Warning>,
    /// For deletions, in order: the name, and whether it was there.
    pub(super) found: Vec<(String, bool)>,
}

/// Makes a change that `author` asks for. With `?dump=1` it is in the store as well when this returns.
pub(super) async fn write(
    hub: &HubHandle,
    author: Author,
    flags: &Flags,
    edit: Edit,
) -> Result<Written, Failure> {
    let prepared = hub.prepare(edit).await??;
    apply(hub, author, flags, prepared).await
}

/// The same with a change that was prepared.
pub(super) async fn apply(
    hub: &HubHandle,
    author: Author,
    flags: &Flags,
    prepared: Prepared,
) -> Result<Written, Failure> {
    let found = hub.look_up(&prepared, flags.has(Word::Unresolved)).await??;
    let is_dumped = flags.has(Word::Dump);
    // In one turn of the hub, so that no event of the store comes between the change and the wish to keep it.
    let asked = move |hub: &mut Hub, now: Instant| {
        let named = is_dumped.then(|| hub.named(&prepared));
        let accepted = hub.apply(prepared, found.addresses, author, now)?;
        Ok::<_, Fault>((accepted, named.map(|named| hub.dump(named))))
    };
    let (mut accepted, awaited) = hub.ask_now(asked).await??;
    accepted.warnings.extend(found.warnings);
    let stored = async {
        match awaited {
            Some(awaited) => hub.dumped(awaited, STORE).await.map(Some),
            None => Ok(None),
        }
    };
    let (mut written, revision) = tokio::join!(serve(hub, accepted), stored);
    written.revision = revision.map_err(|error| {
        let served = if matches!(error, DumpError::GaveWay(_)) { "was made" } else { "is served" };
        Failure::new(status(&error), format!("the change {served}, but {error}"))
    })?;
    Ok(written)
}

/// Waits until every worker serves what was accepted, within bounds.
pub(super) async fn serve(hub: &HubHandle, accepted: Accepted) -> Written {
    let (serving, workers) = hub.served(&accepted).await;
    let Accepted { version, mut warnings, found, .. } = accepted;
    if serving < workers {
        let message = format!(
            "{serving} of {workers} workers serve version {version} so far; X-ELB-Version and X-ELB-Applied of any answer \
             show when all do"
        );
        warnings.push(Warning::new(Code::WorkersBehind, "", message));
    }
    Written { revision: None, warnings, found }
}

/// `{"msg":"OK"}`, and nothing else in it but warnings when there are some: the first ELB's clients know no more. Where the
/// configuration stands is in the headers of every answer (`router`); that the store holds it, in `X-ELB-Revision`.
pub(super) async fn ok(hub: &HubHandle, written: Written) -> Result<Response, Failure> {
    let mut warnings = bounded(written.warnings);
    warnings.extend(hub.ask(|hub| hub.status()).await?.alarms);
    let mut body = Map::new();
    body.insert("msg".to_owned(), Value::from("OK"));
    if !warnings.is_empty() {
        body.insert("warnings".to_owned(), json!(warnings));
    }
    let mut response = answer::json(&body);
    stored(&mut response, written.revision);
    Ok(response)
}

/// Says which revision of the store holds what was asked for.
pub(super) fn stored(response: &mut Response, revision: Option<i64>) {
    if let Some(revision) = revision {
        response.headers_mut().insert(HeaderName::from_static("x-elb-revision"), revision.into());
    }
}

/// The status that says how a dump failed.
pub(super) fn status(error: &DumpError) -> StatusCode {
    match error {
        DumpError::Late => StatusCode::GATEWAY_TIMEOUT,
        DumpError::GaveWay(_) => StatusCode::CONFLICT,
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
