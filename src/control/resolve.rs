//! Server names to addresses, looked up here so that no worker ever waits for DNS.
//!
//! It owns which names are wanted and their last good addresses; it never decides when a new snapshot is due. A lookup
//! that fails keeps what the name had. Next: [`lookups`](super::lookups) asks the system, [`hub`](super::hub) feeds the
//! addresses into snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{info, warn};

use super::lookups::{Answer, Lane, Lookups, Stage};

/// How long the system may take for one name before that counts as a failure. The lookup itself goes on: it cannot be
/// stopped, and its answer is taken when it comes.
const LOOKUP: Duration = Duration::from_millis(1500);

/// Unresolved names that are told one by one.
const NAMED: usize = 4;

/// `host:port` → its addresses.
pub(super) type Addresses = BTreeMap<String, Vec<SocketAddr>>;

/// All wanted names, with what is known of each.
pub(super) struct Resolver {
    lookups: Lookups,
    running: JoinSet<Said>,
    names: BTreeMap<String, Name>,
    /// Last good addresses of the wanted names; a name that never had any is not in it.
    addresses: Addresses,
    /// What an earlier life knew, of names that nobody has wanted yet in this one.
    remembered: Addresses,
    /// What was looked up for a change before the change was made.
    found: Addresses,
    /// How many names were never looked up to the end.
    untried: usize,
    /// Names that were, and never had any address.
    lost: BTreeSet<String>,
}

/// What a task that waits for a lookup has seen.
enum Said {
    /// It takes too long.
    Late(String, watch::Receiver<Stage>),
    /// It has ended.
    Ended(String, Answer),
}

/// How far one name has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Name {
    /// A lookup is under way or waits its turn.
    busy: bool,
    /// A lookup has ended, well or badly, or taken too long.
    tried: bool,
    /// The last lookup failed. Logged when it changes, so a DNS server that is down costs two lines.
    failing: bool,
    /// The last lookup took too long.
    silent: bool,
}

impl Resolver {
    /// A resolver that asks by `lookups`.
    pub(super) fn new(lookups: Lookups) -> Self {
        Self {
            lookups,
            running: JoinSet::new(),
            names: BTreeMap::new(),
            addresses: Addresses::new(),
            remembered: Addresses::new(),
            found: Addresses::new(),
            untried: 0,
            lost: BTreeSet::new(),
        }
    }

    /// How names are looked up, for those who need it before a name is wanted.
    pub(super) fn lookups(&self) -> Lookups {
        self.lookups.clone()
    }

    /// Takes addresses from an earlier life: a name has these from the moment it is wanted until they are looked up.
    pub(super) fn remember(&mut self, addresses: Addresses) {
        self.remembered = addresses;
    }

    /// Takes what was just looked up for a change that is about to be made. Gives back the names whose addresses it
    /// changes; others have them from the moment they are wanted, until [`Resolver::forget_found`].
    pub(super) fn take_found(&mut self, found: Addresses) -> Vec<(String, Vec<SocketAddr>)> {
        let mut news = Vec::new();
        for (name, addresses) in found {
            if self.names.contains_key(&name) {
                news.extend(self.learn(name, Ok(addresses)));
            } else {
                self.found.insert(name, addresses);
            }
        }
        news
    }

    /// The change was made; what it did not want is nobody's.
    pub(super) fn forget_found(&mut self) {
        self.found.clear();
    }

    /// Begins to know a name: starts a lookup, unless it is known already. Gives its addresses then.
    pub(super) fn want(&mut self, name: &str) -> Option<&[SocketAddr]> {
        if !self.names.contains_key(name) {
            self.names.insert(name.to_owned(), Name::default());
            self.untried += 1;
            if let Some(known) = self.remembered.remove(name) {
                self.addresses.insert(name.to_owned(), known);
            }
            match self.found.remove(name) {
                Some(found) => drop(self.learn(name.to_owned(), Ok(found))),
                None => self.start(name.to_owned(), Lane::New),
            }
        }
        self.addresses(name)
    }

    /// The last good addresses of a wanted name.
    pub(super) fn addresses(&self, name: &str) -> Option<&[SocketAddr]> {
        self.addresses.get(name).map(Vec::as_slice)
    }

    /// Those of all wanted names, and of names that an earlier life knew.
    pub(super) fn all_addresses(&self) -> Addresses {
        let all = self.remembered.iter().chain(&self.addresses);
        all.map(|(name, addresses)| (name.clone(), addresses.clone())).collect()
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
        let idle = self.names.iter().filter(|(_, state)| !state.busy && chosen(state));
        let lane = |state: &Name| if state.silent { Lane::Silent } else { Lane::Again };
        let idle: Vec<_> = idle.map(|(name, state)| (name.clone(), lane(state))).collect();
        idle.into_iter().for_each(|(name, lane)| self.start(name, lane));
    }

