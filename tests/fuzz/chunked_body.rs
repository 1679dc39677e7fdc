//! A chunked body: the same answer in any split, pieces that add up to the input, and the content that a plain decoder
//! finds.
//!
//! The input is what follows a head with `Transfer-Encoding: chunked`.

use elb::http1::body::{Body, Piece};
use elb::http1::error::Refusal;
use elb::http1::framing::Framing;

use super::{CUTS, shown};

/// What a body came to: what each byte of it is, and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Judged {
    /// `d` for content, `l` for chunk lines, `t` for trailers, `x` for what is left out.
    kinds: Vec<u8>,
    end: Result<bool, Refusal>,
}

pub fn run(bytes: &[u8]) {
    for max in [u64::MAX, 64] {
        let whole = judge(bytes, bytes.len().max(1), max);
        for cut in CUTS {
            assert_eq!(judge(bytes, cut, max), whole, "in pieces of {cut}: {}", shown(bytes));
        }
        assert!(whole.kinds.len() <= bytes.len());
        let content: Vec<u8> =
            whole.kinds.iter().zip(bytes).filter(|(kind, _)| **kind == b'd').map(|(_, byte)| *byte).collect();
        assert!(content.len() as u64 <= max);
        if whole.end == Ok(true) {
            assert_eq!(decoded(bytes), Some(content), "{}", shown(bytes));
            leaves_plain(bytes, &whole);
        }
    }
}

/// What leaves is the same body for a reader that knows no extensions and no blanks, and nothing more is left out of it.
fn leaves_plain(bytes: &[u8], whole: &Judged) {
    let leaves: Vec<u8> =
        whole.kinds.iter().zip(bytes).filter(|(kind, _)| **kind != b'x').map(|(_, byte)| *byte).collect();
    assert_eq!(decoded_strictly(&leaves), decoded(bytes), "{}", shown(&leaves));
    let again = judge(&leaves, leaves.len(), u64::MAX);
    assert!(again.end == Ok(true) && !again.kinds.contains(&b'x'), "{}", shown(&leaves));
}

/// Feeds the bytes in pieces of this size, showing again what could not be judged.
fn judge(bytes: &[u8], piece: usize, max: u64) -> Judged {
    let mut body = Body::new(Framing::Chunked, max);
    let mut kinds = Vec::new();
    let ends = (piece..bytes.len()).step_by(piece).chain([bytes.len()]);
    for come in ends.map(|end| &bytes[..end]) {
        loop {
            let (kind, n) = match body.next(&come[kinds.len()..]) {
                Ok(Piece::Data(n)) => (b'd', n),
                Ok(Piece::Line(n)) => (b'l', n),
                Ok(Piece::Trailer(n)) => (b't', n),
                Ok(Piece::Drop(n)) => (b'x', n),
                Ok(Piece::More) => break,
                Ok(Piece::Done) => return Judged { kinds, end: Ok(true) },
                Err(refusal) => {
                    let again = body.next(&come[kinds.len()..]);
                    assert_eq!(again, Err(refusal), "a refusal moved the body");
                    return Judged { kinds, end: Err(refusal) };
                }
            };
            assert!(n > 0 && n <= come.len() - kinds.len(), "a piece of {n} bytes");
            kinds.resize(kinds.len() + n, kind);
        }
    }
    assert!(!body.ended(), "the end of input is no end of chunks");
    Judged { kinds, end: Ok(false) }
}

/// The content, as the plainest decoder reads it.
fn decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    decode(bytes, |line| line.split(|byte| b"; \t".contains(byte)).next())
}

/// The same where a size is all that a line may hold.
fn decoded_strictly(bytes: &[u8]) -> Option<Vec<u8>> {
    decode(bytes, |line| line.iter().all(u8::is_ascii_hexdigit).then_some(line))
}

fn decode(mut bytes: &[u8], digits: impl Fn(&[u8]) -> Option<&[u8]>) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let digits = digits(&bytes[..end])?;
        let size = usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        bytes = bytes.get(end + 2..)?;
        if size == 0 {
            return Some(content);
        }
        content.extend_from_slice(bytes.get(..size)?);
        bytes = bytes.get(size..)?.strip_prefix(b"\r\n")?;
    }
}
