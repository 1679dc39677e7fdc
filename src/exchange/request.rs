//! The half that flows from client to server: head, body, and the window that may be replayed to another server.
//!
//! It owns the request's bytes from the moment they are read until they are sent and need not be sent again, never
//! the decision to send them. Next: [`super::machine`] drives it.

use super::heads::{Heads, ParsedRequest};
use super::outbox::Outbox;
use super::phase::{Forward, Policy};
use super::sift::{Keeps, sift};
use super::sizes::Bulk;
use super::windows::Need;
use crate::http1::body::Body;
use crate::http1::buf::Buf;
use crate::http1::error::Refusal;
use crate::http1::framing::Framing;
use crate::http1::scan::Scan;

/// Whether what was sent can be sent once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replay {
    /// Everything is held that was read.
    Held,
    /// What has left is freed. There is no way back.
    Released,
}

/// The request and what has become of it.
#[derive(Debug)]
pub(super) struct RequestHalf {
    pub(super) window: Option<Buf>,
    /// The head that goes out, if it did not go into the window; it is kept as long as the request may be sent again.
    outbox: Outbox,
    body: Body,
    bulk: Bulk,
    replay: Replay,
    /// Largest window that is kept for another try.
    replay_buffer: u32,
    /// The body has been read to its end.
    pub(super) done: bool,
    /// Nothing more goes out: the server does not listen, or has answered.
    pub(super) abandoned: bool,
    /// The client's end of input was read.
    pub(super) ended: bool,
}

impl RequestHalf {
    /// A half that has seen nothing.
    pub(super) fn new() -> Self {
        Self {
            window: None,
            outbox: Outbox::new(),
            body: Body::new(Framing::None, 0),
            bulk: Bulk::default(),
            replay: Replay::Held,
            replay_buffer: 0,
            done: false,
            abandoned: false,
            ended: false,
        }
    }

    /// Ready for the next request; bytes of it that were read already stay.
    pub(super) fn reset(&mut self) {
        if let Some(window) = &mut self.window {
            let pending = window.pending().len();
            window.sent(pending);
            window.release();
        }
        self.outbox.reset();
        (self.bulk, self.replay, self.done, self.abandoned) = (Bulk::default(), Replay::Held, false, false);
    }

    /// Bytes that no message has claimed yet.
    #[inline]
    pub(super) fn unread(&self) -> &[u8] {
        self.window.as_ref().map_or(&[], Buf::unparsed)
    }

    /// The client has ended, and nothing else of it is waiting.
    pub(super) fn is_at_end(&self) -> bool {
        self.ended && self.unread().is_empty()
    }

    /// The client has ended before its request has.
    #[inline]
    pub(super) fn is_cut(&self) -> bool {
        self.ended && !self.done
    }

    /// `n` bytes were put into the window.
    #[inline]
    pub(super) fn filled(&mut self, n: usize) {
        if let Some(window) = &mut self.window {
            window.filled(n);
            self.bulk.came(n, window);
        }
    }

