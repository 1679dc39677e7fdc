//! Matching, with what one worker needs for it.
//!
//! It owns a worker's own copies of the compiled patterns it met lately: a copy shares the program but not the search
//! memory, for which threads would otherwise queue. It never compiles. Next: `scratch` holds it, the rules use it.

use std::ops::Range;

use regex::bytes::{CaptureLocations, Regex};

use super::pattern::{Engine, Pattern};

/// Places for copies; a pattern's place follows from its number, so it is found without a search. Of two patterns with
/// the same place the one asked last has it: numbers are given in order, so that begins with the 1,025th pattern.
const PLACES: usize = 1024;

/// One worker's copies of patterns.
#[derive(Debug, Default)]
pub(crate) struct Engines {
    /// As many as were needed so far.
    places: Vec<Option<Box<Local>>>,
    /// Searches given up at [`super::pattern::BACKTRACKS`], which count as no match.
    pub(crate) given_up: u64,
}

#[derive(Debug)]
struct Local {
    id: u64,
    regex: Regex,
    groups: CaptureLocations,
}

impl Engines {
    /// Whether the pattern matches anywhere in `text`.
    pub(crate) fn is_match(&mut self, pattern: &Pattern, text: &[u8]) -> bool {
        match pattern.engine() {
            Engine::Linear(regex) => self.local(pattern.id(), regex).regex.is_match(text),
            Engine::Backtracking(regex) => regex.is_match(text).unwrap_or_else(|_| {
                self.given_up += 1;
                false
            }),
        }
    }

    /// Where the first group of the first match lies: `None` for no match, `Some(None)` for a match in which no first
    /// group took part.
    pub(crate) fn first_group(&mut self, pattern: &Pattern, text: &[u8]) -> Option<Option<Range<usize>>> {
        match pattern.engine() {
            Engine::Linear(regex) => {
                let local = self.local(pattern.id(), regex);
                local.regex.captures_read(&mut local.groups, text)?;
                Some(local.groups.get(1).map(|(start, end)| start..end))
            }
            Engine::Backtracking(regex) => match regex.captures(text) {
                Ok(found) => found.map(|groups| groups.get(1).map(|group| group.range())),
                Err(_) => {
                    self.given_up += 1;
                    None
                }
            },
        }
    }

    #[inline]
    fn local(&mut self, id: u64, shared: &Regex) -> &mut Local {
        let place = id as usize % PLACES;
        if self.places.len() <= place {
            self.places.resize_with(place + 1, || None);
        }
        let known = &mut self.places[place];
        if known.as_ref().is_none_or(|local| local.id != id) {
            *known = None;
        }
        known.get_or_insert_with(|| {
            Box::new(Local { id, regex: shared.clone(), groups: shared.capture_locations() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::pattern::{BACKTRACKS, Patterns};

    fn pattern(text: &str) -> Pattern {
        Patterns::default().get(text).unwrap()
    }

    #[test]
    fn both_engines_find_the_first_group_in_bytes() {
        let mut engines = Engines::default();
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
    fn a_search_that_backtracks_for_ever_is_given_up_and_counted() {
        let mut engines = Engines::default();
        let pattern = pattern(r"^(a|aa)+(?=c)\1$");
        assert!(!engines.is_match(&pattern, &[b'a'; BACKTRACKS]));
        assert_eq!(engines.given_up, 1);
        assert_eq!(engines.first_group(&pattern, &[b'a'; 64]), None);
        assert_eq!(engines.given_up, 2);
    }

    #[test]
    fn copies_are_bounded_and_each_pattern_has_its_own() {
        let mut engines = Engines::default();
        let mut patterns = Patterns::default();
        let all: Vec<_> = (0..2 * PLACES + 2).map(|n| patterns.get(&format!("x{n}$")).unwrap()).collect();
        for _ in 0..2 {
            for pattern in &all {
                assert!(engines.is_match(pattern, pattern.text().trim_end_matches('$').as_bytes()));
                assert!(!engines.is_match(pattern, b"x"));
            }
            assert!(engines.places.len() <= PLACES);
        }
    }
}
