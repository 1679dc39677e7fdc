//! Server names to addresses, looked up here so that no worker ever waits for DNS.
//!
//! It owns which names are wanted, their last good addresses and the lookups under way; it never decides when a new
//! snapshot is due. A lookup that fails keeps what the name had. Next: `hub` feeds the addresses into snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{info, warn};

/// Lookups under way at a time; the others wait their turn, each with its whole deadline ahead.
const LOOKUPS: usize = 16;
/// How long one lookup may take.
const LOOKUP: Duration = Duration::from_millis(1500);

/// `host:port` → its addresses.
type Addresses = BTreeMap<String, Vec<SocketAddr>>;
type Answer = io::Result<Vec<SocketAddr>>;
/// Looks one `host:port` up.
type Lookup = Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

/// All wanted names, with what is known of each.
pub(super) struct Resolver {
    lookup: Lookup,
    turns: Arc<Semaphore>,
    running: JoinSet<(String, Answer)>,
    names: BTreeMap<String, Name>,
    /// Last good addresses of the wanted names; a name that never had any is not in it.
    addresses: Addresses,
    /// How many names were never looked up to the end.
    untried: usize,
    /// Names that were, and never had any address.
    lost: BTreeSet<String>,
}

/// How far one name has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Name {
    /// A lookup is under way or waits its turn.
    busy: bool,
    /// A lookup has ended, well or badly.
    tried: bool,
    /// The last lookup failed. Logged when it changes, so a dead DNS server is two lines and not a flood.
    failing: bool,
}

impl Resolver {
    /// A resolver that asks the system (`/etc/hosts`, then DNS, as `getaddrinfo` does).
    pub(super) fn system() -> Self {
        Self::new(Arc::new(|name| {
            Box::pin(async move { Ok(tokio::net::lookup_host(name).await?.collect()) })
        }))
    }

    /// A resolver that asks `lookup`.
    pub(super) fn new(lookup: Lookup) -> Self {
        Self {
            lookup,
            turns: Arc::new(Semaphore::new(LOOKUPS)),
            running: JoinSet::new(),
            names: BTreeMap::new(),
            addresses: Addresses::new(),
            untried: 0,
            lost: BTreeSet::new(),
        }
    }

    /// Begins to know a name: starts a lookup, unless it is known already. Gives its addresses then.
    pub(super) fn want(&mut self, name: &str) -> Option<&[SocketAddr]> {
        if !self.names.contains_key(name) {
            self.names.insert(name.to_owned(), Name { busy: true, ..Name::default() });
            self.untried += 1;
            self.start(name.to_owned());
        }
        self.addresses.get(name).map(Vec::as_slice)
    }

    /// Forgets a name.
    pub(super) fn forget(&mut self, name: &str) {
        if let Some(state) = self.names.remove(name) {
            self.untried -= usize::from(!state.tried);
        }
        self.addresses.remove(name);
        self.lost.remove(name);
    }

    /// Looks every wanted name up again that is not being looked up already.
    pub(super) fn refresh(&mut self) {
        self.again(|_| true);
    }

    /// The same for the names whose last lookup failed.
    pub(super) fn retry(&mut self) {
        self.again(|state| state.failing);
    }

    fn again(&mut self, chosen: impl Fn(&Name) -> bool) {
        let mut idle = Vec::new();
        for (name, state) in self.names.iter_mut().filter(|(_, state)| !state.busy && chosen(state)) {
            state.busy = true;
            idle.push(name.clone());
        }
        idle.into_iter().for_each(|name| self.start(name));
    }

    /// Waits for the next lookup to end; for ever when none is under way. Gives the name and its addresses when those
    /// changed.
    ///
    /// May be dropped at any await without losing an answer.
    pub(super) async fn next(&mut self) -> Option<(String, Vec<SocketAddr>)> {
        match self.running.join_next().await {
            Some(Ok((name, answer))) => self.learn(name, answer),
            // A lookup that panicked leaves its name busy, which costs its refresh and nothing else.
            Some(Err(_)) => None,
            None => std::future::pending().await,
        }
    }

    /// Is there no name left whose first lookup is under way?
    pub(super) fn is_settled(&self) -> bool {
        self.untried == 0
    }

    /// Wanted names without any address, as far as their lookups have ended.
    pub(super) fn unresolved(&self) -> impl ExactSizeIterator<Item = &str> {
        self.lost.iter().map(String::as_str)
    }

    fn start(&mut self, name: String) {
        let (lookup, turns) = (Arc::clone(&self.lookup), Arc::clone(&self.turns));
        self.running.spawn(async move {
            // The semaphore is never closed, so this waits and nothing else.
            let _turn = turns.acquire().await;
            let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {LOOKUP:?}"));
            let answer = tokio::time::timeout(LOOKUP, lookup(name.clone())).await;
            (name, answer.unwrap_or_else(|_| Err(late())))
        });
    }

    fn learn(&mut self, name: String, answer: Answer) -> Option<(String, Vec<SocketAddr>)> {
        // Nobody wants it any more; or wants it again, with a newer lookup under way whose answer this is as good as.
        let state = self.names.get_mut(&name)?;
        state.busy = false;
        self.untried -= usize::from(!std::mem::replace(&mut state.tried, true));
        let failure = match &answer {
            Ok(found) if found.is_empty() => Some("no address".to_owned()),
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        let was_failing = std::mem::replace(&mut state.failing, failure.is_some());
        if let Some(failure) = failure {
            if !self.addresses.contains_key(&name) {
                self.lost.insert(name.clone());
            }
            if !was_failing {
                match self.addresses.get(&name) {
                    Some(known) => {
                        warn!("{name} cannot be resolved ({failure}); {} addresses stay in use", known.len())
                    }
                    None => warn!("{name} cannot be resolved ({failure}); it gets no requests until it can"),
                }
            }
            return None;
        }
        self.lost.remove(&name);
        if was_failing {
            info!("{name} is resolved again");
        }
        let mut found = answer.unwrap_or_default();
        found.sort_unstable();
        found.dedup();
        let before = self.addresses.insert(name.clone(), found.clone());
        (before.as_ref() != Some(&found)).then_some((name, found))
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("names", &self.names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
