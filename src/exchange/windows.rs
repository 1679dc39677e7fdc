//! The loan of a window to one side: which size it should have, and how it is lent and taken back.
//!
//! It owns no window; halves hold them as long as there are bytes in them, and the stock they come from is the shell's. Next:
//! [`super::sizes`].

use super::sizes::{FIRST_WINDOW, SMALL_WINDOW};
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
    /// Of a side with this window, one read of which may well bring the `expected` bytes.
    #[inline]
    pub(super) fn of(window: Option<&Buf>, expected: usize) -> Self {
        match window {
            // More of a head that was slow: it gets what others get, as long as there is plenty.
            Some(window) if window.capacity() == SMALL_WINDOW => {
                Self { least: if window.is_full() { SMALL_WINDOW + 1 } else { 0 }, useful: FIRST_WINDOW }
            }
            Some(window) if window.is_full() => Self::exactly(window.capacity() + 1),
            // Whoever has not sent what it holds has no use for more.
            Some(window) if window.is_empty() && window.capacity() < expected => {
                Self { least: 0, useful: expected }
            }
            Some(_) => Self::exactly(0),
            None => Self { least: FIRST_WINDOW, useful: FIRST_WINDOW.max(expected) },
        }
    }

    fn exactly(least: usize) -> Self {
        Self { least, useful: least }
    }
}

/// Lends a window to a side that has none, or exchanges the one it has; the one that is not used comes back.
pub(super) fn lend(place: &mut Option<Buf>, window: Buf) -> Option<Buf> {
    let Some(old) = place.take() else {
        *place = Some(window);
        return None;
    };
    let (kept, free) = old.moved_into(window);
    *place = Some(kept);
    Some(free)
}

/// Takes a window back if it holds nothing.
pub(super) fn reclaim(place: &mut Option<Buf>) -> Option<Buf> {
    place.take_if(|window| window.is_empty())
}

/// Takes a window back with whatever it holds.
pub(super) fn surrender(place: &mut Option<Buf>) -> Option<Buf> {
    let mut window = place.take()?;
    window.clear();
    Some(window)
}
