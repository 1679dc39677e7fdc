//! The last versions of the configuration: when each came, who made it, what it changed, and what it was.
//!
//! It owns their bound and the way back to each of them. Of a version only its differences are kept; what it was follows by taking back
//! all that came later. `now` is an argument. Next: [`entry`](super::entry) is one of them, [`changes`](crate::control::changes) tells of
//! versions, `admin::history` shows them and goes back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::entry::Entry;
use crate::control::changes::{Made, Via};
use crate::model::{Differences, Digest};

/// Versions that are kept: a day of careful work, or the last seconds of a program that writes all the time.
pub(super) const VERSIONS: usize = 100;
/// Bytes of the texts of all of them together, so that a hundred replacements of everything do not take a hundred times its memory.
const BYTES: usize = 256 << 20;

/// The last versions, the oldest first.
#[derive(Debug)]
pub(in crate::control) struct History {
    entries: VecDeque<Arc<Entry>>,
    /// One moment by both clocks.
    origin: (Instant, SystemTime),
    /// What the state file differs in from the last version of the life before, if that is known. It stands for what the state file
    /// adds to nothing.
    gap: Option<Differences>,
    is_news: bool,
}

/// A version, as somebody names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::control) enum Which {
    Number(u64),
    /// How its digest begins.
    Digest(String),
}

/// What stood under some names at a version, where it was something else than now: null is nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::control) struct Overlay {
    /// Domain → rule set.
    pub(in crate::control) domains: BTreeMap<Arc<str>, Option<Arc<str>>>,
    /// Name of an upstream in lower case → its spelling, and its servers.
    pub(in crate::control) upstreams: BTreeMap<String, (Arc<str>, Option<Arc<str>>)>,
}

impl History {
    /// Nothing yet. `origin` is one moment by both clocks.
    pub(in crate::control) fn new(origin: (Instant, SystemTime)) -> Self {
        Self { entries: VecDeque::new(), origin, gap: None, is_news: false }
    }

    /// When there were no versions.
    pub(in crate::control) fn began(&self) -> Instant {
        self.origin.0
    }

    /// Takes on the versions of the life before; what is served now, before the first version of this life, differs in `gap` from the
    /// last of them.
    pub(in crate::control) fn resume(&mut self, entries: Vec<Entry>, gap: Differences) {
        self.gap = (!entries.is_empty()).then_some(gap);
        entries.into_iter().for_each(|entry| self.push(entry));
    }

    /// Adds a version, unless it differs in nothing.
    pub(in crate::control) fn add(
        &mut self,
        version: u64,
        digest: Digest,
        mut changes: Vec<Made>,
        now: Instant,
    ) {
        if let Some(gap) = self.gap.take() {
            let former = changes.iter().map(|made| made.author.via).find(|via| via.is_former());
            let author = former.unwrap_or(Via::StateFile).by_nobody();
            changes.retain(|made| !made.author.via.is_former());
            changes.insert(0, Made { author, differences: gap });
            changes.retain(|made| !made.differences.is_empty());
        }
        if changes.is_empty() {
            return;
        }
        let (measured, calendar) = self.origin;
        let at = calendar.checked_add(now.saturating_duration_since(measured)).unwrap_or(calendar);
        self.push(Entry::new(version, digest, at, changes));
        self.is_news = true;
    }

    fn push(&mut self, entry: Entry) {
        self.entries.push_back(Arc::new(entry));
        let mut bytes: usize = self.entries.iter().map(|entry| entry.bytes()).sum();
        while self.entries.len() > VERSIONS || (bytes > BYTES && self.entries.len() > 1) {
            let Some(oldest) = self.entries.pop_front() else { break };
            bytes -= oldest.bytes();
        }
    }

    /// All versions that are kept, the oldest first, if there are other ones since this was asked.
    pub(in crate::control) fn take_news(&mut self) -> Option<Vec<Arc<Entry>>> {
        std::mem::take(&mut self.is_news).then(|| self.entries.iter().cloned().collect())
    }

    /// All versions that are kept, the newest first.
    pub(in crate::control) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.iter().rev()
    }

    /// The newest version whose digest begins so.
    pub(in crate::control) fn of_digest(&self, begin: &str) -> Option<u64> {
        let begins = |entry: &&Arc<Entry>| entry.digest.to_string().starts_with(begin);
        self.entries().find(begins).map(|entry| entry.version)
    }

    /// What leads back to `version`, if that is known; `later` is what was accepted since the newest one.
    pub(in crate::control) fn back_to<'d>(
        &self,
        version: u64,
        later: impl Iterator<Item = &'d Differences>,
    ) -> Option<WayBack> {
        // The version before the oldest difference is known, too.
        let oldest = self.entries.front()?.version.checked_sub(1)?;
        if version < oldest {
            return None;
        }
        let entries = self.entries().take_while(|entry| entry.version > version).cloned().collect();
        Some(WayBack { later: later.cloned().collect(), entries })
    }
}

/// What was changed since a version.
#[derive(Debug)]
pub(in crate::control) struct WayBack {
    /// In no version yet, in the order in which it was accepted.
    later: Vec<Differences>,
    /// The newest first.
    entries: Vec<Arc<Entry>>,
}

