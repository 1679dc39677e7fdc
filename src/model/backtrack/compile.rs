//! From a parsed pattern to a program.
//!
//! It owns the translation and the limit on its length, never the parsing (that is `fancy_regex`'s) or a search.
//! Nothing is written twice, however often it is repeated: a program is not much longer than its pattern. Next:
//! [`run`](super::run).

use fancy_regex::{Assertion, BacktrackingControlVerb, Error, Expr, LookAround};

use super::bytes::one_of;
use super::program::{Insn, Place, Program, Set};
use super::width::{first, is_anchored, width};

/// Most instructions. A pattern is at most 8 KiB, and few of its bytes make more than one.
const INSTRUCTIONS: usize = 16 * 1024;

/// Compiles a pattern as Perl means it, but for `\Z`, which is read as Perl's `$`.
///
/// # Errors
/// What is wrong with it and, where known, at which byte.
pub(crate) fn compile(text: &str) -> Result<Program, (String, Option<usize>)> {
    let tree = Expr::parse_tree_with_flags(text, 0).map_err(|error| match error {
        Error::ParseError(offset, problem) => (problem.to_string(), Some(offset)),
        other => (other.to_string(), None),
    })?;
    let mut compiler =
        Compiler { code: Vec::new(), sets: Vec::new(), groups: groups(&tree.expr), next: 0, slots: 0 };
    compiler.slots = 2 * (compiler.groups + 1);
    compiler.part(&tree.expr).map_err(|problem| (problem, None))?;
    compiler.put(Insn::Found).map_err(|problem| (problem, None))?;
    let first = match first(&tree.expr) {
        (set, false) => Some(set),
        (_, true) => None,
    };
    Ok(Program {
        code: compiler.code.into(),
        sets: compiler.sets.into(),
        groups: compiler.groups,
        slots: compiler.slots as usize,
        anchored: is_anchored(&tree.expr),
        first,
    })
}

/// How many groups there are.
fn groups(part: &Expr) -> u32 {
    let own = u32::from(matches!(part, Expr::Group(_)));
    own + part.children_iter().map(groups).sum::<u32>()
}

struct Compiler {
    code: Vec<Insn>,
    sets: Vec<Set>,
    groups: u32,
    /// Groups that were begun.
    next: u32,
    slots: u32,
}

type Done = Result<(), String>;

impl Compiler {
    fn put(&mut self, insn: Insn) -> Result<u32, String> {
        if self.code.len() >= INSTRUCTIONS {
            return Err(format!("is too large when compiled (more than {INSTRUCTIONS} instructions)"));
        }
        self.code.push(insn);
        Ok(self.here() - 1)
    }

    fn here(&self) -> u32 {
        self.code.len() as u32
    }

    /// Puts the place here into an instruction that was written before it was known.
    fn lead(&mut self, at: u32) {
        let here = self.here();
        match self.code.get_mut(at as usize) {
            Some(Insn::Split(_, to) | Insn::Jump(to)) => *to = here,
            Some(Insn::Count { exit, .. } | Insn::Idle { exit, .. } | Insn::Took { or: exit, .. }) => {
                *exit = here
            }
            _ => debug_assert!(false, "nothing that leads anywhere"),
        }
    }

    fn slot(&mut self) -> u32 {
        self.slots += 1;
        self.slots - 1
    }

    fn set(&mut self, set: Set) -> u32 {
        if let Some(known) = self.sets.iter().position(|known| *known == set) {
            return known as u32;
        }
        self.sets.push(set);
        self.sets.len() as u32 - 1
    }

