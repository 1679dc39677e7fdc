//! The upstreams in both layers: key by key from the store, whole sets from the admin API.
//!
//! It owns the keys of the store, the quarantine of those that cannot be read, and the putting together of an upstream
//! from its keys; never which layer wins. Next: [`state`](super::state) for who calls,
//! [`upstream_part`](super::upstream_part) for what one key says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::change::{Rejected, StoreOutcome};
use super::contents::Servers;
use super::fault::{Fault, step};
use super::layers::{Change, Layered, Layers, Stored, Told};
use super::ledger::Ledger;
use super::patch::UpstreamPatch;
use super::sent::Sent;
use super::storable;
use super::upstream::UpstreamSpec;
use super::upstream_options::OPTIONS;
use super::upstream_part::Part;
use crate::warning::{Code, Warning};

impl Layered for Arc<UpstreamSpec> {
    fn same_stored(&self, other: &Self) -> bool {
        // A store keeps servers by name, in no order.
        let sorted = |spec: &UpstreamSpec| {
            let mut servers = spec.servers.clone();
            servers.sort_by(|a, b| a.name.cmp(&b.name));
            servers
        };
        self.name == other.name && self.options == other.options && sorted(self) == sorted(other)
    }
}

/// One key of the store: a server's, or that of the options. There may be a hundred thousand, so it is small: a sound text is
/// parsed again when its reading is needed.
#[derive(Debug)]
pub(super) struct StoredServer {
    /// The upstream's name as spelled in this key.
    pub(super) upstream: Arc<str>,
    pub(super) server: Box<str>,
    pub(super) text: Box<str>,
    /// What is wrong with the text, if anything is.
    pub(super) fault: Option<Box<Quarantined>>,
}

#[derive(Debug)]
pub(super) struct Quarantined {
    message: String,
    /// The last good reading.
    good: Option<Part>,
}

impl StoredServer {
    /// The reading that is in force: of this text, or the last good one.
    pub(super) fn good(&self) -> Option<Part> {
        match &self.fault {
            Some(fault) => fault.good.clone(),
            None => Part::read_stored(&self.server, &self.text).ok(),
        }
    }
}

/// All upstreams.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    pub(super) layers: Layers<Arc<UpstreamSpec>>,
    /// Name in lower case → its keys in the store, by spelling of the upstream and by name.
    pub(super) store: BTreeMap<Arc<str>, Vec<StoredServer>>,
    pub(super) sent: Sent,
    /// Names, in lower case, of upstreams that are different now.
    news: BTreeSet<Arc<str>>,
    ledger: Ledger,
}

/// One key that changed: upstream, server or `@options`, text.
pub(crate) type ServerChange = (String, String, Option<String>);

impl Upstreams {
    pub(crate) fn layers(&self) -> &Layers<Arc<UpstreamSpec>> {
        &self.layers
    }

    /// An edit; says whether what serves is different now.
    pub(crate) fn put(&mut self, spec: UpstreamSpec) -> bool {
        let key = spec.name.to_ascii_lowercase();
        let change = self.layers.put(&key, Arc::new(spec));
        self.note(&key, &change)
    }

    /// Applies a patch to a copy of the upstream in force. A dump writes every key of an edited upstream, so keys in quarantine
    /// that the patch does not name are warned of: the dump replaces them with what serves in their place.
    ///
    /// # Errors
    /// It cannot be applied.
    pub(crate) fn complete(
        &self,
        patch: UpstreamPatch,
        warnings: &mut Vec<Warning>,
    ) -> Result<UpstreamSpec, Fault> {
        let key = patch.name.to_ascii_lowercase();
        let faulty = self.store.get(&*key).into_iter().flatten().filter(|stored| stored.fault.is_some());
        for stored in faulty.filter(|stored| patch.parts.iter().all(|(name, _)| **name != *stored.server)) {
            let message = "is in quarantine; a dump replaces it with what serves instead";
            let pointer = format!("{}{}", step(&patch.name), step(&stored.server));
            warnings.push(Warning::new(Code::InQuarantine, pointer, message));
        }
        patch.complete(self.layers.effective().get(&*key), warnings)
    }

