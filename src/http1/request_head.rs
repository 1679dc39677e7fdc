//! A request head, checked and kept as spans into its bytes.
//!
//! It owns what a request line and its fields must be (RFC 9112, sections 2 to 5), never their bytes and never the
//! body. Lines that pass on unchanged are kept as runs, so that most of a head is copied at once. Next: [`super::rewrite`].

use super::connection::ConnectionOptions;
use super::error::Refusal;
use super::fields::{self, Span};
use super::framing::{Declared, Framing, Version};
use super::limits;
use super::lines::{self, Line, Lines, Next, Run};
use super::scan::Found;
use crate::semantics::field::Name;
use crate::semantics::syntax::{is_target, is_token};

/// What a request head says.
#[derive(Debug)]
pub struct RequestHead {
    /// The method, as sent.
    pub method: Span,
    /// The target, as sent.
    pub target: Span,
    /// The version.
    pub version: Version,
    /// `Host`, which may be empty; HTTP/1.0 need not have one.
    pub host: Option<Span>,
    /// `User-Agent`.
    pub user_agent: Option<Span>,
    /// Which body follows.
    pub framing: Framing,
    /// The client would like to use the connection again.
    pub keep_alive: bool,
    /// It waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Its credentials are the connection's ([`fields::binds`]).
    pub binds: bool,
    /// The protocol that it asks to upgrade to; `h2c` is not among them.
    pub upgrade: Option<Span>,
    /// It can take trailers (`TE: trailers`).
    pub takes_trailers: bool,
    /// It asks for the way of its request (`X-ELB-Explain`).
    pub asks_for_way: bool,
    /// Values of its `X-Forwarded-For` fields, in order.
    pub forwarded_for: Vec<Span>,
    /// What it says of how it came before: the fields of [`super::origin`], in order.
    pub origin: Vec<(Name, Span)>,
    /// Stretches of whole lines that pass on. `Trailer` is not among them, for trailers do not go to servers.
    pub runs: Vec<Span>,
}

impl Default for RequestHead {
    fn default() -> Self {
        Self {
            method: Span::default(),
            target: Span::default(),
            version: Version::Http11,
            host: None,
            user_agent: None,
            framing: Framing::None,
            keep_alive: false,
            expects_continue: false,
            binds: false,
            upgrade: None,
            takes_trailers: false,
            asks_for_way: false,
            forwarded_for: Vec::new(),
            origin: Vec::new(),
            runs: Vec::new(),
        }
    }
}

/// Checks a first line as soon as it is whole, so that what is not HTTP is refused without waiting for more.
///
/// A good line is looked at in constant time, for this is asked again whenever more of the head has come.
///
/// # Errors
/// [`Refusal::Method`] where none begins, [`Refusal::Version`] for a line that is well-formed and speaks another version
/// (the HTTP/2 preface is one), [`Refusal::RequestLine`] for any other.
pub fn check_request_line(line: &[u8]) -> Result<Version, Refusal> {
    if !line.first().is_some_and(|byte| is_token(*byte)) {
        return Err(Refusal::Method);
    }
    let version = line.len().checked_sub(9).and_then(|at| line.get(at..)?.split_first_chunk());
    match version.and_then(|(space, version)| Some((space, lines::version(*version.first_chunk()?)?))) {
        Some((b" ", version)) => Ok(version),
        _ if speaks_another(line) => Err(Refusal::Version),
        _ => Err(Refusal::RequestLine),
    }
}

