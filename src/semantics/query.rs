//! The words of a query, as HTML forms write them (WHATWG URL, application/x-www-form-urlencoded).
//!
//! It owns where a word ends and what its escapes mean, never what a word is for. Next: [`super::request`] has the query.

use super::syntax::hex;

/// Each word of a query with its value, as they stand there; a word without `=` has an empty one.
pub fn words(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|byte| *byte == b'&').filter(|word| !word.is_empty()).map(|word| {
        let end = memchr::memchr(b'=', word).unwrap_or(word.len());
        (word.get(..end).unwrap_or_default(), word.get(end + 1..).unwrap_or_default())
    })
}

/// What a name or a value means: `+` is a blank, `%2B` a plus. What is no escape stands for itself. `room` is for what is not
/// written as it is meant.
pub fn decode<'a>(raw: &'a [u8], room: &'a mut Vec<u8>) -> &'a [u8] {
    if !raw.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return raw;
    }
    room.clear();
    room.extend(decoded(raw));
    room
}

/// Whether a name or a value means this text.
#[must_use]
pub fn means(raw: &[u8], text: &[u8]) -> bool {
    decoded(raw).eq(text.iter().copied())
}

/// Gives what a value means to a hash, in pieces: two spellings of one value are one.
pub fn feed(raw: &[u8], mut piece: impl FnMut(&[u8])) {
    if raw.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        decoded(raw).for_each(|byte| piece(&[byte]));
    } else {
        piece(raw);
    }
}

fn decoded(mut raw: &[u8]) -> impl Iterator<Item = u8> + '_ {
    std::iter::from_fn(move || {
        let (byte, rest) = match raw {
            [] => return None,
            [b'%', high, low, rest @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, rest),
                _ => (b'%', raw.get(1..)?),
            },
            [b'+', rest @ ..] => (b' ', rest),
            [byte, rest @ ..] => (*byte, rest),
        };
        raw = rest;
        Some(byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_forms_mean_by_them() {
        let query = b"a=1&&b&c%5b%5D=x+y%2Bz%&=v&d==";
        let mut read = Vec::new();
        for (name, value) in words(query) {
            let (mut one, mut other) = (Vec::new(), Vec::new());
            let [name, value] = [decode(name, &mut one), decode(value, &mut other)];
            read.push(format!("{}:{}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
        }
        assert_eq!(read, ["a:1", "b:", "c[]:x y+z%", ":v", "d:="]);
        assert!(
            means(b"c%5b%5D", b"c[]") && !means(b"c", b"c[]") && means(b"%2", b"%2") && means(b"%g1", b"%g1")
        );
        assert_eq!(words(b"").count(), 0);
    }

    #[test]
    fn two_spellings_of_a_value_are_one_to_a_hash() {
        let fed = |raw: &[u8]| {
            let mut all = Vec::new();
            feed(raw, |piece| all.extend_from_slice(piece));
            all
        };
        assert_eq!(
            (fed(b"a b"), fed(b"%61+b%2b"), fed(b"")),
            (b"a b".to_vec(), b"a b+".to_vec(), Vec::new())
        );
    }
}
