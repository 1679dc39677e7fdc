//! How this ELB does at one moment, in one JSON object: what `stats` begins with, and what each event tells.
//!
//! It owns the members of that object, and that its size does not grow with the configuration. Rates are of the last ten seconds
//! that are over. Next: [`stats`](super::stats) adds names, [`events`](super::events) sends it each second,
//! [`recent`](crate::control::recent) counts.

use std::time::{Instant, SystemTime};

use serde_json::{Value, json};

use super::times::Moment;
use crate::control::failures::Failed;
use crate::control::hub::Hub;
use crate::control::lately::{Sums, quantile};
use crate::control::recent::{Counted, Second};
use crate::control::replies::Working;
use crate::link::Gauges;
use crate::reason::Reason;
use crate::stats::histogram::Histogram;
use crate::stats::reasons::Refused;

/// The overview at this moment, with the seconds from that number on.
pub(super) fn of(hub: &mut Hub, from: u32, now: Instant) -> Value {
    let (status, workers, snapshot) = (hub.status(), hub.workers(now), hub.serves());
    let (why, revision) = (hub.store_fault(), hub.revision());
    let moment = Moment { measured: now, calendar: SystemTime::now() };
    let failed: Vec<Value> = hub.failures().iter().map(|one| failure(one, &moment)).collect();
    let recent = hub.recent();
    let window = recent.window();
    let took = window.took.as_secs_f64();
    let mut all = Gauges::default();
    workers.iter().for_each(|worker| all += worker.gauges);
    let each = workers.iter().enumerate();
    let each: Vec<Value> = each.map(|(at, one)| worker(at, one, rate(recent.worker(at), took))).collect();
    json!({
        "elb": env!("CARGO_PKG_VERSION"),
        "configuration": {
            "version": status.version,
            "applied": status.applied,
            "workers": status.workers,
            "unsaved": status.unsaved,
            "domains": snapshot.domain_count(),
            "upstreams": snapshot.upstreams().count(),
        },
        "store": {"up": why.is_none(), "why": why, "revision": revision},
        "alarms": status.alarms,
        "total": total(recent.total()),
        "window_s": rounded(took),
        "rate": rates(&window),
        "seconds": recent.seconds(from).map(second).collect::<Value>(),
        "workers": each,
        "reasons": reasons(&all.refused, &recent.refused_before()),
        "failed": failed,
    })
}

fn total(counted: Counted) -> Value {
    let Counted { sums: Sums { requests, errors }, received, sent } = counted;
    json!({"requests": requests, "errors": errors, "received": received, "sent": sent})
}

fn rates(window: &Second) -> Value {
    let Counted { sums: Sums { requests, errors }, received, sent } = window.counted;
    let took = window.took.as_secs_f64();
    let mut rates = times(&window.times);
    for (name, count) in [("requests", requests), ("errors", errors), ("received", received), ("sent", sent)]
    {
        rates[name] = json!(rate(count, took));
    }
    rates
}

/// What was counted in one second, as numbers a second: one may be a little longer than others.
fn second(second: &Second) -> Value {
    let mut shown = rates(second);
    shown["second"] = json!(second.number);
    shown
}

/// Within which times half of all requests were done, nine of ten, and all but one of a hundred; null without any.
pub(super) fn times(times: &Histogram) -> Value {
    let within = |part| quantile(times, part).map(rounded);
    json!({"p50_ms": within(0.5), "p90_ms": within(0.9), "p99_ms": within(0.99)})
}

fn worker(number: usize, working: &Working, rate: f64) -> Value {
    let Working { version, gauges, age } = working;
    json!({
        "worker": number,
        "version": version,
        "age_ms": age.as_millis(),
        "rate": rate,
        "clients": gauges.clients,
        "exchanges": gauges.exchanges,
        "server_connections": gauges.server_connections,
        "server_connections_idle": gauges.server_connections_idle,
        "waiting_for_buffer": gauges.waiting_for_buffer,
        "window_bytes": gauges.window_bytes,
    })
}

/// What was refused, cut or closed: since the start and in the window, what there was of late first.
fn reasons(all: &Refused, before: &Refused) -> Vec<Value> {
    let earlier = |wanted| before.iter().find(|(reason, _)| *reason == wanted).map_or(0, |(_, count)| count);
    let mut rows: Vec<_> =
        all.iter().map(|(reason, count)| (count.saturating_sub(earlier(reason)), count, reason)).collect();
    rows.sort_by_key(|(lately, count, _)| std::cmp::Reverse((*lately, *count)));
    let row = |(lately, count, reason): (u64, u64, Reason)| json!({"reason": reason.word(), "status": reason.status(), "lately": lately, "total": count});
    rows.into_iter().map(row).collect()
}

/// What there is not is null.
fn failure(failed: &Failed, moment: &Moment) -> Value {
    let text = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
    json!({
        "time": moment.text(failed.ended),
        "status": failed.status,
        "reason": failed.reason.map(Reason::word),
        "domain": text(&failed.domain),
        "upstream": text(&failed.upstream),
        "server": text(&failed.server),
        "took_ms": rounded(failed.took.as_secs_f64() * 1e3),
    })
}

/// So many in so long, for each second.
pub(super) fn rate(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { rounded(count as f64 / seconds) } else { 0.0 }
}

/// To a hundredth, which is more than anybody reads.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_late_come_first() {
        let (mut before, mut all) = (Refused::default(), Refused::default());
        (0..5).for_each(|_| before.count(Reason::NoDomain));
        all += before;
        all.count(Reason::BadHost);
        let rows = reasons(&all, &before);
        assert_eq!(rows[0], json!({"reason": "bad-host", "status": 400, "lately": 1, "total": 1}));
        assert_eq!(rows[1], json!({"reason": "no-domain", "status": 404, "lately": 0, "total": 5}));
        // Workers that have ended hold nothing.
        assert_eq!(reasons(&before, &all)[0]["lately"], 0);
    }

    #[test]
    fn nothing_in_no_time_is_no_rate() {
        assert_eq!((rate(7, 0.0), rate(7, 3.0)), (0.0, 2.33));
    }
}
