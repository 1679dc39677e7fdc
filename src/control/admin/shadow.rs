//! `/__erulb__/shadow`: what a candidate would do with the requests that come, before anything is changed.
//!
//! It owns the way from a document to the candidate, which is worked out aside, and the shape of the report; never a comparison.
//! Next: [`shadow`](crate::control::shadow) has the sums, [`crate::model::Tally`] compares.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::answer::{self, Answer, Failure};
use super::body::Json;
use super::times::Moment;
use super::{config, merging};
use crate::control::handle::HubHandle;
use crate::control::hub::Hub;
use crate::control::shadow::{Candidate, NoRun, Point, Run, Served, Stage, Sum};
use crate::model::{self, Contents, Edit, Faults, Library, Mode};
use crate::warning::Warning;

/// How long a candidate is asked unless it is said otherwise, and at most.
const SECONDS: u64 = 60;
const MOST_SECONDS: u64 = 600;
/// The rarest sample: one request of so many.
const RAREST: u64 = 1024;
/// How long workers may take to begin, and to tell the last: they do it at once, unless they hang.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is asked for.
struct Wanted {
    domains: Map<String, Value>,
    upstreams: Map<String, Value>,
    is_merged: bool,
    span: Duration,
    sample: u64,
}

/// The report of the run that there is, or was last.
pub(super) async fn get(State(hub): State<HubHandle>) -> Answer {
    report(&hub, Vec::new()).await
}

/// Begins: `{"config", "mode", "seconds", "sample"}`, of which `config` must be there. It has begun in every worker when this answers.
pub(super) async fn post(State(hub): State<HubHandle>, body: Json) -> Answer {
    let wanted = wanted(body.object()?)?;
    // Whoever comes second is told so before anything is read for it.
    if hub.ask(|hub| hub.shadow()).await?.is_some_and(|run| run.over.is_none()) {
        return Err(no_run(NoRun::Another));
    }
    let served = hub.ask(|hub| hub.what_is_served()).await?;
    let library = hub.library().clone();
    let made = hub.aside(move || candidate(wanted, &served, library)).await?;
    let in_config = |pointer: &str| format!("/config{pointer}");
    let (candidate, warnings) = made.map_err(|faults| Failure::from(faults).placed(in_config))?;
    let begin = move |hub: &mut Hub, now| (hub.begin_shadow(candidate, now), hub.shadow_stage());
    let (begun, stage) = hub.ask_now(begin).await?;
    begun.map_err(no_run)?;
    reach(stage, Point::Runs).await;
    report(&hub, warnings).await
}

/// Ends it early; all that was compared until then is in the report.
pub(super) async fn delete(State(hub): State<HubHandle>) -> Answer {
    let stage = hub.ask(|hub| hub.end_shadow().map(|()| hub.shadow_stage())).await?;
    if let Some(stage) = stage {
        reach(stage, Point::Over).await;
    }
    report(&hub, Vec::new()).await
}

/// Waits until the run is there, or a worker hangs.
async fn reach(mut stage: tokio::sync::watch::Receiver<Stage>, point: Point) {
    let wanted = Stage { point, ..*stage.borrow() };
    // The report says how far it is, either way.
    let _ = timeout(PATIENCE, stage.wait_for(|stage| *stage >= wanted)).await;
}

fn no_run(why: NoRun) -> Failure {
    match why {
        NoRun::Another => {
            let error = "another candidate is asked; GET shows how far it is, DELETE ends it";
            Failure::new(StatusCode::CONFLICT, error)
        }
        NoRun::Hangs => Failure::new(StatusCode::SERVICE_UNAVAILABLE, "a worker takes no orders; ask again"),
    }
}

