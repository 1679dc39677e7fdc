//! Patterns: the one place that knows the regex engines and the dialect.
//!
//! It owns compiling, once for all rules with the same text, and the size limits; never the worker-local state that
//! matching needs (that is `engines`). Patterns are Perl-style and match bytes. Next: `dialect` says where Perl and the
//! `regex` crate part, `rule::ua` and `rule::path` use patterns.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::dialect::{self, Reading};
use super::intern::Interner;

/// Longest pattern, in bytes: ten times the longest anyone was seen to write.
pub(crate) const TEXT: usize = 8 * 1024;
/// Largest compiled program, in bytes: `\w{1000}` fits, nested counts that multiply do not.
pub(crate) const PROGRAM: usize = 1024 * 1024;
/// Most memory, in bytes, that a lazily built automaton may take in each worker before it starts over.
pub(crate) const AUTOMATON: usize = 256 * 1024;
/// Steps back that a pattern with look-around or back-references may take; then the answer is "no match".
pub(crate) const BACKTRACKS: usize = 10_000;
/// Most instructions of such a pattern.
pub(crate) const BACKTRACKING_PROGRAM: usize = 16 * 1024;

/// A compiled pattern. Cheap to clone; equal texts from one [`Patterns`] are one compiled pattern.
#[derive(Debug, Clone)]
pub struct Pattern(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    id: u64,
    text: Box<str>,
    engine: Engine,
}

/// What matches a pattern.
#[derive(Debug)]
pub(crate) enum Engine {
    /// In time linear in what is searched, always.
    Linear(regex::bytes::Regex),
    /// By trying, up to [`BACKTRACKS`].
    Backtracking(Box<fancy_regex::Regex>),
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

    /// Whether it is matched by backtracking, which is bounded but slower; operators are warned.
    pub fn backtracks(&self) -> bool {
        matches!(self.0.engine, Engine::Backtracking(_))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }
}

/// The same when they were compiled once.
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

/// Compiles patterns, each text once as long as anyone holds the result.
#[derive(Debug, Default)]
pub struct Patterns {
    known: Interner<Compiled>,
}

impl Patterns {
    /// The pattern of that text, compiled or found.
    ///
    /// # Errors
    /// What is wrong with it and, where known, at which byte.
    pub fn get(&mut self, text: &str) -> Result<Pattern, String> {
        if let Some(known) = self.known.get(text, |known| &*known.text == text) {
            return Ok(Pattern(known));
        }
        let engine = compile(text)?;
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Pattern(self.known.add(text, Compiled { id, text: text.into(), engine })))
    }
}

/// Linear if it can be, backtracking if it must, an error otherwise.
fn compile(text: &str) -> Result<Engine, String> {
    if text.len() > TEXT {
        return Err(format!("is longer than {TEXT} bytes"));
    }
    match dialect::read(text) {
        Reading::Same => linear(text).map(Engine::Linear).or_else(|problem| match problem {
            Problem::TooLarge => Err(format!("is too large when compiled (more than {PROGRAM} bytes)")),
            Problem::Other(message) => backtracking(text).map_err(|_| message),
        }),
        Reading::PerlOnly => backtracking(text),
        Reading::Broken(message) | Reading::Ambiguous(message) => Err(message),
    }
}

enum Problem {
    TooLarge,
    Other(String),
}

/// Bytes, as PCRE without its UTF mode matches them; only what cannot be said so (`\p{Greek}`, `[é]`) matches characters.
fn linear(text: &str) -> Result<regex::bytes::Regex, Problem> {
    let build = |unicode| {
        regex::bytes::RegexBuilder::new(text)
            .unicode(unicode)
            .size_limit(PROGRAM)
            .dfa_size_limit(AUTOMATON)
            .build()
    };
    build(false).or_else(|_| build(true)).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => Problem::TooLarge,
        // The last line says what is wrong; those before draw an arrow under a pattern that JSON would show on one line.
        other => Problem::Other(other.to_string().lines().last().unwrap_or("is not a pattern").to_owned()),
    })
}

fn backtracking(text: &str) -> Result<Engine, String> {
    fancy_regex::RegexBuilder::new(text)
        .bytes_mode(fancy_regex::BytesMode::Ascii)
        .backtrack_limit(BACKTRACKS)
        .max_prog_size(BACKTRACKING_PROGRAM)
        .delegate_size_limit(PROGRAM)
        .delegate_dfa_size_limit(AUTOMATON)
        .build()
        .map(|regex| Engine::Backtracking(Box::new(regex)))
        .map_err(|error| match error {
            fancy_regex::Error::ParseError(offset, problem) => format!("{problem} (at byte {offset})"),
            other => other.to_string(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::intern::PRUNE_FROM;

    fn get(text: &str) -> Result<Pattern, String> {
        Patterns::default().get(text)
    }

    #[test]
    fn equal_texts_are_compiled_once_while_held_and_forgotten_after() {
        let mut patterns = Patterns::default();
        let first = patterns.get("a+").unwrap();
        assert_eq!(first.id(), patterns.get("a+").unwrap().id());
        assert_ne!(first.id(), patterns.get("b+").unwrap().id());
        for number in 0..10 * PRUNE_FROM {
            patterns.get(&format!("x{number}")).unwrap();
        }
        assert!(patterns.known.len() <= 2 * PRUNE_FROM);
        assert_eq!(first.id(), patterns.get("a+").unwrap().id());
    }

    #[test]
    fn linear_first_and_backtracking_only_where_needed() {
        for text in
            [r"^\/blog\/(\S+)$", r"httpie(\S+)$", "", "(?i)Chrome", r"\p{Greek}", "[é]", r"caf\xC3\xA9"]
        {
            assert!(!get(text).unwrap().backtracks(), "{text}");
        }
        for text in [r"^(?!.*bot).*chrome", r"(a)\1", r"(?<=x)y", "(?>a+)b", "a++b"] {
            assert!(get(text).unwrap().backtracks(), "{text}");
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
        ] {
            let error = get(text).unwrap_err();
            assert!(error.contains(what) && error.contains(place), "{text}: {error}");
        }
        assert!(get(&"a".repeat(TEXT + 1)).unwrap_err().contains("longer"));
        assert!(get(r"(?:\w{900}){900}").unwrap_err().contains("too large"));
        assert!(get(&"(".repeat(TEXT)).is_err());
        assert!(get(&format!("(?=a){}", "(".repeat(TEXT - 5))).is_err());
    }
}
