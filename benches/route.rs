//! From a request to its backend. Good: 50 ns for a domain without rules, however many domains there are as long as
//! they are in cache, and 300 ns when another one of 100,000 is asked each time; 150 ns with a user agent regex and two
//! path regexes.
//!
//! All domains of a case have equal rules, and so one rule set in memory: "in turn" reads a line of the index and a line
//! of the domain that are not in cache. With rules of its own each domain costs two lines more.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use elb::model::{Scratch, Silent, Snapshot, Verdict, route};
use elb::semantics::Sketch;
use serde_json::Value;

use crate::samples;

/// Coprime to the numbers of domains: neighbours in turn are no neighbours in memory.
const STRIDE: usize = 7919;

pub(crate) fn bench(criterion: &mut Criterion) {
    let cases = [
        ("backend, 1 domain", 1, samples::direct()),
        ("backend, 100000 domains", 100_000, samples::direct()),
        ("regex chain, 1 domain", 1, samples::chain()),
        ("regex chain, 10000 domains", 10_000, samples::chain()),
        ("one question of each kind, 1 domain", 1, samples::questions()),
        ("a split by client, 1 domain", 1, samples::split()),
    ];
    let mut group = criterion.benchmark_group("route");
    group.throughput(Throughput::Elements(1));
    for (name, domains, rules) in &cases {
        let snapshot = samples::snapshot(&mut samples::state(*domains, rules, 1));
        let hosts: Vec<String> =
            (0..*domains).map(|number| samples::host(number * STRIDE % domains)).collect();
        let (mut scratch, request) = (Scratch::new(), browser());
        group.bench_function(format!("{name}, the same"), |bencher| {
            bencher.iter(|| ask(&snapshot, &request, &hosts[0], &mut scratch));
        });
        if *domains > 1 {
            let mut turn = hosts.iter().cycle();
            group.bench_function(format!("{name}, in turn"), |bencher| {
                bencher.iter(|| turn.next().map(|host| ask(&snapshot, &request, host, &mut scratch)));
            });
        }
    }
    unknown(&mut group, &samples::direct());
    group.finish();
}

/// A host that no domain has: as many look-ups as there can be.
fn unknown(group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>, rules: &Value) {
    let snapshot = samples::snapshot(&mut samples::state(1000, rules, 1));
    let (mut scratch, request) = (Scratch::new(), browser());
    group.bench_function("no domain", |bencher| {
        bencher.iter(|| ask(&snapshot, &request, "www.unknown.example.com", &mut scratch));
    });
}

/// Whether the request goes anywhere.
fn ask(snapshot: &Snapshot, request: &Sketch, host: &str, scratch: &mut Scratch) -> bool {
    let mut view = request.view();
    (view.host, view.canonical_host) = (black_box(host.as_bytes()), host.as_bytes());
    let decision = route(snapshot, &view, 0, scratch, &mut Silent);
    matches!(decision.verdict, Verdict::Forward { .. })
}

/// What is asked of every host.
fn browser() -> Sketch {
    Sketch::new("", "/shop/item/128")
        .query("from=mail&page=2")
        .client("192.0.2.1")
        .field("Accept", "text/html,application/xhtml+xml")
        .field("Cookie", "session=eyJhbGciOiJIUzI1NiJ9; group=alpha")
        .agent(Some("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/124.0.0.0 Safari/537.36"))
}
