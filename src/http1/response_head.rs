//! A response head, checked and kept as spans into its bytes.
//!
//! It owns what a status line and its fields must be (RFC 9112, sections 4 and 6), never the decision what to do with
//! a status. Next: [`super::rewrite`] writes what the client gets.

use super::connection::ConnectionOptions;
use super::error::Refusal;
use super::fields::{self, Span};
use super::framing::{Declared, Framing, Version};
use super::limits;
use super::lines::{self, Lines, Next, Run};
use super::request_head::well_formed;
use super::scan::Found;
use crate::semantics::field::Name;
use crate::semantics::syntax::is_token;

/// What a response head says.
#[derive(Debug)]
pub struct ResponseHead {
    /// 100 to 999: above 599 is merely unusual.
    pub status: u16,
    /// The reason phrase, which may be empty.
    pub reason: Span,
    /// The server's version.
    pub version: Version,
    /// Which body follows; [`Framing::None`] for interim responses.
    pub framing: Framing,
    /// The server would like to use the connection again.
    pub keep_alive: bool,
    /// The protocol that a 101 switches to, named with the `Connection` token by a server that speaks HTTP/1.1; what a 426
    /// asks for. No other response has any.
    pub upgrade: Option<Span>,
    /// It announced trailers.
    pub announces_trailers: bool,
    /// It challenges the connection to authenticate itself ([`super::fields::binds`]).
    pub binds: bool,
    /// It announced a body that is none by rule, as HEAD, 204 and 304 have none.
    pub withheld: bool,
    /// Stretches of whole lines that pass on.
    pub runs: Vec<Span>,
}

impl Default for ResponseHead {
    fn default() -> Self {
        Self {
            status: 0,
            reason: Span::default(),
            version: Version::Http11,
            framing: Framing::None,
            keep_alive: false,
            upgrade: None,
            announces_trailers: false,
            withheld: false,
            binds: false,
            runs: Vec::new(),
        }
    }
}

impl ResponseHead {
    /// Reads the head that [`super::scan::Scan::find`] found. `head_request` says that the request was a HEAD.
    ///
    /// # Errors
    /// The first rule that the head breaks.
    pub fn parse(&mut self, bytes: &[u8], found: Found, head_request: bool) -> Result<(), Refusal> {
        let head = bytes.get(..found.end).unwrap_or_default();
        // Empty lines are forgiven before a request only: here they would be a body that nobody announced.
        let Some(line) = status_line(head).filter(|_| found.start == 0) else {
            return Err(Refusal::StatusLine);
        };
        let fields = memchr::memchr(b'\n', head).map_or(0, |feed| feed + 1);
        well_formed(head.get(fields..).unwrap_or_default())?;
        match self.read(head, line, head_request)? {
            Some(end) if end == head.len() => Ok(()),
            _ => Err(Refusal::HeaderLine),
        }
    }

    /// Reads a head that has come whole, as nearly all do, without looking for its end first. `None` says nothing: the
    /// head is not whole, or breaks a rule, and [`super::scan::Scan::find`] with [`ResponseHead::parse`] will tell which.
    #[must_use]
    pub fn parse_at_once(&mut self, bytes: &[u8], head_request: bool) -> Option<Found> {
        let end = self.read(bytes, status_line(bytes)?, head_request).ok()??;
        let line = self.reason.end();
        (end <= limits::RESPONSE_HEAD && line <= limits::REQUEST_LINE).then_some(Found { start: 0, end })
    }

