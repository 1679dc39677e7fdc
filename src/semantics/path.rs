//! Paths as they go out and as rules see them: dots are resolved, and what servers would read in different ways is refused
//! (RFC 3986, section 6.2.2).
//!
//! It owns how two spellings of a path become equal, never where a request goes. A path that is canonical already is given
//! back as it is. Next: [`super::request`], which shows rules the result.

use super::syntax::hex;

#[cfg(test)]
mod tests;

/// Why a path is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathFault {
    /// It is none: an escape without two hexadecimal digits, `%00`, or it climbs above the root.
    Malformed,
    /// Servers would resolve it in different ways.
    Ambiguous,
}

/// Whether a path is what it looks like: nothing is encoded, no slash follows another, and no segment begins with a dot or a
/// semicolon, and nowhere is a backslash, which some servers take for a slash. It then goes out, and is seen by rules, byte for byte.
#[inline]
#[must_use]
pub fn is_plain(path: &[u8]) -> bool {
    // One look at each byte and the one after it, without branches. `/.well-known` is a false alarm that costs a copy.
    let next = path.get(1..).unwrap_or_default();
    let unusual = path.iter().zip(next).fold(false, |any, (&a, &b)| {
        // `.` and `/` differ in the last bit.
        any | (b == b'%') | (b == b'\\') | ((a == b'/') & ((b | 1 == b'/') | (b == b';')))
    });
    !unusual && path.starts_with(b"/")
}

/// The path as rules see it: percent escapes decoded once, then `//`, `.` and `..` resolved, so an escaped slash or dot
/// counts as one, as in nginx. The empty path is `/`. A path that is canonical already is given back as it is.
///
/// # Errors
/// [`PathFault::Malformed`]: an escape without two hexadecimal digits, `%00`, or a path that climbs above the root.
#[inline]
pub fn normalize<'a>(path: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], PathFault> {
    if is_plain(path) {
        return Ok(path);
    }
    let decoded = decode(path, scratch)?;
    Ok(if decoded == path { path } else { decoded })
}

/// The slow half of [`normalize`].
fn decode<'a>(path: &[u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], PathFault> {
    if !path.is_empty() && !path.starts_with(b"/") {
        return Err(PathFault::Malformed);
    }
    scratch.clear();
    scratch.push(b'/');
    let mut segment = 1; // Where the segment that is being written began: after the last slash.
    let mut bytes = Decoded(path);
    while let Some(byte) = bytes.next()? {
        if byte == b'/' {
            segment = close_segment(scratch, segment)?;
        } else {
            scratch.push(byte);
        }
    }
    // What has no slash behind it is closed as if it had one, except that an ordinary name gets none.
    if matches!(scratch.get(segment..), Some(b"." | b"..")) {
        close_segment(scratch, segment)?;
    }
    Ok(scratch)
}

/// Resolves the segment that began at `from` and was followed by a slash. Says where the next one begins.
fn close_segment(path: &mut Vec<u8>, from: usize) -> Result<usize, PathFault> {
    match path.get(from..) {
        None | Some(b"") => {}
        Some(b".") => path.truncate(from),
        Some(b"..") => {
            drop_last(path, from)?;
        }
        Some(_) => path.push(b'/'),
    }
    Ok(path.len())
}

/// Cuts a path, which ends with a slash at `end`, behind the slash before its last segment; gives where that was.
fn drop_last(path: &mut Vec<u8>, end: usize) -> Result<usize, PathFault> {
    // `end - 1` is the slash behind the segment; the one before it ends what is kept.
    let above = path.get(..end - 1).unwrap_or_default();
    let parent = memchr::memrchr(b'/', above).ok_or(PathFault::Malformed)? + 1;
    path.truncate(parent);
    Ok(parent)
}

