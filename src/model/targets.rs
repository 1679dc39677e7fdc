//! Every upstream resolved to addresses, by slot, and the names whose addresses that takes.
//!
//! It owns which names need a lookup and who needs them, what was found, and the sharing of what did not change; never
//! the lookup itself: the control plane does that, and hands the addresses in. A change of one upstream or of one
//! name's addresses looks at nobody else. Next: [`state`](super::state) says what is in force,
//! [`snapshot`](super::snapshot) keeps a copy for the workers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::former::Former;
use super::server::{ServerSpec, ServerTarget};
use super::server_id::ServerIds;
use super::server_state::ServerState;
use super::upstream::{Endpoint, Server, Upstream, UpstreamSpec};
use super::upstream_name::UpstreamName;

/// Upstreams of a page, which is copied when one of them changes and is shared otherwise.
const PAGE: usize = 64;

/// All upstreams at one moment; a copy costs a pointer for each page.
#[derive(Debug, Clone, Default)]
pub(crate) struct Targets {
    pages: Vec<Arc<Page>>,
    /// How many of them look at requests, to see which server one belongs to.
    looking: usize,
}

type Page = [Option<Target>; PAGE];

/// One upstream.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Its name, which keeps the slot.
    pub(crate) name: Arc<UpstreamName>,
    /// What a balancer reads.
    pub(crate) upstream: Arc<Upstream>,
    /// As it was written, or (implicit) as a rule has it.
    pub(crate) spec: Arc<UpstreamSpec>,
}

impl Targets {
    /// The upstream in a slot.
    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<&Target> {
        self.pages.get(slot as usize / PAGE)?.get(slot as usize % PAGE)?.as_ref()
    }

    /// Whether any of them looks at requests.
    #[inline]
    pub(crate) fn look_at_requests(&self) -> bool {
        self.looking > 0
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Target> {
        self.pages.iter().flat_map(|page| page.iter().flatten())
    }

    /// The slots in which there is something else than in `before`. What was not touched since is not looked at.
    pub(crate) fn differing<'t>(&'t self, before: &'t Targets) -> impl Iterator<Item = u32> + 't {
        let pages = self.pages.len().max(before.pages.len());
        let touched = move |page: &usize| match (self.pages.get(*page), before.pages.get(*page)) {
            (Some(now), Some(before)) => !Arc::ptr_eq(now, before),
            (now, before) => now.is_some() || before.is_some(),
        };
        let slots = |page: usize| (0..PAGE).filter_map(move |at| u32::try_from(page * PAGE + at).ok());
        let upstream =
            |targets: &'t Targets, slot| targets.get(slot).map(|target| Arc::as_ptr(&target.upstream));
        let differs = move |slot: &u32| upstream(self, *slot) != upstream(before, *slot);
        (0..pages).filter(touched).flat_map(slots).filter(differs)
    }

    fn place(&mut self, slot: u32) -> Option<&mut Option<Target>> {
        let page = slot as usize / PAGE;
        while self.pages.len() <= page {
            self.pages.push(Arc::new(std::array::from_fn(|_| None)));
        }
        Arc::make_mut(self.pages.get_mut(page)?).get_mut(slot as usize % PAGE)
    }
}

/// A name that some server has.
#[derive(Debug, Default)]
struct Host {
    /// The slots of the upstreams that need its addresses.
    users: BTreeSet<u32>,
    /// As far as they are known.
    addresses: Vec<SocketAddr>,
}

/// The upstreams as they are edited.
#[derive(Debug, Default)]
pub(crate) struct EditableTargets {
    targets: Targets,
    /// `host:port` (host in lower case, port always there) of every server that is neither a literal nor a unix socket.
    hosts: BTreeMap<Box<str>, Host>,
    /// Names that came into use (true) or fell out of it.
    news: BTreeMap<Box<str>, bool>,
    ids: ServerIds,
}

impl EditableTargets {
    /// The upstream is this now, or (`None`) is gone.
    pub(crate) fn set(&mut self, name: &Arc<UpstreamName>, spec: Option<(Arc<UpstreamSpec>, bool)>) {
        let slot = name.slot();
        let before = self.targets.get(slot).map(|target| names(&target.spec)).unwrap_or_default();
        let after = spec.as_ref().map(|(spec, _)| names(spec)).unwrap_or_default();
        for host in after.difference(&before) {
            if !self.hosts.contains_key(host) {
                self.hosts.insert(host.clone(), Host::default());
                self.news.insert(host.clone(), true);
            }
            self.hosts.entry(host.clone()).or_default().users.insert(slot);
        }
        for host in before.difference(&after) {
            let Some(known) = self.hosts.get_mut(host) else { continue };
            known.users.remove(&slot);
            if known.users.is_empty() {
                self.hosts.remove(host);
                self.news.insert(host.clone(), false);
            }
        }
        let target = spec.map(|(spec, implicit)| {
            let upstream = Arc::new(self.resolve(slot, &spec, implicit));
            Target { name: Arc::clone(name), upstream, spec }
        });
        self.put(slot, target);
    }

