//! What a host is, and how it is written when it is compared (RFC 3986, section 3.2.2; RFC 9110, section 4.2.3).
//!
//! It owns how two spellings of the same host become equal, never a search: `model::hosts` finds a domain by the result.
//! Next: [`super::path`] does the same for the path.

use std::net::Ipv6Addr;

#[cfg(test)]
mod tests;

/// It is no `host[:port]`, or an empty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAHost;

/// `Host`, or a target's authority, as domains are looked up: lower case, without port and without the dot that marks
/// a fully qualified name. Given back as it is when nothing of that changes a byte.
///
/// # Errors
/// [`NotAHost`]: not `host[:port]`, or empty. An empty `Host` is legal HTTP only for targets that have no
/// authority at all (RFC 9110, section 7.2), which a load balancer has no place to send to.
#[inline]
pub fn canonical<'a>(host: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], NotAHost> {
    let HostPort { name, upper, .. } = HostPort::parse(host)?;
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

/// A `host[:port]` in its parts (RFC 3986, section 3.2).
#[derive(Debug, Clone, Copy)]
pub struct HostPort<'a> {
    /// The host without its trailing dot, never empty.
    pub name: &'a [u8],
    /// What follows the colon; empty without one.
    pub port: &'a [u8],
    /// Some letter of the host is upper case.
    upper: bool,
}

impl<'a> HostPort<'a> {
    /// Takes one apart, and checks both parts: a port is of digits, and 65535 at most.
    ///
    /// # Errors
    /// That it is none.
    #[inline]
    pub fn parse(host: &'a [u8]) -> Result<Self, NotAHost> {
        let parts = Self::split(host)?;
        check_port(parts.port)?;
        Ok(parts)
    }

    /// Takes one apart, whatever the port.
    ///
    /// # Errors
    /// That it has no host, or something other than a port behind it.
    #[inline]
    pub fn split(host: &'a [u8]) -> Result<Self, NotAHost> {
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
                Some(b'.') => return Err(NotAHost),
                // Escapes are legal and mean something to no resolver: they stay as they are, and name no other host.
                Some(b'%') => {
                    upper |= escape_has_upper(rest_of(host, at)).ok_or(NotAHost)?;
                    at += 2;
                }
                _ => break,
            }
            at += 1;
        }
        let (name, rest) = host.split_at_checked(at).ok_or(NotAHost)?;
        let port = after_host(rest)?;
        let name = name.strip_suffix(b".").unwrap_or(name);
        if name.is_empty() { Err(NotAHost) } else { Ok(Self { name, port, upper }) }
    }

    /// `[IPv6]`, brackets kept. Zones are refused, for they mean something on the client's own machine only, and so are
    /// the future versions that RFC 3986 leaves room for: there are none.
    fn address(host: &'a [u8]) -> Result<Self, NotAHost> {
        let close = memchr::memchr(b']', host).ok_or(NotAHost)?;
        let (name, rest) = host.split_at(close + 1);
        let address = host.get(1..close).and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or(NotAHost)?;
        address.parse::<Ipv6Addr>().map_err(|_| NotAHost)?;
        let port = after_host(rest)?;
        Ok(Self { name, port, upper: name.iter().any(u8::is_ascii_uppercase) })
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

/// What follows the colon behind a host; nothing without one. A colon alone is legal (RFC 3986, section 3.2.3) and means
/// the default port to everybody, so it is not doubtful.
fn after_host(rest: &[u8]) -> Result<&[u8], NotAHost> {
    match rest {
        [] => Ok(rest),
        [b':', port @ ..] => Ok(port),
        _ => Err(NotAHost),
    }
}

/// Checks a port: digits, up to 65535.
fn check_port(digits: &[u8]) -> Result<(), NotAHost> {
    let mut port = 0_u32;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return Err(NotAHost);
        }
        port = port * 10 + u32::from(byte - b'0');
        if port > u32::from(u16::MAX) {
            return Err(NotAHost);
        }
    }
    Ok(())
}
