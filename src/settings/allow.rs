//! Lists of networks: of those that may use the admin API, and of proxies that are trusted.
//!
//! It owns the question whether an address is in one of them, never where the address comes from or what a refusal
//! looks like. Both planes ask it: workers refuse strangers before control hears of them. Next: `data::door`,
//! `control::admin::access`.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Networks, in the order given; none allows nobody. A copy shares them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList(Arc<[IpNet]>);

impl AllowList {
    /// Exactly these networks.
    #[must_use]
    pub fn new(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }

    /// All networks there are.
    #[must_use]
    pub fn everybody() -> Self {
        Self([IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())].into())
    }

    /// Is nobody in them?
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The networks, or that there is none.
    #[must_use]
    pub fn told(&self) -> String {
        if self.is_empty() { "none".to_owned() } else { self.to_string() }
    }

    /// Is this peer in one of the networks?
    #[must_use]
    pub fn holds(&self, peer: IpAddr) -> bool {
        // A dual-stack listener shows IPv4 peers as ::ffff:a.b.c.d; the operator lists them as a.b.c.d.
        let peer = peer.to_canonical();
        self.0.iter().any(|network| network.contains(&peer))
    }
}

impl fmt::Display for AllowList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, network) in self.0.iter().enumerate() {
            write!(f, "{}{network}", if place > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_in_one_of_the_networks_however_its_address_is_written() {
        let list = AllowList::new(&["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        for (peer, allowed) in [
            ("127.9.9.9", true),
            ("::ffff:127.0.0.1", true),
            ("fd00::1", true),
            ("::1", false),
            ("10.0.0.1", false),
            ("::ffff:10.0.0.1", false),
        ] {
            assert_eq!(list.holds(peer.parse().unwrap()), allowed, "{peer}");
        }
        assert!(!AllowList::default().holds("127.0.0.1".parse().unwrap()));
        assert_eq!(list.to_string(), "127.0.0.0/8,fd00::/8");
    }
}
