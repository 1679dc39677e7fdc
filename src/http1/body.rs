//! Finds the end of a body: by length, by chunks, or where the peer closes (RFC 9112, sections 6 and 7).
//!
//! It owns where a body stands and what may follow there; it never holds, copies or decodes a byte. The caller forwards
//! what was reported as it came, or leaves it out: what leaves is content, and chunk framing that can be read in one
//! way only. Next: [`super::framing`], which chose the kind; [`crate::semantics::policy`]; [`super::limits`], which
//! holds the bounds.

use super::error::Refusal;
use super::framing::Framing;
use super::limits;
use crate::semantics::policy::TrailerName;
use crate::semantics::syntax::{hex, is_text, is_token};

#[cfg(test)]
mod tests;

/// What the bytes at hand begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// This many bytes of content.
    Data(usize),
    /// This many bytes of chunk framing that every reader understands: a size in digits and its CRLF, or a part of these,
    /// the CRLF after a chunk's data, or the one that ends the body.
    Line(usize),
    /// A whole trailer line, which goes on to those who can take it.
    Trailer(usize),
    /// This many bytes that were understood and go no further: what stands behind a chunk's size, or a trailer line that
    /// does not belong there.
    Drop(usize),
    /// Nothing that can be parsed yet: call again when there are more bytes than now.
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
    /// Bytes of chunk-size lines above what the content so far pays for.
    excess: usize,
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
    /// What stands behind the size of a chunk, so many bytes, which were read and do not pass.
    Extensions { length: u16, size: u64 },
    /// The CRLF behind the size of a chunk.
    SizeEnd { size: u64 },
    /// So many bytes of a chunk, never 0.
    Chunk(u64),
    /// The CRLF after a chunk's data.
    ChunkEnd,
    /// A trailer, or the CRLF that says that there are no more; so much of the section was seen.
    Trailers { bytes: u16, fields: u16 },
    /// Nothing.
    Done,
    /// The head announced more than is allowed.
    TooLong,
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
        Self { place, allowed: max, excess: 0 }
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
            Place::Extensions { length, size } => Ok(self.extensions(bytes, length, size)),
            Place::SizeEnd { size } => self.size_end(bytes, size),
            Place::Close => self.until_close(bytes),
            Place::Trailers { bytes: seen, fields } => self.trailer(bytes, seen, fields),
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

    /// How many of `here` bytes are content, if this is a body with a length that is not through: all that
    /// [`Body::next`] could say of them, at once.
    #[inline]
    pub fn take_of_length(&mut self, here: usize) -> Option<usize> {
        let Place::Length(left) = self.place else { return None };
        let taken = usize::try_from(left).map_or(here, |left| left.min(here));
        let left = left - taken as u64;
        self.place = if left == 0 { Place::Done } else { Place::Length(left) };
        Some(taken)
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
        let size = line.size;
        // As in Go: whatever the lines are filled with, they may not cost more than the content, but for a fixed allowance.
        // What a body is refused for is thus a proportion, and one of any length may have a few words in each chunk.
        let paid = limits::CHUNK_OVERHEAD
            .saturating_add(usize::try_from(size).unwrap_or(usize::MAX).saturating_mul(2));
        let excess = (self.excess + line.digits + line.extensions + 2).saturating_sub(paid);
        if excess > limits::CHUNK_EXCESS {
            return Err(Refusal::ChunkExtensions);
        }
        if size > self.allowed {
            return Err(Refusal::BodyTooLong);
        }
        self.excess = excess;
        self.allowed -= size;
        if line.extensions == 0 {
            self.place = behind_size(size);
            return Ok(Piece::Line(line.digits + 2));
        }
        #[allow(clippy::cast_possible_truncation)] // A line is shorter than 64 KiB.
        let length = line.extensions as u16;
        self.place = Place::Extensions { length, size };
        Ok(Piece::Line(line.digits))
    }

    /// The line was read to its end, so all of these bytes are there.
    fn extensions(&mut self, bytes: &[u8], length: u16, size: u64) -> Piece {
        let here = bytes.len().min(usize::from(length));
        #[allow(clippy::cast_possible_truncation)] // No more than `length`.
        let left = length - here as u16;
        self.place =
            if left == 0 { Place::SizeEnd { size } } else { Place::Extensions { length: left, size } };
        Piece::Drop(here)
    }

    fn size_end(&mut self, bytes: &[u8], size: u64) -> Result<Piece, Refusal> {
        match bytes {
            [b'\r', b'\n', ..] => {
                self.place = behind_size(size);
                Ok(Piece::Line(2))
            }
            [b'\r'] => Ok(Piece::More),
            _ => Err(Refusal::LineEnd),
        }
    }

    /// One line of the section, or its end. What was parsed is not looked at again, however slowly the rest comes.
    fn trailer(&mut self, bytes: &[u8], seen: u16, fields: u16) -> Result<Piece, Refusal> {
        match bytes {
            [b'\r', b'\n', ..] => {
                self.place = Place::Done;
                return Ok(Piece::Line(2));
            }
            [b'\r'] => return Ok(Piece::More),
            [b'\r', ..] | [b'\n', ..] => return Err(Refusal::LineEnd),
            _ => {}
        }
        // The end of the section must fit, too.
        let room = limits::TRAILERS.saturating_sub(usize::from(seen) + 2);
        let Some(line) = trailer_line(bytes.get(..room).unwrap_or(bytes))? else {
            return if bytes.len() < room { Ok(Piece::More) } else { Err(Refusal::TrailersTooLong) };
        };
        #[allow(clippy::cast_possible_truncation)] // The whole section is shorter than 64 KiB.
        let seen = seen + line.length as u16;
        self.place = Place::Trailers { bytes: seen, fields: fields + 1 };
        let passes = line.passes && usize::from(fields) < limits::TRAILER_FIELDS;
        Ok(if passes { Piece::Trailer(line.length) } else { Piece::Drop(line.length) })
    }
}