    /// What is the same as it was stays the same allocation: a worker looks no further then.
    fn put(&mut self, slot: u32, target: Option<Target>) {
        let same = match (self.targets.get(slot), &target) {
            (Some(known), Some(target)) => known.upstream == target.upstream && known.spec == target.spec,
            (None, None) => true,
            _ => false,
        };
        if same {
            return;
        }
        let looks = |target: &Option<Target>| {
            target.as_ref().is_some_and(|target| target.upstream.options.looks_at_requests())
        };
        let now = looks(&target);
        let Some(place) = self.targets.place(slot) else { return };
        let before = looks(&std::mem::replace(place, target));
        self.targets.looking = self.targets.looking + usize::from(now) - usize::from(before);
    }

    /// The addresses of a name were found. Says whether any upstream is different for it.
    pub(crate) fn learn(&mut self, host: &str, addresses: Vec<SocketAddr>) -> bool {
        let Some(known) = self.hosts.get_mut(host) else { return false };
        if known.addresses == addresses {
            return false;
        }
        known.addresses = addresses;
        for slot in known.users.clone() {
            let Some(target) = self.targets.get(slot).cloned() else { continue };
            let upstream = Arc::new(self.resolve(slot, &target.spec, target.upstream.implicit));
            self.put(slot, Some(Target { upstream, ..target }));
        }
        true
    }

    /// The upstream with a server for each address of each name; none for a name that has none. When none of its names has
    /// any, the servers that served in this slot until now stay: a name that is misspelt, or that a name server does not know
    /// yet, does not take the place of servers that work.
    fn resolve(&mut self, slot: u32, spec: &UpstreamSpec, implicit: bool) -> Upstream {
        let endpoints = self.endpoints(spec);
        let before = self.targets.get(slot).map(|known| &*known.upstream);
        let mut former = Former::new(before.map_or(&[], |before| &before.servers));
        let identify = |(endpoint, spec): (Endpoint, &Arc<ServerSpec>)| {
            let spec = Arc::clone(spec);
            let Some(known) = former.take(&spec.name, &endpoint) else {
                return Server {
                    id: self.ids.give(),
                    endpoint,
                    spec,
                    state: Arc::new(ServerState::default()),
                };
            };
            if known.spec != spec {
                let got_nothing = known.spec.down || known.spec.drain;
                known.state.begin_anew(got_nothing && !spec.down && !spec.drain);
            }
            Server { id: known.id, endpoint, spec, state: Arc::clone(&known.state) }
        };
        let mut servers: Vec<Server> = endpoints.into_iter().map(identify).collect();
        if servers.is_empty() && !spec.servers.is_empty() {
            // What nobody made is another thing than what somebody made by the same name and has deleted.
            let before = before.filter(|before| before.implicit == implicit);
            servers = before.map(|before| before.servers.clone()).unwrap_or_default();
        }
        let options = spec.options.clone().unwrap_or_default();
        Upstream { name: spec.name.clone(), servers, options, implicit }
    }

