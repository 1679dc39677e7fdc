//! The whole configuration at one moment: what workers serve from.
//!
//! It owns the two lookups of a request (a domain by its host, an upstream by its slot); it is immutable, shares what
//! did not change with the snapshots before it, and never knows where a value came from. Next: [`state`](super::state)
//! makes it, [`route`](mod@super::route) reads it.

use std::fmt;
use std::sync::Arc;

use super::hosts::Hosts;
use super::recorder::Lookup;
use super::ruleset::RuleSet;
use super::targets::Targets;
use super::upstream::{Upstream, UpstreamSpec};
use super::upstream_name::UpstreamName;
use crate::semantics::RequestView;

/// An immutable configuration, shared by all workers through an [`Arc`].
pub struct Snapshot {
    /// Its number; a later snapshot has a higher one, and [`Snapshot::empty`] has 0.
    pub version: u64,
    hosts: Hosts,
    targets: Targets,
}

impl Snapshot {
    /// A snapshot of nothing, version 0.
    pub fn empty() -> Snapshot {
        Snapshot::empty_at(0)
    }

    /// A snapshot of nothing, with this number.
    pub fn empty_at(version: u64) -> Snapshot {
        Snapshot { version, hosts: Hosts::default(), targets: Targets::default() }
    }

    pub(crate) fn new(version: u64, hosts: Hosts, targets: Targets) -> Snapshot {
        Snapshot { version, hosts, targets }
    }

    /// Its domains.
    pub(crate) fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// The upstream in a slot (see [`super::Backend::slot`]): one that an operator made, or an implicit one.
    pub fn upstream(&self, slot: u32) -> Option<&Arc<Upstream>> {
        self.targets.get(slot).map(|target| &target.upstream)
    }

    /// Whether some upstream chooses a server by what stands in a request.
    #[inline]
    pub fn looks_at_requests(&self) -> bool {
        self.targets.look_at_requests()
    }

    /// The name in a slot. Who holds it keeps the slot from being another's, in this snapshot and in all later ones.
    pub fn upstream_name(&self, slot: u32) -> Option<&Arc<UpstreamName>> {
        self.targets.get(slot).map(|target| &target.name)
    }

    /// The upstream of that name, whatever its case. It looks through all of them: requests go by slot.
    pub fn upstream_named(&self, name: &str) -> Option<&Arc<Upstream>> {
        let named = self.targets.iter().find(|target| target.name.key().eq_ignore_ascii_case(name));
        named.map(|target| &target.upstream)
    }

    /// All upstreams, in no order.
    pub fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.targets.iter().map(|target| &target.upstream)
    }

    /// The slots of upstreams that are not what they are in `before`; one that is in neither has none.
    pub fn upstreams_differing<'s>(&'s self, before: &'s Snapshot) -> impl Iterator<Item = u32> + 's {
        self.targets.differing(&before.targets)
    }

    /// All upstreams as they are written, each with what it is resolved to, in no order.
    pub fn specs(&self) -> impl Iterator<Item = (&Arc<UpstreamSpec>, &Arc<Upstream>)> {
        self.targets.iter().map(|target| (&target.spec, &target.upstream))
    }

    /// How many domains there are.
    pub fn domain_count(&self) -> usize {
        self.hosts.count()
    }

    /// The number that every domain's slot is below. A domain keeps its slot as long as it is there.
    pub fn domain_slots(&self) -> usize {
        self.hosts.slots()
    }

    /// The name of the domain in a slot, as the operator wrote it; empty when there is none.
    pub fn domain_name(&self, slot: u32) -> &str {
        self.hosts.name_of(slot)
    }

    /// The slot of the domain of that name, as the operator wrote it.
    pub fn domain_slot(&self, name: &str) -> Option<u32> {
        self.hosts.slot_of(name)
    }

    /// Whether every slot that names a domain in `former`, an earlier snapshot of the same state, names the same one here.
    pub fn keeps_domains_of(&self, former: &Snapshot) -> bool {
        self.hosts.keeps_slots_of(&former.hosts)
    }

    /// The name of a rule of the domain in a slot, by the number that [`super::Decision::rule`] has; empty when there is
    /// none.
    pub fn rule_name(&self, domain: u32, rule: u16) -> &str {
        self.hosts.rules_of(domain).map_or("", |rules| rules.rule_name(rule))
    }

    /// By which look-up the domain in a slot is that of a request.
    pub(crate) fn lookup(&self, slot: u32, request: &RequestView<'_>) -> Lookup {
        match self.domain_name(slot) {
            "*" => Lookup::Rest,
            name if name.starts_with("*.") => Lookup::Suffix,
            name if name.as_bytes() == request.host => Lookup::AsReceived,
            _ => Lookup::Normal,
        }
    }

    /// The slot and the rules of a request's domain. `lowered` is room for a host that is not written as its name is.
    #[inline(always)]
    pub(crate) fn domain(&self, request: &RequestView<'_>, lowered: &mut Vec<u8>) -> Option<(u32, &RuleSet)> {
        self.hosts.find(request, lowered)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("version", &self.version)
            .field("domains", &self.domain_count())
            .field("upstreams", &self.upstreams().count())
            .finish()
    }
}
