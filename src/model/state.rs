//! The editable truth: what the store holds, the edits over it, and what of both is in force.
//!
//! It owns the checking of every change before any of it is applied, and the building of snapshots; never a clock, a
//! store or a lookup of names. It is single-threaded and cheap to ask. Next: [`layers`](super::layers) for which change
//! wins, [`domains`](super::domains) and [`upstreams`](super::upstreams) for how texts are read, `control::hub` for the
//! one who calls.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::change::{Dropped, Edit, Named, Outcome, Prepared, Rejected, StoreOutcome};
use super::contents::{Contents, KeyChange, KeyWrite};
use super::domains::Domains;
use super::fault::Faults;
use super::good::Good;
use super::hosts::EditableHosts;
use super::implicit;
use super::layers::Told;
use super::library::Library;
use super::server::ServerTarget;
use super::snapshot::Snapshot;
use super::targets::EditableTargets;
use super::upstream::UpstreamSpec;
use super::upstreams::Upstreams;

/// All that the operators said, in two layers: the store's, and the admin API's edits since the last dump. For each
/// domain and each upstream the newest change is in force.
#[derive(Debug, Default)]
pub struct State {
    pub(super) domains: Domains,
    pub(super) upstreams: Upstreams,
    /// Both of them resolved, as far as it is known.
    targets: EditableTargets,
    library: Library,
    /// Whether outcomes list the keys that others changed.
    heeded: bool,
}

impl State {
    /// A state of nothing.
    pub fn new() -> State {
        State::default()
    }

    /// A state of nothing, whose rules are read with this library.
    pub fn reading_with(library: Library) -> State {
        State { library, ..State::default() }
    }

    /// Where rules are read: a change may be prepared with it before it is applied.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// Checks an edit whole, and applies it whole or not at all.
    ///
    /// # Errors
    /// The faults, with pointers that lead into what was put: `/up1/127.0.0.1:80`.
    pub fn edit(&mut self, edit: Edit) -> Result<Outcome, Faults> {
        let prepared = self.library.prepare(edit)?;
        self.apply(prepared)
    }

    /// Applies what was prepared with [`State::library`], or nothing of it.
    ///
    /// # Errors
    /// As [`State::plan`].
    pub fn apply(&mut self, prepared: Prepared) -> Result<Outcome, Faults> {
        let plan = self.plan(prepared)?;
        Ok(self.carry_out(plan))
    }

    /// Whether there is an upstream of this name in force. `key` is in lower case.
    pub fn has_upstream(&self, key: &str) -> bool {
        self.upstreams.layers().effective().contains_key(key)
    }

    /// The store holds exactly `contents`: takes them for the store layer, but looks only at keys whose text differs
    /// from what it held before. Edits of those give way, all others stay; so do edits made after a write of the same
    /// key was sent that now comes back.
    pub fn load(&mut self, contents: Contents) -> StoreOutcome {
        let mut outcome = self.outcome();
        self.upstreams.load(contents.upstreams, &mut outcome);
        self.domains.load(contents.rules, &self.library, &mut outcome);
        self.settle();
        outcome
    }

    /// Keys of the store changed, together. Those whose text is what it was change nothing.
    pub fn store_changed(&mut self, changes: Vec<KeyChange>) -> StoreOutcome {
        let mut outcome = self.outcome();
        let mut servers = Vec::new();
        for change in changes {
            match change {
                KeyChange::Server { upstream, server, text } => servers.push((upstream, server, text)),
                KeyChange::Rule { domain, text } => {
                    self.domains.stored(&domain, text, Told::Changed, &self.library, &mut outcome);
                }
            }
        }
        self.upstreams.stored(servers, Told::Changed, &mut outcome);
        self.settle();
        outcome
    }

    fn outcome(&self) -> StoreOutcome {
        StoreOutcome { others: self.heeded.then(Vec::new), ..StoreOutcome::default() }
    }

    /// From now on outcomes list the keys that others changed, or do not.
    pub fn heed(&mut self, heeded: bool) {
        self.heeded = heeded;
    }

    /// The keys that a dump writes or compares: those that edits change, and those that `named` names, which are compared
    /// even when no edit changes them. `held` is what was read last from the store, if that is held back from the store layer;
    /// when all is named, keys that it lacks are written again.
    pub fn to_write(&self, named: &Named, held: Option<&Contents>) -> Vec<KeyWrite> {
        let mut writes = Vec::new();
        self.upstreams.to_write(named, held, &mut writes);
        self.domains.to_write(named, held, &mut writes);
        writes
    }

