//! The tail of latencies in a simulated fleet: servers with few places and a queue, one of which is slow half of the time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::*;
use crate::data::draws::Draws;

/// Servers, and the places of each.
const SERVERS: usize = 8;
const PLACES: usize = 4;
/// Requests a second: 60 % of what the servers can.
const RATE: f64 = 1_920.0;

/// What happens to the first one.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    /// Nothing, and how long each request takes is as different as can be: one in a hundred takes 200 times as long.
    Uneven,
    /// Ten times as slow for 5 s of every 10.
    Slow,
    /// The same, and all that happens in 40 ms of each second is seen at their end: first all requests, then all answers.
    SlowBesidePauses,
    /// It takes requests and answers none from the fifth second on.
    Stalls,
}

struct Request {
    at: f64,
    lease: Lease,
    balancer: usize,
}

#[derive(Default)]
struct Fleet {
    busy: [usize; SERVERS],
    queues: [VecDeque<Request>; SERVERS],
}

/// A whole number of nanoseconds orders events.
fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// When something that happens is seen.
fn seen(trouble: Trouble, seconds: f64) -> f64 {
    let into = seconds % 1.0;
    if trouble == Trouble::SlowBesidePauses && into < 0.040 { seconds - into + 0.040 } else { seconds }
}

fn chance(draws: &mut Draws) -> f64 {
    ((draws.draw() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// Milliseconds in order, and when each server was given its requests.
fn simulate(options: &str, trouble: Trouble, seconds: f64, seed: u64) -> (Vec<f64>, [Vec<f64>; SERVERS]) {
    let mut definition = (*weighted(&[1; SERVERS])).clone();
    definition.options = UpstreamOptions::parse(options).unwrap();
    let definition = Arc::new(definition);
    let mut balancers = [0, 1].map(|worker| Balancer::new(&definition, seed + worker));
    let (start, mut draws, mut fleet) = (Instant::now(), Draws::new(seed), Fleet::default());
    let at = |seconds: f64| start + Duration::from_nanos(nanos(seconds));
    let (mut events, mut under_way, mut latencies) = (BinaryHeap::new(), Vec::new(), Vec::new());
    let mut given: [Vec<f64>; SERVERS] = Default::default();
    let mut arrival = 0.0;
    loop {
        let next: Option<&Reverse<(u64, usize, usize)>> = events.peek();
        let is_arrival =
            next.is_none_or(|Reverse((ends, ..))| *ends > nanos(seen(trouble, arrival))) && arrival < seconds;
        let (now, server) = if is_arrival {
            let now = seen(trouble, arrival);
            arrival += -chance(&mut draws).ln() / RATE;
            let balancer = (draws.draw() % 2) as usize;
            let tried = Tried::new();
            let (server, lease) = balancers[balancer].pick(&choice(&tried, at(now))).unwrap();
            given[server].push(now);
            fleet.queues[server].push_back(Request { at: now, lease, balancer });
            (now, server)
        } else {
            let Some(Reverse((ends, server, number))) = events.pop() else { break };
            let now = ends as f64 / 1e9;
            let Request { at: began, lease, balancer } = Option::take(&mut under_way[number]).unwrap();
            balancers[balancer].done(lease, Sign::Good, at(began), at(now));
            latencies.push((now - began) * 1e3);
            fleet.busy[server] -= 1;
            (now, server)
        };
        let in_trouble = server == 0
            && if matches!(trouble, Trouble::Slow | Trouble::SlowBesidePauses) {
                now % 10.0 >= 5.0
            } else {
                now >= 5.0
            };
        if in_trouble && trouble == Trouble::Stalls {
            continue;
        }
        while fleet.busy[server] < PLACES {
            let Some(request) = fleet.queues[server].pop_front() else { break };
            let slower = match trouble {
                Trouble::Uneven if chance(&mut draws) < 0.01 => 67.0,
                Trouble::Uneven => 1.0 / 3.0,
                _ if in_trouble => 10.0,
                _ => 1.0,
            };
            let service = (0.005 + 0.010 * chance(&mut draws)) * slower;
            fleet.busy[server] += 1;
            events.push(Reverse((nanos(seen(trouble, now + service)) + 1, server, under_way.len())));
            under_way.push(Some(request));
        }
    }
    latencies.sort_by(f64::total_cmp);
    (latencies, given)
}

fn at_share(latencies: &[f64], share: f64) -> f64 {
    latencies[((latencies.len() - 1) as f64 * share) as usize]
}

fn asked_in_trouble(given: &[f64]) -> usize {
    given.iter().filter(|at| **at % 10.0 >= 5.0).count()
}

/// The figures of the manual, with room for another seed: 16 ms and 141 ms of `least_conn`, 15 ms and 19 ms of `ewma`; every
/// method that does not look drowns the slow server, which makes seconds.
#[test]
fn a_slow_server_is_seen_by_those_who_look() {
    for seed in 0..2 {
        let (all, given) = simulate("method=least_conn", Trouble::Slow, 20.0, seed);
        let (p99, p999) = (at_share(&all, 0.99), at_share(&all, 0.999));
        assert!(p99 < 20.0 && p999 < 160.0, "least_conn: {p99} {p999}");
        let few = asked_in_trouble(&given[0]);
        let (all, given) = simulate("method=ewma", Trouble::Slow, 20.0, seed);
        let (p99, p999) = (at_share(&all, 0.99), at_share(&all, 0.999));
        assert!(p99 < 16.0 && p999 < 40.0, "ewma: {p99} {p999}");
        assert!(asked_in_trouble(&given[0]) * 5 < few, "{} and {few}", asked_in_trouble(&given[0]));
    }
    let (all, _) = simulate("", Trouble::Slow, 20.0, 0);
    assert!(at_share(&all, 0.99) > 1_000.0, "who does not look drowns it");
}

/// Silence that all have in common says nothing of any of them, and the slow one, whose answers may take long, is not to have all
/// requests of such a moment: that made 64 ms and 200 ms of these 47 ms and 107 ms.
#[test]
fn a_moment_in_which_nobody_answers_is_not_the_fault_of_all_but_the_slow_one() {
    for seed in 0..4 {
        let (all, _) = simulate("method=ewma", Trouble::SlowBesidePauses, 20.0, seed);
        let (p99, p999, most) = (at_share(&all, 0.99), at_share(&all, 0.999), at_share(&all, 1.0));
        assert!(p99 < 60.0 && p999 < 200.0 && most < 1_000.0, "{p99} {p999} {most}");
    }
}

#[test]
fn a_server_that_begins_to_stall_gets_no_new_request_within_three_times_its_latency() {
    for seed in 0..4 {
        let (_, given) = simulate("method=ewma", Trouble::Stalls, 10.0, seed);
        // What it has begun it ends, 15 ms later at most; then its latency of 10 ms counts.
        let late: Vec<f64> = given[0].iter().copied().filter(|at| *at > 5.0 + 0.015 + 3.0 * 0.010).collect();
        assert!(late.len() <= 5 && late.iter().all(|at| *at > 5.9), "one a second, to see: {late:?}");
    }
}

/// `ewma` takes chance for a difference now and then, as requests are here; and for no more than it should.
#[test]
fn servers_that_are_alike_get_alike_though_their_requests_are_not() {
    let mut tails = Vec::new();
    for (options, within) in [("method=least_conn", 0.2), ("method=ewma", 0.4)] {
        let (all, given) = simulate(options, Trouble::Uneven, 20.0, 0);
        let even = (all.len() / SERVERS) as f64;
        let counts = given.each_ref().map(Vec::len);
        let is_even = counts.iter().all(|count| (*count as f64 / even - 1.0).abs() < within);
        assert!(is_even, "{options}: {counts:?}");
        tails.push(at_share(&all, 0.99));
    }
    assert!(tails[1] < 1.5 * tails[0], "{tails:?}");
}
