//! Finds where a head ends, in whatever pieces it arrives, and refuses every line that does not end in CRLF.
//!
//! It owns line ends and the size of a head, never what a line says; each byte is looked at once however the bytes are
//! split. Next: [`super::request_head`] and [`super::response_head`] read the lines.

use super::error::Refusal;
use super::limits;

/// Progress through one head.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    searched: usize,
    line: usize,
    lines: usize,
    skipped: usize,
}

/// A whole head within the bytes that were scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Empty lines before it, in bytes.
    pub start: usize,
    /// Behind its last byte.
    pub end: usize,
}

impl Scan {
    /// Goes on where it stopped. `bytes` begins where the head begins and holds all that has been read of it. Empty lines
    /// before it count as part of it, so that no head is allowed that the window cannot hold.
    ///
    /// # Errors
    /// [`Refusal::LineEnd`] for a bare LF, [`Refusal::TargetTooLong`], [`Refusal::TooManyHeaders`] and
    /// [`Refusal::HeadTooLong`] as soon as the limit is passed, and [`Refusal::RequestLine`] for a run of empty lines.
    pub fn find(&mut self, bytes: &[u8], max_head: usize) -> Result<Option<Found>, Refusal> {
        while let Some(at) = memchr::memchr(b'\n', &bytes[self.searched..]) {
            let feed = self.searched + at;
            self.fits(feed, max_head)?;
            if feed == 0 || bytes[feed - 1] != b'\r' {
                return Err(Refusal::LineEnd);
            }
            self.searched = feed + 1;
            let length = feed - 1 - self.line;
            self.line = feed + 1;
            if length == 0 {
                if self.lines > 0 {
                    return Ok(Some(Found { start: self.skipped, end: self.line }));
                }
                self.skipped = self.line;
                if self.skipped > 2 * limits::LEADING_EMPTY_LINES {
                    return Err(Refusal::RequestLine);
                }
                continue;
            }
            self.lines += 1;
            if self.lines > limits::HEADER_FIELDS + 1 {
                return Err(Refusal::TooManyHeaders);
            }
        }
        self.searched = bytes.len();
        self.fits(bytes.len(), max_head).map(|()| None)
    }

    /// Whether a head that is not whole after so many bytes can still end within its limits. It is asked of what comes
    /// before each line end too, so that the answer does not depend on how much came at once.
    fn fits(&self, read: usize, max_head: usize) -> Result<(), Refusal> {
        let (most, refusal) = match self.lines {
            // One more for the CR of a line that is just as long as it may be.
            0 => (max_head.min(self.skipped + limits::REQUEST_LINE + 2), Refusal::TargetTooLong),
            _ => (max_head, Refusal::HeadTooLong),
        };
        if read < most { Ok(()) } else { Err(refusal) }
    }

