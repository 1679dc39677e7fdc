//! Text that a peer has chosen, as part of a line: nothing in it ends the line or its field, or moves a terminal.
//!
//! It owns both ways to write it: that of JSON (RFC 8259, section 7) and that of nginx, `\xHH`.

/// A byte that stands as it is in a string of JSON.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b' ';
    while byte < 0x7f {
        plain[byte as usize] = byte != b'"' && byte != b'\\';
        byte += 1;
    }
    plain
};

fn is_plain(byte: u8) -> bool {
    PLAIN[usize::from(byte)]
}

/// Appends a string of JSON; what is not UTF-8 is U+FFFD in it.
pub(super) fn json_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    if text.iter().all(|byte| is_plain(*byte)) {
        out.extend_from_slice(text);
    } else {
        for chunk in text.utf8_chunks() {
            chunk.valid().bytes().for_each(|byte| json_byte(out, byte));
            if !chunk.invalid().is_empty() {
                out.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
    }
    out.push(b'"');
}

fn json_byte(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        // Also DEL, which JSON allows and terminals do not.
        0..=0x1f | 0x7f => {
            out.extend_from_slice(b"\\u00");
            hex(out, byte);
        }
        byte => out.push(byte),
    }
}

/// Appends parts within quotes; nothing is `-`.
pub(super) fn quoted(out: &mut Vec<u8>, parts: &[&[u8]]) {
    out.push(b'"');
    if parts.iter().all(|part| part.is_empty()) {
        out.push(b'-');
    }
    parts.iter().for_each(|part| nginx(out, part, b'"'));
    out.push(b'"');
}

/// Appends a text that ends at the next space; nothing is `-`.
pub(super) fn word(out: &mut Vec<u8>, text: &[u8]) {
    if text.is_empty() { out.push(b'-') } else { nginx(out, text, b' ') }
}

/// Appends a text as nginx does by default; `end` is what would end the field.
fn nginx(out: &mut Vec<u8>, text: &[u8], end: u8) {
    for byte in text {
        if is_plain(*byte) && *byte != end {
            out.push(*byte);
        } else {
            out.extend_from_slice(b"\\x");
            hex(out, *byte);
        }
    }
}

fn hex(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}
