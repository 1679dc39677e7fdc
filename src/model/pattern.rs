//! Patterns: texts that were checked, each of which is compiled when it is first used.
//!
//! It owns what is kept of a pattern, which is its text, and the way to its engine; never the engines (that is `engine`),
//! their budget (that is `compiled`), or the worker-local state that matching needs (that is `engines`). Patterns are
//! Perl-style and match bytes. Next: [`parts`](super::parts) keeps each text once, `rule::ua` and `rule::path` use patterns.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::compiled::{Compiled, Shelf};
use super::engine::{Checked, check, compile};

/// A pattern. Cheap to clone; equal texts from one [`super::Library`] are one pattern.
#[derive(Debug, Clone)]
pub struct Pattern(Arc<Kept>);

/// What is kept of a pattern.
#[derive(Debug)]
pub(crate) struct Kept {
    id: u64,
    text: Box<str>,
    /// What it was checked for: where its first group lies is told exactly.
    grouped: bool,
    /// It would be the same for both uses.
    either: bool,
    backtracks: bool,
    capital: Option<(char, usize)>,
    way: Way,
    shelf: Arc<Shelf>,
}

/// The way to the engine.
#[derive(Debug)]
enum Way {
    /// It takes long to compile, and was.
    Heavy(Arc<Compiled>),
    /// It is compiled when it is first used, and again when it was given up. Locked for as long as a pointer takes to copy.
    Light(Mutex<Weak<Compiled>>),
}

impl Pattern {
    /// Unique in the process: what worker-local state of this pattern is kept under.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// As the operator wrote it.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Whether it is matched by backtracking, which is slower and bounded; operators are warned.
    pub fn backtracks(&self) -> bool {
        self.0.backtracks
    }

    /// The first capital that nothing but a capital matches, and at which byte it stands.
    pub(crate) fn capital(&self) -> Option<(char, usize)> {
        self.0.capital
    }

    /// Its engine, which may take most of a millisecond. `false` with one that only the asker has, as there was no room for it:
    /// it is to be let go of soon.
    #[cold]
    pub(crate) fn compiled(&self) -> (Arc<Compiled>, bool) {
        let Kept { text, grouped, way, shelf, .. } = &*self.0;
        let slot = match way {
            Way::Heavy(compiled) => return (Arc::clone(compiled), true),
            Way::Light(slot) => slot,
        };
        let known = with(slot, |slot| slot.upgrade());
        if let Some(known) = known {
            known.touch();
            return (known, true);
        }
        // Two workers may do this at the same time, which is better than that one waits for the other. What passed the check
        // compiles; if it did not, it would match nothing.
        let (compiled, is_kept) = shelf.put(compile(text, *grouped).ok());
        if !is_kept {
            return (compiled, false);
        }
        let faster = with(slot, |slot| {
            let faster = slot.upgrade();
            if faster.is_none() {
                *slot = Arc::downgrade(&compiled);
            }
            faster
        });
        match faster {
            Some(faster) => {
                shelf.leave(&compiled);
                (faster, true)
            }
            None => (compiled, true),
        }
    }
}

fn with<T>(slot: &Mutex<Weak<Compiled>>, look: impl FnOnce(&mut Weak<Compiled>) -> T) -> T {
    // Nothing that could panic is done under the lock.
    look(&mut slot.lock().unwrap_or_else(PoisonError::into_inner))
}

impl From<Arc<Kept>> for Pattern {
    fn from(kept: Arc<Kept>) -> Pattern {
        Pattern(kept)
    }
}

