//! A search by trying, step by step, within a budget.
//!
//! It owns the walk through a program and what it comes back to, never the program. A step looks at one byte, or at up
//! to [`STRIDE`] of a run; so the budget bounds the time, whatever the pattern and the text. Nothing is allocated once
//! the memory has grown. Next: [`engines`](super::super::engines) gives budget and memory.

use std::ops::Range;

use super::program::{Insn, Place, Program};

/// Bytes of a run that are looked at in one step: they cost less than a step otherwise does.
const STRIDE: usize = 8;
/// Most that a search can come back to, in entries of 16 bytes: a worker keeps 512 KiB at most for it.
const STACK: usize = 32 * 1024;
/// A slot with nothing in it.
const UNSET: u32 = u32::MAX;

/// The budget or the memory was not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GivenUp;

/// What searches need; one after the other may use it.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    slots: Vec<u32>,
    stack: Vec<Frame>,
}

/// What there is to come back to.
#[derive(Debug, Clone, Copy)]
enum Frame {
    /// Another way.
    Way { pc: u32, at: u32 },
    /// What a slot held before.
    Held { slot: u32, value: u32 },
    /// A run that was taken up to `at`, and can be shorter, down to `low`.
    Shorter { pc: u32, at: u32, low: u32 },
    /// A run that was taken up to `at`, and can be longer, up to `high`.
    Longer { pc: u32, at: u32, high: u32 },
}

impl Memory {
    /// Where a group lies in the match that was found.
    pub(crate) fn group(&self, program: &Program, number: u32) -> Option<Range<usize>> {
        let place = |slot: u32| self.slots.get(slot as usize).copied().filter(|place| *place != UNSET);
        let number = Some(number).filter(|number| *number <= program.groups)?;
        let (begin, end) = (place(2 * number)?, place(2 * number + 1)?);
        (begin <= end).then_some(begin as usize..end as usize)
    }
}

impl Program {
    /// Whether it matches anywhere in the text, which is shorter than 4 GiB. What it takes is taken from `budget`.
    ///
    /// # Errors
    /// When the budget is spent: then it is not known.
    pub(crate) fn search(&self, text: &[u8], memory: &mut Memory, budget: &mut u32) -> Result<bool, GivenUp> {
        memory.slots.clear();
        memory.slots.resize(self.slots, UNSET);
        memory.stack.clear();
        let mut search = Search { program: self, text, memory, budget };
        let mut begin = 0;
        loop {
            if let Some(first) = &self.first {
                let rest = text.get(begin..).unwrap_or_default();
                let skipped = rest.iter().position(|byte| first.has(*byte));
                search.spend(1 + skipped.unwrap_or(rest.len()) / STRIDE)?;
                let Some(skipped) = skipped else { return Ok(false) };
                if self.anchored && skipped > 0 {
                    return Ok(false);
                }
                begin += skipped;
            }
            if search.from(begin as u32)? {
                return Ok(true);
            }
            if self.anchored || begin >= text.len() {
                return Ok(false);
            }
            begin += 1;
        }
    }
}

struct Search<'s> {
    program: &'s Program,
    text: &'s [u8],
    memory: &'s mut Memory,
    budget: &'s mut u32,
}

