//! Passes on what has come of a body: which of its bytes may leave, in one pass over the window that they were read into.
//!
//! It owns what is left out. Chunks go on as a size in digits, its CRLF, and the content: what a peer puts behind the
//! size ends here, as it does with every proxy that writes chunks anew, for only what cannot be read in two ways is
//! passed on, and to read it is the business of this hop (RFC 9112, section 7.1.1). Gaps are closed as the pass goes
//! on, so each byte moves once or twice however many of them there are, and not at all without one. Next:
//! [`super::request`] and [`super::response`] ask.

use crate::http1::body::{Body, Piece};
use crate::http1::buf::Buf;
use crate::http1::error::Refusal;

/// Which bytes of a chunked body leave beside its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    /// None of them.
    Content,
    /// Chunks without trailers.
    Chunks,
    /// Trailers, too.
    Trailers,
}

/// Reads the bytes that have come; `true` when the body has ended.
///
/// # Errors
/// The first rule that they break. What came before that may leave.
#[inline(always)]
pub(super) fn sift(body: &mut Body, window: Option<&mut Buf>, keeps: Keeps) -> Result<bool, Refusal> {
    let Some(window) = window else { return Ok(body.next(&[])? == Piece::Done) };
    if let Some(n) = body.take_of_length(window.unparsed().len()) {
        window.accept(n);
        return Ok(body.is_done());
    }
    sift_pieces(body, window, keeps)
}

fn sift_pieces(body: &mut Body, window: &mut Buf, keeps: Keeps) -> Result<bool, Refusal> {
    let mut gap = 0;
    let outcome = loop {
        match body.next(window.unparsed_behind(gap)) {
            Ok(Piece::Data(n)) => window.accept_behind(gap, n),
            Ok(Piece::Line(n)) if keeps != Keeps::Content => window.accept_behind(gap, n),
            Ok(Piece::Trailer(n)) if keeps == Keeps::Trailers => window.accept_behind(gap, n),
            Ok(Piece::Line(n) | Piece::Trailer(n) | Piece::Drop(n)) => gap += n,
            Ok(Piece::More) => break Ok(false),
            Ok(Piece::Done) => break Ok(true),
            Err(refusal) => break Err(refusal),
        }
    };
    window.close_gap(gap);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::framing::Framing;

    /// What leaves of a body that comes in pieces of this size, and what is left in the window behind it.
    fn sifted(bytes: &[u8], piece: usize, keeps: Keeps) -> (Vec<u8>, Vec<u8>) {
        let mut body = Body::new(Framing::Chunked, u64::MAX);
        let mut window = Buf::new(bytes.len() + 16);
        let (mut left, mut done) = (Vec::new(), false);
        for come in bytes.chunks(piece) {
            window.room()[..come.len()].copy_from_slice(come);
            window.filled(come.len());
            done = done || sift(&mut body, Some(&mut window), keeps).unwrap();
            // Something waits to be sent when more is read, as it does before a slow reader.
            let sent = window.pending().len() / 2;
            left.extend(&window.pending()[..sent]);
            window.sent(sent);
            window.release();
        }
        assert!(done);
        left.extend(window.pending());
        (left, window.unparsed().to_vec())
    }

    #[test]
    fn what_leaves_is_what_can_be_read_in_one_way() {
        let bytes = b"3 ;a = \"b\"\r\nabc\r\n00a;x\r\n0123456789\r\n1  \r\nd\r\n0;z\r\nA: 1\r\nTE: x\r\nB:\r\n\r\nnext";
        for (keeps, leaves) in [
            (Keeps::Content, &b"abc0123456789d"[..]),
            (Keeps::Chunks, b"3\r\nabc\r\n00a\r\n0123456789\r\n1\r\nd\r\n0\r\n\r\n"),
            (Keeps::Trailers, b"3\r\nabc\r\n00a\r\n0123456789\r\n1\r\nd\r\n0\r\nA: 1\r\nB:\r\n\r\n"),
        ] {
            for piece in 1..=bytes.len() {
                let (left, rest) = sifted(bytes, piece, keeps);
                assert_eq!(left.escape_ascii().to_string(), leaves.escape_ascii().to_string(), "{piece}");
                assert_eq!(rest, b"next");
            }
        }
    }

    #[test]
    fn a_body_without_a_window_has_ended_or_not() {
        assert_eq!(sift(&mut Body::new(Framing::None, 0), None, Keeps::Chunks), Ok(true));
        assert_eq!(sift(&mut Body::new(Framing::Length(1), 1), None, Keeps::Chunks), Ok(false));
        assert_eq!(
            sift(&mut Body::new(Framing::Length(2), 1), None, Keeps::Chunks),
            Err(Refusal::BodyTooLong)
        );
    }
}
