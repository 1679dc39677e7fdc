//! What workers counted of requests, by the names of the configuration: the sums since the start.
//!
//! It owns that only what is configured has a name here, that one that is gone is forgotten, and how many names are shown by
//! themselves; never the counting, and no text. Next: [`admin::metrics`](super::admin) shows it.

use std::collections::HashMap;

use crate::model::{ServerId, Snapshot};
use crate::stats::table::Rows;
use crate::stats::{self, AnswerKey, Asked, DomainKey, Requests, Taken, Times};

/// Statuses that are told apart for one name; further ones are together, so that a server cannot make any number of them.
const STATUSES: usize = 64;

/// Names that are shown by themselves unless the settings say another number.
const SHOWN: usize = 1000;

/// Servers that may be remembered beyond twice those that are there, until those that are gone are looked for.
pub(super) const SLACK: usize = 64;

/// Requests by status. Status 0 is all that has no row of its own.
pub(super) type ByStatus<V> = Vec<(u16, V)>;

/// All of it.
#[derive(Debug)]
pub(super) struct Traffic {
    /// By slot.
    domains: Slots<ByStatus<Requests>>,
    /// Requests that no domain was found for, or that rules were never asked about.
    nameless: ByStatus<Requests>,
    /// By slot.
    upstreams: Slots<Upstream>,
    /// Requests by the server that they were given to last.
    servers: HashMap<ServerId, ByStatus<u64>>,
    /// The version whose names are here, and no others.
    pruned: u64,
}

/// What is counted of an upstream.
#[derive(Debug, Clone, Default)]
pub(super) struct Upstream {
    pub(super) times: Times,
    /// Requests that it had no server for.
    pub(super) unserved: ByStatus<u64>,
}

/// Numbers by slot, each with the name that the slot had.
#[derive(Debug)]
pub(super) struct Slots<V> {
    slots: Vec<Option<Named<V>>>,
    /// Those that have a series of their own.
    shown: usize,
    /// How many may.
    most: usize,
    /// Of all others, and of names that are gone but have none here.
    others: V,
}

#[derive(Debug)]
struct Named<V> {
    name: Box<str>,
    numbers: V,
    shown: bool,
}

/// Numbers by name, as they are shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Listed<V> {
    pub(super) by_name: Vec<(Box<str>, V)>,
    /// Of all that have no series of their own.
    pub(super) others: V,
    /// How many names those are that had requests.
    pub(super) not_shown: usize,
}

/// What can be added to itself.
pub(super) trait Sum {
    /// Adds another one.
    fn merge(&mut self, other: &Self);
}

impl Sum for u64 {
    fn merge(&mut self, other: &Self) {
        *self += other;
    }
}

impl Sum for Requests {
    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.forwarded += other.forwarded;
        self.received += other.received;
        self.sent += other.sent;
    }
}

impl<V: Sum + Clone> Sum for ByStatus<V> {
    fn merge(&mut self, other: &Self) {
        other.iter().for_each(|(status, numbers)| add(self, *status, numbers));
    }
}

impl Sum for Upstream {
    fn merge(&mut self, other: &Self) {
        self.times.request.merge(&other.times.request);
        self.times.response.merge(&other.times.response);
        self.unserved.merge(&other.unserved);
    }
}

/// Adds to the numbers of one status.
fn add<V: Sum + Clone>(list: &mut ByStatus<V>, status: u16, numbers: &V) {
    let at = match list.binary_search_by_key(&status, |(known, _)| *known) {
        Ok(at) => at,
        Err(_) if list.len() >= STATUSES && status != 0 => return add(list, 0, numbers),
        Err(at) => return list.insert(at, (status, numbers.clone())),
    };
    if let Some((_, sum)) = list.get_mut(at) {
        sum.merge(numbers);
    }
}

impl<V: Default> Slots<V> {
    /// None yet, of which so many are to be shown by themselves.
    pub(super) fn new(most: usize) -> Self {
        Self { slots: Vec::new(), shown: 0, most, others: V::default() }
    }

    /// The numbers of the name that a slot had when something was counted, as long as that is the name that it has `now`.
    pub(super) fn at(&mut self, slot: u32, name: &str, now: &str) -> &mut V {
        let place = slot as usize;
        let is_here =
            self.slots.get(place).is_some_and(|one| one.as_ref().is_some_and(|one| *one.name == *name));
        if !is_here {
            if name.is_empty() || name != now {
                return &mut self.others;
            }
            self.settle(place, name);
        }
        match self.slots.get_mut(place) {
            Some(Some(named)) => &mut named.numbers,
            _ => &mut self.others,
        }
    }

    fn settle(&mut self, place: usize, name: &str) {
        if self.slots.len() <= place {
            self.slots.resize_with(place + 1, || None);
        }
        self.forget(place);
        let shown = self.shown < self.most;
        self.shown += usize::from(shown);
        if let Some(here) = self.slots.get_mut(place) {
            *here = Some(Named { name: name.into(), numbers: V::default(), shown });
        }
    }

    /// The name in a slot is gone, with its numbers.
    fn forget(&mut self, place: usize) {
        if let Some(gone) = self.slots.get_mut(place).and_then(Option::take) {
            self.shown -= usize::from(gone.shown);
        }
    }

