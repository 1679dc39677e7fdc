//! A load generator that tells what it measured: a closed loop, or an open one with a fixed rate.
//!
//! Every response is checked (status, length of the body), every request that was not answered so is an error. It prints
//! one JSON object a line: `warm` when memory may be looked at, `begin` and `end` around what is measured; and it keeps
//! its connections until its standard input ends, so that whoever reads these lines can look at the proxy meanwhile.

mod client;
mod plan;
mod report;
mod requests;

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use load::args::Args;

use client::Client;
use plan::{Plan, Stage, Watch};
use report::{Report, say};
use requests::{Requests, Shape};

const HELP: &str = "\
load: asks, checks the answers, and counts

  --target ADDRESS      whom it asks, as 127.0.0.1:8080
  --path PATH           what it asks for (/128)
  --body BYTES          length of the body that must come (128)
  --connections N       at once, in all threads (64)
  --threads N           loops (1)
  --seconds N           how long it measures (4)
  --warmup N            how long it runs before that (1)
  --host NAME           Host of the requests (bench.test)
  --hosts N             instead, Host is another one for each request: 00000.test to N-1 (one name)
  --browser true        with the twelve headers of a browser (false)
  --post BYTES          POST with a body of so many bytes (GET)
  --once true           each request on a connection of its own (false)
  --idle N              other connections, which ask once and then wait (0)
  --rate N              requests a second, whether answers come or not; latencies count from the due time (closed loop)
  --requests N          ends after so many answers, without measuring (no end)";

fn main() -> io::Result<()> {
    let mut args = Args::read(HELP);
    let shape = Shape {
        path: args.or("path", "/128".to_owned()),
        host: args.or("host", "bench.test".to_owned()),
        hosts: args.optional("hosts"),
        browser: args.or("browser", false),
        post: args.optional("post"),
        once: args.or("once", false),
    };
    let threads: usize = args.or("threads", 1).max(1);
    let connections: usize = args.or("connections", 64);
    let idle: usize = args.or("idle", 0);
    let rate: Option<f64> = args.optional("rate");
    let requests: Option<u64> = args.optional("requests");
    let plan = Plan {
        target: args.required("target"),
        connections: connections.div_ceil(threads),
        idle: idle / threads,
        once: shape.once,
        body: args.or("body", 128),
        interval: rate.map(|rate| Duration::from_secs_f64(threads as f64 / rate)),
        limit: requests.map(|requests| requests / threads as u64),
    };
    let seconds = Duration::from_secs_f64(args.or("seconds", 4.0));
    let warmup = Duration::from_secs_f64(args.or("warmup", 1.0));
    args.end();

    let requests = Arc::new(Requests::render(&shape));
    let watch = Arc::new(Watch::default());
    let clients: Vec<_> = (0..threads)
        .map(|_| {
            let (plan, requests, watch) = (plan.clone(), Arc::clone(&requests), Arc::clone(&watch));
            thread::spawn(move || Client::new(plan, requests, watch).run())
        })
        .collect();
    let measured =
        if plan.limit.is_some() { Duration::ZERO } else { conduct(&watch, &plan, threads, warmup, seconds) };
    let mut report = Report::default();
    let mut kept = Vec::with_capacity(threads);
    for client in clients {
        let client = client.join().map_err(|_| io::Error::other("a thread panicked"))??;
        report.add(client.report());
        kept.push(client);
    }
    say(&report.text(measured));
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Moves from stage to stage; how long the measured one was.
fn conduct(watch: &Watch, plan: &Plan, threads: usize, warmup: Duration, seconds: Duration) -> Duration {
    thread::sleep(warmup);
    if plan.idle > 0 {
        say("{\"event\": \"warm\"}");
        thread::sleep(Duration::from_millis(100));
        watch.enter(Stage::Crowd);
        while watch.crowd.load(Ordering::Relaxed) < plan.idle * threads && !watch.is_given_up() {
            thread::sleep(Duration::from_millis(10));
        }
        thread::sleep(warmup);
    }
    watch.enter(Stage::Measure);
    let begun = Instant::now();
    say("{\"event\": \"begin\"}");
    while begun.elapsed() < seconds && !watch.is_given_up() {
        thread::sleep(Duration::from_millis(100).min(seconds.saturating_sub(begun.elapsed())));
    }
    watch.enter(Stage::Over);
    begun.elapsed()
}
