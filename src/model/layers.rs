//! Two layers of one kind of thing: what the store holds, and the edits over it that no dump has written yet.
//!
//! It owns which of the two is in force (the edit), which of them a change takes away (the older), and the values in
//! force; never what a value is or how it was read. Next: [`domains`](super::domains) and
//! [`upstreams`](super::upstreams) keep theirs in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A value that can lie in a layer.
pub(crate) trait Layered: Clone + PartialEq {
    /// Whether a store would hold the same for both. They may differ in what a store does not keep, such as an order.
    fn same_stored(&self, other: &Self) -> bool;
}

/// What the store layer has for a key.
#[derive(Debug, Clone)]
pub(crate) struct Stored<V> {
    /// The last good value; none when there never was one.
    pub(crate) value: Option<V>,
    /// Whether the store holds just this value, and nothing that was rejected.
    pub(crate) sound: bool,
}

/// How the store's text of a key came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// By a listing of all keys: an unchanged key is no news.
    Listed,
    /// By an event of this key.
    Changed,
}

/// What one step did to the value in force.
#[derive(Debug)]
pub(crate) struct Change<V> {
    /// The value before.
    pub(crate) before: Option<V>,
    /// The value now.
    pub(crate) after: Option<V>,
}

impl<V: PartialEq> Change<V> {
    pub(crate) fn is_one(&self) -> bool {
        self.before != self.after
    }
}

/// Store layer, edits, and what is in force, by key.
#[derive(Debug)]
pub(crate) struct Layers<V> {
    store: BTreeMap<Arc<str>, Stored<V>>,
    /// `None`: deleted.
    edits: BTreeMap<Arc<str>, Option<V>>,
    effective: BTreeMap<Arc<str>, V>,
    /// Keys whose writes are under way. What the store holds of them is about to change, so an edit that equals it is kept.
    away: BTreeSet<Arc<str>>,
}

impl<V> Default for Layers<V> {
    fn default() -> Self {
        Layers {
            store: BTreeMap::new(),
            edits: BTreeMap::new(),
            effective: BTreeMap::new(),
            away: BTreeSet::new(),
        }
    }
}

impl<V: Layered> Layers<V> {
    /// The values in force.
    pub(crate) fn effective(&self) -> &BTreeMap<Arc<str>, V> {
        &self.effective
    }

    /// The store layer.
    pub(crate) fn store(&self) -> &BTreeMap<Arc<str>, Stored<V>> {
        &self.store
    }

    /// The edit of a key: `Some(None)` is a deletion.
    pub(crate) fn edit(&self, key: &str) -> Option<Option<&V>> {
        self.edits.get(key).map(Option::as_ref)
    }

    /// How many edits no dump has written yet.
    pub(crate) fn edits(&self) -> usize {
        self.edits.len()
    }

    /// The keys with an edit.
    pub(crate) fn edited(&self) -> impl Iterator<Item = &Arc<str>> {
        self.edits.keys()
    }

    /// A write of the key is under way.
    pub(crate) fn send(&mut self, key: &str) {
        let key = self.key(key);
        self.away.insert(key);
    }

    /// No write of the key is under way any more. To be followed by [`Layers::stored`] if the store says something else
    /// now, or by [`Layers::absorb`].
    pub(crate) fn came_back(&mut self, key: &str) {
        self.away.remove(key);
    }

    /// Drops the edit of a key; says whether there was one.
    pub(crate) fn give_way(&mut self, key: &str) -> (Change<V>, bool) {
        let key = self.key(key);
        let was_edited = self.edits.remove(&key).is_some();
        (self.settle(&key), was_edited)
    }

    /// Replaces the edit of a key, if there is one. To be followed by [`Layers::stored`].
    pub(crate) fn amend(&mut self, key: &str, edit: Option<V>) {
        if let Some(old) = self.edits.get_mut(key) {
            *old = edit;
        }
    }

    /// The shared copy of a key: one allocation for all layers.
    pub(crate) fn key(&self, key: &str) -> Arc<str> {
        let known = (self.effective.get_key_value(key).map(|(key, _)| key))
            .or_else(|| self.store.get_key_value(key).map(|(key, _)| key))
            .or_else(|| self.edits.get_key_value(key).map(|(key, _)| key));
        known.map_or_else(|| key.into(), Arc::clone)
    }

    /// Puts a value over the store's.
    pub(crate) fn put(&mut self, key: &str, value: V) -> Change<V> {
        let key = self.key(key);
        self.edits.insert(Arc::clone(&key), Some(value));
        self.settle(&key)
    }

    /// Deletes a key, and says whether there was one: in force, or in the store though never good.
    pub(crate) fn delete(&mut self, key: &str) -> (Change<V>, bool) {
        let deleted = matches!(self.edits.get(key), Some(None));
        let found = self.effective.contains_key(key) || (self.store.contains_key(key) && !deleted);
        let key = self.key(key);
        self.edits.insert(Arc::clone(&key), None);
        (self.settle(&key), found)
    }

    /// The store's key changed. With `newest` the change is newer than the edit, which is dropped; the second answer says
    /// whether there was one with another value.
    pub(crate) fn stored(&mut self, key: &str, stored: Option<Stored<V>>, newest: bool) -> (Change<V>, bool) {
        let key = self.key(key);
        match stored {
            Some(stored) => self.store.insert(Arc::clone(&key), stored),
            None => self.store.remove(&key),
        };
        self.absorb(&key);
        let overridden = newest && self.edits.remove(&key).is_some();
        (self.settle(&key), overridden)
    }

    /// Drops an edit that equals what the store holds. Its value stays in force, because it may know an order.
    pub(crate) fn absorb(&mut self, key: &str) {
        if self.away.contains(key) {
            return;
        }
        let absorbed = match (self.edits.get(key), self.store.get_mut(key)) {
            (Some(None), None) => true,
            (Some(Some(edit)), Some(Stored { value: Some(value), sound: true }))
                if value.same_stored(edit) =>
            {
                *value = edit.clone();
                true
            }
            _ => false,
        };
        if absorbed {
            self.edits.remove(key);
        }
    }

    /// Works out the value in force anew.
    fn settle(&mut self, key: &Arc<str>) -> Change<V> {
        self.absorb(key);
        let after = match self.edits.get(key) {
            Some(edit) => edit.clone(),
            None => self.store.get(key).and_then(|stored| stored.value.clone()),
        };
        let before = match &after {
            Some(after) => self.effective.insert(Arc::clone(key), after.clone()),
            None => self.effective.remove(key),
        };
        Change { before, after }
    }
}

#[cfg(test)]
mod tests;