    /// Forgets names that are not those of their slots any more.
    pub(super) fn prune<'a>(&mut self, name_of: impl Fn(u32) -> &'a str) {
        for (slot, place) in (0_u32..).zip(0..self.slots.len()) {
            let stays = |named: &Named<V>| *name_of(slot) == *named.name;
            if !self.slots.get(place).is_some_and(|one| one.as_ref().is_none_or(stays)) {
                self.forget(place);
            }
        }
    }

    /// Slots, names and their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &str, &V)> {
        let slots = (0_u32..).zip(&self.slots);
        slots.filter_map(|(slot, one)| one.as_ref().map(|one| (slot, &*one.name, &one.numbers)))
    }
}

impl<V: Sum + Default + Clone> Slots<V> {
    fn list(&self) -> Listed<V> {
        let mut listed = Listed { others: self.others.clone(), ..Listed::default() };
        for named in self.slots.iter().flatten() {
            if named.shown {
                listed.by_name.push((named.name.clone(), named.numbers.clone()));
            } else {
                listed.others.merge(&named.numbers);
                listed.not_shown += 1;
            }
        }
        listed
    }
}

impl Traffic {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            domains: Slots::new(SHOWN),
            nameless: Vec::new(),
            upstreams: Slots::new(SHOWN),
            servers: HashMap::new(),
            pruned: 0,
        }
    }

    /// A worker has counted these; `snapshot` is what it serves, and `current` the newest.
    pub(super) fn counted(&mut self, taken: &Taken, snapshot: &Snapshot, current: &Snapshot) {
        for (key, numbers) in &taken.domains.rows {
            let DomainKey { domain, status } = DomainKey::of(*key);
            let list = match domain {
                stats::NONE => &mut self.nameless,
                slot => self.domains.at(slot, snapshot.domain_name(slot), current.domain_name(slot)),
            };
            add(list, status, numbers);
        }
        let [name, now] = [snapshot, current].map(|of| move |slot| upstream_name(of, slot));
        for (slot, times) in &taken.upstreams.rows {
            let slot = *slot as u32;
            let upstream = self.upstreams.at(slot, name(slot), now(slot));
            upstream.merge(&Upstream { times: *times, ..Upstream::default() });
        }
        for (key, times) in &taken.answers.rows {
            let AnswerKey { of, status } = AnswerKey::of(*key);
            let list = match of {
                Asked::NoneOf(slot) => &mut self.upstreams.at(slot, name(slot), now(slot)).unserved,
                Asked::Server(number) => match ServerId::of(number) {
                    Some(id) => self.servers.entry(id).or_default(),
                    None => continue,
                },
            };
            add(list, status, times);
        }
        self.add_rest(&taken.domains, &taken.upstreams);
    }

    /// What no worker had a row for.
    fn add_rest(&mut self, domains: &Rows<Requests>, upstreams: &Rows<Times>) {
        if domains.rest.requests > 0 {
            add(&mut self.domains.others, 0, &domains.rest);
        }
        self.upstreams.others.merge(&Upstream { times: upstreams.rest, ..Upstream::default() });
    }

    /// How many domains, and how many upstreams, are to be shown by themselves.
    pub(super) fn show(&mut self, most: usize) {
        (self.domains.most, self.upstreams.most) = (most, most);
    }

    /// Forgets servers that are gone, when they are many: nobody may ever ask, and servers come and go.
    pub(super) fn forget_servers(&mut self, there: usize, is_there: impl Fn(ServerId) -> bool) {
        bound(&mut self.servers, there, is_there);
    }

    /// Forgets what is not in the configuration any more; `is_there` knows the servers.
    pub(super) fn prune(&mut self, current: &Snapshot, is_there: impl Fn(ServerId) -> bool) {
        if std::mem::replace(&mut self.pruned, current.version) == current.version {
            return;
        }
        self.domains.prune(|slot| current.domain_name(slot));
        self.upstreams.prune(|slot| upstream_name(current, slot));
        self.servers.retain(|id, _| is_there(*id));
    }

    /// Requests by domain.
    pub(super) fn domains(&self) -> Listed<ByStatus<Requests>> {
        self.domains.list()
    }

    /// Requests of no domain.
    pub(super) fn nameless(&self) -> ByStatus<Requests> {
        self.nameless.clone()
    }

    /// Times by upstream.
    pub(super) fn upstreams(&self) -> Listed<Upstream> {
        self.upstreams.list()
    }

    /// Requests of a server.
    pub(super) fn server(&self, id: ServerId) -> &[(u16, u64)] {
        self.servers.get(&id).map_or(&[], Vec::as_slice)
    }
}

/// Forgets servers that are gone, when they are many. `there` are how many there are, and `is_there` knows them.
pub(super) fn bound<V>(
    servers: &mut HashMap<ServerId, V>,
    there: usize,
    is_there: impl Fn(ServerId) -> bool,
) {
    if servers.len() > 2 * there + SLACK {
        servers.retain(|id, _| is_there(*id));
    }
}

