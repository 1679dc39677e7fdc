//! `/__erulb__/upstream/{name}` and `/__erulb__/upstream/{name}/{server}`: one upstream, and one server of it.
//!
//! It owns the shapes: an upstream is an object, server → parameters, and a server is the string of its parameters, as in a
//! document; the other shapes that are given out are taken too. Next: [`write`](mod@super::write) for what every change has in
//! common, [`upstream`](super::upstream) for all of them.

use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use serde_json::{Map, Value};

use super::answer::{self, Answer, Failure};
use super::body::Json;
use super::item::{must_be_there, seen_from};
use super::upstream::{is_detailed, listed_one};
use super::write::{done, write};
use crate::control::handle::HubHandle;
use crate::control::hub::Hub;
use crate::control::wish::{Subject, Wish};
use crate::model::{Edit, Mode};

/// `{server: parameters}`; with `?detail=1`, `{"options", "servers"}` with how each server does.
pub(super) async fn get(State(hub): State<HubHandle>, Path(name): Path<String>, uri: Uri) -> Answer {
    let subject = Subject::Upstream(name.clone());
    let asked = name.clone();
    let ask = move |hub: &mut Hub| Some((hub.spec(&asked)?, hub.tag(&subject)));
    let Some((spec, tag)) = hub.ask(ask).await? else { return Err(no_upstream()) };
    let mut response = if is_detailed(&uri) {
        answer::json(&listed_one(&hub, &name).await?.ok_or_else(no_upstream)?)
    } else {
        answer::json(&spec.document())
    };
    answer::tag(&mut response, tag);
    Ok(response)
}

/// Adds an upstream, or replaces it whole.
pub(super) async fn put(
    State(hub): State<HubHandle>,
    wish: Wish,
    Path(name): Path<String>,
    Json(servers): Json,
) -> Answer {
    let edit = Edit::PutUpstreams(Map::from_iter([(name.clone(), servers)]));
    let made = write(&hub, &wish.about(Subject::Upstream(name.clone())), edit).await;
    done(&hub, seen_from(&[&name], made)?).await
}

/// Changes the servers that it names, and the options if they are among them.
pub(super) async fn patch(
    State(hub): State<HubHandle>,
    wish: Wish,
    Path(name): Path<String>,
    Json(servers): Json,
) -> Answer {
    let subject = Subject::Upstream(name.clone());
    must_be_there(&hub, &subject, no_upstream).await?;
    let edit = Edit::PatchUpstreams(Map::from_iter([(name.clone(), servers)]));
    let made = write(&hub, &wish.about(subject), edit).await;
    done(&hub, seen_from(&[&name], made)?).await
}

/// Deletes an upstream.
pub(super) async fn delete(State(hub): State<HubHandle>, wish: Wish, Path(name): Path<String>) -> Answer {
    let subject = Subject::Upstream(name.clone());
    must_be_there(&hub, &subject, no_upstream).await?;
    let made = write(&hub, &wish.about(subject), Edit::DeleteUpstreams(vec![name])).await?;
    done(&hub, made).await
}

/// The parameters of a server, or the options if it is called so.
pub(super) async fn get_server(
    State(hub): State<HubHandle>,
    Path((name, server)): Path<(String, String)>,
) -> Answer {
    let subject = Subject::Server(name.clone(), server.clone());
    let ask = move |hub: &mut Hub| {
        let spec = hub.spec(&name)?;
        Some((spec.document().remove(&server)?, hub.tag(&subject)))
    };
    let Some((parameters, tag)) = hub.ask(ask).await? else { return Err(no_server()) };
    let mut response = answer::json(&parameters);
    answer::tag(&mut response, tag);
    Ok(response)
}

/// Adds a server, or replaces its parameters; an upstream that is not there is made of it.
pub(super) async fn put_server(
    State(hub): State<HubHandle>,
    wish: Wish,
    Path((name, server)): Path<(String, String)>,
    Json(parameters): Json,
) -> Answer {
    if parameters.is_null() {
        return Err(Failure::body(
            "",
            "a string of parameters is expected, not null; DELETE takes a server away",
        ));
    }
    let servers = Map::from_iter([(server.clone(), parameters)]);
    let upstreams = Map::from_iter([(name.clone(), servers.into())]);
    let edit = Edit::Document { domains: Map::new(), upstreams, mode: Mode::Merge };
    let wish = wish.about(Subject::Server(name.clone(), server.clone()));
    let made = write(&hub, &wish, edit).await;
    done(&hub, seen_from(&["upstreams", &name, &server], made)?).await
}

/// Takes a server away.
pub(super) async fn delete_server(
    State(hub): State<HubHandle>,
    wish: Wish,
    Path((name, server)): Path<(String, String)>,
) -> Answer {
    let subject = Subject::Server(name.clone(), server.clone());
    must_be_there(&hub, &subject, no_server).await?;
    let servers = Map::from_iter([(server, Value::Null)]);
    let edit = Edit::PatchUpstreams(Map::from_iter([(name.clone(), servers.into())]));
    let made = write(&hub, &wish.about(subject), edit).await;
    done(&hub, seen_from(&[&name], made)?).await
}

fn no_upstream() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "there is no such upstream").coded("no-such-upstream")
}

fn no_server() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "there is no such server").coded("no-such-server")
}
