//! The id of a request, as a line of a head.
//!
//! It owns its bounds and its form, never where it comes from. Next: `data::aside` gives one.

/// The field.
const NAME: &[u8] = b"X-Request-Id: ";
/// Longest id: some are a path of hops, few are as long as a UUID twice.
pub const LONGEST_ID: usize = 128;
/// Room for the line.
const ROOM: usize = NAME.len() + LONGEST_ID + b"\r\n".len();

/// A line `X-Request-Id: …`, or none.
#[derive(Debug, Clone)]
pub(super) struct RequestId {
    line: [u8; ROOM],
    length: usize,
}

impl Default for RequestId {
    fn default() -> Self {
        Self { line: [0; ROOM], length: 0 }
    }
}

/// The line of a request that may have no id; empty then.
#[inline]
pub(super) fn line_of(id: Option<&RequestId>) -> &[u8] {
    id.map_or(&[], RequestId::line)
}

/// Whether an id may be taken on: it is visible ASCII, and not too long.
#[must_use]
pub fn is_id(id: &[u8]) -> bool {
    (1..=LONGEST_ID).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

impl RequestId {
    /// There is none.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    /// This is the id; one that may not be is none.
    pub(super) fn set(&mut self, id: &[u8]) {
        debug_assert!(is_id(id), "{id:?}");
        self.length = 0;
        if is_id(id) {
            for part in [NAME, id, b"\r\n"] {
                let end = self.length + part.len();
                if let Some(place) = self.line.get_mut(self.length..end) {
                    place.copy_from_slice(part);
                    self.length = end;
                }
            }
        }
    }

    /// The line with its end; empty when there is none.
    #[inline]
    pub(super) fn line(&self) -> &[u8] {
        self.line.get(..self.length).unwrap_or_default()
    }

    /// The id itself.
    pub(super) fn text(&self) -> &[u8] {
        self.line().get(NAME.len()..self.length.saturating_sub(2)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_line() {
        let mut id = RequestId::default();
        assert_eq!((id.line(), id.text()), (&b""[..], &b""[..]));
        id.set(b"a-1");
        assert_eq!((id.line(), id.text()), (&b"X-Request-Id: a-1\r\n"[..], &b"a-1"[..]));
        id.set(&[b'x'; LONGEST_ID]);
        assert_eq!((id.line().len(), id.text().len()), (ROOM, LONGEST_ID));
        id.clear();
        assert_eq!(id.line(), b"");
        for wrong in [&b""[..], b"a b", b"a\r\nb", b"\xff", &[b'x'; LONGEST_ID + 1]] {
            assert!(!is_id(wrong), "{wrong:?}");
        }
    }
}
