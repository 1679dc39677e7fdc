//! A change of one among many: what control spends on it, and what a worker does. Good: 80 µs for control with ten thousand
//! domains and upstreams, a millisecond with a hundred thousand, the digest included; 250 ns for the worker, whose pause the swap is, and 20 µs
//! for what it looks through once in the second after a change.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion};
use elb::data::pool::Pool;
use elb::data::terms::Defaults;
use elb::data::view::{Routed, View};
use elb::exchange::Policy;
use elb::model::{Edit, Snapshot, State};
use elb::semantics::Sketch;
use elb::tls::Trust;
use serde_json::{Map, Value, json};

use crate::samples;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot");
    group.sample_size(20);
    domains(&mut group, 100_000, samples::state(100_000, &samples::direct(), 3));
    domains(&mut group, 10_000, samples::state_of_pairs(10_000));
    upstreams(&mut group, 10_000);
    group.finish();
}

fn put(state: &mut State, edit: Edit) {
    if let Err(fault) = state.edit(edit) {
        panic!("a sample is faulty: {fault:?}");
    }
}

/// What control does with a change: a snapshot, its digest, and what is told of it.
fn follow(state: &mut State, version: u64) -> Arc<Snapshot> {
    let snapshot = Arc::new(state.snapshot(version));
    black_box((state.digest(), state.take_differences()));
    snapshot
}

/// One domain gets other rules and its own again.
fn domains(group: &mut BenchmarkGroup<'_, WallTime>, count: usize, mut state: State) {
    let mut version = 1;
    let mut current = Arc::new(state.snapshot(version));
    let first = Arc::clone(&current);
    group.bench_function(format!("one of {count} domains changes, control"), |bencher| {
        bencher.iter(|| {
            version += 1;
            let rules = if version % 2 == 0 { samples::chain() } else { samples::direct() };
            put(&mut state, Edit::PutDomains(Map::from_iter([(samples::host(4711), rules)])));
            current = follow(&mut state, version);
        });
    });
    group.bench_function(format!("one of {count} domains comes and goes, control"), |bencher| {
        bencher.iter(|| {
            version += 1;
            let name = "new.test".to_owned();
            let edit = match version % 2 {
                0 => Edit::PutDomains(Map::from_iter([(name, samples::direct())])),
                _ => Edit::DeleteDomains(vec![name]),
            };
            put(&mut state, edit);
            current = follow(&mut state, version);
        });
    });
    worker(group, &format!("one of {count} domains changes"), [first, current]);
}

/// One upstream gets another server.
fn upstreams(group: &mut BenchmarkGroup<'_, WallTime>, count: usize) {
    let mut state = samples::state_of_pairs(count);
    let mut version = 1;
    let mut current = Arc::new(state.snapshot(version));
    let first = Arc::clone(&current);
    group.bench_function(format!("one of {count} upstreams changes, control"), |bencher| {
        bencher.iter(|| {
            version += 1;
            let server: Value = json!({format!("10.255.0.{}:80", 1 + version % 2): ""});
            put(&mut state, Edit::PutUpstreams(Map::from_iter([("up4711".to_owned(), server)])));
            current = follow(&mut state, version);
        });
    });
    worker(group, &format!("one of {count} upstreams changes"), [first, current]);
}

/// The worker has used every domain, and so every upstream, before it changes over.
fn worker(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, snapshots: [Arc<Snapshot>; 2]) {
    let Ok(toward) = Trust::nobody().toward() else { panic!("no suites") };
    let (mut view, mut pool) = (
        View::new(Arc::clone(&snapshots[0]), 0, Defaults::new(&Policy::for_tests(), 20, 1, toward)),
        Pool::new(64, Duration::from_secs(60)),
    );
    let request = browser();
    for number in 0..snapshots[0].domain_count() {
        ask(&mut view, &mut pool, &request, &samples::host(number));
    }
    let mut others = snapshots.iter().cycle();
    let mut next = || others.next().map(Arc::clone);
    let host = samples::host(17);
    group.bench_function(format!("{name}, worker, with the next request"), |bencher| {
        bencher.iter_batched(
            &mut next,
            |snapshot| {
                let old = snapshot.map(|snapshot| view.swap(snapshot));
                ask(&mut view, &mut pool, &request, &host);
                // Control frees it.
                old
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function(format!("{name}, worker, once in the second after"), |bencher| {
        bencher.iter_batched(
            &mut next,
            |snapshot| {
                let old = snapshot.map(|snapshot| view.swap(snapshot));
                view.sweep(&mut pool);
                old
            },
            BatchSize::SmallInput,
        );
    });
}

fn ask(view: &mut View, pool: &mut Pool, request: &Sketch, host: &str) {
    let mut seen = request.view();
    (seen.host, seen.canonical_host) = (host.as_bytes(), host.as_bytes());
    let now = std::time::Instant::now();
    if let Routed::Forward { upstream, .. } = view.route(&seen, (0, now), || seen).routed {
        view.current(upstream, pool);
    }
}

/// What is asked of every host.
fn browser() -> Sketch {
    Sketch::new("", "/shop/item/128").agent(Some("Mozilla/5.0 Chrome/124.0.0.0"))
}