/// The name of the upstream in a slot; empty when there is none.
pub(super) fn upstream_name(snapshot: &Snapshot, slot: u32) -> &str {
    snapshot.upstream_name(slot).map_or("", |name| name.key())
}

#[cfg(test)]
pub(super) use tests::{counted, state};

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use serde_json::{Value, json};

    use super::*;
    use crate::model::{Edit, State};
    use crate::stats::{Counted, Stats};

    fn backend() -> Value {
        json!({"default": "b", "init": "b", "rules": {"b": {"type": "backend", "args": {"servername": "up"}}}})
    }

    pub(in crate::control) fn state(domains: &[&str]) -> State {
        let mut state = State::new();
        let Value::Object(upstreams) = json!({"up": {"127.0.0.1:1": ""}}) else { panic!("an object") };
        state.edit(Edit::PutUpstreams(upstreams)).unwrap();
        state
            .edit(Edit::PutDomains(domains.iter().map(|name| ((*name).to_owned(), backend())).collect()))
            .unwrap();
        state
    }

    pub(in crate::control) fn counted(snapshot: &Snapshot, domain: &str, status: u16) -> Taken {
        let (mut stats, begun) = (Stats::new(false), Instant::now());
        let upstream = snapshot.upstreams_differing(&Snapshot::empty()).next();
        let server = upstream.and_then(|slot| Some(snapshot.upstream(slot)?.servers[0].id.number()));
        stats.record(&Counted {
            domain: snapshot.domain_slot(domain).unwrap_or(stats::NONE),
            upstream,
            server: server.unwrap_or(0),
            status,
            received: 10,
            sent: 20,
            begun,
            routed: begun,
            connected: None,
            answered: None,
            ended: begun,
        });
        stats.take()
    }

    fn told(listed: &Listed<ByStatus<Requests>>) -> Vec<String> {
        let row = |name: &str, list: &ByStatus<Requests>| {
            let one = |(status, numbers): &(u16, Requests)| format!("{name} {status} {}", numbers.requests);
            list.iter().map(one).collect::<Vec<_>>()
        };
        let mut rows: Vec<String> = listed.by_name.iter().flat_map(|(name, list)| row(name, list)).collect();
        rows.extend(row("others", &listed.others));
        rows
    }

    #[test]
    fn requests_are_told_by_the_names_of_the_configuration() {
        let mut traffic = Traffic::new();
        traffic.show(1);
        let mut state = state(&["a.test", "b.test"]);
        let first = state.snapshot(1);
        for (domain, status) in [("a.test", 200), ("b.test", 200), ("a.test", 502), ("nobody.test", 404)] {
            traffic.counted(&counted(&first, domain, status), &first, &first);
        }
        let domains = traffic.domains();
        assert_eq!(told(&domains), ["a.test 200 1", "a.test 502 1", "others 200 1"]);
        assert_eq!(domains.not_shown, 1);
        assert_eq!(
            traffic.nameless().iter().map(|row| (row.0, row.1.requests)).collect::<Vec<_>>(),
            [(404, 1)]
        );
        let upstreams = traffic.upstreams();
        assert_eq!((&*upstreams.by_name[0].0, upstreams.by_name[0].1.times.request.count()), ("up", 4));
        let server = first.upstreams().next().unwrap().servers[0].id;
        assert_eq!(traffic.server(server), [(200, 2), (404, 1), (502, 1)]);
        // What is gone has no row, and its place is another's; a worker that is late does not bring it back.
        state.edit(Edit::DeleteDomains(vec!["a.test".to_owned()])).unwrap();
        let second = state.snapshot(2);
        traffic.prune(&second, |_| false);
        traffic.counted(&counted(&first, "a.test", 200), &first, &second);
        assert_eq!(told(&traffic.domains()), ["others 200 2"]);
        assert_eq!(traffic.server(server), [(200, 1)], "counted since");
        let Value::Object(new) = json!({"c.test": backend()}) else { panic!("an object") };
        state.edit(Edit::PutDomains(new)).unwrap();
        let third = Arc::new(state.snapshot(3));
        traffic.counted(&counted(&third, "c.test", 200), &third, &third);
        assert_eq!(told(&traffic.domains()), ["c.test 200 1", "others 200 2"]);
    }

    #[test]
    fn servers_that_are_gone_are_forgotten_though_nobody_looks() {
        let mut traffic = Traffic::new();
        let ids = |count: u32| (1..=count).filter_map(ServerId::of);
        traffic.servers.extend(ids(SLACK as u32 + 2).map(|id| (id, ByStatus::new())));
        traffic.forget_servers(1, |id| id.number() == 1);
        assert_eq!(traffic.servers.len(), SLACK + 2, "they are few");
        traffic.forget_servers(0, |id| id.number() == 1);
        assert_eq!(traffic.servers.len(), 1);
    }

    #[test]
    fn a_server_that_invents_statuses_makes_no_number_of_rows() {
        let mut list: ByStatus<u64> = Vec::new();
        (100..900).for_each(|status| add(&mut list, status, &1));
        assert_eq!(list.len(), STATUSES + 1);
        assert_eq!(list[0], (0, 800 - STATUSES as u64));
    }
}
