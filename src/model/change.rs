//! How the state is changed, and what came of it: the words between the control plane and the state.
//!
//! It owns these shapes and nothing that happens. Next: [`prepare`](super::prepare) reads an [`Edit`],
//! [`state`](super::state) applies it, the hub and the admin API read the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::fault::Fault;
use super::patch::UpstreamPatch;
use super::ruleset::RuleSet;
use super::upstream::UpstreamSpec;
use crate::warning::Warning;

/// A change by the admin API: checked whole, and applied whole or not at all.
#[derive(Debug, Clone)]
pub enum Edit {
    /// Adds or replaces domains: name → rule set.
    PutDomains(Map<String, Value>),
    /// The same, and null takes a domain away.
    PatchDomains(Map<String, Value>),
    /// Deletes domains; unknown names are no error.
    DeleteDomains(Vec<String>),
    /// Adds upstreams or replaces their servers whole: name → server → parameters.
    PutUpstreams(Map<String, Value>),
    /// Changes some servers of upstreams that are there, and their options: name → server → parameters, or null to take
    /// the server away.
    PatchUpstreams(Map<String, Value>),
    /// Deletes upstreams; unknown names are no error.
    DeleteUpstreams(Vec<String>),
    /// Domains and upstreams at once, in the form of the file; null takes one away.
    Document {
        /// Name → rule set, or null.
        domains: Map<String, Value>,
        /// Name → server → parameters, or null.
        upstreams: Map<String, Value>,
        /// How what is there already is treated.
        mode: Mode,
    },
}

/// What a document does to what it does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is the whole: what it does not name goes.
    Whole,
    /// Each domain and upstream that it names becomes what it says, and the rest stays.
    Each,
    /// The same, and an upstream that is there keeps the servers that are not named (RFC 7396).
    Merge,
}

impl Edit {
    /// How many domains or upstreams it is about.
    pub fn size(&self) -> usize {
        match self {
            Edit::PutDomains(given)
            | Edit::PatchDomains(given)
            | Edit::PutUpstreams(given)
            | Edit::PatchUpstreams(given) => given.len(),
            Edit::DeleteDomains(names) | Edit::DeleteUpstreams(names) => names.len(),
            Edit::Document { domains, upstreams, .. } => domains.len() + upstreams.len(),
        }
    }

    /// Whether it may bring patterns.
    pub fn has_rules(&self) -> bool {
        match self {
            Edit::PutDomains(_) | Edit::PatchDomains(_) => true,
            Edit::Document { domains, .. } => !domains.is_empty(),
            _ => false,
        }
    }
}

/// An edit that was read and checked, so that little is left to do: see [`super::Library::prepare`].
#[derive(Debug)]
pub struct Prepared {
    pub(crate) change: Change,
    /// What the operator should know.
    pub(crate) warnings: Vec<Warning>,
    /// The rule sets that it was made from, by domain; nothing where there was none.
    pub(crate) basis: Vec<(String, Option<Arc<str>>)>,
}

impl Prepared {
    /// The same, which was made from these rule sets and means nothing once they are others.
    #[must_use]
    pub fn based_on(self, basis: Vec<(String, Option<Arc<str>>)>) -> Prepared {
        Prepared { basis, ..self }
    }

    /// Whether it takes away what it does not name.
    pub fn takes_the_rest_away(&self) -> bool {
        self.change.is_whole
    }
}

/// Keys that somebody asks about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// Every edit, and whatever the store lacks.
    pub all: bool,
    /// These domains.
    pub domains: BTreeSet<String>,
    /// By name in lower case: the upstream as it is spelled, and these servers of it.
    pub upstreams: BTreeMap<String, (String, BTreeSet<String>)>,
}

impl Named {
    /// Everything.
    pub fn all() -> Named {
        Named { all: true, ..Named::default() }
    }

