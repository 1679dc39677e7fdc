//! What stands behind a backslash.
//!
//! It owns the meaning of each escape in Perl, in and outside of `[...]`; never where they stand. Next:
//! [`read`](mod@super::read), [`class`](super::class).

use super::reader::{Reader, at};

/// `\h`, Perl's blank: tab, space and the no-break space of Latin-1.
const BLANK: &str = r"\t\x20\xA0";
const NOT_BLANK: &str = r"\x00-\x08\x0A-\x1F\x21-\x9F\xA1-\xFF";
/// `\v`, Perl's vertical space: LF, VT, FF, CR and the next line of Latin-1.
const VERTICAL: &str = r"\x0A-\x0D\x85";
const NOT_VERTICAL: &str = r"\x00-\x09\x0E-\x84\x86-\xFF";

/// What an escape comes to, when it is the same everywhere.
pub(super) enum Escape {
    /// One character, or one byte above 0x7f.
    Literal(char),
    Byte(u8),
    /// Several of them, as they stand in `[...]`.
    Members(&'static str),
    /// As it was written.
    Same(String),
    /// It stands for nothing.
    Nothing,
}

/// Reads an escape outside of `[...]`, its backslash included.
pub(super) fn outside(reader: &mut Reader<'_>) -> Result<(), String> {
    let begin = reader.place();
    reader.take("\\");
    let Some(next) = reader.peek() else { return Err(at("ends in a backslash", begin)) };
    match next {
        'Z' | 'z' | 'A' | 'G' | 'K' | 'R' | 'N' | 'Q' | 'b' | 'B' | 'g' | 'k' => {
            reader.next();
            return special(reader, next, begin);
        }
        '1'..='9' => {
            let number = reader.take_while(3, |next| next.is_ascii_digit());
            // Apart from a digit that may follow it.
            reader.write(&format!("(?:\\{number})"));
            return Ok(());
        }
        _ => {}
    }
    match common(reader, begin)? {
        Escape::Literal(literal) => {
            // `\x41` is as good as A.
            reader.note_capital(literal, begin);
            reader.write_literal(literal);
        }
        Escape::Byte(byte) => reader.write_byte(byte),
        Escape::Members(members) => reader.write(&format!("[{members}]")),
        Escape::Same(text) => reader.write(&text),
        Escape::Nothing => {}
    }
    Ok(())
}

/// Escapes that are no characters.
fn special(reader: &mut Reader<'_>, letter: char, begin: usize) -> Result<(), String> {
    match letter {
        'Z' => reader.write_end(),
        'z' => reader.write("\\z"),
        // A search begins at the beginning.
        'A' | 'G' => reader.write("\\A"),
        // Where the match begins is of no interest.
        'K' => {}
        'R' => reader.write(r"(?>\x0D\x0A|[\x0A-\x0D\x85])"),
        'b' | 'B' if reader.rest().starts_with('{') => {
            return Err(at(&format!("\\{letter}{{...}} is not supported"), begin));
        }
        'b' | 'B' => reader.write(&format!("\\{letter}")),
        'N' if reader.rest().starts_with('{') => {
            return Err(at("\\N{...} is not supported; write the character", begin));
        }
        'N' => reader.write(r"[^\x0A]"),
        'Q' => {
            let quoted = reader.rest().split("\\E").next().unwrap_or_default();
            for literal in quoted.chars() {
                reader.note_capital(literal, reader.place());
                reader.next();
                reader.write_literal(literal);
            }
            reader.take("\\E");
        }
        _ => return again(reader, letter, begin),
    }
    Ok(())
}

/// `\g1`, `\g{-1}`, `\k<name>` and the like: a group once more.
fn again(reader: &mut Reader<'_>, letter: char, begin: usize) -> Result<(), String> {
    let pairs: &[(&str, &str)] =
        if letter == 'g' { &[("{", "}")] } else { &[("{", "}"), ("<", ">"), ("'", "'")] };
    let mut group = None;
    for (open, close) in pairs {
        if reader.take(open) {
            let inner = reader
                .take_while(usize::MAX, |next| next.is_ascii_alphanumeric() || matches!(next, '_' | '-'));
            if !reader.take(close) {
                return Err(at("unclosed reference", begin));
            }
            group = Some(inner);
            break;
        }
    }
    let bare = if letter == 'g' && group.is_none() {
        let sign = if reader.take("-") { "-" } else { "" };
        format!("{sign}{}", reader.take_while(3, |next| next.is_ascii_digit()))
    } else {
        String::new()
    };
    let group = group.unwrap_or(&bare);
    if group.is_empty() || group == "-" {
        return Err(at("calling a group is not supported", begin));
    }
    reader.write(&format!("\\k<{group}>"));
    Ok(())
}

/// Reads an escape that means the same in and outside of `[...]`, its backslash already taken.
pub(super) fn common(reader: &mut Reader<'_>, begin: usize) -> Result<Escape, String> {
    let Some(next) = reader.next() else { return Err(at("ends in a backslash", begin)) };
    Ok(match next {
        'd' | 'D' | 'w' | 'W' | 's' | 'S' => Escape::Same(format!("\\{next}")),
        'h' => Escape::Members(BLANK),
        'H' => Escape::Members(NOT_BLANK),
        'v' => Escape::Members(VERTICAL),
        'V' => Escape::Members(NOT_VERTICAL),
        'n' => Escape::Byte(b'\n'),
        'r' => Escape::Byte(b'\r'),
        't' => Escape::Byte(b'\t'),
        'f' => Escape::Byte(0x0c),
        'a' => Escape::Byte(0x07),
        'e' => Escape::Byte(0x1b),
        'E' => Escape::Nothing,
        'c' => match reader.next() {
            Some(control @ ('@'..='_' | 'a'..='z' | '?')) => {
                Escape::Byte(control.to_ascii_uppercase() as u8 ^ 0x40)
            }
            _ => return Err(at("\\c needs a letter", begin)),
        },
        'x' => return hexadecimal(reader, begin),
        '0' => {
            let digits = reader.take_while(2, |next| next.is_digit(8));
            Escape::Byte(u8::from_str_radix(digits, 8).unwrap_or_default())
        }
        'p' | 'P' => {
            let inner = if reader.take("{") {
                let name = reader.take_while(usize::MAX, |next| next != '}');
                if !reader.take("}") {
                    return Err(at("unclosed property", begin));
                }
                format!("{{{name}}}")
            } else {
                reader.next().map(String::from).unwrap_or_default()
            };
            Escape::Same(format!("\\{next}{inner}"))
        }
        other if other.is_ascii_alphanumeric() => {
            return Err(at(&format!("\\{other} is not supported"), begin));
        }
        other => Escape::Literal(other),
    })
}

/// `\x4`, `\x41`, `\x{41}`: a byte; above 0xff the character of that number.
fn hexadecimal(reader: &mut Reader<'_>, begin: usize) -> Result<Escape, String> {
    let digits = if reader.take("{") {
        let digits = reader.take_while(usize::MAX, |next| next != '}');
        if !reader.take("}") {
            return Err(at("unclosed \\x{", begin));
        }
        digits.trim()
    } else {
        reader.take_while(2, |next| next.is_ascii_hexdigit())
    };
    let number = if digits.is_empty() { Some(0) } else { u32::from_str_radix(digits, 16).ok() };
    let escape = number.and_then(|number| match u8::try_from(number) {
        Ok(byte) if byte.is_ascii() => Some(Escape::Literal(char::from(byte))),
        Ok(byte) => Some(Escape::Byte(byte)),
        Err(_) => char::from_u32(number).map(Escape::Literal),
    });
    escape.ok_or_else(|| at("\\x needs the hexadecimal number of a byte or a character", begin))
}
