//! From servers by name to servers by address.
//!
//! It owns which names need a lookup and what an upstream is once they are looked up, never the lookup itself: the
//! control plane does that, and hands the addresses in. Next: `state` for all upstreams, `snapshot` for where they go.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::server::ServerTarget;
use super::upstream::{Endpoint, Server, Upstream, UpstreamSpec};

/// `host:port` (host in lower case, port always there) → its addresses. Literals and unix sockets are never asked for.
pub type Addresses = BTreeMap<String, Vec<SocketAddr>>;

/// The names of an upstream's servers that need a lookup, as keys of [`Addresses`].
pub(crate) fn names(spec: &UpstreamSpec) -> impl Iterator<Item = String> {
    spec.servers.iter().filter_map(|server| match server.target() {
        ServerTarget::Name(name) => Some(name),
        ServerTarget::Inet(_) | ServerTarget::Unix(_) => None,
    })
}

/// The upstream with a server for each address of each name; none for a name that has none.
pub(crate) fn resolve(spec: &UpstreamSpec, implicit: bool, addresses: &Addresses) -> Upstream {
    let mut servers = Vec::with_capacity(spec.servers.len());
    for server in &spec.servers {
        let spec = Arc::new(server.clone());
        let mut add = |endpoint| servers.push(Server { endpoint, spec: Arc::clone(&spec) });
        match server.target() {
            ServerTarget::Inet(address) => add(Endpoint::Inet(address)),
            ServerTarget::Unix(path) => add(Endpoint::Unix(path)),
            ServerTarget::Name(name) => {
                addresses.get(&name).into_iter().flatten().for_each(|&address| add(Endpoint::Inet(address)));
            }
        }
    }
    Upstream { name: spec.name.clone(), servers, implicit }
}
