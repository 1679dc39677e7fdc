//! A server picked and given back. Good: 5 ns for the only one, 15 ns for one of three, 2 ns for each beyond.

use std::time::Instant;

use criterion::{Criterion, Throughput};
use elb::data::balancer::{Balancer, Choice, Tried};
use elb::exchange::Sign;

use crate::samples;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("balancer");
    group.throughput(Throughput::Elements(1));
    let now = Instant::now();
    for servers in [1, 3, 100] {
        let snapshot = samples::snapshot(&mut samples::state(0, &samples::direct(), servers));
        let Some(upstream) = snapshot.upstream_named("up") else { panic!("no upstream") };
        let mut balancer = Balancer::new(upstream, 1);
        let tried = Tried::new();
        group.bench_function(format!("{servers} servers"), |bencher| {
            bencher.iter(|| {
                let (index, lease) = balancer.pick(&Choice::new(&tried, now))?;
                balancer.done(lease, Sign::Good, now, now);
                Some(index)
            });
        });
    }
    group.finish();
}