/// Whether this is a method, a target, and a version that is well-formed: `HTTP/`, a digit, a point, a digit.
fn speaks_another(line: &[u8]) -> bool {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    method.iter().all(|byte| is_token(*byte))
        && !target.is_empty()
        && target.iter().all(|byte| is_target(*byte))
        && matches!(version, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'])
}

impl RequestHead {
    /// Reads the head that [`super::scan::Scan::find`] found; spans count from the first of `bytes`.
    ///
    /// # Errors
    /// The first rule that the head breaks.
    pub fn parse(&mut self, bytes: &[u8], found: Found) -> Result<(), Refusal> {
        let head = bytes.get(..found.end).unwrap_or_default();
        let line = lines::request_line(head, found.start)?;
        well_formed(head.get(line.end..).unwrap_or_default())?;
        match self.read(head, found.start)? {
            Some(end) if end == head.len() => Ok(()),
            _ => Err(Refusal::HeaderLine),
        }
    }

    /// Reads a head that has come whole, as nearly all do, without looking for its end first. `None` says nothing: the
    /// head is not whole, or breaks a rule, and [`super::scan::Scan::find`] with [`RequestHead::parse`] will tell which.
    #[must_use]
    pub fn parse_at_once(&mut self, bytes: &[u8], max_head: usize) -> Option<Found> {
        let end = self.read(bytes, 0).ok()??;
        (end <= max_head && self.line_len() <= limits::REQUEST_LINE).then_some(Found { start: 0, end })
    }

    /// The next value of the field of that name, in any case, and where to look for the one after it: `from` 0 is where
    /// the fields begin. `head` is what was read before, from its first byte to its last.
    #[must_use]
    pub fn value_of<'h>(&self, head: &'h [u8], name: &[u8], from: usize) -> Option<(&'h [u8], usize)> {
        lines::value_of(head, from.max(self.target.end() + " HTTP/1.1\r\n".len()), name)
    }

    /// The first line without its version, as it came: one space is between the two (RFC 9112, section 3).
    #[inline(always)]
    #[must_use]
    pub fn method_and_target<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        bytes.get(self.method.at as usize..self.target.end()).unwrap_or_default()
    }

    /// From the method to the version.
    fn line_len(&self) -> usize {
        self.target.end() - self.method.at as usize + " HTTP/1.1".len()
    }

    /// Reads the head that begins at `from`. Gives where it ends, if every line of it is there and well-formed.
    fn read(&mut self, bytes: &[u8], from: usize) -> Result<Option<usize>, Refusal> {
        let line = lines::request_line(bytes, from)?;
        self.version = line.version;
        (self.method, self.target) = (line.method, line.target);
        self.runs.clear();
        self.forwarded_for.clear();
        self.origin.clear();
        (self.user_agent, self.upgrade) = (None, None);
        (self.expects_continue, self.takes_trailers, self.binds) = (false, false, false);
        self.asks_for_way = false;
        let (mut lines, mut said) = (Lines::new(bytes, line.end), Said::new(line.end));
        loop {
            match lines.next() {
                Next::Line(field) => self.field(bytes, &field, &mut said)?,
                Next::End(end) => {
                    said.run.end(end - 2, &mut self.runs);
                    self.settle(bytes, line.end, &said)?;
                    return Ok(Some(end));
                }
                Next::Unusual => return Ok(None),
            }
        }
    }

    /// Takes a field that means something to a proxy.
    fn field(&mut self, head: &[u8], field: &Line, said: &mut Said) -> Result<(), Refusal> {
        let value = field.value.of(head);
        match field.name {
            Name::Other => return Ok(()),
            Name::ContentLength => return said.declared.content_length(value),
            // Of two, a rule would look at one and the server perhaps at the other.
            Name::UserAgent if self.user_agent.is_some() => return Err(Refusal::Repeated),
            Name::UserAgent => {
                self.user_agent = Some(field.value);
                return Ok(());
            }
            Name::Authorization if said.authorized => return Err(Refusal::Repeated),
            Name::Authorization => {
                said.authorized = true;
                self.binds |= fields::binds(value);
                return Ok(());
            }
            Name::Credentials => {
                self.binds |= fields::binds(value);
                return Ok(());
            }
            Name::Explain => {
                self.asks_for_way = value == b"1";
                return Ok(());
            }
            Name::Host if said.host.is_some() => return Err(Refusal::TwoHosts),
            Name::Host => said.host = Some(field.value),
            Name::TransferEncoding => said.declared.transfer_encoding(value)?,
            Name::Connection => said.connection.take(value)?,
            Name::ForwardedFor => self.forwarded_for.push(field.value),
            Name::ForwardedHost
            | Name::ForwardedPort
            | Name::ForwardedProto
            | Name::ClientCert
            | Name::ClientCertChain => {
                self.origin.push((field.name, field.value));
            }
            Name::Upgrade => self.upgrade = Some(field.value),
            Name::Te => self.takes_trailers |= accepts_trailers(value),
            Name::Expect => self.expectation(value)?,
            Name::Trailer | Name::Hop | Name::Ours => {}
        }
        said.run.skip(field.at, field.end, &mut self.runs);
        Ok(())
    }

    /// What follows from all fields together. They begin at `from`.
    fn settle(&mut self, head: &[u8], from: usize, said: &Said) -> Result<(), Refusal> {
        if said.host.is_none() && self.version == Version::Http11 {
            return Err(Refusal::NoHost);
        }
        self.host = said.host;
        self.framing = said.declared.of_request(self.version)?;
        let connection = &said.connection;
        let asked = self.version == Version::Http11 && connection.upgrade;
        self.upgrade = self.upgrade.filter(|to| asked && upgrades(to.of(head)));
        self.keep_alive = !connection.close && (self.version == Version::Http11 || connection.keep_alive);
        // RFC 9110, section 10.1.1: an expectation in HTTP/1.0 is ignored.
        self.expects_continue &= self.version == Version::Http11;
        self.takes_trailers &= self.version == Version::Http11;
        if connection.names_fields {
            lines::drop_named(head, from, &mut self.runs, |name| {
                !matches!(
                    name,
                    Name::Other
                        | Name::ContentLength
                        | Name::UserAgent
                        | Name::Authorization
                        | Name::Credentials
                )
            });
        }
        Ok(())
    }

    /// Takes one `Expect` field: nothing, or `100-continue`, which said twice is said once (RFC 9110, sections 5.6.1 and
    /// 10.1.1).
    fn expectation(&mut self, value: &[u8]) -> Result<(), Refusal> {
        // In HTTP/1.0 an expectation is ignored.
        if value.eq_ignore_ascii_case(b"100-continue") || self.version == Version::Http10 {
            self.expects_continue = true;
            return Ok(());
        }
        for (number, member) in fields::tokens(value).enumerate() {
            match member {
                _ if number == limits::LIST_MEMBERS => return Err(Refusal::Expect),
                b"" => {}
                _ if member.eq_ignore_ascii_case(b"100-continue") => self.expects_continue = true,
                _ => return Err(Refusal::Expect),
            }
        }
        Ok(())
    }
}

