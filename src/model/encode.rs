//! A rewritten path as it goes out: percent-encoded anew.
//!
//! It owns which bytes stay and which paths may not be sent, never the query. Paths that were not rewritten go out as
//! they came and never come here. Next: [`route`](mod@super::route) calls it last.

/// Bytes that stay as they are: letters, digits and these, as the first ELB sent them. `%` is not among them, for what
/// is left of one was `%25` before it was decoded.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0u8;
    while byte < 0x7f {
        plain[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"!$&'()*+,-./:;=@[]_~";
    let mut at = 0;
    while at < marks.len() {
        plain[marks[at] as usize] = true;
        at += 1;
    }
    plain
};

/// Writes one byte as a percent escape (RFC 3986, section 2.1).
pub(crate) fn escape(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

/// Writes `path` (decoded, begins with `/`) percent-encoded into `out`, and says whether it may be sent.
///
/// It may not with control bytes in it, which no server should have to interpret, nor with a `.` or `..` segment: the
/// path had none, so a group that was cut out of the middle of a segment made one, and it would lead out of what the
/// rule meant to open (`^/blog(.*)` with `/blog../secret`). Some servers take a backslash for a slash, and what follows a
/// semicolon for no part of a segment.
pub(crate) fn encode(path: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    for &byte in path {
        if byte.is_ascii_control() {
            return false;
        }
        if PLAIN[usize::from(byte)] {
            out.push(byte);
        } else {
            escape(byte, out);
        }
    }
    let name = |segment: &'_ [u8]| segment.iter().take_while(|byte| **byte != b';').count();
    let dots = |segment: &[u8]| matches!(segment.get(..name(segment)), Some(b"." | b".."));
    !path.split(|&byte| byte == b'/' || byte == b'\\').any(dots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(path: &[u8]) -> Option<String> {
        let mut out = b"left over".to_vec();
        encode(path, &mut out).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn plain_bytes_stay_and_all_others_are_encoded() {
        let plain = "/aZ09!$&'()*+,-./:;=@[]_~";
        assert_eq!(encoded(plain.as_bytes()).as_deref(), Some(plain));
        assert_eq!(
            encoded(b"/ \"#%<>?\\^`{|}\x80\xff").as_deref(),
            Some("/%20%22%23%25%3C%3E%3F%5C%5E%60%7B%7C%7D%80%FF")
        );
        assert_eq!(encoded("/é".as_bytes()).as_deref(), Some("/%C3%A9"));
    }

    #[test]
    fn what_may_not_be_sent() {
        for path in [
            "/\u{1}",
            "/a\r\nb",
            "/\u{7f}",
            "/../secret",
            "/a/..",
            "/./a",
            "/a\0",
            "/..;/a",
            "/.;x",
            "/..\\a",
            "/a\\..",
        ] {
            assert_eq!(encoded(path.as_bytes()), None, "{path:?}");
        }
        assert_eq!(encoded(b"/..a/b../.c;.").as_deref(), Some("/..a/b../.c;."));
    }
}
