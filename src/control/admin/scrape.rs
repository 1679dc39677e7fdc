//! `/__erulb__/metrics`: the numbers of this process as Prometheus scrapes them.
//!
//! It owns what a scrape is made of and both forms of its text: that of Prometheus 0.0.4, and OpenMetrics 1.0 for who asks for it.
//! A scrape reads what workers said last, within a second, so it takes nothing of theirs. Next: [`metrics`](super::metrics) is
//! the list, [`workers`](super::workers) has some of it for people.

use std::fmt::Write;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::answer::Failure;
use super::measured::Measured;
use super::metrics::{METRICS, Metric, Value};
use super::process::{self, Process};
use crate::control::handle::HubHandle;
use crate::control::hub::Hub;
use crate::link::Gauges;
use crate::stats::histogram::{BOUNDS, Histogram};

/// The two forms of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Of Prometheus, which every reader knows.
    Text,
    OpenMetrics,
}

impl Form {
    /// The form that a reader asks for: Prometheus says that it would like OpenMetrics.
    fn of(headers: &HeaderMap) -> Self {
        let asks = |value: &axum::http::HeaderValue| {
            value.to_str().is_ok_and(|value| value.contains("application/openmetrics-text"))
        };
        if headers.get_all(header::ACCEPT).iter().any(asks) { Self::OpenMetrics } else { Self::Text }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Answers a scrape.
pub(super) async fn get(State(hub): State<HubHandle>, headers: HeaderMap) -> Result<Response, Failure> {
    let measure = |hub: &mut Hub, now| {
        let workers = hub.workers(now);
        let mut gauges = Gauges::default();
        workers.iter().for_each(|worker| gauges += worker.gauges);
        let traffic = hub.traffic();
        let (domains, nameless, upstreams) = (traffic.domains(), traffic.nameless(), traffic.upstreams());
        Measured {
            workers,
            gauges,
            servers: hub.servers(None).unwrap_or_default(),
            domains,
            nameless,
            upstreams,
            status: hub.status(),
            rejected: hub.rejected().len(),
            revision: hub.revision(),
            store_up: hub.store_fault().is_none(),
            store_age: hub.sources().store.age(now),
            lost_lines: hub.sources().access.count(),
            lost_log_lines: hub.sources().own.count(),
            certificates: hub.sources().certificates.get(),
            patterns: hub.library().patterns(),
            process: Process::default(),
        }
    };
    let mut measured = hub.ask_now(measure).await?;
    let form = Form::of(&headers);
    let text = hub.aside(move || {
        measured.process = process::read();
        shown(measured, form)
    });
    Ok(([(header::CONTENT_TYPE, form.kind())], text.await?).into_response())
}

fn shown(measured: Measured, form: Form) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(measured));
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = text::encode(&mut out, &registry);
    match form {
        Form::OpenMetrics => out,
        Form::Text => plain(&out),
    }
}

/// The text of Prometheus for one of OpenMetrics: there, a counter is named with its `_total` where it is described as well,
/// and neither units nor an end are told.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut help = None;
    for line in text.lines() {
        if line.starts_with("# HELP ") {
            help = line.strip_prefix("# HELP ").and_then(|line| line.split_once(' '));
        } else if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, kind) = described.split_once(' ').unwrap_or((described, "untyped"));
            let total = if kind == "counter" { "_total" } else { "" };
            if let Some((_, help)) = help.take() {
                // Writing to a string does not fail.
                let _ = writeln!(out, "# HELP {name}{total} {help}");
            }
            let _ = writeln!(out, "# TYPE {name}{total} {kind}");
        } else if !line.starts_with('#') {
            out.push_str(line);
            out.push('\n');
        }
    }
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
            for (mut labels, value) in rows {
                if labels.is_empty() {
                    // There is one row, and it takes the encoder.
                    put(metric, *kind, value)?;
                    break;
                }
                labels.iter_mut().for_each(|(_, value)| escape(value));
                put(metric.encode_family(&labels)?, *kind, value)?;
            }
        }
        Ok(())
    }
}

fn put(mut row: MetricEncoder<'_>, kind: MetricType, value: Value) -> Result<(), std::fmt::Error> {
    match value {
        Value::Number(number) if matches!(kind, MetricType::Counter) => ConstCounter::new(number).encode(row),
        Value::Number(number) => ConstGauge::new(number).encode(row),
        Value::Times(times) => {
            let sum = times.sum as f64 / 1e6;
            row.encode_histogram::<NoLabelSet>(sum, times.count(), &buckets(&times), None)
        }
    }
}

/// Bounds in seconds, each with what is in its bucket alone.
fn buckets(times: &Histogram) -> Vec<(f64, u64)> {
    let bounds = BOUNDS.iter().map(|bound| f64::from(*bound) / 1e6).chain([f64::MAX]);
    bounds.zip(times.buckets).collect()
}

