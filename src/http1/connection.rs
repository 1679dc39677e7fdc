//! The `Connection` field: what it asks for, and which fields it names, so that they end at this hop (RFC 9110, section
//! 7.6.1).
//!
//! It owns that list and its bound, never a whole head. The bound is on what is walked: members are counted before they
//! are looked at, empty ones too, and what they name is collected once for all fields of a head. Next: [`super::lines`]
//! drops what is named.

use std::cmp::Ordering;

use super::error::Refusal;
use super::fields::{tokens, walked};
use super::limits::CONNECTION_OPTIONS;
use crate::semantics::field::{Name, name};
use crate::semantics::policy;

/// What the `Connection` fields of one head ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionOptions {
    /// `close`.
    pub close: bool,
    /// `keep-alive`.
    pub keep_alive: bool,
    /// `upgrade`.
    pub upgrade: bool,
    /// Other names: fields that must not pass.
    pub names_fields: bool,
    /// Members of lists so far.
    members: u8,
}

impl ConnectionOptions {
    /// Takes one `Connection` field.
    ///
    /// # Errors
    /// [`Refusal::ConnectionOptions`] when all fields of this head together have more members than anybody means.
    #[inline]
    pub fn take(&mut self, value: &[u8]) -> Result<(), Refusal> {
        match value {
            // What nearly all say.
            b"keep-alive" | b"Keep-Alive" => self.keep_alive = true,
            b"close" => self.close = true,
            _ => return self.take_list(value),
        }
        Ok(())
    }

    fn take_list(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for option in tokens(value) {
            self.members += 1;
            if usize::from(self.members) > CONNECTION_OPTIONS {
                return Err(Refusal::ConnectionOptions);
            }
            match option.len() {
                0 => {}
                5 if option.eq_ignore_ascii_case(b"close") => self.close = true,
                10 if option.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                7 if option.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
                2 if option.eq_ignore_ascii_case(b"te") => {}
                _ => self.names_fields = true,
            }
        }
        Ok(())
    }
}

/// The fields that a head names and that may be dropped, in order, so that each line of it costs a few comparisons.
pub(super) struct Named<'a> {
    names: [&'a [u8]; CONNECTION_OPTIONS],
    count: usize,
}

impl<'a> Named<'a> {
    /// Those that are named in these values of `Connection`, which [`ConnectionOptions`] took.
    pub(super) fn collect(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut named = Self { names: [b""; CONNECTION_OPTIONS], count: 0 };
        // Names that mean something to a proxy pass or end by their meaning.
        let other = |option: &&[u8]| !option.is_empty() && name(option) == Name::Other;
        for option in values.flat_map(tokens).filter(other) {
            if policy::is_kept(option) {
                continue;
            }
            let Some(place) = named.names.get_mut(named.count) else { break };
            *place = option;
            named.count += 1;
        }
        if let Some(names) = named.names.get_mut(..named.count) {
            names.sort_unstable_by(|one, other| compare(one, other));
        }
        named
    }

    /// Whether this field is among them.
    pub(super) fn holds(&self, field: &[u8]) -> bool {
        self.names
            .get(..self.count)
            .is_some_and(|names| names.binary_search_by(|name| compare(name, field)).is_ok())
    }
}

/// The shorter name first; two that are as long are in some order in which those that differ in case only are equal.
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    walked();
    one.len().cmp(&other.len()).then_with(|| words(one).cmp(words(other)))
}

/// A name in lower case, eight bytes at a time, for names may be long.
fn words(name: &[u8]) -> impl Iterator<Item = u64> {
    name.chunks(8).map(|chunk| match chunk.first_chunk() {
        Some(word) => lower(u64::from_le_bytes(*word)),
        None => chunk.iter().fold(0, |word, byte| word << 8 | u64::from(byte.to_ascii_lowercase())),
    })
}

