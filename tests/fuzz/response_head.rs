//! A response head: the same answer in any split, and what is written for the client means what was read.
//!
//! The input is what a server sends.

use elb::http1::error::Refusal;
use elb::http1::framing::{Framing, Version};
use elb::http1::limits;
use elb::http1::response_head::{ResponseHead, may_be_response};
use elb::http1::rewrite::{self, Persistence};
use elb::http1::scan::{Found, Scan};

use super::{CUTS, shown};

pub fn run(bytes: &[u8]) {
    for to_head in [false, true] {
        let whole = read(bytes, bytes.len().max(1), to_head);
        for cut in CUTS {
            let cut_up = read(bytes, cut, to_head);
            assert_eq!(cut_up, whole, "in pieces of {cut}: {}", shown(bytes));
        }
        if let Ok(Some(found)) = whole {
            let mut head = ResponseHead::default();
            if head.parse(bytes, found, to_head).is_ok() {
                means_the_same(&bytes[..found.end], &head, to_head);
            }
        }
    }
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
        101 if head.upgrade.is_some() => {
            let mut out = Vec::new();
            rewrite::switching(&mut out, bytes, head);
            let again = read_back(&out, bytes, head, to_head);
            assert_eq!(again.upgrade.map(|to| to.of(&out)), head.upgrade.map(|to| to.of(bytes)));
        }
        100..200 => {
            let mut out = Vec::new();
            rewrite::interim(&mut out, bytes, head);
            read_back(&out, bytes, head, to_head);
        }
        _ => {
            for (framing, persistence) in outgoing(head.framing) {
                let mut out = Vec::new();
                rewrite::response(&mut out, bytes, head, framing, persistence);
                let again = read_back(&out, bytes, head, to_head);
                assert_eq!(again.framing, framing, "{}", shown(&out));
                assert_eq!(again.keep_alive, persistence != Persistence::Close);
            }
        }
    }
}

/// How a body that came with this framing may go out.
fn outgoing(framing: Framing) -> Vec<(Framing, Persistence)> {
    match framing {
        Framing::Close => vec![(Framing::Close, Persistence::Close), (Framing::Chunked, Persistence::Keep)],
        Framing::Chunked => vec![(Framing::Chunked, Persistence::Keep), (Framing::Close, Persistence::Close)],
        framing => {
            vec![(framing, Persistence::Keep), (framing, Persistence::KeepOld), (framing, Persistence::Close)]
        }
    }
}

fn read_back(out: &[u8], bytes: &[u8], head: &ResponseHead, to_head: bool) -> ResponseHead {
    let found =
        Scan::default().find(out, 2 * limits::RESPONSE_HEAD).expect("strict lines").expect("a whole head");
    assert_eq!(found, Found { start: 0, end: out.len() }, "{}", shown(out));
    let mut again = ResponseHead::default();
    again.parse(out, found, to_head).unwrap_or_else(|refusal| panic!("{refusal}: {}", shown(out)));
    assert_eq!((again.status, again.version), (head.status, Version::Http11));
    assert_eq!(again.reason.of(out), head.reason.of(bytes));
    let lines = |head: &ResponseHead, bytes: &[u8]| -> Vec<u8> {
        head.runs.iter().flat_map(|run| run.of(bytes)).copied().collect()
    };
    assert_eq!(shown(&lines(&again, out)), shown(&lines(head, bytes)));
    again
}
