//! Two layers of one kind of thing: what the store holds, and the edits over it that no dump has written yet.
//!
//! It owns which of the two is in force (the edit), which of them a change takes away (the older), and the values in
//! force; never what a value is or how it was read. Next: `domains` and `upstreams` keep theirs in it.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A value that can lie in a layer.
pub(crate) trait Layered: Clone + PartialEq {
    /// Whether a store would hold the same for both, though they may differ in what it does not keep (an order).
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
}

impl<V> Default for Layers<V> {
    fn default() -> Self {
        Layers { store: BTreeMap::new(), edits: BTreeMap::new(), effective: BTreeMap::new() }
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

    /// Puts a value over the store's.
    pub(crate) fn put(&mut self, key: &str, value: V) -> Change<V> {
        self.edits.insert(key.into(), Some(value));
        self.settle(key)
    }

    /// Deletes a key, and says whether there was one: in force, or in the store though never good.
    pub(crate) fn delete(&mut self, key: &str) -> (Change<V>, bool) {
        let deleted = matches!(self.edits.get(key), Some(None));
        let found = self.effective.contains_key(key) || (self.store.contains_key(key) && !deleted);
        self.edits.insert(key.into(), None);
        (self.settle(key), found)
    }

    /// The store's key changed. With `newest` the change is newer than any edit, which gives way: then the second answer
    /// says whether there was one that said otherwise.
    pub(crate) fn stored(&mut self, key: &str, stored: Option<Stored<V>>, newest: bool) -> (Change<V>, bool) {
        match stored {
            Some(stored) => self.store.insert(key.into(), stored),
            None => self.store.remove(key),
        };
        self.absorb(key);
        let overridden = newest && self.edits.remove(key).is_some();
        (self.settle(key), overridden)
    }

    /// An edit that says what the store holds is no edit. Its value stays in force, for it may know an order.
    fn absorb(&mut self, key: &str) {
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

    /// Makes the value in force that should be.
    fn settle(&mut self, key: &str) -> Change<V> {
        self.absorb(key);
        let after = match self.edits.get(key) {
            Some(edit) => edit.clone(),
            None => self.store.get(key).and_then(|stored| stored.value.clone()),
        };
        let before = match (&after, self.effective.get_mut(key)) {
            // The key's own allocation stays, so that snapshots can tell by it that the name did.
            (Some(after), Some(slot)) => Some(std::mem::replace(slot, after.clone())),
            (Some(after), None) => self.effective.insert(key.into(), after.clone()),
            (None, _) => self.effective.remove(key),
        };
        Change { before, after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Stored without its sign, as a store keeps no order.
    impl Layered for i32 {
        fn same_stored(&self, other: &i32) -> bool {
            self.abs() == other.abs()
        }
    }

    fn good(value: i32) -> Option<Stored<i32>> {
        Some(Stored { value: Some(value), sound: true })
    }

    fn now(layers: &Layers<i32>) -> (Option<i32>, usize) {
        (layers.effective().get("k").copied(), layers.edits())
    }

    #[test]
    fn the_newest_change_of_a_key_is_in_force() {
        let mut layers = Layers::default();
        assert!(layers.stored("k", good(1), true).0.is_one());
        assert!(layers.put("k", 2).is_one());
        assert_eq!(now(&layers), (Some(2), 1));
        let (change, overridden) = layers.stored("k", good(3), true);
        assert!(change.is_one() && overridden);
        assert_eq!(now(&layers), (Some(3), 0));
        assert!(layers.delete("k").1);
        assert_eq!(now(&layers), (None, 1));
        assert!(layers.stored("k", good(4), true).1, "a deletion gives way as well");
        assert_eq!(now(&layers), (Some(4), 0));
        layers.put("k", 5);
        assert!(layers.stored("k", None, true).1);
        assert_eq!(now(&layers), (None, 0));
    }

    #[test]
    fn what_the_store_says_already_is_no_edit() {
        let mut layers = Layers::default();
        layers.stored("k", good(1), true);
        assert!(!layers.put("k", 1).is_one());
        assert_eq!(now(&layers), (Some(1), 0));
        assert!(layers.put("k", -1).is_one(), "but what the store does not keep is taken over");
        assert_eq!(now(&layers), (Some(-1), 0));
        layers.put("k", 2);
        layers.put("k", 1);
        assert_eq!(now(&layers), (Some(1), 0));
        assert_eq!((layers.delete("x").1, layers.edits()), (false, 0));
    }

    #[test]
    fn a_dump_takes_in_the_edits_it_wrote_and_leaves_newer_ones() {
        let mut layers = Layers::default();
        layers.put("k", -1);
        let (change, overridden) = layers.stored("k", good(1), false);
        assert!(!change.is_one() && !overridden);
        assert_eq!(now(&layers), (Some(-1), 0));
        layers.put("k", 2);
        layers.stored("k", good(3), false);
        assert_eq!(now(&layers), (Some(2), 1));
        layers.delete("k");
        layers.stored("k", None, false);
        assert_eq!(now(&layers), (None, 0));
    }

    #[test]
    fn an_edit_over_a_rejected_key_stays_an_edit_until_it_is_dumped() {
        let mut layers = Layers::default();
        layers.stored("k", Some(Stored { value: Some(1), sound: false }), false);
        assert_eq!(now(&layers), (Some(1), 0));
        assert!(!layers.put("k", 1).is_one());
        assert_eq!(now(&layers), (Some(1), 1));
        layers.stored("b", Some(Stored { value: None, sound: false }), false);
        assert!(layers.delete("b").1, "it is in the store, though not in force");
        assert!(!layers.delete("b").1);
    }

    proptest! {
        #[test]
        fn what_is_in_force_follows_from_the_layers(
            steps in proptest::collection::vec((0..4u8, 0..3usize, -3..3i32, any::<bool>()), 0..40),
        ) {
            let mut layers = Layers::default();
            for (step, key, value, flag) in steps {
                let key = ["a", "b", "c"][key];
                let before = layers.effective().get(key).copied();
                let change = match step {
                    0 => layers.put(key, value),
                    1 => layers.delete(key).0,
                    2 => layers.stored(key, Some(Stored { value: Some(value), sound: flag }), flag).0,
                    _ => layers.stored(key, None, flag).0,
                };
                prop_assert_eq!(change.before, before);
                prop_assert_eq!(change.after, layers.effective().get(key).copied());
                for key in ["a", "b", "c"] {
                    let expected = match layers.edit(key) {
                        Some(edit) => edit.copied(),
                        None => layers.store().get(key).and_then(|stored| stored.value),
                    };
                    prop_assert_eq!(layers.effective().get(key).copied(), expected);
                }
            }
        }
    }
}
