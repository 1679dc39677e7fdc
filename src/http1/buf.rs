//! One contiguous window of bytes with four marks, so that passing a byte on moves a mark and nothing else.
//!
//! It owns the bytes and the order of the marks, never the meaning of a byte. `start ≤ sent ≤ ready ≤ end`: what was
//! sent and is kept for a replay, what may leave, what was read and is not parsed yet. HAProxy describes its message
//! buffer in the same way. Next: `head` and [`super::body`] parse, [`crate::exchange`] moves the marks.

/// Room that an empty window leaves before its first byte, if it is large enough to spare it: a head that was written anew
/// goes there, right before its body, and both leave in one piece. Fields that are added rarely take more.
const HEADROOM: usize = 512;

/// A window over a stream of bytes.
///
/// Whoever borrows it holds one pointer. The marks stay with the bytes, so that those of a window that has just been given
/// back are as warm as its bytes are for the next one.
#[derive(Debug)]
pub struct Buf(Box<Window>);

#[derive(Debug)]
struct Window {
    data: Box<[u8]>,
    start: usize,
    sent: usize,
    ready: usize,
    end: usize,
}

impl Buf {
    /// An empty window of this many bytes.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let data = vec![0; capacity].into_boxed_slice();
        let mut buf = Self(Box::new(Window { data, start: 0, sent: 0, ready: 0, end: 0 }));
        buf.clear();
        buf
    }

    /// How many bytes it can hold.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.data.len()
    }

    /// Holds nothing at all, not even bytes kept for a replay.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.start == self.0.end
    }

    /// Has no room behind its last byte, even after [`Buf::compact`].
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.end - self.0.start == self.0.data.len()
    }

    /// Has no room behind its last byte without [`Buf::compact`].
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        self.0.end == self.0.data.len()
    }

    /// Is full of bytes that cannot be parsed before there are more: only a larger window helps.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.is_full() && self.0.start == self.0.ready
    }

    /// Where new bytes go. Moves the held bytes to the front first when nothing is left behind them.
    pub fn room(&mut self) -> &mut [u8] {
        if self.is_used_up() {
            self.compact();
        }
        &mut self.0.data[self.0.end..]
    }

    /// `n` bytes were put into [`Buf::room`].
    pub fn filled(&mut self, n: usize) {
        self.0.end += n;
        self.check_invariants();
    }

    /// Bytes that were read and not parsed.
    #[must_use]
    pub fn unparsed(&self) -> &[u8] {
        &self.0.data[self.0.ready..self.0.end]
    }

    /// The same, to be changed in their place.
    pub fn unparsed_mut(&mut self) -> &mut [u8] {
        &mut self.0.data[self.0.ready..self.0.end]
    }

    /// The first `n` unparsed bytes may leave.
    pub fn accept(&mut self, n: usize) {
        self.0.ready += n;
        self.check_invariants();
    }

    /// The first `n` unparsed bytes were understood and do not leave. Later unparsed bytes move down if others wait.
    pub fn remove(&mut self, n: usize) {
        if self.0.start == self.0.ready {
            self.0.start += n;
            self.0.sent = self.0.start;
            self.0.ready = self.0.start;
        } else {
            self.0.data.copy_within(self.0.ready + n..self.0.end, self.0.ready);
            self.0.end -= n;
        }
        self.check_invariants();
    }

    /// Of the unparsed bytes, `skip` do not leave and the `n` behind them may; used to leave many out in one pass.
    ///
    /// The gap stays behind the accepted bytes; [`Buf::close_gap`] with the sum of all skips ends the pass.
    pub fn accept_behind(&mut self, skip: usize, n: usize) {
        if skip == 0 {
            return self.accept(n);
        }
        self.0.data.copy_within(self.0.ready + skip..self.0.ready + skip + n, self.0.ready);
        self.0.ready += n;
        self.check_invariants();
    }

    /// Bytes at an offset behind `ready`: the unparsed bytes while a gap is open.
    #[must_use]
    pub fn unparsed_behind(&self, gap: usize) -> &[u8] {
        &self.0.data[self.0.ready + gap..self.0.end]
    }

    /// Moves the unparsed bytes down over a gap of `gap` bytes.
    pub fn close_gap(&mut self, gap: usize) {
        if gap > 0 {
            self.0.data.copy_within(self.0.ready + gap..self.0.end, self.0.ready);
            self.0.end -= gap;
        }
        self.check_invariants();
    }

    /// Bytes that may leave and have not.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        &self.0.data[self.0.sent..self.0.ready]
    }

    /// Nothing is pending.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.0.sent == self.0.ready
    }

    /// The first `n` pending bytes have left. They are kept until [`Buf::release`].
    pub fn sent(&mut self, n: usize) {
        self.0.sent += n;
        self.check_invariants();
    }

    /// Everything from the oldest kept byte on, parsed or not.
    #[must_use]
    pub fn all(&self) -> &[u8] {
        &self.0.data[self.0.start..self.0.end]
    }

    /// Forgets what was sent.
    pub fn release(&mut self) {
        self.0.start = self.0.sent;
        if self.0.start == self.0.end {
            self.clear();
        }
    }

    /// Nothing that was sent is kept.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.0.start == self.0.sent
    }

    /// What was sent and kept is pending again.
    pub fn rewind(&mut self) {
        self.0.sent = self.0.start;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        let at = if self.0.data.len() > 2 * HEADROOM { HEADROOM } else { 0 };
        (self.0.start, self.0.sent, self.0.ready, self.0.end) = (at, at, at, at);
    }

    /// Puts these bytes before the first that is held, as the next to leave; `false` when there is no room, or something
    /// has left that is kept.
    #[must_use]
    pub fn prepend(&mut self, bytes: &[u8]) -> bool {
        if self.0.sent != self.0.start || bytes.len() > self.0.start {
            return false;
        }
        let at = self.0.start - bytes.len();
        self.0.data[at..self.0.start].copy_from_slice(bytes);
        (self.0.start, self.0.sent) = (at, at);
        true
    }

    /// Moves the held bytes to the front.
    pub fn compact(&mut self) {
        if self.0.start > 0 {
            self.0.data.copy_within(self.0.start..self.0.end, 0);
            self.0.sent -= self.0.start;
            self.0.ready -= self.0.start;
            self.0.end -= self.0.start;
            self.0.start = 0;
        }
    }

    /// Moves everything into a window of another size, marks included, and returns it with this one emptied.
    /// A target that is too small is returned unused as the second value.
    #[must_use]
    pub fn moved_into(mut self, mut other: Self) -> (Self, Self) {
        let held = self.0.end - self.0.start;
        if held > other.0.data.len() {
            return (self, other);
        }
        if held == 0 {
            self.clear();
            other.clear();
            return (other, self);
        }
        other.0.data[..held].copy_from_slice(&self.0.data[self.0.start..self.0.end]);
        other.0.start = 0;
        other.0.sent = self.0.sent - self.0.start;
        other.0.ready = self.0.ready - self.0.start;
        other.0.end = held;
        self.clear();
        (other, self)
    }

    fn check_invariants(&self) {
        debug_assert!(self.0.start <= self.0.sent, "start {} > sent {}", self.0.start, self.0.sent);
        debug_assert!(self.0.sent <= self.0.ready, "sent {} > ready {}", self.0.sent, self.0.ready);
        debug_assert!(self.0.ready <= self.0.end, "ready {} > end {}", self.0.ready, self.0.end);
        debug_assert!(self.0.end <= self.0.data.len(), "end {} > capacity", self.0.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(bytes: &[u8]) -> Buf {
        let mut buf = Buf::new(bytes.len().max(16));
        buf.room()[..bytes.len()].copy_from_slice(bytes);
        buf.filled(bytes.len());
        buf
    }

    #[test]
    fn an_empty_window_gives_way_to_one_that_begins_at_its_own_place() {
        let mut used = Buf::new(4 * HEADROOM);
        used.room()[0] = 1;
        used.filled(1);
        used.accept(1);
        used.sent(1);
        used.release();
        let (mut next, free) = used.moved_into(Buf::new(8 * HEADROOM));
        assert!(free.is_empty() && next.room().len() == 7 * HEADROOM);
        assert!(next.prepend(&[0; HEADROOM]), "a head still fits before the first byte");
    }

    #[test]
    fn a_byte_goes_from_unparsed_to_pending_to_kept_to_gone() {
        let mut buf = holding(b"abcdef");
        assert_eq!(buf.unparsed(), b"abcdef");
        buf.accept(4);
        assert_eq!((buf.pending(), buf.unparsed()), (&b"abcd"[..], &b"ef"[..]));
        buf.sent(3);
        assert_eq!(buf.pending(), b"d");
        buf.rewind();
        assert_eq!(buf.pending(), b"abcd");
        buf.sent(4);
        assert!(!buf.is_released());
        buf.release();
        assert!(buf.is_released());
        assert_eq!(buf.all(), b"ef");
        buf.remove(2);
        assert!(buf.is_empty());
    }

    #[test]
    fn removing_behind_pending_bytes_closes_the_gap() {
        let mut buf = holding(b"data\r\nmore");
        buf.accept(4);
        buf.remove(2);
        assert_eq!((buf.pending(), buf.unparsed()), (&b"data"[..], &b"more"[..]));
    }

    #[test]
    fn chunks_are_unwrapped_in_one_pass() {
        let mut buf = holding(b"3\r\nabc\r\n2\r\nde\r\nrest");
        let mut gap = 3;
        buf.accept_behind(gap, 3);
        gap += 5;
        buf.accept_behind(gap, 2);
        gap += 2;
        assert_eq!(buf.unparsed_behind(gap), b"rest");
        buf.close_gap(gap);
        assert_eq!((buf.pending(), buf.unparsed()), (&b"abcde"[..], &b"rest"[..]));
    }

    #[test]
    fn room_comes_back_when_the_front_is_released() {
        let mut buf = holding(&[7; 32]);
        assert!(buf.is_full() && buf.is_stuck() && buf.room().is_empty());
        buf.accept(32);
        assert!(buf.is_full() && !buf.is_stuck());
        buf.sent(20);
        buf.release();
        assert_eq!(buf.room().len(), 20);
        assert_eq!(buf.pending().len(), 12);
    }

    #[test]
    fn a_head_goes_right_before_what_is_held() {
        let mut buf = Buf::new(4096);
        buf.room()[..12].copy_from_slice(b"old headbody");
        buf.filled(12);
        buf.remove(8);
        assert!(buf.prepend(b"a new and longer head"));
        buf.accept(4);
        assert_eq!(buf.pending(), b"a new and longer headbody");
        buf.sent(1);
        assert!(!buf.prepend(b"x"), "something has left and is kept");
        buf.rewind();
        assert!(!buf.prepend(&[0; 1000]), "no room");
        assert_eq!(buf.pending(), b"a new and longer headbody");
    }

    #[test]
    fn a_window_moves_with_its_marks() {
        let mut buf = holding(b"0123456789");
        buf.accept(6);
        buf.sent(2);
        let (larger, emptied) = buf.moved_into(Buf::new(64));
        assert_eq!((larger.pending(), larger.unparsed()), (&b"2345"[..], &b"6789"[..]));
        assert!(emptied.is_empty());
        let (kept, refused) = larger.moved_into(Buf::new(4));
        assert_eq!(kept.capacity(), 64);
        assert_eq!(refused.capacity(), 4);
    }
}
