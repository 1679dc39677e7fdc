//! A request head, checked and kept as spans into its bytes.
//!
//! It owns what a request line and its fields must be (RFC 9112, sections 2 to 5), never their bytes and never the
//! body. Lines that pass on unchanged are kept as runs, so that most of a head is copied at once. Next: `rewrite`.

use std::mem::MaybeUninit;

use super::error::Refusal;
use super::fields::{self, ConnectionOptions, Name, Span};
use super::framing::{Declared, Framing, Version};
use super::limits;
use super::scan::Found;
use super::syntax::is_token;

/// What a request head says.
#[derive(Debug)]
pub struct RequestHead {
    /// The method, as sent.
    pub method: Span,
    /// The target, as sent.
    pub target: Span,
    /// The version.
    pub version: Version,
    /// `Host`, empty when there is none (HTTP/1.0 only).
    pub host: Span,
    /// The first `User-Agent`.
    pub user_agent: Option<Span>,
    /// Which body follows.
    pub framing: Framing,
    /// The client would like to use the connection again.
    pub keep_alive: bool,
    /// It waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// The protocol that it asks to upgrade to; `h2c` is not among them.
    pub upgrade: Option<Span>,
    /// It can take trailers (`TE: trailers`).
    pub takes_trailers: bool,
    /// Values of its `X-Forwarded-For` fields, in order.
    pub forwarded_for: Vec<Span>,
    /// Stretches of whole lines that pass on. `Trailer` is not among them, for trailers do not go to servers.
    pub runs: Vec<Span>,
}

impl Default for RequestHead {
    fn default() -> Self {
        Self {
            method: Span::default(),
            target: Span::default(),
            version: Version::Http11,
            host: Span::default(),
            user_agent: None,
            framing: Framing::None,
            keep_alive: false,
            expects_continue: false,
            upgrade: None,
            takes_trailers: false,
            forwarded_for: Vec::new(),
            runs: Vec::new(),
        }
    }
}

/// Checks a first line as soon as it is whole, so that what is not HTTP is refused without waiting for more.
///
/// # Errors
/// [`Refusal::Version`] or [`Refusal::RequestLine`].
pub fn check_request_line(line: &[u8]) -> Result<Version, Refusal> {
    let (rest, version) = match line.len().checked_sub(9).map(|at| line.split_at(at)) {
        Some((rest, b" HTTP/1.1")) => (rest, Version::Http11),
        Some((rest, b" HTTP/1.0")) => (rest, Version::Http10),
        _ => return Err(if line.contains(&b' ') { Refusal::Version } else { Refusal::RequestLine }),
    };
    if rest.first().is_some_and(|byte| is_token(*byte)) { Ok(version) } else { Err(Refusal::Method) }
}

impl RequestHead {
    /// Reads the head that [`super::scan::Scan::find`] found; spans count from the first of `bytes`.
    ///
    /// # Errors
    /// The first rule that the head breaks.
    pub fn parse(&mut self, bytes: &[u8], found: Found) -> Result<(), Refusal> {
        let head = bytes.get(..found.end).unwrap_or_default();
        let lines = head.get(found.start..).unwrap_or_default();
        match self.read(head, lines) {
            Ok(Some(length)) if length == lines.len() => Ok(()),
            Ok(_) => Err(Refusal::HeaderLine),
            Err(refusal) => Err(refusal),
        }
    }

    /// Reads a head that has come whole, as nearly all do, without looking for its end first. `None` says nothing: the
    /// head is not whole, or breaks a rule, and [`super::scan::Scan::find`] with [`RequestHead::parse`] will tell which.
    #[must_use]
    pub fn parse_at_once(&mut self, bytes: &[u8], max_head: usize) -> Option<Found> {
        let end = self.read(bytes, bytes).ok()??;
        (end <= max_head && self.line_len() <= limits::REQUEST_LINE).then_some(Found { start: 0, end })
    }

    /// From the method to the version.
    fn line_len(&self) -> usize {
        self.target.end() - self.method.at as usize + " HTTP/1.1".len()
    }

