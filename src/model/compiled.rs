//! Engines that were compiled, within a budget of memory: the least used go first.
//!
//! It owns the budget, the order in which engines go, and the numbers that are told of both; never the compiling (that is
//! `engine`) or a text. A worker that holds an engine leases it: it is not given up meanwhile, so what is given up is free
//! at once, and the budget is kept to the byte but for one engine in each worker that found no room. A queue gives each
//! engine that was asked for since it was last looked at a second chance. Next: [`pattern`](super::pattern) asks for engines,
//! [`engines`](super::engines) leases them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::engine::Engine;

/// Engines that are looked at for one that is needed, at most: a request waits meanwhile. 10,000 look-ups in a queue take some
/// 100 µs, as long as to compile one.
const LOOKED_AT: usize = 10_000;

/// An engine, held by the queue, by the pattern if it is heavy, and by workers.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// Nothing where a pattern that had passed could not be compiled after all: it matches nothing then.
    pub(crate) engine: Option<Engine>,
    /// Asked for since it was last looked at.
    used: AtomicBool,
    /// Its pattern is gone.
    gone: AtomicBool,
    room: Room,
}

impl Compiled {
    /// Whether its pattern is gone, so that nobody will ask for it.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// How many times there was no room for an engine, since the start: a worker that sees another number lets go of what it
    /// does not use.
    pub(crate) fn squeezes(&self) -> u64 {
        self.room.counts.squeezes.load(Ordering::Relaxed)
    }

    /// It was asked for.
    pub(super) fn touch(&self) {
        self.used.store(true, Ordering::Relaxed);
    }
}

/// What is counted of engines.
#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicUsize,
    /// Of these, what cannot be given up.
    pinned: AtomicUsize,
    engines: AtomicUsize,
    /// How many times there was no room, since the start.
    squeezes: AtomicU64,
}

/// Room in the budget; given back when it is dropped.
#[derive(Debug)]
struct Room {
    counts: Arc<Counts>,
    size: usize,
    is_pinned: bool,
}

impl Room {
    fn take(counts: &Arc<Counts>, size: usize, is_pinned: bool) -> Room {
        counts.bytes.fetch_add(size, Ordering::Relaxed);
        counts.engines.fetch_add(1, Ordering::Relaxed);
        if is_pinned {
            counts.pinned.fetch_add(size, Ordering::Relaxed);
        }
        Room { counts: Arc::clone(counts), size, is_pinned }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.counts.bytes.fetch_sub(self.size, Ordering::Relaxed);
        self.counts.engines.fetch_sub(1, Ordering::Relaxed);
        if self.is_pinned {
            self.counts.pinned.fetch_sub(self.size, Ordering::Relaxed);
        }
    }
}

/// What there is to be known of patterns and their engines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PatternNumbers {
    /// Different patterns that are in use.
    pub patterns: usize,
    /// Those that are compiled at the moment.
    pub compiled: usize,
    /// What these take, in bytes.
    pub bytes: usize,
    /// How many times one was compiled, since the start.
    pub compilations: u64,
    /// How many were given up for others, since the start.
    pub evictions: u64,
}

/// All engines.
#[derive(Debug)]
pub(crate) struct Shelf {
    counts: Arc<Counts>,
    most: usize,
    /// Those that can be given up, that which was looked at longest ago first.
    queue: Mutex<VecDeque<Arc<Compiled>>>,
    patterns: AtomicUsize,
    /// Patterns that went since somebody asked.
    lost: AtomicUsize,
    /// Engines of patterns that are gone may be among the others.
    is_untidy: AtomicBool,
    compilations: AtomicU64,
    evictions: AtomicU64,
}

impl Shelf {
    /// No engines, which may take so many bytes together.
    pub(crate) fn new(most: usize) -> Shelf {
        Shelf {
            counts: Arc::default(),
            most,
            queue: Mutex::default(),
            patterns: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
            is_untidy: AtomicBool::new(false),
            compilations: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
        }
    }

    /// What is to be known of them.
    pub(crate) fn numbers(&self) -> PatternNumbers {
        PatternNumbers {
            patterns: self.patterns.load(Ordering::Relaxed),
            compiled: self.counts.engines.load(Ordering::Relaxed),
            bytes: self.counts.bytes.load(Ordering::Relaxed),
            compilations: self.compilations.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
        }
    }

    /// A pattern has come.
    pub(super) fn count_in(&self) {
        self.patterns.fetch_add(1, Ordering::Relaxed);
    }

