//! Finds the end of a body: by length, by chunks, or where the peer closes (RFC 9112, sections 6 and 7).
//!
//! It owns where a body stands and what may follow there; it never holds, copies or decodes a byte, so the caller
//! forwards what was reported as it came. Next: `framing`, which chose the kind; `limits`, which holds the bounds.

use super::error::Refusal;
use super::framing::Framing;
use super::limits;
use super::syntax::{hex, is_text, is_token};

#[cfg(test)]
mod tests;

/// What the bytes at hand begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// This many bytes of content.
    Data(usize),
    /// This many bytes of chunk framing: a whole chunk-size line with its CRLF, or the CRLF after a chunk's data.
    Line(usize),
    /// The whole trailer section with its final CRLF; 2 means that there are no trailers.
    Trailers(usize),
    /// Nothing that can be judged yet: call again when there are more bytes than now.
    More,
    /// The body has ended; the bytes at hand belong to whatever comes next.
    Done,
}

/// Where a body stands.
///
/// The answer to [`Body::next`] depends on the bytes alone and never on how they were split: every rule is checked at
/// the first byte that breaks it. A refusal does not move the body, so asking again gives the same refusal.
#[derive(Debug, Clone)]
pub struct Body {
    place: Place,
    /// Content bytes that may still be announced.
    allowed: u64,
    /// Bytes of chunk extensions seen.
    extensions: usize,
}

/// What must come next. Each place holds only what is true there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// So many bytes of a body with a length, never 0.
    Length(u64),
    /// Content until the peer closes.
    Close,
    /// A chunk-size line.
    ChunkLine,
    /// So many bytes of a chunk, never 0.
    Chunk(u64),
    /// The CRLF after a chunk's data.
    ChunkEnd,
    /// Trailers, or the CRLF that says there are none.
    Trailers,
    /// Nothing.
    Done,
    /// The head announced more than is allowed.
    TooLong,
}

/// Does the head alone say that the body is longer than `max`? Then it can be refused before a byte of it is read.
#[must_use]
pub fn exceeds(framing: &Framing, max: u64) -> bool {
    matches!(framing, Framing::Length(length) if *length > max)
}

impl Body {
    /// A body of which nothing was read yet. `max` bounds its content, `u64::MAX` being no bound; a length above it is
    /// refused by the first [`Body::next`].
    #[must_use]
    pub fn new(framing: Framing, max: u64) -> Self {
        let place = match framing {
            Framing::None | Framing::Length(0) => Place::Done,
            Framing::Length(length) if length > max => Place::TooLong,
            Framing::Length(length) => Place::Length(length),
            Framing::Chunked => Place::ChunkLine,
            Framing::Close => Place::Close,
        };
        Self { place, allowed: max, extensions: 0 }
    }

    /// Judges what `bytes` begins with. `bytes` starts right after everything reported so far; [`Piece::More`] reports
    /// nothing, so those bytes are shown again with more behind them.
    ///
    /// # Errors
    /// The bytes are not a body that every reader would understand in the same way, or go beyond a limit.
    #[inline]
    pub fn next(&mut self, bytes: &[u8]) -> Result<Piece, Refusal> {
        if bytes.is_empty() {
            return match self.place {
                Place::Done => Ok(Piece::Done),
                Place::TooLong => Err(Refusal::BodyTooLong),
                _ => Ok(Piece::More),
            };
        }
        match self.place {
            Place::Length(left) => {
                let (taken, left) = take(bytes, left);
                self.place = if left == 0 { Place::Done } else { Place::Length(left) };
                Ok(Piece::Data(taken))
            }
            Place::Chunk(left) => {
                let (taken, left) = take(bytes, left);
                self.place = if left == 0 { Place::ChunkEnd } else { Place::Chunk(left) };
                Ok(Piece::Data(taken))
            }
            Place::ChunkEnd => self.chunk_end(bytes),
            Place::ChunkLine => self.chunk_line(bytes),
            Place::Close => self.until_close(bytes),
            Place::Trailers => self.trailers(bytes),
            Place::Done => Ok(Piece::Done),
            Place::TooLong => Err(Refusal::BodyTooLong),
        }
    }

    /// The peer closed: was that the right end? A close-delimited body ends so, and is done from here on; any other
    /// that is not done was cut short (RFC 9112, section 8).
    pub fn ended(&mut self) -> bool {
        if self.place == Place::Close {
            self.place = Place::Done;
        }
        self.is_done()
    }

