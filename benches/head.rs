//! Finding and reading a head. Good: 60 ns for a simple one that came whole, 250 ns for a browser's; four times that
//! the careful way, for heads that come in pieces or are refused.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use elb::http1::error::Refusal;
use elb::http1::request_head::RequestHead;
use elb::http1::response_head::ResponseHead;
use elb::http1::scan::{Found, Scan};
use elb::http1::target;
use elb::semantics::{host, path};

use crate::samples;

const MAX_HEAD: usize = 64 * 1024;

/// The head that these bytes begin with.
pub(crate) fn found(bytes: &[u8]) -> Found {
    match Scan::default().find(bytes, MAX_HEAD) {
        Ok(Some(found)) => found,
        other => panic!("a sample has no head: {other:?}"),
    }
}

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("head");
    for (name, bytes) in
        [("request, plain", samples::PLAIN_REQUEST), ("request, browser", samples::BROWSER_REQUEST)]
    {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let mut head = RequestHead::default();
        group.bench_function(name, |bencher| {
            bencher.iter(|| head.parse_at_once(black_box(bytes), MAX_HEAD));
        });
        group.bench_function(format!("{name}, the careful way"), |bencher| {
            bencher.iter(|| head.parse(black_box(bytes), found(bytes)));
        });
    }
    for (name, bytes) in
        [("response, plain", samples::PLAIN_RESPONSE), ("response, rich", samples::RICH_RESPONSE)]
    {
        group.throughput(Throughput::Bytes(found(bytes).end as u64));
        let mut head = ResponseHead::default();
        group.bench_function(name, |bencher| {
            bencher.iter(|| head.parse_at_once(black_box(bytes), false));
        });
        group.bench_function(format!("{name}, the careful way"), |bencher| {
            bencher.iter(|| head.parse(black_box(bytes), found(bytes), false));
        });
    }
    let (name, line): (&[u8], &[u8]) = (b"www.example.com", b"/shop/item/128");
    group.throughput(Throughput::Bytes((name.len() + line.len()) as u64));
    let mut scratch = Vec::new();
    group.bench_function("target and host, canonical already", |bencher| {
        bencher.iter(|| {
            let target = target::parse(b"GET", black_box(line))?;
            path::normalize(target.path, &mut scratch)?;
            Ok::<_, Refusal>(host::canonical(black_box(name), &mut scratch)?.len())
        });
    });
    group.finish();
}
