//! What every change has in common: apply, wait for the workers, dump if asked to, answer.
//!
//! It owns the times, which together stay below the two seconds that the Python client waits for any answer; never the
//! shape of a body. Next: [`domain`](super::domain) and [`upstream`](super::upstream) bring the edits.

use std::time::{Duration, Instant};

use axum::http::{HeaderName, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::answer::{self, Answer, Failure, bounded};
use super::trial;
use crate::control::handle::HubHandle;
use crate::control::hub::Hub;
use crate::control::replies::{Accepted, DumpError, Gone, Made, Refused, Stranded, Tried};
use crate::control::wish::Wish;
use crate::model::{Digest, Edit, Prepared};
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
    /// What the subject is now.
    pub(super) tag: Option<Digest>,
}

/// What became of a change that is not at fault.
#[derive(Debug)]
pub(super) enum Done {
    Written(Written),
    /// It was only tried, and this is what it would come to.
    Tried(Tried),
}

impl Done {
    /// What the operator should know of it.
    pub(super) fn warnings(&mut self) -> &mut [Warning] {
        match self {
            Self::Written(written) => &mut written.warnings,
            Self::Tried(tried) => &mut tried.warnings,
        }
    }
}

/// Makes a change as it is wished for. With `?dump=1` it is in the store as well when this returns.
pub(super) async fn write(hub: &HubHandle, wish: &Wish, edit: Edit) -> Result<Done, Failure> {
    let prepared = hub.prepare(edit).await??;
    apply(hub, wish, prepared).await
}

/// The same with a change that was prepared.
pub(super) async fn apply(hub: &HubHandle, wish: &Wish, prepared: Prepared) -> Result<Done, Failure> {
    let found = hub.look_up(&prepared, wish.may_be_unresolved).await??;
    let manner = wish.clone();
    let asked = move |hub: &mut Hub, now: Instant| hub.change(prepared, found.addresses, &manner, now);
    let (mut accepted, awaited) = match hub.ask_now(asked).await? {
        Ok(Made::Accepted(accepted, awaited)) => (accepted, awaited),
        Ok(Made::Tried(mut tried)) => {
            tried.warnings.extend(found.warnings);
            return Ok(Done::Tried(tried));
        }
        Err(refused) => return Err(refused.into()),
    };
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
        Failure::new(status(&error), format!("the change {served}, but {error}")).coded(code(&error))
    })?;
    Ok(Done::Written(written))
}

/// Waits until every worker serves what was accepted, within bounds.
pub(super) async fn serve(hub: &HubHandle, accepted: Accepted) -> Written {
    let (serving, workers) = hub.served(&accepted).await;
    let Accepted { version, mut warnings, found, tag, .. } = accepted;
    if serving < workers {
        let message = format!(
            "{serving} of {workers} workers serve version {version} so far; X-ELB-Version and X-ELB-Applied of any answer \
             show when all do"
        );
        warnings.push(Warning::new(Code::WorkersBehind, "", message));
    }
    Written { revision: None, warnings, found, tag }
}

/// What was done, in the words that the first ELB's clients know, or what would be.
pub(super) async fn done(hub: &HubHandle, done: Done) -> Answer {
    match done {
        Done::Written(written) => ok(hub, written).await,
        Done::Tried(tried) => Ok(trial::shown(&tried)),
    }
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
    answer::tag(&mut response, written.tag);
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

/// Its code.
fn code(error: &DumpError) -> &'static str {
    match error {
        DumpError::Unread => "store-unread",
        DumpError::Busy => "store-busy",
        DumpError::Failed(_) => "store-failed",
        DumpError::GaveWay(_) => "gave-way",
        DumpError::Late => "store-late",
        DumpError::Gone => "stopping",
    }
}

impl From<DumpError> for Failure {
    fn from(error: DumpError) -> Self {
        let code = code(&error);
        Self::new(status(&error), error).coded(code)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Faults(faults) => faults.into(),
            Refused::Changed(tag) => Self::condition(tag),
            Refused::Meanwhile => Self::new(
                StatusCode::CONFLICT,
                "what it changes was changed by somebody else meanwhile; ask again",
            )
            .coded(answer::MEANWHILE),
            Refused::Frozen(why) => Self::new(StatusCode::SERVICE_UNAVAILABLE, why.words()).coded(why.code()),
            Refused::Unconfirmed(stranded) => {
                let error = format!(
                    "{}; ?confirm=1 says that it is meant, ?dry_run=1 shows all of it",
                    told(&stranded)
                );
                Self::new(StatusCode::CONFLICT, error)
                    .coded("unconfirmed")
                    .with("strands", trial::strands(&stranded))
            }
        }
    }
}

fn told(stranded: &Stranded) -> String {
    let Stranded { domains, of_domains, servers, of_servers, per_second } = stranded;
    if *domains == 0 && *servers == 0 {
        return "this takes most of what is served away, as it is not named".to_owned();
    }
    format!(
        "this takes {domains} of {of_domains} domains and {servers} of {of_servers} servers away that had requests in the \
         last seconds, {per_second:.1} a second"
    )
}

impl From<Gone> for Failure {
    fn from(gone: Gone) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, gone).coded("stopping")
    }
}
