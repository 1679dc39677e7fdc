//! Who the client of a request is, when it came through proxies that are trusted.
//!
//! It owns how `X-Forwarded-For` is read, never who is trusted. Next: `data::dispatch` asks for each request of a trusted peer.

use std::net::{IpAddr, SocketAddr};

/// The rightmost address of the `X-Forwarded-For` values that is not trusted; the leftmost when all are; what is no
/// address ends the search at the last good one. An untrusted peer is the client itself.
pub fn client_of<'a, I>(peer: IpAddr, values: I, trusted: impl Fn(IpAddr) -> bool) -> IpAddr
where
    I: IntoIterator<Item = &'a [u8]>,
    I::IntoIter: DoubleEndedIterator,
{
    let mut last = peer.to_canonical();
    let entries = values.into_iter().rev().flat_map(|value| value.rsplit(|byte| *byte == b','));
    // Empty members of a list count for nothing (RFC 9110, section 5.6.1.2).
    for entry in entries.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty()) {
        if !trusted(last) {
            break;
        }
        let Some(address) = address(entry) else { break };
        last = address;
    }
    last
}

/// `1.2.3.4`, `1.2.3.4:55`, `::1`, `[::1]`, `[::1]:5`.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match bare {
        Some(inner) => IpAddr::V6(inner.parse().ok()?),
        None => text.parse().or_else(|_| text.parse::<SocketAddr>().map(|both| both.ip())).ok()?,
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_the_last_address_that_is_not_a_proxys() {
        let trusted = |a: IpAddr| {
            matches!(a, IpAddr::V4(v) if v.octets()[0] == 10) || a == "fd00::1".parse::<IpAddr>().unwrap()
        };
        for (peer, values, client) in [
            ("192.0.2.9", &["1.1.1.1"][..], "192.0.2.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            ("::ffff:10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.0.0.2"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1", "10.0.0.2"], "1.1.1.1"),
            ("10.0.0.1", &["10.0.0.4,10.0.0.3"], "10.0.0.4"),
            ("10.0.0.1", &["1.1.1.1, unknown, 10.0.0.3"], "10.0.0.3"),
            ("10.0.0.1", &["1.1.1.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1, , "], "1.1.1.1"),
            ("10.0.0.1", &["1.2.3.4:55"], "1.2.3.4"),
            ("10.0.0.1", &["1.2.3.4:99999"], "10.0.0.1"),
            ("10.0.0.1", &["[2001:db8::1]:5, fd00::1"], "2001:db8::1"),
            ("fd00::1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", &["[1.2.3.4]"], "10.0.0.1"),
            ("10.0.0.1", &["::ffff:1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["01.2.3.4"], "10.0.0.1"),
            ("10.0.0.1", &["\u{e9}"], "10.0.0.1"),
        ] {
            let found = client_of(peer.parse().unwrap(), values.iter().map(|v| v.as_bytes()), trusted);
            assert_eq!(found, client.parse::<IpAddr>().unwrap(), "{peer} {values:?}");
        }
    }
}
