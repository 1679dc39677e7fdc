//! What rules are made of, once: patterns and the names of upstreams.
//!
//! It owns the sharing of both, never a rule. Parts are a handle: its clones are one. Next: `rule::args` takes from it
//! while a rule is read, `library` holds it beside whole rule sets.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::compiled::{PatternNumbers, Shelf};
use super::intern::{Interner, PRUNE_FROM};
use super::pattern::{Kept, Pattern};
use super::rates::Rates;
use super::upstream_name::{UpstreamName, UpstreamNames};

/// Every pattern and name that is in use.
#[derive(Debug, Clone)]
pub(crate) struct Parts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    interners: Mutex<Interners>,
    shelf: Arc<Shelf>,
    rates: OnceLock<Arc<Rates>>,
}

#[derive(Debug, Default)]
struct Interners {
    patterns: Interner<Kept>,
    names: UpstreamNames,
}

impl Default for Parts {
    fn default() -> Parts {
        Parts::new(Parts::PATTERNS)
    }
}

impl Parts {
    /// Most memory, in bytes, that compiled patterns take together, unless it is said otherwise: some 3,500 ordinary ones of
    /// 18 KiB, which is more than each worker has places for what searches need.
    pub(crate) const PATTERNS: usize = 64 * 1024 * 1024;

    /// None yet. Compiled patterns may take so many bytes together.
    pub(crate) fn new(patterns: usize) -> Parts {
        Parts(Arc::new(Inner {
            interners: Mutex::default(),
            shelf: Arc::new(Shelf::new(patterns)),
            rates: OnceLock::new(),
        }))
    }

    /// Locks for one lookup. Nothing that takes long is done under the lock, so a thread that reads thousands of patterns
    /// blocks no other.
    fn with<T>(&self, look: impl FnOnce(&mut Interners) -> T) -> T {
        // All that a panic could leave behind is an entry less.
        look(&mut self.0.interners.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The name of an upstream, given in lower case.
    pub(crate) fn name(&self, key: &str) -> Arc<UpstreamName> {
        self.with(|interners| interners.names.get(key))
    }

    /// Where all limits count; made for the first of them.
    pub(crate) fn rates(&self) -> Arc<Rates> {
        Arc::clone(self.0.rates.get_or_init(Arc::default))
    }

    /// The pattern of that text, read or found. `grouped`: where its first group lies will be asked.
    ///
    /// # Errors
    /// What is wrong with it and, where known, at which byte.
    pub(crate) fn pattern(&self, text: &str, grouped: bool) -> Result<Pattern, String> {
        let find = |interners: &mut Interners| interners.patterns.get(text, |known| known.is(text, grouped));
        if let Some(known) = self.with(find) {
            return Ok(known.into());
        }
        let read = Kept::read(text, grouped, &self.0.shelf)?;
        // Another thread may have been faster.
        let pattern =
            self.with(|interners| find(interners).unwrap_or_else(|| interners.patterns.add(text, read)));
        Ok(pattern.into())
    }

    /// What is to be known of patterns.
    pub(crate) fn numbers(&self) -> PatternNumbers {
        self.0.shelf.numbers()
    }

    /// Gives back engines of patterns that are gone, and what still points to these, if many are; says whether that was so.
    pub(crate) fn tidy(&self) -> bool {
        self.0.shelf.tidy();
        let many = self.0.shelf.has_lost(PRUNE_FROM);
        if many {
            self.with(|interners| interners.patterns.forget_dead());
        }
        many
    }
}
