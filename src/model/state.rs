//! The editable truth: what the store holds, the edits over it, and what of both is in force.
//!
//! It owns the checking of every change before any of it is applied, and the building of snapshots; never a clock, a
//! store or a lookup of names. It is single-threaded and cheap to ask. Next: `layers` for which change wins, `domains`
//! and `upstreams` for how texts are read, `control::hub` for the one who calls.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::change::{Dropped, Edit, Outcome, Rejected, StoreOutcome};
use super::check;
use super::contents::{Contents, KeyChange};
use super::domains::Domains;
use super::fault::{Fault, Report};
use super::implicit;
use super::pattern::Patterns;
use super::resolve::{Addresses, names, resolve};
use super::snapshot::Snapshot;
use super::upstream::UpstreamSpec;
use super::upstreams::Upstreams;

/// All that the operators said, in two layers: the store's, and the admin API's edits since the last dump. For each
/// domain and each upstream the newest change is in force.
#[derive(Debug, Default)]
pub struct State {
    domains: Domains,
    upstreams: Upstreams,
    patterns: Patterns,
}

impl State {
    /// A state of nothing.
    pub fn new() -> State {
        State::default()
    }

    /// Checks an edit whole, and applies it whole or not at all.
    ///
    /// # Errors
    /// The first fault, with a pointer that leads into what was put: `/up1/127.0.0.1:80`.
    pub fn edit(&mut self, edit: Edit) -> Result<Outcome, Fault> {
        match edit {
            Edit::PutDomains(given) => self.put_domains(given),
            Edit::PutUpstreams(given) => self.put_upstreams(given),
            Edit::DeleteDomains(names) => Ok(delete(names, |name| self.domains.delete(name))),
            Edit::DeleteUpstreams(names) => Ok(delete(names, |name| self.upstreams.delete(name))),
        }
    }

    fn put_domains(&mut self, given: Map<String, Value>) -> Result<Outcome, Fault> {
        let mut report = Report::default();
        let domains = check::domains(given, &mut self.patterns, &mut report);
        if !report.faults.is_empty() {
            return Err(report.first());
        }
        let known = self.upstreams.layers().effective();
        check::servernames(&domains, |key| known.contains_key(key), &mut report);
        let mut outcome = Outcome { warnings: told(&report), ..Outcome::default() };
        for (domain, rules) in domains {
            outcome.changed |= self.domains.put(&domain, rules);
        }
        Ok(outcome)
    }

    fn put_upstreams(&mut self, given: Map<String, Value>) -> Result<Outcome, Fault> {
        let mut report = Report::default();
        let upstreams = check::upstreams(&given, &mut report);
        if !report.faults.is_empty() {
            return Err(report.first());
        }
        let mut outcome = Outcome { warnings: told(&report), ..Outcome::default() };
        for spec in upstreams {
            outcome.changed |= self.upstreams.put(spec);
        }
        Ok(outcome)
    }

    /// The store holds exactly `contents`: takes them for the store layer, but looks only at keys whose text differs
    /// from what it held before. Edits of those give way, all others stay.
    pub fn load(&mut self, contents: Contents) -> StoreOutcome {
        self.take(contents, true)
    }

    /// A dump of `contents` (from [`State::effective`]) succeeded: they are the store layer now. Edits that say what
    /// they say are edits no more; those made since stay.
    pub fn dumped(&mut self, contents: Contents) {
        self.take(contents, false);
    }

    fn take(&mut self, contents: Contents, newest: bool) -> StoreOutcome {
        let mut outcome = StoreOutcome::default();
        self.upstreams.load(contents.upstreams, newest, &mut outcome);
        self.domains.load(contents.rules, newest, &mut self.patterns, &mut outcome);
        outcome
    }

