//! `/__erulb__/history` and `/__erulb__/rollback`: what the last versions changed, and the way back to one of them.
//!
//! It owns these shapes and how a version is named. Next: [`history`](crate::control::history) keeps them, [`trial`]
//! shows differences.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::answer::{self, Answer, Failure};
use super::body::Json;
use super::servers::word;
use super::trial;
use super::write::{done, write};
use crate::control::changes::{Author, Made};
use crate::control::handle::HubHandle;
use crate::control::history::{Entry, Glance, Overlay, Which, who};
use crate::control::hub::Hub;
use crate::control::wish::{Condition, Subject, Tags, Wish};
use crate::model::{Edit, Mode};

/// Digits of a digest that name a version at least: two that begin so are less likely than one in four thousand million.
const DIGITS: usize = 8;
/// How often a way back is worked out anew because something was changed meanwhile.
const TRIES: usize = 4;

/// `{"versions": [{"version", "digest", "at", "changes": [{"who", "via", "counts", "names"}]}, …]}`, the newest first; with
/// `?version=N`, that one alone, with the differences of each change.
pub(super) async fn get(State(hub): State<HubHandle>, uri: Uri) -> Answer {
    let which = which(&uri)?;
    let asked = which.clone();
    let ask = move |hub: &mut Hub| (asked.and_then(|which| hub.version_of(&which)), hub.history());
    let (version, entries) = hub.ask(ask).await?;
    if which.is_none() {
        let show = move || entries.iter().map(|entry| shown(entry, false)).collect::<Vec<_>>();
        let versions = hub.aside(show).await?;
        return Ok(answer::json(&json!({"versions": versions})));
    }
    let entry = entries.into_iter().find(|entry| Some(entry.version) == version).ok_or_else(unknown)?;
    Ok(answer::json(&hub.aside(move || shown(&entry, true)).await?))
}

/// Serves a version once more: `{"to": N}`, or how its digest begins. It is a change like others, and a new version.
pub(super) async fn post(State(hub): State<HubHandle>, wish: Wish, body: Json) -> Answer {
    let given = body.object()?;
    if let Some(name) = given.keys().find(|name| *name != "to") {
        return Err(Failure::body(format!("/{name}"), "is unknown here; {\"to\": VERSION} is expected"));
    }
    let which = match given.get("to") {
        Some(Value::Number(number)) if number.is_u64() => Which::Number(number.as_u64().unwrap_or_default()),
        Some(Value::String(text)) => named(text).map_err(|error| Failure::body("/to", error))?,
        _ => {
            return Err(Failure::body(
                "/to",
                "the number of a version is expected, or how its digest begins",
            ));
        }
    };
    let mut tries = 0;
    loop {
        tries += 1;
        let asked = which.clone();
        let ask = move |hub: &mut Hub| (hub.back_to(&asked), hub.tag(&Subject::All));
        let (Some(way), tag) = hub.ask(ask).await? else { return Err(unknown()) };
        let edit = hub.aside(move || back(way.overlay())).await?;
        let mut wish = wish.clone();
        let is_free = wish.condition == Condition::default();
        if is_free {
            wish.condition.matches = tag.map(|tag| Tags::These(vec![tag.to_string()]));
        }
        match write(&hub, &wish, edit).await {
            Err(failure) if is_free && failure.is_of_condition() => {
                if tries >= TRIES {
                    let error =
                        "something was changed each time while the way back was worked out; ask again";
                    return Err(Failure::new(StatusCode::CONFLICT, error).coded(answer::MEANWHILE));
                }
            }
            made => return done(&hub, made?).await,
        }
    }
}

/// What was at a version: the way back, over what is there now.
pub(super) fn which(uri: &Uri) -> Result<Option<Which>, Failure> {
    let refuse = |error: String| Failure::new(StatusCode::BAD_REQUEST, error).coded("bad-query");
    match (word(uri, "version"), word(uri, "digest")) {
        (None, None) => Ok(None),
        (Some(text), None) => match text.parse() {
            Ok(number) => Ok(Some(Which::Number(number))),
            Err(_) => Err(refuse("version is a number".to_owned())),
        },
        (None, Some(text)) => named(&text).map(Some).map_err(|error| refuse(format!("digest {error}"))),
        (Some(_), Some(_)) => Err(refuse("version and digest are two ways of naming one".to_owned())),
    }
}

fn named(digest: &str) -> Result<Which, String> {
    let is_digest = digest.len() >= DIGITS && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest {
        Ok(Which::Digest(digest.to_ascii_lowercase()))
    } else {
        Err(format!("has {DIGITS} hexadecimal digits at least"))
    }
}

pub(super) fn unknown() -> Failure {
    let error = "that version is not known any more; GET /__erulb__/history has those that are";
    Failure::new(StatusCode::NOT_FOUND, error).coded("no-such-version")
}

/// The JSON of a text that was JSON when it was read.
pub(super) fn value(text: Option<Arc<str>>) -> Value {
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

fn back(Overlay { domains, upstreams }: Overlay) -> Edit {
    Edit::Document {
        domains: domains.into_iter().map(|(name, text)| (name.to_string(), value(text))).collect(),
        upstreams: upstreams.into_values().map(|(name, text)| (name.to_string(), value(text))).collect(),
        mode: Mode::Each,
    }
}

fn shown(entry: &Entry, whole: bool) -> Value {
    let by = |author: &Author| {
        Map::from_iter([("who".to_owned(), json!(who(author))), ("via".to_owned(), author.via.word().into())])
    };
    let glance = |glance: &Glance| {
        let mut shown = by(&glance.author);
        shown.insert("counts".to_owned(), trial::counts(&glance.counts));
        shown.insert("names".to_owned(), json!(glance.names));
        Value::Object(shown)
    };
    let change = |made: &Made| {
        let mut shown = by(&made.author);
        shown.extend(trial::changes(&made.differences));
        Value::Object(shown)
    };
    let changes: Vec<Value> = if whole {
        entry.changes().iter().map(change).collect()
    } else {
        entry.glances().iter().map(glance).collect()
    };
    json!({
        "version": entry.version,
        "digest": entry.digest.to_string(),
        "at": time(entry.at),
        "changes": changes,
    })
}

fn time(at: SystemTime) -> Option<String> {
    Some(format!("{:.3}", Timestamp::try_from(at).ok()?))
}
