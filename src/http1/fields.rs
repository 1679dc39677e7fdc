//! Stretches of a head, and the comma lists that field values are.
//!
//! It owns values, never a name (`semantics::field` says what each one means) nor a whole head. Next:
//! [`super::request_head`] and [`super::response_head`] walk the fields of a head; [`super::connection`] says which of
//! them end at this hop because a peer said so.

/// Extra request fields of a rule: a name and its values; no values remove the client's field.
pub type ExtraFields = [(String, Vec<String>)];

/// A stretch of bytes within a head, counted from the head's first byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// Where it begins.
    pub at: u32,
    /// How long it is.
    pub len: u32,
}

impl Span {
    /// The span of `part` within `whole`; both must be the same memory, which is how a parser hands out its fields.
    #[must_use]
    pub fn within(whole: &[u8], part: &[u8]) -> Self {
        Self::new((part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize), part.len())
    }

    /// From two numbers; heads are bounded far below 4 GiB.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn new(at: usize, len: usize) -> Self {
        Self { at: at as u32, len: len as u32 }
    }

    /// Behind its last byte.
    #[must_use]
    pub fn end(self) -> usize {
        self.at as usize + self.len as usize
    }

    /// Its bytes; nothing when it does not lie within `head`.
    #[must_use]
    pub fn of(self, head: &[u8]) -> &[u8] {
        head.get(self.at as usize..self.end()).unwrap_or_default()
    }
}

/// The members of a comma-separated list, without the white space around them.
pub fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).inspect(|_| walked())
}

/// Whether credentials, or a challenge to give them, are of a scheme that authenticates the connection and not the request:
/// NTLM, Negotiate, and what else begins as that does (`Nego2`). Whoever uses the connection next is the same user then.
#[must_use]
pub fn binds(value: &[u8]) -> bool {
    let begins = |one: &[u8], scheme: &[u8]| {
        one.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    tokens(value).any(|one| begins(one, b"ntlm") || begins(one, b"nego"))
}

/// A step of work that a peer's bytes can make many of: tests count them, for there the bound must show.
#[inline(always)]
pub(super) fn walked() {
    #[cfg(test)]
    testing::walked();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_that_bind_a_connection_are_known_in_any_case_and_place() {
        for value in [
            "NTLM",
            "ntlm TlRMTVNTUAAB",
            "Negotiate",
            "NEGOTIATE YIIx",
            "Nego2",
            "Basic realm=\"x\", Negotiate, NTLM",
        ] {
            assert!(binds(value.as_bytes()), "{value}");
        }
        for value in ["", "Basic TlRMTQ==", "Bearer ntlm", "Digest realm=\"NTLM\"", "nt", "X-NTLM"] {
            assert!(!binds(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn a_span_is_read_back() {
        let head = b"GET / HTTP/1.1";
        let span = Span::within(head, &head[4..5]);
        assert_eq!((span, span.of(head)), (Span { at: 4, len: 1 }, &b"/"[..]));
        assert_eq!(Span::new(10, 10).of(head), b"");
    }
}

#[cfg(test)]
pub(super) mod testing {
    //! Steps of work, counted.

    use std::cell::Cell;

    thread_local! {
        static STEPS: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn walked() {
        STEPS.set(STEPS.get() + 1);
    }

    /// What the call gives, and the steps that it took.
    pub(in crate::http1) fn of<T>(call: impl FnOnce() -> T) -> (T, usize) {
        let before = STEPS.get();
        let given = call();
        (given, STEPS.get() - before)
    }
}
