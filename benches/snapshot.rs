//! A change of one domain among 100,000: what control spends on it, and what a worker does. Good: 5 ms for control, off
//! every request's way; 100 ns for the worker, whose pause the swap is.

use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput};
use elb::data::pool::Pool;
use elb::data::view::View;
use elb::exchange::RouteRequest;
use elb::model::Edit;
use serde_json::{Map, Value};

use crate::samples;

const DOMAINS: usize = 100_000;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot");
    let mut state = samples::state(DOMAINS, &samples::direct(), 3);
    let first = samples::snapshot(&mut state);

    group.sample_size(20);
    group.throughput(Throughput::Elements(DOMAINS as u64));
    let mut version = 1;
    let mut current = Arc::clone(&first);
    group.bench_function("one of 100000 domains changes, control", |bencher| {
        bencher.iter(|| {
            version += 1;
            let rules = if version % 2 == 0 { samples::chain() } else { samples::direct() };
            let change: Map<String, Value> = Map::from_iter([(samples::host(4711), rules)]);
            if let Err(fault) = state.edit(Edit::PutDomains(change)) {
                panic!("a sample is faulty: {fault:?}");
            }
            current = Arc::new(state.snapshot(version));
        });
    });

    group.throughput(Throughput::Elements(1));
    let mut view = View::new(Arc::clone(&first), 0);
    let mut pool = Pool::new(64, Duration::from_secs(60));
    let host = samples::host(17);
    let request =
        RouteRequest { host: host.as_bytes(), host_normal: host.as_bytes(), path: b"/128", user_agent: None };
    let mut others = [first, current].into_iter().cycle();
    group.bench_function("one of 100000 domains changes, worker, with the next request", |bencher| {
        bencher.iter_batched(
            || others.next(),
            |snapshot| {
                let old = snapshot.map(|snapshot| view.swap(snapshot));
                view.route(&request, &mut pool);
                // Control frees it.
                old
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}
