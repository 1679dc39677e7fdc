//! The few byte classes of RFC 9110 that more than one parser asks for.
//!
//! It owns no decision: what a byte outside a class means is said where the class is used. Next: `http1::lines`,
//! [`crate::http1::body`].

/// What a byte is, as bits, so that a class costs one load and one test.
const TOKEN: u8 = 1;
const TEXT: u8 = 2;
const TARGET: u8 = 4;

/// Classes of all bytes, computed at compile time.
static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = class(byte as u8);
        byte += 1;
    }
    table
}

const fn class(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => TOKEN | TEXT | TARGET,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' => TOKEN | TEXT | TARGET,
        b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~' => TOKEN | TEXT | TARGET,
        b'!'..=b'~' | 0x80..=0xff => TEXT | TARGET,
        b'\t' | b' ' => TEXT,
        _ => 0,
    }
}

/// `tchar`: what methods, field names and parameters are made of (RFC 9110, section 5.6.2).
#[inline]
#[must_use]
pub fn is_token(byte: u8) -> bool {
    CLASS[byte as usize] & TOKEN != 0
}

/// What a field value or a quoted string may hold: all but control bytes, TAB excepted (RFC 9110, section 5.5).
#[inline]
#[must_use]
pub fn is_text(byte: u8) -> bool {
    CLASS[byte as usize] & TEXT != 0
}

/// What ends no target in a request line: all but control bytes and the space. `target` says what a target may hold.
#[inline]
#[must_use]
pub fn is_target(byte: u8) -> bool {
    CLASS[byte as usize] & TARGET != 0
}

/// The value of a hexadecimal digit of either case.
#[inline]
#[must_use]
pub fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_the_rfc() {
        for byte in 0..=255_u8 {
            let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is_token(byte), token, "{byte:#x}");
            assert_eq!(is_text(byte), byte == b'\t' || !byte.is_ascii_control(), "{byte:#x}");
            assert_eq!(is_target(byte), byte > b' ' && byte != 0x7f, "{byte:#x}");
            assert_eq!(hex(byte).map(u32::from), (byte as char).to_digit(16), "{byte:#x}");
        }
    }
}