impl Search<'_> {
    #[inline]
    fn spend(&mut self, steps: usize) -> Result<(), GivenUp> {
        match self.budget.checked_sub(u32::try_from(steps).unwrap_or(u32::MAX)) {
            Some(rest) => *self.budget = rest,
            None => {
                *self.budget = 0;
                return Err(GivenUp);
            }
        }
        Ok(())
    }

    /// Whether it matches just there. If it does not, all slots are as they were.
    fn from(&mut self, begin: u32) -> Result<bool, GivenUp> {
        let (mut pc, mut at) = (0, begin);
        loop {
            self.spend(1)?;
            let Some(insn) = self.program.code.get(pc as usize).copied() else { return Ok(false) };
            if matches!(insn, Insn::Found) {
                return Ok(true);
            }
            match self.step(insn, pc, at)? {
                Some(next) => (pc, at) = next,
                None => match self.back()? {
                    Some(next) => (pc, at) = next,
                    None => return Ok(false),
                },
            }
        }
    }

    /// Where it goes on; `None`: nothing comes of it.
    fn step(&mut self, insn: Insn, pc: u32, at: u32) -> Result<Option<(u32, u32)>, GivenUp> {
        let next = pc + 1;
        let on = |yes: bool| Ok(yes.then_some((next, at)));
        match insn {
            Insn::Byte(byte) => Ok((self.byte(at) == Some(byte)).then_some((next, at + 1))),
            Insn::One(set) => Ok(self.is_one(set, at).then_some((next, at + 1))),
            Insn::Run { set, low, high, greedy } => self.run(next, at, set, (low, high), greedy),
            Insn::At(place) => on(self.is_at(place, at as usize)),
            Insn::Split(first, second) => {
                self.push(Frame::Way { pc: second, at })?;
                Ok(Some((first, at)))
            }
            Insn::Jump(to) => Ok(Some((to, at))),
            Insn::Save(slot) => {
                self.set(slot, at)?;
                on(true)
            }
            Insn::Return(slot) => Ok(Some((next, self.slot(slot)))),
            Insn::IsAt(slot) => on(self.slot(slot) == at),
            Insn::Idle { slot, exit } => Ok(Some((if self.slot(slot) == at { exit } else { next }, at))),
            Insn::Set(slot, value) => {
                self.set(slot, value)?;
                on(true)
            }
            Insn::Add(slot) => {
                self.set(slot, self.slot(slot).wrapping_add(1))?;
                on(true)
            }
            Insn::Count { slot, low, high, greedy, exit } => {
                let rounds = self.slot(slot);
                if rounds >= high {
                    return Ok(Some((exit, at)));
                }
                if rounds < low {
                    return on(true);
                }
                let (now, later) = if greedy { (next, exit) } else { (exit, next) };
                self.push(Frame::Way { pc: later, at })?;
                Ok(Some((now, at)))
            }
            Insn::Mark(slot) => {
                self.set(slot, self.memory.stack.len() as u32 + 1)?;
                on(true)
            }
            Insn::Cut(slot) => {
                self.cut(slot)?;
                on(true)
            }
            Insn::Undo(slot) => {
                self.undo(self.slot(slot) as usize);
                Ok(None)
            }
            Insn::Back(bytes) => Ok(at.checked_sub(bytes).map(|at| (next, at))),
            Insn::Within { slot, high } => on(self.slot(slot) <= high.min(at)),
            Insn::Reach(slot) => Ok(at.checked_sub(self.slot(slot)).map(|at| (next, at))),
            Insn::Again { group, any_case } => Ok(self.again(at, group, any_case)?.map(|end| (next, end))),
            Insn::Took { group, or } => {
                let took = self.memory.group(self.program, group).is_some();
                Ok(Some((if took { next } else { or }, at)))
            }
            Insn::Fail | Insn::Found => Ok(None),
        }
    }

    /// Where the bytes of a group end that stand here once more.
    fn again(&mut self, at: u32, group: u32, any_case: bool) -> Result<Option<u32>, GivenUp> {
        let Some(bytes) = self.memory.group(self.program, group) else { return Ok(None) };
        self.spend(bytes.len() / STRIDE)?;
        let end = at as usize + bytes.len();
        let is_same = match self.text.get(bytes).zip(self.text.get(at as usize..end)) {
            Some((said, now)) => said == now || (any_case && said.eq_ignore_ascii_case(now)),
            None => false,
        };
        Ok(is_same.then_some(end as u32))
    }

    fn byte(&self, at: u32) -> Option<u8> {
        self.text.get(at as usize).copied()
    }

    fn is_one(&self, set: u32, at: u32) -> bool {
        let set = self.program.sets.get(set as usize);
        set.zip(self.byte(at)).is_some_and(|(set, byte)| set.has(byte))
    }

    fn is_at(&self, place: Place, at: usize) -> bool {
        let word =
            |at: usize| self.text.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        let rest = self.text.get(at..).unwrap_or_default();
        match place {
            Place::Begin => at == 0,
            Place::End => rest.is_empty(),
            Place::LastLineEnd => matches!(rest, [] | [b'\n']),
            Place::LineBegin => match at.checked_sub(1) {
                Some(before) => self.text.get(before) == Some(&b'\n') && !rest.is_empty(),
                None => true,
            },
            Place::LineEnd => matches!(rest, [] | [b'\n', ..]),
            Place::WordEdge(edge) => (at.checked_sub(1).is_some_and(word) != word(at)) == edge,
        }
    }

    fn slot(&self, slot: u32) -> u32 {
        self.memory.slots.get(slot as usize).copied().unwrap_or(UNSET)
    }

    fn set(&mut self, slot: u32, value: u32) -> Result<(), GivenUp> {
        let before = self.slot(slot);
        self.push(Frame::Held { slot, value: before })?;
        self.hold(slot, value);
        Ok(())
    }

    fn push(&mut self, frame: Frame) -> Result<(), GivenUp> {
        if self.memory.stack.len() >= STACK {
            return Err(GivenUp);
        }
        self.memory.stack.push(frame);
        Ok(())
    }

    /// A run of bytes of one set.
    fn run(
        &mut self,
        next: u32,
        at: u32,
        set: u32,
        (low, high): (u32, u32),
        greedy: bool,
    ) -> Result<Option<(u32, u32)>, GivenUp> {
        let rest = self.text.get(at as usize..).unwrap_or_default();
        let most = rest.len().min(if greedy { high as usize } else { low as usize });
        let Some(set) = self.program.sets.get(set as usize) else { return Ok(None) };
        let taken = rest.iter().take(most).position(|byte| !set.has(*byte)).unwrap_or(most);
        self.spend(taken / STRIDE)?;
        if taken < low as usize {
            return Ok(None);
        }
        let (end, least) = (at + taken as u32, at + low);
        if greedy && end > least {
            self.push(Frame::Shorter { pc: next, at: end, low: least })?;
        } else if !greedy && high > low {
            let high = u32::try_from(self.text.len()).unwrap_or(UNSET).min(at.saturating_add(high));
            self.push(Frame::Longer { pc: next, at: end, high })?;
        }
        Ok(Some((next, end)))
    }

    /// The last of what there is to come back to. All that was kept since is undone.
    fn back(&mut self) -> Result<Option<(u32, u32)>, GivenUp> {
        while let Some(frame) = self.memory.stack.pop() {
            match frame {
                Frame::Way { pc, at } => return Ok(Some((pc, at))),
                Frame::Held { slot, value } => self.hold(slot, value),
                Frame::Shorter { pc, at, low } => {
                    if let Some(at) = self.shorter(pc, at, low)? {
                        return Ok(Some((pc, at)));
                    }
                }
                Frame::Longer { pc, at, high } => {
                    let run = pc.checked_sub(1).and_then(|run| self.program.code.get(run as usize)).copied();
                    if let Some(Insn::Run { set, .. }) = run
                        && at < high
                        && self.is_one(set, at)
                    {
                        self.push(Frame::Longer { pc, at: at + 1, high })?;
                        return Ok(Some((pc, at + 1)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// A run that ends before `at`, where what follows it can begin.
    fn shorter(&mut self, pc: u32, at: u32, low: u32) -> Result<Option<u32>, GivenUp> {
        let end = match self.program.code.get(pc as usize) {
            Some(Insn::Byte(byte)) => {
                let ends = self.text.get(low as usize..at as usize).unwrap_or_default();
                let found = memchr::memrchr(*byte, ends);
                self.spend((ends.len() - found.unwrap_or_default()) / STRIDE)?;
                found.map(|found| low + found as u32)
            }
            _ => Some(at - 1),
        };
        if let Some(at) = end.filter(|at| *at > low) {
            self.push(Frame::Shorter { pc, at, low })?;
        }
        Ok(end)
    }

    fn hold(&mut self, slot: u32, value: u32) {
        if let Some(held) = self.memory.slots.get_mut(slot as usize) {
            *held = value;
        }
    }

    /// Forgets the ways since the mark, but not what slots held before: it is undone with what comes before the mark.
    fn cut(&mut self, slot: u32) -> Result<(), GivenUp> {
        let mark = self.slot(slot) as usize;
        let stack = &mut self.memory.stack;
        let (mut kept, length) = (mark, stack.len());
        for at in mark..length {
            if let Some(held @ Frame::Held { .. }) = stack.get(at).copied()
                && let Some(place) = stack.get_mut(kept)
            {
                *place = held;
                kept += 1;
            }
        }
        stack.truncate(kept.max(mark));
        self.spend(length.saturating_sub(mark) / STRIDE)
    }

    /// Undoes all since the mark.
    fn undo(&mut self, mark: usize) {
        while self.memory.stack.len() > mark {
            if let Some(Frame::Held { slot, value }) = self.memory.stack.pop() {
                self.hold(slot, value);
            }
        }
    }
}
