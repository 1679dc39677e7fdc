//! The loan of windows: which size a side needs, and giving and taking them.
//!
//! It owns no window longer than there are bytes in it; the stock they come from is the shell's. Next: `flow`.

use super::machine::Exchange;
use super::phase::{Phase, Side};
use super::sizes::{FIRST_WINDOW, HEAD, KEPT_HEAD, SMALL_WINDOW};
use crate::http1::buf::Buf;

/// How many bytes the next window of a side should be able to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Without these the side cannot be read; 0 when its present window has room.
    pub least: usize,
    /// With these it takes fewer calls; `least` when they would save none.
    pub useful: usize,
}

impl Need {
    fn exactly(least: usize) -> Self {
        Self { least, useful: least }
    }
}

impl Exchange {
    /// Makes room for bytes that this side wants, where that takes only what need not be kept, and says what window would
    /// hold them otherwise, or better.
    #[must_use]
    pub fn make_room(&mut self, side: Side) -> Need {
        let (window, expected) = match side {
            Side::Client => {
                self.request.make_room();
                (&self.request.window, self.request.bulk.expects(&self.request.body))
            }
            Side::Server => (&self.response.window, self.response.bulk.expects(&self.response.body)),
        };
        match window {
            // More of a head that was slow: it gets what others get, as long as there is plenty.
            Some(window) if window.capacity() == SMALL_WINDOW => {
                Need { least: if window.is_full() { SMALL_WINDOW + 1 } else { 0 }, useful: FIRST_WINDOW }
            }
            Some(window) if window.is_full() => Need::exactly(window.capacity() + 1),
            // Whoever has not sent what it holds has no use for more.
            Some(window) if window.is_empty() && window.capacity() < expected => {
                Need { least: 0, useful: expected }
            }
            Some(_) => Need::exactly(0),
            None => Need { least: FIRST_WINDOW, useful: FIRST_WINDOW.max(expected) },
        }
    }

    /// Bytes of the windows that are lent to this exchange.
    #[must_use]
    pub fn held(&self) -> usize {
        let windows = [&self.request.window, &self.response.window];
        windows.into_iter().flatten().map(Buf::capacity).sum()
    }

    /// Bytes that are held beside the windows, and count like them: heads that leave, and what was asked for in them. What
    /// every exchange has from the beginning does not.
    #[inline]
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // Heads are bounded far below that.
    pub fn outside(&self) -> u32 {
        (self.request.outside() + self.response.out.capacity()).saturating_sub(2 * HEAD) as u32
    }

    /// Frees large heads that have left to the client: interim ones that it did not read for long, most of all.
    #[inline]
    pub(super) fn shed(&mut self) {
        if self.response.out.capacity() > KEPT_HEAD {
            self.response.drop_sent_out();
            if self.response.out.is_empty() {
                self.response.out = Vec::new();
            }
        }
    }

    /// Whether this is the beginning of a head, in a window that is much too large for it.
    #[inline]
    #[must_use]
    pub fn is_slow_head(&self) -> bool {
        self.phase == Phase::Head
            && self.request.window.as_ref().is_some_and(|window| {
                window.capacity() > SMALL_WINDOW && window.all().len() <= SMALL_WINDOW / 2
            })
    }

    /// Whether a window is lent to this exchange.
    #[must_use]
    pub fn has_window(&self) -> bool {
        self.request.window.is_some() || self.response.window.is_some()
    }

    /// Lends a window to a side that has none, or exchanges the one it has; the one that is not used comes back.
    #[must_use]
    pub fn lend(&mut self, side: Side, window: Buf) -> Option<Buf> {
        let place = match side {
            Side::Client => &mut self.request.window,
            Side::Server => &mut self.response.window,
        };
        match place.take() {
            None => {
                *place = Some(window);
                None
            }
            Some(old) => {
                let (kept, free) = old.moved_into(window);
                *place = Some(kept);
                Some(free)
            }
        }
    }

    /// Gives up what is kept of the request for another try, as windows are short; `true` when there was anything.
    pub fn forgo_replay(&mut self) -> bool {
        let keeps = self.request.kept
            && self.request.begun
            && (self.request.window.is_some() || self.request.outside() > HEAD);
        if keeps {
            self.request.forfeit();
        }
        keeps
    }

    /// Takes a side's window back if it holds nothing.
    #[must_use]
    pub fn reclaim(&mut self, side: Side) -> Option<Buf> {
        let place = match side {
            Side::Client => &mut self.request.window,
            Side::Server => &mut self.response.window,
        };
        if place.as_ref().is_some_and(Buf::is_empty) { place.take() } else { None }
    }

    /// Takes a side's window back with whatever it holds: the exchange is over.
    #[must_use]
    pub fn surrender(&mut self, side: Side) -> Option<Buf> {
        let mut window = match side {
            Side::Client => self.request.window.take(),
            Side::Server => self.response.window.take(),
        }?;
        window.clear();
        Some(window)
    }
}
