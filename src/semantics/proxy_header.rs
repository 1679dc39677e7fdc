//! The header of the PROXY protocol, in which a proxy says before anything else whom it speaks for.
//!
//! It owns what both versions of the header mean (HAProxy's `doc/proxy-protocol.txt`, revision of 2020-03-05), never who is believed.
//! Of version 2 the addresses count; what else it carries (TLVs) is skipped, and nothing of that kind is written. Next: `data::prelude` asks,
//! as bytes come; `data::opening` has one written.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a header of version 1 begins with.
const V1: &[u8] = b"PROXY ";
/// Longest line of version 1, its end included: the protocol has no longer one.
const V1_LONGEST: usize = 107;
/// What a header of version 2 begins with.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of version 2 before the addresses: what it begins with, version and command, family, length.
const V2_FIXED: usize = 16;

/// Which of the two forms a header has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

impl fmt::Display for ProxyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        })
    }
}

impl ProxyVersion {
    /// The header of a connection from the first of these addresses to the second, or of one that is nobody's but the proxy's own, such
    /// as a check of health. Where they are of two kinds, both are written as IPv6 (RFC 4291, section 2.5.5.2).
    #[must_use]
    pub fn header(self, of: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
        let Some((from, to)) = of else {
            return match self {
                Self::V1 => b"PROXY UNKNOWN\r\n".to_vec(),
                Self::V2 => [V2, &[0x20, 0x00, 0, 0]].concat(),
            };
        };
        let ports = [from.port(), to.port()];
        match (self, from.ip().to_canonical(), to.ip().to_canonical()) {
            (Self::V1, IpAddr::V4(from), IpAddr::V4(to)) => line("TCP4", from, to, ports),
            (Self::V1, from, to) => line("TCP6", wide(from), wide(to), ports),
            (Self::V2, IpAddr::V4(from), IpAddr::V4(to)) => binary(0x11, &from.octets(), &to.octets(), ports),
            (Self::V2, from, to) => binary(0x21, &wide(from).octets(), &wide(to).octets(), ports),
        }
    }
}

fn wide(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn line(family: &str, from: impl fmt::Display, to: impl fmt::Display, [source, target]: [u16; 2]) -> Vec<u8> {
    format!("PROXY {family} {from} {to} {source} {target}\r\n").into_bytes()
}

fn binary(family: u8, from: &[u8], to: &[u8], ports: [u16; 2]) -> Vec<u8> {
    let [source, target] = ports.map(u16::to_be_bytes);
    // 12 or 36 bytes.
    let length = u8::try_from(from.len() + to.len() + source.len() + target.len()).unwrap_or(u8::MAX);
    [V2, &[0x21, family, 0, length], from, to, &source, &target].concat()
}

/// What bytes are that may begin with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// So far it may become one.
    More,
    /// They begin with one.
    Is {
        /// Whom the proxy speaks for; nobody where it speaks for itself (a check of health), or for an address of another kind.
        client: Option<IpAddr>,
        /// How long the header is.
        length: usize,
    },
    /// They begin with something else.
    Other,
    /// They begin like one, and are none.
    Broken,
}