impl WayBack {
    /// What has to be put back for the version to be served again. It may take long: large versions are packed.
    pub(in crate::control) fn overlay(self) -> Overlay {
        let mut overlay = Overlay::default();
        self.later.iter().rev().for_each(|differences| overlay.undo(differences));
        for entry in self.entries {
            entry.changes().iter().rev().for_each(|made| overlay.undo(&made.differences));
        }
        overlay
    }
}

impl Overlay {
    /// What is served since a later version, as well.
    pub(super) fn go_on(&mut self, changes: &[Made]) {
        for differences in changes.iter().map(|made| &made.differences) {
            for touch in differences.domains.iter() {
                self.domains.insert(Arc::clone(&touch.name), touch.after.clone());
            }
            for touch in differences.upstreams.iter() {
                let key = touch.name.to_ascii_lowercase();
                self.upstreams.insert(key, (Arc::clone(&touch.name), touch.after.clone()));
            }
        }
    }

    fn undo(&mut self, differences: &Differences) {
        for touch in differences.domains.iter() {
            self.domains.insert(Arc::clone(&touch.name), touch.before.clone());
        }
        for touch in differences.upstreams.iter() {
            let key = touch.name.to_ascii_lowercase();
            self.upstreams.insert(key, (Arc::clone(&touch.name), touch.before.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Edit, State};
    use serde_json::{Map, Value, json};
    use std::time::Duration;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    fn to(upstream: &str) -> Value {
        json!({"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": upstream}}}})
    }

    /// A state whose every edit is a version, with what it was at each.
    struct Book {
        state: State,
        history: History,
        versions: Vec<(u64, Digest)>,
        now: Instant,
    }

    impl Book {
        fn new() -> Self {
            let now = Instant::now();
            let history = History::new((now, SystemTime::UNIX_EPOCH));
            Self { state: State::new(), history, versions: Vec::new(), now }
        }

        fn edit(&mut self, edit: Edit) {
            self.state.edit(edit).unwrap();
            let made = Made { author: Via::Api.by_nobody(), differences: self.state.take_differences() };
            let version = self.versions.len() as u64 + 1;
            let digest = self.state.digest();
            self.versions.push((version, digest));
            self.now += Duration::from_secs(1);
            self.history.add(version, digest, vec![made], self.now);
        }

        fn go_back(&mut self, version: u64) -> Option<()> {
            let Overlay { domains, upstreams } = self.history.back_to(version, [].iter())?.overlay();
            let value = |text: Option<Arc<str>>| -> Value {
                text.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
            };
            let domains = domains.into_iter().map(|(name, text)| (name.to_string(), value(text))).collect();
            let upstreams =
                upstreams.into_values().map(|(name, text)| (name.to_string(), value(text))).collect();
            self.edit(Edit::Document { domains, upstreams, mode: crate::model::Mode::Each });
            Some(())
        }
    }

    #[test]
    fn every_version_that_is_kept_can_be_served_again() {
        let mut book = Book::new();
        book.edit(Edit::PutUpstreams(object(
            json!({"Up": {"h:1": "weight=2", "@options": "method=random"}}),
        )));
        book.edit(Edit::PutDomains(object(json!({"a.test": to("up"), "b.test": to("up")}))));
        book.edit(Edit::PutDomains(object(json!({"b.test": to("other"), "c.test": to("up")}))));
        book.edit(Edit::PatchUpstreams(object(json!({"up": {"h:2": ""}}))));
        book.edit(Edit::DeleteDomains(vec!["a.test".into(), "c.test".into()]));
        book.edit(Edit::DeleteUpstreams(vec!["UP".into()]));
        for version in [1, 5, 3, 2, 4, 6, 1] {
            let (_, wanted) = book.versions[version as usize - 1];
            book.go_back(version).unwrap();
            assert_eq!(book.state.digest(), wanted, "version {version}");
        }
        book.go_back(0).unwrap();
        assert_eq!(book.state.size(), 0, "what was before the first");
        let newest = book.history.entries().next().unwrap();
        assert_eq!(newest.at, SystemTime::UNIX_EPOCH + Duration::from_secs(newest.version));
        let begin = book.versions[2].1.to_string();
        assert!(book.history.of_digest(&begin[..12]).is_some_and(|version| version >= 3));
    }

    #[test]
    fn the_oldest_go_first_and_cannot_be_served_again() {
        let mut book = Book::new();
        for number in 0..=VERSIONS {
            let name = format!("d{}.test", number % 3);
            book.edit(Edit::PutDomains(object(json!({name: to(&format!("up{number}"))}))));
        }
        assert_eq!(book.history.entries().count(), VERSIONS);
        assert_eq!(book.history.entries().last().unwrap().version, 2);
        assert!(book.history.back_to(0, [].iter()).is_none());
        let (_, wanted) = book.versions[0];
        book.go_back(1).unwrap();
        assert_eq!(book.state.digest(), wanted, "the one before the oldest difference");
    }
}
