//! Splits a head that has come whole into its lines, in one pass that also checks every byte of them.
//!
//! It owns the short way: what it takes is exactly what `httparse` and the rules of `request_head` and `response_head`
//! take together, and at anything else it gives up without a word, for the careful way finds the name of what is wrong.
//! Next: [`crate::semantics::field`] says what each name means, [`super::request_head`] and [`super::response_head`]
//! what follows.

use super::connection::Named;
use super::error::Refusal;
use super::fields::Span;
use super::framing::Version;
use super::limits;
use crate::semantics::field::{self, Name};
use crate::semantics::syntax::{is_target, is_text, is_token};

/// One field line of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    /// Where the line begins, which is where its name does.
    pub(super) at: usize,
    /// Behind its CRLF.
    pub(super) end: usize,
    /// What the name means.
    pub(super) name: Name,
    /// Its value, without the white space around it.
    pub(super) value: Span,
}

/// The first line of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestLine {
    pub(super) method: Span,
    pub(super) target: Span,
    pub(super) version: Version,
    /// Behind the line's CRLF.
    pub(super) end: usize,
}

/// The first line of a request, which begins at `from`.
///
/// # Errors
/// [`Refusal::RequestLine`] or [`Refusal::LineEnd`], also when the line is not whole. A version that is not spoken is found
/// before, by `request_head::check_request_line`.
#[inline]
pub(super) fn request_line(bytes: &[u8], from: usize) -> Result<RequestLine, Refusal> {
    let line = bytes.get(from..).unwrap_or_default();
    let method_len = token_len(line);
    let Some((_, [b' ', rest @ ..])) = line.split_at_checked(method_len) else {
        return Err(Refusal::RequestLine);
    };
    let target_len = target_len(rest);
    let Some((_, [b' ', rest @ ..])) = rest.split_at_checked(target_len) else {
        return Err(Refusal::RequestLine);
    };
    if method_len == 0 || target_len == 0 {
        return Err(Refusal::RequestLine);
    }
    let Some((version, rest)) = rest.split_first_chunk() else { return Err(Refusal::RequestLine) };
    let Some(version) = self::version(*version) else { return Err(Refusal::RequestLine) };
    if !rest.starts_with(b"\r\n") {
        return Err(Refusal::LineEnd);
    }
    let (method, target) = (Span::new(from, method_len), Span::new(from + method_len + 1, target_len));
    Ok(RequestLine { method, target, version, end: target.end() + " HTTP/1.1\r\n".len() })
}

/// The version that is written so. What comes after 1.1 is read as that, for it would not be HTTP/1 if it were not to be
/// understood by those who know 1.1 (RFC 9110, section 2.5).
#[inline]
pub(super) fn version(text: [u8; 8]) -> Option<Version> {
    const HTTP_11: u64 = u64::from_le_bytes(*b"HTTP/1.1");
    const HTTP_10: u64 = u64::from_le_bytes(*b"HTTP/1.0");
    // One comparison each, where bytes would be eight.
    match u64::from_le_bytes(text) {
        HTTP_11 => Some(Version::Http11),
        HTTP_10 => Some(Version::Http10),
        _ => later(text),
    }
}

#[cold]
#[inline(never)]
fn later(text: [u8; 8]) -> Option<Version> {
    matches!(text, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9']).then_some(Version::Http11)
}

/// The rest of a status line, from `from` to its CRLF.
#[inline]
pub(super) fn text(bytes: &[u8], from: usize) -> Option<Span> {
    let rest = bytes.get(from..)?;
    let length = count(rest, is_text);
    rest.get(length..)?.starts_with(b"\r\n").then(|| Span::new(from, length))
}

/// The lines behind the first one.
pub(super) struct Lines<'a> {
    /// Where `rest` ends.
    end: usize,
    rest: &'a [u8],
    taken: usize,
}

/// What comes next in a head.
pub(super) enum Next {
    /// A field.
    Line(Line),
    /// The empty line that ends the head, and where it ends.
    End(usize),
    /// The head is not whole, or breaks a rule.
    Unusual,
}

