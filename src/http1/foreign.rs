//! Other protocols that clients and balancers speak to a port of plain HTTP by mistake.
//!
//! It owns how they begin. It is asked only of what is no request, or not a whole one yet, so that the reason says what is
//! wrong, and at once: a line end, at which it would be judged, may never come. Next: `exchange::heads` asks.

use super::error::Refusal;

/// A TLS handshake record of any version (RFC 8446, section 5.1).
const TLS: &[u8] = b"\x16\x03";
/// What a PROXY header of version 1 begins with (HAProxy's `proxy-protocol.txt`, section 2.1). `PROXY /x HTTP/1.1` is a
/// request.
const PROXY: [&[u8]; 3] = [b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN"];
/// As much of the signature of version 2 (section 2.2) as tells it from empty lines before a request.
const PROXY_2: &[u8] = b"\r\n\r\n\0\r\n";

/// What bytes are refused for that begin as another protocol does.
#[must_use]
pub fn refusal(bytes: &[u8]) -> Option<Refusal> {
    match bytes.first()? {
        0x16 if bytes.starts_with(TLS) => Some(Refusal::TlsOnPlainPort),
        b'P' if PROXY.iter().any(|begin| bytes.starts_with(begin)) => Some(Refusal::ProxyProtocol),
        b'\r' if bytes.starts_with(PROXY_2) => Some(Refusal::ProxyProtocol),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_as_another_protocol_is_told_by_its_name() {
        for (bytes, expected) in [
            (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], Some(Refusal::TlsOnPlainPort)),
            (b"\x16", None),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", Some(Refusal::ProxyProtocol)),
            (b"PROXY TCP6 ::1 ::1 1 2\r\n", Some(Refusal::ProxyProtocol)),
            (b"PROXY UNKNOWN\r\n", Some(Refusal::ProxyProtocol)),
            (b"PROXY /TCP4 HTTP/1.1\r\n", None),
            (b"PROXY TCP", None),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c", Some(Refusal::ProxyProtocol)),
            (b"\r\n\r\nGET / HTTP/1.1\r\n", None),
            (b"GET / HTTP/1.1\r\n", None),
            (b"", None),
        ] {
            assert_eq!(refusal(bytes), expected, "{}", bytes.escape_ascii());
        }
    }
}