    /// Reads the head at the front of `bytes`, which begins with this line. Gives its length if every line of it is
    /// there and well-formed.
    fn read(&mut self, bytes: &[u8], line: StatusLine, head_request: bool) -> Result<Option<usize>, Refusal> {
        (self.version, self.status) = (line.version, line.status);
        if self.status < 100 {
            return Err(Refusal::Status);
        }
        // "HTTP/1.1 200" is 12 bytes; the reason begins behind the space that follows.
        let from = if line.spaced { 13 } else { 12 };
        let Some(reason) = lines::text(bytes, from) else { return Ok(None) };
        self.reason = reason;
        self.runs.clear();
        (self.upgrade, self.announces_trailers, self.binds) = (None, false, false);
        let (mut declared, mut connection) = (Declared::default(), ConnectionOptions::default());
        let from = reason.end() + 2;
        let (mut lines, mut run) = (Lines::new(bytes, from), Run::new(from));
        let status = self.status;
        let end = loop {
            let field = match lines.next() {
                Next::Line(field) => field,
                Next::End(end) => break end,
                Next::Unusual => return Ok(None),
            };
            let value = field.value.of(bytes);
            match field.name {
                Name::ContentLength => declared.content_length(value)?,
                Name::TransferEncoding => declared.transfer_encoding(value)?,
                Name::Connection => connection.take(value)?,
                Name::Upgrade => self.upgrade = Some(field.value),
                Name::Trailer => self.announces_trailers = true,
                Name::Credentials => self.binds |= fields::binds(value),
                _ => {}
            }
            if !passes(field.name, status) {
                run.skip(field.at, field.end, &mut self.runs);
            }
        };
        run.end(end - 2, &mut self.runs);
        let bodiless = head_request || is_lengthless(status) || status == 304;
        self.framing = declared.of_response(self.version, bodiless)?;
        self.withheld = bodiless && declared.announces();
        // RFC 9110, section 7.8: HTTP/1.0 knows no upgrades.
        let switches = status == 101 && connection.upgrade && self.version == Version::Http11;
        self.upgrade = self.upgrade.filter(|_| switches || status == UPGRADE_REQUIRED);
        self.keep_alive = !connection.close && (self.version == Version::Http11 || connection.keep_alive);
        if connection.names_fields {
            lines::drop_named(bytes, from, &mut self.runs, |name| !passes(name, status));
        }
        Ok(Some(end))
    }
}

/// The status of an answer that says to which protocol the client must switch.
const UPGRADE_REQUIRED: u16 = 426;

/// RFC 9110, section 8.6: no Content-Length in 1xx and 204.
fn is_lengthless(status: u16) -> bool {
    status < 200 || status == 204
}

/// Whether a field of this name goes on to the client. Only fields of the hop end here; what is ours in a request is
/// an ordinary field in a response.
fn passes(name: Name, status: u16) -> bool {
    match name {
        Name::Connection | Name::TransferEncoding | Name::Te | Name::Hop => false,
        Name::Upgrade => status == UPGRADE_REQUIRED,
        Name::ContentLength => !is_lengthless(status),
        Name::Other
        | Name::Explain
        | Name::Host
        | Name::UserAgent
        | Name::Authorization
        | Name::Expect
        | Name::Trailer
        | Name::ForwardedFor
        | Name::ForwardedHost
        | Name::ForwardedPort
        | Name::ForwardedProto
        | Name::ClientCert
        | Name::ClientCertChain
        | Name::Credentials
        | Name::Ours => true,
    }
}

/// Takes out the blanks before the colons of a head's fields, as a proxy must in responses, and in no request (RFC 9112,
/// section 5.1). What is left ends where it ended; gives how many bytes before it are free.
pub fn close_up(head: &mut [u8]) -> usize {
    let (mut read, mut written) = (0, 0);
    while let Some(line) = head.get(read..).filter(|rest| !rest.is_empty()) {
        let end = memchr::memchr(b'\n', line).map_or(line.len(), |feed| feed + 1);
        let name = if read == 0 { 0 } else { count(line, is_token) };
        let blanks = line.get(name..).map_or(0, |rest| count(rest, |byte| matches!(byte, b' ' | b'\t')));
        let closes = name > 0 && line.get(name + blanks) == Some(&b':');
        let taken = if closes { blanks } else { 0 };
        head.copy_within(read..read + name, written);
        head.copy_within(read + name + taken..read + end, written + name);
        (read, written) = (read + end, written + end - taken);
    }
    let free = head.len() - written;
    head.copy_within(..written, free);
    free
}

fn count(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| is(**byte)).count()
}

/// What a status line says before its reason.
struct StatusLine {
    version: Version,
    status: u16,
    /// A space follows, not the line's end.
    spaced: bool,
}

/// `HTTP/1.` and a digit, SP, 3DIGIT, then SP or the line's end.
#[inline]
fn status_line(head: &[u8]) -> Option<StatusLine> {
    let (version, rest) = head.split_first_chunk()?;
    let version = lines::version(*version)?;
    let [b' ', a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', after @ (b' ' | b'\r'), ..] = *rest else {
        return None;
    };
    let digit = |byte: u8| u16::from(byte - b'0');
    let status = digit(a) * 100 + digit(b) * 10 + digit(c);
    Some(StatusLine { version, status, spaced: after == b' ' })
}

