//! What leaves before the bytes of a window: heads that did not go into it, sizes of chunks, answers of ELB's own; and
//! where the head is.
//!
//! It owns these bytes until they have left, and frees large ones then; never the window. Both halves have one. Next:
//! [`super::request`] and [`super::response`].

use super::sizes::{HEAD, KEPT_HEAD};

/// Where the head is that a half sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    /// There is none yet.
    None,
    /// In the outbox, from this byte on, and nothing of it has left.
    Staged(u32),
    /// In the window, right before the body, and nothing of it has left.
    InWindow,
    /// Some of it has left.
    Left,
}

/// Bytes that leave before the window's.
#[derive(Debug)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
    head: Head,
}

impl Outbox {
    /// Empty, with room for what nearly every head fits in.
    pub(super) fn new() -> Self {
        Self { bytes: Vec::with_capacity(HEAD), sent: 0, head: Head::None }
    }

    /// Ready for the next message.
    pub(super) fn reset(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_HEAD);
        (self.sent, self.head) = (0, Head::None);
    }

    /// What has not left yet.
    #[inline]
    pub(super) fn left(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// All of it has left.
    #[inline]
    pub(super) fn is_flushed(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// Bytes that wait or are kept.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of memory.
    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Where more may be put: what has left already is forgotten.
    #[inline]
    pub(super) fn more(&mut self) -> &mut Vec<u8> {
        if self.is_flushed() {
            self.bytes.clear();
            self.sent = 0;
            if matches!(self.head, Head::Staged(_)) {
                self.head = Head::Left;
            }
        }
        &mut self.bytes
    }

    /// Where the head is written, which is the next that is put here.
    #[inline]
    pub(super) fn stage(&mut self) -> &mut Vec<u8> {
        let at = self.more().len();
        self.head = Head::Staged(u32::try_from(at).unwrap_or(u32::MAX)); // Heads are bounded far below that.
        &mut self.bytes
    }

    /// The head was put into the window.
    #[inline]
    pub(super) fn joined(&mut self) {
        self.head = Head::InWindow;
    }

    /// The head that waits here alone, for the window to take it; see [`Outbox::moved`].
    pub(super) fn head_alone(&self) -> Option<&[u8]> {
        (self.head == Head::Staged(0) && self.sent == 0).then_some(&self.bytes)
    }

    /// That head is in the window now.
    pub(super) fn moved(&mut self) {
        self.bytes.clear();
        self.head = Head::InWindow;
    }

    /// Some of the head has left.
    #[inline]
    pub(super) fn has_head_left(&self) -> bool {
        self.head == Head::Left
    }

    /// Takes a head back of which nothing has left. What is in the window is the caller's.
    pub(super) fn retract(&mut self) {
        if let Head::Staged(at) = self.head {
            self.bytes.truncate(at as usize);
        }
        self.head = Head::None;
    }

    /// `n` bytes have left, of these first; gives how many of them were the window's.
    #[inline]
    pub(super) fn sent(&mut self, n: usize) -> usize {
        let own = n.min(self.bytes.len() - self.sent);
        self.sent += own;
        match self.head {
            Head::InWindow => self.head = Head::Left,
            Head::Staged(at) if self.sent > at as usize => self.head = Head::Left,
            _ => {}
        }
        n - own
    }

    /// All of it is to leave once more, on another connection.
    pub(super) fn rewind(&mut self) {
        self.sent = 0;
        self.head = if self.bytes.is_empty() { Head::InWindow } else { Head::Staged(0) };
    }

    /// Frees large heads that have left and are not wanted again.
    #[inline]
    pub(super) fn shed(&mut self) {
        if self.bytes.capacity() > KEPT_HEAD && self.is_flushed() {
            self.drop_all();
        }
    }

    /// Frees a large head, whether it has left or not: it will not.
    pub(super) fn abandon(&mut self) {
        if self.bytes.capacity() > KEPT_HEAD {
            self.drop_all();
        }
    }

    fn drop_all(&mut self) {
        (self.bytes, self.sent) = (Vec::new(), 0);
        if matches!(self.head, Head::Staged(_)) {
            self.head = Head::Left;
        }
    }

    /// What is true between any two calls.
    pub(super) fn check_invariants(&self) {
        debug_assert!(self.sent <= self.bytes.len(), "sent twice");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staged(before: &[u8], head: &[u8]) -> Outbox {
        let mut outbox = Outbox::new();
        outbox.more().extend_from_slice(before);
        outbox.stage().extend_from_slice(head);
        outbox
    }

    #[test]
    fn a_head_has_left_when_its_first_byte_has() {
        let mut outbox = staged(b"100", b"200");
        assert!(outbox.head_alone().is_none(), "something leaves before it");
        assert_eq!(outbox.sent(3), 0);
        assert!(!outbox.has_head_left());
        assert_eq!((outbox.sent(1), outbox.left()), (0, &b"00"[..]));
        assert!(outbox.has_head_left());
        assert_eq!(outbox.sent(5), 3, "the rest is the window's");
        assert!(outbox.is_flushed() && outbox.has_head_left());
    }

    #[test]
    fn a_head_in_the_window_has_left_with_the_first_byte_that_leaves() {
        let mut outbox = staged(b"", b"200");
        assert_eq!(outbox.head_alone(), Some(&b"200"[..]));
        outbox.moved();
        assert!(outbox.is_flushed() && !outbox.has_head_left());
        assert_eq!(outbox.sent(1), 1);
        assert!(outbox.has_head_left());
    }

    #[test]
    fn a_head_is_taken_back_and_what_was_before_it_still_leaves() {
        let mut outbox = staged(b"100", b"200");
        outbox.sent(1);
        outbox.retract();
        assert_eq!(outbox.left(), b"00");
        outbox.more().extend_from_slice(b"502");
        assert_eq!(outbox.left(), b"00502");
    }

    #[test]
    fn a_head_that_is_sent_once_more_has_not_left() {
        let mut outbox = staged(b"", b"GET");
        outbox.sent(3);
        outbox.rewind();
        assert_eq!((outbox.left(), outbox.has_head_left()), (&b"GET"[..], false));
        outbox.sent(1);
        assert!(outbox.has_head_left());
    }

    #[test]
    fn large_heads_are_freed_when_they_have_left() {
        let mut outbox = staged(b"", &[b'x'; KEPT_HEAD + 1]);
        outbox.shed();
        assert!(outbox.capacity() > KEPT_HEAD);
        outbox.sent(KEPT_HEAD + 1);
        outbox.shed();
        assert_eq!(outbox.capacity(), 0);
        let mut unsent = staged(b"", &[b'x'; KEPT_HEAD + 1]);
        unsent.abandon();
        assert_eq!((unsent.capacity(), unsent.left().len()), (0, 0));
    }
}