    fn part(&mut self, part: &Expr) -> Done {
        match part {
            Expr::Empty | Expr::KeepOut => {}
            Expr::Literal { val, casei } => {
                for byte in val.bytes() {
                    self.byte(byte, *casei)?;
                }
            }
            Expr::LiteralBytes { bytes } => {
                for byte in bytes {
                    self.byte(*byte, false)?;
                }
            }
            Expr::Any { .. } | Expr::Delegate { .. } => {
                let set = one_of(part).ok_or_else(|| unsupported(part))?;
                let set = self.set(set);
                self.put(Insn::One(set))?;
            }
            Expr::Assertion(assertion) => {
                let place = place(*assertion).ok_or_else(|| unsupported(part))?;
                self.put(Insn::At(place))?;
            }
            Expr::ContinueFromPreviousMatchEnd => {
                self.put(Insn::At(Place::Begin))?;
            }
            Expr::GeneralNewline { .. } => self.line_end()?,
            Expr::Concat(parts) => parts.iter().try_for_each(|part| self.part(part))?,
            Expr::Alt(parts) => self.alternatives(parts)?,
            Expr::Group(inner) => {
                self.next += 1;
                let group = self.next;
                self.put(Insn::Save(2 * group))?;
                self.part(inner)?;
                self.put(Insn::Save(2 * group + 1))?;
            }
            Expr::LookAround(inner, kind) => self.look(inner, *kind)?,
            Expr::Repeat { child, lo, hi, greedy } => self.repeat(child, *lo, *hi, *greedy)?,
            Expr::Backref { group, casei } => {
                let group = self.group(*group)?;
                self.put(Insn::Again { group, any_case: *casei })?;
            }
            Expr::AtomicGroup(inner) => self.atomic(|it| it.part(inner))?,
            Expr::Conditional { condition, true_branch, false_branch } => {
                self.condition(condition, true_branch, false_branch)?;
            }
            Expr::BacktrackingControlVerb(BacktrackingControlVerb::Fail) => {
                self.put(Insn::Fail)?;
            }
            other => return Err(unsupported(other)),
        }
        Ok(())
    }

    fn group(&self, group: usize) -> Result<u32, String> {
        let number = u32::try_from(group).ok().filter(|number| (1..=self.groups).contains(number));
        number.ok_or_else(|| format!("there is no group {group}"))
    }

    fn byte(&mut self, byte: u8, any_case: bool) -> Done {
        if any_case && byte.is_ascii_alphabetic() {
            let set = self.set(Set::of(&[byte, byte ^ 0x20]));
            self.put(Insn::One(set))?;
        } else {
            self.put(Insn::Byte(byte))?;
        }
        Ok(())
    }

    /// `\R`: CR LF as one, or a line end of one byte.
    fn line_end(&mut self) -> Done {
        self.atomic(|it| {
            let split = it.put(Insn::Split(it.here() + 1, 0))?;
            it.byte(b'\r', false)?;
            it.byte(b'\n', false)?;
            let jump = it.put(Insn::Jump(0))?;
            it.lead(split);
            let set = it.set(Set::of(b"\n\x0b\x0c\r\x85"));
            it.put(Insn::One(set))?;
            it.lead(jump);
            Ok(())
        })
    }

    fn alternatives(&mut self, parts: &[Expr]) -> Done {
        let mut ends = Vec::new();
        if let Some((last, others)) = parts.split_last() {
            for part in others {
                let split = self.put(Insn::Split(self.here() + 1, 0))?;
                self.part(part)?;
                ends.push(self.put(Insn::Jump(0))?);
                self.lead(split);
            }
            self.part(last)?;
        }
        ends.into_iter().for_each(|end| self.lead(end));
        Ok(())
    }

    /// What comes of it is final: nothing in it is tried otherwise later.
    fn atomic(&mut self, inner: impl FnOnce(&mut Self) -> Done) -> Done {
        let mark = self.slot();
        self.put(Insn::Mark(mark))?;
        inner(self)?;
        self.put(Insn::Cut(mark))?;
        Ok(())
    }

    fn look(&mut self, inner: &Expr, kind: LookAround) -> Done {
        match kind {
            LookAround::LookAhead => {
                let place = self.slot();
                self.put(Insn::Save(place))?;
                self.atomic(|it| it.part(inner))?;
                self.put(Insn::Return(place))?;
            }
            LookAround::LookBehind => self.atomic(|it| it.behind(inner))?,
            LookAround::LookAheadNeg => self.never(|it| it.part(inner))?,
            LookAround::LookBehindNeg => self.never(|it| it.behind(inner))?,
        }
        Ok(())
    }

    /// Goes on where it stands if nothing comes of `inner`.
    fn never(&mut self, inner: impl FnOnce(&mut Self) -> Done) -> Done {
        let mark = self.slot();
        self.put(Insn::Mark(mark))?;
        let split = self.put(Insn::Split(self.here() + 1, 0))?;
        inner(self)?;
        self.put(Insn::Undo(mark))?;
        self.lead(split);
        Ok(())
    }

