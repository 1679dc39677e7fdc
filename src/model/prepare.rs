//! Reading and checking an edit before it is applied: all of it that takes long, and needs no state.
//!
//! It owns that step, so that it can be taken on another thread; never what is checked (that is `check`) or what comes
//! of it. Next: [`piecewise`](super::piecewise) does the same with JSON that is not read yet, [`state`](super::state) applies what was
//! prepared.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::change::{Change, Edit, Mode, Prepared, UpstreamChange};
use super::check::{DomainNames, domain, upstreams};
use super::fault::{Faults, Report};
use super::library::Library;
use super::patch::UpstreamPatch;
use super::ruleset::RuleSet;

impl Library {
    /// Reads and checks an edit whole: all of it that takes long, and needs no state. Equal parts of all that was
    /// prepared with one library are one in memory.
    ///
    /// # Errors
    /// The faults, with pointers that lead into what was put: `/up1/127.0.0.1:80`.
    pub fn prepare(&self, edit: Edit) -> Result<Prepared, Faults> {
        let mut report = Report::default();
        let change = match edit {
            Edit::PutDomains(given) => {
                Change { domains: self.rule_sets(given, &mut report), ..Change::default() }
            }
            Edit::PatchDomains(given) => {
                Change { domains: self.rule_sets_or_none(given, &mut report), ..Change::default() }
            }
            Edit::DeleteDomains(names) => {
                let domains = names.into_iter().map(|name| (name, None)).collect();
                Change { domains, ..Change::default() }
            }
            Edit::PutUpstreams(given) => {
                let upstreams = upstreams(&given, &mut report).into_iter().map(UpstreamChange::Put).collect();
                Change { upstreams, ..Change::default() }
            }
            Edit::PatchUpstreams(given) => {
                let patches = UpstreamPatch::read_all(&given, &mut report).into_iter();
                Change { upstreams: patches.map(UpstreamChange::Patch).collect(), ..Change::default() }
            }
            Edit::DeleteUpstreams(names) => {
                let upstreams = names.into_iter().map(UpstreamChange::Delete).collect();
                Change { upstreams, ..Change::default() }
            }
            Edit::Document { domains, upstreams, mode } => {
                self.document(domains, upstreams, mode, &mut report)
            }
        };
        prepared(change, report)
    }

    /// Both kinds; null takes one away, and where all is said, there is nothing to take away.
    fn document(
        &self,
        domains: Map<String, Value>,
        given: Map<String, Value>,
        mode: Mode,
        report: &mut Report,
    ) -> Change {
        let mut inner = Report::default();
        let read = self.rule_sets_or_none(domains, &mut inner);
        report.absorb("domains", inner);
        let (gone, given) = part(given);
        let mut inner = Report::default();
        let mut changes: Vec<UpstreamChange> = match mode {
            Mode::Merge => {
                let may_be_new = |patch| UpstreamPatch { may_be_new: true, ..patch };
                let patches = UpstreamPatch::read_all(&given, &mut inner).into_iter().map(may_be_new);
                patches.map(UpstreamChange::Patch).collect()
            }
            Mode::Whole | Mode::Each => {
                upstreams(&given, &mut inner).into_iter().map(UpstreamChange::Put).collect()
            }
        };
        changes.extend(gone.into_iter().map(|(name, _)| UpstreamChange::Delete(name)));
        report.absorb("upstreams", inner);
        Change { domains: read, upstreams: changes, is_whole: mode == Mode::Whole, is_document: true }
    }

    /// Rule sets, and domains that go.
    fn rule_sets_or_none(
        &self,
        given: Map<String, Value>,
        report: &mut Report,
    ) -> Vec<(String, Option<Arc<RuleSet>>)> {
        let (gone, given) = part(given);
        let mut read = self.rule_sets(given, report);
        read.extend(gone.into_iter().map(|(name, _)| (name, None)));
        read
    }

    /// Rule sets, until there are as many faults as are told of.
    pub(super) fn rule_sets(
        &self,
        given: Map<String, Value>,
        report: &mut Report,
    ) -> Vec<(String, Option<Arc<RuleSet>>)> {
        let mut read = Vec::with_capacity(given.len());
        let mut names = DomainNames::default();
        for (name, rules) in given {
            if report.is_full() {
                break;
            }
            let rules = domain(&name, &rules, self, &mut names, report);
            read.extend(rules.map(|rules| (name, Some(rules))));
        }
        read
    }
}

/// What is null, and what is something.
fn part(given: Map<String, Value>) -> (Map<String, Value>, Map<String, Value>) {
    given.into_iter().partition(|(_, value)| value.is_null())
}

pub(super) fn prepared(change: Change, mut report: Report) -> Result<Prepared, Faults> {
    let warnings = std::mem::take(&mut report.warnings);
    match report.all() {
        Some(faults) => Err(faults),
        None => Ok(Prepared { change, warnings, basis: Vec::new() }),
    }
}