/// Whether these first bytes can still become a status line; garbage is refused without waiting for a line end.
#[must_use]
pub fn may_be_response(bytes: &[u8]) -> bool {
    bytes.iter().zip(b"HTTP/1.").all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::scan::Scan;

    /// Reads the head that `bytes` begin with, as they come in pieces of `step`.
    fn read(bytes: &[u8], step: usize, head_request: bool) -> Result<ResponseHead, Refusal> {
        let mut scan = Scan::default();
        for end in (step..bytes.len()).step_by(step).chain([bytes.len()]) {
            if let Some(found) = scan.find(&bytes[..end], 1 << 18)? {
                let mut head = ResponseHead::default();
                return head.parse(&bytes[..end], found, head_request).map(|()| head);
            }
        }
        panic!("no whole head: {}", bytes.escape_ascii());
    }

    /// Whole, byte by byte, and with more right behind: always the same.
    fn parse(bytes: &[u8], head_request: bool) -> Result<ResponseHead, Refusal> {
        let whole = read(bytes, bytes.len(), head_request);
        let more = [bytes, b"HTTP/1.1 200 OK\r\n\r\n"].concat();
        for (bytes, step) in [(bytes, 1), (&more, more.len()), (&more, 1)] {
            assert_eq!(format!("{:?}", read(bytes, step, head_request)), format!("{whole:?}"));
        }
        whole
    }

    fn framing(fields: &str) -> Result<Framing, Refusal> {
        parse(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes(), false).map(|head| head.framing)
    }

    #[test]
    fn status_lines_are_exact() {
        for line in [
            "HTTP/2.0 200 OK",
            "HTTP/1.x 200 OK",
            "HTTP/1.12 200 OK",
            "HTTP/1.1 20 OK",
            "HTTP/1.1 2000 OK",
            "HTTP/1.1 +20 OK",
            "HTTP/1.1 OK",
            "HTTP/1.1  200 OK",
            "HTTP/1.1",
            "http/1.1 200 OK",
            "ICY 200 OK",
            "200 OK",
            "HTTP/1.1 2\u{0}0 OK",
        ] {
            let bytes = format!("{line}\r\n\r\n");
            assert_eq!(parse(bytes.as_bytes(), false).map(|_| ()), Err(Refusal::StatusLine), "{line:?}");
        }
        for code in ["000", "099"] {
            let bytes = format!("HTTP/1.1 {code} X\r\n\r\n");
            assert_eq!(parse(bytes.as_bytes(), false).map(|_| ()), Err(Refusal::Status), "{code}");
        }
        assert_eq!(parse(b"\r\nHTTP/1.1 200 OK\r\n\r\n", false).map(|_| ()), Err(Refusal::StatusLine));
    }

    #[test]
    fn a_reason_may_be_anything_or_nothing() {
        for (line, reason) in [
            ("HTTP/1.1 200 Very fine", "Very fine"),
            ("HTTP/1.1 200 ", ""),
            ("HTTP/1.1 200", ""),
            ("HTTP/1.0 404 N\u{e9}ant", "N\u{e9}ant"),
        ] {
            let bytes = format!("{line}\r\nContent-Length: 0\r\n\r\n");
            let head = parse(bytes.as_bytes(), false).unwrap();
            assert_eq!(head.reason.of(bytes.as_bytes()), reason.as_bytes(), "{line:?}");
        }
    }

    #[test]
    fn a_later_version_is_read_as_the_last_one_that_is_known() {
        for (version, known, kept) in
            [("1.0", Version::Http10, false), ("1.1", Version::Http11, true), ("1.9", Version::Http11, true)]
        {
            let head = parse(format!("HTTP/{version} 200 OK\r\nContent-Length: 0\r\n\r\n").as_bytes(), false)
                .unwrap();
            assert_eq!((head.version, head.keep_alive), (known, kept), "{version}");
        }
    }

    #[test]
    fn an_upgrade_is_that_of_a_switch_by_http_1_1_or_what_a_426_asks_for() {
        let upgrade = |line: &str, fields: &str| {
            let bytes = format!("HTTP/{line}\r\n{fields}\r\n");
            let head = parse(bytes.as_bytes(), false).unwrap();
            let passes: Vec<u8> =
                head.runs.iter().flat_map(|run| run.of(bytes.as_bytes())).copied().collect();
            let upgrade =
                head.upgrade.map(|to| String::from_utf8_lossy(to.of(bytes.as_bytes())).into_owned());
            (upgrade, String::from_utf8(passes).unwrap())
        };
        let (both, one) = ("Connection: Upgrade\r\nUpgrade: x\r\n", "Upgrade: x\r\n");
        let x = Some("x".to_owned());
        assert_eq!(upgrade("1.1 101 S", both), (x.clone(), String::new()));
        assert_eq!(upgrade("1.0 101 S", both), (None, String::new()));
        assert_eq!(upgrade("1.1 101 S", one), (None, String::new()));
        assert_eq!(upgrade("1.1 200 S", both), (None, String::new()));
        assert_eq!(upgrade("1.1 426 S", both), (x.clone(), one.to_owned()));
        assert_eq!(upgrade("1.0 426 S", one), (x, one.to_owned()));
    }

    #[test]
    fn blanks_before_a_colon_are_taken_out() {
        for (given, closed) in [
            (
                "HTTP/1.1 200 : \r\nA : b\r\nB\t \t: c : d\r\nC: e \r\n\r\n",
                "HTTP/1.1 200 : \r\nA: b\r\nB: c : d\r\nC: e \r\n\r\n",
            ),
            (
                "HTTP/1.1 200\r\nA b : c\r\n : d\r\n e: f\r\ng \r\n\r\n",
                "HTTP/1.1 200\r\nA b : c\r\n : d\r\n e: f\r\ng \r\n\r\n",
            ),
            ("", ""),
        ] {
            let mut head = given.as_bytes().to_vec();
            let free = close_up(&mut head);
            assert_eq!(free, given.len() - closed.len());
            assert_eq!(String::from_utf8_lossy(&head[free..]), closed);
        }
    }

    #[test]
    fn bodies_of_responses() {
        assert_eq!(framing("Content-Length: 5\r\n"), Ok(Framing::Length(5)));
        assert_eq!(framing("Transfer-Encoding: chunked\r\n"), Ok(Framing::Chunked));
        assert_eq!(framing(""), Ok(Framing::Close));
        assert_eq!(framing("Content-Length: 5\r\nContent-Length: 6\r\n"), Err(Refusal::ContentLength));
        assert_eq!(framing("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), Err(Refusal::TwoFramings));
        assert_eq!(framing("Transfer-Encoding: gzip\r\n"), Err(Refusal::UnknownCoding));
        for status in ["103", "204", "304"] {
            let bytes = format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n");
            let head = parse(bytes.as_bytes(), false).unwrap();
            assert_eq!((head.framing, head.runs.len()), (Framing::None, usize::from(status == "304")));
        }
        let answer_to_head = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true).unwrap();
        assert_eq!((answer_to_head.framing, answer_to_head.runs.len()), (Framing::None, 1));
    }

    #[test]
    fn fields_of_the_hop_end_here() {
        let bytes =
            b"HTTP/1.1 200 OK\r\nA: 1\r\nConnection: x-drop\r\nX-Drop: 1\r\nKeep-Alive: 1\r\nDate: d\r\n\
            Upgrade: x\r\nX-Real-IP: kept\r\nTransfer-Encoding: chunked\r\n\r\n";
        let head = parse(bytes, false).unwrap();
        let passed: Vec<u8> = head.runs.iter().flat_map(|run| run.of(bytes)).copied().collect();
        assert_eq!(String::from_utf8_lossy(&passed), "A: 1\r\nDate: d\r\nX-Real-IP: kept\r\n");
        assert!(head.keep_alive && head.upgrade.is_none());
    }

    #[test]
    fn garbage_is_known_by_its_first_bytes() {
        assert!(may_be_response(b"") && may_be_response(b"HTT") && may_be_response(b"HTTP/1.1 200"));
        assert!(!may_be_response(b"SSH-2.0") && !may_be_response(b"\r") && !may_be_response(b"HTTP/2"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_reach_a_panic(tail in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let bytes = [b"HTTP/1.1 ".as_slice(), &tail, b"\r\n\r\n"].concat();
            if let Ok(Some(found)) = Scan::default().find(&bytes, 1024) {
                let _ = ResponseHead::default().parse(&bytes, found, false);
            }
        }
    }
}