    /// Every known address of every server.
    fn endpoints<'s>(&self, spec: &'s UpstreamSpec) -> Vec<(Endpoint, &'s Arc<ServerSpec>)> {
        let mut endpoints = Vec::with_capacity(spec.servers.len());
        for spec in &spec.servers {
            match spec.target() {
                ServerTarget::Inet(address) => endpoints.push((Endpoint::Inet(address), spec)),
                ServerTarget::Unix(path) => endpoints.push((Endpoint::Unix(path), spec)),
                ServerTarget::Name(name) => {
                    let addresses = self.addresses(&name).iter();
                    endpoints.extend(addresses.map(|&address| (Endpoint::Inet(address), spec)));
                }
            }
        }
        endpoints
    }

    /// What is known of a name.
    pub(crate) fn addresses(&self, host: &str) -> &[SocketAddr] {
        self.hosts.get(host).map_or(&[], |host| &host.addresses)
    }

    /// All names whose addresses are needed.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.keys().map(|host| &**host)
    }

    /// The names that came into use (true) or fell out of it since this was asked.
    pub(crate) fn take_news(&mut self) -> BTreeMap<Box<str>, bool> {
        std::mem::take(&mut self.news)
    }

    /// All of them, for a snapshot.
    pub(crate) fn targets(&self) -> &Targets {
        &self.targets
    }
}

