//! What had requests of late, and how much of that would be taken away.
//!
//! It owns the bound above which somebody has to say that it is meant, and the count of what was taken away within a minute; never what
//! is served. Next: `hub::change` asks it for changes by the API, [`store_guard`](super::store_guard) for those of a store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::replies::Stranded;
use crate::model::{Contents, KeyChange, OPTIONS};

/// Domains or servers of live traffic that may always go at once.
const FEW: usize = 3;
/// Removals that are no further apart than this are one: a script that deletes a thousand keys takes its time.
const WINDOW: Duration = Duration::from_secs(60);

/// Upstream, in lower case, and server.
pub(super) type ServerKey = (String, String);

/// What had requests in the last seconds, and how many.
#[derive(Debug, Clone, Default)]
pub(super) struct Live {
    pub(super) domains: BTreeMap<String, u64>,
    pub(super) servers: BTreeMap<ServerKey, u64>,
    /// How long these seconds were.
    pub(super) seconds: f64,
}

/// Names that go, or are gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) domains: BTreeSet<String>,
    pub(super) servers: BTreeSet<ServerKey>,
}

/// What a store took away of live traffic within a minute.
#[derive(Debug, Default)]
pub(super) struct Losses {
    gone: Gone,
    last: Option<Instant>,
}

impl Stranded {
    /// Whether somebody has to say that this is meant.
    pub(super) fn is_too_much(&self) -> bool {
        let most = |gone: usize, of: usize| gone >= FEW && gone > of / 2;
        most(self.domains, self.of_domains) || most(self.servers, self.of_servers)
    }
}

impl Live {
    /// Those of it that these changes of a store would take away; `is_there` tells which servers the store has before them.
    pub(super) fn removed<'c>(
        &self,
        changes: impl Iterator<Item = &'c KeyChange> + Clone,
        is_there: impl Fn(&ServerKey) -> bool,
    ) -> Gone {
        let mut gone = Gone::default();
        for change in changes.clone() {
            match change {
                KeyChange::Rule { domain, text: None } if self.domains.contains_key(domain) => {
                    gone.domains.insert(domain.clone());
                }
                KeyChange::Server { upstream, server, text: None } => {
                    let key = key(upstream, server);
                    if self.servers.contains_key(&key) {
                        gone.servers.insert(key);
                    }
                }
                _ => {}
            }
        }
        changes.for_each(|change| gone.comes(change, &is_there));
        gone
    }

    /// Those of it that `stores` knows and a listing of the store lacks.
    pub(super) fn lacking(
        &self,
        contents: &Contents,
        stores: impl Fn(&str) -> bool,
        has: impl Fn(&ServerKey) -> bool,
    ) -> Gone {
        let held = Self::servers_of(contents);
        let domains = self.domains.keys().filter(|name| stores(name) && !contents.rules.contains_key(*name));
        let servers = self.servers.keys().filter(|key| has(key) && !held.contains(*key));
        Gone { domains: domains.cloned().collect(), servers: servers.cloned().collect() }
    }

    fn servers_of(contents: &Contents) -> BTreeSet<ServerKey> {
        let all = contents.upstreams.iter();
        all.flat_map(|(upstream, servers)| servers.keys().map(move |server| key(upstream, server))).collect()
    }

    /// What it comes to when these go, with what is gone already.
    pub(super) fn without(&self, gone: &Gone, losses: &Losses) -> Stranded {
        let requests = |counts: u64| if self.seconds > 0.0 { counts as f64 / self.seconds } else { 0.0 };
        let of_domains: u64 = gone.domains.iter().filter_map(|name| self.domains.get(name)).sum();
        let of_servers: u64 = gone.servers.iter().filter_map(|key| self.servers.get(key)).sum();
        let (before, all) = (&losses.gone, Gone::all(self));
        Stranded {
            domains: gone.domains.union(&before.domains).count(),
            of_domains: all.domains.union(&before.domains).count(),
            servers: gone.servers.union(&before.servers).count(),
            of_servers: all.servers.union(&before.servers).count(),
            // A request may lose its domain and its server.
            per_second: requests(of_domains.max(of_servers)),
        }
    }
}

impl Gone {
    fn all(live: &Live) -> Self {
        Self {
            domains: live.domains.keys().cloned().collect(),
            servers: live.servers.keys().cloned().collect(),
        }
    }

    /// A key is there: what it names is not gone, and a server that is new stands in for one that is.
    fn comes(&mut self, change: &KeyChange, is_there: impl Fn(&ServerKey) -> bool) {
        match change {
            KeyChange::Rule { domain, text: Some(_) } => {
                self.domains.remove(domain);
            }
            KeyChange::Server { upstream, server, text: Some(_) } if server != OPTIONS => {
                let key = key(upstream, server);
                if !self.servers.remove(&key) && !is_there(&key) {
                    self.replace_one(upstream);
                }
            }
            _ => {}
        }
    }

    /// A server of this upstream stands in for one that goes.
    pub(super) fn replace_one(&mut self, upstream: &str) {
        let upstream = upstream.to_ascii_lowercase();
        let one = self.servers.iter().find(|(of, _)| *of == upstream).cloned();
        one.map(|one| self.servers.remove(&one));
    }

    /// Leaves those that a store lacks.
    pub(super) fn stay_away(&mut self, contents: &Contents) {
        let held = Live::servers_of(contents);
        self.domains.retain(|name| !contents.rules.contains_key(name));
        self.servers.retain(|key| !held.contains(key));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.domains.is_empty() && self.servers.is_empty()
    }
}