fn wanted(given: Map<String, Value>) -> Result<Wanted, Failure> {
    let (mut parts, mut is_merged, mut seconds, mut sample) = (None, false, SECONDS, 1);
    for (name, value) in given {
        match (name.as_str(), value) {
            ("config", Value::Object(members)) => {
                let placed = |failure: Failure| failure.placed(|pointer| format!("/config{pointer}"));
                parts = Some(config::parts(members).map_err(placed)?);
            }
            ("config", _) => return Err(Failure::body("/config", "must be an object")),
            ("mode", Value::String(mode)) if mode == "replace" || mode == "merge" => {
                is_merged = mode == "merge";
            }
            ("mode", _) => return Err(Failure::body("/mode", "must be replace or merge")),
            ("seconds", value) => {
                let read = value.as_u64().filter(|seconds| (1..=MOST_SECONDS).contains(seconds));
                let error =
                    || Failure::body("/seconds", format!("must be a number from 1 to {MOST_SECONDS}"));
                seconds = read.ok_or_else(error)?;
            }
            ("sample", value) => {
                let is_sample = |sample: &u64| sample.is_power_of_two() && *sample <= RAREST;
                let error = || {
                    Failure::body(
                        "/sample",
                        format!("must be a power of two, from 1 (each request) to {RAREST}"),
                    )
                };
                sample = value.as_u64().filter(is_sample).ok_or_else(error)?;
            }
            (other, _) => {
                let error = "is unknown here; config, mode, seconds and sample are known";
                return Err(Failure::body(format!("/{other}"), error));
            }
        }
    }
    let Some((domains, upstreams)) = parts else {
        return Err(Failure::body("", "has no config; a document with domains and upstreams is expected"));
    };
    Ok(Wanted { domains, upstreams, is_merged, span: Duration::from_secs(seconds), sample })
}

/// The candidate, in a state of its own. It is read as a change of what is served would be.
fn candidate(wanted: Wanted, served: &Served, library: Library) -> Result<(Candidate, Vec<Warning>), Faults> {
    let Wanted { domains, upstreams, is_merged, span, sample } = wanted;
    let mut state = model::State::reading_with(library);
    let edit = if is_merged {
        state.load(contents(served));
        let known: BTreeMap<_, _> = served.domains.iter().map(|(name, text)| (&**name, text)).collect();
        let basis = |name: &String| (name.clone(), known.get(name.as_str()).map(|text| Arc::clone(text)));
        let basis: Vec<_> = domains.keys().map(basis).collect();
        Edit::Document { domains: merging::merged(&domains, &basis), upstreams, mode: Mode::Merge }
    } else {
        Edit::Document { domains, upstreams, mode: Mode::Whole }
    };
    let warnings = state.edit(edit)?.warnings;
    let (snapshot, digest) = (state.snapshot_beside(&served.snapshot), state.digest());
    Ok((Candidate { snapshot, digest, span, sample }, warnings))
}

/// What is served, as texts. All of its rules are in the library, so nothing is compiled anew.
fn contents(served: &Served) -> Contents {
    let mut contents = Contents::default();
    contents.rules.extend(served.domains.iter().map(|(name, text)| (name.to_string(), text.to_string())));
    for spec in &served.upstreams {
        let parts = spec.parts().map(|(name, text)| (name.to_owned(), text.to_string()));
        contents.upstreams.insert(spec.name.clone(), parts.collect());
    }
    contents
}

async fn report(hub: &HubHandle, warnings: Vec<Warning>) -> Answer {
    let (run, measured) = hub.ask_now(|hub, now| (hub.shadow(), now)).await?;
    let Some(run) = run else {
        return Err(Failure::new(StatusCode::NOT_FOUND, "no candidate was asked since the start"));
    };
    let mut shown = shown(&run, &Moment { measured, calendar: SystemTime::now() });
    if !warnings.is_empty() {
        let mut warnings = answer::bounded(warnings);
        warnings.iter_mut().for_each(|warning| warning.pointer.insert_str(0, "/config"));
        shown["warnings"] = json!(warnings);
    }
    Ok(answer::json(&shown))
}

fn shown(run: &Run, moment: &Moment) -> Value {
    let way = |sum: Sum| {
        let example =
            |one: &model::Example| json!({"method": one.method, "host": one.host, "path": one.path});
        let examples: Vec<Value> = sum.examples.iter().map(example).collect();
        json!({
            "from": sum.from,
            "to": sum.to,
            "difference": sum.difference.word(),
            "requests": sum.requests,
            "examples": examples,
        })
    };
    let ways: Vec<Value> = run.sums.ways().into_iter().map(way).collect();
    json!({
        "run": run.number,
        "state": run.state(),
        "since": moment.text(run.since),
        "until": moment.text(run.until),
        "over": run.over.and_then(|over| moment.text(over)),
        "sample": run.sample,
        "version": run.version,
        "candidate_digest": run.candidate.to_string(),
        "changed_meanwhile": run.is_changed,
        "requests": run.sums.requests,
        "same": run.sums.same,
        "otherwise": run.sums.otherwise,
        "elsewhere": run.sums.elsewhere,
        "ways": ways,
        "other": run.sums.other,
    })
}
