//! Where a reader of a pattern stands, and what it has written.
//!
//! It owns the text that is read and the one that is written, never what a character means. Next:
//! [`read`](mod@super::read), [`escape`](super::escape) and [`class`](super::class) take and write by it.

/// A pattern as it was read.
#[derive(Debug, Default)]
pub(crate) struct Meant {
    /// In the words of the engines; each `$` that is the end of the text, or the line end before it, is still a `$`.
    pub(crate) text: String,
    /// Where in `text` those are.
    pub(crate) ends: Vec<usize>,
    /// There is a `^` that also stands behind line ends, though not, as a linear engine has it, behind the last byte.
    pub(crate) line_begins: bool,
    /// The first capital that only a capital matches, and where it was written.
    pub(crate) capital: Option<(char, usize)>,
    /// Pairs of places, in `text` and in what was given.
    pub(super) places: Vec<(usize, usize)>,
}

impl Meant {
    /// Where in what was given a place of `text` comes from.
    pub(crate) fn given(&self, place: usize) -> usize {
        let after = self.places.partition_point(|(written, _)| *written <= place);
        let (written, given) =
            after.checked_sub(1).and_then(|at| self.places.get(at)).copied().unwrap_or_default();
        // Within what was copied as it stood every byte has its own place.
        let next = self.places.get(after).map_or(usize::MAX, |(_, given)| *given);
        (given + (place - written)).min(next.saturating_sub(1).max(given))
    }

    /// The text with each of its `ends` written in another way.
    pub(crate) fn with_ends(&self, end: &str) -> String {
        let mut written = String::with_capacity(self.text.len() + self.ends.len() * end.len());
        let mut from = 0;
        for at in &self.ends {
            written.push_str(self.text.get(from..*at).unwrap_or_default());
            written.push_str(end);
            from = at + 1;
        }
        written.push_str(self.text.get(from..).unwrap_or_default());
        written
    }
}

/// What is wrong, with its place.
pub(super) fn at(message: &str, place: usize) -> String {
    format!("{message} (at byte {place})")
}

/// Flags in force in a group.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) any_case: bool,
    pub(super) lines: bool,
    pub(super) spaced: bool,
}

pub(super) struct Reader<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
    pub(super) flags: Flags,
    /// The flags of the groups around.
    pub(super) outer: Vec<Flags>,
    pub(super) meant: Meant,
}

impl<'t> Reader<'t> {
    pub(super) fn place(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes what stands next, if it is that.
    pub(super) fn take(&mut self, expected: &str) -> bool {
        let is = self.rest().starts_with(expected);
        self.at += if is { expected.len() } else { 0 };
        is
    }

    /// Takes one character.
    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Takes as long as it is so, and at most so many.
    pub(super) fn take_while(&mut self, most: usize, is: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.chars().take(most).take_while(|next| is(*next)).map(char::len_utf8).sum();
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    pub(super) fn write(&mut self, text: &str) {
        self.meant.text.push_str(text);
    }

    /// One character that stands for itself.
    pub(super) fn write_literal(&mut self, literal: char) {
        if literal.is_ascii_control() || literal == ' ' {
            self.write_byte(literal as u8);
        } else {
            if literal.is_ascii_punctuation() && !matches!(literal, '<' | '>') {
                self.meant.text.push('\\');
            }
            self.meant.text.push(literal);
        }
    }

    pub(super) fn write_byte(&mut self, byte: u8) {
        self.meant.text.push_str(&format!("\\x{byte:02X}"));
    }

    pub(super) fn note_capital(&mut self, letter: char, place: usize) {
        if letter.is_ascii_uppercase() && !self.flags.any_case {
            self.meant.capital.get_or_insert((letter, place));
        }
    }

    /// Writes a `$` that is to be taken for the end of the text, or the line end before it.
    pub(super) fn write_end(&mut self) {
        self.meant.ends.push(self.meant.text.len());
        self.write("$");
    }
}
