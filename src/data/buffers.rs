//! The worker's stock of windows in four sizes, bounded in bytes, last in first out so that the hot one stays in cache.
//!
//! It owns windows that nobody uses and the count of those that are lent, and of what is held beside them; it never looks
//! into one. Next: [`super::conn`] borrows, [`super::relief`] takes back.

use crate::exchange::{BULK_WINDOW, FIRST_WINDOW, LARGEST_WINDOW, SMALL_WINDOW};
use crate::http1::buf::Buf;

/// The sizes: what the beginning of a head is kept in, what every exchange begins with, what bulk bodies get and what is
/// kept for a replay, and what large heads get.
pub const CLASSES: [usize; 4] = [SMALL_WINDOW, FIRST_WINDOW, BULK_WINDOW, LARGEST_WINDOW];
/// Of these, what every exchange begins with.
const FIRST: usize = 1;
/// The share of the stock that only exchanges under way may use up: one that holds a window and waits for its second
/// would wait for ever if others that have just begun held all the rest.
const RESERVE: usize = 4;
/// The share of the stock up to which a window may be larger than it must be: clients that stop reading hold theirs, and a
/// thousand of them are to cost the others nothing.
const PLENTY: usize = 4;
/// The share of the stock from which a client counts as one that holds too much when it is low.
const LARGE: usize = 8;
/// The share of the stock that is worth looking at all connections for.
const WORTH: usize = 64;
/// The share of the stock up to which nobody is asked to give anything back.
const AMPLE: usize = 2;
/// Free windows of each size that are kept for the next exchange; the rest go back to the allocator.
const SPARE: [usize; 4] = [64, 64, 32, 8];

/// The stock.
#[derive(Debug)]
pub struct Buffers {
    free: [Vec<Buf>; 4],
    lent: usize,
    limit: usize,
    returned: bool,
}