impl<'a> Lines<'a> {
    /// Those of `head` from `at` on.
    pub(super) fn new(head: &'a [u8], at: usize) -> Self {
        Self { end: head.len(), rest: head.get(at..).unwrap_or_default(), taken: 0 }
    }

    /// The next line of which the name means something. Those before it are well-formed and mean nothing.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Next {
        let (mut line, mut taken) = (self.rest, self.taken);
        loop {
            let Some(cut) = cut(line) else {
                // Here the head ends, or what is wrong with it begins.
                let whole = line.starts_with(b"\r\n") && taken <= limits::HEADER_FIELDS;
                return if whole { Next::End(self.end - line.len() + 2) } else { Next::Unusual };
            };
            taken += 1;
            let name = field::name(cut.name);
            if name != Name::Other {
                (self.rest, self.taken) = (cut.behind, taken);
                return Next::Line(Line {
                    at: self.end - line.len(),
                    end: self.end - cut.behind.len(),
                    name,
                    value: Span::new(self.end - cut.value.len(), cut.value_len),
                });
            }
            line = cut.behind;
        }
    }
}

/// A line in its parts.
struct Cut<'a> {
    name: &'a [u8],
    /// The value and all that follows it.
    value: &'a [u8],
    value_len: usize,
    /// What follows the line.
    behind: &'a [u8],
}

/// The line at the front, if it is well-formed.
#[inline(always)]
fn cut(line: &[u8]) -> Option<Cut<'_>> {
    // Nearly all lines have one space before the value, and a value of plain bytes of which the last is no space.
    let (name, rest) = line.split_at_checked(token_len(line))?;
    if name.is_empty() {
        return None;
    }
    if let Some((colon, value)) = rest.split_first_chunk()
        && colon == b": "
        && let Some((plain, rest)) = value.split_at_checked(plain_len::<b' '>(value))
        && let Some((end, behind)) = rest.split_first_chunk()
        && end == b"\r\n"
        && let (Some(first), Some(last)) = (plain.first(), plain.last())
        && *first > b' '
        && *last > b' '
    {
        return Some(Cut { name, value, value_len: plain.len(), behind });
    }
    unusual(line)
}

/// The same for any line, byte by byte.
#[cold]
#[inline(never)]
fn unusual(line: &[u8]) -> Option<Cut<'_>> {
    let (name @ [_, ..], [b':', value @ ..]) = line.split_at_checked(count(line, is_token))? else {
        return None;
    };
    let value = value.get(count(value, is_white)..)?;
    let (text, [b'\r', b'\n', behind @ ..]) = value.split_at_checked(count(value, is_text))? else {
        return None;
    };
    let value_len = text.iter().rposition(|byte| !is_white(*byte)).map_or(0, |last| last + 1);
    Some(Cut { name, value, value_len, behind })
}

/// Joins neighbouring lines that pass on, so that they are copied at once.
pub(super) struct Run {
    from: usize,
}

impl Run {
    /// The first line begins at `from`.
    pub(super) fn new(from: usize) -> Self {
        Self { from }
    }

    /// The line from `at` to `end` does not pass.
    #[inline]
    pub(super) fn skip(&mut self, at: usize, end: usize, out: &mut Vec<Span>) {
        if at > self.from {
            out.push(Span::new(self.from, at - self.from));
        }
        self.from = end;
    }

    /// The last line ended at `end`.
    #[inline]
    pub(super) fn end(&self, end: usize, out: &mut Vec<Span>) {
        if end > self.from {
            out.push(Span::new(self.from, end - self.from));
        }
    }
}

/// Rebuilds the runs without the fields that `Connection` names. The lines of `head` from `from` on were read before.
#[cold]
#[inline(never)]
pub(super) fn drop_named(head: &[u8], from: usize, out: &mut Vec<Span>, ends_here: impl Fn(Name) -> bool) {
    let lines = || Cuts(head.get(from..).unwrap_or_default());
    let naming = lines()
        .filter(|line| field::name(line.name) == Name::Connection)
        .map(|line| line.value.get(..line.value_len).unwrap_or_default());
    let named = Named::collect(naming);
    out.clear();
    let (mut run, mut at) = (Run::new(from), from);
    for line in lines() {
        let end = head.len() - line.behind.len();
        if ends_here(field::name(line.name)) || named.holds(line.name) {
            run.skip(at, end, out);
        }
        at = end;
    }
    run.end(at, out);
}

