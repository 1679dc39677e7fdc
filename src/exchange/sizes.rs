//! The sizes of windows and of heads that are kept, and when a side is worth a larger window.
//!
//! It owns these numbers and their reasons, never a window. Next: [`super::windows`] lends by them.

use crate::http1::body::Body;
use crate::http1::buf::Buf;

/// The window that a head is kept in whose end does not come: what it holds is all that a slow sender is worth.
pub const SMALL_WINDOW: usize = 4 * 1024;
/// The window that every exchange begins with: a body of 16 KiB and its head come in one read.
pub const FIRST_WINDOW: usize = 32 * 1024;
/// The window that bulk bodies get. What it holds leaves in one segment where packets may be as large, so that it wakes the
/// peer once: 64 KiB cost a tenth less than 32, and 128, 256 and 1,024 more than either.
pub const BULK_WINDOW: usize = 64 * 1024;

/// The largest window that is lent: the longest head must fit.
pub const LARGEST_WINDOW: usize = 256 * 1024;

/// Room for a head that leaves which an exchange keeps when it has no use for it; what is above that is freed.
pub(super) const KEPT_HEAD: usize = 4 * 1024;
/// Room that an exchange has for each head that leaves from the beginning on: what nearly all of them fit in.
pub(super) const HEAD: usize = 512;

/// Whether a side brings more at once than the first window holds.
///
/// Seen from what comes and not from a length that was promised, so that it holds for chunks and tunnels too, and a peer
/// that announces much and sends little gets no more memory than any other.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bulk(bool);

impl Bulk {
    /// `n` bytes came into this window.
    #[inline]
    pub(super) fn came(&mut self, n: usize, window: &Buf) {
        self.0 = window.is_used_up() || (self.0 && n >= FIRST_WINDOW);
    }

    /// Bytes that one read may well bring, with this body under way.
    pub(super) fn expects(self, body: &Body) -> usize {
        let left = body.remaining().map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        if self.0 { left.min(BULK_WINDOW) } else { 0 }
    }
}
