//! Patterns: the one place that knows the regex engines.
//!
//! It owns compiling, the size limits of one pattern and the bound on all of them; never the worker-local state that
//! matching needs (that is `engines`). Patterns are Perl-style and match bytes. Next: [`dialect`] says what a text means,
//! [`parts`](super::parts) compiles each text once, `rule::ua` and `rule::path` use patterns.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use regex_automata::meta;
use regex_automata::util::syntax;

use super::backtrack::{self, Program};
use super::dialect::{self, Meant, Verdict};

/// Longest pattern, in bytes: ten times the longest anyone was seen to write.
pub(crate) const TEXT: usize = 8 * 1024;
/// Largest compiled program, in bytes: `\w{1000}` fits, nested counts that multiply do not.
pub(crate) const PROGRAM: usize = 1024 * 1024;
/// Most memory, in bytes, that a lazily built automaton may take in each worker before it starts over.
pub(crate) const AUTOMATON: usize = 256 * 1024;

/// A compiled pattern. Cheap to clone; equal texts from one [`super::Library`] are one compiled pattern.
#[derive(Debug, Clone)]
pub struct Pattern(Arc<Compiled>);

#[derive(Debug)]
pub(crate) struct Compiled {
    id: u64,
    text: Box<str>,
    engine: Engine,
    /// What it was compiled for: where its first group lies is told exactly.
    grouped: bool,
    /// It would be the same for both uses.
    either: bool,
    capital: Option<(char, usize)>,
    _room: Room,
}

/// What matches a pattern.
#[derive(Debug)]
pub(crate) enum Engine {
    /// In time linear in what is searched, always.
    Linear(meta::Regex),
    /// By trying, as long as the request's budget lasts.
    Backtracking(Program),
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
        matches!(self.0.engine, Engine::Backtracking(_))
    }

    /// The first capital that nothing but a capital matches, and at which byte it stands.
    pub(crate) fn capital(&self) -> Option<(char, usize)> {
        self.0.capital
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// The same, held by nobody: it ends when all others are gone.
    pub(crate) fn weak(&self) -> Weak<Compiled> {
        Arc::downgrade(&self.0)
    }
}