    /// Adds what `other` names.
    pub fn add(&mut self, other: &Named) {
        self.all |= other.all;
        self.domains.extend(other.domains.iter().cloned());
        for (key, (name, servers)) in &other.upstreams {
            let (spelling, all) = self.upstreams.entry(key.clone()).or_default();
            spelling.clone_from(name);
            all.extend(servers.iter().cloned());
        }
    }

    /// Whether it names a key itself: `rules/$domain` or `upstreams/$upstream/$server`.
    pub fn names(&self, key: &str) -> bool {
        if let Some(domain) = key.strip_prefix("rules/") {
            return self.domains.contains(domain);
        }
        let server = key.strip_prefix("upstreams/").and_then(|path| path.split_once('/'));
        server.is_some_and(|(upstream, server)| {
            self.upstreams
                .get(&upstream.to_ascii_lowercase())
                .is_some_and(|(_, servers)| servers.contains(server))
        })
    }
}

/// What is to be done, read.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// By name: its rule set, or nothing for one that goes.
    pub(crate) domains: Vec<(String, Option<Arc<RuleSet>>)>,
    pub(crate) upstreams: Vec<UpstreamChange>,
    /// What is not named goes.
    pub(crate) is_whole: bool,
    /// It was given as a document: pointers begin with `/domains` and `/upstreams`.
    pub(crate) is_document: bool,
}

/// What is to be done with one upstream.
#[derive(Debug)]
pub(crate) enum UpstreamChange {
    Put(UpstreamSpec),
    Patch(UpstreamPatch),
    Delete(String),
}

impl UpstreamChange {
    pub(crate) fn name(&self) -> &str {
        match self {
            UpstreamChange::Put(spec) => &spec.name,
            UpstreamChange::Patch(patch) => &patch.name,
            UpstreamChange::Delete(name) => name,
        }
    }
}

impl Change {
    /// How a pointer to a domain begins.
    pub(crate) fn of_domains(&self) -> &'static str {
        if self.is_document { "/domains" } else { "" }
    }

    /// How a pointer to an upstream begins.
    pub(crate) fn of_upstreams(&self) -> &'static str {
        if self.is_document { "/upstreams" } else { "" }
    }
}

/// What an edit did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whether anything that serves is different now, so that a new snapshot is worth building.
    pub changed: bool,
    /// What the operator should know.
    pub warnings: Vec<Warning>,
    /// For deletions, in order: the name, and whether it was there.
    pub found: Vec<(String, bool)>,
}

/// A key of the store that could not be accepted and is in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// `rules/<domain>` or `upstreams/<upstream>/<server>`.
    pub key: String,
    /// What is wrong with its value.
    pub message: String,
    /// Where in its value, as a JSON pointer (RFC 6901); empty for the whole.
    pub pointer: String,
    /// Whether another value serves in its place: its last good one, or an edit.
    pub last_good: bool,
}

/// A key of the store that serves, though it says something that means nothing, or is the same domain as another: it was accepted
/// before such was looked for, or written by others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubtful {
    /// `rules/<domain>`.
    pub key: String,
    /// What is doubtful, and where: the first of it.
    pub fault: Fault,
    /// How much more of it there is.
    pub more: usize,
}

/// What a change of the store did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreOutcome {
    /// Whether anything that serves is different now.
    pub changed: bool,
    /// Keys that were rejected now.
    pub rejected: Vec<Rejected>,
    /// Keys that serve now and say something that means nothing.
    pub doubtful: Vec<Doubtful>,
    /// Keys that left the quarantine: good again, or gone.
    pub accepted: Vec<String>,
    /// Edits that gave way, because the store changed after them: `rules/<domain>` or
    /// `upstreams/<upstream>/<server>`.
    pub overridden: Vec<String>,
    /// Keys that others changed to something else than is said here; only if that was asked for
    /// ([`super::State::heed`]).
    pub others: Option<Vec<String>>,
}

impl StoreOutcome {
    /// Somebody else changed this key.
    pub(crate) fn note(&mut self, key: impl FnOnce() -> String) {
        if let Some(others) = &mut self.others {
            others.push(key());
        }
    }
}

/// What a load would take away from the store layer.
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