    /// Waits until something is known of a lookup; for ever when none is under way. Gives the name and its addresses when
    /// those changed.
    ///
    /// May be dropped at any await without losing an answer.
    pub(super) async fn next(&mut self) -> Option<(String, Vec<SocketAddr>)> {
        match self.running.join_next().await {
            Some(Ok(Said::Ended(name, answer))) => {
                if let Some(state) = self.names.get_mut(&name) {
                    state.busy = false;
                }
                self.learn(name, answer)
            }
            Some(Ok(Said::Late(name, stage))) => {
                self.running.spawn(ended(name.clone(), stage));
                let late = self.learn(name.clone(), Err(format!("no answer within {LOOKUP:?}").into()));
                if let Some(state) = self.names.get_mut(&name) {
                    state.silent = true;
                }
                late
            }
            // A task that panicked leaves its name busy, which costs its refresh and nothing else.
            Some(Err(_)) => None,
            None => std::future::pending().await,
        }
    }

    /// Is there no name left that has no address because its first lookup is under way?
    pub(super) fn is_usable(&self) -> bool {
        self.untried == 0
            || self.names.iter().all(|(name, state)| state.tried || self.addresses.contains_key(name))
    }

    /// Is there no name left whose first lookup is under way?
    pub(super) fn is_settled(&self) -> bool {
        self.untried == 0
    }

    /// Wanted names without any address, as far as their lookups have ended.
    pub(super) fn unresolved(&self) -> impl ExactSizeIterator<Item = &str> {
        self.lost.iter().map(String::as_str)
    }

    /// The same as a sentence, if there are any.
    pub(super) fn alarm(&self) -> Option<String> {
        let named: Vec<&str> = self.unresolved().take(NAMED).collect();
        let more = self.unresolved().len() - named.len();
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        (!named.is_empty()).then(|| format!("without any address: {}{more}", named.join(", ")))
    }

    fn start(&mut self, name: String, lane: Lane) {
        if let Some(state) = self.names.get_mut(&name) {
            state.busy = true;
        }
        let mut stage = self.lookups.look_up(&name, lane);
        self.running.spawn(async move {
            // The other end is dropped by nobody before the end, so this waits and nothing else.
            let _ = stage.wait_for(|stage| *stage != Stage::Waiting).await;
            let is_over = |stage: &Stage| matches!(stage, Stage::Ended(_));
            let is_late = timeout(LOOKUP, stage.wait_for(is_over)).await.is_err();
            if is_late { Said::Late(name, stage) } else { ended(name, stage).await }
        });
    }

    fn learn(&mut self, name: String, answer: Answer) -> Option<(String, Vec<SocketAddr>)> {
        // Nobody wants it any more; or wants it again, and this answer is as good as any.
        let state = self.names.get_mut(&name)?;
        self.untried -= usize::from(!std::mem::replace(&mut state.tried, true));
        state.silent = false;
        let was_failing = std::mem::replace(&mut state.failing, answer.is_err());
        let mut found = match answer {
            Ok(found) => found,
            Err(failure) => {
                if !was_failing {
                    match self.addresses.get(&name) {
                        Some(known) => {
                            warn!(
                                "{name:?} cannot be resolved ({failure}); {} addresses stay in use",
                                known.len()
                            );
                        }
                        None => {
                            warn!("{name:?} cannot be resolved ({failure}); it gets no requests until it can")
                        }
                    }
                }
                if !self.addresses.contains_key(&name) {
                    self.lost.insert(name);
                }
                return None;
            }
        };
        self.lost.remove(&name);
        if was_failing {
            info!("{name:?} is resolved again");
        }
        found.sort_unstable();
        found.dedup();
        let before = self.addresses.insert(name.clone(), found.clone());
        (before.as_ref() != Some(&found)).then_some((name, found))
    }
}

/// Waits for the end of a lookup.
async fn ended(name: String, mut stage: watch::Receiver<Stage>) -> Said {
    let _ = stage.wait_for(|stage| matches!(stage, Stage::Ended(_))).await;
    let answer = match &*stage.borrow() {
        Stage::Ended(answer) => answer.clone(),
        _ => Err("the lookup broke off".into()),
    };
    Said::Ended(name, answer)
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("names", &self.names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
