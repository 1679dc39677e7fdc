//! Writing the heads that leave. Good: 60 ns; what passes is copied in runs, so a browser's head costs hardly more than
//! a simple one. A field of a rule may double that: then each line is looked at.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use elb::http1::framing::Framing;
use elb::http1::origin::Origin;
use elb::http1::request_head::RequestHead;
use elb::http1::response_head::ResponseHead;
use elb::http1::rewrite::{self, Persistence, Target, ToServer};

use crate::head::found;
use crate::samples;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rewrite");
    let mut out = Vec::with_capacity(4096);
    let extra = [("X-From".to_owned(), vec!["elb".to_owned()])];
    for (name, bytes, extra) in [
        ("request, plain", samples::PLAIN_REQUEST, &[][..]),
        ("request, browser", samples::BROWSER_REQUEST, &[]),
        ("request, browser, with a field of a rule", samples::BROWSER_REQUEST, &extra),
    ] {
        let mut head = RequestHead::default();
        if let Err(refusal) = head.parse(bytes, found(bytes)) {
            panic!("a sample is refused: {refusal:?}");
        }
        let to = ToServer {
            client: b"192.0.2.1",
            peer: None,
            host: b"bench.test",
            target: Target::AsCame,
            extra,
            id: b"",
            origin: Origin {
                authority: b"bench.test",
                is_bare: true,
                is_trusted: false,
                session: None,
                passes: false,
            },
        };
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                rewrite::request(&mut out, black_box(bytes), &head, &to);
                out.len()
            });
        });
    }
    for (name, bytes) in
        [("response, plain", samples::PLAIN_RESPONSE), ("response, rich", samples::RICH_RESPONSE)]
    {
        let mut head = ResponseHead::default();
        if let Err(refusal) = head.parse(bytes, found(bytes), false) {
            panic!("a sample is refused: {refusal:?}");
        }
        group.throughput(Throughput::Bytes(found(bytes).end as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                rewrite::response(&mut out, black_box(bytes), &head, Framing::Length(128), Persistence::Keep);
                out.len()
            });
        });
    }
    group.finish();
}
