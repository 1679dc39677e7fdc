//! A server picked and given back. Good: 5 ns for the only one, 15 ns for one of three, 2 ns for each beyond. Of eight: 50 ns
//! by chance, 100 ns for the one with the fewest requests, 350 ns for the one that answers soonest, both the same of a hundred;
//! a key costs 20 ns for each server, and 30 ns with a bound.

use std::sync::Arc;
use std::time::Instant;

use criterion::{Criterion, Throughput};
use elb::data::balancer::{Affinity, Balancer, Choice, Tried};
use elb::exchange::Sign;
use elb::model::UpstreamOptions;

use crate::samples;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("balancer");
    group.throughput(Throughput::Elements(1));
    let now = Instant::now();
    let methods = ["random", "least_conn", "ewma", "hash key=client", "hash key=client hash_balance=1.25"];
    let rounds = [1, 3, 8, 100].map(|servers| (servers, "round_robin"));
    let others = methods.iter().flat_map(|method| [8, 100].map(|servers| (servers, *method)));
    for (servers, method) in rounds.into_iter().chain(others) {
        let snapshot = samples::snapshot(&mut samples::state(0, &samples::direct(), servers));
        let Some(upstream) = snapshot.upstream_named("up") else { panic!("no upstream") };
        let Ok(options) = UpstreamOptions::parse(&format!("method={method}")) else { panic!("no {method}") };
        let upstream = Arc::new(elb::model::Upstream { options, ..(**upstream).clone() });
        let mut balancer = Balancer::new(&upstream, 1);
        let (tried, mut affinity) = (Tried::new(), Affinity::default());
        group.bench_function(format!("{servers} servers, {method}"), |bencher| {
            bencher.iter(|| {
                affinity.key = affinity.key.wrapping_add(1);
                let choice = Choice { tried: &tried, now, affinity: &affinity };
                let (index, lease) = balancer.pick(&choice)?;
                balancer.done(lease, Sign::Good, now, now);
                Some(index)
            });
        });
    }
    group.finish();
}