/// What follows the line that says this size.
fn behind_size(size: u64) -> Place {
    if size == 0 { Place::Trailers { bytes: 0, fields: 0 } } else { Place::Chunk(size) }
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
    digits: usize,
    /// Bytes between the digits and the CRLF.
    extensions: usize,
}

impl SizeLine {
    /// Reads the line that `bytes` begins with, or nothing when it is not whole yet.
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
        Ok(Some(Self { size, digits, extensions }))
    }
}

/// Where a chunk extension stands: `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ) CRLF` (RFC 9112,
/// section 7.1.1), where BWS is any blanks.
///
/// Beyond that grammar it may be empty, and blanks may stand before the CRLF: servers pad their sizes so, and every
/// well-known proxy takes it. Where a size ends when a blank follows it is what parsers have disagreed on in smuggling
/// attacks; but nothing of this goes on to a parser that could, for what follows the digits is dropped.
#[derive(Clone, Copy)]
enum Extension {
    /// After the size or a quoted value.
    Outside,
    NameStart,
    Name,
    /// Blanks after a name: what follows may be its value.
    Named,
    ValueStart,
    Value,
    Quoted,
    Escaped,
    Cr,
}

/// The bytes that extensions take before the CRLF, which must be whole within `room`; nothing when more must come.
fn extensions(bytes: &[u8], room: usize) -> Result<Option<usize>, Refusal> {
    use Extension::{Cr, Escaped, Name, NameStart, Named, Outside, Quoted, Value, ValueStart};

    let mut place = Outside;
    for (at, &byte) in bytes.iter().take(room).enumerate() {
        place = match (place, byte) {
            (Cr, b'\n') => return Ok(Some(at - 1)),
            (Outside | NameStart | Name | Named | Value, b'\r') => Cr,
            (Outside | NameStart | Name | Named | Value, b';') => NameStart,
            (Name | Named, b'=') => ValueStart,
            (Outside | NameStart | Named | ValueStart, b' ' | b'\t') => place,
            (Name, b' ' | b'\t') => Named,
            (Value, b' ' | b'\t') => Outside,
            (NameStart | Name, _) if is_token(byte) => Name,
            (ValueStart | Value, _) if is_token(byte) => Value,
            (ValueStart, b'"') => Quoted,
            (Quoted, b'"') => Outside,
            (Quoted, b'\\') => Escaped,
            (Quoted | Escaped, _) if is_text(byte) => Quoted,
            (Cr, _) | (Outside | NameStart | Name | Named | Value, b'\n') => return Err(Refusal::LineEnd),
            _ => return Err(Refusal::ChunkLine),
        };
    }
    if bytes.len() >= room { Err(Refusal::ChunkExtensions) } else { Ok(None) }
}

/// A whole trailer line.
struct TrailerLine {
    /// Its bytes, CRLF included.
    length: usize,
    /// It may go on.
    passes: bool,
}

/// The trailer line that `bytes` begins with; nothing when it is not whole. A folded line begins with a space, which is
/// no name, and so is refused (RFC 9112, section 5.2).
fn trailer_line(line: &[u8]) -> Result<Option<TrailerLine>, Refusal> {
    let Some(colon) = line.iter().position(|&byte| !is_token(byte)) else { return Ok(None) };
    let (name, rest) = line.split_at(colon);
    let [b':', value @ ..] = rest else { return Err(not_text(rest)) };
    let kind = TrailerName::of(name);
    if kind == TrailerName::Frames {
        return Err(Refusal::Trailer);
    }
    let Some(end) = value.iter().position(|&byte| !is_text(byte)) else { return Ok(None) };
    match value.get(end..) {
        Some([b'\r', b'\n', ..]) => {
            Ok(Some(TrailerLine { length: colon + 1 + end + 2, passes: kind == TrailerName::Passes }))
        }
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
