//! `/__erulb__/metrics`: the numbers of this process as Prometheus scrapes them (OpenMetrics 1.0).
//!
//! It owns the only list of metrics, with their names, help and units; never the counting, which workers do for themselves. A
//! scrape reads what they said last, within a second, so it takes nothing of theirs. Labels are names of the configuration and
//! words of ELB's own, and there is a bound on servers. Next: [`workers`](super::workers) has the same for people.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::answer::Failure;
use super::process::{self, Process};
use crate::control::handle::HubHandle;
use crate::control::hub::Hub;
use crate::control::replies::{Status, Working};
use crate::control::servers::Shown;
use crate::link::Gauges;

/// Servers that are shown at most, each at one of its addresses; a metric tells how many are not.
const SERVERS: usize = 10_000;
/// What a scrape gets.
const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One metric a line: name, kind, unit, help, and its rows.
struct Metric {
    /// The unit stands behind it, and then `_total` behind that of a counter.
    name: &'static str,
    kind: MetricType,
    unit: Option<Unit>,
    help: &'static str,
    rows: fn(&Measured) -> Vec<Row>,
}

/// Labels and a value.
type Row = (Vec<(&'static str, String)>, f64);

use MetricType::{Counter, Gauge};

/// All of them, in the order in which they are shown.
const METRICS: &[Metric] = &[
    metric("elb_build_info", Gauge, None, "1, with the version of ELB", build),
    metric("elb_client_connections", Gauge, None, "Connections of clients", |all| {
        each(all, |gauges| gauges.clients as f64)
    }),
    metric("elb_connections_accepted", Counter, None, "Connections of clients that were accepted", |all| {
        each(all, |gauges| gauges.accepted as f64)
    }),
    metric("elb_requests_routed", Counter, None, "Requests that were put to the rules", |all| {
        each(all, |gauges| gauges.requests as f64)
    }),
    metric("elb_requests_active", Gauge, None, "Requests under way", |all| {
        each(all, |gauges| gauges.exchanges as f64)
    }),
    metric("elb_server_connections", Gauge, None, "Connections to servers, idle ones included", |all| {
        each(all, |gauges| gauges.server_connections as f64)
    }),
    metric(
        "elb_server_connections_idle",
        Gauge,
        None,
        "Connections to servers that wait for a request",
        |all| each(all, |gauges| gauges.server_connections_idle as f64),
    ),
    metric("elb_buffers", Gauge, Some(Unit::Bytes), "Buffers that are lent", |all| {
        each(all, |gauges| gauges.window_bytes as f64)
    }),
    metric("elb_waiting_for_buffer", Gauge, None, "Connections that wait for a buffer", |all| {
        each(all, |gauges| gauges.waiting_for_buffer as f64)
    }),
    metric("elb_ended", Counter, None, "What ELB refused, cut or closed", |all| {
        all.gauges.refused.iter().map(|(reason, count)| (reason_label(reason.word()), count as f64)).collect()
    }),
    metric("elb_retries", Counter, None, "Requests that were sent once more, by what went before", |all| {
        all.gauges.retries.iter().map(|(reason, count)| (reason_label(reason), count as f64)).collect()
    }),
    metric("elb_retries_over_budget", Counter, None, "Second tries for which there was no budget", |all| {
        one(all.gauges.retries_over_budget as f64)
    }),
    metric("elb_fail_open", Counter, None, "Requests that went to a server although all were aside", |all| {
        one(all.gauges.fail_open as f64)
    }),
    metric(
        "elb_searches_given_up",
        Counter,
        None,
        "Searches of backtracking patterns that took too long",
        |all| one(all.gauges.searches_given_up as f64),
    ),
    metric(
        "elb_server_up",
        Gauge,
        None,
        "1 if a server can be chosen, 0 if it is aside, failing, draining, down or without an address",
        |all| servers(all, |server| f64::from(u8::from(server.state == "up"))),
    ),
    metric(
        "elb_server_active",
        Gauge,
        None,
        "Connections to a server that are in use, or being made",
        |all| servers(all, |server| server.active as f64),
    ),
    metric(
        "elb_server_requests",
        Counter,
        None,
        "Requests that were brought to a server; one that is tried twice counts twice",
        |all| servers(all, |server| server.requests as f64),
    ),
    metric("elb_server_failures", Gauge, None, "Failures of a server that count at the moment", |all| {
        servers(all, |server| f64::from(server.failures))
    }),
    metric(
        "elb_servers_not_shown",
        Gauge,
        None,
        "Servers beyond the bound of 10000 that have no rows",
        |all| one(all.servers.len().saturating_sub(SERVERS) as f64),
    ),
    metric(
        "elb_config_version",
        Gauge,
        None,
        "The version of the configuration that a worker serves",
        |all| {
            let row =
                |(index, worker): (usize, &Working)| Some((worker_label(index), worker.version? as f64));
            all.workers.iter().enumerate().filter_map(row).collect()
        },
    ),
    metric("elb_config_version_newest", Gauge, None, "The newest version of the configuration", |all| {
        one(all.status.version as f64)
    }),
    metric(
        "elb_config_rejected_keys",
        Gauge,
        None,
        "Keys of the store that are not served as they stand there",
        |all| one(all.rejected as f64),
    ),
    metric("elb_unsaved_edits", Gauge, None, "Changes that a restart would lose", |all| {
        one(all.status.unsaved as f64)
    }),
    metric("elb_store_up", Gauge, None, "1 if the store answers", |all| {
        one(f64::from(u8::from(all.store_up)))
    }),
    metric("elb_store_revision", Gauge, None, "The store's revision that was heard of last", |all| {
        one(all.revision as f64)
    }),
    metric("elb_alarm", Gauge, None, "1 for each alarm that stands", |all| {
        let alarms = all.status.alarms.iter();
        alarms.map(|alarm| (vec![("code", alarm.code.word().to_owned())], 1.0)).collect()
    }),
    metric("process_cpu", Counter, Some(Unit::Seconds), "User and system time", |all| some(all.process.cpu)),
    metric("process_resident_memory", Gauge, Some(Unit::Bytes), "Memory that is not swapped out", |all| {
        some(all.process.resident)
    }),
    metric("process_open_fds", Gauge, None, "Open file descriptors", |all| some(all.process.open)),
    metric("process_max_fds", Gauge, None, "How many there may be", |all| some(all.process.most)),
    metric("process_start_time", Gauge, Some(Unit::Seconds), "When the process began, since 1970", |all| {
        some(all.process.began)
    }),
];

const fn metric(
    name: &'static str,
    kind: MetricType,
    unit: Option<Unit>,
    help: &'static str,
    rows: fn(&Measured) -> Vec<Row>,
) -> Metric {
    Metric { name, kind, unit, help, rows }
}

/// All that a scrape is made of.
#[derive(Debug)]
struct Measured {
    workers: Vec<Working>,
    /// Of all workers together.
    gauges: Gauges,
    servers: Vec<Shown>,
    status: Status,
    rejected: usize,
    revision: i64,
    store_up: bool,
    process: Process,
}

/// Answers a scrape.
pub(super) async fn get(State(hub): State<HubHandle>) -> Result<Response, Failure> {
    let measure = |hub: &mut Hub, now| {
        let workers = hub.workers(now);
        let mut gauges = Gauges::default();
        workers.iter().for_each(|worker| gauges += worker.gauges);
        Measured {
            workers,
            gauges,
            servers: hub.servers(None).unwrap_or_default(),
            status: hub.status(),
            rejected: hub.rejected().len(),
            revision: hub.revision(),
            store_up: hub.store_fault().is_none(),
            process: Process::default(),
        }
    };
    let mut measured = hub.ask_now(measure).await?;
    let text = hub.aside(move || {
        measured.process = process::read();
        shown(measured)
    });
    Ok(([(header::CONTENT_TYPE, KIND)], text.await?).into_response())
}

fn shown(measured: Measured) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(measured));
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = text::encode(&mut out, &registry);
    out
}