impl ProxyHeader {
    /// Looks at all bytes that have come so far. A header of version 2 that is longer than `longest` is broken.
    #[must_use]
    pub fn of(bytes: &[u8], longest: usize) -> Self {
        let begins = |magic: &[u8]| {
            let common = bytes.len().min(magic.len());
            bytes.get(..common) == magic.get(..common)
        };
        match bytes {
            _ if begins(V1) => first(bytes),
            _ if begins(V2) => second(bytes, longest),
            _ => Self::Other,
        }
    }
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443`, and the end of the line.
fn first(bytes: &[u8]) -> ProxyHeader {
    let shown = bytes.get(..V1_LONGEST).unwrap_or(bytes);
    let Some(end) = shown.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < V1_LONGEST { ProxyHeader::More } else { ProxyHeader::Broken };
    };
    let line = shown.get(V1.len()..end).and_then(|line| std::str::from_utf8(line).ok());
    match line.map(spoken_for) {
        Some(Ok(client)) => ProxyHeader::Is { client, length: end + 2 },
        _ => ProxyHeader::Broken,
    }
}

/// Whom a line of version 1 speaks for.
fn spoken_for(line: &str) -> Result<Option<IpAddr>, ()> {
    let mut words = line.split(' ');
    let family = words.next();
    // What stands behind it is of no meaning.
    if family == Some("UNKNOWN") {
        return Ok(None);
    }
    let is_ipv4 = match family {
        Some("TCP4") => true,
        Some("TCP6") => false,
        _ => return Err(()),
    };
    let mut address = || -> Result<IpAddr, ()> {
        let address: IpAddr = words.next().ok_or(())?.parse().map_err(|_| ())?;
        if address.is_ipv4() == is_ipv4 { Ok(address) } else { Err(()) }
    };
    let client = address()?;
    address()?;
    let is_port = |word: Option<&str>| {
        word.is_some_and(|word| {
            let is_plain =
                word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
            is_plain && word.parse::<u16>().is_ok()
        })
    };
    let are_ports = is_port(words.next()) && is_port(words.next());
    if are_ports && words.next().is_none() { Ok(Some(client)) } else { Err(()) }
}

fn second(bytes: &[u8], longest: usize) -> ProxyHeader {
    let Some(&[command, family, high, low]) = bytes.get(V2.len()..V2_FIXED) else { return ProxyHeader::More };
    let rest = usize::from(u16::from_be_bytes([high, low]));
    let length = V2_FIXED + rest;
    // The longest address of each family, twice, and two ports.
    let (needed, is_local) = match (command, family) {
        (0x20, _) => (0, true),
        (0x21, 0x00) => (0, false),
        (0x21, 0x11) => (12, false),
        (0x21, 0x21) => (36, false),
        (0x21, 0x31) => (216, false),
        // Another version, another command, or a datagram on a connection.
        _ => return ProxyHeader::Broken,
    };
    if rest < needed || length > longest {
        return ProxyHeader::Broken;
    }
    let Some(addresses) = bytes.get(V2_FIXED..length) else { return ProxyHeader::More };
    let client = match family {
        _ if is_local => None,
        0x11 => addresses.first_chunk::<4>().map(|octets| IpAddr::V4(Ipv4Addr::from(*octets))),
        0x21 => addresses.first_chunk::<16>().map(|octets| IpAddr::V6(Ipv6Addr::from(*octets))),
        _ => None,
    };
    ProxyHeader::Is { client: client.map(|client| client.to_canonical()), length }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: usize = 536;

    fn of(bytes: &[u8]) -> ProxyHeader {
        ProxyHeader::of(bytes, LONGEST)
    }

    fn is(client: &str, length: usize) -> ProxyHeader {
        ProxyHeader::Is { client: client.parse().ok(), length }
    }

    /// A header of version 2 with this command, family, and what follows.
    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [V2, &[command, family], &length, rest].concat()
    }

    #[test]
    fn lines_of_version_1_say_whom_they_speak_for() {
        for (line, client) in [
            ("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", "192.0.2.1"),
            ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255"),
            ("PROXY TCP6 2001:db8::1 ::1 0 80\r\n", "2001:db8::1"),
            ("PROXY UNKNOWN\r\n", ""),
            ("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", ""),
        ] {
            for more in ["", "GET / HTTP/1.1\r\n\r\n", "PROXY TCP4 9.9.9.9 9.9.9.9 1 1\r\n"] {
                assert_eq!(of(format!("{line}{more}").as_bytes()), is(client, line.len()), "{line}");
            }
            for shown in 1..line.len() {
                assert_eq!(of(&line.as_bytes()[..shown]), ProxyHeader::More, "{line} {shown}");
            }
        }
    }

    #[test]
    fn what_only_begins_like_a_line_of_version_1_is_broken() {
        for line in [
            "PROXY \r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
            "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
            "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 ::1 1 2\r\n",
            "PROXY TCP4 host 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n\r\n",
            "PROXY UNKNOWN2\r\n",
        ] {
            assert_eq!(of(line.as_bytes()), ProxyHeader::Broken, "{line:?}");
        }
        let endless = [V1, &[b'x'; V1_LONGEST]].concat();
        assert_eq!(of(&endless[..V1_LONGEST - 1]), ProxyHeader::More);
        assert_eq!(of(&endless[..V1_LONGEST]), ProxyHeader::Broken);
    }

    #[test]
    fn headers_of_version_2_say_it_in_bytes() {
        let ipv4 = [192, 0, 2, 1, 192, 0, 2, 2, 0xdc, 4, 1, 187];
        let ipv6: Vec<u8> = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1], &[0; 16], &[0, 1, 0, 2]].concat();
        let mapped: Vec<u8> = [&[0; 10][..], &[0xff, 0xff, 192, 0, 2, 9], &[0; 16], &[0, 1, 0, 2]].concat();
        for (header, client) in [
            (v2(0x21, 0x11, &ipv4), "192.0.2.1"),
            (v2(0x21, 0x11, &[&ipv4[..], &[4, 0, 3, 1, 2, 3]].concat()), "192.0.2.1"),
            (v2(0x21, 0x21, &ipv6), "2001:db8::1"),
            (v2(0x21, 0x21, &mapped), "192.0.2.9"),
            (v2(0x21, 0x31, &[0; 216]), ""),
            (v2(0x21, 0x00, b"whatever"), ""),
            (v2(0x20, 0x00, &[]), ""),
            (v2(0x20, 0x11, &ipv4), ""),
        ] {
            assert_eq!(of(&[&header[..], b"GET"].concat()), is(client, header.len()), "{header:?}");
            for shown in 1..header.len() {
                assert_eq!(of(&header[..shown]), ProxyHeader::More, "{header:?} {shown}");
            }
        }
        for header in [
            v2(0x11, 0x11, &ipv4),
            v2(0x22, 0x11, &ipv4),
            v2(0x21, 0x12, &ipv4),
            v2(0x21, 0x41, &ipv4),
            v2(0x21, 0x11, &ipv4[..11]),
            v2(0x21, 0x21, &ipv6[..35]),
            v2(0x21, 0x11, &[0; LONGEST - V2_FIXED + 1]),
        ] {
            assert_eq!(of(&header), ProxyHeader::Broken, "{header:?}");
        }
        assert_eq!(of(&v2(0x21, 0x11, &[0; LONGEST - V2_FIXED])), is("0.0.0.0", LONGEST));
    }

    #[test]
    fn requests_are_something_else_as_soon_as_they_differ() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"POST / HTTP/1.1\r\n",
            b"PROXIES",
            b"\r\n\r\nGET",
            b"\x16\x03\x01",
            b"PO",
        ] {
            assert_eq!(of(bytes), ProxyHeader::Other, "{bytes:?}");
        }
        for bytes in [&b""[..], b"P", b"PROXY", b"\r\n", b"\r\n\r\n\0"] {
            assert_eq!(of(bytes), ProxyHeader::More, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_it_was_meant() {
        for (from, to, v1, family) in [
            ("192.0.2.1:56324", "198.51.100.7:443", "TCP4 192.0.2.1 198.51.100.7 56324 443", 0x11),
            ("[2001:db8::1]:1", "[::1]:80", "TCP6 2001:db8::1 ::1 1 80", 0x21),
            ("[::ffff:192.0.2.1]:0", "198.51.100.7:80", "TCP4 192.0.2.1 198.51.100.7 0 80", 0x11),
            ("192.0.2.1:9", "[2001:db8::1]:80", "TCP6 ::ffff:192.0.2.1 2001:db8::1 9 80", 0x21),
        ] {
            let (source, target): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
            let (ends, client) = (Some((source, target)), source.ip().to_canonical().to_string());
            let [first, second] = [ProxyVersion::V1, ProxyVersion::V2].map(|version| version.header(ends));
            assert_eq!(String::from_utf8(first.clone()).unwrap(), format!("PROXY {v1}\r\n"));
            assert_eq!((second[12], second[13]), (0x21, family));
            let ports = [from, to].map(|end| end.rsplit(':').next().unwrap().parse::<u16>().unwrap());
            assert!(second.ends_with(&ports.map(u16::to_be_bytes).concat()));
            for header in [first, second] {
                let length = header.len();
                let read = of(&[&header[..], b"GET"].concat());
                let ProxyHeader::Is { client: Some(read), length: found } = read else { panic!("{read:?}") };
                assert_eq!((read.to_canonical().to_string(), found), (client.clone(), length));
            }
        }
        for version in [ProxyVersion::V1, ProxyVersion::V2] {
            let header = version.header(None);
            assert_eq!(of(&header), is("", header.len()), "{version}");
        }
    }
}
