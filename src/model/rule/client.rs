//! Rule type `client`: does the request come from one of these networks?
//!
//! It owns that question. Who the client is, behind proxies that are trusted, is decided before. Next:
//! [`kind`](super::kind) has the list that it is on.

use std::net::IpAddr;

use ipnet::IpNet;

use super::args::{Args, Arguments};
use super::contract::{Ask, Kind};
use crate::model::recorder::Look;
use crate::model::scratch::Scratch;
use crate::semantics::RequestView;

/// Most networks of one rule: they are looked through one by one.
const NETWORKS: usize = 256;

/// Bits before an IPv4 address in the form of IPv6 (RFC 4291, section 2.5.5.2).
const MAPPED: u8 = 96;

/// A test of the client's address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Client(Box<[IpNet]>);

impl Kind for Client {
    const ARGUMENTS: Arguments = Arguments::only(&["cidrs", "succ", "fail"]);

    fn read(args: &mut Args<'_>) -> Option<Client> {
        args.branches();
        let given = args.list("cidrs", NETWORKS)?;
        let mut networks = Vec::with_capacity(given.len());
        for (at, network) in given.iter().enumerate() {
            match network.as_str().and_then(read) {
                Some(network) => networks.push(network),
                None => args.fault_at("cidrs", at, "must be a network or an address, as 10.0.0.0/8 or ::1"),
            }
        }
        (networks.len() == given.len()).then(|| Client(networks.into()))
    }
}

/// A network of IPv4 addresses in the form of IPv6 is one of IPv4, as addresses are.
fn read(text: &str) -> Option<IpNet> {
    let network = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    match network {
        IpNet::V6(mapped) => {
            match (mapped.addr().to_ipv4_mapped(), mapped.prefix_len().checked_sub(MAPPED)) {
                (Some(address), Some(length)) => IpNet::new(address.into(), length).ok(),
                _ => Some(network),
            }
        }
        IpNet::V4(_) => Some(network),
    }
}

impl Ask for Client {
    /// An IPv4 address that came in the form of IPv6 is one of IPv4.
    fn answer(&self, request: &RequestView<'_>, _draw: u64, _scratch: &mut Scratch) -> usize {
        let Some(address) = request.client_address() else { return 0 };
        let address = address.to_canonical();
        usize::from(self.0.iter().any(|network| network.contains(&address)))
    }

    fn covers(&self, other: &Client) -> bool {
        other.0.iter().all(|network| self.0.iter().any(|own| own.contains(network)))
    }

    fn look(&self, request: &RequestView<'_>, _scratch: &mut Scratch) -> Look {
        let networks: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        Look::new("client", Some(request.client), networks.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use crate::model::rule::kind::testing;
    use crate::model::scratch::Scratch;
    use crate::semantics::Sketch;
    use serde_json::json;

    #[test]
    fn a_client_is_in_a_network_or_not() {
        let takes = |address: &str| {
            let args = json!({"cidrs": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]});
            testing::ask("client", args, &Sketch::new("h", "/").client(address), &mut Scratch::new()) == 1
        };
        for address in ["10.1.2.3", "2001:db8::1", "192.0.2.7", "::ffff:10.0.0.1"] {
            assert!(takes(address), "{address}");
        }
        for address in ["11.0.0.1", "2001:db9::1", "192.0.2.8", "::1", "unix"] {
            assert!(!takes(address), "{address}");
        }
        let mapped = json!({"cidrs": ["::ffff:10.0.0.0/104", "::ffff:192.0.2.7"]});
        for (address, found) in [("10.1.2.3", 1), ("192.0.2.7", 1), ("::ffff:10.0.0.1", 1), ("11.0.0.1", 0)] {
            let sketch = Sketch::new("h", "/").client(address);
            assert_eq!(
                testing::ask("client", mapped.clone(), &sketch, &mut Scratch::new()),
                found,
                "{address}"
            );
        }
        let bad = testing::read("client", json!({"cidrs": ["10.0.0.0/8", "10.0.0.0/33", 1]})).unwrap_err();
        let places: Vec<_> = bad.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(places, ["/args/cidrs/1", "/args/cidrs/2"]);
    }
}
