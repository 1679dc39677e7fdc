//! Ways to spoil a message.
//!
//! It owns the mutations and the words that they put in, never what comes of them.

use crate::support::chance::Chance;

/// What parsers have read in different ways.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b"\0",
    b"\x0b",
    b"\x7f",
    b"\xff",
    b":",
    b";",
    b",",
    b"\"",
    b"+",
    b"-",
    b"_",
    b"0",
    b"0x",
    b";a=b",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"chunked",
    b", chunked",
    b"Transfer-Encoding: chunked\r\n",
    b"transfer-encoding: identity\r\n",
    b"Transfer_Encoding: chunked\r\n",
    b"Content-Length: 0\r\n",
    b"content-length: 5\r\n",
    b"Content_Length: 5\r\n",
    b"Connection: close\r\n",
    b"Connection: Content-Length, Transfer-Encoding, Host\r\n",
    b"Connection: upgrade\r\nUpgrade: h2c\r\n",
    b"Expect: 100-continue\r\n",
    b"Host: other.test\r\n",
    b"TE: trailers\r\n",
    b"Trailer: X-Sum\r\n",
    b"GET /smuggled HTTP/1.1\r\nHost: site.test\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
];

/// Spoils `bytes` in a few places; returns whether it was to be spoiled at all.
pub(crate) fn mutate(bytes: &mut Vec<u8>, chance: &mut Chance) -> bool {
    if chance.one_in(6) {
        return false;
    }
    for _ in 0..chance.between(1, 3) {
        once(bytes, chance);
    }
    true
}

fn once(bytes: &mut Vec<u8>, chance: &mut Chance) {
    let at = place(bytes, chance);
    let end = (at + chance.between(1, 8)).min(bytes.len());
    match chance.below(10) {
        0 if at < bytes.len() => bytes[at] = chance.below(256) as u8,
        1 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
        2 => drop(bytes.drain(at..end)),
        3 => {
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy);
        }
        4 => {
            let lines: Vec<Vec<u8>> =
                bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            if let (false, line) = (lines.is_empty(), chance.below(lines.len().max(1))) {
                let to = chance.below(lines.len());
                let mut lines = lines;
                let moved = if chance.one_in(2) { lines.remove(line) } else { lines[line].clone() };
                lines.insert(to.min(lines.len()), moved);
                *bytes = lines.concat();
            }
        }
        5 if chance.one_in(4) => bytes.truncate(at),
        _ => drop(bytes.splice(at..at, chance.pick(WORDS).iter().copied())),
    }
}

/// Somewhere; half the time at a place where something begins or ends.
fn place(bytes: &[u8], chance: &mut Chance) -> usize {
    let edges: Vec<usize> = (1..bytes.len())
        .filter(|at| bytes[at - 1].is_ascii_alphanumeric() != bytes[*at].is_ascii_alphanumeric())
        .collect();
    if edges.is_empty() || chance.one_in(2) { chance.below(bytes.len() + 1) } else { chance.pick(&edges) }
}
