//! Matching, with what one worker needs for it.
//!
//! It owns a worker's own search memory of the patterns it met lately, for which threads would otherwise queue, its hold on
//! their engines, and what backtracking searches of one request may take together. It never compiles, and keeps no pattern
//! alive. Next: [`scratch`](super::scratch) holds it, the rules use it.

use std::ops::Range;
use std::sync::Arc;

use regex_automata::Input;
use regex_automata::meta::Cache;
use regex_automata::util::primitives::NonMaxUsize;

use super::backtrack::{GivenUp, Memory, Program};
use super::compiled::Compiled;
use super::engine::Engine;
use super::pattern::Pattern;

/// Slots for search memories. A pattern's slot is its number modulo this, so it is found without a search. Two patterns with
/// the same slot replace each other's memory; numbers are given in order, so that begins with the 1,025th pattern.
const PLACES: usize = 1024;
/// Steps that the backtracking searches of one request may take together, whatever the rules. A step looks at one byte, or
/// at up to eight of a run, so this is bytes × steps at once: a millisecond or two. `(?=.*android)(?=.*mobile)` takes 7,000
/// to say no to an ordinary user agent of 150 bytes.
pub(crate) const STEPS: u32 = 256 * 1024;
/// Longest text, in bytes, that a backtracking pattern is asked about. Half of it would be another text, in which other
/// things match; so a longer one is not searched at all, which counts as given up.
pub(crate) const SEEN: usize = 4 * 1024;

/// Groups that can be asked for: `$1` to `$9`, each at its number.
const GROUPS: usize = 10;

/// One worker's search memory.
#[derive(Debug, Default)]
pub(crate) struct Engines {
    places: Places,
    tries: Tries,
    groups: Groups,
    /// The groups are those of a match of the request at hand.
    captured: bool,
}

/// Engines that this worker holds, with the memory to search by them.
#[derive(Debug, Default)]
struct Places {
    /// As many as were needed so far.
    list: Vec<Option<Box<Local>>>,
    /// The place of the one for which there was no room; held until the next that is looked for.
    passing: Option<usize>,
    /// How many times there had been no room when that was last looked at.
    squeezes: u64,
}

/// Searches by backtracking.
#[derive(Debug, Default)]
struct Tries {
    memory: Memory,
    /// Steps that are left to the request at hand.
    steps: u32,
    /// Searches given up, which count as no match.
    given_up: u64,
}

/// The groups of the last match that was asked for them, with a copy of what they are groups of.
#[derive(Debug, Default)]
struct Groups {
    text: Vec<u8>,
    spans: [Option<(usize, usize)>; GROUPS],
}

#[derive(Debug)]
struct Local {
    id: u64,
    /// Since this was last asked.
    used: bool,
    compiled: Arc<Compiled>,
    /// Of a linear engine.
    cache: Option<Cache>,
}

impl Engines {
    /// Resets what is counted for each request.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.tries.steps = STEPS;
        self.captured = false;
    }

    /// Searches given up, which count as no match.
    pub(crate) fn given_up(&self) -> u64 {
        self.tries.given_up
    }

    /// A group, from 1 on, of the last match that was [captured](Self::capture). Nothing if it took no part.
    pub(crate) fn group(&self, number: usize) -> Option<&[u8]> {
        let (begin, end) = (*self.groups.spans.get(number)?).filter(|_| self.captured)?;
        self.groups.text.get(begin..end)
    }

    /// As [`Self::is_match`], and keeps the groups of a match until the next. The pattern was compiled for that.
    pub(crate) fn capture(&mut self, pattern: &Pattern, text: &[u8]) -> bool {
        let mut spans = [None; GROUPS];
        let Local { compiled, cache, .. } = self.places.local(pattern);
        match (&compiled.engine, cache) {
            (Some(Engine::Linear(regex)), Some(cache)) => {
                let mut slots: [Option<NonMaxUsize>; 2 * GROUPS] = [None; 2 * GROUPS];
                if regex.search_slots_with(cache, &Input::new(text), &mut slots).is_none() {
                    return false;
                }
                for (span, pair) in spans.iter_mut().zip(slots.chunks_exact(2)).skip(1) {
                    *span = pair[0].zip(pair[1]).map(|(begin, end)| (begin.get(), end.get()));
                }
            }
            (engine, _) => {
                let Some(program) = self.tries.matched(engine.as_ref(), text) else { return false };
                for (number, span) in (0..).zip(&mut spans).skip(1) {
                    *span = self.tries.memory.group(program, number).map(|span| (span.start, span.end));
                }
            }
        }
        self.groups.text.clear();
        self.groups.text.extend_from_slice(text);
        (self.groups.spans, self.captured) = (spans, true);
        true
    }

    /// Whether the pattern matches anywhere in `text`.
    pub(crate) fn is_match(&mut self, pattern: &Pattern, text: &[u8]) -> bool {
        let Local { compiled, cache, .. } = self.places.local(pattern);
        match (&compiled.engine, cache) {
            (Some(Engine::Linear(regex)), Some(cache)) => {
                regex.search_half_with(cache, &Input::new(text).earliest(true)).is_some()
            }
            (engine, _) => self.tries.matched(engine.as_ref(), text).is_some(),
        }
    }

    /// Where the first group of the first match lies: `None` for no match, `Some(None)` for a match in which no first
    /// group took part. The pattern was compiled for that.
    pub(crate) fn first_group(&mut self, pattern: &Pattern, text: &[u8]) -> Option<Option<Range<usize>>> {
        let Local { compiled, cache, .. } = self.places.local(pattern);
        match (&compiled.engine, cache) {
            (Some(Engine::Linear(regex)), Some(cache)) => {
                let mut slots: [Option<NonMaxUsize>; 4] = [None; 4];
                regex.search_slots_with(cache, &Input::new(text), &mut slots)?;
                let [_, _, begin, end] = slots;
                Some(begin.zip(end).map(|(begin, end)| begin.get()..end.get()))
            }
            (engine, _) => {
                let program = self.tries.matched(engine.as_ref(), text)?;
                Some(self.tries.memory.group(program, 1))
            }
        }
    }

    /// Gives back the memory of patterns that are gone; and, when room for engines was wanted since this was last called,
    /// that of patterns that were not used since then.
    pub(crate) fn sweep(&mut self) {
        self.places.sweep();
    }
}

