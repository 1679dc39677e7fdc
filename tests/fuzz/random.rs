//! Random changes of a corpus: what finds faults where there is nothing but Rust, and what a seed repeats.
//!
//! It owns the chance and the changes, never a judgement. libFuzzer, which sees which branches an input takes, finds
//! more; this finds something everywhere, at any speed, and in the ordinary tests.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Target;

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
    let mut input = chance.one(corpus).cloned().unwrap_or_default();
    for _ in 0..=chance.below(6) {
        change(&mut input, corpus, &mut chance);
    }
    input.truncate(LONGEST);
    input
}

/// One change.
fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], chance: &mut Chance) {
    let (from, to) = chance.stretch(input.len());
    match chance.below(8) {
        0 => drop(input.drain(from..to)),
        1 => drop(input.splice(from..from, chance.word())),
        2 => drop(input.splice(from..to, chance.word())),
        3 if from < input.len() => input[from] = chance.byte(),
        4 if from < input.len() => input[from] ^= 1 << chance.below(8),
        5 => {
            let stretch = input[from..to].repeat(1 + chance.below(20));
            input.splice(from..from, stretch);
        }
        6 => {
            let other = chance.one(corpus).cloned().unwrap_or_default();
            let (start, end) = chance.stretch(other.len());
            input.splice(from..to, other[start..end].iter().copied());
        }
        _ => input.insert(from, chance.byte()),
    }
}

/// Chance that a seed repeats (`SplitMix64`).
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, or 0.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 1).unwrap_or(0).checked_rem(bound).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[7]
    }

    fn word(&mut self) -> impl Iterator<Item = u8> + use<> {
        WORDS[self.below(WORDS.len())].iter().copied()
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }

    /// A stretch of so many bytes; short ones are more likely.
    fn stretch(&mut self, length: usize) -> (usize, usize) {
        let from = self.below(length + 1);
        let most = 1 + self.below(length - from + 1).min(1 << self.below(12));
        (from, (from + self.below(most)).min(length))
    }
}
