//! The upstreams in both layers: servers one by one from the store, whole sets from the admin API.
//!
//! It owns the reading of server texts, the quarantine of those that cannot be read, and the putting together of an
//! upstream from its servers' keys; never which layer wins. Next: `state` for who calls, `server` for what is read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::change::{Rejected, StoreOutcome};
use super::contents::Servers;
use super::layers::{Layered, Layers, Stored};
use super::server::ServerSpec;
use super::upstream::UpstreamSpec;

impl Layered for Arc<UpstreamSpec> {
    fn same_stored(&self, other: &Self) -> bool {
        // A store keeps servers by name, in no order.
        let sorted = |spec: &UpstreamSpec| {
            let mut servers: Vec<ServerSpec> = spec.servers.clone();
            servers.sort_by(|a, b| a.name.cmp(&b.name));
            servers
        };
        self.name == other.name && sorted(self) == sorted(other)
    }
}

/// One server's key of the store.
#[derive(Debug)]
struct StoredServer {
    text: String,
    /// The last good reading of it.
    good: Option<ServerSpec>,
    /// What is wrong with the text, if anything is.
    fault: Option<String>,
}

/// All upstreams.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    layers: Layers<Arc<UpstreamSpec>>,
    /// Name in lower case → spelling in the store → server.
    store: BTreeMap<String, BTreeMap<String, BTreeMap<String, StoredServer>>>,
}

/// One server's key that changed: upstream, server, text.
pub(crate) type ServerChange = (String, String, Option<String>);

impl Upstreams {
    pub(crate) fn layers(&self) -> &Layers<Arc<UpstreamSpec>> {
        &self.layers
    }

    /// An edit; says whether what serves is different now.
    pub(crate) fn put(&mut self, spec: UpstreamSpec) -> bool {
        self.layers.put(&spec.name.to_ascii_lowercase(), Arc::new(spec)).is_one()
    }

    /// An edit; says whether what serves is different now, and whether the upstream was there.
    pub(crate) fn delete(&mut self, name: &str) -> (bool, bool) {
        let (change, found) = self.layers.delete(&name.to_ascii_lowercase());
        (change.is_one(), found)
    }

    /// The store holds exactly `upstreams`. With `newest`, what differs is newer than any edit of it.
    pub(crate) fn load(
        &mut self,
        upstreams: BTreeMap<String, Servers>,
        newest: bool,
        outcome: &mut StoreOutcome,
    ) {
        let gone = self.keys().filter(|(_, upstream, server, _)| {
            upstreams.get(*upstream).is_none_or(|servers| !servers.contains_key(*server))
        });
        let mut changes: Vec<ServerChange> =
            gone.map(|(_, upstream, server, _)| (upstream.to_owned(), server.to_owned(), None)).collect();
        for (upstream, servers) in upstreams {
            changes.extend(servers.into_iter().map(|(server, text)| (upstream.clone(), server, Some(text))));
        }
        self.stored(changes, newest, outcome);
    }

    /// The store's texts of these servers changed. Each upstream among them is put together once, after all of them.
    pub(crate) fn stored(&mut self, changes: Vec<ServerChange>, newest: bool, outcome: &mut StoreOutcome) {
        // Name in lower case → whether anything good came for it.
        let mut touched: BTreeMap<String, bool> = BTreeMap::new();
        for (upstream, server, text) in changes {
            let key = upstream.to_ascii_lowercase();
            if let Some(good) = self.stored_server(&key, upstream, server, text, outcome) {
                *touched.entry(key).or_default() |= good;
            }
        }
        for (key, good) in touched {
            let stored = self.put_together(&key);
            let spelling = stored.as_ref().and_then(|stored| Some(stored.value.as_ref()?.name.clone()));
            let (change, overridden) = self.layers.stored(&key, stored, newest && good);
            outcome.changed |= change.is_one();
            if overridden {
                outcome.overridden.push(format!("upstreams/{}", spelling.unwrap_or(key)));
            }
        }
    }

