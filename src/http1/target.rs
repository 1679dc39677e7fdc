//! Takes a request target apart (RFC 9112, section 3.2), and says what of it is refused under which name.
//!
//! It owns the forms of a target, never what a host or a path may be: `semantics::host` and `semantics::path` say that,
//! and make them canonical. Next: `exchange::heads` puts the parts together.

use super::error::Refusal;
use crate::semantics::host::{HostPort, NotAHost};
use crate::semantics::path::PathFault;

#[cfg(test)]
mod tests;

/// A request target in its parts, each as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// The authority of an absolute-form target, already found valid. It replaces `Host` (RFC 9112, section 3.2.2).
    pub authority: Option<&'a [u8]>,
    /// The path: it begins with `/`, or is empty when [`slash`](Self::slash) or [`asterisk`](Self::asterisk) is set.
    pub path: &'a [u8],
    /// What follows the first `?`.
    pub query: Option<&'a [u8]>,
    /// The origin-form that goes out: path, `?` and query byte for byte; `*` for the whole server.
    pub rest: &'a [u8],
    /// A `/` must be put before `rest`: an absolute-form target without a path (RFC 9112, section 3.2.1).
    pub slash: bool,
    /// The whole server is meant: `OPTIONS *`.
    pub asterisk: bool,
}

/// Takes `target` apart.
///
/// Nothing is decoded. Bytes from 0x80 on pass, as browsers send them raw.
///
/// # Errors
/// [`Refusal::Connect`] and [`Refusal::Trace`] for these methods, whatever the target; [`Refusal::Host`] for an
/// authority that is empty, malformed or holds userinfo; [`Refusal::Target`] for everything else.
#[inline(always)]
pub fn parse<'a>(method: &[u8], target: &'a [u8]) -> Result<Target<'a>, Refusal> {
    match method {
        b"CONNECT" => return Err(Refusal::Connect),
        b"TRACE" => return Err(Refusal::Trace),
        _ => {}
    }
    let path = path_length(target)?;
    match target {
        [b'/', ..] => Ok(origin_form(target, path)),
        b"*" if method == b"OPTIONS" => Ok(whole_server(None)),
        _ => absolute_form(method, target, path),
    }
}

/// Where the query of a target begins, or the target ends.
fn path_length(target: &[u8]) -> Result<usize, Refusal> {
    // Byte by byte up to there, for most paths are short; a query may be long, and without an early way out the
    // compiler makes the look at it 16 bytes wide.
    let length = target.iter().position(|&byte| ENDS_PATH[byte as usize]).unwrap_or(target.len());
    match target.get(length..) {
        None | Some([]) => Ok(length),
        Some(query @ [b'?', ..]) if query.iter().fold(true, |good, &byte| good & is_target(byte)) => {
            Ok(length)
        }
        _ => Err(Refusal::Target),
    }
}

/// No control byte, no space, no fragment.
const fn is_target(byte: u8) -> bool {
    (byte > b' ') & (byte != 0x7f) & (byte != b'#')
}

static ENDS_PATH: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte as u8 == b'?' || !is_target(byte as u8);
        byte += 1;
    }
    table
};

/// `target` with its query from `length` on.
fn origin_form(target: &[u8], length: usize) -> Target<'_> {
    let (path, query) = target.split_at_checked(length).unwrap_or((target, b""));
    Target { authority: None, path, query: query.get(1..), rest: target, slash: false, asterisk: false }
}

fn whole_server(authority: Option<&[u8]>) -> Target<'_> {
    Target { authority, path: b"", query: None, rest: b"*", slash: false, asterisk: true }
}

fn absolute_form<'a>(method: &[u8], target: &'a [u8], length: usize) -> Result<Target<'a>, Refusal> {
    let colon = memchr::memchr(b':', target).ok_or(Refusal::Target)?;
    let (scheme, rest) = target.split_at(colon);
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return Err(Refusal::Target);
    }
    let rest = rest.strip_prefix(b"://").ok_or(Refusal::Target)?;
    let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    HostPort::parse(authority)?;
    if rest.is_empty() && method == b"OPTIONS" {
        // RFC 9112, section 3.2.4: the last proxy before the origin says `*`.
        return Ok(whole_server(Some(authority)));
    }
    let slash = !rest.starts_with(b"/");
    let before = target.len() - rest.len();
    Ok(Target { authority: Some(authority), slash, ..origin_form(rest, length - before) })
}

impl From<NotAHost> for Refusal {
    fn from(_: NotAHost) -> Self {
        Self::Host
    }
}

impl From<PathFault> for Refusal {
    fn from(fault: PathFault) -> Self {
        match fault {
            PathFault::Malformed => Self::Path,
            PathFault::Ambiguous => Self::AmbiguousPath,
        }
    }
}