/// The names of an upstream's servers that need a lookup.
fn names(spec: &UpstreamSpec) -> BTreeSet<Box<str>> {
    let names = spec.servers.iter().filter_map(|server| match server.target() {
        ServerTarget::Name(name) => Some(name.into()),
        ServerTarget::Inet(_) | ServerTarget::Unix(_) => None,
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UpstreamOptions;
    use crate::model::server_id::ServerId;
    use crate::model::upstream_name::UpstreamNames;

    fn spec(servers: &[&str]) -> Option<(Arc<UpstreamSpec>, bool)> {
        let servers = servers.iter().map(|server| Arc::new(ServerSpec::new(server))).collect();
        Some((Arc::new(UpstreamSpec { name: "up".to_owned(), servers, options: None }), false))
    }

    #[test]
    fn only_those_who_need_a_name_look_at_its_addresses() {
        let (mut names, mut targets) = (UpstreamNames::default(), EditableTargets::default());
        let (a, b) = (names.get("a"), names.get("b"));
        targets.set(&a, spec(&["h:1", "H:1", "10.0.0.1:1"]));
        targets.set(&b, spec(&["10.0.0.2:1", "unix:/s"]));
        assert_eq!(targets.take_news().into_iter().collect::<Vec<_>>(), [("h:1".into(), true)]);
        let before = targets.targets().clone();
        let address: SocketAddr = "10.0.0.9:1".parse().unwrap();
        assert!(targets.learn("h:1", vec![address]) && !targets.learn("h:1", vec![address]));
        assert!(!targets.learn("other:1", vec![address]));
        let servers = |targets: &Targets| targets.get(a.slot()).unwrap().upstream.servers.len();
        assert_eq!((servers(&before), servers(targets.targets())), (1, 3), "a copy stays what it was");
        let same = |slot: u32| {
            let upstream = |targets: &Targets| Arc::clone(&targets.get(slot).unwrap().upstream);
            Arc::ptr_eq(&upstream(&before), &upstream(targets.targets()))
        };
        assert!(same(b.slot()) && !same(a.slot()));
        let differing = |targets: &Targets| targets.differing(&before).collect::<Vec<_>>();
        assert_eq!(differing(targets.targets()), [a.slot()]);
        assert_eq!(Targets::default().differing(&before).count(), 2);
        assert_eq!(before.differing(&before).count(), 0);
        targets.set(&b, spec(&["h:1"]));
        targets.set(&a, None);
        assert!(targets.take_news().is_empty(), "b needs it now");
        assert_eq!(targets.addresses("h:1"), [address]);
        targets.set(&b, None);
        assert_eq!(targets.take_news().into_iter().collect::<Vec<_>>(), [("h:1".into(), false)]);
        assert_eq!((targets.targets().iter().count(), targets.hosts().count()), (0, 0));
    }

    #[test]
    fn upstreams_that_look_at_requests_are_counted() {
        let (mut names, mut targets) = (UpstreamNames::default(), EditableTargets::default());
        let (a, b) = (names.get("a"), names.get("b"));
        let with = |options: &str| {
            let (spec, implicit) = spec(&["10.0.0.1:1"])?;
            let options = Some(UpstreamOptions::parse(options).unwrap());
            Some((Arc::new(UpstreamSpec { options, ..(*spec).clone() }), implicit))
        };
        let looks = |targets: &EditableTargets| targets.targets().look_at_requests();
        targets.set(&a, with("method=ewma"));
        assert!(!looks(&targets));
        targets.set(&a, with("sticky=cookie:s"));
        targets.set(&b, with("method=hash key=host"));
        targets.set(&a, with("sticky=cookie:s"));
        targets.set(&a, with("sticky=cookie:t"));
        targets.set(&b, None);
        assert!(looks(&targets));
        targets.set(&a, with(""));
        assert!(!looks(&targets));
    }

    #[test]
    fn a_server_is_the_same_one_as_long_as_its_upstream_has_its_name_at_its_address() {
        let (mut names, mut targets) = (UpstreamNames::default(), EditableTargets::default());
        let up = names.get("up");
        let ids = |targets: &EditableTargets| -> BTreeMap<String, ServerId> {
            let target = targets.targets().get(up.slot()).unwrap();
            let id = |server: &Server| (format!("{} {}", server.spec.name, server.endpoint), server.id);
            target.upstream.servers.iter().map(id).collect()
        };
        let address = |last: u8| SocketAddr::from(([10, 0, 0, last], 1));
        targets.set(&up, spec(&["h:1", "10.0.0.9:1"]));
        targets.learn("h:1", vec![address(1), address(2)]);
        let first = ids(&targets);
        assert_eq!(first.values().collect::<BTreeSet<_>>().len(), 3);
        // Another order, other servers, other parameters, and what a name server has to say.
        let weight = ServerSpec::parse("10.0.0.9:1", "weight=9").unwrap();
        let servers = [weight, ServerSpec::new("10.0.0.8:1"), ServerSpec::new("h:1")].map(Arc::new).into();
        targets.set(
            &up,
            Some((Arc::new(UpstreamSpec { name: "UP".to_owned(), servers, options: None }), false)),
        );
        targets.learn("h:1", vec![address(3), address(2)]);
        let second = ids(&targets);
        assert!(
            ["10.0.0.9:1 10.0.0.9:1", "h:1 10.0.0.2:1"]
                .iter()
                .all(|server| first[*server] == second[*server])
        );
        // An address of its own is a server of its own, under each name.
        let mine: BTreeSet<_> = first.values().collect();
        let new = second.values().filter(|id| !mine.contains(id)).count();
        assert_eq!((new, second.len()), (2, 4));
        // What was taken away and comes back is another one, of which nothing is known.
        let state = |targets: &EditableTargets| -> Arc<ServerState> {
            let target = targets.targets().get(up.slot()).unwrap();
            let found = target.upstream.servers.iter().find(|server| server.spec.name == "10.0.0.9:1");
            Arc::clone(&found.unwrap().state)
        };
        state(&targets).fail(crate::model::Blame::ErrorStatus, false, 1, std::time::Instant::now());
        targets.learn("h:1", vec![address(2), address(3)]);
        assert!(!state(&targets).is_sound(), "it is the same one");
        targets.set(&up, spec(&["h:1"]));
        targets.set(&up, spec(&["h:1", "10.0.0.9:1"]));
        let third = ids(&targets);
        assert!(state(&targets).is_sound());
        assert_ne!(third["10.0.0.9:1 10.0.0.9:1"], second["10.0.0.9:1 10.0.0.9:1"]);
        assert_eq!(third["h:1 10.0.0.2:1"], first["h:1 10.0.0.2:1"]);
        // The same upstream is the same allocation, so nobody looks at it again.
        let before = targets.targets().clone();
        targets.set(&up, spec(&["h:1", "10.0.0.9:1"]));
        let upstream = |targets: &Targets| Arc::clone(&targets.get(up.slot()).unwrap().upstream);
        assert!(Arc::ptr_eq(&upstream(&before), &upstream(targets.targets())));
    }
}
