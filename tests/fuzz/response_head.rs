//! A response head: the same answer in any split, and what is written for the client means what was read.
//!
//! The input is what a server sends.

use elb::http1::error::Refusal;
use elb::http1::framing::{Framing, Version};
use elb::http1::limits;
use elb::http1::response_head::{self, ResponseHead, may_be_response};
use elb::http1::rewrite::{self, Persistence};
use elb::http1::scan::{Found, Scan};

use super::{CUTS, shown};

pub fn run(bytes: &[u8]) {
    closes_up(bytes);
    for to_head in [false, true] {
        let whole = read(bytes, bytes.len().max(1), to_head);
        for cut in CUTS {
            let cut_up = read(bytes, cut, to_head);
            assert_eq!(cut_up, whole, "in pieces of {cut}: {}", shown(bytes));
        }
        // The short way and the careful one agree.
        let (mut head, mut at_once) = (ResponseHead::default(), ResponseHead::default());
        let found = at_once.parse_at_once(bytes, to_head);
        assert_eq!(found, whole.ok().flatten(), "at once: {}", shown(bytes));
        if let Some(found) = found
            && head.parse(bytes, found, to_head).is_ok()
        {
            assert_eq!(format!("{at_once:?}"), format!("{head:?}"), "at once");
            means_the_same(&bytes[..found.end], &head, to_head);
        }
    }
}

/// Only blanks before colons are taken out of a head, and those of its first line are none of a field.
fn closes_up(bytes: &[u8]) {
    let mut head = bytes.to_vec();
    let free = response_head::close_up(&mut head);
    let (mut left, mut kept) = (0, head[free..].iter().peekable());
    for byte in bytes {
        match kept.next_if_eq(&byte) {
            Some(_) => {}
            None => left += usize::from(matches!(byte, b' ' | b'\t')),
        }
    }
    assert_eq!((left, kept.next()), (free, None), "{}", shown(bytes));
    assert_eq!(response_head::close_up(&mut head[free..]), 0, "{}", shown(bytes));
}

/// What comes of the bytes when they arrive in pieces of this size: nothing yet, a head, or a refusal.
fn read(bytes: &[u8], piece: usize, to_head: bool) -> Result<Option<Found>, Refusal> {
    let mut scan = Scan::default();
    let ends = (piece..bytes.len()).step_by(piece).chain([bytes.len()]);
    for come in ends.map(|end| &bytes[..end]) {
        if !may_be_response(come) {
            return Err(Refusal::StatusLine);
        }
        if let Some(found) = scan.find(come, limits::RESPONSE_HEAD)? {
            return ResponseHead::default().parse(come, found, to_head).map(|()| Some(found));
        }
    }
    Ok(None)
}

/// The head that goes out reads back as the same response, framed as it was told to be.
fn means_the_same(bytes: &[u8], head: &ResponseHead, to_head: bool) {
    match head.status {
        101 if head.upgrade.is_none() => {}
        101 => {
            let mut out = Vec::new();
            rewrite::switching(&mut out, bytes, head);
            if let Some(again) = read_back(&out, bytes, head, to_head, true) {
                assert_eq!(again.upgrade.map(|to| to.of(&out)), head.upgrade.map(|to| to.of(bytes)));
            }
        }
        100..200 => {
            let mut out = Vec::new();
            rewrite::interim(&mut out, bytes, head);
            read_back(&out, bytes, head, to_head, true);
        }
        _ => {
            for (framing, persistence) in outgoing(head.framing) {
                let mut out = Vec::new();
                rewrite::response(&mut out, bytes, head, framing, persistence);
                let trailers = framing == head.framing;
                let Some(again) = read_back(&out, bytes, head, to_head, trailers) else { continue };
                assert_eq!(again.framing, framing, "{}", shown(&out));
                assert_eq!(again.upgrade.map(|to| to.of(&out)), head.upgrade.map(|to| to.of(bytes)));
                assert_eq!(again.keep_alive, persistence != Persistence::Close);
            }
        }
    }
}

/// How a body that came with this framing may go out.
fn outgoing(framing: Framing) -> Vec<(Framing, Persistence)> {
    match framing {
        Framing::Close | Framing::Chunked => {
            vec![(Framing::Close, Persistence::Close), (Framing::Chunked, Persistence::Keep)]
        }
        framing => {
            let all = [Persistence::Keep, Persistence::KeepOld, Persistence::Close];
            all.map(|persistence| (framing, persistence)).into()
        }
    }
}

/// Reads what was written. `trailers` says that an announcement of trailers passes.
fn read_back(
    out: &[u8],
    bytes: &[u8],
    head: &ResponseHead,
    to_head: bool,
    trailers: bool,
) -> Option<ResponseHead> {
    let found = match Scan::default().find(out, 2 * limits::RESPONSE_HEAD) {
        // What ELB adds may be one field more than it takes.
        Err(Refusal::TooManyHeaders) => return None,
        found => found.expect("strict lines").expect("a whole head"),
    };
    assert_eq!(found, Found { start: 0, end: out.len() }, "{}", shown(out));
    let mut again = ResponseHead::default();
    again.parse(out, found, to_head).unwrap_or_else(|refusal| panic!("{refusal}: {}", shown(out)));
    assert_eq!((again.status, again.version), (head.status, Version::Http11));
    assert_eq!(again.reason.of(out), head.reason.of(bytes));
    assert_eq!(lines(&again, out, true), lines(head, bytes, trailers));
    Some(again)
}

/// The lines that pass on.
fn lines(head: &ResponseHead, bytes: &[u8], trailers: bool) -> Vec<String> {
    let all = head.runs.iter().flat_map(|run| run.of(bytes).split_inclusive(|byte| *byte == b'\n'));
    let mut lines: Vec<String> = all.map(|line| line.escape_ascii().to_string()).collect();
    lines.retain(|line| trailers || !line.to_ascii_lowercase().starts_with("trailer:"));
    lines
}
