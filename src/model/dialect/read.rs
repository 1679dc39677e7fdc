//! Reads a pattern as Perl does, and writes it down so that both engines mean the same by it.
//!
//! It owns the walk through the text (groups, flags, comments, quantifiers, `$`), never whether the whole is a pattern:
//! the engines' parsers say that. A text that would be read in another way than Perl does is worse than one that is
//! refused: it would match something else than it did before. Next: `escape` and `class` for what lies in between,
//! `judge` for which engine can take it.

use super::{class, escape};

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
    places: Vec<(usize, usize)>,
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
struct Flags {
    any_case: bool,
    lines: bool,
    spaced: bool,
}

/// Reads a pattern.
///
/// # Errors
/// What cannot be taken, and at which byte.
pub(crate) fn read(text: &str) -> Result<Meant, String> {
    let mut reader =
        Reader { text, at: 0, flags: Flags::default(), outer: Vec::new(), meant: Meant::default() };
    while let Some(next) = reader.peek() {
        reader.meant.places.push((reader.meant.text.len(), reader.at));
        reader.token(next)?;
    }
    Ok(reader.meant)
}

pub(super) struct Reader<'t> {
    text: &'t str,
    at: usize,
    flags: Flags,
    /// The flags of the groups around.
    outer: Vec<Flags>,
    meant: Meant,
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

    fn token(&mut self, next: char) -> Result<(), String> {
        let begin = self.at;
        match next {
            '\\' => return escape::outside(self),
            '[' => return class::class(self),
            '(' => return self.open(),
            ')' => self.flags = self.outer.pop().unwrap_or_default(),
            '$' if !self.flags.lines => {
                self.at += 1;
                self.write_end();
                return Ok(());
            }
            '^' if self.flags.lines => self.meant.line_begins = true,
            '#' if self.flags.spaced => {
                let comment = self.take_while(usize::MAX, |next| next != '\n');
                self.write(comment);
                return Ok(());
            }
            '{' => return self.brace(),
            '}' | ']' => {
                self.at += 1;
                self.write_literal(next);
                return Ok(());
            }
            letter => self.note_capital(letter, begin),
        }
        self.next();
        self.write(self.text.get(begin..self.at).unwrap_or_default());
        Ok(())
    }

    /// `{`: a count, or itself.
    fn brace(&mut self) -> Result<(), String> {
        let begin = self.at;
        self.at += 1;
        let low = self.take_while(usize::MAX, |next| next.is_ascii_digit());
        let more = self.take(",");
        let high = self.take_while(usize::MAX, |next| next.is_ascii_digit());
        let is_count = self.take("}") && (!low.is_empty() || (more && !high.is_empty()));
        if is_count && low.is_empty() {
            return Err(at("write {0,n}, or \\{ for a brace: not every Perl reads {,n} as a count", begin));
        }
        if is_count {
            self.write(self.text.get(begin..self.at).unwrap_or_default());
        } else {
            self.at = begin + 1;
            self.write("\\{");
        }
        Ok(())
    }

    /// `(` and what may follow it.
    fn open(&mut self) -> Result<(), String> {
        let begin = self.at;
        if self.take("(?#") {
            self.take_while(usize::MAX, |next| next != ')');
            return if self.take(")") { Ok(()) } else { Err(at("unclosed comment", begin)) };
        }
        self.at += 1;
        if !self.take("?") {
            self.outer.push(self.flags);
            self.write("(");
            return Ok(());
        }
        for (given, written) in [
            ("<=", "(?<="),
            ("<!", "(?<!"),
            ("=", "(?="),
            ("!", "(?!"),
            (">", "(?>"),
            (":", "(?:"),
            ("(", "(?("),
        ] {
            if self.take(given) {
                self.outer.push(self.flags);
                if given == "(" {
                    return self.condition(begin);
                }
                self.write(written);
                return Ok(());
            }
        }
        let names = [("P<", ">"), ("<", ">"), ("'", "'")];
        for (open, close) in names {
            if self.take(open) {
                let name = self.take_while(usize::MAX, |next| next.is_ascii_alphanumeric() || next == '_');
                if name.is_empty() || !self.take(close) {
                    return Err(at("a group's name is letters, digits and _", begin));
                }
                self.outer.push(self.flags);
                self.write(&format!("(?<{name}>"));
                return Ok(());
            }
        }
        if self.take("P=") {
            let name = self.take_while(usize::MAX, |next| next != ')');
            self.write(&format!("\\k<{name}>"));
            return if self.take(")") { Ok(()) } else { Err(at("unclosed group", begin)) };
        }
        self.set_flags(begin)
    }

    /// `(?(`: a number or a name of a group.
    fn condition(&mut self, begin: usize) -> Result<(), String> {
        let group = self.take_while(usize::MAX, |next| next != ')');
        if group.starts_with(['?', '*', 'R']) || !self.take(")") {
            return Err(at("a condition must be a group", begin));
        }
        self.write(&format!("(?({group})"));
        Ok(())
    }

    /// `(?i)`, `(?i:`, `(?^i:`.
    fn set_flags(&mut self, begin: usize) -> Result<(), String> {
        let (outer, reset) = (self.flags, self.take("^"));
        if reset {
            self.flags = Flags::default();
        }
        let (mut on, mut off, mut negative) = (String::new(), String::new(), false);
        loop {
            let place = self.at;
            let next = self.next();
            match next {
                Some(flag @ ('i' | 'm' | 's' | 'x')) => {
                    match flag {
                        'i' => self.flags.any_case = !negative,
                        'm' => self.flags.lines = !negative,
                        'x' => self.flags.spaced = !negative,
                        _ => {}
                    }
                    let (to, other) = if negative { (&mut off, &mut on) } else { (&mut on, &mut off) };
                    if to.contains(flag) {
                        return Err(at(&format!("the flag {flag} is there twice"), place));
                    }
                    other.retain(|known| known != flag);
                    to.push(flag);
                }
                // Patterns are of bytes anyhow.
                Some('a') if !negative => {}
                Some('-') if !negative && !reset => negative = true,
                Some(':') => {
                    self.outer.push(outer);
                    break;
                }
                Some(')') => break,
                Some('R' | '&' | '0'..='9' | '+' | 'P') => {
                    return Err(at("calling a group is not supported", begin));
                }
                Some(other) => return Err(at(&format!("(?{other} is not supported"), begin)),
                None => return Err(at("unclosed group", begin)),
            }
        }
        if reset {
            off.extend("imsx".chars().filter(|flag| !on.contains(*flag)));
        }
        let end = self.text.get(self.at - 1..self.at).unwrap_or_default();
        let off = if off.is_empty() { off } else { format!("-{off}") };
        if on.is_empty() && off.is_empty() {
            self.write(if end == ":" { "(?:" } else { "" });
        } else {
            self.write(&format!("(?{on}{off}{end}"));
        }
        Ok(())
    }
}