impl From<Arc<Compiled>> for Pattern {
    fn from(compiled: Arc<Compiled>) -> Pattern {
        Pattern(compiled)
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

impl Compiled {
    /// Whether it is the pattern of that text, for that use.
    pub(crate) fn is(&self, text: &str, grouped: bool) -> bool {
        *self.text == *text && (self.either || self.grouped == grouped)
    }
}

/// What all compiled patterns that are in use take together, and may take.
#[derive(Debug)]
pub(crate) struct Account {
    used: AtomicUsize,
    most: usize,
    /// Patterns that were given up since somebody asked.
    gone: AtomicUsize,
}

impl Account {
    pub(crate) fn new(most: usize) -> Account {
        Account { used: AtomicUsize::new(0), most, gone: AtomicUsize::new(0) }
    }

    /// Whether so many patterns have gone since this was last true.
    pub(crate) fn has_lost(&self, patterns: usize) -> bool {
        self.gone.load(Ordering::Relaxed) >= patterns && self.gone.swap(0, Ordering::Relaxed) >= patterns
    }
}

/// Room in the account; given back when it is dropped.
#[derive(Debug)]
struct Room {
    account: Arc<Account>,
    size: usize,
}

impl Room {
    fn take(account: &Arc<Account>, size: usize) -> Result<Room, String> {
        let used = account.used.fetch_add(size, Ordering::Relaxed);
        let room = Room { account: Arc::clone(account), size };
        if used.saturating_add(size) > account.most {
            return Err(format!(
                "the compiled patterns of all rules together would take more than {} bytes; this one takes {size} \
                 (--max-patterns sets the bound)",
                account.most
            ));
        }
        Ok(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.account.used.fetch_sub(self.size, Ordering::Relaxed);
        self.account.gone.fetch_add(1, Ordering::Relaxed);
    }
}

/// Compiles a pattern: linear if it can be, backtracking if it must. `grouped`: where its first group lies will be asked.
/// It takes long, up to some milliseconds.
///
/// # Errors
/// What is wrong with it and, where known, at which byte.
pub(crate) fn compile(text: &str, grouped: bool, account: &Arc<Account>) -> Result<Compiled, String> {
    if text.len() > TEXT {
        return Err(format!("is longer than {TEXT} bytes"));
    }
    let meant = dialect::read(text)?;
    let exact = dialect::judge(&meant, true)?;
    let either = meant.ends.is_empty() || matches!(exact, Verdict::Linear(_));
    let verdict = if grouped || either { exact } else { dialect::judge(&meant, false)? };
    let engine = match verdict {
        Verdict::Linear(text) => linear(&text).map(Engine::Linear).or_else(|problem| match problem {
            Problem::TooLarge => Err(format!("is too large when compiled (more than {PROGRAM} bytes)")),
            Problem::Other(message) => backtracking(&meant.with_ends(r"\Z"), &meant).map_err(|_| message),
        })?,
        Verdict::Backtracking(text) => backtracking(&text, &meant)?,
    };
    let size = size_of::<Compiled>()
        + text.len()
        + match &engine {
            // Beside the programs: what finds them, and is as large for each.
            Engine::Linear(regex) => regex.memory_usage() + LINEAR,
            Engine::Backtracking(program) => program.size(),
        };
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let room = Room::take(account, size)?;
    Ok(Compiled { id, text: text.into(), engine, grouped, either, capital: meant.capital, _room: room })
}

/// What a linear pattern takes and does not count, in bytes: measured with small ones.
const LINEAR: usize = 2 * 1024;

enum Problem {
    TooLarge,
    Other(String),
}

/// Bytes, as PCRE without its UTF mode matches them; only what cannot be said so (`\p{Greek}`, `[é]`) matches characters.
fn linear(text: &str) -> Result<meta::Regex, Problem> {
    let build = |unicode| {
        meta::Builder::new()
            .configure(
                meta::Config::new()
                    .utf8_empty(false)
                    .nfa_size_limit(Some(PROGRAM))
                    .hybrid_cache_capacity(AUTOMATON),
            )
            .syntax(syntax::Config::new().unicode(unicode).utf8(false))
            .build(text)
            .map_err(Box::new)
    };
    build(false).or_else(|_| build(true)).map_err(|error| match error.syntax_error() {
        None if error.size_limit().is_some() => Problem::TooLarge,
        None => Problem::Other(error.to_string()),
        // The last line says what is wrong; those before draw an arrow under a pattern that JSON would show on one line.
        Some(error) => {
            Problem::Other(error.to_string().lines().last().unwrap_or("is not a pattern").to_owned())
        }
    })
}

fn backtracking(text: &str, meant: &Meant) -> Result<Engine, String> {
    match backtrack::compile(text) {
        Ok(program) => Ok(Engine::Backtracking(program)),
        // Places behind the first `$` that was written otherwise are not those of the text.
        Err((problem, Some(place))) if meant.ends.is_empty() => {
            Err(format!("{problem} (at byte {})", meant.given(place)))
        }
        Err((problem, _)) => Err(problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn what_all_patterns_take_together_is_bounded_and_given_back() {
        let parts = Parts::new(PROGRAM);
        let mut held = Vec::new();
        let error = loop {
            match parts.pattern(&format!(r"\w{{100}}x{}", held.len()), false) {
                Ok(pattern) => held.push(pattern),
                Err(error) => break error,
            }
            assert!(held.len() < 1000, "there is no bound");
        };
        assert!(!held.is_empty() && error.contains("--max-patterns"), "{error}");
        parts.pattern(r"\w{100}x0", false).expect("one that is there takes no more");
        drop(held);
        parts.pattern(r"\w{100}x", false).expect("there is room again");
    }
}
