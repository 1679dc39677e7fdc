//! The fuzz targets as ordinary tests: every committed input, and a few thousand random changes of them.
//!
//! `tools/fuzz` runs the same targets for longer. An input that was found there and stands for a fault is committed to
//! `corpus/<target>/` under a name that says what was wrong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]
#![allow(clippy::print_stdout, reason = "a failing test shows which input it was")]
#![allow(missing_docs, unreachable_pub, reason = "the targets are shared with a crate of their own")]

use std::fs;
use std::path::{Path, PathBuf};

#[path = "fuzz/mod.rs"]
mod fuzz;

/// Random inputs for each target; `tools/fuzz --runs` makes millions.
const RUNS: u64 = 3000;

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target)
}

/// The inputs of a target, by file name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut inputs: Vec<_> = fs::read_dir(folder(target))
        .unwrap_or_else(|error| panic!("{}: {error}", folder(target).display()))
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap()))
        .collect();
    inputs.sort();
    inputs
}

#[track_caller]
fn hold(name: &str) {
    let (_, target) = fuzz::TARGETS.iter().find(|(known, _)| *known == name).expect("a target");
    let corpus = corpus(name);
    for (file, input) in &corpus {
        println!("{file}");
        target(input);
    }
    let inputs: Vec<Vec<u8>> = corpus.into_iter().map(|(_, input)| input).collect();
    if let Err(failure) = fuzz::random::run(*target, &inputs, 1, RUNS) {
        panic!("{name} fails on change {}: {}", failure.number, failure.input.escape_ascii());
    }
}

#[test]
fn chunked_body() {
    hold("chunked_body");
}

#[test]
fn exchange() {
    hold("exchange");
}

#[test]
fn proxy_header() {
    hold("proxy_header");
}

#[test]
fn request_head() {
    hold("request_head");
}

#[test]
fn response_head() {
    hold("response_head");
}

#[test]
fn rule_set() {
    hold("rule_set");
}

#[test]
fn server_params() {
    hold("server_params");
}

#[test]
fn target() {
    hold("target");
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let mut folders: Vec<String> = fs::read_dir(folder(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    folders.sort();
    assert_eq!(folders, fuzz::TARGETS.map(|(name, _)| name.to_owned()));
}
