//! Interning: one allocation for equal values, as long as anything holds it.
//!
//! It owns the finding of a value by its key and the forgetting of dead ones, never what makes two values equal: the
//! caller says. Next: [`library`](super::library) keeps patterns, rule sets and names of upstreams so.

use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Weak};

use hashbrown::{DefaultHashBuilder, HashTable};

/// Entries below which it is not worth looking for dead ones.
pub(crate) const PRUNE_FROM: usize = 256;

/// Values of one kind. Nothing in it keeps a value alive.
#[derive(Debug)]
pub(crate) struct Interner<T> {
    known: HashTable<(u64, Weak<T>)>,
    prune_at: usize,
    hasher: DefaultHashBuilder,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Interner { known: HashTable::new(), prune_at: 0, hasher: DefaultHashBuilder::default() }
    }
}

impl<T> Interner<T> {
    /// The value of that key, if anyone holds it. `same` says whether a value is the one.
    pub(crate) fn get(&self, key: &(impl Hash + ?Sized), same: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        let hash = self.hasher.hash_one(key);
        let mut found = None;
        self.known.find(hash, |(known, value)| {
            if *known != hash {
                return false;
            }
            found = value.upgrade().filter(|value| same(value));
            found.is_some()
        })?;
        found
    }

    /// Takes a value in that [`Interner::get`] did not find under the key.
    pub(crate) fn add(&mut self, key: &(impl Hash + ?Sized), value: impl Into<Arc<T>>) -> Arc<T> {
        self.prune();
        let (hash, value) = (self.hasher.hash_one(key), value.into());
        self.known.insert_unique(hash, (hash, Arc::downgrade(&value)), |(hash, _)| *hash);
        value
    }

    /// Forgets dead entries now, and gives back the room for them.
    pub(crate) fn forget_dead(&mut self) {
        self.known.retain(|(_, value)| value.strong_count() > 0);
        self.known.shrink_to_fit(|(hash, _)| *hash);
        self.prune_at = self.known.len() * 2;
    }

    /// Forgets dead entries whenever their number may have doubled, so that pruning costs a constant for each insertion.
    fn prune(&mut self) {
        if self.known.len() >= self.prune_at.max(PRUNE_FROM) {
            self.known.retain(|(_, value)| value.strong_count() > 0);
            self.prune_at = self.known.len() * 2;
        }
    }

    /// Entries, dead ones included.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_while_it_is_held_and_forgotten_after() {
        let mut numbers: Interner<u32> = Interner::default();
        let held = numbers.add("one", 1);
        assert!(Arc::ptr_eq(&held, &numbers.get("one", |_| true).unwrap()));
        assert!(numbers.get("one", |number| *number == 2).is_none(), "the same key, another value");
        assert!(numbers.get("two", |_| true).is_none());
        for number in 0..10 * PRUNE_FROM {
            numbers.add(&number, 0);
        }
        assert!(numbers.len() <= 2 * PRUNE_FROM);
        assert!(numbers.get(&5_usize, |_| true).is_none());
        numbers.forget_dead();
        assert_eq!(numbers.len(), 1);
        assert!(Arc::ptr_eq(&held, &numbers.get("one", |_| true).unwrap()));
        drop(held);
        assert!(numbers.get("one", |_| true).is_none());
    }
}