    /// An edit; says whether what serves is different now, and whether the upstream was there.
    pub(crate) fn delete(&mut self, name: &str) -> (bool, bool) {
        let key = name.to_ascii_lowercase();
        let (change, found) = self.layers.delete(&key);
        (self.note(&key, &change), found)
    }

    fn note(&mut self, key: &str, change: &Change<Arc<UpstreamSpec>>) -> bool {
        let (before, after) = (change.before.as_deref(), change.after.as_deref());
        let Some(named) = after.or(before).filter(|_| change.is_one()) else { return false };
        let key = self.layers.key(key);
        let entry = |spec: &UpstreamSpec| (spec.digest(), spec.text());
        self.ledger.note(&key, &named.name, before.map(entry), after.map(entry));
        self.news.insert(key);
        true
    }

    /// What is in force, in few words.
    pub(crate) fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// The names, in lower case, of upstreams that changed since this was asked.
    pub(crate) fn take_news(&mut self) -> BTreeSet<Arc<str>> {
        std::mem::take(&mut self.news)
    }

    /// The store holds exactly `upstreams`. What differs is newer than any edit of it, unless it was sent from here.
    pub(crate) fn load(&mut self, upstreams: BTreeMap<String, Servers>, outcome: &mut StoreOutcome) {
        let gone = self.servers().filter(|(_, known)| {
            upstreams.get(&*known.upstream).is_none_or(|servers| !servers.contains_key(&*known.server))
        });
        let mut changes: Vec<ServerChange> =
            gone.map(|(_, known)| (known.upstream.to_string(), known.server.to_string(), None)).collect();
        for (upstream, servers) in upstreams {
            changes.extend(servers.into_iter().map(|(server, text)| (upstream.clone(), server, Some(text))));
        }
        self.stored(changes, Told::Listed, outcome);
    }

    /// The store's texts of these servers changed. Each upstream among them is put together once, after all of them.
    pub(crate) fn stored(&mut self, changes: Vec<ServerChange>, told: Told, outcome: &mut StoreOutcome) {
        // Names in lower case.
        let mut touched: BTreeSet<String> = BTreeSet::new();
        for (upstream, server, text) in changes {
            let key = upstream.to_ascii_lowercase();
            let is_known = self.text(&key, &upstream, &server) == text.as_deref();
            if is_known && told == Told::Listed {
                continue;
            }
            let is_echo = self.sent.heard(&key, &part(&upstream, &server), text.as_deref());
            let all_back = !self.sent.away(&key);
            if all_back {
                self.layers.came_back(&key);
            }
            if is_known {
                if all_back {
                    self.layers.absorb(&key);
                }
                continue;
            }
            let before = self.reading(&key, &server);
            let sound = self.stored_server(&key, &upstream, &server, text, outcome);
            if sound && !is_echo {
                self.merge(&key, &upstream, &server, before.as_ref(), outcome);
            }
            touched.insert(key);
        }
        for key in touched {
            let stored = self.put_together(&key);
            let (change, _) = self.layers.stored(&key, stored, false);
            outcome.changed |= self.note(&key, &change);
        }
    }

    /// The store changed one server of an upstream that has an edit: the edit takes that server over, and keeps what it says of
    /// the others. `before` is what the store said of this server until now.
    fn merge(
        &mut self,
        key: &str,
        upstream: &str,
        server: &str,
        before: Option<&Part>,
        outcome: &mut StoreOutcome,
    ) {
        let name = || format!("upstreams/{}", part(upstream, server));
        let Some(edit) = self.layers.edit(key) else { return outcome.note(name) };
        let now = self.reading(key, server);
        let mut merged = edit.map_or_else(|| UpstreamSpec::named(upstream), |spec| (**spec).clone());
        let said = merged.part(server);
        if said == now {
            return;
        }
        outcome.note(name);
        if said.as_ref() != before {
            outcome.overridden.push(name());
        }
        merged.set(server, now);
        self.layers.amend(key, (!merged.is_empty()).then(|| Arc::new(merged)));
    }

