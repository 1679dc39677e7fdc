//! Rule type `client`: does the request come from one of these networks?
//!
//! It owns that question. Who the client is, behind proxies that are trusted, is decided before. Next:
//! [`kind`](super::kind) has the list that it is on.

use ipnet::IpNet;

use super::args::{Args, Arguments};
use super::contract::{Ask, Kind};
use crate::model::recorder::Look;
use crate::model::scratch::Scratch;
use crate::semantics::RequestView;

/// Most networks of one rule: they are looked through one by one.
const NETWORKS: usize = 256;

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

fn read(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from))
}

impl Ask for Client {
    /// An IPv4 address that came in the form of IPv6 is one of IPv4.
    fn answer(&self, request: &RequestView<'_>, _draw: u64, _scratch: &mut Scratch) -> usize {
        let Some(address) = request.client_address() else { return 0 };
        let address = address.to_canonical();
        usize::from(self.0.iter().any(|network| network.contains(&address)))
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
        let bad = testing::read("client", json!({"cidrs": ["10.0.0.0/8", "10.0.0.0/33", 1]})).unwrap_err();
        let places: Vec<_> = bad.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(places, ["/args/cidrs/1", "/args/cidrs/2"]);
    }
}
