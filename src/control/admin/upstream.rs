//! `/__erulb__/upstream`: servers by upstream.
//!
//! It owns the shapes of the answers, which the Python client relies on; the hub owns what happens. Next:
//! [`write`](super::write) for what every change has in common.

use std::time::SystemTime;

use axum::extract::State;
use axum::http::Uri;
use serde_json::{Map, Value, json};

use super::answer::{self, Answer};
use super::body::Json;
use super::query::Flags;
use super::servers;
use super::times::Moment;
use super::write::{ok, stored, write};
use crate::control::changes::Author;
use crate::control::handle::HubHandle;
use crate::control::hub::Hub;
use crate::control::replies::Listed;
use crate::model::{Edit, ServerSpec};

/// What `DELETE` says of a name that is not there.
const UNKNOWN: u16 = 404;

/// All upstreams: `{name: [server, …]}`, servers in the order given. With `?detail=1`, `{name: {"options", "servers"}}`, each
/// server with how it does at its addresses.
pub(super) async fn get(State(hub): State<HubHandle>, uri: Uri) -> Answer {
    if matches!(servers::word(&uri, "detail").as_deref(), Some("1" | "true")) {
        return detailed(&hub).await;
    }
    let listed = hub.ask(|hub| hub.upstreams()).await?;
    let upstreams: Map<String, Value> =
        listed.iter().map(|upstream| (upstream.spec.name.clone(), listing(upstream))).collect();
    Ok(answer::json(&upstreams))
}

async fn detailed(hub: &HubHandle) -> Answer {
    let ask = |hub: &mut Hub, now| (now, hub.upstreams(), hub.servers(None).unwrap_or_default());
    let (measured, listed, shown) = hub.ask_now(ask).await?;
    let moment = Moment { measured, calendar: SystemTime::now() };
    let mut rows = servers::by_server(&shown, &moment);
    let mut upstreams = Map::new();
    for upstream in &listed {
        let name = &upstream.spec.name;
        let mut servers = listing(upstream);
        for server in servers.as_array_mut().into_iter().flatten() {
            let of = server["name"].as_str().unwrap_or_default().to_owned();
            server["addresses"] = rows.remove(&(name.clone(), of)).unwrap_or_default().into();
        }
        let options = upstream.spec.options.clone().unwrap_or_default();
        upstreams.insert(name.clone(), json!({"options": options.to_string(), "servers": servers}));
    }
    Ok(answer::json(&upstreams))
}

/// Adds upstreams, or replaces their servers whole.
pub(super) async fn put(State(hub): State<HubHandle>, author: Author, flags: Flags, body: Json) -> Answer {
    let written = write(&hub, author, &flags, Edit::PutUpstreams(body.object()?)).await?;
    ok(&hub, written).await
}

/// Changes the servers that it names, and the options if they are among them; the rest of each upstream stays.
pub(super) async fn patch(State(hub): State<HubHandle>, author: Author, flags: Flags, body: Json) -> Answer {
    let written = write(&hub, author, &flags, Edit::PatchUpstreams(body.object()?)).await?;
    ok(&hub, written).await
}

/// Deletes the upstreams in a list of names: `{name: true}`, or `{name: 404}` for one that is not there.
pub(super) async fn delete(State(hub): State<HubHandle>, author: Author, flags: Flags, body: Json) -> Answer {
    let written = write(&hub, author, &flags, Edit::DeleteUpstreams(body.names()?)).await?;
    let mut found = Map::new();
    for (name, was_there) in written.found {
        let said = if was_there { Value::from(true) } else { Value::from(UNKNOWN) };
        // A name that is listed twice was there if it was there the first time.
        found.entry(name).or_insert(said);
    }
    let mut response = answer::json(&found);
    stored(&mut response, written.revision);
    answer::warn(response.headers_mut(), &written.warnings);
    Ok(response)
}

fn listing(upstream: &Listed) -> Value {
    let servers = upstream.spec.servers.iter().zip(&upstream.addresses);
    servers.map(|(spec, addresses)| server(spec, addresses)).collect()
}

/// One server. What is at its default and was never shown stays unshown, so that old clients see what they know.
fn server(spec: &ServerSpec, addresses: &[String]) -> Value {
    let addr = match addresses {
        [one] => json!(one),
        several => json!(several),
    };
    let mut shown = json!({
        "addr": addr,
        "name": spec.name,
        "weight": spec.weight,
        "max_fails": spec.max_fails,
        "fail_timeout": spec.fail_timeout.as_secs(),
    });
    if spec.max_conns > 0 {
        shown["max_conns"] = json!(spec.max_conns);
    }
    if spec.backup {
        shown["backup"] = json!(true);
    }
    if spec.down {
        shown["down"] = json!(true);
    }
    if spec.drain {
        shown["drain"] = json!(true);
    }
    if !spec.slow_start.is_zero() {
        shown["slow_start"] = json!(spec.slow_start.as_secs());
    }
    shown
}