    /// What the store holds of this server is newer than what was sent of it, though it is what was known.
    pub(crate) fn give_way(&mut self, upstream: &str, server: &str, outcome: &mut StoreOutcome) {
        let key = upstream.to_ascii_lowercase();
        self.unsend(upstream, server);
        let before = self.reading(&key, server);
        self.merge(&key, upstream, server, before.as_ref(), outcome);
        let stored = self.put_together(&key);
        let (change, _) = self.layers.stored(&key, stored, false);
        outcome.changed |= self.note(&key, &change);
    }

    /// The servers of an upstream, and its options, that are in the store or in force.
    pub(crate) fn known_servers(&self, key: &str) -> BTreeSet<String> {
        let stored = self.store.get(key).into_iter().flatten().map(|stored| stored.server.to_string());
        let parts = self.layers.effective().get(key).into_iter().flat_map(|spec| spec.parts());
        stored.chain(parts.map(|(name, _)| name.to_owned())).collect()
    }

    /// What the store holds of a server under this spelling of its upstream.
    pub(super) fn stored_as(&self, key: &str, upstream: &str, server: &str) -> Option<&StoredServer> {
        let servers = self.store.get(key)?;
        let found =
            servers.binary_search_by(|known| (&*known.upstream, &*known.server).cmp(&(upstream, server)));
        servers.get(found.ok()?)
    }

    pub(super) fn text(&self, key: &str, upstream: &str, server: &str) -> Option<&str> {
        self.stored_as(key, upstream, server).map(|stored| &*stored.text)
    }

    /// What the store says of a server, under whichever spelling comes last.
    fn reading(&self, key: &str, server: &str) -> Option<Part> {
        let servers = self.store.get(key)?;
        servers.iter().rev().filter(|stored| &*stored.server == server).find_map(StoredServer::good)
    }

    /// Notes the new text of one server; says whether it is good.
    fn stored_server(
        &mut self,
        key: &str,
        upstream: &str,
        server: &str,
        text: Option<String>,
        outcome: &mut StoreOutcome,
    ) -> bool {
        let servers = self.store.get(key).map_or(&[][..], Vec::as_slice);
        let place =
            servers.binary_search_by(|known| (&*known.upstream, &*known.server).cmp(&(upstream, server)));
        let known = place.ok().and_then(|at| servers.get(at));
        let name = format!("upstreams/{}", part(upstream, server));
        let was_rejected = known.is_some_and(|known| known.fault.is_some());
        let read = text.as_deref().map(|text| read(upstream, server, text)).transpose();
        let sound = read.is_ok();
        let fault = read.err().map(|message| {
            let good = known.and_then(StoredServer::good);
            let last_good = good.is_some();
            outcome.rejected.push(Rejected {
                key: name.clone(),
                message: message.clone(),
                pointer: String::new(),
                last_good,
            });
            Box::new(Quarantined { message, good })
        });
        if was_rejected && sound {
            outcome.accepted.push(name);
        }
        let upstream = known.map_or_else(|| upstream.into(), |known| Arc::clone(&known.upstream));
        let stored =
            text.map(|text| StoredServer { upstream, server: server.into(), text: text.into(), fault });
        self.replace_server(key, place, stored);
        sound
    }

    fn replace_server(&mut self, key: &str, place: Result<usize, usize>, stored: Option<StoredServer>) {
        if !self.store.contains_key(key) {
            self.store.insert(self.layers.key(key), Vec::new());
        }
        let Some(servers) = self.store.get_mut(key) else { return };
        match (place, stored) {
            (Ok(at), Some(stored)) => drop(servers.get_mut(at).map(|known| std::mem::replace(known, stored))),
            (Ok(at), None) => drop(servers.remove(at)),
            (Err(at), Some(stored)) => {
                servers.reserve_exact(1);
                servers.insert(at, stored);
            }
            (Err(_), None) => {}
        }
    }

