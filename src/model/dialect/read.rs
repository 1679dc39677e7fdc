//! Reads a pattern as Perl does, and writes it down so that both engines mean the same by it.
//!
//! It owns the walk through the text (groups, flags, comments, quantifiers, `$`), never whether the whole is a pattern:
//! the engines' parsers say that. A text that would be read in another way than Perl does is worse than one that is
//! refused: it would match something else than it did before. Next: [`escape`] and [`class`] for what lies in between,
//! `judge` for which engine can take it.

use super::reader::{Flags, Meant, Reader, at};
use super::{class, escape};

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

impl Reader<'_> {
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
