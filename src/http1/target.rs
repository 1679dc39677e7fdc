//! Takes a request target apart, and makes hosts canonical (RFC 9112, section 3.2; RFC 3986).
//!
//! It owns what a target and a host may look like and how two spellings of the same host become equal; it never decides
//! where a request goes. Next: `path` does the same for the path; `model::request` shows rules the result.

use std::net::Ipv6Addr;

use super::error::Refusal;

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

/// What a host is made of beside dots, upper case and escapes: `unreserved` and `sub-delims`, which are legal and never
/// seen.
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
            at += rest_of(host, at).iter().take_while(|byte| IN_HOST[**byte as usize]).count();
            match host.get(at) {
                Some(b'A'..=b'Z') => upper = true,
                Some(b'.') if at > label => label = at + 1,
                // An empty label is no name in DNS, and two suffix rules could read it differently.
                Some(b'.') => return Err(Refusal::Host),
                // Escapes are legal and mean something to no resolver: they stay as they are, and name no other host.
                Some(b'%') => {
                    upper |= escape_has_upper(rest_of(host, at)).ok_or(Refusal::Host)?;
                    at += 2;
                }
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

fn rest_of(bytes: &[u8], at: usize) -> &[u8] {
    bytes.get(at..).unwrap_or_default()
}

/// Whether the escape that `bytes` begin with has a digit in upper case; nothing if it is none.
fn escape_has_upper(bytes: &[u8]) -> Option<bool> {
    let [b'%', digits @ ..] = bytes else { return None };
    let digits: &[u8; 2] = digits.first_chunk()?;
    digits.iter().all(u8::is_ascii_hexdigit).then(|| digits.iter().any(u8::is_ascii_uppercase))
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
