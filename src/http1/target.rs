//! Takes a request target apart, and makes paths and hosts canonical (RFC 9112, section 3.2; RFC 3986).
//!
//! It owns what a path and a host may look like and how two spellings of the same one become equal; it never decides
//! where a request goes, and what is sent on keeps its spelling. Next: `model::request`, which shows rules the result.

use std::net::Ipv6Addr;

use super::error::Refusal;
use super::syntax::hex;

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
/// Nothing is decoded. Bytes from 0x80 on pass, as browsers send them raw; `lines` has made sure of UTF-8.
///
/// # Errors
/// [`Refusal::Connect`] and [`Refusal::Trace`] for these methods, whatever the target; [`Refusal::Host`] for an
/// authority that is empty, malformed or holds userinfo; [`Refusal::Target`] for everything else.
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

/// The path as rules see it: percent escapes decoded once, then `//`, `.` and `..` resolved, so an escaped slash or dot
/// counts as one, as in nginx. The empty path is `/`. A path that is canonical already is given back as it is.
///
/// # Errors
/// [`Refusal::Path`]: an escape without two hexadecimal digits, `%00`, or a path that climbs above the root.
#[inline]
pub fn normalize<'a>(path: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], Refusal> {
    // One look at each byte and the one after it, without branches. `/.well-known` is a false alarm that costs a copy.
    let next = path.get(1..).unwrap_or_default();
    let unusual = path
        .iter()
        .zip(next)
        .fold(false, |any, (&a, &b)| any | (b == b'%') | ((a == b'/') & ((b == b'/') | (b == b'.'))));
    if !unusual && path.starts_with(b"/") {
        return Ok(path);
    }
    decode(path, scratch)
}

/// The slow half of [`normalize`].
fn decode<'a>(path: &[u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], Refusal> {
    if !path.is_empty() && !path.starts_with(b"/") {
        return Err(Refusal::Path);
    }
    scratch.clear();
    scratch.push(b'/');
    let mut segment = 1; // Where the segment that is being written began: after the last slash.
    let mut bytes = path.iter();
    while let Some(&byte) = bytes.next() {
        let byte = if byte == b'%' { escaped(bytes.next(), bytes.next())? } else { byte };
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

/// The byte behind `%`.
fn escaped(high: Option<&u8>, low: Option<&u8>) -> Result<u8, Refusal> {
    let digit = |byte: Option<&u8>| byte.and_then(|&byte| hex(byte)).ok_or(Refusal::Path);
    match digit(high)? << 4 | digit(low)? {
        0 => Err(Refusal::Path),
        byte => Ok(byte),
    }
}

/// Resolves the segment that began at `from` and was followed by a slash. Says where the next one begins.
fn close_segment(path: &mut Vec<u8>, from: usize) -> Result<usize, Refusal> {
    match path.get(from..) {
        None | Some(b"") => {}
        Some(b".") => path.truncate(from),
        Some(b"..") => {
            // `from - 1` is the slash before this segment; the one before that ends what is kept.
            let above = path.get(..from - 1).unwrap_or_default();
            let parent = memchr::memrchr(b'/', above).ok_or(Refusal::Path)?;
            path.truncate(parent + 1);
        }
        Some(_) => path.push(b'/'),
    }
    Ok(path.len())
}

/// `Host`, or a target's authority, as domains are looked up: lower case, without port and without the dot that marks
/// a fully qualified name. Given back as it is when nothing of that changes a byte.
///
/// # Errors
/// [`Refusal::Host`]: not `host[:port]`, or empty. An empty `Host` is legal HTTP only for targets that have no
/// authority at all (RFC 9110, section 7.2), which a load balancer has no place to send to.
#[inline]
pub fn normal_host<'a>(host: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], Refusal> {
    let HostPort { name, upper } = HostPort::parse(host)?;
    if !upper {
        return Ok(name);
    }
    scratch.clear();
    scratch.extend_from_slice(name);
    scratch.make_ascii_lowercase();
    Ok(scratch)
}

/// What a host is made of beside dots and upper case: `unreserved` and `sub-delims`, which are legal and never seen.
/// Escapes are legal too, but refused: whether `%2e` is a dot is not agreed on.
static IN_HOST: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(byte as u8, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~')
            || matches!(
                byte as u8,
                b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
            );
        byte += 1;
    }
    table
};

/// A valid `host[:port]` (RFC 3986, section 3.2).
struct HostPort<'a> {
    /// The host without its trailing dot, never empty.
    name: &'a [u8],
    /// Some letter of it is upper case.
    upper: bool,
}

impl<'a> HostPort<'a> {
    fn parse(host: &'a [u8]) -> Result<Self, Refusal> {
        if host.starts_with(b"[") {
            return Self::address(host);
        }
        let (mut upper, mut label, mut at) = (false, 0, 0); // The current label begins at `label`.
        loop {
            // Plain bytes are skipped in a loop of their own: it is all that most names need.
            let rest = host.get(at..).unwrap_or_default();
            at += rest.iter().take_while(|byte| IN_HOST[**byte as usize]).count();
            match host.get(at) {
                Some(b'A'..=b'Z') => upper = true,
                Some(b'.') if at > label => label = at + 1,
                // An empty label is no name in DNS, and two suffix rules could read it differently.
                Some(b'.') => return Err(Refusal::Host),
                _ => break,
            }
            at += 1;
        }
        let (name, rest) = host.split_at_checked(at).ok_or(Refusal::Host)?;
        after_host(rest)?;
        let name = name.strip_suffix(b".").unwrap_or(name);
        if name.is_empty() { Err(Refusal::Host) } else { Ok(Self { name, upper }) }
    }

    /// `[IPv6]`, brackets kept. Zones are refused, for they mean something on the client's own machine only, and so are
    /// the future versions that RFC 3986 leaves room for: there are none.
    fn address(host: &'a [u8]) -> Result<Self, Refusal> {
        let close = memchr::memchr(b']', host).ok_or(Refusal::Host)?;
        let (name, rest) = host.split_at(close + 1);
        let address =
            host.get(1..close).and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or(Refusal::Host)?;
        address.parse::<Ipv6Addr>().map_err(|_| Refusal::Host)?;
        after_host(rest)?;
        Ok(Self { name, upper: name.iter().any(u8::is_ascii_uppercase) })
    }
}

/// Checks what follows a host: nothing, or a colon and a port of digits up to 65535. A colon alone is legal (RFC 3986,
/// section 3.2.3) and means the default port to everybody, so it is not doubtful.
fn after_host(rest: &[u8]) -> Result<(), Refusal> {
    let digits = match rest {
        [] => return Ok(()),
        [b':', digits @ ..] => digits,
        _ => return Err(Refusal::Host),
    };
    let mut port = 0_u32;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return Err(Refusal::Host);
        }
        port = port * 10 + u32::from(byte - b'0');
        if port > u32::from(u16::MAX) {
            return Err(Refusal::Host);
        }
    }
    Ok(())
}
