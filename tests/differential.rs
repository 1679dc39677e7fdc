//! A second opinion: what ELB passes on, an independent parser reads, and must find what ELB thought was there.
//!
//! Random messages, most of them mutated, go through the real `elb`. Behind it hyper is the server, before it hyper is
//! the client, and each also gets the same bytes without ELB between. Whatever ELB forwarded must be exactly the
//! requests it passed answers on for, and read as hyper reads what the client sent; whatever it passed on of a response
//! must be one, or visibly cut. `tools/differential` lets h11 read the same bytes.
//!
//! `ELB_DIFFERENTIAL_SEED` is the first case, `ELB_DIFFERENTIAL_CASES` how many follow; with `ELB_DIFFERENTIAL_RECORD`
//! all that was read is written to that folder.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test ends at the first surprise"
)]
#![allow(dead_code, reason = "support serves more tests than are in one crate")]

#[path = "differential/mutate.rs"]
mod mutate;
#[path = "differential/peers.rs"]
mod peers;
#[path = "differential/record.rs"]
mod record;
#[path = "differential/requests.rs"]
mod requests;
#[path = "differential/responses.rs"]
mod responses;
#[path = "support/mod.rs"]
mod support;

/// Cases of an ordinary run, of requests and of responses each.
const CASES: u64 = 2500;

/// The seeds of this run.
fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let first = number("ELB_DIFFERENTIAL_SEED");
    let count = number("ELB_DIFFERENTIAL_CASES").unwrap_or(if first.is_some() { 1 } else { CASES });
    first.unwrap_or(0)..first.unwrap_or(0) + count
}
