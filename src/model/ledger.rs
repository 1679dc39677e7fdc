//! What is in force of one kind, as far as it is told of in few words: its digest, and what of it is different.
//!
//! It owns the counting and never a value. Next: [`digest`](super::digest) for the one, [`domains`](super::domains) and
//! [`upstreams`](super::upstreams) tell it of every change.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::digest::{Digest, DigestTree};

/// What stands under a key: its digest, and its text as a document has it.
pub(crate) type Entry = (Digest, Arc<str>);

/// Follows what is in force.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    tree: DigestTree,
    news: Touched,
}

impl Ledger {
    /// What stands under `key` is another one, which is called `name`. Each side is the digest of the entry and its text.
    pub(crate) fn note(&mut self, key: &Arc<str>, name: &str, before: Option<Entry>, after: Option<Entry>) {
        let part = |entry: Option<Entry>| entry.unzip();
        let ((old, before), (new, after)) = (part(before), part(after));
        self.tree.replace(old, new);
        let name = if **key == *name { Arc::clone(key) } else { name.into() };
        self.news.add(Arc::clone(key), Touch { name, before, after });
    }

    /// The digest of all entries.
    pub(crate) fn digest(&mut self) -> Digest {
        self.tree.root()
    }

    /// What is different since this was asked.
    pub(crate) fn take_news(&mut self) -> Touched {
        std::mem::take(&mut self.news)
    }
}

/// What is different of all that is in force, since somebody asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// Of the domains.
    pub domains: Touched,
    /// Of the upstreams.
    pub upstreams: Touched,
}

/// How many of one kind come, go and change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// They are there and were not.
    pub added: usize,
    /// They were there and are not any more.
    pub removed: usize,
    /// They are there as they were, and are others.
    pub changed: usize,
}

/// How many of each kind come, go and change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Of the domains.
    pub domains: Count,
    /// Of the upstreams.
    pub upstreams: Count,
}

impl Differences {
    /// How many of each kind come, go and change.
    pub fn counts(&self) -> Counts {
        Counts { domains: self.domains.counts(), upstreams: self.upstreams.counts() }
    }

    /// The names of all that is different, domains before upstreams.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.domains.names().chain(self.upstreams.names())
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty() && self.upstreams.is_empty()
    }

    /// Adds what was different later on.
    pub fn add(&mut self, later: Differences) {
        self.domains.add_all(later.domains);
        self.upstreams.add_all(later.upstreams);
    }
}

/// What is different of one kind. What changed several times is counted once, and what came and went again is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched(BTreeMap<Arc<str>, Touch>);

/// One that is different: what it was, if it was there, and what it is, if it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// As it is spelled, or was.
    pub name: Arc<str>,
    /// The JSON that it was: a rule set, or an object of servers and their parameters.
    pub before: Option<Arc<str>>,
    /// The JSON that it is.
    pub after: Option<Arc<str>>,
}

impl Touched {
    /// What was different before, if it was, and is `later` now.
    pub(crate) fn add(&mut self, key: Arc<str>, later: Touch) {
        let before = match self.0.remove(&key) {
            Some(earlier) => earlier.before,
            None => later.before,
        };
        if before.is_some() || later.after.is_some() {
            self.0.insert(key, Touch { before, ..later });
        }
    }

    fn add_all(&mut self, later: Touched) {
        later.0.into_iter().for_each(|(key, touch)| self.add(key, touch));
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many come, go and change.
    pub fn counts(&self) -> Count {
        let count = |wanted| {
            let is = |touch: &&Touch| (touch.before.is_some(), touch.after.is_some()) == wanted;
            self.0.values().filter(is).count()
        };
        Count { added: count((false, true)), removed: count((true, false)), changed: count((true, true)) }
    }

    /// All of these, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Touch> {
        self.0.values()
    }

    /// The names of all of these, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(|touch| &*touch.name)
    }
}

impl FromIterator<(Arc<str>, Touch)> for Touched {
    /// What is different under each key: the name of a domain, or of an upstream in lower case.
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Touch)>>(touches: I) -> Self {
        let mut touched = Touched::default();
        touches.into_iter().for_each(|(key, touch)| touched.add(key, touch));
        touched
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_changed_several_times_is_one_and_what_came_and_went_is_none() {
        let (mut ledger, mut all) = (Ledger::default(), Differences::default());
        let [one, two] = [1, 2].map(|number| Some(Digest::of_json(&json!(number))));
        let none = None;
        let mut take = |steps: &[(&str, Option<Digest>, Option<Digest>)]| {
            for (name, before, after) in steps {
                let entry = |digest: Digest| (digest, digest.to_string().into());
                ledger.note(&name.to_ascii_lowercase().into(), name, before.map(entry), after.map(entry));
            }
            let news = ledger.take_news();
            let Count { added, removed, changed } = news.counts();
            let told = (added, removed, changed);
            let names = news.names().collect::<Vec<_>>().join(" ");
            all.add(Differences { domains: news, ..Differences::default() });
            (told, names)
        };
        let told =
            take(&[("C", none, one), ("a", none, one), ("b", none, one), ("b", one, two), ("d", none, one)]);
        assert_eq!(told, ((4, 0, 0), "a b C d".to_owned()));
        let told =
            take(&[("a", one, none), ("a", none, two), ("e", none, one), ("e", one, none), ("b", two, none)]);
        assert_eq!(told, ((0, 1, 1), "a b".to_owned()));
        assert_eq!(take(&[]), ((0, 0, 0), String::new()));
        assert_eq!((all.domains.counts().added, all.domains.counts().removed), (3, 0), "of both together");
        assert!(!all.is_empty());
        all.add(Differences::default());
        assert_eq!(all.domains.names().collect::<Vec<_>>(), ["a", "C", "d"]);
        let [two] = [two].map(|two| two.map(|two| two.to_string()));
        let first = all.domains.iter().next().unwrap();
        assert_eq!((&first.before, first.after.as_deref()), (&None, two.as_deref()), "the last of it");
    }
}
