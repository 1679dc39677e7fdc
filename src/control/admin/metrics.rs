//! Every metric of ELB, with its name, help, unit and where its rows come from: the only list of them.
//!
//! It owns the list and nothing that counts. Labels are names of the configuration and words of ELB's own, and there is a bound
//! on each set of them. Next: [`scrape`](super::scrape) gathers what rows are made of, and writes them.

use std::time::UNIX_EPOCH;

use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

pub(super) use self::rows::{Row, SERVERS, Value};
use self::rows::{
    build, bytes, code, domain, each, of_domains, one, reason_label, servers, some, times, upstream_requests,
    worker_label,
};
use super::measured::Measured;
use crate::control::replies::Working;
use crate::control::traffic::ByStatus;
use crate::link::Gauges;
use crate::stats::Requests;

/// One metric a line: name, kind, unit, help, and its rows.
pub(super) struct Metric {
    /// The unit stands behind it, and then `_total` behind that of a counter.
    pub(super) name: &'static str,
    pub(super) kind: MetricType,
    pub(super) unit: Option<Unit>,
    pub(super) help: &'static str,
    pub(super) rows: fn(&Measured) -> Vec<Row>,
}

use MetricType::{Counter, Gauge};

/// All of them, in the order in which they are shown.
pub(super) const METRICS: &[Metric] = &[
    metric("elb_build_info", Gauge, None, "1, with the version of ELB", build),
    metric("elb_client_connections", Gauge, None, "Connections of clients", |all| {
        each(all, |gauges| gauges.clients as f64)
    }),
    metric("elb_connections_accepted", Counter, None, "Connections of clients that were accepted", |all| {
        each(all, |gauges| gauges.accepted as f64)
    }),
    metric(
        "elb_worker_report_age",
        Gauge,
        Some(Unit::Seconds),
        "How old the numbers of a worker are; one that is much older than a second hangs",
        |all| {
            let ages = all.workers.iter().enumerate();
            ages.map(|(index, worker)| (worker_label(index), Value::Number(worker.age.as_secs_f64())))
                .collect()
        },
    ),
    metric("elb_requests_routed", Counter, None, "Requests that were put to the rules", |all| {
        each(all, |gauges| gauges.requests as f64)
    }),
    metric(
        "elb_requests",
        Counter,
        None,
        "Requests that are over, by the status that the client got; 499 if it went before",
        |all| {
            let rows = |name: &str, list: &ByStatus<Requests>| {
                let row = |(status, numbers): &(u16, Requests)| {
                    (code(domain(name), *status), Value::Number(numbers.requests as f64))
                };
                list.iter().map(row).collect::<Vec<_>>()
            };
            of_domains(all, rows)
        },
    ),
    metric("elb_received", Counter, Some(Unit::Bytes), "What clients sent of these requests", |all| {
        of_domains(all, |name, list| bytes(name, list, |numbers| numbers.received))
    }),
    metric("elb_sent", Counter, Some(Unit::Bytes), "What clients took of the answers to them", |all| {
        of_domains(all, |name, list| bytes(name, list, |numbers| numbers.sent))
    }),
    metric(
        "elb_domains_not_shown",
        Gauge,
        None,
        "Domains that had requests and are counted as _other_",
        |all| one(all.domains.not_shown as f64),
    ),
    metric(
        "elb_request_duration",
        MetricType::Histogram,
        Some(Unit::Seconds),
        "From the first byte of a request to its end",
        |all| times(&all.upstreams, |upstream| upstream.times.request),
    ),
    metric(
        "elb_server_response",
        MetricType::Histogram,
        Some(Unit::Seconds),
        "From the connection to a server to the head of its answer",
        |all| times(&all.upstreams, |upstream| upstream.times.response),
    ),
    metric(
        "elb_upstream_requests",
        Counter,
        None,
        "Requests that are over, by the server that got them last, which is none where none could",
        upstream_requests,
    ),
    metric(
        "elb_upstreams_not_shown",
        Gauge,
        None,
        "Upstreams that had requests and whose times are counted as _other_",
        |all| one(all.upstreams.not_shown as f64),
    ),
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
        all.gauges
            .refused
            .iter()
            .map(|(reason, count)| (reason_label(reason.word()), Value::Number(count as f64)))
            .collect()
    }),
    metric("elb_retries", Counter, None, "Requests that were sent once more, by what went before", |all| {
        all.gauges
            .retries
            .iter()
            .map(|(reason, count)| (reason_label(reason), Value::Number(count as f64)))
            .collect()
    }),
    metric("elb_retries_over_budget", Counter, None, "Second tries for which there was no budget", |all| {
        one(all.gauges.retries_over_budget as f64)
    }),
    metric("elb_fail_open", Counter, None, "Requests that went to a server although all were aside", |all| {
        one(all.gauges.fail_open as f64)
    }),
    metric("elb_searches_given_up", Counter, None, "Searches by backtracking that took too long", |all| {
        one(all.gauges.searches_given_up as f64)
    }),
    metric("elb_gzip_answers", Counter, None, "Answers that were compressed", |all| {
        one(all.gauges.gzip.answers as f64)
    }),
    metric("elb_gzip_content", Counter, Some(Unit::Bytes), "What their content was before", |all| {
        one(all.gauges.gzip.content_bytes as f64)
    }),
    metric("elb_gzip_sent", Counter, Some(Unit::Bytes), "What was made of it", |all| {
        one(all.gauges.gzip.sent_bytes as f64)
    }),
    metric("elb_gzip_skipped", Counter, None, "Answers that were not, as too many were at once", |all| {
        one(all.gauges.gzip.skipped as f64)
    }),
    metric("elb_patterns", Gauge, None, "Different patterns of the rules", |all| {
        one(all.patterns.patterns as f64)
    }),
    metric("elb_patterns_compiled", Gauge, None, "Patterns that are compiled at the moment", |all| {
        one(all.patterns.compiled as f64)
    }),
    metric("elb_pattern_memory", Gauge, Some(Unit::Bytes), "What compiled patterns take", |all| {
        one(all.patterns.bytes as f64)
    }),
    metric("elb_pattern_compilations", Counter, None, "How many times a pattern was compiled", |all| {
        one(all.patterns.compilations as f64)
    }),
    metric("elb_pattern_evictions", Counter, None, "Compiled patterns that made room for others", |all| {
        one(all.patterns.evictions as f64)
    }),
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
    metric(
        "elb_server_failures",
        Counter,
        None,
        "Tries of a server that failed, by what went wrong",
        |all| {
            let Gauges { retries, refused, .. } = &all.gauges;
            let failures = retries.failures_of_servers(refused).into_iter();
            failures.map(|(reason, count)| (reason_label(reason), Value::Number(count as f64))).collect()
        },
    ),
    metric(
        "elb_server_recent_failures",
        Gauge,
        None,
        "Failures of a server that count at the moment",
        |all| servers(all, |server| f64::from(server.failures)),
    ),
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
            let row = |(index, worker): (usize, &Working)| {
                Some((worker_label(index), Value::Number(worker.version? as f64)))
            };
            all.workers.iter().enumerate().filter_map(row).collect()
        },
    ),
    metric("elb_config_info", Gauge, None, "1, with the digest of the newest version", |all| {
        vec![(vec![("digest", all.status.digest.to_string())], Value::Number(1.0))]
    }),
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
    metric(
        "elb_store_age",
        Gauge,
        Some(Unit::Seconds),
        "How long ago the store was found well; one that answers is asked every few seconds",
        |all| some(all.store_age.map(|age| age.as_secs_f64())),
    ),
    metric("elb_log_lost_lines", Counter, None, "Lines of ELB's own log that were not written", |all| {
        one(all.lost_log_lines as f64)
    }),
    metric(
        "elb_access_log_lost_lines",
        Counter,
        None,
        "Requests without a line of the access log, as it was not written in time",
        |all| one(all.lost_lines as f64),
    ),
    metric("elb_certificates", Gauge, None, "Certificates that clients are shown", |all| {
        some(all.certificates.as_ref().map(|known| known.count as f64))
    }),
    metric(
        "elb_certificate_expiry",
        Gauge,
        Some(Unit::Seconds),
        "Until when the certificate is good that ends first, since 1970",
        |all| {
            let soonest = all.certificates.as_ref().and_then(|known| known.soonest.as_ref());
            some(soonest.and_then(|end| Some(end.at.duration_since(UNIX_EPOCH).ok()?.as_secs_f64())))
        },
    ),
    metric("elb_alarm", Gauge, None, "1 for each alarm that stands", |all| {
        let alarms = all.status.alarms.iter();
        alarms.map(|alarm| (vec![("code", alarm.code.word().to_owned())], Value::Number(1.0))).collect()
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

mod rows;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn full_name(metric: &Metric) -> String {
        let unit = metric.unit.as_ref().map(|unit| format!("_{}", unit.as_str())).unwrap_or_default();
        let total = if matches!(metric.kind, Counter) { "_total" } else { "" };
        format!("{}{unit}{total}", metric.name)
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
        let full = |metric: &Metric| format!("{}: {}", full_name(metric), metric.help);
        assert_eq!(told, METRICS.iter().map(full).collect());
    }

    #[test]
    fn the_board_shows_metrics_that_there_are() {
        let board = include_str!("../../../tools/grafana.json");
        let known: BTreeSet<String> = METRICS.iter().map(full_name).collect();
        let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
        let words = board
            .split(|c: char| !is_part(c))
            .filter(|word| word.starts_with("elb_") || word.starts_with("process_"));
        let mut seen = 0;
        for word in words {
            seen += 1;
            assert!(known.contains(word.trim_end_matches("_bucket")), "{word}");
        }
        assert!(seen > 20, "{seen}");
    }
}
