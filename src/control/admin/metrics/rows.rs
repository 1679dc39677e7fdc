//! Rows of metrics: of each worker, server, domain and upstream, with their labels.
//!
//! It owns what labels a row has, never which metrics there are. Next: [`METRICS`](super::METRICS) names them.

use crate::control::admin::measured::Measured;
use crate::control::admin::servers::word_of;
use crate::control::servers::Shown;
use crate::control::traffic::{ByStatus, Listed, Upstream};
use crate::link::Gauges;
use crate::stats::Requests;
use crate::stats::histogram::Histogram;

/// Servers that are shown at most, each at one of its addresses; a metric tells how many are not.
pub(in crate::control::admin) const SERVERS: usize = 10_000;

/// Labels and a value.
pub(in crate::control::admin) type Row = (Labels, Value);
/// Names and values, these not yet escaped.
pub(in crate::control::admin) type Labels = Vec<(&'static str, String)>;
/// What a row shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::control::admin) enum Value {
    /// One number.
    Number(f64),
    /// How many took how long.
    Times(Histogram),
}

/// Stands for all names that have no row of their own.
pub(super) const OTHERS: &str = "_other_";
/// Stands for no domain: the host of the request is none, or its head was refused.
pub(super) const NO_DOMAIN: &str = "_none_";

pub(super) fn one(value: f64) -> Vec<Row> {
    vec![(Vec::new(), Value::Number(value))]
}

pub(super) fn some(value: Option<f64>) -> Vec<Row> {
    value.map(one).unwrap_or_default()
}

pub(super) fn build(_: &Measured) -> Vec<Row> {
    vec![(vec![("version", env!("CARGO_PKG_VERSION").to_owned())], Value::Number(1.0))]
}

pub(super) fn reason_label(reason: &str) -> Labels {
    vec![("reason", reason.to_owned())]
}

pub(super) fn worker_label(index: usize) -> Labels {
    vec![("worker", index.to_string())]
}

pub(super) fn domain(name: &str) -> Labels {
    vec![("domain", name.to_owned())]
}

pub(super) fn code(mut labels: Labels, status: u16) -> Labels {
    labels.push(("code", word_of(status)));
    labels
}

/// A number of each worker.
pub(super) fn each(all: &Measured, number: fn(&Gauges) -> f64) -> Vec<Row> {
    let workers = all.workers.iter().enumerate();
    workers.map(|(index, worker)| (worker_label(index), Value::Number(number(&worker.gauges)))).collect()
}

pub(super) fn of_server(server: &Shown) -> Labels {
    vec![
        ("upstream", server.upstream.to_string()),
        ("server", server.server.clone()),
        ("address", server.address.clone().unwrap_or_default()),
    ]
}

/// A number of each server at each of its addresses.
pub(super) fn servers(all: &Measured, number: fn(&Shown) -> f64) -> Vec<Row> {
    let row = |server: &Shown| (of_server(server), Value::Number(number(server)));
    all.servers.iter().take(SERVERS).map(row).collect()
}

/// Rows of each domain, of all others together, and of none.
pub(super) fn of_domains(all: &Measured, rows: impl Fn(&str, &ByStatus<Requests>) -> Vec<Row>) -> Vec<Row> {
    let named = all.domains.by_name.iter().flat_map(|(name, list)| rows(name, list));
    named.chain(rows(OTHERS, &all.domains.others)).chain(rows(NO_DOMAIN, &all.nameless)).collect()
}

pub(super) fn bytes(name: &str, list: &ByStatus<Requests>, number: fn(&Requests) -> u64) -> Vec<Row> {
    if list.is_empty() {
        return Vec::new();
    }
    let sum: u64 = list.iter().map(|(_, numbers)| number(numbers)).sum();
    vec![(domain(name), Value::Number(sum as f64))]
}

/// Times of each upstream that had some, and of all others together.
pub(super) fn times(all: &Listed<Upstream>, of: fn(&Upstream) -> Histogram) -> Vec<Row> {
    let others = [(OTHERS, &all.others)].into_iter();
    let named = all.by_name.iter().map(|(name, upstream)| (&**name, upstream));
    let row = |(name, upstream): (&str, &Upstream)| {
        (vec![("upstream", name.to_owned())], Value::Times(of(upstream)))
    };
    let is_any = |row: &Row| matches!(row.1, Value::Times(times) if times.count() > 0);
    named.chain(others).map(row).filter(is_any).collect()
}

pub(super) fn upstream_requests(all: &Measured) -> Vec<Row> {
    let row = |labels: Labels, (status, requests): &(u16, u64)| {
        (code(labels, *status), Value::Number(*requests as f64))
    };
    let servers = all.servers.iter().take(SERVERS);
    let served =
        servers.flat_map(|server| server.statuses.iter().map(move |one| row(of_server(server), one)));
    let nobody = |name: &str| {
        vec![("upstream", name.to_owned()), ("server", String::new()), ("address", String::new())]
    };
    let others = [(OTHERS, &all.upstreams.others)].into_iter();
    let upstreams = all.upstreams.by_name.iter().map(|(name, upstream)| (&**name, upstream)).chain(others);
    let unserved = upstreams
        .flat_map(|(name, upstream)| upstream.unserved.iter().map(move |one| row(nobody(name), one)));
    served.chain(unserved).collect()
}
