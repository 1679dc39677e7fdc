//! What stands between `[` and `]`.
//!
//! It owns the members of a class as Perl counts them: `[`, `&&` and `~~` are nothing special there. Next: [`escape`].

use super::escape::{self, Escape};
use super::reader::{Reader, at};

/// Reads a class from its `[` to its `]`.
pub(super) fn class(reader: &mut Reader<'_>) -> Result<(), String> {
    let begin = reader.place();
    reader.take("[");
    reader.write("[");
    let negative = reader.take("^");
    reader.write(if negative { "^" } else { "" });
    // A class of capitals only; what else is in it may match.
    let (mut capital, mut others) = (None, negative);
    let mut is_first = true;
    loop {
        let place = reader.place();
        let Some(next) = reader.peek() else { return Err(at("unclosed character class", begin)) };
        match next {
            ']' if !is_first => {
                reader.next();
                reader.write("]");
                break;
            }
            '[' if posix(reader) => others = true,
            '\\' => others |= member(reader)?,
            '-' => {
                reader.next();
                if reader.rest().starts_with('-') {
                    return Err(at("inside [...] put a backslash before a - that is no range", place));
                }
                // The first and the last stand for themselves.
                let is_last = reader.rest().starts_with(']');
                reader.write(if is_first || is_last { "\\-" } else { "-" });
                others |= is_first || is_last;
            }
            other => {
                reader.next();
                if other.is_ascii_uppercase() {
                    capital.get_or_insert((other, place));
                } else {
                    others = true;
                }
                reader.write_literal(other);
            }
        }
        is_first = false;
    }
    if let (Some((letter, place)), false) = (capital, others) {
        reader.note_capital(letter, place);
    }
    Ok(())
}

/// `[:alpha:]`, `[:^alpha:]`; another `[` stands for itself.
fn posix(reader: &mut Reader<'_>) -> bool {
    let rest = reader.rest();
    let Some(name) = rest.strip_prefix("[:").and_then(|rest| rest.split_once(":]")).map(|(name, _)| name)
    else {
        return false;
    };
    let word = name.strip_prefix('^').unwrap_or(name);
    let is_one = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    if is_one {
        let whole = format!("[:{name}:]");
        reader.take(&whole);
        reader.write(&whole);
    }
    is_one
}

/// An escape; says whether it can be anything but a capital.
fn member(reader: &mut Reader<'_>) -> Result<bool, String> {
    let begin = reader.place();
    reader.take("\\");
    if reader.take("b") {
        reader.write_byte(0x08);
        return Ok(true);
    }
    // A byte by its number in octal; there are no groups here.
    let octal = reader.take_while(3, |next| next.is_digit(8));
    if !octal.is_empty() {
        match u8::from_str_radix(octal, 8) {
            Ok(byte) => reader.write_byte(byte),
            Err(_) => return Err(at("is no byte", begin)),
        }
        return Ok(true);
    }
    match escape::common(reader, begin)? {
        Escape::Literal(literal) => reader.write_literal(literal),
        Escape::Byte(byte) => reader.write_byte(byte),
        Escape::Members(members) => reader.write(members),
        Escape::Same(text) => reader.write(&text),
        Escape::Nothing => {}
    }
    Ok(true)
}