impl Tries {
    /// The program, if it matches.
    #[cold]
    fn matched<'e>(&mut self, engine: Option<&'e Engine>, text: &[u8]) -> Option<&'e Program> {
        let Some(Engine::Backtracking(program)) = engine else {
            // A pattern that passed and could not be compiled, which is not known to happen: nobody knows what it matches.
            self.given_up += 1;
            return None;
        };
        let outcome = if text.len() > SEEN {
            Err(GivenUp)
        } else {
            program.search(text, &mut self.memory, &mut self.steps)
        };
        let is_match = outcome.unwrap_or_else(|GivenUp| {
            self.given_up += 1;
            false
        });
        is_match.then_some(program)
    }
}

impl Local {
    /// Takes hold of an engine, which is compiled if it is not there; says whether others can find it.
    #[cold]
    #[inline(never)]
    fn take(pattern: &Pattern) -> (Box<Local>, bool) {
        let (compiled, is_kept) = pattern.compiled();
        let cache = match &compiled.engine {
            Some(Engine::Linear(regex)) => Some(regex.create_cache()),
            Some(Engine::Backtracking(_)) | None => None,
        };
        (Box::new(Local { id: pattern.id(), used: true, compiled, cache }), is_kept)
    }
}

impl Places {
    #[inline]
    fn local(&mut self, pattern: &Pattern) -> &mut Local {
        let id = pattern.id();
        let place = id as usize % PLACES;
        if !matches!(self.list.get(place), Some(Some(local)) if local.id == id) {
            self.clear(place);
        }
        let passing = &mut self.passing;
        let local = self.list[place].get_or_insert_with(|| {
            let (local, is_kept) = Local::take(pattern);
            *passing = (!is_kept).then_some(place);
            local
        });
        local.used = true;
        local
    }

    /// Makes a place free for another.
    #[cold]
    #[inline(never)]
    fn clear(&mut self, place: usize) {
        if self.list.len() <= place {
            self.list.resize_with(place + 1, || None);
        }
        // Its engine may be the one that there is no room for otherwise.
        self.list[place] = None;
        self.let_passing_go();
    }

    /// Lets go of the one for which there was no room, and so that there is some for the next, of what was not used.
    fn let_passing_go(&mut self) {
        let Some(place) = self.passing.take().and_then(|place| self.list.get_mut(place)) else { return };
        if let Some(passing) = place.take() {
            self.let_go(passing.compiled.squeezes());
        }
    }

    /// Lets go of what was not used since this was last done.
    fn let_go(&mut self, squeezes: u64) {
        self.squeezes = squeezes;
        for place in &mut self.list {
            if place.as_mut().is_some_and(|local| !std::mem::take(&mut local.used)) {
                *place = None;
            }
        }
    }