    /// A pattern has gone; that was its engine, if it had one.
    pub(super) fn count_out(&self, engine: Option<&Compiled>) {
        self.patterns.fetch_sub(1, Ordering::Relaxed);
        self.lost.fetch_add(1, Ordering::Relaxed);
        if let Some(engine) = engine {
            self.leave(engine);
        }
    }

    /// Nobody will ask for this engine any more.
    pub(super) fn leave(&self, engine: &Compiled) {
        engine.gone.store(true, Ordering::Relaxed);
        self.is_untidy.store(true, Ordering::Relaxed);
    }

    /// Whether so many patterns have gone since this was last true.
    pub(crate) fn has_lost(&self, patterns: usize) -> bool {
        self.lost.load(Ordering::Relaxed) >= patterns && self.lost.swap(0, Ordering::Relaxed) >= patterns
    }

    /// Keeps an engine that takes long to make for as long as its pattern is there.
    ///
    /// # Errors
    /// That all of that kind together would take more than half of the budget; the others need room too.
    pub(super) fn pin(&self, engine: Engine, more: usize) -> Result<Arc<Compiled>, String> {
        let compiled = self.compiled(Some(engine), more, true);
        let (pinned, most) = (self.counts.pinned.load(Ordering::Relaxed), self.most / 2);
        if pinned > most {
            return Err(format!(
                "all patterns that are kept compiled because that takes long would take {pinned} bytes together, and the bound is \
                 {most}; this one takes {} (--pattern-memory sets twice that bound)",
                compiled.room.size
            ));
        }
        self.make_room();
        Ok(compiled)
    }

    /// Takes an engine in. `false` where there is no room, as workers hold all others: then it lasts as long as its worker
    /// holds it, and is nobody else's.
    pub(super) fn put(&self, engine: Option<Engine>) -> (Arc<Compiled>, bool) {
        let compiled = self.compiled(engine, 0, false);
        let is_kept = self.make_room();
        if is_kept {
            self.with(|queue| queue.push_back(Arc::clone(&compiled)));
        } else {
            self.counts.squeezes.fetch_add(1, Ordering::Relaxed);
        }
        (compiled, is_kept)
    }

    fn compiled(&self, engine: Option<Engine>, more: usize, is_pinned: bool) -> Arc<Compiled> {
        self.compilations.fetch_add(1, Ordering::Relaxed);
        let size = size_of::<Compiled>() + more + engine.as_ref().map_or(0, Engine::size);
        let room = Room::take(&self.counts, size, is_pinned);
        Arc::new(Compiled { engine, used: AtomicBool::new(true), gone: AtomicBool::new(false), room })
    }

    /// Gives up engines until all take no more than they may; says whether that is so.
    fn make_room(&self) -> bool {
        let over = || self.counts.bytes.load(Ordering::Relaxed) > self.most;
        let mut looks = LOOKED_AT;
        while over() && looks > 0 {
            // It is freed outside of the lock.
            let Some(given_up) = self.with(|queue| next(queue, &mut looks)) else { break };
            if !given_up.is_gone() {
                self.evictions.fetch_add(1, Ordering::Relaxed);
            }
        }
        !over()
    }

    /// Gives up the engines of patterns that are gone. To be called now and then.
    pub(crate) fn tidy(&self) {
        if !self.is_untidy.swap(false, Ordering::Relaxed) {
            return;
        }
        let gone: VecDeque<_> = self.with(|queue| {
            let (gone, stay) = std::mem::take(queue).into_iter().partition(|one| one.is_gone());
            *queue = stay;
            gone
        });
        // Outside of the lock, for which workers wait.
        drop(gone);
    }

    fn with<T>(&self, look: impl FnOnce(&mut VecDeque<Arc<Compiled>>) -> T) -> T {
        // Nothing that could panic is done under the lock.
        look(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The next that nobody holds, and that was not asked for since it was last looked at.
fn next(queue: &mut VecDeque<Arc<Compiled>>, looks: &mut usize) -> Option<Arc<Compiled>> {
    // Twice around, for at the first time all may have been used.
    for _ in 0..queue.len().saturating_mul(2).min(*looks) {
        *looks -= 1;
        let first = queue.pop_front()?;
        let is_used = first.used.swap(false, Ordering::Relaxed);
        if Arc::strong_count(&first) == 1 && (!is_used || first.is_gone()) {
            return Some(first);
        }
        queue.push_back(first);
    }
    None
}
