//! What the store has of upstreams, as others look at it.
//!
//! It owns these looks and changes nothing. Next: `state` asks for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Servers, UpstreamSpec, Upstreams};

impl Upstreams {
    /// The texts of the store.
    pub(crate) fn as_read(&self) -> BTreeMap<String, Servers> {
        let mut upstreams: BTreeMap<String, Servers> = BTreeMap::new();
        for (_, stored) in self.servers() {
            let servers = upstreams.entry(stored.upstream.to_string()).or_default();
            servers.insert(stored.server.to_string(), stored.text.to_string());
        }
        upstreams
    }

    /// Whether the store has this server.
    pub(crate) fn stores(&self, key: &str, server: &str) -> bool {
        self.store.get(key).is_some_and(|parts| parts.iter().any(|stored| &*stored.server == server))
    }

    /// The store layer in its last good values.
    pub(crate) fn last_good(&self) -> Vec<Arc<UpstreamSpec>> {
        self.layers.store().values().filter_map(|stored| stored.value.clone()).collect()
    }
}