    /// Looks for the end of the head; `true` when it was found and every part of it is understood.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub(super) fn find(
        &mut self,
        parsed: &mut ParsedRequest,
        scan: &mut Scan,
        policy: &Policy,
    ) -> Result<bool, Refusal> {
        let Self { window: Some(window), .. } = self else { return Ok(false) };
        if !parsed.find(window.unparsed(), scan, policy)? {
            return Ok(false);
        }
        self.body = Body::new(parsed.head.framing, policy.max_body);
        self.replay_buffer = u32::try_from(policy.replay_buffer).unwrap_or(u32::MAX);
        self.done = self.body.is_done();
        Ok(true)
    }

    /// Writes the head that goes out, with the line of the request's `id`, and takes the client's out of the window.
    #[inline(always)]
    pub(super) fn commit(&mut self, heads: &mut Heads, forward: &Forward<'_>, id: &[u8], policy: &Policy) {
        let Heads { request: parsed, out: joined, .. } = heads;
        let bytes = self.window.as_ref().map_or(&[][..], Buf::unparsed);
        if bytes.len() == parsed.end {
            parsed.write(self.outbox.stage(), bytes, forward, id, policy);
            return self.skip_head(parsed.end);
        }
        // What came behind the head leaves with it in one piece.
        joined.clear();
        parsed.write(joined, bytes, forward, id, policy);
        self.skip_head(parsed.end);
        if self.window.as_mut().is_some_and(|window| window.prepend(joined)) {
            self.outbox.joined();
        } else {
            self.outbox.stage().extend_from_slice(joined);
        }
    }

    /// Takes the head out of the window without sending anything.
    pub(super) fn skip_head(&mut self, end: usize) {
        if let Some(window) = &mut self.window {
            window.remove(end);
        }
    }

    /// Reads what has come of the body: what is exact of it may leave.
    ///
    /// # Errors
    /// The first rule that it breaks.
    #[inline]
    pub(super) fn parse_body(&mut self) -> Result<(), Refusal> {
        // Most requests have no body, and this is asked wherever one could go on.
        if self.done { Ok(()) } else { self.parse_more() }
    }

    /// Trailers do not go to a server that was not asked whether it takes them.
    fn parse_more(&mut self) -> Result<(), Refusal> {
        self.done = sift(&mut self.body, self.window.as_mut(), Keeps::Chunks)?;
        Ok(())
    }

    /// More of the body is wanted, and can be held.
    pub(super) fn wants_more(&self) -> bool {
        !self.done && !self.ended && !self.abandoned && self.can_hold_more()
    }

    /// Whether more bytes can be held, be it in a larger window or in the place of what need not be kept.
    fn can_hold_more(&self) -> bool {
        let Some(window) = &self.window else { return true };
        !window.is_full() || self.may_grow(window) || self.may_free(window)
    }

    /// A larger window will be lent for more.
    fn may_grow(&self, window: &Buf) -> bool {
        self.replay == Replay::Held && window.capacity() < self.replay_buffer as usize
    }

    /// All that is in the window has left.
    fn may_free(&self, window: &Buf) -> bool {
        self.has_begun() && window.pending().is_empty()
    }

    /// Frees what need not be kept, if only that makes room for more.
    #[inline]
    pub(super) fn free_room(&mut self) {
        if let Some(window) = &self.window
            && window.is_full()
            && !self.may_grow(window)
            && self.may_free(window)
        {
            self.release_replay(); // Now there is room, or one piece fills it all and a larger window will be lent.
        }
    }

    /// The window that would hold more, or hold it better.
    #[inline]
    pub(super) fn need(&self) -> Need {
        Need::of(self.window.as_ref(), self.bulk.expects(&self.body))
    }

    /// All that was read is held, so that it can be sent once more.
    pub(super) fn is_replayable(&self) -> bool {
        self.replay == Replay::Held
    }

    /// It is sent once, and what has left is freed.
    #[inline]
    pub(super) fn release_replay(&mut self) {
        self.replay = Replay::Released;
        if let Some(window) = &mut self.window {
            window.release();
        }
        self.shed();
    }

    /// Bytes of memory beside the window.
    #[inline]
    pub(super) fn outside(&self) -> usize {
        self.outbox.capacity()
    }

    /// Frees a large head that has left and will not leave again.
    #[inline]
    fn shed(&mut self) {
        if self.abandoned { self.outbox.abandon() } else { self.outbox.shed() }
    }

    /// What should leave, in order.
    #[inline]
    pub(super) fn slices(&self) -> [&[u8]; 3] {
        if self.abandoned {
            return [&[]; 3];
        }
        [self.outbox.left(), self.window.as_ref().map_or(&[][..], Buf::pending), &[]]
    }

    /// Everything that may leave has left.
    #[inline]
    pub(super) fn is_flushed(&self) -> bool {
        self.abandoned || (self.outbox.is_flushed() && self.window.as_ref().is_none_or(Buf::is_flushed))
    }

    /// All of it was read and has left, so that what comes next may be something else.
    pub(super) fn is_through(&self) -> bool {
        self.done && self.is_flushed()
    }

    /// The server has all that has come, and the client owes the rest.
    pub(super) fn is_owed(&self) -> bool {
        !self.done && !self.abandoned && self.is_flushed()
    }

    /// Bytes went out on the present server connection.
    #[inline]
    pub(super) fn has_begun(&self) -> bool {
        self.outbox.has_head_left()
    }

    /// The first `n` bytes of [`RequestHalf::slices`] have left.
    pub(super) fn sent(&mut self, n: usize) {
        let rest = self.outbox.sent(n);
        let released = self.replay == Replay::Released;
        if let Some(window) = &mut self.window {
            window.sent(rest);
            if released {
                window.release();
            }
        }
        if released {
            self.shed();
        }
    }

    /// Everything is to be sent once more, to another connection.
    pub(super) fn rewind(&mut self) {
        self.outbox.rewind();
        self.abandoned = false;
        if let Some(window) = &mut self.window {
            window.rewind();
        }
    }

    /// Nothing of this request is to be sent any more; what was read of it is forgotten.
    pub(super) fn discard(&mut self) {
        self.abandoned = true;
        self.replay = Replay::Released;
        self.shed();
        if let Some(window) = &mut self.window {
            let pending = window.pending().len();
            window.sent(pending);
            window.release();
        }
    }

    /// What is true between any two calls.
    pub(super) fn check_invariants(&self) {
        self.outbox.check_invariants();
        let released = self.window.as_ref().is_none_or(Buf::is_released);
        debug_assert!(self.is_replayable() || released, "kept for nothing");
    }
}
