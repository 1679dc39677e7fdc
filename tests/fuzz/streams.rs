//! What an exchange sent, read by the strict parsers: every byte of it must be part of a message that they understand.

use elb::http1::body::{Body, Piece};
use elb::http1::error::Refusal;
use elb::http1::framing::Framing;
use elb::http1::limits;
use elb::http1::request_head::RequestHead;
use elb::http1::response_head::ResponseHead;
use elb::http1::scan::{Found, Scan};

use super::shown;

/// Longest head that is ever written: the longest that is read, and what is added to it.
const LONGEST: usize = 2 * limits::RESPONSE_HEAD;

/// How far a stream of messages came.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    /// Whole messages; interim responses are not counted.
    pub(super) whole: usize,
    /// A further head was whole and its body is not.
    pub(super) begun: bool,
    /// That body ends with the connection.
    pub(super) until_close: bool,
    /// Bytes behind the last whole message are there.
    pub(super) partial: bool,
    /// A head has more fields than the reader takes, as one may to which ELB has added; the rest was not looked at.
    pub(super) unreadable: bool,
}

/// Reads what a server was sent. `tunnel` says that its last request was an upgrade that succeeded.
pub(super) fn requests(mut bytes: &[u8], tunnel: bool) -> Read {
    let mut read = Read::default();
    while !bytes.is_empty() {
        let found = match Scan::default().find(bytes, LONGEST) {
            Ok(Some(found)) => found,
            Ok(None) => return Read { partial: true, ..read },
            Err(Refusal::TooManyHeaders) => return Read { unreadable: true, ..read },
            Err(refusal) => panic!("a server got {refusal}: {}", shown(bytes)),
        };
        let mut head = RequestHead::default();
        match head.parse(bytes, found) {
            // A client of HTTP/1.0 has said no host, and nobody made one up. All else must be good.
            Err(Refusal::NoHost) => with_host(&mut head, &bytes[..found.end]),
            parsed => parsed.unwrap_or_else(|refusal| panic!("a server got {refusal}: {}", shown(bytes))),
        }
        bytes = &bytes[found.end..];
        if tunnel && head.upgrade.is_some() {
            return read;
        }
        match body(bytes, head.framing) {
            Some(length) => bytes = &bytes[length..],
            None => return Read { begun: true, partial: true, ..read },
        }
        read.whole += 1;
    }
    read
}

/// Reads a head to which a host is added. Spans are then of no use.
fn with_host(head: &mut RequestHead, bytes: &[u8]) {
    let line = bytes.iter().position(|byte| *byte == b'\n').expect("a first line") + 1;
    let bytes = [&bytes[..line], b"Host: h\r\n", &bytes[line..]].concat();
    let found = Found { start: 0, end: bytes.len() };
    head.parse(&bytes, found).unwrap_or_else(|refusal| panic!("a server got {refusal}: {}", shown(&bytes)));
}

/// Reads what a client was sent in answer to requests of which `to_head` says whether they were HEAD.
pub(super) fn responses(mut bytes: &[u8], to_head: &[bool]) -> Read {
    let mut read = Read::default();
    while !bytes.is_empty() {
        let found = match Scan::default().find(bytes, LONGEST) {
            Ok(Some(found)) => found,
            Ok(None) => return Read { partial: true, ..read },
            Err(Refusal::TooManyHeaders) => return Read { unreadable: true, ..read },
            Err(refusal) => panic!("a client got {refusal}: {}", shown(bytes)),
        };
        let mut head = ResponseHead::default();
        let asked = to_head.get(read.whole).unwrap_or_else(|| panic!("an answer too many: {}", shown(bytes)));
        head.parse(bytes, found, *asked)
            .unwrap_or_else(|refusal| panic!("a client got {refusal}: {}", shown(bytes)));
        bytes = &bytes[found.end..];
        match head.status {
            101 => return Read { whole: read.whole + 1, ..read },
            100..200 => continue,
            _ => {}
        }
        let until_close = head.framing == Framing::Close;
        match body(bytes, head.framing) {
            Some(length) => bytes = &bytes[length..],
            None => return Read { begun: true, partial: true, until_close, ..read },
        }
        read.whole += 1;
    }
    read
}

/// The length of a whole body. What leaves has nothing in it that must not leave.
fn body(bytes: &[u8], framing: Framing) -> Option<usize> {
    let mut body = Body::new(framing, u64::MAX);
    let mut length = 0;
    loop {
        match body.next(&bytes[length..]) {
            Ok(Piece::Data(n) | Piece::Line(n) | Piece::Trailer(n)) => length += n,
            Ok(Piece::Drop(_)) => panic!("a body with more than framing and content: {}", shown(bytes)),
            Ok(Piece::More) => return None,
            Ok(Piece::Done) => return Some(length),
            Err(refusal) => panic!("a body that is {refusal}: {}", shown(bytes)),
        }
    }
}