    /// Reads `lines`, which end where `head` does. Gives the length of the head, if its end is there.
    fn read(&mut self, head: &[u8], lines: &[u8]) -> Result<Option<usize>, Refusal> {
        let mut table = [const { MaybeUninit::uninit() }; limits::HEADER_FIELDS];
        let mut request = httparse::Request::new(&mut []);
        let length = match request.parse_with_uninit_headers(lines, &mut table) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(refusal(error)),
        };
        self.version = if request.version == Some(0) { Version::Http10 } else { Version::Http11 };
        self.method = Span::within(head, request.method.unwrap_or_default().as_bytes());
        self.target = Span::within(head, request.path.unwrap_or_default().as_bytes());
        let head = head.get(..head.len() - lines.len() + length).unwrap_or_default();
        self.fields(head, request.headers)?;
        Ok(Some(length))
    }

    fn fields(&mut self, head: &[u8], headers: &[httparse::Header<'_>]) -> Result<(), Refusal> {
        self.runs.clear();
        self.forwarded_for.clear();
        (self.user_agent, self.upgrade) = (None, None);
        (self.expects_continue, self.takes_trailers) = (false, false);
        let (mut declared, mut connection) = (Declared::default(), ConnectionOptions::default());
        let mut host = None;
        let mut runs = Runs::new(head);
        for header in headers {
            let kept = match fields::name(header.name.as_bytes()) {
                Name::Other => true,
                Name::ContentLength => declared.content_length(header.value).map(|()| true)?,
                Name::TransferEncoding => declared.transfer_encoding(header.value).map(|()| false)?,
                Name::Host if host.is_some() => return Err(Refusal::TwoHosts),
                Name::UserAgent => {
                    self.user_agent.get_or_insert(Span::within(head, header.value));
                    true
                }
                special => {
                    match special {
                        Name::Host => host = Some(Span::within(head, header.value)),
                        Name::Connection => connection.take(header.value),
                        Name::ForwardedFor => self.forwarded_for.push(Span::within(head, header.value)),
                        Name::Upgrade => self.upgrade = Some(Span::within(head, header.value)),
                        Name::Te => self.takes_trailers |= accepts_trailers(header.value),
                        Name::Expect => self.expectation(header.value)?,
                        _ => {}
                    }
                    false
                }
            };
            runs.line(header.name.as_bytes(), kept, &mut self.runs);
        }
        runs.end(&mut self.runs)?;
        self.settle(head, headers, host, declared, connection)
    }

    /// What follows from all fields together.
    fn settle(
        &mut self,
        head: &[u8],
        headers: &[httparse::Header<'_>],
        host: Option<Span>,
        declared: Declared,
        connection: ConnectionOptions,
    ) -> Result<(), Refusal> {
        if host.is_none() && self.version == Version::Http11 {
            return Err(Refusal::NoHost);
        }
        self.host = host.unwrap_or_default();
        self.framing = declared.of_request(self.version)?;
        let asked = self.version == Version::Http11 && connection.upgrade;
        self.upgrade = self.upgrade.filter(|to| asked && upgrades(to.of(head)));
        self.keep_alive = !connection.close && (self.version == Version::Http11 || connection.keep_alive);
        // RFC 9110, section 10.1.1: an expectation in HTTP/1.0 is ignored.
        self.expects_continue &= self.version == Version::Http11;
        self.takes_trailers &= self.version == Version::Http11;
        if connection.names_fields {
            drop_named(head, headers, &mut self.runs, |name| {
                !matches!(name, Name::Other | Name::ContentLength | Name::UserAgent)
            });
        }
        Ok(())
    }

    fn expectation(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if value.eq_ignore_ascii_case(b"100-continue") {
            self.expects_continue = true;
            Ok(())
        } else if self.version == Version::Http10 {
            Ok(())
        } else {
            Err(Refusal::Expect)
        }
    }
}

/// Whether this `Upgrade` value may be passed on: h2c would turn the connection into something that is not understood.
fn upgrades(value: &[u8]) -> bool {
    !value.is_empty()
        && fields::tokens(value).all(|to| !to.is_empty() && !to.eq_ignore_ascii_case(b"h2c"))
        && !value.iter().any(|byte| byte.is_ascii_control())
}

fn accepts_trailers(value: &[u8]) -> bool {
    fields::tokens(value).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// Rebuilds the runs without the fields that `Connection` names.
pub(super) fn drop_named(
    head: &[u8],
    headers: &[httparse::Header<'_>],
    out: &mut Vec<Span>,
    ends_here: impl Fn(Name) -> bool,
) {
    out.clear();
    let mut runs = Runs::new(head);
    for header in headers {
        let field = header.name.as_bytes();
        let named = headers.iter().any(|other| {
            fields::name(other.name.as_bytes()) == Name::Connection && fields::drops(other.value, field)
        });
        runs.line(field, !named && !ends_here(fields::name(field)), out);
    }
    // The line ends were found strict when the head was first walked.
    let _ = runs.end(out);
}

/// Joins neighbouring lines that pass into runs, and sees to it that each ends in CRLF: the parser would take a bare LF.
/// Strict line ends make a line reach exactly to the next one's name.
pub(super) struct Runs<'a> {
    head: &'a [u8],
    open: Option<usize>,
    strict: bool,
}

impl<'a> Runs<'a> {
    pub(super) fn new(head: &'a [u8]) -> Self {
        Self { head, open: None, strict: true }
    }

    /// The line that begins with this name passes, or does not.
    pub(super) fn line(&mut self, name: &[u8], kept: bool, out: &mut Vec<Span>) {
        let at = Span::within(self.head, name).at as usize;
        self.strict &= self.head.get(at.wrapping_sub(2)) == Some(&b'\r');
        match (self.open, kept) {
            (None, true) => self.open = Some(at),
            (Some(from), false) => {
                out.push(Span::new(from, at - from));
                self.open = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    /// The last line has been told; the empty line behind it belongs to no run.
    pub(super) fn end(self, out: &mut Vec<Span>) -> Result<(), Refusal> {
        if let Some(at) = self.open {
            out.push(Span::new(at, self.head.len() - 2 - at));
        }
        if self.strict && self.head.ends_with(b"\r\n\r\n") { Ok(()) } else { Err(Refusal::LineEnd) }
    }
}

/// The rule that the parser found broken.
pub(super) fn refusal(error: httparse::Error) -> Refusal {
    match error {
        httparse::Error::HeaderName => Refusal::HeaderName,
        httparse::Error::HeaderValue => Refusal::HeaderValue,
        httparse::Error::NewLine => Refusal::LineEnd,
        httparse::Error::Status => Refusal::StatusLine,
        httparse::Error::Token => Refusal::RequestLine,
        httparse::Error::TooManyHeaders => Refusal::TooManyHeaders,
        httparse::Error::Version => Refusal::Version,
    }
}

#[cfg(test)]
mod tests;
