//! A fleet in simulation: the balancers of several workers, the schedule of checks, and exchanges, over servers that fall ill
//! in every way there is.
//!
//! All of it is the product's own, driven by a clock that jumps: `exchange::drive` plays each request, `data::balancer`
//! chooses, `model::ServerState` is what all workers know, `control::checks` decides what checks mean. Only bytes and time are
//! this world's. A run is a seed; one that fails prints its story and the command that plays it again.
//!
//! `ELB_FLEET_SEED` is the first seed and `ELB_FLEET_SEEDS` how many follow; with one seed the story is printed in any case.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test ends at the first surprise"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};

#[path = "support/chance.rs"]
mod chance;
#[path = "fleet/machine.rs"]
mod machine;
#[path = "fleet/request.rs"]
mod request;
#[path = "fleet/shell.rs"]
mod shell;
#[path = "fleet/verdict.rs"]
mod verdict;
#[path = "fleet/world.rs"]
mod world;

use chance::Chance;
use machine::{Condition, Machine};
use request::Request;
use world::World;

/// Seeds of an ordinary run.
const SEEDS: u64 = 256;

/// How a seed that failed did so, and its story as far as it was written.
struct Failure {
    why: String,
    story: Vec<String>,
}

/// Plays one seed; `told` writes its story.
fn play(seed: u64, told: bool) -> Result<World, Failure> {
    let mut world = World::of(seed);
    world.story = told.then(Vec::new);
    match catch_unwind(AssertUnwindSafe(|| world.run())) {
        Ok(()) => Ok(world),
        Err(surprise) => {
            let text = surprise.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let why = text.or_else(|| surprise.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(Failure { why, story: world.story.take().unwrap_or_default() })
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn no_request_is_lost_that_could_be_saved_and_no_server_is_blamed_for_nothing() {
    let first = number("ELB_FLEET_SEED").unwrap_or(0);
    let count =
        number("ELB_FLEET_SEEDS").unwrap_or(if number("ELB_FLEET_SEED").is_some() { 1 } else { SEEDS });
    let mut failures = Vec::new();
    let mut all = world::Counts::default();
    for seed in first..first + count {
        match play(seed, count == 1) {
            Ok(world) => {
                all.add(&world.counts);
                world.story.iter().flatten().for_each(|line| println!("{line}"));
            }
            Err(failure) => failures.push((seed, failure)),
        }
    }
    println!("{all:?}");
    for (seed, failure) in failures.iter().take(20) {
        println!("seed {seed}: {}", failure.why);
    }
    let Some((seed, failure)) = failures.first() else { return };
    let again = play(*seed, true).err().map_or_else(Vec::new, |failure| failure.story);
    let story = if failure.story.is_empty() { again } else { failure.story.clone() };
    println!("\nseed {seed}, from its beginning:\n{}", story.join("\n"));
    panic!("{} of {count} seeds fail; again: ELB_FLEET_SEED={seed} cargo test --test fleet", failures.len());
}

/// A world of three servers at this moment of their lives, and requests one after the other, each when the one before is
/// over, whose worker is another each time.
fn one_by_one(
    machines: Vec<Machine>,
    workers: usize,
    requests: &[(&'static str, &str, Option<Condition>)],
) -> World {
    let servers = vec!["max_fails=1 fail_timeout=2".to_owned(); machines.len()];
    let mut world = World::new(Chance::new(1), machines, &servers, "", workers);
    for (number, (method, path, broken)) in requests.iter().enumerate() {
        let mut request = Request::plain(method, path, number % workers, world.now + 1);
        request.broken = *broken;
        world.ask(request);
    }
    world
}

#[test]
fn a_malformed_answer_from_every_server_is_a_502_and_nobody_elses_trouble() {
    let machines = || (0..3).map(|_| Machine::well(1)).collect();
    let mut requests = vec![("GET", "/broken", Some(Condition::Babbles))];
    requests.extend([("GET", "/good", None); 100]);
    let world = one_by_one(machines(), 4, &requests);
    assert_eq!(world.requests[0].status(), 502);
    assert!(world.requests[1..].iter().all(Request::is_served));
    assert_eq!(world.counts.asides, 0);
    // Each of the three has said it to somebody.
    requests.splice(..1, [("GET", "/broken", Some(Condition::Babbles)); 3]);
    let world = one_by_one(machines(), 4, &requests);
    let asked = |at: usize| {
        world.requests[..3].iter().any(|request| request.attempts.iter().any(|attempt| attempt.machine == at))
    };
    assert!((0..3).all(asked) && world.requests[..3].iter().all(|request| request.status() == 502));
    assert!(world.requests[3..].iter().all(Request::is_served));
}

#[test]
fn with_64_workers_and_a_dead_server_two_requests_wait_for_it() {
    for illness in [Condition::Hangs, Condition::Stalls] {
        let mut machines: Vec<Machine> = (0..3).map(|_| Machine::well(10)).collect();
        machines[1].phases = vec![(0, illness)];
        // They take `fail_timeout` and the time in which one waits, and a half of that again.
        let world = one_by_one(machines, 64, &[("GET", "/", None); 180]);
        assert!(world.now > 3_000 && world.now < 4_000, "{} ms", world.now);
        let waits = |request: &&Request| request.attempts.iter().any(|attempt| attempt.machine == 1);
        assert_eq!(world.requests.iter().filter(waits).count(), 2, "{illness:?}");
        assert!(world.requests.iter().all(Request::is_served));
    }
}