impl Collector for Measured {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for Metric { name, kind, unit, help, rows } in METRICS {
            let rows = rows(self);
            if rows.is_empty() {
                continue;
            }
            let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), *kind)?;
            for (labels, value) in rows {
                if labels.is_empty() {
                    // There is one row, and it takes the encoder.
                    put(metric, *kind, value)?;
                    break;
                }
                put(metric.encode_family(&labels)?, *kind, value)?;
            }
        }
        Ok(())
    }
}

fn put(row: MetricEncoder<'_>, kind: MetricType, value: f64) -> Result<(), std::fmt::Error> {
    match kind {
        Counter => ConstCounter::new(value).encode(row),
        _ => ConstGauge::new(value).encode(row),
    }
}

/// A name of the configuration as the value of a label: the library writes it as it is, and a quote in it would end it.
fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn one(value: f64) -> Vec<Row> {
    vec![(Vec::new(), value)]
}

fn some(value: Option<f64>) -> Vec<Row> {
    value.map(one).unwrap_or_default()
}

fn build(_: &Measured) -> Vec<Row> {
    vec![(vec![("version", env!("CARGO_PKG_VERSION").to_owned())], 1.0)]
}

fn reason_label(reason: &str) -> Vec<(&'static str, String)> {
    vec![("reason", reason.to_owned())]
}

