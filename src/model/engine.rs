//! From a pattern's text to the engine that matches it, and whether there can be one.
//!
//! It owns the limits of one pattern, the choice of its engine, and what is light enough to be compiled while a request
//! waits; never who keeps an engine (that is `compiled`). To check a text costs a parse and no engine, where the parse shows
//! that one fits; so nothing that was accepted fails later. Next: [`dialect`] says what a text means,
//! [`pattern`](super::pattern) keeps texts.

use regex_automata::meta;
use regex_automata::util::syntax;
use regex_syntax::ast::Ast;
use regex_syntax::hir::translate::TranslatorBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::backtrack::{self, Program};
use super::dialect::{self, Meant, Verdict};

/// Longest pattern, in bytes: ten times the longest anyone was seen to write.
pub(crate) const TEXT: usize = 8 * 1024;
/// Largest compiled program, in bytes: `\w{1000}` fits, nested counts that multiply do not.
pub(crate) const PROGRAM: usize = 1024 * 1024;
/// Most memory, in bytes, that a lazily built automaton may take in each worker before it starts over.
pub(crate) const AUTOMATON: usize = 256 * 1024;
/// Most states of the automaton of a pattern that is compiled when it is first used, by [`weight`]: the worst that was found
/// (alternatives of 60 words) takes 0.7 ms. Patterns that people write have 20 to 200.
const LIGHT: usize = 512;
/// Most states that what stands for a `$` has beyond those of the `$`.
const END: usize = 8;
/// Largest engine, in bytes, that is compiled when it is first used, where only compiling told its size.
const LIGHT_BYTES: usize = 64 * 1024;
/// Longest text, in bytes, of a backtracking pattern that is compiled when it is first used.
const LIGHT_TEXT: usize = 1024;
/// What a linear pattern takes and does not count, in bytes: measured with small ones.
const LINEAR: usize = 2 * 1024;

/// What matches a pattern.
#[derive(Debug)]
pub(crate) enum Engine {
    /// In time linear in what is searched, always.
    Linear(meta::Regex),
    /// By trying, as long as the request's budget lasts. Boxed, as what an engine takes itself stays with a pattern whose engine
    /// was given up.
    Backtracking(Box<Program>),
}

impl Engine {
    /// Memory that it takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        match self {
            // Beside the programs: what finds them, and is as large for each.
            Engine::Linear(regex) => regex.memory_usage() + LINEAR,
            Engine::Backtracking(program) => program.size(),
        }
    }
}

/// A text that is a pattern.
pub(crate) struct Checked {
    /// Asking for groups makes no difference to its engine.
    pub(crate) either: bool,
    /// It is matched by backtracking.
    pub(crate) backtracks: bool,
    /// The first capital that nothing but a capital matches, and at which byte it stands.
    pub(crate) capital: Option<(char, usize)>,
    /// Its engine, if that takes so long to make that no request should wait for it.
    pub(crate) heavy: Option<Engine>,
}

/// Checks a pattern. `grouped`: where its groups lie will be asked. It takes some microseconds, but for what is heavy.
///
/// # Errors
/// What is wrong with it and, where known, at which byte.
pub(crate) fn check(text: &str, grouped: bool) -> Result<Checked, String> {
    let (meant, verdict, either) = read(text, grouped)?;
    let capital = meant.capital;
    if let Verdict::Linear(_, tree) = &verdict
        && is_light(&meant, tree)
    {
        return Ok(Checked { either, backtracks: false, capital, heavy: None });
    }
    let engine = engine(&meant, &verdict)?;
    let backtracks = matches!(engine, Engine::Backtracking(_));
    let is_light = engine.size() <= LIGHT_BYTES && (!backtracks || text.len() <= LIGHT_TEXT);
    Ok(Checked { either, backtracks, capital, heavy: (!is_light).then_some(engine) })
}

/// Compiles a pattern: linear if it can be, backtracking if it must.
///
/// # Errors
/// Those of [`check`], and no others.
pub(crate) fn compile(text: &str, grouped: bool) -> Result<Engine, String> {
    let (meant, verdict, _) = read(text, grouped)?;
    engine(&meant, &verdict)
}

/// What a text means, in the words of an engine, and whether these are the same for both uses.
fn read(text: &str, grouped: bool) -> Result<(Meant, Verdict, bool), String> {
    if text.len() > TEXT {
        return Err(format!("is longer than {TEXT} bytes"));
    }
    let meant = dialect::read(text)?;
    let exact = dialect::judge(&meant, true)?;
    let either = meant.ends.is_empty() || matches!(exact, Verdict::Linear(..));
    let verdict = if grouped || either { exact } else { dialect::judge(&meant, false)? };
    Ok((meant, verdict, either))
}

fn engine(meant: &Meant, verdict: &Verdict) -> Result<Engine, String> {
    match verdict {
        Verdict::Linear(text, _) => linear(text).map(Engine::Linear).or_else(|problem| match problem {
            Problem::TooLarge => Err(format!("is too large when compiled (more than {PROGRAM} bytes)")),
            Problem::Other(message) => backtracking(&meant.with_ends(r"\Z"), meant).map_err(|_| message),
        }),
        Verdict::Backtracking(text) => backtracking(text, meant),
    }
}

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