impl Losses {
    /// What a minute ago and earlier was gone, is gone.
    pub(super) fn forget_old(&mut self, now: Instant) {
        if self.last.is_none_or(|last| now >= last + WINDOW) {
            *self = Self::default();
        }
    }

    /// These changes are made, and take this away.
    pub(super) fn add(
        &mut self,
        gone: Gone,
        changes: &[KeyChange],
        is_there: impl Fn(&ServerKey) -> bool,
        now: Instant,
    ) {
        changes.iter().for_each(|change| self.gone.comes(change, &is_there));
        if !gone.is_empty() {
            self.gone.domains.extend(gone.domains);
            self.gone.servers.extend(gone.servers);
            self.last = Some(now);
        }
    }
}

/// The key of a server.
pub(super) fn key(upstream: &str, server: &str) -> ServerKey {
    (upstream.to_ascii_lowercase(), server.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(domains: &[&str], servers: &[&str]) -> Live {
        Live {
            domains: domains.iter().map(|name| ((*name).to_owned(), 10)).collect(),
            servers: servers.iter().map(|name| (key("Up", name), 20)).collect(),
            seconds: 10.0,
        }
    }

    fn rule(domain: &str, text: Option<&str>) -> KeyChange {
        KeyChange::Rule { domain: domain.to_owned(), text: text.map(str::to_owned) }
    }

    fn server(server: &str) -> KeyChange {
        KeyChange::Server { upstream: "UP".to_owned(), server: server.to_owned(), text: None }
    }

    #[test]
    fn more_than_half_of_what_has_requests_is_too_much_and_what_has_none_is_not_counted() {
        let live = live(&["a", "b", "c", "d"], &["1", "2", "3"]);
        let judge =
            |changes: &[KeyChange]| live.without(&live.removed(changes.iter(), |_| true), &Losses::default());
        assert!(!judge(&[rule("a", None), rule("b", None), rule("x", None), rule("y", None)]).is_too_much());
        let most = judge(&[rule("a", None), rule("b", None), rule("c", None)]);
        assert_eq!((most.domains, most.of_domains, most.per_second), (3, 4, 3.0));
        assert!(most.is_too_much());
        assert!(
            !judge(&[rule("a", None), rule("b", None), rule("c", None), rule("c", Some("{}"))]).is_too_much()
        );
        let all = judge(&[server("1"), server("2"), server("3")]);
        assert_eq!((all.servers, all.of_servers, all.per_second), (3, 3, 6.0));
        assert!(all.is_too_much() && !judge(&[server("1"), server("2")]).is_too_much());
    }

    #[test]
    fn a_server_in_the_place_of_another_takes_nothing_away() {
        let live = live(&[], &["1", "2", "3"]);
        let new = |name: &str| KeyChange::Server {
            upstream: "up".to_owned(),
            server: name.to_owned(),
            text: Some(String::new()),
        };
        let judge = |changes: &[KeyChange]| {
            let gone = live.removed(changes.iter(), |(_, server)| server == "2");
            live.without(&gone, &Losses::default()).servers
        };
        assert_eq!(judge(&[server("1"), server("3"), new("4")]), 1);
        assert_eq!(judge(&[new("4"), new("5"), server("1"), server("3")]), 0);
        assert_eq!(judge(&[server("1"), server("3"), new("2")]), 2, "it was there before");
        let mut losses = Losses::default();
        let now = Instant::now();
        for (gone, comes) in [("1", "4"), ("2", "5"), ("3", "6")] {
            let changes = [server(gone)];
            let gone = live.removed(changes.iter(), |_| false);
            assert!(!live.without(&gone, &losses).is_too_much(), "one by one");
            losses.add(gone, &changes, |_| false, now);
            losses.add(Gone::default(), &[new(comes)], |_| false, now);
        }
    }

    #[test]
    fn what_goes_key_by_key_within_a_minute_is_one() {
        let now = Instant::now();
        let mut losses = Losses::default();
        let mut names = vec!["a", "b", "c", "d", "e"];
        let mut judge = |losses: &mut Losses, change: KeyChange, now| {
            losses.forget_old(now);
            let live = live(&names, &[]);
            let gone = live.removed([&change].into_iter(), |_| true);
            let is_too_much = live.without(&gone, losses).is_too_much();
            if !is_too_much {
                names.retain(|name| !gone.domains.contains(*name));
                losses.add(gone, &[change], |_| true, now);
            }
            is_too_much
        };
        assert!(!judge(&mut losses, rule("a", None), now));
        assert!(!judge(&mut losses, rule("b", None), now + WINDOW / 2));
        assert!(judge(&mut losses, rule("c", None), now + WINDOW));
        assert!(!judge(&mut losses, rule("a", Some("{}")), now + WINDOW));
        assert!(!judge(&mut losses, rule("c", None), now + WINDOW), "one is back");
        assert!(!judge(&mut losses, rule("d", None), now + 3 * WINDOW), "that was long ago");
    }

    #[test]
    fn a_listing_lacks_what_had_requests_and_was_in_the_store() {
        let live = live(&["a", "b"], &["1", "2"]);
        let mut contents = Contents::default();
        contents.rules.insert("a".to_owned(), String::new());
        contents.upstreams.entry("uP".to_owned()).or_default().insert("1".to_owned(), String::new());
        let mut gone = live.lacking(&contents, |name| name != "x", |_| true);
        assert_eq!((gone.domains.len(), gone.servers.len()), (1, 1));
        assert!(live.lacking(&contents, |_| false, |_| false).is_empty(), "an edit is not the store's");
        contents.rules.insert("b".to_owned(), String::new());
        gone.stay_away(&contents);
        assert_eq!((gone.domains.len(), gone.servers.len()), (0, 1));
    }
}
