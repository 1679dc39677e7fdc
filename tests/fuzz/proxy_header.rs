//! A header of the PROXY protocol: what is said of a part holds for the whole, and a header is no longer than what has come.

use elb::semantics::proxy_header::ProxyHeader;

/// As much as is looked at of a connection.
const LONGEST: usize = 536;

pub fn run(bytes: &[u8]) {
    let mut known = None;
    for shown in 0..=bytes.len().min(2 * LONGEST) {
        let now = ProxyHeader::of(&bytes[..shown], LONGEST);
        match known {
            Some(known) => assert_eq!(now, known, "{shown} of {}", super::shown(bytes)),
            None if now != ProxyHeader::More => known = Some(now),
            None => assert!(shown < LONGEST, "it takes too long: {}", super::shown(bytes)),
        }
        if let ProxyHeader::Is { client, length } = now {
            assert!(
                length <= shown.min(LONGEST) && client.is_none_or(|client| client == client.to_canonical())
            );
        }
    }
}