/// Whether this `Upgrade` value may be passed on: h2c would turn the connection into something that is not understood.
fn upgrades(value: &[u8]) -> bool {
    (1..=limits::SHORT_LIST).contains(&value.len())
        && fields::tokens(value).all(|to| !to.is_empty() && !to.eq_ignore_ascii_case(b"h2c"))
        && !value.iter().any(|byte| byte.is_ascii_control())
}

fn accepts_trailers(value: &[u8]) -> bool {
    fields::tokens(value).take(limits::LIST_MEMBERS).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// What the fields that were read so far say together.
struct Said {
    host: Option<Span>,
    authorized: bool,
    declared: Declared,
    connection: ConnectionOptions,
    run: Run,
}

impl Said {
    fn new(from: usize) -> Self {
        let (declared, connection) = (Declared::default(), ConnectionOptions::default());
        Self { host: None, authorized: false, declared, connection, run: Run::new(from) }
    }
}

/// Has a parser of others look at the field lines of a head that was found: it knows what to call what is wrong, and
/// two that agree are better than one.
pub(super) fn well_formed(lines: &[u8]) -> Result<(), Refusal> {
    let mut table = [httparse::EMPTY_HEADER; limits::HEADER_FIELDS];
    match httparse::parse_headers(lines, &mut table) {
        Ok(httparse::Status::Complete((length, _))) if length == lines.len() => Ok(()),
        Ok(_) => Err(Refusal::HeaderLine),
        Err(error) => Err(refusal(error)),
    }
}

/// The rule that the parser found broken.
fn refusal(error: httparse::Error) -> Refusal {
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