    /// The first line, without its CRLF, once it is whole.
    #[must_use]
    pub fn first_line<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        if self.lines == 0 {
            return None;
        }
        let rest = bytes.get(self.skipped..)?;
        rest.get(..memchr::memchr(b'\n', rest)?.saturating_sub(1))
    }

    /// Whether bytes of the head itself, not only empty lines before it, have arrived.
    #[must_use]
    pub fn begun(&self, bytes: &[u8]) -> bool {
        bytes.len() > self.skipped
    }

    /// Nothing was looked at yet.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.searched == 0
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        if !self.is_fresh() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 64 * 1024;

    /// The answer for the whole input, checked to be the same when it comes byte by byte.
    fn find(bytes: &[u8]) -> Result<Option<Found>, Refusal> {
        let whole = Scan::default().find(bytes, MAX);
        let mut scan = Scan::default();
        let mut answer = Ok(None);
        for n in 1..=bytes.len() {
            answer = scan.find(&bytes[..n], MAX);
            if !matches!(answer, Ok(None)) {
                break;
            }
        }
        assert_eq!(whole, answer, "split differs for {:?}", String::from_utf8_lossy(bytes));
        whole
    }

    #[test]
    fn the_end_is_an_empty_line_after_a_line() {
        assert_eq!(find(b"GET / HTTP/1.1\r\nA: b\r\n\r\nnext"), Ok(Some(Found { start: 0, end: 24 })));
        assert_eq!(find(b"GET / HTTP/1.1\r\nA: b\r\n\r"), Ok(None));
        assert_eq!(find(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"), Ok(Some(Found { start: 4, end: 22 })));
        assert_eq!(find(b""), Ok(None));
    }

    #[test]
    fn bare_line_feeds_and_endless_empty_lines_are_refused() {
        assert_eq!(find(b"\n"), Err(Refusal::LineEnd));
        assert_eq!(find(b"GET / HTTP/1.1\nA: b\r\n\r\n"), Err(Refusal::LineEnd));
        assert_eq!(find(b"GET / HTTP/1.1\r\nA: b\r\n\n"), Err(Refusal::LineEnd));
        assert_eq!(find(b"\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n"), Err(Refusal::RequestLine));
    }

    #[test]
    fn limits_hold_before_the_head_is_whole() {
        let long = [b"GET /".as_slice(), &[b'a'; limits::REQUEST_LINE]].concat();
        assert_eq!(find(&long), Err(Refusal::TargetTooLong));
        let many = [b"GET / HTTP/1.1\r\n".as_slice(), &b"a:b\r\n".repeat(limits::HEADER_FIELDS + 1)].concat();
        assert_eq!(find(&many), Err(Refusal::TooManyHeaders));
        let large = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'a'; MAX]].concat();
        assert_eq!(Scan::default().find(&large, MAX), Err(Refusal::HeadTooLong));
        let head = b"\r\nGET / HTTP/1.1\r\n\r\n";
        assert_eq!(Scan::default().find(head, head.len()), Ok(Some(Found { start: 2, end: head.len() })));
        assert_eq!(Scan::default().find(head, head.len() - 1), Err(Refusal::HeadTooLong));
    }

    #[test]
    fn a_request_line_may_be_as_long_as_its_limit_in_any_split() {
        let line = |length| {
            let fill = vec![b'a'; length - "GET / HTTP/1.1".len()];
            [b"GET /", &fill[..], b" HTTP/1.1\r\nA: b\r\n\r\n"].concat()
        };
        assert!(matches!(find(&line(limits::REQUEST_LINE)), Ok(Some(_))));
        assert_eq!(find(&line(limits::REQUEST_LINE + 1)), Err(Refusal::TargetTooLong));
    }

    #[test]
    fn the_limit_that_is_passed_first_is_the_reason_in_any_split() {
        let bytes = b"GET / HTTP/1.1\r\nA: b\r\nC: d\nE: f\r\n\r\n";
        for (max_head, refusal) in
            [(10, Refusal::TargetTooLong), (20, Refusal::HeadTooLong), (99, Refusal::LineEnd)]
        {
            assert_eq!(Scan::default().find(bytes, max_head), Err(refusal), "whole, {max_head}");
            let mut scan = Scan::default();
            let refused = (1..=bytes.len()).find_map(|n| scan.find(&bytes[..n], max_head).err());
            assert_eq!(refused, Some(refusal), "byte by byte, {max_head}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_split_gives_the_same_answer(picks in proptest::collection::vec(0..5_usize, 0..60), max in 1..50_usize) {
            let pieces = [&b"\r\n"[..], b"\n", b"\r", b"a", b"aaaaaaa"];
            let bytes: Vec<u8> = picks.iter().flat_map(|pick| pieces[*pick]).copied().collect();
            let whole = Scan::default().find(&bytes, max);
            let mut scan = Scan::default();
            let mut each = (1..=bytes.len()).map(|n| scan.find(&bytes[..n], max));
            let split = each.find(|answer| !matches!(answer, Ok(None))).unwrap_or(Ok(None));
            proptest::prop_assert_eq!(if bytes.is_empty() { Ok(None) } else { whole }, split);
        }
    }

    #[test]
    fn the_first_line_is_known_as_soon_as_it_is_whole() {
        let mut scan = Scan::default();
        scan.find(b"GET / HTT", MAX).unwrap();
        assert_eq!(scan.first_line(b"GET / HTT"), None);
        scan.find(b"GET / HTTP/1.1\r\nA", MAX).unwrap();
        assert_eq!(scan.first_line(b"GET / HTTP/1.1\r\nA"), Some(&b"GET / HTTP/1.1"[..]));
        let mut scan = Scan::default();
        scan.find(b"GET /\r HTTP/1.1\r\nA", MAX).unwrap();
        assert_eq!(scan.first_line(b"GET /\r HTTP/1.1\r\nA"), Some(&b"GET /\r HTTP/1.1"[..]));
    }
}