    /// Notes that these writes were sent to the store. The next event of such a key may be their echo, which is older than
    /// edits made since.
    pub fn send(&mut self, writes: &[KeyWrite]) {
        for KeyWrite { wanted, .. } in writes {
            match wanted {
                KeyChange::Rule { domain, text } => self.domains.send(domain, text.as_deref()),
                KeyChange::Server { upstream, server, text } => {
                    self.upstreams.send(upstream, server, text.as_deref());
                }
            }
        }
    }

    /// Notes that the write of this key was not made and will not be.
    pub fn unsend(&mut self, key: &KeyChange) {
        match key {
            KeyChange::Rule { domain, .. } => self.domains.unsend(domain),
            KeyChange::Server { upstream, server, .. } => self.upstreams.unsend(upstream, server),
        }
    }

    /// This key was written, and a later reading of the whole store shows its former value. Somebody changed it back, so the
    /// edit is dropped.
    pub fn give_way(&mut self, key: &KeyChange) -> StoreOutcome {
        let mut outcome = StoreOutcome::default();
        match key {
            KeyChange::Rule { domain, .. } => self.domains.give_way(domain, &mut outcome),
            KeyChange::Server { upstream, server, .. } => {
                self.upstreams.give_way(upstream, server, &mut outcome);
            }
        }
        self.settle();
        outcome
    }

    /// Whether this key was sent and nothing was heard of it since.
    pub fn is_away(&self, key: &KeyChange) -> bool {
        match key {
            KeyChange::Rule { domain, .. } => self.domains.is_away(domain),
            KeyChange::Server { upstream, server, .. } => self.upstreams.is_away(upstream, server),
        }
    }

    /// All that is in force, in canonical text; and rejected keys that no edit replaces, as they stand in the store.
    pub fn effective(&self) -> Contents {
        Contents { rules: self.domains.in_force(), upstreams: self.upstreams.in_force() }
    }

    /// The store layer without the edits, rejected keys by their last good value: what a state file keeps.
    pub fn last_good(&self) -> Good {
        Good { domains: self.domains.last_good(), upstreams: self.upstreams.last_good() }
    }

    /// What the store held when it was last heard of, to the letter.
    pub fn as_read(&self) -> Contents {
        Contents { rules: self.domains.as_read(), upstreams: self.upstreams.as_read() }
    }

    /// Whether the store has this server of an upstream, whose name is in lower case.
    pub fn stores_server(&self, upstream: &str, server: &str) -> bool {
        self.upstreams.stores(upstream, server)
    }

    /// What [`State::load`] of `contents` would take away from the store layer.
    pub fn would_drop(&self, contents: &Contents) -> Dropped {
        let (domains, of_domains) = self.domains.would_drop(&contents.rules);
        let (upstreams, of_upstreams) = self.upstreams.would_drop(&contents.upstreams);
        Dropped { domains, of_domains, upstreams, of_upstreams }
    }

    /// How many domains and upstreams the store layer has.
    pub fn stored(&self) -> (usize, usize) {
        (self.domains.stored_count(), self.upstreams.stored_count())
    }

    /// Whether the store layer has this domain.
    pub fn stores(&self, domain: &str) -> bool {
        self.domains.stores(domain)
    }

    /// How many domains and upstreams have an edit that no dump has written: what a restart would lose.
    pub fn pending_edits(&self) -> usize {
        self.domains.layers().edits() + self.upstreams.layers().edits()
    }

    /// How many domains and upstreams are in force together.
    pub fn size(&self) -> usize {
        let (domains, upstreams) = self.sizes();
        domains + upstreams
    }

    /// How many domains, and how many upstreams, are in force.
    pub fn sizes(&self) -> (usize, usize) {
        (self.domains.layers().effective().len(), self.upstreams.layers().effective().len())
    }

    /// The quarantine: keys of the store that could not be accepted.
    pub fn rejected(&self) -> Vec<Rejected> {
        self.domains.rejected().chain(self.upstreams.rejected()).collect()
    }