    /// What ends here.
    fn behind(&mut self, inner: &Expr) -> Done {
        if let Expr::Alt(parts) = inner {
            let mut ends = Vec::new();
            for (index, part) in parts.iter().enumerate() {
                let split = if index + 1 < parts.len() {
                    Some(self.put(Insn::Split(self.here() + 1, 0))?)
                } else {
                    None
                };
                self.behind(part)?;
                ends.push(self.put(Insn::Jump(0))?);
                split.into_iter().for_each(|split| self.lead(split));
            }
            ends.into_iter().for_each(|end| self.lead(end));
            return Ok(());
        }
        let number = |width: usize| u32::try_from(width).map_err(|_| "looks too far behind".to_owned());
        match width(inner) {
            (low, Some(high)) if low == high => {
                self.put(Insn::Back(number(low)?))?;
                self.part(inner)
            }
            (low, high) => {
                let (place, counter) = (self.slot(), self.slot());
                self.put(Insn::Save(place))?;
                self.put(Insn::Set(counter, number(low)?))?;
                let high = high.map_or(Ok(u32::MAX), number)?;
                let head = self.put(Insn::Within { slot: counter, high })?;
                let split = self.put(Insn::Split(self.here() + 1, 0))?;
                self.put(Insn::Reach(counter))?;
                self.part(inner)?;
                self.put(Insn::IsAt(place))?;
                let end = self.put(Insn::Jump(0))?;
                self.lead(split);
                self.put(Insn::Add(counter))?;
                self.put(Insn::Jump(head))?;
                self.lead(end);
                Ok(())
            }
        }
    }

    fn repeat(&mut self, child: &Expr, low: usize, high: usize, greedy: bool) -> Done {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let (low, high) = (number(low), number(high));
        if let Some(set) = one_of(child) {
            let set = self.set(set);
            self.put(Insn::Run { set, low, high, greedy })?;
            return Ok(());
        }
        if (low, high) == (1, 1) {
            return self.part(child);
        }
        let (counter, place) = (self.slot(), self.slot());
        self.put(Insn::Set(counter, 0))?;
        let head = self.put(Insn::Count { slot: counter, low, high, greedy, exit: 0 })?;
        self.put(Insn::Add(counter))?;
        // A round that takes nothing would be followed by more of them.
        let idle = width(child).0 == 0;
        if idle {
            self.put(Insn::Save(place))?;
        }
        self.part(child)?;
        let idle = if idle { Some(self.put(Insn::Idle { slot: place, exit: 0 })?) } else { None };
        self.put(Insn::Jump(head))?;
        self.lead(head);
        idle.into_iter().for_each(|idle| self.lead(idle));
        Ok(())
    }

    fn condition(&mut self, condition: &Expr, yes: &Expr, no: &Expr) -> Done {
        let other = match condition {
            Expr::BackrefExistsCondition { group, relative_recursion_level: None } => {
                let group = self.group(*group)?;
                self.put(Insn::Took { group, or: 0 })?
            }
            other => return Err(unsupported(other)),
        };
        self.part(yes)?;
        let end = self.put(Insn::Jump(0))?;
        self.lead(other);
        self.part(no)?;
        self.lead(end);
        Ok(())
    }
}

fn place(assertion: Assertion) -> Option<Place> {
    Some(match assertion {
        Assertion::StartText => Place::Begin,
        Assertion::EndText => Place::End,
        Assertion::EndTextIgnoreTrailingNewlines { crlf: false } => Place::LastLineEnd,
        Assertion::StartLine { crlf: false } => Place::LineBegin,
        Assertion::EndLine { crlf: false } => Place::LineEnd,
        Assertion::WordBoundary => Place::WordEdge(true),
        Assertion::NotWordBoundary => Place::WordEdge(false),
        _ => return None,
    })
}

/// What it is in the words of the operator.
fn unsupported(part: &Expr) -> String {
    match part {
        Expr::Delegate { inner, .. } => {
            format!(
                "{inner} is of characters, and beside look-around and the like a pattern is of bytes only"
            )
        }
        Expr::SubroutineCall(_) => "calls a group, which is not supported".to_owned(),
        Expr::BacktrackingControlVerb(_) => "holds a verb that is not supported".to_owned(),
        _ => "holds something that is not supported".to_owned(),
    }
}
