//! The loan of windows: which size a side needs, and giving and taking them.
//!
//! It owns no window longer than there are bytes in it; the stock they come from is the shell's. Next: `flow`.

use super::machine::Exchange;
use super::phase::Side;
use super::request::FIRST_WINDOW;
use crate::http1::buf::Buf;

impl Exchange {
    /// Makes room for bytes that this side wants, where that takes only what need not be kept. Otherwise, how many bytes
    /// the next window should be able to hold; 0 when the present one has room.
    #[must_use]
    pub fn make_room(&mut self, side: Side) -> usize {
        let window = match side {
            Side::Client => {
                self.request.make_room();
                &self.request.window
            }
            Side::Server => &self.response.window,
        };
        match window {
            Some(window) if window.is_full() => window.capacity() + 1,
            Some(_) => 0,
            None => FIRST_WINDOW,
        }
    }

    /// Bytes of the windows that are lent to this exchange.
    #[must_use]
    pub fn held(&self) -> usize {
        let windows = [&self.request.window, &self.response.window];
        windows.into_iter().flatten().map(Buf::capacity).sum()
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
        let keeps = self.request.kept && self.request.begun && self.request.window.is_some();
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