/// The value of the first field of that name from `from` on, in any case, and where the next line begins. The lines of
/// `head` were read before.
pub(super) fn value_of<'h>(head: &'h [u8], from: usize, name: &[u8]) -> Option<(&'h [u8], usize)> {
    let line = Cuts(head.get(from..)?).find(|line| line.name.eq_ignore_ascii_case(name))?;
    Some((line.value.get(..line.value_len)?, head.len() - line.behind.len()))
}

/// All lines.
struct Cuts<'a>(&'a [u8]);

impl<'a> Iterator for Cuts<'a> {
    type Item = Cut<'a>;

    fn next(&mut self) -> Option<Cut<'a>> {
        cut(self.0).inspect(|line| self.0 = line.behind)
    }
}

/// How many bytes at the front make a token. Names are short, and so many tests in a row cost less than any trick.
#[inline(never)]
fn token_len(bytes: &[u8]) -> usize {
    const STEP: usize = 16;
    let mut rest = bytes;
    while let Some((step, behind)) = rest.split_first_chunk::<STEP>() {
        if let Some(length) = step.iter().position(|byte| !is_token(*byte)) {
            return bytes.len() - rest.len() + length;
        }
        rest = behind;
    }
    bytes.len() - rest.len() + count(rest, is_token)
}

/// Which bytes stand around a value and do not belong to it.
fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// How many bytes at the front may stand in a target. Raw bytes beyond ASCII may, in whatever encoding: browsers send UTF-8,
/// old ones and old applications their own, and nothing that ELB decides hangs on what they mean.
#[inline]
fn target_len(bytes: &[u8]) -> usize {
    let plain = plain_len::<b'!'>(bytes);
    if bytes.get(plain).is_some_and(|byte| is_target(*byte)) { raw_target_len(bytes) } else { plain }
}

#[cold]
#[inline(never)]
fn raw_target_len(bytes: &[u8]) -> usize {
    count(bytes, is_target)
}

fn count(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| is(**byte)).count()
}

/// How many bytes at the front are from `LEAST` to `~`: at most up to the first other one, which may be good too.
#[inline(never)]
fn plain_len<const LEAST: u8>(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((block, behind)) = rest.split_first_chunk::<16>() {
        if !is_plain::<LEAST>(block) {
            break;
        }
        rest = behind;
    }
    while let Some((word, behind)) = rest.split_first_chunk() {
        let other = others::<LEAST>(*word);
        if other != 0 {
            return bytes.len() - rest.len() + other.trailing_zeros() as usize / 8;
        }
        rest = behind;
    }
    bytes.len() - rest.len() + count(rest, |byte| (LEAST..=b'~').contains(&byte))
}

/// Whether all are from `LEAST` to `~`; without branches, so that the compiler looks at all of them at once.
#[inline(always)]
fn is_plain<const LEAST: u8>(block: &[u8; 16]) -> bool {
    // One more makes the only bad byte above them, DEL, the least of signed numbers.
    let other = |byte: &u8| byte.wrapping_add(1).cast_signed() <= LEAST.cast_signed();
    !block.iter().fold(false, |any, byte| any | other(byte))
}

/// The highest bit of each byte that is not from `LEAST` to `~`, eight bytes at a time. The lowest bit that is set is
/// right; a borrow or carry out of its byte may spoil those above it.
#[inline(always)]
fn others<const LEAST: u8>(word: [u8; 8]) -> u64 {
    let word = u64::from_le_bytes(word);
    (word.wrapping_sub(each(LEAST)) | word.wrapping_add(each(1))) & each(0x80)
}

const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

#[cfg(test)]
mod tests;