/// Eight bytes in lower case.
fn lower(word: u64) -> u64 {
    const fn each(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    // The highest bit of each sum says that the byte below it is `A` or more, or more than `Z`.
    let low = word & each(0x7f);
    let from_a = low + each(0x80 - b'A');
    let above_z = low + each(0x7f - b'Z');
    let upper = (from_a ^ above_z) & !word & each(0x80);
    word | upper >> 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::fields::testing;
    use crate::http1::limits::HEADER_FIELDS;
    use crate::http1::request_head::RequestHead;

    #[test]
    fn lists_are_read_with_their_white_space() {
        let mut options = ConnectionOptions::default();
        options.take(b" Keep-Alive ,\tUPGRADE,, x-drop ").unwrap();
        assert!(options.keep_alive && options.upgrade && options.names_fields && !options.close);
        let named =
            |values: &[&'static [u8]], field: &[u8]| Named::collect(values.iter().copied()).holds(field);
        assert!(named(&[b"x-drop, x-other"], b"X-Drop") && named(&[b"a", b"b , X-Drop"], b"X-Drop"));
        assert!(!named(&[b"x-dro"], b"X-Drop") && !named(&[b"host, cookie"], b"Cookie"));
        assert!(!named(&[b",,"], b""));
    }

    #[test]
    fn names_are_one_when_they_differ_in_case_only() {
        for byte in 0..=255_u8 {
            let lowered = lower(u64::from_le_bytes([byte; 8])).to_le_bytes();
            assert_eq!(lowered, [byte.to_ascii_lowercase(); 8], "{byte:#x}");
            for length in [1, 7, 8, 9, 17] {
                let name = |byte: u8| [vec![b'x'; length - 1], vec![byte]].concat();
                for other in 0..=255_u8 {
                    let equal = compare(&name(byte), &name(other)).is_eq();
                    assert_eq!(equal, byte.eq_ignore_ascii_case(&other), "{byte:#x} {other:#x}");
                    assert_eq!(
                        compare(&name(byte), &name(other)),
                        compare(&name(other), &name(byte)).reverse()
                    );
                }
            }
        }
        assert_eq!(compare(b"ab", b"abc"), Ordering::Less);
    }

    #[test]
    fn the_most_members_are_as_many_as_the_limit_says_in_one_field_or_many() {
        for member in ["a", "", "close", "te", "keep-alive", "upgrade"] {
            let mut options = ConnectionOptions::default();
            let most = vec![member; CONNECTION_OPTIONS].join(",");
            assert_eq!(options.take(most.as_bytes()), Ok(()), "{member:?}");
            assert_eq!(options.take(b"x,y"), Err(Refusal::ConnectionOptions), "{member:?}");
        }
    }

    /// A head of so many lines behind this list, and the steps that reading it took: members looked at, and names
    /// compared.
    fn read_counted(list: &str, line: &str) -> (Option<usize>, usize) {
        let lines = line.repeat(HEADER_FIELDS - 2);
        let bytes = format!("GET / HTTP/1.1\r\nHost: h\r\nConnection: {list}\r\n{lines}\r\n");
        let mut head = RequestHead::default();
        let (found, steps) = testing::of(|| head.parse_at_once(bytes.as_bytes(), 1 << 18));
        (found.map(|_| head.runs.len()), steps)
    }

    #[test]
    fn what_a_list_costs_does_not_grow_with_its_length_times_the_fields() {
        // 60 KB of commas, which were 60,000 members for each of 254 fields.
        for list in ["x,", "x,,", "te,", "close,", "keep-alive,", "upgrade,te,"] {
            let (read, steps) = read_counted(&list.repeat(60_000 / list.len()), "a: b\r\n");
            assert_eq!(read, None, "{list:?}");
            assert!(steps <= CONNECTION_OPTIONS + 1, "{steps} steps for {list:?}");
        }
        // As many names as may be, each as long as the fields and different from them in its last byte only.
        let name = |last: usize| format!("{}{last:03}", "x".repeat(180));
        let list: Vec<String> = (0..CONNECTION_OPTIONS).map(name).collect();
        let (runs, steps) = read_counted(&list.join(","), &format!("{}: b\r\n", name(999)));
        assert_eq!(runs, Some(1));
        // Each member is looked at twice, names are sorted, and each of 256 fields is compared with a few.
        assert!(steps <= 2 * CONNECTION_OPTIONS + 8 * (CONNECTION_OPTIONS + HEADER_FIELDS), "{steps} steps");
    }

    #[test]
    fn a_list_in_as_many_fields_as_may_be_is_bounded_too() {
        let (read, steps) = read_counted("a", "Connection: b,c\r\n");
        assert_eq!(read, None);
        assert!(steps <= CONNECTION_OPTIONS + 1, "{steps} steps");
        let (runs, steps) = read_counted("a", "Connection: keep-alive\r\n");
        assert_eq!(runs, Some(0));
        assert!(steps <= 3 * HEADER_FIELDS, "{steps} steps");
    }
}
