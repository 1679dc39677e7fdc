//! State.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::contents::{Contents, KeyChange};
use super::fault::Fault;
use super::snapshot::Snapshot;
use super::upstream::UpstreamSpec;

/// `host:port` (host in lower case, port always there) → its addresses. Literals and unix sockets are never asked for.
pub type Addresses = BTreeMap<String, Vec<SocketAddr>>;

/// A change by the admin API, checked whole and applied whole or not at all.
#[derive(Debug, Clone)]
pub enum Edit {
    /// Adds or replaces domains: name → rule set.
    PutDomains(Map<String, Value>),
    /// Deletes domains.
    DeleteDomains(Vec<String>),
    /// Adds upstreams or replaces their servers whole: name → server → parameters.
    PutUpstreams(Map<String, Value>),
    /// Deletes upstreams.
    DeleteUpstreams(Vec<String>),
}

/// What an edit did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whether anything is different now.
    pub changed: bool,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// For deletions, in order: the name, and whether it was there.
    pub found: Vec<(String, bool)>,
}

/// A key of the store that could not be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// `rules/<domain>` or `upstreams/<upstream>/<server>`.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// Where in the value, as a JSON pointer.
    pub pointer: String,
    /// Whether an earlier value serves on.
    pub last_good: bool,
}

/// What a change of the store did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreOutcome {
    /// Whether anything that serves is different now.
    pub changed: bool,
    /// Keys that were rejected now.
    pub rejected: Vec<Rejected>,
    /// Keys that were rejected before and are not any more.
    pub accepted: Vec<String>,
    /// Undumped edits that gave way, because the store's key changed after them.
    pub overridden: Vec<String>,
}

/// What a load would take away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Domains that would go.
    pub domains: usize,
    /// Of how many.
    pub of_domains: usize,
    /// Upstreams that would go.
    pub upstreams: usize,
    /// Of how many.
    pub of_upstreams: usize,
}

/// The editable truth.
#[derive(Debug, Default)]
pub struct State;

impl State {
    /// A state of nothing.
    pub fn new() -> State {
        State
    }
    /// Applies an edit.
    pub fn edit(&mut self, _edit: Edit) -> Result<Outcome, Fault> {
        Ok(Outcome::default())
    }
    /// Replaces the store layer.
    pub fn load(&mut self, _contents: Contents) -> StoreOutcome {
        StoreOutcome::default()
    }
    /// Applies changes of the store.
    pub fn store_changed(&mut self, _changes: Vec<KeyChange>) -> StoreOutcome {
        StoreOutcome::default()
    }
    /// What a dump writes.
    pub fn effective(&self) -> Contents {
        Contents::default()
    }
    /// The store layer in its last good values: what a state file keeps.
    pub fn last_good(&self) -> Contents {
        Contents::default()
    }
    /// A dump of `contents` succeeded.
    pub fn dumped(&mut self, _contents: Contents) {}
    /// Undumped edits.
    pub fn pending_edits(&self) -> usize {
        0
    }
    /// The quarantine.
    pub fn rejected(&self) -> Vec<Rejected> {
        Vec::new()
    }
    /// What a load would take away.
    pub fn would_drop(&self, _contents: &Contents) -> Dropped {
        Dropped::default()
    }
    /// Effective domains, as given.
    pub fn domains(&self) -> Map<String, Value> {
        Map::new()
    }
    /// Effective upstreams, by name.
    pub fn upstreams(&self) -> Vec<Arc<UpstreamSpec>> {
        Vec::new()
    }
    /// Names that need a lookup.
    pub fn hosts(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }
    /// Builds a snapshot.
    pub fn snapshot(&self, version: u64, _addresses: &Addresses, _previous: &Snapshot) -> Snapshot {
        Snapshot { version }
    }
}