/// The path that goes out: without `.` and `..`, escaped or not, so that no server resolves them otherwise than rules saw.
/// All else keeps its spelling, and a path without any such segment is given back as it is; where there is one, empty
/// segments go as well, for what `..` takes away behind one is not agreed on.
///
/// # Errors
/// [`PathFault::Malformed`] as for [`normalize`]; [`PathFault::Ambiguous`] for what servers resolve in different ways: dots that
/// an escaped slash or a backslash sets apart, or a parameter (`..;`), parameters of nothing (`/;x/`), a backslash that begins a
/// segment, a `..` behind a segment that holds an escaped slash or a backslash, and control bytes, which end the path for some.
pub fn resolve<'a>(path: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], PathFault> {
    let Some(segments) = path.strip_prefix(b"/") else {
        return if path.is_empty() { Ok(path) } else { Err(PathFault::Malformed) };
    };
    let segments = || segments.split(|byte| *byte == b'/');
    let mut dots = false;
    for segment in segments() {
        dots |= matches!(Segment::of(segment)?, Segment::Here | Segment::Above);
    }
    if !dots {
        return Ok(path);
    }
    scratch.clear();
    scratch.push(b'/');
    // Up to here the path is resolved, and ends with a slash; what stands behind it is the last segment, if it is a name.
    let mut end = 1;
    for segment in segments() {
        if scratch.len() > end {
            scratch.push(b'/');
            end = scratch.len();
        }
        match Segment::of(segment)? {
            Segment::Here => {}
            Segment::Above => {
                let above = end.checked_sub(1).and_then(|slash| scratch.get(..slash)).unwrap_or_default();
                let last = above.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
                if Segment::of(last)? == Segment::Divided {
                    return Err(PathFault::Ambiguous);
                }
                end = drop_last(scratch, end)?;
            }
            Segment::Name | Segment::Divided => scratch.extend_from_slice(segment),
        }
    }
    Ok(scratch)
}

/// What stands between two slashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment {
    /// A name, or nothing.
    Name,
    /// Several, for those to whom an escaped slash or a backslash is one.
    Divided,
    /// `.`
    Here,
    /// `..`
    Above,
}

impl Segment {
    fn of(raw: &[u8]) -> Result<Self, PathFault> {
        let mut bytes = Decoded(raw);
        // Dots that a part consists of so far; `None` once there is something else.
        let (mut dots, mut divided, mut dotted) = (Some(0), false, false);
        while let Some(byte) = bytes.next()? {
            let only_dots = matches!(dots, Some(1 | 2));
            match byte {
                // Without its parameters the part would be nothing, or dots; a slash may be all that a backslash stands for.
                b';' if matches!(dots, Some(0..=2)) => return Err(PathFault::Ambiguous),
                b'\\' if dots == Some(0) => return Err(PathFault::Ambiguous),
                b'/' | b'\\' => (dots, divided, dotted) = (Some(0), true, dotted | only_dots),
                b'.' => dots = dots.map(|dots| (dots + 1_u8).min(3)),
                _ if byte.is_ascii_control() => return Err(PathFault::Ambiguous),
                _ => dots = None,
            }
        }
        match dots {
            Some(1 | 2) if divided => Err(PathFault::Ambiguous),
            _ if dotted => Err(PathFault::Ambiguous),
            _ if divided => Ok(Self::Divided),
            Some(1) => Ok(Self::Here),
            Some(2) => Ok(Self::Above),
            _ => Ok(Self::Name),
        }
    }
}

/// Bytes with their percent escapes decoded once.
struct Decoded<'a>(&'a [u8]);

impl Decoded<'_> {
    fn next(&mut self) -> Result<Option<u8>, PathFault> {
        let (byte, rest) = match self.0 {
            [] => return Ok(None),
            [b'%', high, low, rest @ ..] => match (hex(*high), hex(*low)) {
                (Some(0), Some(0)) => return Err(PathFault::Malformed),
                (Some(high), Some(low)) => (high << 4 | low, rest),
                _ => return Err(PathFault::Malformed),
            },
            [b'%', ..] => return Err(PathFault::Malformed),
            [byte, rest @ ..] => (*byte, rest),
        };
        self.0 = rest;
        Ok(Some(byte))
    }
}
