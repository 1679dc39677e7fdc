//! The exchange under weather: two scripted peers, a virtual clock, and a seed from which everything follows.
//!
//! Each seed makes a world: what the client asks, how it is answered, how bytes are split, who stalls, closes, resets or
//! lies. After every call the world holds the machine to what must be true in any weather; one world in three is fair,
//! and there everything must also succeed. A failing seed prints its story and the command that plays it again.
//!
//! `ELB_SIM_SEED` is the first seed and `ELB_SIM_SEEDS` how many follow; with one seed the story is printed in any case.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test ends at the first surprise"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

#[path = "support/chance.rs"]
mod chance;
#[path = "simulation/client.rs"]
mod client;
#[path = "simulation/request.rs"]
mod request;
#[path = "simulation/response.rs"]
mod response;
#[path = "simulation/server.rs"]
mod server;
#[path = "simulation/shell.rs"]
mod shell;
#[path = "simulation/verdict.rs"]
mod verdict;
#[path = "simulation/wire.rs"]
mod wire;
#[path = "simulation/world.rs"]
mod world;

use world::World;

/// Seeds of an ordinary run.
const SEEDS: u64 = 1000;

/// How a seed that failed did so, and its story as far as it was written.
struct Failure {
    why: String,
    story: Vec<String>,
}

/// Plays one seed; `told` writes its story.
fn play(seed: u64, told: bool) -> Result<Vec<String>, Failure> {
    let mut world = World::new(seed, told);
    let played = catch_unwind(AssertUnwindSafe(|| {
        world.run();
        verdict::judge(&world);
    }));
    let story = world.log.take().unwrap_or_default();
    match played {
        Ok(()) => Ok(story),
        Err(_) => Err(Failure { why: WHY.lock().map(|why| why.clone()).unwrap_or_default(), story }),
    }
}

/// The last surprise. A hook keeps it here, so that a seed says in one line what went wrong.
static WHY: Mutex<String> = Mutex::new(String::new());

fn keep_surprises() {
    std::panic::set_hook(Box::new(|surprise| {
        if let Ok(mut why) = WHY.lock() {
            *why = surprise.to_string();
        }
    }));
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn every_world_ends_well() {
    let first = number("ELB_SIM_SEED").unwrap_or(0);
    let count = number("ELB_SIM_SEEDS").unwrap_or(if number("ELB_SIM_SEED").is_some() { 1 } else { SEEDS });
    if count == 1 {
        let (Ok(story) | Err(Failure { story, .. })) = play(first, true);
        println!("{}", story.join("\n"));
    }
    keep_surprises();
    let seeds = first..first + count;
    let failures: Vec<(u64, Failure)> =
        seeds.filter_map(|seed| play(seed, false).err().map(|failure| (seed, failure))).collect();
    drop(std::panic::take_hook());
    for (seed, failure) in failures.iter().take(20) {
        println!("seed {seed}: {}", failure.why);
    }
    let Some((seed, _)) = failures.first() else { return };
    if count > 1
        && let Err(Failure { story, .. }) = play(*seed, true)
    {
        println!("\nseed {seed}, from its beginning:\n{}", story.join("\n"));
    }
    panic!(
        "{} of {count} seeds fail; again: ELB_SIM_SEED={seed} cargo test --test simulation",
        failures.len()
    );
}