impl Buffers {
    /// A stock that lends `limit` bytes at most; above that, reading waits until a window comes back. Of a window only
    /// the pages that were written take memory.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { free: SPARE.map(Vec::with_capacity), lent: 0, limit, returned: false }
    }

    /// Sees to it that so many windows of the first size are there ahead of need, but no more than may be lent.
    pub fn prepare(&mut self, windows: usize) {
        let most = windows.min(SPARE[FIRST]).min(self.limit / FIRST_WINDOW);
        self.free[FIRST].resize_with(most.max(self.free[FIRST].len()), || Buf::new(FIRST_WINDOW));
    }

    /// A window of at least this many bytes, or of the largest size, for an exchange that holds one already; `None` when
    /// the stock is used up.
    #[must_use]
    pub fn take(&mut self, at_least: usize) -> Option<Buf> {
        self.take_within(at_least, self.limit)
    }

    /// The same for an exchange that holds none, which leaves the reserve alone.
    #[must_use]
    pub fn take_first(&mut self, at_least: usize) -> Option<Buf> {
        self.take_within(at_least, self.limit - self.limit / RESERVE)
    }

    /// The same for an exchange that could go on with less, as long as there is plenty.
    #[must_use]
    pub fn take_useful(&mut self, at_least: usize) -> Option<Buf> {
        self.take_within(at_least, self.limit / PLENTY)
    }

    fn take_within(&mut self, at_least: usize, limit: usize) -> Option<Buf> {
        let class = CLASSES.iter().position(|size| *size >= at_least).unwrap_or(CLASSES.len() - 1);
        if self.lent + CLASSES[class] > limit {
            return None;
        }
        self.lent += CLASSES[class];
        Some(self.free[class].pop().unwrap_or_else(|| Buf::new(CLASSES[class])))
    }

    /// Whether a window of more bytes than `capacity` exists.
    #[must_use]
    pub fn larger_than(capacity: usize) -> bool {
        capacity < CLASSES[CLASSES.len() - 1]
    }

    /// Takes a window back.
    pub fn give(&mut self, mut window: Buf) {
        window.clear();
        self.lent -= window.capacity();
        self.returned = true;
        if let Some(class) = CLASSES.iter().position(|size| *size == window.capacity())
            && self.free[class].len() < SPARE[class]
        {
            self.free[class].push(window);
        }
    }

    /// Bytes beside the windows count too: there were `before`, and now there are `held`. They are there already, so this may
    /// pass the limit; then no window is lent until it is kept again.
    pub fn charge(&mut self, before: usize, held: usize) {
        self.lent = self.lent - before + held;
        self.returned |= held < before;
    }

    /// More is lent than should be for long: who holds what can be done without is to give it back.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.lent > self.limit / AMPLE
    }

    /// So much is lent that who holds nothing gets nothing.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.lent + FIRST_WINDOW > self.limit - self.limit / RESERVE
    }

    /// So many bytes that it pays to look for more at once.
    #[must_use]
    pub fn worth_a_look(&self) -> usize {
        self.limit / WORTH
    }

    /// A share of the stock that is too much for one client when it is low.
    #[must_use]
    pub fn large_share(&self) -> usize {
        self.limit / LARGE
    }

    /// Whether a window came back since this was last asked: those who wait for one may try again.
    pub fn was_returned(&mut self) -> bool {
        std::mem::take(&mut self.returned)
    }

    /// Bytes that are lent now.
    #[must_use]
    pub fn lent(&self) -> usize {
        self.lent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_window_given_is_the_next_one_taken() {
        let mut stock = Buffers::new(usize::MAX);
        let mut window = stock.take(1).unwrap();
        window.room()[0] = 42;
        window.filled(1);
        stock.give(window);
        let mut window = stock.take(100).unwrap();
        assert!(window.is_empty());
        assert_eq!((window.room()[0], stock.lent()), (42, SMALL_WINDOW));
    }

    #[test]
    fn sizes_are_rounded_up_and_the_largest_is_the_end() {
        let mut stock = Buffers::new(usize::MAX);
        let sizes: Vec<usize> = [1, CLASSES[0], CLASSES[0] + 1, CLASSES[1] + 1, CLASSES[2] + 1, usize::MAX]
            .map(|at_least| stock.take(at_least).unwrap().capacity())
            .into();
        assert_eq!(sizes, [CLASSES[0], CLASSES[0], CLASSES[1], CLASSES[2], CLASSES[3], CLASSES[3]]);
        assert!(Buffers::larger_than(CLASSES[2]) && !Buffers::larger_than(CLASSES[3]));
    }

    #[test]
    fn the_last_quarter_is_for_those_who_hold_a_window() {
        let mut stock = Buffers::new(4 * CLASSES[0]);
        let first: Vec<Buf> = std::iter::from_fn(|| stock.take_first(1)).collect();
        assert_eq!(first.len(), 3);
        assert!(stock.take(1).is_some() && stock.take(1).is_none());
    }

    #[test]
    fn more_than_is_needed_is_lent_from_the_first_quarter() {
        let mut stock = Buffers::new(8 * BULK_WINDOW);
        let useful: Vec<Buf> = std::iter::from_fn(|| stock.take_useful(BULK_WINDOW)).collect();
        assert_eq!(useful.len(), 2);
        assert!(stock.take_first(BULK_WINDOW).is_some());
    }

    #[test]
    fn no_more_is_made_ahead_than_may_be_lent() {
        let mut stock = Buffers::new(2 * FIRST_WINDOW);
        stock.prepare(5);
        assert_eq!((stock.free[FIRST].len(), stock.lent()), (2, 0));
    }

    #[test]
    fn the_stock_is_bounded() {
        let mut stock = Buffers::new(2 * CLASSES[0]);
        let first = stock.take(1).unwrap();
        let _second = stock.take(1).unwrap();
        assert!(stock.take(1).is_none());
        stock.give(first);
        assert!(stock.take(1).is_some());
    }

    #[test]
    fn what_is_held_beside_the_windows_counts() {
        let mut stock = Buffers::new(4 * FIRST_WINDOW);
        stock.charge(0, 2 * FIRST_WINDOW);
        assert!(!stock.is_low() && !stock.is_out() && !stock.was_returned());
        let first = stock.take_first(FIRST_WINDOW).unwrap();
        assert!(stock.is_low() && stock.is_out() && stock.take_first(FIRST_WINDOW).is_none());
        stock.charge(2 * FIRST_WINDOW, 5 * FIRST_WINDOW);
        assert!(stock.take(1).is_none() && !stock.was_returned(), "the limit is passed");
        stock.charge(5 * FIRST_WINDOW, 0);
        assert!(stock.was_returned() && !stock.is_low());
        stock.give(first);
        assert_eq!(stock.lent(), 0);
    }
}
