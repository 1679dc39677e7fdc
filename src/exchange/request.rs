//! The half that flows from client to server: head, body, and the window that may be replayed to another server.
//!
//! It owns the request's bytes from the moment they are read until they are sent and need not be sent again, never
//! the decision to send them. Next: `machine` drives it.

use super::heads::{Asked, Heads};
use super::phase::{Forward, Policy};
use super::sift::{Keeps, sift};
use super::sizes::{Bulk, HEAD, KEPT_HEAD, REPLAY};
use crate::http1::body::Body;
use crate::http1::buf::Buf;
use crate::http1::error::Refusal;
use crate::http1::fields;
use crate::http1::framing::{Framing, Version};
use crate::http1::scan::Scan;

/// The request and what has become of it.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // Independent facts about one stream, each with its own sentence.
pub(super) struct RequestHalf {
    pub(super) window: Option<Buf>,
    /// The head that goes out, if it did not go into the window; it is kept as long as the request.
    out: Vec<u8>,
    out_sent: usize,
    pub(super) body: Body,
    pub(super) bulk: Bulk,
    /// The protocols that it asks to switch to, when it does.
    protocols: Box<[u8]>,
    pub(super) version: Version,
    /// The client would like to use the connection again.
    pub(super) keep_alive: bool,
    /// It can take trailers.
    pub(super) takes_trailers: bool,
    /// It waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
    /// The body has been read to its end.
    pub(super) done: bool,
    /// What was sent is still held.
    pub(super) kept: bool,
    /// Bytes went out on the present server connection.
    pub(super) begun: bool,
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
            out: Vec::with_capacity(HEAD),
            out_sent: 0,
            body: Body::new(Framing::None, 0),
            bulk: Bulk::default(),
            protocols: Box::default(),
            version: Version::Http11,
            keep_alive: false,
            takes_trailers: false,
            expects_continue: false,
            done: false,
            kept: true,
            begun: false,
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
        self.out.clear();
        self.out.shrink_to(KEPT_HEAD);
        (self.out_sent, self.bulk) = (0, Bulk::default());
        (self.done, self.kept, self.begun, self.abandoned) = (false, true, false, false);
    }

    fn unjudged(&self) -> &[u8] {
        self.window.as_ref().map_or(&[], Buf::unjudged)
    }

    /// Bytes that no message has claimed yet.
    pub(super) fn unread(&self) -> &[u8] {
        self.unjudged()
    }

    /// Looks for the end of the head; `true` when it was found and every part of it is understood.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub(super) fn find(
        &mut self,
        asked: &mut Asked,
        scan: &mut Scan,
        policy: &Policy,
    ) -> Result<bool, Refusal> {
        let Self { window: Some(window), .. } = self else { return Ok(false) };
        if !asked.find(window.unjudged(), scan, policy)? {
            return Ok(false);
        }
        let head = &asked.head;
        self.body = Body::new(head.framing, policy.max_body);
        self.done = self.body.is_done();
        (self.version, self.keep_alive) = (head.version, head.keep_alive);
        (self.takes_trailers, self.expects_continue) = (head.takes_trailers, head.expects_continue);
        Ok(true)
    }

    /// Writes the head that goes out and takes the client's out of the window.
    pub(super) fn commit(&mut self, heads: &mut Heads, forward: &Forward<'_>, host_as_received: bool) {
        let Heads { asked, out: joined, .. } = heads;
        let bytes = self.window.as_ref().map_or(&[][..], Buf::unjudged);
        self.protocols = asked.head.upgrade.map_or_else(Box::default, |upgrade| upgrade.of(bytes).into());
        if bytes.len() == asked.end {
            asked.write(&mut self.out, bytes, forward, host_as_received);
            return self.skip_head(asked.end);
        }
        // What came behind the head leaves with it in one piece.
        joined.clear();
        asked.write(joined, bytes, forward, host_as_received);
        self.skip_head(asked.end);
        if !self.window.as_mut().is_some_and(|window| window.prepend(joined)) {
            self.out.extend_from_slice(joined);
        }
    }

    /// Whether this is a protocol that the client asked to switch to.
    pub(super) fn asked_for(&self, protocol: &[u8]) -> bool {
        !protocol.is_empty()
            && fields::tokens(&self.protocols).any(|asked| asked.eq_ignore_ascii_case(protocol))
    }

    /// Takes the head out of the window without sending anything.
    pub(super) fn skip_head(&mut self, end: usize) {
        if let Some(window) = &mut self.window {
            window.remove(end);
        }
    }

    /// Judges the bytes of the body that have come.
    ///
    /// # Errors
    /// The first rule that they break.
    #[inline]
    pub(super) fn judge(&mut self) -> Result<(), Refusal> {
        // Most requests have no body, and this is asked wherever one could go on.
        if self.done { Ok(()) } else { self.judge_body() }
    }

    /// Trailers do not go to a server that was not asked whether it takes them.
    fn judge_body(&mut self) -> Result<(), Refusal> {
        self.done = sift(&mut self.body, self.window.as_mut(), Keeps::Chunks)?;
        Ok(())
    }

    /// Whether more bytes can be held, be it in a larger window or in the place of what need not be kept.
    pub(super) fn can_hold_more(&self) -> bool {
        let Some(window) = &self.window else { return true };
        !window.is_full() || self.may_grow(window) || (self.begun && window.pending().is_empty())
    }

    /// A larger window will be lent for more.
    fn may_grow(&self, window: &Buf) -> bool {
        self.kept && window.capacity() < REPLAY
    }

    /// Frees what need not be kept, if only that makes room for more.
    pub(super) fn make_room(&mut self) {
        if let Some(window) = &self.window
            && window.is_full()
            && !self.may_grow(window)
            && self.begun
            && window.pending().is_empty()
        {
            self.forfeit(); // Now there is room, or one piece fills it all and a larger window will be lent.
        }
    }

    /// Gives up the replay and frees what was sent.
    pub(super) fn forfeit(&mut self) {
        self.kept = false;
        if let Some(window) = &mut self.window {
            window.release();
        }
        self.shed();
    }

    /// Bytes held beside the window.
    #[inline]
    pub(super) fn outside(&self) -> usize {
        self.out.capacity() + self.protocols.len()
    }

    /// Frees a large head that has left and will not leave again.
    #[inline]
    fn shed(&mut self) {
        if self.out.capacity() > KEPT_HEAD && (self.abandoned || self.out_sent == self.out.len()) {
            (self.out, self.out_sent) = (Vec::new(), 0);
        }
    }

    /// The protocol was switched: what else was asked for is of no use.
    pub(super) fn forget_protocols(&mut self) {
        self.protocols = Box::default();
    }

    /// What should leave, in order.
    pub(super) fn slices(&self) -> [&[u8]; 3] {
        if self.abandoned {
            return [&[]; 3];
        }
        let pending = self.window.as_ref().map_or(&[][..], Buf::pending);
        [&self.out[self.out_sent..], pending, &[]]
    }

    /// Everything judged so far has left.
    pub(super) fn is_flushed(&self) -> bool {
        self.abandoned
            || (self.out_sent == self.out.len() && self.window.as_ref().is_none_or(Buf::is_flushed))
    }

    /// All of it was read and has left, so that what comes next may be something else.
    pub(super) fn is_through(&self) -> bool {
        self.done && self.is_flushed()
    }

    /// The first `n` bytes of [`RequestHalf::slices`] have left.
    pub(super) fn sent(&mut self, n: usize) {
        self.begun = true;
        let head = n.min(self.out.len() - self.out_sent);
        self.out_sent += head;
        if let Some(window) = &mut self.window {
            window.sent(n - head);
            if !self.kept {
                window.release();
            }
        }
        if !self.kept {
            self.shed();
        }
    }

    /// Everything is to be sent once more, to another connection.
    pub(super) fn rewind(&mut self) {
        (self.out_sent, self.begun, self.abandoned) = (0, false, false);
        if let Some(window) = &mut self.window {
            window.rewind();
        }
    }

    /// What is true between any two calls.
    pub(super) fn check_invariants(&self) {
        debug_assert!(self.out_sent <= self.out.len(), "sent twice");
        debug_assert!(self.kept || self.window.as_ref().is_none_or(Buf::is_released), "kept for nothing");
    }

    /// Nothing of this request is to be sent any more; what was judged is forgotten.
    pub(super) fn discard(&mut self) {
        self.abandoned = true;
        self.forget_judged();
    }

    pub(super) fn forget_judged(&mut self) {
        self.kept = false;
        self.shed();
        if let Some(window) = &mut self.window {
            let pending = window.pending().len();
            window.sent(pending);
            window.release();
        }
    }
}
