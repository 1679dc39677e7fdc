//! A whole exchange in memory: both heads found, read and written, the body judged, and everything handed over. Good:
//! 700 ns for a simple one, 1.5 µs for a browser's. Sockets, rules and timers are not in it.

use std::ops::ControlFlow;
use std::time::Instant;

use criterion::{Criterion, Throughput};
use elb::exchange::{Env, Exchange, Fate, Forward, Heads, Policy, Routing, Shell, Side, Sign, drive};
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

/// A shell whose only server is always there.
struct Always<'a>(&'a Env);

impl Shell for Always<'_> {
    type End = ();

    fn env(&self) -> &Env {
        self.0
    }

    fn route(&mut self, routing: Routing<'_>) -> ControlFlow<()> {
        routing.forward(
            self.0,
            &Forward { client: b"192.0.2.1", peer: None, session: None, path: None, host: None, extra: &[] },
        );
        ControlFlow::Continue(())
    }

    fn connect(&mut self, exchange: &mut Exchange, _: bool) {
        exchange.connected(self.0, true);
    }

    fn has_other(&mut self) -> Option<bool> {
        Some(false)
    }

    fn drop_server(&mut self, _: Sign) {}

    fn shutdown(&mut self, _: Side) {}

    fn finished(&mut self, _: &mut Exchange, _: Fate) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn close(&mut self, _: &mut Exchange, _: bool, _: Sign) {}
}

/// Takes one request through the exchange; how many bytes went to the server and to the client.
fn pass(
    exchange: &mut Exchange,
    heads: &mut Heads,
    env: &Env,
    request: &[u8],
    response: &[u8],
) -> [usize; 2] {
    let mut shell = Always(env);
    feed(exchange, Side::Client, request);
    let routed = drive(exchange, heads, &mut shell);
    let to_server = drain(exchange, Side::Server);
    feed(exchange, Side::Server, response);
    let answered = drive(exchange, heads, &mut shell);
    let to_client = drain(exchange, Side::Client);
    let finished = drive(exchange, heads, &mut shell);
    assert!(routed.is_continue() && answered.is_continue() && finished.is_break(), "no simple exchange");
    [to_server, to_client]
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
