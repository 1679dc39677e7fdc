//! Random changes of a corpus: what finds faults where there is nothing but Rust, and what a seed repeats.
//!
//! It owns the chance and the changes, never a judgement. libFuzzer, which sees which branches an input takes, finds
//! more; this finds something everywhere, at any speed, and in the ordinary tests.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Target;
use super::chance::Chance;

/// Longest input.
const LONGEST: usize = 20 * 1024;
/// Texts that parsers look for.
const WORDS: [&[u8]; 40] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b": ",
    b",",
    b";",
    b"\"",
    b"\\",
    b"%",
    b"%00",
    b"%2e",
    b"/../",
    b"//",
    b"?",
    b"#",
    b"*",
    b"\0",
    b"\x7f",
    b"\xff",
    b"0\r\n\r\n",
    b"ffffffffffffffff",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Host: h\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive, x, host\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    b"Expect: 100-continue\r\n",
    b"TE: trailers\r\n",
    b"X-Forwarded-For: a\r\n",
    b"HTTP/1.0",
    b"HTTP/1.1 ",
    b"HEAD ",
    b"\\r\\n",
];

/// A failing input, and its number in the run.
pub struct Failure {
    pub number: u64,
    pub input: Vec<u8>,
}

/// Runs a target on so many changes of the corpus. The same seed makes the same inputs.
///
/// # Errors
/// The first input on which the target panicked; the panic has been told by then.
pub fn run(target: Target, corpus: &[Vec<u8>], seed: u64, runs: u64) -> Result<(), Failure> {
    for number in 0..runs {
        let input = input(corpus, seed, number);
        if catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
            return Err(Failure { number, input });
        }
    }
    Ok(())
}

/// The input of this number.
fn input(corpus: &[Vec<u8>], seed: u64, number: u64) -> Vec<u8> {
    let mut chance = Chance::new(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut input = one(corpus, &mut chance).cloned().unwrap_or_default();
    for _ in 0..=chance.below(6) {
        change(&mut input, corpus, &mut chance);
    }
    input.truncate(LONGEST);
    input
}

/// One change.
fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], chance: &mut Chance) {
    let (from, to) = stretch(input.len(), chance);
    match chance.below(8) {
        0 => drop(input.drain(from..to)),
        1 => drop(input.splice(from..from, word(chance))),
        2 => drop(input.splice(from..to, word(chance))),
        3 if from < input.len() => input[from] = byte(chance),
        4 if from < input.len() => input[from] ^= 1 << chance.below(8),
        5 => {
            let stretch = input[from..to].repeat(1 + chance.below(20));
            input.splice(from..from, stretch);
        }
        6 => {
            let other = one(corpus, chance).cloned().unwrap_or_default();
            let (start, end) = stretch(other.len(), chance);
            input.splice(from..to, other[start..end].iter().copied());
        }
        _ => input.insert(from, byte(chance)),
    }
}

/// One of these, or nothing when there are none.
fn one<'a, T>(of: &'a [T], chance: &mut Chance) -> Option<&'a T> {
    if of.is_empty() { None } else { of.get(chance.below(of.len())) }
}

fn word(chance: &mut Chance) -> impl Iterator<Item = u8> + use<> {
    chance.pick(&WORDS).iter().copied()
}

/// Any byte.
fn byte(chance: &mut Chance) -> u8 {
    u8::try_from(chance.below(256)).unwrap_or_default()
}

/// A stretch of so many bytes; short ones are more likely.
fn stretch(length: usize, chance: &mut Chance) -> (usize, usize) {
    let from = chance.below(length + 1);
    let magnitude = chance.below(12);
    (from, from + chance.below(1 << magnitude).min(length - from))
}
