//! Shares of the methods, keys and their bounds.

use super::*;
use crate::data::draws::mix;

const PICKS: usize = 100_000;

/// Servers with these weights, and the options.
pub(super) fn with_options(weights: &[u32], options: &str) -> Arc<Upstream> {
    let mut upstream = (*weighted(weights)).clone();
    upstream.options = UpstreamOptions::parse(options).unwrap();
    Arc::new(upstream)
}

/// How many of [`PICKS`] each server gets of so many workers, one after the other; each answers before the next.
fn picks(upstream: &Arc<Upstream>, workers: u64) -> Vec<usize> {
    let mut balancers: Vec<Balancer> = (0..workers).map(|seed| Balancer::new(upstream, mix(seed))).collect();
    let (now, tried) = (Instant::now(), Tried::new());
    let mut picks = vec![0; upstream.servers.len()];
    for number in 0..PICKS {
        let balancer = &mut balancers[number % workers as usize];
        let affinity = Affinity { key: mix(number as u64), sticky: 0 };
        let choice = Choice { affinity: &affinity, ..choice(&tried, now) };
        let (at, lease) = balancer.pick(&choice).unwrap();
        picks[at] += 1;
        balancer.done(lease, Sign::Good, now, now);
    }
    picks
}

fn assert_shares(weights: &[u32], options: &str, workers: u64, within: f64) {
    let all: u32 = weights.iter().sum();
    let picks = picks(&with_options(weights, options), workers);
    for (picks, weight) in picks.iter().zip(weights) {
        let expected = PICKS as f64 * f64::from(*weight) / f64::from(all);
        let off = (*picks as f64 / expected - 1.0).abs();
        assert!(off <= within, "{options} {weights:?} {workers}: {picks} for {expected}");
    }
}

#[test]
fn shares_are_those_of_the_weights_with_one_worker_and_with_eight() {
    for workers in [1, 8] {
        for weights in [&[5, 1, 1][..], &[1; 7], &[100, 1], &[3, 2, 7, 11]] {
            assert_shares(weights, "", workers, 0.01);
        }
        // Chance is off by its nature: by no more than five times what is usual of it.
        for options in ["method=random", "method=least_conn", "method=ewma", "method=hash key=client"] {
            assert_shares(&[5, 1, 1], options, workers, 0.05);
        }
        assert_shares(&[1; 20], "method=least_conn", workers, 0.08);
    }
    let sequence = Scene::new(&with_options(&[5, 1, 1], "sticky=cookie:s")).sequence(7);
    assert_eq!(sequence, "aabacaa", "the sequence is the same where more is asked for");
}

/// Which server each of so many keys belongs to.
fn owners(balancer: &mut Balancer, keys: u64, now: Instant) -> Vec<char> {
    let tried = Tried::new();
    let owner = |key| {
        let (at, lease) = balancer
            .pick(&Choice { affinity: &Affinity { key: mix(key), sticky: 0 }, ..choice(&tried, now) })
            .unwrap();
        let name = balancer.upstream().servers[at].spec.name.chars().next().unwrap();
        balancer.done(lease, Sign::Nothing, now, now);
        name
    };
    (0..keys).map(owner).collect()
}

#[test]
fn a_server_that_goes_takes_its_own_keys_along_and_no_others() {
    const KEYS: u64 = 50_000;
    let now = Instant::now();
    for count in [3, 10, 25] {
        for options in ["method=hash key=client", "method=hash key=client hash_balance=2"] {
            let all = with_options(&vec![2; count], options);
            let before = owners(&mut Balancer::new(&all, 0), KEYS, now);
            assert_eq!(before, owners(&mut Balancer::new(&all, 77), KEYS, now), "each worker has the same");
            for gone in [0, count / 2, count - 1] {
                let mut fewer = (*all).clone();
                let name = fewer.servers.remove(gone).spec.name.chars().next().unwrap();
                let after = owners(&mut Balancer::new(&Arc::new(fewer), 0), KEYS, now);
                let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
                assert!(before.iter().zip(&after).all(|(before, after)| before == after || *before == name));
                assert!(moved as f64 <= 1.1 * KEYS as f64 / count as f64, "{moved} of {count}");
                let heirs = before.iter().zip(&after).filter(|(before, _)| **before == name);
                let heirs: std::collections::HashSet<char> = heirs.map(|(_, after)| *after).collect();
                assert_eq!(heirs.len(), count - 1, "everybody inherits");
            }
        }
    }
}