    /// Notes the text of one server. `None`: nothing is new; else whether what is new is good.
    fn stored_server(
        &mut self,
        key: &str,
        upstream: String,
        server: String,
        text: Option<String>,
        outcome: &mut StoreOutcome,
    ) -> Option<bool> {
        let known = self.store.get(key).and_then(|spellings| spellings.get(&upstream)?.get(&server));
        if known.map(|known| &known.text) == text.as_ref() {
            return None;
        }
        let name = format!("upstreams/{upstream}/{server}");
        let servers = self.store.entry(key.to_owned()).or_default().entry(upstream).or_default();
        let known = servers.remove(&server);
        let was_rejected = known.as_ref().is_some_and(|known| known.fault.is_some());
        let read = text.as_deref().map(|text| ServerSpec::parse_stored(&server, text)).transpose();
        let sound = read.is_ok();
        let (good, fault) = match read {
            Ok(good) => (good, None),
            Err(message) => (known.and_then(|known| known.good), Some(message)),
        };
        if let Some(message) = fault.clone() {
            let last_good = good.is_some();
            outcome.rejected.push(Rejected { key: name, message, pointer: String::new(), last_good });
        } else if was_rejected {
            outcome.accepted.push(name);
        }
        servers.extend(text.map(|text| (server, StoredServer { text, good, fault })));
        Some(sound)
    }

    /// The upstream that the store's keys make; `None` when there are none. One whose servers are all in quarantine is
    /// there without servers, so that its name is not taken for a host.
    fn put_together(&mut self, key: &str) -> Option<Stored<Arc<UpstreamSpec>>> {
        let spellings = self.store.get_mut(key)?;
        spellings.retain(|_, servers| !servers.is_empty());
        let Some(name) = spellings.keys().next_back().cloned() else {
            self.store.remove(key);
            return None;
        };
        let all = || spellings.values().flatten();
        // Under two spellings a server may stand twice; the last counts, as of two parameters.
        let servers: BTreeMap<&String, &ServerSpec> =
            all().filter_map(|(server, stored)| Some((server, stored.good.as_ref()?))).collect();
        let spec = UpstreamSpec { name, servers: servers.into_values().cloned().collect() };
        let sound = all().all(|(_, stored)| stored.fault.is_none());
        Some(Stored { value: Some(Arc::new(spec)), sound })
    }

    /// All server keys of the store: name in lower case, upstream, server, and what is known of it.
    fn keys(&self) -> impl Iterator<Item = (&str, &str, &str, &StoredServer)> {
        self.store.iter().flat_map(|(key, spellings)| {
            spellings.iter().flat_map(move |(upstream, servers)| {
                servers
                    .iter()
                    .map(move |(server, stored)| (key.as_str(), upstream.as_str(), server.as_str(), stored))
            })
        })
    }

    /// What a dump writes: all that is in force, and what was rejected as it stands in the store, so that no dump
    /// destroys what an operator wrote and ELB could not read.
    pub(crate) fn to_dump(&self) -> BTreeMap<String, Servers> {
        let mut upstreams = written(self.layers.effective().values());
        for (key, upstream, server, stored) in self.keys() {
            if stored.fault.is_some() && self.layers.edit(key).is_none() {
                upstreams
                    .entry(upstream.to_owned())
                    .or_default()
                    .insert(server.to_owned(), stored.text.clone());
            }
        }
        upstreams
    }

    /// The store layer in its last good values.
    pub(crate) fn last_good(&self) -> BTreeMap<String, Servers> {
        written(self.layers.store().values().filter_map(|stored| stored.value.as_ref()))
    }

    /// How many upstreams of the store `upstreams` lacks, and of how many.
    pub(crate) fn would_drop(&self, upstreams: &BTreeMap<String, Servers>) -> (usize, usize) {
        let kept: BTreeSet<String> = (upstreams.iter())
            .filter(|(_, servers)| !servers.is_empty())
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect();
        let dropped = self.store.keys().filter(|key| !kept.contains(*key)).count();
        (dropped, self.store.len())
    }

    /// The quarantine.
    pub(crate) fn rejected(&self) -> impl Iterator<Item = Rejected> {
        self.keys().filter_map(|(key, upstream, server, stored)| {
            let edited = matches!(self.layers.edit(key), Some(Some(_)));
            Some(Rejected {
                key: format!("upstreams/{upstream}/{server}"),
                message: stored.fault.clone()?,
                pointer: String::new(),
                last_good: edited || stored.good.is_some(),
            })
        })
    }
}

fn written<'a>(upstreams: impl Iterator<Item = &'a Arc<UpstreamSpec>>) -> BTreeMap<String, Servers> {
    let texts = |spec: &UpstreamSpec| {
        spec.servers.iter().map(|server| (server.name.clone(), server.to_string())).collect()
    };
    upstreams.filter(|spec| !spec.servers.is_empty()).map(|spec| (spec.name.clone(), texts(spec))).collect()
}