    /// Has the whole body been reported?
    #[inline]
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.place == Place::Done
    }

    /// Bytes that are left of a body with a length.
    #[inline]
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self.place {
            Place::Length(left) => Some(left),
            _ => None,
        }
    }

    fn until_close(&mut self, bytes: &[u8]) -> Result<Piece, Refusal> {
        let (taken, left) = take(bytes, self.allowed);
        if taken == 0 {
            return Err(Refusal::BodyTooLong);
        }
        self.allowed = left;
        Ok(Piece::Data(taken))
    }

    fn chunk_end(&mut self, bytes: &[u8]) -> Result<Piece, Refusal> {
        match bytes {
            [b'\r', b'\n', ..] => {
                self.place = Place::ChunkLine;
                Ok(Piece::Line(2))
            }
            [b'\r'] => Ok(Piece::More),
            _ => Err(Refusal::ChunkEnd),
        }
    }

    fn chunk_line(&mut self, bytes: &[u8]) -> Result<Piece, Refusal> {
        let Some(line) = SizeLine::parse(bytes)? else { return Ok(Piece::More) };
        if line.extensions > limits::CHUNK_EXTENSIONS - self.extensions {
            return Err(Refusal::ChunkExtensions);
        }
        if line.size > self.allowed {
            return Err(Refusal::BodyTooLong);
        }
        self.extensions += line.extensions;
        self.allowed -= line.size;
        self.place = if line.size == 0 { Place::Trailers } else { Place::Chunk(line.size) };
        Ok(Piece::Line(line.length))
    }

    fn trailers(&mut self, bytes: &[u8]) -> Result<Piece, Refusal> {
        let Some(length) = trailer_section(bytes)? else { return Ok(Piece::More) };
        self.place = Place::Done;
        Ok(Piece::Trailers(length))
    }
}

/// How many of `bytes` belong to the `left` that are due, and how many are due then.
#[inline]
fn take(bytes: &[u8], left: u64) -> (usize, u64) {
    let here = bytes.len() as u64;
    if here < left { (bytes.len(), left - here) } else { (left as usize, 0) }
}

/// A whole chunk-size line.
struct SizeLine {
    size: u64,
    /// Bytes of the line, CRLF included.
    length: usize,
    /// Bytes between the size and the CRLF.
    extensions: usize,
}

impl SizeLine {
    /// Reads the line that `bytes` begins with, or nothing when it is not whole yet.
    ///
    /// RFC 9112 lets a recipient accept "bad whitespace" around `;` and `=`. It is refused here: senders must not
    /// produce it, we pass the line on as it came, and where a size ends when a space follows it is what parsers
    /// have disagreed on in smuggling attacks.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, Refusal> {
        let mut size = 0_u64;
        let mut digits = 0;
        for &byte in bytes {
            let Some(digit) = hex(byte) else { break };
            if digits == limits::CHUNK_DIGITS {
                return Err(Refusal::ChunkLine);
            }
            size = size << 4 | u64::from(digit);
            digits += 1;
        }
        // Parsers that keep sizes signed would read the upper half as negative.
        if size > i64::MAX as u64 {
            return Err(Refusal::ChunkLine);
        }
        let extensions = match bytes.get(digits..) {
            None | Some([]) => return Ok(None),
            Some(_) if digits == 0 => return Err(Refusal::ChunkLine),
            Some([b'\r', b'\n', ..]) => 0,
            Some(rest) => match extensions(rest, limits::CHUNK_LINE - digits)? {
                Some(length) => length,
                None => return Ok(None),
            },
        };
        Ok(Some(Self { size, length: digits + extensions + 2, extensions }))
    }
}

/// Where a chunk extension stands: `*( ";" name [ "=" ( token / quoted-string ) ] ) CRLF` (RFC 9112, section 7.1.1).
#[derive(Clone, Copy)]
enum Extension {
    /// After the size or a quoted value.
    Outside,
    NameStart,
    Name,
    ValueStart,
    Value,
    Quoted,
    Escaped,
    Cr,
}

