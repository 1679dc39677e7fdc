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

use crate::model::Addresses;

/// Lookups under way at a time; the others wait their turn, each with its whole deadline ahead.
const LOOKUPS: usize = 16;
/// How long one lookup may take.
const LOOKUP: Duration = Duration::from_millis(1500);

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
        }
    }

    /// Makes `wanted` the names to know: forgets the others, starts a lookup of each new one.
    pub(super) fn want(&mut self, wanted: BTreeSet<String>) {
        self.names.retain(|name, _| wanted.contains(name));
        self.addresses.retain(|name, _| wanted.contains(name));
        for name in wanted {
            if !self.names.contains_key(&name) {
                self.names.insert(name.clone(), Name { busy: true, ..Name::default() });
                self.start(name);
            }
        }
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

    /// Waits for the next lookup to end; for ever when none is under way. True when the addresses changed.
    ///
    /// May be dropped at any await without losing an answer.
    pub(super) async fn next(&mut self) -> bool {
        match self.running.join_next().await {
            Some(Ok((name, answer))) => self.learn(name, answer),
            // A lookup that panicked leaves its name busy, which costs its refresh and nothing else.
            Some(Err(_)) => false,
            None => std::future::pending().await,
        }
    }

    /// Is there no name left whose first lookup is under way?
    pub(super) fn is_settled(&self) -> bool {
        self.names.values().all(|state| state.tried)
    }

    /// Last good addresses of the wanted names.
    pub(super) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Wanted names without any address, as far as their lookups have ended.
    pub(super) fn unresolved(&self) -> impl Iterator<Item = &str> {
        let nameless = |(name, state): &(&String, &Name)| state.tried && !self.addresses.contains_key(*name);
        self.names.iter().filter(nameless).map(|(name, _)| name.as_str())
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

    fn learn(&mut self, name: String, answer: Answer) -> bool {
        // Nobody wants it any more; or wants it again, with a newer lookup under way whose answer this is as good as.
        let Some(state) = self.names.get_mut(&name) else { return false };
        state.busy = false;
        state.tried = true;
        let failure = match &answer {
            Ok(found) if found.is_empty() => Some("no address".to_owned()),
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        let was_failing = std::mem::replace(&mut state.failing, failure.is_some());
        if let Some(failure) = failure {
            if !was_failing {
                match self.addresses.get(&name) {
                    Some(known) => {
                        warn!("{name} cannot be resolved ({failure}); {} addresses stay in use", known.len())
                    }
                    None => warn!("{name} cannot be resolved ({failure}); it gets no requests until it can"),
                }
            }
            return false;
        }
        if was_failing {
            info!("{name} is resolved again");
        }
        let mut found = answer.unwrap_or_default();
        found.sort_unstable();
        found.dedup();
        self.addresses.insert(name, found.clone()).as_ref() != Some(&found)
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("names", &self.names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
