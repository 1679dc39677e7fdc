//! What a backtracking pattern is compiled to.
//!
//! It owns the instructions and the sets of bytes, never a search. Next: [`compile`](mod@super::compile) writes them,
//! [`run`](super::run) follows them.

/// A set of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Set([u64; 4]);

impl Set {
    pub(crate) const NONE: Set = Set([0; 4]);
    pub(crate) const ALL: Set = Set([u64::MAX; 4]);

    pub(crate) fn of(bytes: &[u8]) -> Set {
        let mut set = Set::NONE;
        bytes.iter().for_each(|byte| set.add(*byte));
        set
    }

    pub(crate) fn add(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    pub(crate) fn not(self) -> Set {
        Set(self.0.map(|word| !word))
    }

    pub(crate) fn or(self, other: Set) -> Set {
        let mut words = self.0;
        words.iter_mut().zip(other.0).for_each(|(word, more)| *word |= more);
        Set(words)
    }

    #[inline]
    pub(crate) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0
    }
}

/// Where the search stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// `\A`, `^`
    Begin,
    /// `\z`
    End,
    /// `\Z`, `$`: at the end, or before the line end that is the last byte.
    LastLineEnd,
    /// `(?m)^`
    LineBegin,
    /// `(?m)$`
    LineEnd,
    /// `\b` (true) and `\B`
    WordEdge(bool),
}

/// One step. Places in the program are numbers of instructions, places in the text are kept in slots.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Insn {
    Byte(u8),
    /// One byte of the set.
    One(u32),
    /// As many bytes of the set as there are, or (not greedy) as few as will do: from `low` to `high`.
    Run {
        set: u32,
        low: u32,
        high: u32,
        greedy: bool,
    },
    At(Place),
    /// Goes to the first; to the second when nothing comes of it.
    Split(u32, u32),
    Jump(u32),
    /// Keeps the place in the text.
    Save(u32),
    /// Goes back to a place that was kept.
    Return(u32),
    /// Goes on only where the text is at the place that was kept.
    IsAt(u32),
    /// Goes to `exit` when nothing was read since the place was kept.
    Idle {
        slot: u32,
        exit: u32,
    },
    /// Sets a counter.
    Set(u32, u32),
    /// Adds one to a counter.
    Add(u32),
    /// Goes on to another round of a loop, or to `exit`.
    Count {
        slot: u32,
        low: u32,
        high: u32,
        greedy: bool,
        exit: u32,
    },
    /// Keeps how much there is to come back to.
    Mark(u32),
    /// Forgets all that there was to come back to since.
    Cut(u32),
    /// Undoes all since the mark, and fails.
    Undo(u32),
    /// Goes back by so many bytes.
    Back(u32),
    /// Goes on as long as the counter is no more than `high`, nor than what lies behind.
    Within {
        slot: u32,
        high: u32,
    },
    /// Goes back by as many bytes as the counter says.
    Reach(u32),
    /// The bytes of a group once more.
    Again {
        group: u32,
        any_case: bool,
    },
    /// Goes to `or` where the group has taken no part.
    Took {
        group: u32,
        or: u32,
    },
    Fail,
    Found,
}

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) code: Box<[Insn]>,
    pub(crate) sets: Box<[Set]>,
    pub(crate) groups: u32,
    /// Two for each group, the whole match first; then what loops and look-around need.
    pub(crate) slots: usize,
    /// It can match at the beginning only.
    pub(crate) anchored: bool,
    /// What a match can begin with, if that is known.
    pub(crate) first: Option<Set>,
}

impl Program {
    /// Memory that it takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        size_of_val(&*self.code) + size_of_val(&*self.sets) + size_of::<Program>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_each_byte_or_do_not() {
        let set = Set::of(b"\x00a\x7f\x80\xff");
        let held: Vec<u8> = (0..=255).filter(|byte| set.has(*byte)).collect();
        assert_eq!(held, b"\x00a\x7f\x80\xff");
        let others = set.not();
        assert!((0..=255).all(|byte| set.has(byte) != others.has(byte)));
        assert_eq!(set.or(others), Set::ALL);
        assert_eq!(Set::ALL.not(), Set::NONE);
    }
}