    /// Keys of the store changed, together. Those whose text is what it was change nothing.
    pub fn store_changed(&mut self, changes: Vec<KeyChange>) -> StoreOutcome {
        let mut outcome = StoreOutcome::default();
        let mut servers = Vec::new();
        for change in changes {
            match change {
                KeyChange::Server { upstream, server, text } => servers.push((upstream, server, text)),
                KeyChange::Rule { domain, text } => {
                    self.domains.stored(domain, text, true, &mut self.patterns, &mut outcome);
                }
            }
        }
        self.upstreams.stored(servers, true, &mut outcome);
        outcome
    }

    /// What a dump writes: all that is in force, in canonical text; and rejected keys that no edit replaces, as they
    /// stand in the store.
    pub fn effective(&self) -> Contents {
        Contents { rules: self.domains.to_dump(), upstreams: self.upstreams.to_dump() }
    }

    /// The store layer without the edits, rejected keys by their last good value: what a state file keeps.
    pub fn last_good(&self) -> Contents {
        Contents { rules: self.domains.last_good(), upstreams: self.upstreams.last_good() }
    }

    /// What [`State::load`] of `contents` would take away from the store layer.
    pub fn would_drop(&self, contents: &Contents) -> Dropped {
        let (domains, of_domains) = self.domains.would_drop(&contents.rules);
        let (upstreams, of_upstreams) = self.upstreams.would_drop(&contents.upstreams);
        Dropped { domains, of_domains, upstreams, of_upstreams }
    }

    /// How many domains and upstreams have an edit that no dump has written: what a restart would lose.
    pub fn pending_edits(&self) -> usize {
        self.domains.layers().edits() + self.upstreams.layers().edits()
    }

    /// The quarantine: keys of the store that could not be accepted.
    pub fn rejected(&self) -> Vec<Rejected> {
        self.domains.rejected().chain(self.upstreams.rejected()).collect()
    }

    /// The domains in force, each exactly as it was given.
    pub fn domains(&self) -> Map<String, Value> {
        let domains = self.domains.layers().effective().iter();
        domains.map(|(name, rules)| (name.to_string(), rules.given().clone())).collect()
    }

    /// The upstreams in force, ordered by name without regard to case.
    pub fn upstreams(&self) -> Vec<Arc<UpstreamSpec>> {
        self.upstreams.layers().effective().values().cloned().collect()
    }

    /// The names whose addresses [`State::snapshot`] needs, those of implicit upstreams included.
    pub fn hosts(&self) -> BTreeSet<String> {
        let explicit = self.upstreams.layers().effective().values().flat_map(|spec| names(spec));
        explicit.chain(self.implicit().iter().flat_map(names)).collect()
    }

    /// Builds the snapshot of what is in force. What did not change since `previous` is shared with it, so a change of
    /// one domain among many costs little more than copying a list of pointers.
    pub fn snapshot(&self, version: u64, addresses: &Addresses, previous: &Snapshot) -> Snapshot {
        let explicit = self.upstreams.layers().effective().values();
        let explicit = explicit.map(|spec| resolve(spec, false, addresses));
        let implicit = self.implicit();
        let implicit = implicit.iter().map(|spec| resolve(spec, true, addresses));
        Snapshot::new(version, self.domains.layers().effective(), explicit.chain(implicit), previous)
    }

    /// The upstreams that no one made and some rule names.
    fn implicit(&self) -> Vec<UpstreamSpec> {
        let known = self.upstreams.layers().effective();
        let unknown = self.domains.servernames().iter().filter(|(key, _)| !known.contains_key(*key));
        unknown.filter_map(|(_, spelling)| implicit::upstream(spelling)).collect()
    }
}

fn delete(names: Vec<String>, mut delete: impl FnMut(&str) -> (bool, bool)) -> Outcome {
    let mut outcome = Outcome::default();
    for name in names {
        let (changed, found) = delete(&name);
        outcome.changed |= changed;
        outcome.found.push((name, found));
    }
    outcome
}

fn told(report: &Report) -> Vec<String> {
    report.warnings.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests;
