//! The upstreams in both layers: servers one by one from the store, whole sets from the admin API.
//!
//! It owns the reading of server texts, the quarantine of those that cannot be read, and the putting together of an
//! upstream from its servers' keys; never which layer wins. Next: `state` for who calls, `server` for what is read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::change::{Rejected, StoreOutcome};
use super::contents::Servers;
use super::layers::{Change, Layered, Layers, Stored};
use super::server::ServerSpec;
use super::upstream::UpstreamSpec;

impl Layered for Arc<UpstreamSpec> {
    fn same_stored(&self, other: &Self) -> bool {
        // A store keeps servers by name, in no order.
        let sorted = |spec: &UpstreamSpec| {
            let mut servers = spec.servers.clone();
            servers.sort_by(|a, b| a.name.cmp(&b.name));
            servers
        };
        self.name == other.name && sorted(self) == sorted(other)
    }
}

/// One server's key of the store. There may be a hundred thousand, so it is small: the reading of a sound text is made
/// again when it is needed.
#[derive(Debug)]
struct StoredServer {
    /// The upstream's name as spelled in this key.
    upstream: Arc<str>,
    server: Box<str>,
    text: Box<str>,
    /// What is wrong with the text, if anything is.
    fault: Option<Box<Quarantined>>,
}

#[derive(Debug)]
struct Quarantined {
    message: String,
    /// The last good reading.
    good: Option<Arc<ServerSpec>>,
}

impl StoredServer {
    /// The reading that is in force: of this text, or the last good one.
    fn good(&self) -> Option<Arc<ServerSpec>> {
        match &self.fault {
            Some(fault) => fault.good.clone(),
            None => ServerSpec::parse_stored(&self.server, &self.text).ok().map(Arc::new),
        }
    }
}

/// All upstreams.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    layers: Layers<Arc<UpstreamSpec>>,
    /// Name in lower case → its servers in the store, by spelling of the upstream and by name.
    store: BTreeMap<Arc<str>, Vec<StoredServer>>,
    /// Names, in lower case, of upstreams that are different now.
    news: BTreeSet<Arc<str>>,
}

/// One server's key that changed: upstream, server, text.
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

    /// An edit; says whether what serves is different now, and whether the upstream was there.
    pub(crate) fn delete(&mut self, name: &str) -> (bool, bool) {
        let key = name.to_ascii_lowercase();
        let (change, found) = self.layers.delete(&key);
        (self.note(&key, &change), found)
    }

    fn note(&mut self, key: &str, change: &Change<Arc<UpstreamSpec>>) -> bool {
        if change.is_one() {
            self.news.insert(self.layers.key(key));
        }
        change.is_one()
    }

    /// The names, in lower case, of upstreams that changed since this was asked.
    pub(crate) fn take_news(&mut self) -> BTreeSet<Arc<str>> {
        std::mem::take(&mut self.news)
    }

    /// The store holds exactly `upstreams`. With `newest`, what differs is newer than any edit of it.
    pub(crate) fn load(
        &mut self,
        upstreams: BTreeMap<String, Servers>,
        newest: bool,
        outcome: &mut StoreOutcome,
    ) {
        let gone = self.servers().filter(|(_, known)| {
            upstreams.get(&*known.upstream).is_none_or(|servers| !servers.contains_key(&*known.server))
        });
        let mut changes: Vec<ServerChange> =
            gone.map(|(_, known)| (known.upstream.to_string(), known.server.to_string(), None)).collect();
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
            if let Some(good) = self.stored_server(&key, &upstream, &server, text, outcome) {
                *touched.entry(key).or_default() |= good;
            }
        }
        for (key, good) in touched {
            let stored = self.put_together(&key);
            let spelling = stored.as_ref().and_then(|stored| Some(stored.value.as_ref()?.name.clone()));
            let (change, overridden) = self.layers.stored(&key, stored, newest && good);
            outcome.changed |= self.note(&key, &change);
            if overridden {
                outcome.overridden.push(format!("upstreams/{}", spelling.unwrap_or(key)));
            }
        }
    }

    /// Notes the text of one server. `None`: nothing is new; else whether what is new is good.
    fn stored_server(
        &mut self,
        key: &str,
        upstream: &str,
        server: &str,
        text: Option<String>,
        outcome: &mut StoreOutcome,
    ) -> Option<bool> {
        let servers = self.store.get(key).map_or(&[][..], Vec::as_slice);
        let place =
            servers.binary_search_by(|known| (&*known.upstream, &*known.server).cmp(&(upstream, server)));
        let known = place.ok().and_then(|at| servers.get(at));
        if known.map(|known| &*known.text) == text.as_deref() {
            return None;
        }
        let name = format!("upstreams/{upstream}/{server}");
        let was_rejected = known.is_some_and(|known| known.fault.is_some());
        let read = text.as_deref().map(|text| ServerSpec::parse_stored(server, text)).transpose();
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
        Some(sound)
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

    /// The upstream that the store's keys make; `None` when there are none. One whose servers are all in quarantine is
    /// there without servers, so that its name is not taken for a host.
    fn put_together(&mut self, key: &str) -> Option<Stored<Arc<UpstreamSpec>>> {
        let all = self.store.get(key)?;
        let Some(name) = all.last().map(|stored| stored.upstream.to_string()) else {
            self.store.remove(key);
            return None;
        };
        // Under two spellings a server may stand twice; the last counts, as of two parameters.
        let servers: BTreeMap<&str, Arc<ServerSpec>> =
            all.iter().filter_map(|stored| Some((&*stored.server, stored.good()?))).collect();
        let spec = UpstreamSpec { name, servers: servers.into_values().collect() };
        let sound = all.iter().all(|stored| stored.fault.is_none());
        Some(Stored { value: Some(Arc::new(spec)), sound })
    }

    /// All server keys of the store, each with the upstream's name in lower case.
    fn servers(&self) -> impl Iterator<Item = (&str, &StoredServer)> {
        self.store.iter().flat_map(|(key, servers)| servers.iter().map(move |stored| (&**key, stored)))
    }

    /// What a dump writes: all that is in force, and what was rejected as it stands in the store, so that no dump
    /// destroys what an operator wrote and ELB could not read.
    pub(crate) fn to_dump(&self) -> BTreeMap<String, Servers> {
        let mut upstreams = written(self.layers.effective().values());
        for (key, stored) in self.servers().filter(|(_, stored)| stored.fault.is_some()) {
            if self.layers.edit(key).is_none() {
                let servers = upstreams.entry(stored.upstream.to_string()).or_default();
                servers.insert(stored.server.to_string(), stored.text.to_string());
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
        let dropped = self.store.keys().filter(|key| !kept.contains(&***key)).count();
        (dropped, self.store.len())
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

fn written<'a>(upstreams: impl Iterator<Item = &'a Arc<UpstreamSpec>>) -> BTreeMap<String, Servers> {
    let texts = |spec: &UpstreamSpec| {
        spec.servers.iter().map(|server| (server.name.clone(), server.to_string())).collect()
    };
    upstreams.filter(|spec| !spec.servers.is_empty()).map(|spec| (spec.name.clone(), texts(spec))).collect()
}
