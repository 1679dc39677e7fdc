//! The whole configuration at one moment: what workers serve from.
//!
//! It owns the two lookups of a request (domain, upstream) and the sharing of what did not change with the snapshot
//! before; it is immutable, and never knows where a value came from. Next: `state` builds it, `route` reads it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hashbrown::HashMap;

use super::host::HostIndex;
use super::request::Request;
use super::ruleset::RuleSet;
use super::upstream::{Upstream, UpstreamKey};

/// An immutable configuration, shared by all workers through an [`Arc`].
pub struct Snapshot {
    /// Its number; a later snapshot has a higher one, and [`Snapshot::empty`] has 0.
    pub version: u64,
    hosts: Arc<HostIndex>,
    /// By domain slot.
    rules: Vec<Arc<RuleSet>>,
    upstreams: HashMap<UpstreamKey, Arc<Upstream>>,
}

impl Snapshot {
    /// A snapshot of nothing, version 0.
    pub fn empty() -> Snapshot {
        Snapshot { version: 0, hosts: Arc::default(), rules: Vec::new(), upstreams: HashMap::new() }
    }

    /// A snapshot of these domains and upstreams. What is equal in `previous` is shared with it; while the names of the
    /// domains stay, so do their slots.
    pub(crate) fn new(
        version: u64,
        domains: &BTreeMap<Arc<str>, Arc<RuleSet>>,
        upstreams: impl Iterator<Item = Upstream>,
        previous: &Snapshot,
    ) -> Snapshot {
        let known = previous.hosts.names();
        // The same name is nearly always the same allocation.
        let same = |(a, b): (&Arc<str>, &Arc<str>)| Arc::ptr_eq(a, b) || a == b;
        let hosts = if known.len() == domains.len() && known.iter().zip(domains.keys()).all(same) {
            Arc::clone(&previous.hosts)
        } else {
            Arc::new(HostIndex::new(domains.keys().cloned().collect()))
        };
        let upstreams = upstreams.map(|upstream| {
            let key = UpstreamKey::new(&upstream.name);
            let shared = previous.upstreams.get(&key).filter(|known| ***known == upstream).cloned();
            (key, shared.unwrap_or_else(|| Arc::new(upstream)))
        });
        Snapshot {
            version,
            hosts,
            rules: domains.values().cloned().collect(),
            upstreams: upstreams.collect(),
        }
    }

    /// The upstream of that name, one that an operator made or an implicit one.
    pub fn upstream(&self, key: &UpstreamKey) -> Option<&Arc<Upstream>> {
        self.upstreams.get(key)
    }

    /// All upstreams, in no order.
    pub fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.upstreams.values()
    }

    /// How many domains there are; their slots are the numbers below.
    pub fn domain_count(&self) -> usize {
        self.rules.len()
    }

    /// The name of the domain in a slot, as the operator wrote it; empty when there is no such slot.
    pub fn domain_name(&self, slot: u32) -> &str {
        self.hosts.names().get(slot as usize).map_or("", |name| name)
    }

    /// The slot of the domain of that name, as the operator wrote it. Slots are in the order of names.
    pub fn domain_slot(&self, name: &str) -> Option<u32> {
        let slot = self.hosts.names().binary_search_by(|known| known.as_ref().cmp(name)).ok()?;
        u32::try_from(slot).ok()
    }

    /// The slot and the rules of a request's domain. `lowered` is room for a host that is not written as its key is.
    pub(crate) fn domain(&self, request: &Request<'_>, lowered: &mut Vec<u8>) -> Option<(u32, &RuleSet)> {
        let slot = self.hosts.find(request, lowered)?;
        Some((slot, self.rules.get(slot as usize)?))
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("version", &self.version)
            .field("domains", &self.rules.len())
            .field("upstreams", &self.upstreams.len())
            .finish()
    }
}
