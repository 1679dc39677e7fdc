//! Which engine can take a pattern that was read.
//!
//! It owns the question what a linear engine cannot say: look-around and the like, and a `$` behind which more is read.
//! Next: [`pattern`](super::super::pattern) asks, and compiles.

use regex_syntax::ast::{self, Ast, ErrorKind, GroupKind, RepetitionKind, RepetitionRange};

use super::reader::{Meant, at};

/// Perl's `$` where nothing is read behind it: it may then take the line end that it stands before.
const LAST: &str = r"(?:\n?\z)";

/// What to do with a pattern.
pub(crate) enum Verdict {
    /// A linear engine takes it for what Perl means, in these words; that is their tree, but for what stands for each `$`.
    Linear(String, Box<Ast>),
    /// Only a backtracking engine does, in these.
    Backtracking(String),
}

/// Judges. `grouped`: it is asked where the first group lies, which then must not take more than in Perl.
///
/// # Errors
/// What no engine can read, and at which byte of what was given.
pub(crate) fn judge(meant: &Meant, grouped: bool) -> Result<Verdict, String> {
    let backtracking = || Verdict::Backtracking(meant.with_ends(r"\Z"));
    let tree = match ast::parse::Parser::new().parse(&meant.text) {
        Ok(tree) => tree,
        Err(error) => {
            return match error.kind() {
                ErrorKind::UnsupportedLookAround
                | ErrorKind::UnsupportedBackreference
                // `\k<1>`, `(?>a)`, `(?(1)a)`
                | ErrorKind::EscapeUnrecognized
                | ErrorKind::FlagUnrecognized => Ok(backtracking()),
                kind => Err(at(&kind.to_string(), meant.given(error.span().start.offset))),
            };
        }
    };
    if meant.line_begins {
        return Ok(backtracking());
    }
    let mut ends = Vec::new();
    let mut walk = Last { meant, grouped, ends: &mut ends };
    if !walk.part(&tree, true, false) {
        return Ok(backtracking());
    }
    // All that are there lie where nothing follows.
    let all = ends.len() == meant.ends.len();
    Ok(if all { Verdict::Linear(meant.with_ends(LAST), Box::new(tree)) } else { backtracking() })
}

/// Walks through a pattern.
struct Last<'m> {
    meant: &'m Meant,
    grouped: bool,
    /// Those behind which nothing is read.
    ends: &'m mut Vec<usize>,
}

impl Last<'_> {
    /// False: it holds what a linear engine reads otherwise. `last`: nothing is read behind this part. `first`: it lies
    /// within the first group.
    fn part(&mut self, part: &Ast, last: bool, first: bool) -> bool {
        match part {
            Ast::Assertion(assertion) => {
                let place = assertion.span.start.offset;
                if last && !(self.grouped && first) && self.is_end(place) {
                    self.ends.push(place);
                }
                true
            }
            Ast::Concat(concat) => {
                let mut last = last;
                // From the end: what stands behind decides. Another `$` there reads nothing.
                concat.asts.iter().rev().all(|part| {
                    let is_sound = self.part(part, last, first);
                    last &= match part {
                        Ast::Empty(_) | Ast::Flags(_) => true,
                        Ast::Assertion(assertion) => self.is_end(assertion.span.start.offset),
                        _ => false,
                    };
                    is_sound
                })
            }
            Ast::Alternation(alternation) => alternation.asts.iter().all(|part| self.part(part, last, first)),
            Ast::Group(group) => {
                let is_first = match &group.kind {
                    GroupKind::CaptureIndex(index) => *index == 1,
                    GroupKind::CaptureName { name, .. } => name.index == 1,
                    GroupKind::NonCapturing(_) => false,
                };
                self.part(&group.ast, last, first || is_first)
            }
            // `a++` repeats the repetition here, and is possessive in Perl.
            Ast::Repetition(outer) if matches!(*outer.ast, Ast::Repetition(_)) => false,
            // After a round that takes something Perl has one that takes nothing, and the group is then empty.
            Ast::Repetition(outer) if self.grouped && !is_once(outer) && takes_nothing(&outer.ast) => false,
            Ast::Repetition(outer) => self.part(&outer.ast, last && is_once(outer), first),
            _ => true,
        }
    }

    fn is_end(&self, place: usize) -> bool {
        self.meant.ends.binary_search(&place).is_ok()
    }
}

/// Whether there is no second round.
fn is_once(repetition: &ast::Repetition) -> bool {
    matches!(
        repetition.op.kind,
        RepetitionKind::ZeroOrOne
            | RepetitionKind::Range(RepetitionRange::Bounded(_, 0 | 1) | RepetitionRange::Exactly(0 | 1))
    )
}

/// Whether a part can match without reading anything.
fn takes_nothing(part: &Ast) -> bool {
    match part {
        Ast::Empty(_) | Ast::Flags(_) | Ast::Assertion(_) => true,
        Ast::Concat(concat) => concat.asts.iter().all(takes_nothing),
        Ast::Alternation(alternation) => alternation.asts.iter().any(takes_nothing),
        Ast::Group(group) => takes_nothing(&group.ast),
        Ast::Repetition(repetition) => {
            let none = match &repetition.op.kind {
                RepetitionKind::ZeroOrOne | RepetitionKind::ZeroOrMore => true,
                RepetitionKind::OneOrMore => false,
                RepetitionKind::Range(
                    RepetitionRange::Exactly(low)
                    | RepetitionRange::AtLeast(low)
                    | RepetitionRange::Bounded(low, _),
                ) => *low == 0,
            };
            none || takes_nothing(&repetition.ast)
        }
        _ => false,
    }
}
