//! The last versions of the configuration: when each came, who made it, what it changed, and what it was.
//!
//! It owns their bound and the way back to each of them. Of a version only its differences are kept, which share their texts with
//! what is served; what it was follows by taking back all that came later. `now` is an argument. Next: [`changes`](super::changes)
//! tells of versions, `admin::history` shows them, `admin::rollback` goes back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::changes::{Author, Made, Via};
use crate::model::{Differences, Digest, Touched};

/// Versions that are kept: a day of careful work, or the last seconds of a program that writes all the time.
pub(super) const VERSIONS: usize = 100;
/// Bytes of the texts of all of them together, so that a hundred replacements of everything do not take a hundred times its memory.
const BYTES: usize = 256 << 20;

/// The last versions, the oldest first.
#[derive(Debug)]
pub(super) struct History {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    /// One moment by both clocks.
    origin: (Instant, SystemTime),
    /// What the state file differs in from the last version of the life before, if that is known. It stands for what the state file
    /// adds to nothing.
    gap: Option<Differences>,
    is_news: bool,
}

/// One version that differs from the one before it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) version: u64,
    /// Of what it serves.
    pub(super) digest: Digest,
    pub(super) at: SystemTime,
    /// What was changed, by whom; in the order in which it was accepted.
    pub(super) changes: Vec<Made>,
    bytes: usize,
}

/// A version, as somebody names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Which {
    Number(u64),
    /// How its digest begins.
    Digest(String),
}

/// What stood under some names at a version, where it was something else than now: null is nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Overlay {
    /// Domain → rule set.
    pub(super) domains: BTreeMap<Arc<str>, Option<Arc<str>>>,
    /// Name of an upstream in lower case → its spelling, and its servers.
    pub(super) upstreams: BTreeMap<String, (Arc<str>, Option<Arc<str>>)>,
}

impl History {
    /// Nothing yet. `origin` is one moment by both clocks.
    pub(super) fn new(origin: (Instant, SystemTime)) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, origin, gap: None, is_news: false }
    }

    /// When there were no versions.
    pub(super) fn began(&self) -> Instant {
        self.origin.0
    }

    /// Takes on the versions of the life before; what is served now, before the first version of this life, differs in `gap` from the
    /// last of them.
    pub(super) fn resume(&mut self, entries: Vec<Entry>, gap: Differences) {
        self.gap = (!entries.is_empty()).then_some(gap);
        entries.into_iter().for_each(|entry| self.push(entry));
    }

    /// Adds a version, unless it differs in nothing.
    pub(super) fn add(&mut self, version: u64, digest: Digest, mut changes: Vec<Made>, now: Instant) {
        if let Some(gap) = self.gap.take() {
            changes.retain(|made| made.author.via != Via::StateFile);
            changes.insert(0, Made { author: Via::StateFile.by_nobody(), differences: gap });
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
        self.bytes += entry.bytes;
        self.entries.push_back(Arc::new(entry));
        while self.entries.len() > VERSIONS || (self.bytes > BYTES && self.entries.len() > 1) {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.bytes;
        }
    }

    /// All versions that are kept, the oldest first, if there are other ones since this was asked.
    pub(super) fn take_news(&mut self) -> Option<Vec<Arc<Entry>>> {
        std::mem::take(&mut self.is_news).then(|| self.entries.iter().cloned().collect())
    }

    /// All versions that are kept, the newest first.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.iter().rev()
    }

    /// The newest version whose digest begins so.
    pub(super) fn of_digest(&self, begin: &str) -> Option<u64> {
        let begins = |entry: &&Arc<Entry>| entry.digest.to_string().starts_with(begin);
        self.entries().find(begins).map(|entry| entry.version)
    }

    /// What has to be put back for `version` to be served again, if that is known; `later` is what was accepted since the newest
    /// one.
    pub(super) fn back_to<'d>(
        &self,
        version: u64,
        later: impl DoubleEndedIterator<Item = &'d Differences>,
    ) -> Option<Overlay> {
        // The version before the oldest difference is known, too.
        let oldest = self.entries.front()?.version.checked_sub(1)?;
        if version < oldest {
            return None;
        }
        let mut overlay = Overlay::default();
        later.rev().for_each(|differences| overlay.undo(differences));
        for entry in self.entries().take_while(|entry| entry.version > version) {
            entry.changes.iter().rev().for_each(|made| overlay.undo(&made.differences));
        }
        Some(overlay)
    }
}

impl Entry {
    /// A version with what it differs in.
    pub(super) fn new(version: u64, digest: Digest, at: SystemTime, changes: Vec<Made>) -> Self {
        let bytes = changes.iter().map(|made| weight(&made.differences)).sum();
        Self { version, digest, at, changes, bytes }
    }

    /// How much its texts are.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What was served at the last of these versions under every name that they touch: domains, and upstreams by their names in lower case.
pub(super) fn last_of(entries: &[Entry]) -> Overlay {
    let mut last = Overlay::default();
    for made in entries.iter().flat_map(|entry| &entry.changes) {
        for touch in made.differences.domains.iter() {
            last.domains.insert(Arc::clone(&touch.name), touch.after.clone());
        }
        for touch in made.differences.upstreams.iter() {
            let key = touch.name.to_ascii_lowercase();
            last.upstreams.insert(key, (Arc::clone(&touch.name), touch.after.clone()));
        }
    }
    last
}

impl Overlay {
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

/// Bytes of the texts of differences. Those of one side are most often those of another version, so this is an upper bound.
fn weight(differences: &Differences) -> usize {
    let length = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
    let of = |touched: &Touched| -> usize {
        touched.iter().map(|touch| 64 + touch.name.len() + length(&touch.before) + length(&touch.after)).sum()
    };
    of(&differences.domains) + of(&differences.upstreams)
}

/// Who made a change that came by itself, in words.
pub(super) fn who(author: &Author) -> Option<String> {
    author.who.map(|who| who.to_canonical().to_string())
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
            let Overlay { domains, upstreams } = self.history.back_to(version, [].iter())?;
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
