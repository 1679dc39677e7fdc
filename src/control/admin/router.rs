//! Path and method to endpoint: one line an endpoint, with the words that its query may hold.
//!
//! It owns the table, who is let in before it (the page alone needs no token), and what every answer carries in its headers; never what an endpoint
//! does. Next: the files named like the words in the table; [`upstream`] is one to begin with.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use axum::{Extension, Router};

use super::access::{Access, Refusal};
use super::answer::{Answer, Failure, warn};
use super::events::Streams;
use super::peer::Peer;
use super::query::{
    self, Word,
    Word::{Confirm, DryRun, Dump, Unresolved},
};
use super::{
    certificate, config, domain, dump, events, explain, fleet, graph, health, history, openapi, page,
    rejected, resync, scrape, servers, shadow, stats, status, upstream, upstream_item, workers,
};
use crate::control::handle::HubHandle;
use crate::explain::Explainer;
use crate::readiness::Readiness;

/// The whole API as a service.
pub(in crate::control) type Api = Router;

/// Builds the API around the hub. It looks at the path as it came: another spelling of an endpoint is none.
pub(in crate::control) fn api(
    hub: HubHandle,
    access: Arc<Access>,
    explainer: Explainer,
    readiness: Readiness,
    streams: Streams,
) -> Api {
    let guard = middleware::from_fn_with_state(Arc::clone(&access), guard);
    let page = Router::new()
        .route("/__erulb__/ui", only("GET", &[], get(page::get)))
        .layer(middleware::from_fn_with_state(access, guard_page));
    configuration()
        .merge(certificates())
        .merge(sights())
        .fallback(unknown)
        .layer(Extension(explainer))
        .layer(Extension(readiness))
        .layer(Extension(streams))
        .layer(middleware::from_fn_with_state(hub.clone(), stamp))
        .layer(guard)
        .merge(page)
        .with_state(hub)
}

/// What is served, as it was given, and how it is changed.
fn configuration() -> Router<HubHandle> {
    Router::new()
        .route(
            "/__erulb__/domain",
            only(
                "GET, PUT, PATCH, DELETE",
                &[Dump, DryRun, Confirm],
                get(domain::get).put(domain::put).patch(domain::patch).delete(domain::delete),
            ),
        )
        .route(
            "/__erulb__/domain/{name}",
            only(
                "GET, PUT, PATCH, DELETE",
                &[Dump, DryRun, Confirm],
                get(domain::get_one).put(domain::put_one).patch(domain::patch_one).delete(domain::delete_one),
            ),
        )
        .route(
            "/__erulb__/upstream",
            only(
                "GET, PUT, PATCH, DELETE",
                &[Dump, DryRun, Confirm, Unresolved],
                get(upstream::get).put(upstream::put).patch(upstream::patch).delete(upstream::delete),
            ),
        )
        .route(
            "/__erulb__/upstream/{name}",
            only(
                "GET, PUT, PATCH, DELETE",
                &[Dump, DryRun, Confirm, Unresolved],
                get(upstream_item::get)
                    .put(upstream_item::put)
                    .patch(upstream_item::patch)
                    .delete(upstream_item::delete),
            ),
        )
        .route(
            "/__erulb__/upstream/{name}/{server}",
            only(
                "GET, PUT, DELETE",
                &[Dump, DryRun, Confirm, Unresolved],
                get(upstream_item::get_server)
                    .put(upstream_item::put_server)
                    .delete(upstream_item::delete_server),
            ),
        )
        .route(
            "/__erulb__/config",
            only(
                "GET, PUT, PATCH",
                &[Dump, DryRun, Confirm, Unresolved],
                get(config::get).put(config::put).patch(config::patch),
            ),
        )
}

/// Which certificates clients are shown. They are no part of the configuration: no version of it has them.
fn certificates() -> Router<HubHandle> {
    Router::new()
        .route(
            "/__erulb__/certificate",
            only(
                "GET, PUT, DELETE",
                &[],
                get(certificate::get).put(certificate::put).delete(certificate::delete),
            ),
        )
        .route(
            "/__erulb__/certificate/{name}",
            only(
                "GET, PUT, DELETE",
                &[],
                get(certificate::get_one).put(certificate::put_one).delete(certificate::delete_one),
            ),
        )
}

