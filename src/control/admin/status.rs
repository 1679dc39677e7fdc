//! `/__erulb__/status`: where this ELB stands, in one small object: what each worker serves, how old that is, and what is wrong.
//!
//! It owns the members of that object; its size does not grow with the configuration. Next:
//! [`overview`](super::overview) says how much it does, [`workers`](super::workers) what each worker holds.

use std::time::Instant;

use axum::Extension;
use axum::extract::State;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::times::calendar;
use crate::control::handle::HubHandle;
use crate::control::hub::Hub;
use crate::control::replies::Working;
use crate::control::validity::Certificates;
use crate::link::Gauges;
use crate::readiness::{Readiness, Unready};

/// `{"elb", "node", "started", "uptime_s", "ready", "reasons", "configuration": {…}, "store": {…}, "workers": [{"worker", "version",
/// "age_ms"}, …], "connections": {…}, "certificates": {…}, "requests", "alarms"}`.
pub(super) async fn get(State(hub): State<HubHandle>, Extension(readiness): Extension<Readiness>) -> Answer {
    let identity = hub.fleet().identity().clone();
    let mut shown = hub.ask_now(move |hub, now| of(hub, &readiness, now)).await?;
    shown["node"] = json!(identity.id);
    shown["started"] = json!(identity.started);
    Ok(answer::json(&shown))
}

fn of(hub: &mut Hub, readiness: &Readiness, now: Instant) -> Value {
    let (status, workers, snapshot) = (hub.status(), hub.workers(now), hub.serves());
    let (why, revision, heard) = (hub.store_fault(), hub.revision(), hub.heard());
    let mut all = Gauges::default();
    workers.iter().for_each(|worker| all += worker.gauges);
    let reasons: Vec<&str> = readiness.reasons().map(Unready::word).collect();
    let versions: Vec<u64> = hub.history().iter().map(|entry| entry.version).collect();
    json!({
        "elb": env!("CARGO_PKG_VERSION"),
        "node": null,
        "started": null,
        "uptime_s": hub.age(now).as_secs(),
        "ready": reasons.is_empty(),
        "reasons": reasons,
        "configuration": {
            "version": status.version,
            "digest": status.digest.to_string(),
            "applied": status.applied,
            "workers": status.workers,
            "domains": snapshot.domain_count(),
            "upstreams": snapshot.upstreams().count(),
            "unsaved": status.unsaved,
            "rejected": hub.rejected().len(),
            "held": hub.held(),
            // One more than are kept can be served again: that before the oldest.
            "back_to": versions.last().map(|oldest| oldest.saturating_sub(1)),
        },
        "store": {
            "kind": hub.via().word(),
            "up": why.is_none(),
            "why": why,
            "revision": revision,
            "age_ms": hub.sources().store.age(now).map(|age| age.as_millis()),
            "data": hub.origin_of_data(),
            "loads": heard.loads,
            "failures": heard.failures,
        },
        "workers": workers.iter().enumerate().map(worker).collect::<Value>(),
        "connections": {
            "clients": all.clients,
            "requests_active": all.exchanges,
            "servers": all.server_connections,
            "servers_idle": all.server_connections_idle,
            "accepted": all.accepted,
        },
        "certificates": hub.sources().certificates.get().map(certificates),
        "requests": all.requests,
        "alarms": status.alarms,
    })
}

fn certificates(all: Certificates) -> Value {
    let until = all.soonest.as_ref().and_then(|soonest| calendar(soonest.at));
    json!({"count": all.count, "soonest": all.soonest.map(|soonest| soonest.name), "until": until, "why": all.fault})
}

fn worker((number, working): (usize, &Working)) -> Value {
    json!({"worker": number, "version": working.version, "age_ms": working.age.as_millis()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::tests::Rig;

    #[tokio::test]
    async fn it_says_what_is_served_by_whom_and_what_no_store_has() {
        let rig = Rig::obedient();
        let before = rig.ask("GET", "/__erulb__/status", "").await.json();
        assert_eq!(
            (&before["configuration"]["unsaved"], &before["configuration"]["back_to"]),
            (&json!(0), &Value::Null)
        );
        rig.ask("PUT", "/__erulb__/upstream", r#"{"up": {"127.0.0.1:1": ""}}"#).await;
        let told = rig.ask("GET", "/__erulb__/status", "").await.json();
        let configuration = &told["configuration"];
        assert_eq!(
            (&configuration["upstreams"], &configuration["domains"], &configuration["unsaved"]),
            (&json!(1), &json!(0), &json!(1))
        );
        assert_eq!(configuration["applied"], configuration["workers"]);
        assert_eq!(configuration["back_to"], before["configuration"]["version"]);
        for worker in told["workers"].as_array().unwrap() {
            assert_eq!(worker["version"], configuration["version"], "{told}");
        }
        assert_eq!(configuration["digest"].as_str().map(str::len), Some(64));
        assert_eq!(told["configuration"]["held"], Value::Null);
    }
}