/// The same when they were read once.
impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl Kept {
    /// Checks a text, and keeps it. `grouped`: where its first group lies will be asked.
    ///
    /// # Errors
    /// What is wrong with it and, where known, at which byte.
    pub(crate) fn read(text: &str, grouped: bool, shelf: &Arc<Shelf>) -> Result<Kept, String> {
        let Checked { either, backtracks, capital, heavy } = check(text, grouped)?;
        let way = match heavy {
            Some(engine) => Way::Heavy(shelf.pin(engine, text.len())?),
            None => Way::Light(Mutex::default()),
        };
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        shelf.count_in();
        let shelf = Arc::clone(shelf);
        Ok(Kept { id, text: text.into(), grouped, either, backtracks, capital, way, shelf })
    }

    /// Whether it is the pattern of that text, for that use.
    pub(crate) fn is(&self, text: &str, grouped: bool) -> bool {
        *self.text == *text && (self.either || self.grouped == grouped)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let engine = match &self.way {
            Way::Heavy(compiled) => Some(Arc::clone(compiled)),
            Way::Light(slot) => with(slot, |slot| slot.upgrade()),
        };
        self.shelf.count_out(engine.as_deref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::compiled::PatternNumbers;
    use crate::model::engine::{PROGRAM, TEXT};
    use crate::model::intern::PRUNE_FROM;
    use crate::model::parts::Parts;

    fn get(text: &str) -> Result<Pattern, String> {
        Parts::default().pattern(text, false)
    }

    #[test]
    fn equal_texts_are_compiled_once_while_held_and_forgotten_after() {
        let parts = Parts::default();
        let get = |text: &str| parts.pattern(text, false).unwrap();
        let first = get("a+");
        assert_eq!(first.id(), get("a+").id());
        assert_ne!(first.id(), get("b+").id());
        for number in 0..10 * PRUNE_FROM {
            get(&format!("x{number}"));
        }
        assert_eq!(first.id(), get("a+").id());
    }

    #[test]
    fn linear_first_and_backtracking_only_where_needed() {
        for text in [
            r"^\/blog\/(\S+)$",
            r"httpie(\S+)$",
            "",
            "(?i)Chrome",
            r"\p{Greek}",
            "[é]",
            r"caf\xC3\xA9",
            r"a\Z",
            "^/{id}$",
            r"a$|b$",
            "(?:a$)?",
            "(a|b$)",
            r"\h\v",
            r"\Qa.b\E",
            "a(?#b)c",
            r"\0",
            r"a\Kb",
        ] {
            assert!(!get(text).unwrap().backtracks(), "{text}");
        }
        for text in
            [r"^(?!.*bot).*chrome", r"(a)\1", r"(?<=x)y", "(?>a+)b", "a++b", r"a$\n", "(a$)*", r"\R", r"$\b"]
        {
            assert!(get(text).unwrap().backtracks(), "{text}");
        }
    }

    /// A `$` may take the line end before which it stands, but no group may.
    #[test]
    fn a_group_that_is_asked_for_ends_where_it_does_in_perl() {
        let parts = Parts::default();
        for (text, is_other) in [("^(a$)", true), ("^(a)$", false), ("^(?:(a)|(b$))", false)] {
            assert!(!parts.pattern(text, false).unwrap().backtracks(), "{text}");
            assert_eq!(parts.pattern(text, true).unwrap().backtracks(), is_other, "{text}");
        }
    }

    #[test]
    fn broken_patterns_say_what_and_where() {
        for (text, what, place) in [
            ("a(b", "unclosed group", "byte 1"),
            ("[z-a]", "invalid character class range", "byte 1"),
            ("ab*c)", "unopened group", "byte 4"),
            ("x{5,2}", "invalid repetition", "byte"),
            (r"(?=a)(\2", "paren", "byte"),
            (r"a\h$b(", "unclosed group", "byte 5"),
            (r"\h(?=a)[", "unclosed character class", "byte 7"),
        ] {
            let error = get(text).unwrap_err();
            assert!(error.contains(what) && error.contains(place), "{text}: {error}");
        }
        assert!(get(&"a".repeat(TEXT + 1)).unwrap_err().contains("longer"));
        assert!(get(r"(?:\w{900}){900}").unwrap_err().contains("too large"));
        assert!(get(&"(".repeat(TEXT)).is_err());
        assert!(get(&format!("(?=a){}", "(".repeat(TEXT - 5))).is_err());
    }

    /// Patterns that are compiled as they are read, because that takes long.
    fn heavy(number: usize) -> String {
        format!(r"\w{{600}}x{number}")
    }

    #[test]
    fn what_heavy_patterns_take_together_is_bounded_and_given_back() {
        let parts = Parts::new(2 * PROGRAM);
        let mut held = Vec::new();
        let error = loop {
            match parts.pattern(&heavy(held.len()), false) {
                Ok(pattern) => held.push(pattern),
                Err(error) => break error,
            }
            assert!(held.len() < 1000, "there is no bound");
        };
        assert!(!held.is_empty() && error.contains("--pattern-memory"), "{error}");
        parts.pattern(&heavy(0), false).expect("one that is there takes no more");
        parts.pattern("light", false).expect("others take nothing yet");
        let numbers = parts.numbers();
        assert_eq!((numbers.patterns, numbers.compiled), (held.len(), held.len()));
        drop(held);
        parts.pattern(&heavy(0), false).expect("there is room again");
        assert_eq!(parts.numbers().bytes, 0);
    }

    #[test]
    fn to_read_patterns_compiles_none_and_each_is_compiled_once_when_it_is_used() {
        let parts = Parts::default();
        let all: Vec<_> = (0..1000).map(|n| parts.pattern(&format!("^/{n}/(.*)$"), false).unwrap()).collect();
        assert_eq!(parts.numbers(), PatternNumbers { patterns: 1000, ..PatternNumbers::default() });
        let first = all[7].compiled().0;
        assert!(Arc::ptr_eq(&first, &all[7].compiled().0));
        let numbers = parts.numbers();
        assert_eq!((numbers.compiled, numbers.compilations, numbers.evictions), (1, 1, 0));
        assert!(numbers.bytes > 1000);
        drop((first, all));
        parts.tidy();
        let numbers = parts.numbers();
        assert_eq!((numbers.patterns, numbers.compiled, numbers.bytes), (0, 0, 0));
    }

    #[test]
    fn the_budget_holds_and_what_was_given_up_is_compiled_again() {
        let most = 512 * 1024;
        let parts = Parts::new(most);
        let all: Vec<_> = (0..500).map(|n| parts.pattern(&format!("^/{n}/(.*)$"), false).unwrap()).collect();
        let often = &all[0];
        for pattern in &all {
            let (compiled, is_kept) = pattern.compiled();
            assert!(is_kept && compiled.engine.is_some());
            assert!(parts.numbers().bytes <= most);
            often.compiled();
        }
        let numbers = parts.numbers();
        assert!(numbers.evictions > 300, "{numbers:?}");
        often.compiled();
        assert_eq!(parts.numbers().compilations, numbers.compilations, "what is used stays");
        all[1].compiled();
        assert_eq!(parts.numbers().compilations, numbers.compilations + 1);
    }

    #[test]
    fn what_workers_hold_is_not_given_up_and_without_room_an_engine_is_its_askers_own() {
        let most = 128 * 1024;
        let parts = Parts::new(most);
        let all: Vec<_> = (0..500).map(|n| parts.pattern(&format!("^/{n}/(.*)$"), false).unwrap()).collect();
        let mut held = Vec::new();
        let lone = loop {
            match all[held.len()].compiled() {
                (compiled, true) => held.push(compiled),
                (compiled, false) => break compiled,
            }
            assert!(parts.numbers().bytes <= most);
        };
        assert_eq!(lone.squeezes(), 1);
        assert!(lone.engine.is_some());
        let compiled = parts.numbers().compiled;
        assert_eq!(compiled, held.len() + 1);
        drop(lone);
        assert!(parts.numbers().bytes <= most);
        held.truncate(1);
        assert!(all[499].compiled().1, "there is room as soon as one is let go");
        assert!(Arc::ptr_eq(&held[0], &all[0].compiled().0));
    }

    #[test]
    fn workers_that_ask_at_the_same_time_have_one_engine_and_leave_none_behind() {
        let parts = Parts::default();
        for round in 0..20 {
            let pattern = parts.pattern(&format!("^/{round}/(.*)$"), false).unwrap();
            let barrier = std::sync::Barrier::new(4);
            let ask = || {
                barrier.wait();
                pattern.compiled().0
            };
            let held: Vec<_> = std::thread::scope(|scope| {
                let asked: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
                asked.into_iter().map(|asked| asked.join().unwrap()).collect()
            });
            assert!(held.iter().all(|one| Arc::ptr_eq(one, &held[0])));
        }
        parts.tidy();
        let numbers = parts.numbers();
        assert_eq!((numbers.patterns, numbers.compiled, numbers.bytes), (0, 0, 0));
    }
}