/// Everything else.
fn sights() -> Router<HubHandle> {
    Router::new()
        .route("/__erulb__/explain", only("POST", &[], post(explain::post)))
        .route(
            "/__erulb__/shadow",
            only("GET, POST, DELETE", &[], get(shadow::get).post(shadow::post).delete(shadow::delete)),
        )
        .route("/__erulb__/history", only("GET", &[], get(history::get)))
        .route("/__erulb__/rollback", only("POST", &[Dump, DryRun, Confirm, Unresolved], post(history::post)))
        .route("/__erulb__/dump", only("PUT", &[], put(dump::put)))
        .route("/__erulb__/rejected", only("GET", &[], get(rejected::get)))
        .route("/__erulb__/resync", only("PUT", &[Confirm], put(resync::put)))
        .route("/__erulb__/servers", only("GET", &[], get(servers::get)))
        .route("/__erulb__/fleet", only("GET", &[], get(fleet::get)))
        .route("/__erulb__/graph", only("GET", &[], get(graph::get)))
        .route("/__erulb__/events", only("GET", &[], get(events::get)))
        .route("/__erulb__/status", only("GET", &[], get(status::get)))
        .route("/__erulb__/stats", only("GET", &[], get(stats::get)))
        .route("/__erulb__/openapi.json", only("GET", &[], get(openapi::get)))
        .route("/__erulb__/workers", only("GET", &[], get(workers::get)))
        .route("/__erulb__/metrics", only("GET", &[], get(scrape::get)))
        .route("/__erulb__/live", only("GET", &[], get(health::get)))
        .route("/__erulb__/ready", only("GET", &[], get(health::get)))
}

/// Metrics and nothing else, with nobody in front of them.
pub(in crate::control) fn metrics_api(hub: HubHandle) -> Api {
    let nothing = || async { Failure::new(StatusCode::NOT_FOUND, "only /__erulb__/metrics is served here") };
    Router::new()
        .route("/__erulb__/metrics", only("GET", &[], get(scrape::get)))
        .route("/metrics", only("GET", &[], get(scrape::get)))
        .fallback(nothing)
        .with_state(hub)
}

/// `endpoint` with every other method refused (axum would answer HEAD by GET), and every word in the query of a change
/// but `words`.
fn only(
    allow: &'static str,
    words: &'static [Word],
    endpoint: MethodRouter<HubHandle>,
) -> MethodRouter<HubHandle> {
    let refuse = move || async move { Answer::Err(Failure::method(allow)) };
    let checked =
        endpoint.layer(middleware::from_fn(move |request, next| query::check(words, request, next)));
    checked.head(refuse).fallback(refuse)
}

async fn unknown() -> Failure {
    Failure::new(
        StatusCode::NOT_FOUND,
        "no such endpoint: domain, upstream, certificate, config, history, rollback, servers, explain, shadow, fleet, graph, dump, rejected, resync, \
         status, stats, events, ui, openapi.json, workers, \
         metrics, live and ready are known",
    )
}

/// Lets in who may administer, and nobody else gets to know more than that.
async fn guard(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let checked = access.check(peer(&request), request.headers());
    admit(checked, &access, request, next).await
}

/// Lets in who may, with the token or without.
async fn guard_page(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let checked = access.check_page(peer(&request), request.headers());
    admit(checked, &access, request, next).await
}

fn peer(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<Peer>().map(|peer| peer.0)
}

async fn admit(checked: Result<(), Refusal>, access: &Access, request: Request, next: Next) -> Response {
    match checked {
        // A target with an authority (`GET http://host/path`) is one for a forward proxy, and names another host's path.
        Ok(()) if request.uri().authority().is_some() => unknown().await.into_response(),
        Ok(()) => next.run(request).await,
        Err(Refusal { status, why }) => {
            access.tell(peer(&request), &why, Instant::now());
            Failure::new(status, why).into_response()
        }
    }
}

/// Puts on every answer where the configuration stands.
async fn stamp(State(hub): State<HubHandle>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let Ok(status) = hub.ask(|hub| hub.status()).await else { return response };
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-elb-version"), status.version.into());
    if let Ok(digest) = HeaderValue::try_from(status.digest.to_string()) {
        headers.insert(HeaderName::from_static("x-elb-digest"), digest);
    }
    headers.insert(HeaderName::from_static("x-elb-unsaved"), status.unsaved.into());
    if let Ok(applied) = HeaderValue::try_from(format!("{}/{}", status.applied, status.workers)) {
        headers.insert(HeaderName::from_static("x-elb-applied"), applied);
    }
    warn(headers, &status.alarms);
    response
}