    fn sweep(&mut self) {
        self.let_passing_go();
        for place in &mut self.list {
            if place.as_ref().is_some_and(|local| local.compiled.is_gone()) {
                *place = None;
            }
        }
        let squeezes = self.list.iter().flatten().next().map(|local| local.compiled.squeezes());
        if let Some(squeezes) = squeezes.filter(|squeezes| *squeezes != self.squeezes) {
            self.let_go(squeezes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::compiled::PatternNumbers;
    use crate::model::parts::Parts;

    fn pattern(text: &str) -> Pattern {
        Parts::default().pattern(text, true).unwrap()
    }

    fn engines() -> Engines {
        let mut engines = Engines::default();
        engines.begin();
        engines
    }

    #[test]
    fn both_engines_find_the_first_group_in_bytes() {
        let mut engines = engines();
        for text in [r"^/a/(.+)$", r"^/a/(?!x)(.+)$"] {
            let pattern = pattern(text);
            assert_eq!(engines.first_group(&pattern, b"/a/\xff\x80"), Some(Some(3..5)), "{text}");
            assert_eq!(engines.first_group(&pattern, b"/b/"), None, "{text}");
            assert!(engines.is_match(&pattern, b"/a/\xc3\xa9"), "{text}");
        }
        assert_eq!(engines.first_group(&pattern("a"), b"a"), Some(None));
        assert_eq!(engines.first_group(&pattern("a|(b)"), b"a"), Some(None));
        assert!(engines.is_match(&pattern("^.é.$"), b"\xff\xc3\xa9\x01"), "one dot, one byte");
        assert!(engines.is_match(&pattern("^[é]$"), "é".as_bytes()));
    }

    #[test]
    fn groups_of_the_last_match_are_kept_until_the_next() {
        let mut engines = engines();
        assert_eq!(engines.group(1), None);
        for text in [r"^/(\w+)/(\d+)?(.*)$", r"^/(\w+)/(?!x)(\d+)?(.*)$"] {
            assert!(engines.capture(&pattern(text), b"/ab/12cd"), "{text}");
            let groups: Vec<_> = (0..5).map(|number| engines.group(number)).collect();
            assert_eq!(groups, [None, Some(&b"ab"[..]), Some(b"12"), Some(b"cd"), None], "{text}");
            assert!(engines.capture(&pattern(text), b"/ab/cd"), "{text}");
            assert_eq!((engines.group(2), engines.group(3)), (None, Some(&b"cd"[..])), "{text}");
            assert!(!engines.capture(&pattern(text), b"x"), "{text}");
            assert_eq!(engines.group(1), Some(&b"ab"[..]), "{text}");
        }
        engines.begin();
        assert_eq!(engines.group(1), None);
    }

    #[test]
    fn a_search_that_backtracks_for_ever_is_given_up_and_counted() {
        let mut engines = engines();
        let pattern = pattern(r"^(a|aa)+(?=c)\1$");
        assert!(!engines.is_match(&pattern, &[b'a'; SEEN]));
        assert_eq!(engines.given_up(), 1);
        assert_eq!(engines.tries.steps, 0);
        engines.begin();
        assert_eq!(engines.first_group(&pattern, &[b'a'; 64]), None);
        assert_eq!(engines.given_up(), 2);
    }

    /// What a worker spends on one request, in steps, is bounded whatever the pattern, the text and the number of rules.
    #[test]
    fn all_searches_of_a_request_have_one_budget() {
        let mut engines = Engines::default();
        let text: Vec<u8> = b"mozilla/5.0 (android; tablet) ".iter().copied().cycle().take(SEEN).collect();
        for each in [
            "(?=.*android)(?=.*mobile)",
            r"(?!x)\w+!",
            r"(?=(\w+))\1:",
            "(?:(?=.*x).)*y",
            "(?:(?:(?=.*x|).)*y?)*z",
            "(?<=.*q)r",
        ] {
            engines.begin();
            let patterns: Vec<_> = (0..100).map(|number| pattern(&format!("{each}|never{number}"))).collect();
            let (mut spent, before) = (0, engines.given_up());
            for pattern in &patterns {
                let left = engines.tries.steps;
                assert!(!engines.is_match(pattern, &text), "{each}");
                spent += left - engines.tries.steps;
            }
            assert_eq!(spent + engines.tries.steps, STEPS, "{each}");
            assert!(engines.given_up() > before, "{each}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_not_searched_in_part() {
        let mut engines = engines();
        let pattern = pattern(r"^(?!.*bot)");
        assert!(engines.is_match(&pattern, &[b'x'; SEEN]));
        let mut text = vec![b'x'; SEEN];
        text.extend(b"bot");
        assert!(!engines.is_match(&pattern, &text), "it would match the part");
        assert_eq!(engines.given_up(), 1);
    }

    #[test]
    fn ordinary_patterns_of_that_kind_take_little() {
        let agent = b"mozilla/5.0 (linux; android 14; pixel 8) applewebkit/537.36 (khtml, like gecko) chrome/124.0.0.0 \
                      mobile safari/537.36";
        for (text, matches, most) in [
            ("(?=.*android)(?=.*mobile)", true, 100),
            ("^(?!.*bot).*chrome", true, 100),
            ("(?<!google)bot", false, 50),
            ("(?=.*android)(?=.*tablet)", false, 8000),
            ("^(?:(?!bot).)*$", true, 3000),
        ] {
            let mut engines = engines();
            assert_eq!(engines.is_match(&pattern(text), agent), matches, "{text}");
            let spent = STEPS - engines.tries.steps;
            assert!(spent <= most, "{text} took {spent}");
        }
    }

    #[test]
    fn search_memories_are_bounded_and_go_with_their_patterns() {
        let mut engines = engines();
        let parts = Parts::default();
        let all: Vec<_> =
            (0..2 * PLACES + 2).map(|n| parts.pattern(&format!("x{n}$"), false).unwrap()).collect();
        for _ in 0..2 {
            for pattern in &all {
                assert!(engines.is_match(pattern, pattern.text().trim_end_matches('$').as_bytes()));
                assert!(!engines.is_match(pattern, b"x"));
            }
            assert!(engines.places.list.len() <= PLACES);
        }
        engines.sweep();
        assert!(engines.places.list.iter().flatten().count() > PLACES / 2, "they are in use");
        drop(all);
        parts.tidy();
        assert!(parts.numbers().compiled > PLACES / 2, "a worker holds them");
        engines.sweep();
        assert_eq!(engines.places.list.iter().flatten().count(), 0);
        assert_eq!((parts.numbers().compiled, parts.numbers().bytes), (0, 0));
    }

    /// What each of two workers may hold beyond the budget, here.
    const LARGEST: usize = 40 * 1024;

    /// Whatever is asked in whatever order, with however little room, the answers are those of each engine by itself.
    #[test]
    fn with_little_room_all_is_answered_as_with_much() {
        let most = 96 * 1024;
        let parts = Parts::new(most);
        let all: Vec<_> = (0..100)
            .map(|n| parts.pattern(&format!("^/{n}(?:/|$)|(?=x)x{n}$"), n % 2 == 0).unwrap())
            .collect();
        let linear: Vec<_> =
            (0..100).map(|n| parts.pattern(&format!("^/(a{n})(?:/|$)"), true).unwrap()).collect();
        let (mut one, mut other) = (engines(), engines());
        let mut number = 0_usize;
        for round in 0..3000_usize {
            number = (number * 31 + round * 7 + 3) % 100;
            let engines = if round % 3 == 0 { &mut one } else { &mut other };
            engines.begin();
            assert!(engines.is_match(&all[number], format!("/{number}/x").as_bytes()));
            assert!(!engines.is_match(&all[number], b"/100"));
            let path = format!("/a{number}/x");
            assert_eq!(engines.first_group(&linear[number], path.as_bytes()), Some(Some(1..path.len() - 2)));
            assert!(engines.capture(&linear[number], path.as_bytes()));
            assert_eq!(engines.group(1), path.as_bytes().get(1..path.len() - 2));
            assert!(parts.numbers().bytes <= most + 2 * LARGEST, "{:?}", parts.numbers());
        }
        let numbers = parts.numbers();
        assert!(numbers.evictions > 100, "{numbers:?}");
        drop((all, linear));
        one.sweep();
        other.sweep();
        parts.tidy();
        assert_eq!(
            parts.numbers(),
            PatternNumbers {
                compilations: numbers.compilations,
                evictions: parts.numbers().evictions,
                ..PatternNumbers::default()
            }
        );
    }

    #[test]
    fn what_is_not_used_is_let_go_of_when_others_want_room() {
        let parts = Parts::new(96 * 1024);
        let all: Vec<_> = (0..100).map(|n| parts.pattern(&format!("^/a{n}/(.*)$"), false).unwrap()).collect();
        let (mut idle, mut busy) = (engines(), engines());
        for pattern in &all {
            idle.is_match(pattern, b"/");
            if idle.places.passing.is_some() {
                break;
            }
        }
        assert!(idle.places.passing.is_some(), "it holds all that there is room for");
        assert!(idle.places.list.iter().flatten().count() > 1);
        busy.is_match(&all[0], b"/");
        for pattern in &all[97..] {
            busy.is_match(pattern, b"/");
            idle.sweep();
        }
        assert!(busy.places.passing.is_none());
        assert!(idle.places.list.iter().flatten().count() == 0);
    }
}