#[test]
fn keys_of_a_server_that_is_aside_come_back_to_it() {
    let mut scene = Scene::new(&with_options(&[1; 5], "method=hash key=client"));
    let before = owners(&mut scene.balancer, 1_000, scene.now);
    scene.balancer.upstream().servers[2].state.fail(Blame::ErrorStatus, false, 1, scene.now);
    let meanwhile = owners(&mut scene.balancer, 1_000, scene.now);
    assert!(before.iter().zip(&meanwhile).all(|(before, now)| (before == now) == (*before != 'c')));
    scene.balancer.upstream().servers[2].state.forgive();
    assert_eq!(before, owners(&mut scene.balancer, 1_000, scene.now));
}

#[test]
fn no_server_has_more_than_its_bound_of_the_requests_under_way() {
    for weights in [&[1; 10][..], &[5, 1, 1, 3]] {
        let upstream = with_options(weights, "method=hash key=client hash_balance=1.25");
        let mut workers = [0, 1, 2].map(|seed| Balancer::new(&upstream, seed));
        let (now, tried, all) = (Instant::now(), Tried::new(), weights.iter().sum::<u32>());
        let mut under_way = Vec::new();
        for number in 0..3_000_u64 {
            // Every second request has the same key.
            let key = if number % 2 == 0 { 1 } else { mix(number) };
            let worker = number as usize % 3;
            let (at, lease) = workers[worker]
                .pick(&Choice { affinity: &Affinity { key, sticky: 0 }, ..choice(&tried, now) })
                .unwrap();
            under_way.push((worker, lease));
            let total = under_way.len() as f64;
            let active = f64::from(upstream.servers[at].state.load().active());
            let bound = (1.25 * total * f64::from(weights[at]) / f64::from(all)).ceil();
            assert!(active <= bound, "{active} of {total}, not above {bound}");
            if number % 3 == 0 {
                let (worker, lease) = under_way.swap_remove(mix(number) as usize % under_way.len());
                workers[worker].done(lease, Sign::Good, now, now);
            }
        }
        assert!(under_way.len() > 1_000);
    }
}

#[test]
fn least_conn_looks_at_the_requests_of_all_workers() {
    let upstream = with_options(&[2, 1, 1], "method=least_conn");
    let (mut one, mut other) = (Scene::new(&upstream), Scene::new(&upstream));
    let leases: Vec<_> = (0..40).map(|_| one.take().unwrap().1).collect();
    let active = || upstream.servers.iter().map(|server| server.state.load().active()).collect::<Vec<_>>();
    assert_eq!(active(), [20, 10, 10]);
    let (first, rest): (Vec<_>, Vec<_>) = leases.into_iter().partition(|lease| lease.unmarked() == 1);
    first.into_iter().for_each(|lease| one.done(lease, Sign::Good));
    let taken: String = (0..8).map(|_| other.take().unwrap().0).collect();
    assert_eq!(taken, "b".repeat(8), "whoever has least, and other workers know it");
    rest.into_iter().for_each(|lease| one.done(lease, Sign::Nothing));
    assert_eq!(active(), [0, 8, 0]);
}

#[test]
fn methods_of_large_upstreams_use_every_server() {
    for options in ["method=least_conn", "method=ewma", "method=random"] {
        let upstream = with_options(&[1; 25], options);
        let mut scene = Scene::new(&upstream);
        let _leases: Vec<_> = (0..250).map(|_| scene.take().unwrap().1).collect();
        let active: Vec<u32> = upstream.servers.iter().map(|server| server.state.load().active()).collect();
        assert!(active.iter().all(|active| (1..=25).contains(active)), "{options}: {active:?}");
    }
}
