//! Matching, with what one worker needs for it.
//!
//! It owns a worker's own search memory of the patterns it met lately, for which threads would otherwise queue, and
//! what backtracking searches of one request may take together. It never compiles, and keeps no pattern alive. Next:
//! [`scratch`](super::scratch) holds it, the rules use it.

use std::ops::Range;
use std::sync::Weak;

use regex_automata::Input;
use regex_automata::meta::{Cache, Regex};
use regex_automata::util::primitives::NonMaxUsize;

use super::backtrack::{GivenUp, Memory, Program};
use super::pattern::{Compiled, Engine, Pattern};

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
    /// As many as were needed so far.
    places: Vec<Option<Box<Local>>>,
    memory: Memory,
    /// Steps that are left to the request at hand.
    steps: u32,
    /// Searches given up, which count as no match.
    pub(crate) given_up: u64,
    groups: Groups,
    /// The groups are those of a match of the request at hand.
    captured: bool,
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
    pattern: Weak<Compiled>,
    cache: Cache,
}

impl Engines {
    /// Resets what is counted for each request.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.steps = STEPS;
        self.captured = false;
    }

    /// A group, from 1 on, of the last match that was [captured](Self::capture). Nothing if it took no part.
    pub(crate) fn group(&self, number: usize) -> Option<&[u8]> {
        let (begin, end) = (*self.groups.spans.get(number)?).filter(|_| self.captured)?;
        self.groups.text.get(begin..end)
    }

    /// As [`Self::is_match`], and keeps the groups of a match until the next. The pattern was compiled for that.
    pub(crate) fn capture(&mut self, pattern: &Pattern, text: &[u8]) -> bool {
        let mut spans = [None; GROUPS];
        match pattern.engine() {
            Engine::Linear(regex) => {
                let mut slots: [Option<NonMaxUsize>; 2 * GROUPS] = [None; 2 * GROUPS];
                let cache = &mut self.local(pattern, regex).cache;
                if regex.search_slots_with(cache, &Input::new(text), &mut slots).is_none() {
                    return false;
                }
                for (span, pair) in spans.iter_mut().zip(slots.chunks_exact(2)).skip(1) {
                    *span = pair[0].zip(pair[1]).map(|(begin, end)| (begin.get(), end.get()));
                }
            }
            Engine::Backtracking(program) => {
                if !self.try_match(program, text) {
                    return false;
                }
                for (number, span) in (0..).zip(&mut spans).skip(1) {
                    *span = self.memory.group(program, number).map(|span| (span.start, span.end));
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
        match pattern.engine() {
            Engine::Linear(regex) => {
                let input = Input::new(text).earliest(true);
                regex.search_half_with(&mut self.local(pattern, regex).cache, &input).is_some()
            }
            Engine::Backtracking(program) => self.try_match(program, text),
        }
    }

    /// Where the first group of the first match lies: `None` for no match, `Some(None)` for a match in which no first
    /// group took part. The pattern was compiled for that.
    pub(crate) fn first_group(&mut self, pattern: &Pattern, text: &[u8]) -> Option<Option<Range<usize>>> {
        match pattern.engine() {
            Engine::Linear(regex) => {
                let mut slots: [Option<NonMaxUsize>; 4] = [None; 4];
                let cache = &mut self.local(pattern, regex).cache;
                regex.search_slots_with(cache, &Input::new(text), &mut slots)?;
                let [_, _, begin, end] = slots;
                Some(begin.zip(end).map(|(begin, end)| begin.get()..end.get()))
            }
            Engine::Backtracking(program) => {
                self.try_match(program, text).then(|| self.memory.group(program, 1))
            }
        }
    }

    #[cold]
    fn try_match(&mut self, program: &Program, text: &[u8]) -> bool {
        let outcome = if text.len() > SEEN {
            Err(GivenUp)
        } else {
            program.search(text, &mut self.memory, &mut self.steps)
        };
        outcome.unwrap_or_else(|GivenUp| {
            self.given_up += 1;
            false
        })
    }

    #[inline]
    fn local(&mut self, pattern: &Pattern, regex: &Regex) -> &mut Local {
        let id = pattern.id();
        let place = id as usize % PLACES;
        if self.places.len() <= place {
            self.places.resize_with(place + 1, || None);
        }
        let known = &mut self.places[place];
        if known.as_ref().is_none_or(|local| local.id != id) {
            *known = None;
        }
        known.get_or_insert_with(|| {
            Box::new(Local { id, pattern: pattern.weak(), cache: regex.create_cache() })
        })
    }

    /// Gives back the memory of patterns that are gone.
    pub(crate) fn sweep(&mut self) {
        for place in &mut self.places {
            if place.as_ref().is_some_and(|local| local.pattern.strong_count() == 0) {
                *place = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert_eq!(engines.given_up, 1);
        assert_eq!(engines.steps, 0);
        engines.begin();
        assert_eq!(engines.first_group(&pattern, &[b'a'; 64]), None);
        assert_eq!(engines.given_up, 2);
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
            let (mut spent, before) = (0, engines.given_up);
            for pattern in &patterns {
                let left = engines.steps;
                assert!(!engines.is_match(pattern, &text), "{each}");
                spent += left - engines.steps;
            }
            assert_eq!(spent + engines.steps, STEPS, "{each}");
            assert!(engines.given_up > before, "{each}");
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
        assert_eq!(engines.given_up, 1);
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
            let spent = STEPS - engines.steps;
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
            assert!(engines.places.len() <= PLACES);
        }
        engines.sweep();
        assert!(engines.places.iter().flatten().count() > PLACES / 2, "they are in use");
        drop(all);
        engines.sweep();
        assert_eq!(engines.places.iter().flatten().count(), 0);
    }
}