    /// The domains in force, each exactly as it was given.
    pub fn domains(&self) -> Map<String, Value> {
        let read = |(name, rules): (&str, &str)| Some((name.to_owned(), serde_json::from_str(rules).ok()?));
        self.domain_texts().filter_map(read).collect()
    }

    /// The same as texts: name and JSON, ordered by name.
    pub fn domain_texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.domains.layers().effective().iter().map(|(name, rules)| (&**name, &**rules.text()))
    }

    /// The same, to be kept.
    pub fn domain_list(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let all = self.domains.layers().effective().iter();
        all.map(|(name, rules)| (Arc::clone(name), Arc::clone(rules.text()))).collect()
    }

    /// The upstreams in force, ordered by name without regard to case.
    pub fn upstreams(&self) -> Vec<Arc<UpstreamSpec>> {
        self.upstreams.layers().effective().values().cloned().collect()
    }

    /// The names whose addresses are needed, those of implicit upstreams included: `host:port`, host in lower case.
    pub fn hosts(&self) -> BTreeSet<String> {
        self.targets.hosts().map(str::to_owned).collect()
    }

    /// The names that came into use (true) or fell out of it since this was asked.
    pub fn take_host_news(&mut self) -> BTreeMap<Box<str>, bool> {
        self.targets.take_news()
    }

    /// The addresses of such a name were looked up. Says whether anything that serves is different for it.
    pub fn learn(&mut self, host: &str, addresses: Vec<SocketAddr>) -> bool {
        self.targets.learn(host, addresses)
    }

    /// What was learnt of a name.
    pub fn addresses(&self, host: &str) -> &[SocketAddr] {
        self.targets.addresses(host)
    }

    /// Where a server is reached, as texts; for a name, all that was learnt of it.
    pub fn endpoints(&self, target: &ServerTarget) -> Vec<String> {
        match target {
            ServerTarget::Inet(address) => vec![address.to_string()],
            ServerTarget::Unix(path) => vec![format!("unix:{path}")],
            ServerTarget::Name(name) => self.addresses(name).iter().map(ToString::to_string).collect(),
        }
    }

    /// A snapshot of what is in force. It shares everything that did not change with those before it, so it costs a
    /// pointer for each 64 domains and upstreams.
    pub fn snapshot(&mut self, version: u64) -> Snapshot {
        Snapshot::new(version, self.domains.hosts(), self.targets.targets().clone())
    }

    /// The same, to be asked beside `live`, whose library this state has: a domain that is in both has one slot, by which limits know
    /// it, and one that is in this alone has a slot that none has there.
    pub fn snapshot_beside(&mut self, live: &Snapshot) -> Snapshot {
        let mut hosts = EditableHosts::of(live.hosts());
        for (name, rules) in self.domains.layers().effective() {
            let slot = live.hosts().slot_of(name);
            let known = slot.and_then(|slot| live.hosts().rules_of(slot));
            // What is shared stays so.
            if !known.is_some_and(|known| std::ptr::eq(known, &**rules)) {
                hosts.set(name, Some(Arc::clone(rules)));
            }
        }
        for slot in (0_u32..).take(live.domain_slots()) {
            let name = live.domain_name(slot);
            if !name.is_empty() && !self.domains.layers().effective().contains_key(name) {
                hosts.set(&name.into(), None);
            }
        }
        Snapshot::new(0, hosts.hosts(), self.targets.targets().clone())
    }

    /// Brings the targets up to date with what has changed: upstreams, and names that rules use or do not use any more.
    pub(super) fn settle(&mut self) {
        for key in self.upstreams.take_news() {
            self.settle_upstream(&key);
        }
        for key in self.domains.take_servername_news() {
            // An explicit upstream exists whether rules name it or not.
            if !self.upstreams.layers().effective().contains_key(&*key) {
                self.settle_upstream(&key);
            }
        }
    }

    fn settle_upstream(&mut self, key: &str) {
        let explicit = self.upstreams.layers().effective().get(key);
        let spec = match (explicit, self.domains.servernames().spelling(key)) {
            (Some(spec), _) => Some((Arc::clone(spec), false)),
            // No operator made it, and a rule names it.
            (None, Some(spelling)) => implicit::upstream(spelling).map(|spec| (Arc::new(spec), true)),
            (None, None) => None,
        };
        self.targets.set(&self.library.name(key), spec);
    }
}

mod summary;
#[cfg(test)]
mod tests;