/// The bytes that extensions take before the CRLF, which must be whole within `room`; nothing when more must come.
fn extensions(bytes: &[u8], room: usize) -> Result<Option<usize>, Refusal> {
    use Extension::{Cr, Escaped, Name, NameStart, Outside, Quoted, Value, ValueStart};

    let mut place = Outside;
    for (at, &byte) in bytes.iter().take(room).enumerate() {
        place = match (place, byte) {
            (Cr, b'\n') => return Ok(Some(at - 1)),
            (Outside | Name | Value, b'\r') => Cr,
            (Outside | Name | Value, b';') => NameStart,
            (Name, b'=') => ValueStart,
            (NameStart | Name, _) if is_token(byte) => Name,
            (ValueStart | Value, _) if is_token(byte) => Value,
            (ValueStart, b'"') => Quoted,
            (Quoted, b'"') => Outside,
            (Quoted, b'\\') => Escaped,
            (Quoted | Escaped, _) if is_text(byte) => Quoted,
            (Cr, _) | (Outside | Name | Value, b'\n') => return Err(Refusal::LineEnd),
            _ => return Err(Refusal::ChunkLine),
        };
    }
    if bytes.len() >= room { Err(Refusal::ChunkExtensions) } else { Ok(None) }
}

/// The bytes of a whole trailer section, its final CRLF included; nothing when more must come.
///
/// It is read anew when more bytes came: at most [`limits::TRAILERS`] bytes, which costs less than receiving the packet
/// that brought them.
fn trailer_section(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    let section = bytes.get(..limits::TRAILERS).unwrap_or(bytes);
    let mut rest = section;
    let mut fields = 0;
    loop {
        match rest {
            [b'\r', b'\n', after @ ..] => return Ok(Some(section.len() - after.len())),
            [] | [b'\r'] => break,
            [b'\r', ..] | [b'\n', ..] => return Err(Refusal::LineEnd),
            _ if fields == limits::TRAILER_FIELDS => return Err(Refusal::TrailersTooLong),
            _ => {}
        }
        let Some(length) = trailer_line(rest)? else { break };
        rest = rest.get(length..).unwrap_or_default();
        fields += 1;
    }
    if bytes.len() >= limits::TRAILERS { Err(Refusal::TrailersTooLong) } else { Ok(None) }
}

/// The bytes of one trailer line with its CRLF; nothing when it is not whole. A folded line begins with a space, which
/// is no name, and so is refused (RFC 9112, section 5.2).
fn trailer_line(line: &[u8]) -> Result<Option<usize>, Refusal> {
    let Some(colon) = line.iter().position(|&byte| !is_token(byte)) else { return Ok(None) };
    let (name, rest) = line.split_at(colon);
    let [b':', value @ ..] = rest else { return Err(not_text(rest)) };
    if name.is_empty() || is_forbidden(name) {
        return Err(Refusal::Trailer);
    }
    let Some(end) = value.iter().position(|&byte| !is_text(byte)) else { return Ok(None) };
    match value.get(end..) {
        Some([b'\r', b'\n', ..]) => Ok(Some(colon + 1 + end + 2)),
        Some([b'\r']) => Ok(None),
        Some(rest) => Err(not_text(rest)),
        None => Ok(None),
    }
}

/// Why a trailer line cannot go on with these bytes.
fn not_text(rest: &[u8]) -> Refusal {
    match rest.first() {
        Some(b'\r' | b'\n') => Refusal::LineEnd,
        _ => Refusal::Trailer,
    }
}

/// Fields that must not come after the content, because a recipient that merges trailers into the head would then
/// frame, route, authenticate or read the message otherwise than we did (RFC 9110, section 6.5.1). Response controls
/// such as `Expires` are useless there but harm nobody, and pass.
const FORBIDDEN_TRAILERS: [&[u8]; 25] = [
    // Framing and the connection.
    b"transfer-encoding",
    b"content-length",
    b"trailer",
    b"te",
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"upgrade",
    // Routing, and who the client is.
    b"host",
    b"forwarded",
    b"via",
    b"x-real-ip",
    b"remote-host",
    b"max-forwards",
    b"expect",
    b"range",
    // Authentication.
    b"authorization",
    b"proxy-authorization",
    b"proxy-authenticate",
    b"www-authenticate",
    b"cookie",
    b"set-cookie",
    // How the content is to be read.
    b"content-encoding",
    b"content-type",
    b"content-range",
];

/// Is this a name from the list, or one of the `X-Forwarded` family? `_` counts as `-`, as it does for CGI.
fn is_forbidden(name: &[u8]) -> bool {
    let same =
        |(&given, &known): (&u8, &u8)| given.to_ascii_lowercase() == known || (given, known) == (b'_', b'-');
    let begins_with = |known: &[u8]| name.len() >= known.len() && name.iter().zip(known).all(same);
    begins_with(b"x-forwarded")
        || FORBIDDEN_TRAILERS.iter().any(|known| name.len() == known.len() && begins_with(known))
}
