//! `/__erulb__/certificate`: the certificates that clients are shown, and those in etcd written.
//!
//! It owns the shapes of bodies and answers. A private key goes in and never comes out. Next:
//! [`certificates`](crate::control::certificates) owns what happens.

use std::time::SystemTime;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::answer::{self, Answer, Failure};
use super::body::Json;
use super::times::calendar;
use super::write::{Written, ok};
use crate::control::certificates::{Checked, Trouble};
use crate::control::handle::HubHandle;
use crate::control::validity::{Origin, Row};
use crate::control::wish::{Condition, Wish};
use crate::model::Faults;
use crate::warning::{Code, Warning};

/// `{"certificates": [{"name", "origin", "names", "kind", "until", "fingerprint", "sealed", "error"}, …]}`, those of the folder first.
pub(super) async fn get(State(hub): State<HubHandle>) -> Answer {
    let rows = hub.certificates().rows();
    let list = move || answer::json(&json!({"certificates": rows.iter().map(shown).collect::<Value>()}));
    Ok(hub.aside(list).await?)
}

/// All of that name: one of the folder may be called as one in etcd is.
pub(super) async fn get_one(State(hub): State<HubHandle>, Path(name): Path<String>) -> Answer {
    let rows = hub.certificates().rows();
    let found: Vec<Value> = rows.iter().filter(|row| *row.name == *name).map(shown).collect();
    if found.is_empty() {
        return Err(no_such());
    }
    Ok(answer::json(&json!({"certificates": found})))
}

/// Adds certificates in etcd, or replaces them whole: `{name: {"certificate", "key", "ocsp"}}`.
pub(super) async fn put(State(hub): State<HubHandle>, wish: Wish, body: Json) -> Answer {
    let checked = check(&hub, body.object()?).await?;
    write(&hub, &wish, checked?, false).await
}

/// Adds one certificate in etcd, or replaces it whole.
pub(super) async fn put_one(
    State(hub): State<HubHandle>,
    wish: Wish,
    Path(name): Path<String>,
    body: Json,
) -> Answer {
    let given = Map::from_iter([(name.clone(), body.object()?.into())]);
    // Pointers lead into the body.
    let prefix = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
    let place = |pointer: &str| pointer.strip_prefix(&*prefix).unwrap_or(pointer).to_owned();
    let mut checked = check(&hub, given).await?.map_err(|faults| Failure::from(faults).placed(place))?;
    for warning in &mut checked.warnings {
        warning.pointer = place(&warning.pointer);
    }
    write(&hub, &wish, checked, false).await
}

/// Deletes the certificates in a list of names from etcd; a name that is not there is no fault.
pub(super) async fn delete(State(hub): State<HubHandle>, wish: Wish, body: Json) -> Answer {
    let checked = hub.certificates().deletion(body.names()?)?;
    write(&hub, &wish, checked, false).await
}

/// Deletes one certificate from etcd.
pub(super) async fn delete_one(State(hub): State<HubHandle>, wish: Wish, Path(name): Path<String>) -> Answer {
    let checked = hub.certificates().deletion(vec![name])?;
    write(&hub, &wish, checked, true).await
}

/// Keys are read and sealed where nobody waits for the thread.
async fn check(hub: &HubHandle, given: Map<String, Value>) -> Result<Result<Checked, Faults>, Failure> {
    let desk = hub.certificates().clone();
    Ok(hub.aside(move || desk.check(&given, SystemTime::now())).await?)
}

async fn write(hub: &HubHandle, wish: &Wish, checked: Checked, must_be_there: bool) -> Answer {
    if wish.condition != Condition::default() {
        let error = "If-Match and If-None-Match say nothing here: certificates have no ETag";
        return Err(Failure::new(StatusCode::BAD_REQUEST, error));
    }
    let taken = hub.certificates().write(checked, wish.author).await?;
    if must_be_there && !taken.absent.is_empty() {
        return Err(no_such());
    }
    let absent = taken
        .absent
        .iter()
        .map(|name| Warning::new(Code::NotThere, "", format!("there was no certificate {name} in etcd")));
    let warnings = taken.warnings.into_iter().chain(absent).collect();
    ok(hub, Written { revision: taken.revision, warnings, ..Written::default() }).await
}

fn shown(row: &Row) -> Value {
    let (origin, sealed) = match row.origin {
        Origin::Folder => ("folder", Value::Null),
        Origin::Etcd { is_sealed } => ("etcd", is_sealed.into()),
    };
    let certified = row.certified.as_ref();
    let ends = certified.and_then(|certified| certified.ends.as_ref());
    json!({
        "name": row.name,
        "origin": origin,
        "names": certified.map(|certified| &certified.names[..]).unwrap_or_default(),
        "kind": certified.map(|certified| certified.kind()),
        "until": ends.and_then(|ends| calendar(ends.at)),
        "fingerprint": certified.map(|certified| &certified.fingerprint),
        "sealed": sealed,
        "error": row.fault,
    })
}

fn no_such() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "there is no such certificate").coded("no-such-certificate")
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NoEtcd => Self::new(
                StatusCode::CONFLICT,
                "certificates are written into etcd, and the store is another; put them into the folder of --tls-dir",
            )
            .coded("no-etcd"),
            Trouble::Store(why) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("etcd did not take it, or did not say that it has: {why}"),
            )
            .coded("store-failed"),
        }
    }
}