/// A name of the configuration as the value of a label: the library writes it as it is, and a quote in it would end it.
fn escape(value: &mut String) {
    if value.contains(['\\', '"', '\n']) {
        *value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::control::admin::metrics::SERVERS;
    use crate::control::replies::{Status, Working};
    use crate::control::servers::Shown;
    use crate::control::traffic::{Listed, Upstream};
    use crate::model::PatternNumbers;
    use crate::stats::{Requests, Times};

    fn measured() -> Measured {
        let digest = crate::model::State::new().digest();
        let status = Status { version: 7, digest, unsaved: 1, applied: 1, workers: 1, alarms: Vec::new() };
        let gauges = Gauges { clients: 3, ..Gauges::default() };
        let age = Duration::ZERO;
        let server = Shown {
            id: None,
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
            statuses: vec![(0, 1), (200, 8)],
        };
        let numbers = Requests { requests: 3, forwarded: 3, received: 10, sent: 20 };
        let mut times = Times::default();
        times.request.add(Duration::from_millis(3));
        let upstream = Upstream { times, unserved: vec![(503, 2)] };
        Measured {
            workers: vec![Working { version: Some(6), gauges, age }],
            gauges,
            servers: vec![server; SERVERS + 5],
            domains: Listed {
                by_name: vec![("a.test".into(), vec![(200, numbers), (502, numbers)])],
                others: vec![(200, numbers)],
                not_shown: 4,
            },
            nameless: vec![(404, numbers)],
            upstreams: Listed {
                by_name: vec![("up".into(), upstream)],
                others: Upstream::default(),
                not_shown: 0,
            },
            status,
            rejected: 0,
            revision: 17,
            store_up: false,
            store_age: Some(Duration::from_millis(1500)),
            lost_lines: 5,
            lost_log_lines: 6,
            certificates: None,
            patterns: PatternNumbers { patterns: 3, compiled: 2, bytes: 40, compilations: 5, evictions: 3 },
            process: Process { cpu: Some(1.5), ..Process::default() },
        }
    }

    #[test]
    fn a_scrape_is_openmetrics() {
        let text = shown(measured(), Form::OpenMetrics);
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
            "elb_store_age_seconds 1.5",
            "elb_log_lost_lines_total 6.0",
            "elb_requests_total{domain=\"a.test\",code=\"502\"} 3.0",
            "elb_requests_total{domain=\"_other_\",code=\"200\"} 3.0",
            "elb_requests_total{domain=\"_none_\",code=\"404\"} 3.0",
            "elb_sent_bytes_total{domain=\"a.test\"} 40.0",
            "elb_domains_not_shown 4.0",
            "# TYPE elb_request_duration_seconds histogram",
            "elb_request_duration_seconds_sum{upstream=\"up\"} 0.003",
            "elb_request_duration_seconds_count{upstream=\"up\"} 1",
            "elb_request_duration_seconds_bucket{le=\"0.0025\",upstream=\"up\"} 0",
            "elb_request_duration_seconds_bucket{le=\"0.005\",upstream=\"up\"} 1",
            "elb_request_duration_seconds_bucket{le=\"+Inf\",upstream=\"up\"} 1",
            "elb_upstream_requests_total{upstream=\"up\",server=\"\",address=\"\",code=\"503\"} 2.0",
            "elb_upstream_requests_total{upstream=\"u\\\"p\\n\",server=\"a:1\",address=\"\",code=\"other\"} 1.0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{}", &text[..2000]);
        }
        let digest = format!("elb_config_info{{digest=\"{}\"}} 1.0", measured().status.digest);
        assert!(text.lines().any(|found| found == digest), "{digest}");
        assert!(text.ends_with("# EOF\n"));
        assert_eq!(text.lines().filter(|line| line.starts_with("elb_server_up{")).count(), SERVERS);
        assert!(!text.contains("elb_retries_total"), "what never was has no row");
        assert!(!text.contains("elb_server_response_seconds"), "nobody answered");
        let plain = shown(measured(), Form::Text);
        for line in [
            "# HELP elb_requests_total Requests that are over, by the status that the client got; 499 if it went before",
            "# TYPE elb_requests_total counter",
            "# TYPE process_cpu_seconds_total counter",
            "# TYPE elb_request_duration_seconds histogram",
            "# TYPE elb_client_connections gauge",
            "process_cpu_seconds_total 1.5",
        ] {
            assert!(plain.lines().any(|found| found == line), "{line}\n{}", &plain[..2000]);
        }
        assert!(!plain.contains("# UNIT") && !plain.contains("# EOF"));
        assert_eq!(Form::of(&HeaderMap::new()), Form::Text);
        let accepts = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2";
        assert_eq!(
            Form::of(&HeaderMap::from_iter([(header::ACCEPT, accepts.parse().unwrap())])),
            Form::OpenMetrics
        );
    }
}