fn worker_label(index: usize) -> Vec<(&'static str, String)> {
    vec![("worker", index.to_string())]
}

/// A number of each worker.
fn each(all: &Measured, number: fn(&Gauges) -> f64) -> Vec<Row> {
    let workers = all.workers.iter().enumerate();
    workers.map(|(index, worker)| (worker_label(index), number(&worker.gauges))).collect()
}

/// A number of each server at each of its addresses.
fn servers(all: &Measured, number: fn(&Shown) -> f64) -> Vec<Row> {
    let row = |server: &Shown| {
        let labels = vec![
            ("upstream", escaped(&server.upstream)),
            ("server", escaped(&server.server)),
            ("address", server.address.clone().unwrap_or_default()),
        ];
        (labels, number(server))
    };
    all.servers.iter().take(SERVERS).map(row).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn measured() -> Measured {
        let status = Status { version: 7, unsaved: 1, applied: 1, workers: 1, alarms: Vec::new() };
        let gauges = Gauges { clients: 3, ..Gauges::default() };
        let age = std::time::Duration::ZERO;
        let server = Shown {
            upstream: "u\"p\n".into(),
            server: "a:1".to_owned(),
            address: None,
            state: "aside",
            since: None,
            until: None,
            reason: None,
            failures: 2,
            last_check: None,
            active: 0,
            idle_connections: 0,
            requests: 9,
        };
        Measured {
            workers: vec![Working { version: Some(6), gauges, age }],
            gauges,
            servers: vec![server; SERVERS + 5],
            status,
            rejected: 0,
            revision: 17,
            store_up: false,
            process: Process { cpu: Some(1.5), ..Process::default() },
        }
    }

    #[test]
    fn a_scrape_is_openmetrics() {
        let text = shown(measured());
        for line in [
            "# HELP elb_client_connections Connections of clients",
            "# TYPE elb_client_connections gauge",
            "elb_client_connections{worker=\"0\"} 3.0",
            "elb_config_version{worker=\"0\"} 6.0",
            "elb_config_version_newest 7.0",
            "elb_server_up{upstream=\"u\\\"p\\n\",server=\"a:1\",address=\"\"} 0.0",
            "elb_server_requests_total{upstream=\"u\\\"p\\n\",server=\"a:1\",address=\"\"} 9.0",
            "elb_servers_not_shown 5.0",
            "# UNIT process_cpu_seconds seconds",
            "process_cpu_seconds_total 1.5",
            "elb_store_up 0.0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{}", &text[..2000]);
        }
        assert!(text.ends_with("# EOF\n"));
        assert_eq!(text.lines().filter(|line| line.starts_with("elb_server_up{")).count(), SERVERS);
        assert!(!text.contains("elb_retries_total"), "what never was has no row");
    }

    #[test]
    fn the_manual_has_every_metric_with_its_help_and_no_other() {
        let page = include_str!("../../manual/seeing.md");
        let row = |line: &str| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let name = cells.get(1)?.strip_prefix('`')?.split(['`', '{']).next()?;
            let help = cells.get(2)?.trim_end_matches('.');
            (name.starts_with("elb_") || name.starts_with("process_")).then(|| format!("{name}: {help}"))
        };
        let told: BTreeSet<String> = page.lines().filter_map(row).collect();
        let full = |metric: &Metric| {
            let unit = metric.unit.as_ref().map(|unit| format!("_{}", unit.as_str())).unwrap_or_default();
            let total = if matches!(metric.kind, Counter) { "_total" } else { "" };
            format!("{}{unit}{total}: {}", metric.name, metric.help)
        };
        assert_eq!(told, METRICS.iter().map(full).collect());
    }
}