    /// The upstream that the store's keys make; `None` when there are none. One whose servers are all in quarantine, or that
    /// has options only, is there without servers, so that its name is not taken for a host.
    fn put_together(&mut self, key: &str) -> Option<Stored<Arc<UpstreamSpec>>> {
        let all = self.store.get(key)?;
        let Some(name) = all.last().map(|stored| stored.upstream.to_string()) else {
            self.store.remove(key);
            return None;
        };
        // Under two spellings a part may stand twice; the last counts, as of two parameters.
        let parts: BTreeMap<&str, Part> =
            all.iter().filter_map(|stored| Some((&*stored.server, stored.good()?))).collect();
        let mut spec = UpstreamSpec::named(&name);
        for part in parts.into_values() {
            spec.add(part);
        }
        let sound = all.iter().all(|stored| stored.fault.is_none());
        Some(Stored { value: Some(Arc::new(spec)), sound })
    }

    /// All keys of the store, each with the upstream's name in lower case.
    fn servers(&self) -> impl Iterator<Item = (&str, &StoredServer)> {
        self.store.iter().flat_map(|(key, servers)| servers.iter().map(move |stored| (&**key, stored)))
    }

    /// What is in force as texts, and what was rejected as it stands in the store.
    pub(crate) fn in_force(&self) -> BTreeMap<String, Servers> {
        let mut upstreams = written(self.layers.effective().values());
        for (key, stored) in self.servers().filter(|(_, stored)| stored.fault.is_some()) {
            if self.layers.edit(key).is_none() {
                let servers = upstreams.entry(stored.upstream.to_string()).or_default();
                servers.insert(stored.server.to_string(), stored.text.to_string());
            }
        }
        upstreams
    }

    /// How many upstreams of the store `upstreams` lacks, and of how many; those that an edit deletes are not asked for.
    pub(crate) fn would_drop(&self, upstreams: &BTreeMap<String, Servers>) -> (usize, usize) {
        // An upstream without servers answers nothing, so its options alone are no loss.
        let kept: BTreeSet<String> = (upstreams.iter())
            .filter(|(_, parts)| parts.keys().any(|name| name != OPTIONS))
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect();
        let has_servers = |parts: &[StoredServer]| parts.iter().any(|stored| &*stored.server != OPTIONS);
        let stay = || {
            let serving = self.store.iter().filter(|(_, parts)| has_servers(parts));
            serving.filter(|(key, _)| !matches!(self.layers.edit(key), Some(None)))
        };
        (stay().filter(|(key, _)| !kept.contains(&***key)).count(), stay().count())
    }

    /// How many the store has.
    pub(crate) fn stored_count(&self) -> usize {
        self.store.len()
    }

    /// The quarantine.
    pub(crate) fn rejected(&self) -> impl Iterator<Item = Rejected> {
        self.servers().filter_map(|(key, stored)| {
            let fault = stored.fault.as_ref()?;
            let edited = matches!(self.layers.edit(key), Some(Some(_)));
            Some(Rejected {
                key: format!("upstreams/{}/{}", stored.upstream, stored.server),
                message: fault.message.clone(),
                pointer: String::new(),
                last_good: edited || fault.good.is_some(),
            })
        })
    }
}

/// A key below that of all upstreams.
pub(super) fn part(upstream: &str, server: &str) -> String {
    format!("{upstream}/{server}")
}

/// A file may hold names that could not be keys of etcd; they are refused here as they are where they are put.
fn read(upstream: &str, server: &str, text: &str) -> Result<Part, String> {
    storable::upstream(upstream)?;
    Part::read_stored(server, text)
}

/// Upstreams as a store holds them.
pub(super) fn written<'a>(
    upstreams: impl Iterator<Item = &'a Arc<UpstreamSpec>>,
) -> BTreeMap<String, Servers> {
    let texts =
        |spec: &UpstreamSpec| spec.parts().map(|(name, part)| (name.to_owned(), part.to_string())).collect();
    upstreams.filter(|spec| !spec.is_empty()).map(|spec| (spec.name.clone(), texts(spec))).collect()
}

mod sights;
