//! A request head: the same answer in any split, and what is written for the server means what was read.
//!
//! The input is what a client sends.

use elb::http1::error::Refusal;
use elb::http1::framing::Version;
use elb::http1::origin::Origin;
use elb::http1::request_head::{RequestHead, check_request_line};
use elb::http1::rewrite::{self, Target, ToServer};
use elb::http1::scan::{Found, Scan};
use elb::semantics::syntax::is_token;

use super::{CUTS, shown};

const MAX_HEAD: usize = 18 * 1024;
const PEER: &[u8] = b"192.0.2.1";

pub fn run(bytes: &[u8]) {
    let whole = read(bytes, bytes.len().max(1));
    for cut in CUTS {
        let cut_up = read(bytes, cut);
        assert_eq!(cut_up, whole, "in pieces of {cut}: {}", shown(bytes));
    }
    // The short way, which the exchange takes when the first byte can begin a method, and the careful one agree.
    let begins = bytes.first().is_some_and(|byte| is_token(*byte));
    let (mut head, mut at_once) = (RequestHead::default(), RequestHead::default());
    let found = begins.then(|| at_once.parse_at_once(bytes, MAX_HEAD)).flatten();
    if begins {
        assert_eq!(found, whole.ok().flatten(), "at once: {}", shown(bytes));
    }
    if let Ok(Some(found)) = whole
        && head.parse(bytes, found).is_ok()
    {
        assert!(!begins || format!("{at_once:?}") == format!("{head:?}"), "at once: {at_once:?}\n{head:?}");
        means_the_same(&bytes[..found.end], &head);
    }
}

/// What comes of the bytes when they arrive in pieces of this size: nothing yet, a head, or a refusal.
fn read(bytes: &[u8], piece: usize) -> Result<Option<Found>, Refusal> {
    let mut scan = Scan::default();
    let ends = (piece..bytes.len()).step_by(piece).chain([bytes.len()]);
    for come in ends.map(|end| &bytes[..end]) {
        let found = scan.find(come, MAX_HEAD);
        if let Some(line) = scan.first_line(come) {
            check_request_line(line)?;
        }
        if let Some(found) = found? {
            return RequestHead::default().parse(come, found).map(|()| Some(found));
        }
    }
    Ok(None)
}

/// The head that goes out reads back as the same request, and going out once more changes only who forwarded it.
fn means_the_same(bytes: &[u8], head: &RequestHead) {
    let origin = Origin { authority: b"h", is_bare: true, is_trusted: false, session: None, passes: false };
    let target = Target::Anew([b"/p", b"?", b"q"]);
    let to = ToServer { client: PEER, peer: None, host: b"h", target, extra: &[], id: b"", origin };
    let mut out = Vec::new();
    rewrite::request(&mut out, bytes, head, &to);
    let found = match Scan::default().find(&out, 2 * MAX_HEAD) {
        // What ELB adds may be one field more than it takes.
        Err(Refusal::TooManyHeaders) => return,
        found => found.expect("strict lines").expect("a whole head"),
    };
    assert_eq!(found, Found { start: 0, end: out.len() }, "{}", shown(&out));
    let mut again = RequestHead::default();
    again.parse(&out, found).unwrap_or_else(|refusal| panic!("{refusal}: {}", shown(&out)));

    assert_eq!(again.method.of(&out), head.method.of(bytes));
    assert_eq!((again.target.of(&out), again.host.unwrap().of(&out)), (&b"/p?q"[..], &b"h"[..]));
    assert_eq!((again.version, again.framing), (Version::Http11, head.framing), "{}", shown(&out));
    assert_eq!(again.upgrade.map(|to| to.of(&out)), head.upgrade.map(|to| to.of(bytes)));
    assert_eq!(again.takes_trailers, head.takes_trailers && head.upgrade.is_none());
    assert!(again.keep_alive && !again.expects_continue);
    assert_eq!(again.user_agent.map(|value| value.of(&out)), head.user_agent.map(|value| value.of(bytes)));
    assert_eq!(lines(&again, &out), lines(head, bytes), "{}", shown(&out));

    let mut chain: Vec<&[u8]> = head.forwarded_for.iter().map(|value| value.of(bytes)).collect();
    chain.retain(|value| !value.is_empty());
    chain.push(PEER);
    let told: Vec<&[u8]> = again.forwarded_for.iter().map(|value| value.of(&out)).collect();
    assert_eq!(told, [chain.join(&b", "[..])]);
}

/// The lines that pass on.
fn lines(head: &RequestHead, bytes: &[u8]) -> String {
    let lines: Vec<u8> = head.runs.iter().flat_map(|run| run.of(bytes)).copied().collect();
    lines.escape_ascii().to_string()
}
