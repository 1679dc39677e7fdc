//! A whole exchange in memory: both heads found, read and written, the body judged, and everything handed over. Good:
//! 700 ns for a simple one, 1.5 µs for a browser's. Sockets, rules and timers are not in it.

use std::time::Instant;

use criterion::{Criterion, Throughput};
use elb::exchange::{Env, Exchange, Forward, Heads, Policy, Side, Step};
use elb::http1::buf::Buf;

use crate::samples;

/// The window that a worker lends first.
const WINDOW: usize = 64 * 1024;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("exchange");
    let env = Env { now: Instant::now(), policy: policy(), date: [b'-'; 29], draining: false };
    for (name, request, response) in [
        ("plain", samples::PLAIN_REQUEST, samples::PLAIN_RESPONSE),
        ("browser", samples::BROWSER_REQUEST, samples::RICH_RESPONSE),
    ] {
        group.throughput(Throughput::Elements(1));
        let (mut exchange, mut heads) = (Exchange::new(&env), Heads::new());
        for side in [Side::Client, Side::Server] {
            assert!(exchange.lend(side, Buf::new(WINDOW)).is_none(), "there was no window before");
        }
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let sent = pass(&mut exchange, &mut heads, &env, request, response);
                exchange.restart(&env);
                sent
            });
        });
    }
    group.finish();
}

/// Takes one request through the exchange; how many bytes went to the server and to the client.
fn pass(
    exchange: &mut Exchange,
    heads: &mut Heads,
    env: &Env,
    request: &[u8],
    response: &[u8],
) -> [usize; 2] {
    let mut sent = [0; 2];
    feed(exchange, Side::Client, request);
    loop {
        match exchange.step(env, heads) {
            Step::Route => {
                let forward = Forward { peer: b"192.0.2.1", path: None, host: None, extra: &[] };
                exchange.forward(env, heads, &forward);
            }
            Step::Connect { .. } => exchange.connected(env, true),
            Step::Wait if sent[0] == 0 => {
                sent[0] = drain(exchange, Side::Server);
                feed(exchange, Side::Server, response);
            }
            Step::Wait => sent[1] += drain(exchange, Side::Client),
            Step::Finished(_) => return sent,
            step => panic!("{step:?} in a simple exchange"),
        }
    }
}

fn feed(exchange: &mut Exchange, side: Side, bytes: &[u8]) {
    exchange.room(side)[..bytes.len()].copy_from_slice(bytes);
    exchange.filled(side, bytes.len());
}

fn drain(exchange: &mut Exchange, side: Side) -> usize {
    let waiting = exchange.out(side).iter().map(|slice| slice.len()).sum();
    exchange.sent(side, waiting);
    waiting
}

fn policy() -> Policy {
    Policy { max_body: 1 << 20, max_head: 64 * 1024, ..Policy::for_tests() }
}