/// Whether [`linear`] surely takes it, and soon. It parses nothing again: most of what a check costs is the parse.
fn is_light(meant: &Meant, tree: &Ast) -> bool {
    translated(&meant.text, tree)
        .is_some_and(|hir| weight(&hir).saturating_add(meant.ends.len().saturating_mul(END)) <= LIGHT)
}

/// As the builder reads it at first.
fn translated(text: &str, tree: &Ast) -> Option<Hir> {
    TranslatorBuilder::new().unicode(false).utf8(false).build().translate(text, tree).ok()
}

/// No fewer states of 32 bytes than its automaton has, in either direction.
fn weight(part: &Hir) -> usize {
    let sum = |parts: &[Hir]| parts.iter().map(weight).fold(0, usize::saturating_add);
    match part.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        // A range takes a quarter of a state.
        HirKind::Class(Class::Bytes(class)) => 1 + class.ranges().len().div_ceil(4),
        // Of characters: what they are in bytes is not told by their number.
        HirKind::Class(Class::Unicode(_)) => usize::MAX,
        HirKind::Capture(capture) => weight(&capture.sub).saturating_add(2),
        HirKind::Concat(parts) => sum(parts),
        HirKind::Alternation(parts) => sum(parts).saturating_add(2 + parts.len()),
        HirKind::Repetition(repetition) => {
            let rounds = repetition.max.unwrap_or(repetition.min).max(1) as usize;
            weight(&repetition.sub).saturating_add(2).saturating_mul(rounds).saturating_add(2)
        }
    }
}

fn backtracking(text: &str, meant: &Meant) -> Result<Engine, String> {
    match backtrack::compile(text) {
        Ok(program) => Ok(Engine::Backtracking(Box::new(program))),
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
    use proptest::prelude::*;
    use regex_automata::nfa::thompson::NFA;

    /// Pieces of patterns, sound and broken.
    fn pattern() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            6 => "[a-c]{1,3}",
            1 => prop_oneof![
                Just("^"), Just("$"), Just(r"\b"), Just(r"\w"), Just(r"[^/\d-]"), Just("."), Just("[é]"), Just("é"),
                Just(r"\p{Greek}"), Just("(?i)k"), Just("(?=x)"), Just(r"\1"), Just("("), Just("[z-a]"), Just(r"\R")
            ].prop_map(str::to_owned),
        ];
        leaf.prop_recursive(5, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
                proptest::collection::vec(inner.clone(), 1..4)
                    .prop_map(|parts| format!("(?:{})", parts.join("|"))),
                inner.clone().prop_map(|part| format!("({part})")),
                (
                    inner,
                    prop_oneof![
                        Just("*"),
                        Just("+?"),
                        Just("?"),
                        Just("{3}"),
                        Just("{0,40}"),
                        Just("{7,}"),
                        Just("{300}")
                    ]
                )
                    .prop_map(|(part, count)| format!("(?:{part}){count}")),
            ]
        })
    }

    proptest! {
        /// A text that passes can be compiled, one that does not cannot, and both say the same of it.
        #[test]
        fn to_check_says_what_to_compile_says(text in pattern(), grouped: bool) {
            match (check(&text, grouped), compile(&text, grouped)) {
                (Ok(checked), Ok(engine)) => {
                    prop_assert_eq!(checked.backtracks, matches!(engine, Engine::Backtracking(_)));
                    if checked.heavy.is_none() {
                        prop_assert!(engine.size() <= LIGHT_MOST, "{} bytes", engine.size());
                    }
                }
                (Err(checked), Err(compiled)) => prop_assert_eq!(checked, compiled),
                (checked, compiled) => {
                    prop_assert!(false, "{:?}, {:?}", checked.map(|_| ()), compiled.map(|_| ()));
                }
            }
        }

        #[test]
        fn the_weight_is_no_less_than_what_the_automaton_takes(text in pattern()) {
            let syntax = syntax::Config::new().unicode(false).utf8(false);
            let Ok((meant, Verdict::Linear(words, tree), _)) = read(&text, false) else { return Ok(()) };
            let Some(hir) = translated(&meant.text, &tree) else { return Ok(()) };
            for reverse in [false, true] {
                let config = NFA::config().reverse(reverse).utf8(false);
                if let Ok(nfa) = NFA::compiler().configure(config).syntax(syntax).build(&words) {
                    let weight = weight(&hir).saturating_add(meant.ends.len() * END + FIXED);
                    prop_assert!(nfa.states().len() <= weight, "{} > {weight}", nfa.states().len());
                }
            }
        }
    }

    /// What each automaton has beside its pattern.
    const FIXED: usize = 8;
    /// What a pattern takes at most that is compiled when it is first used.
    const LIGHT_MOST: usize = 512 * 1024;
}
