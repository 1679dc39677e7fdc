//! What the pure parts cost, without sockets: `cargo bench`, or `cargo bench -- route` for some of it.
//!
//! One program, so that one link with all optimisations serves every part. Each file opens with what is good: the time
//! that a part of a request may take when the whole of it, system calls apart, shall take about a microsecond. The
//! whole proxy is measured by `tools/bench`.

#![allow(clippy::panic, reason = "a bench ends at the first surprise")]

use criterion::{criterion_group, criterion_main};

mod balancer;
mod body;
mod exchange;
mod head;
mod rewrite;
mod route;
mod samples;
mod snapshot;

criterion_group!(
    all,
    head::bench,
    route::bench,
    rewrite::bench,
    exchange::bench,
    balancer::bench,
    body::bench,
    snapshot::bench
);
criterion_main!(all);
