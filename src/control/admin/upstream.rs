//! `/__erulb__/upstream`: servers by upstream.
//!
//! It owns the shapes of the answers, which the Python client relies on; the hub owns what happens. Next:
//! [`write`](super::write) for what every change has in common.

use std::collections::BTreeMap;
use std::time::SystemTime;

use axum::extract::State;
use axum::http::Uri;
use serde_json::{Map, Value, json};

use super::answer::{self, Answer};
use super::body::Json;
use super::list::Page;
use super::servers;
use super::times::Moment;
use super::write::{Done, done, stored, write};
use crate::control::handle::HubHandle;
use crate::control::hub::Hub;
use crate::control::replies::{Gone, Listed};
use crate::control::wish::{Subject, Wish};
use crate::model::{Edit, ServerSpec};

/// What `DELETE` says of a name that is not there.
const UNKNOWN: u16 = 404;

/// All upstreams: `{name: [server, …]}`, servers in the order given; or a page of them. With `?detail=1`, `{name: {"options",
/// "servers"}}`, each server with how it does at its addresses.
pub(super) async fn get(State(hub): State<HubHandle>, uri: Uri) -> Answer {
    let page = Page::read(&uri)?;
    let with_detail = is_detailed(&uri);
    let ask = move |hub: &mut Hub, now| {
        let shown = if with_detail { hub.servers(None).unwrap_or_default() } else { Vec::new() };
        (now, hub.upstreams(), shown, hub.tag(&Subject::All))
    };
    let (measured, listed, shown, tag) = hub.ask_now(ask).await?;
    let rows = listed.into_iter().map(|upstream| (upstream.spec.name.to_lowercase(), upstream));
    let chosen = page.choose(rows.collect());
    let moment = Moment { measured, calendar: SystemTime::now() };
    let mut rows = servers::by_server(&shown, &moment);
    let mut upstreams = Map::new();
    for upstream in &chosen.rows {
        let value = if with_detail { detailed(upstream, &mut rows) } else { listing(upstream) };
        upstreams.insert(upstream.spec.name.clone(), value);
    }
    let mut response = answer::json(&upstreams);
    page.tell(&mut response, uri.path(), &chosen);
    answer::tag(&mut response, tag);
    Ok(response)
}

/// Whether it is asked how servers do.
pub(super) fn is_detailed(uri: &Uri) -> bool {
    matches!(servers::word(uri, "detail").as_deref(), Some("1" | "true"))
}

/// One upstream with how its servers do, if there is one.
pub(super) async fn listed_one(hub: &HubHandle, name: &str) -> Result<Option<Value>, Gone> {
    let name = name.to_owned();
    let ask = move |hub: &mut Hub, now| {
        let shown = hub.servers(Some(&name)).unwrap_or_default();
        hub.upstream(&name).map(|listed| (now, listed, shown))
    };
    Ok(hub.ask_now(ask).await?.map(|(measured, listed, shown)| {
        let moment = Moment { measured, calendar: SystemTime::now() };
        detailed(&listed, &mut servers::by_server(&shown, &moment))
    }))
}

fn detailed(upstream: &Listed, rows: &mut BTreeMap<(String, String), Vec<Value>>) -> Value {
    let name = &upstream.spec.name;
    let mut servers = listing(upstream);
    for server in servers.as_array_mut().into_iter().flatten() {
        let of = server["name"].as_str().unwrap_or_default().to_owned();
        server["addresses"] = rows.remove(&(name.clone(), of)).unwrap_or_default().into();
    }
    let options = upstream.spec.options.clone().unwrap_or_default();
    json!({"options": options.to_string(), "servers": servers})
}

/// Adds upstreams, or replaces their servers whole.
pub(super) async fn put(State(hub): State<HubHandle>, wish: Wish, body: Json) -> Answer {
    let made = write(&hub, &wish, Edit::PutUpstreams(body.object()?)).await?;
    done(&hub, made).await
}

/// Changes the servers that it names, and the options if they are among them; the rest of each upstream stays.
pub(super) async fn patch(State(hub): State<HubHandle>, wish: Wish, body: Json) -> Answer {
    let made = write(&hub, &wish, Edit::PatchUpstreams(body.object()?)).await?;
    done(&hub, made).await
}

/// Deletes the upstreams in a list of names: `{name: true}`, or `{name: 404}` for one that is not there.
pub(super) async fn delete(State(hub): State<HubHandle>, wish: Wish, body: Json) -> Answer {
    let written = match write(&hub, &wish, Edit::DeleteUpstreams(body.names()?)).await? {
        Done::Written(written) => written,
        tried => return done(&hub, tried).await,
    };
    let mut found = Map::new();
    for (name, was_there) in written.found {
        let said = if was_there { Value::from(true) } else { Value::from(UNKNOWN) };
        // A name that is listed twice was there if it was there the first time.
        found.entry(name).or_insert(said);
    }
    let mut response = answer::json(&found);
    stored(&mut response, written.revision);
    answer::tag(&mut response, written.tag);
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
