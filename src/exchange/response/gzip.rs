//! Content that is compressed on its way: what of it leaves when.
//!
//! It owns that order, and the chunks that it leaves in. The content is taken out of its window and compressed as it comes, as
//! long as little of what came of it waits for the client: what waits is no more than one or two windows come to, however slow
//! the client is, and a full window is the backpressure. Next: [`crate::exchange::press`] compresses,
//! [`crate::http1::gzipped`] judges and changes heads.

use super::{Mode, ResponseHalf};
use crate::exchange::facts::Facts;
use crate::exchange::heads::Heads;
use crate::exchange::press::{Presses, Push};
use crate::exchange::sift::{Keeps, sift};
use crate::http1::buf::Buf;
use crate::http1::error::Refusal;
use crate::http1::framing::{Framing, Version};
use crate::http1::gzipped;
use crate::semantics::Gzip;
use crate::semantics::gzip::Takes;

impl ResponseHalf {
    /// Looks whether the answer whose head was written is to be compressed, and changes the head if it is.
    pub(super) fn gzip(&mut self, heads: &mut Heads, client: &Facts, gzip: &Gzip, takes: Takes) {
        let Heads { response: head, out, presses, .. } = heads;
        if head.status == 304 && takes.gzip && takes.weakly {
            // It says what the answer would say that the client has, which was compressed (RFC 9110, section 15.4.5).
            gzipped::weaken(out);
            return gzipped::vary(out);
        }
        if !gzipped::may_be(out, head.status, gzip) {
            return;
        }
        gzipped::vary(out);
        // To HTTP/1.0 there are no chunks, and to HEAD no content. Trailers that may come would be lost.
        let loses_nothing = head.framing != Framing::None && self.mode != Mode::PassAll;
        if !takes.gzip || client.version != Version::Http11 || !loses_nothing {
            return;
        }
        if let Some(press) = presses.take(gzip.level) {
            gzipped::code(out, head.framing);
            (self.press, self.mode) = (Some(press), Mode::Gzip);
        }
    }

    /// Takes what has come of the content out of its window and compresses it. What comes of that leaves when what came before
    /// has left, but for the last of it, behind which nothing can gather.
    ///
    /// It frees a window in the turn in which that was filled, or puts something where it leaves: who waits for room, and for
    /// no other event, would wait for ever otherwise.
    ///
    /// # Errors
    /// The first rule that it breaks.
    #[cold]
    #[inline(never)]
    pub(super) fn compress(&mut self, presses: &mut Presses) -> Result<(), Refusal> {
        let Some(press) = &mut self.press else { return Ok(()) };
        let may_leave = !press.has_given || self.outbox.is_flushed();
        press.waits = !may_leave && press.has_a_chunk();
        if press.waits {
            return Ok(());
        }
        let sifted = sift(&mut self.body, self.window.as_mut(), Keeps::Content);
        let window = self.window.as_mut();
        let rest = window.as_ref().is_some_and(|window| !window.unparsed().is_empty());
        let at_end = self.ended && !rest && self.body.ended();
        let push = match &sifted {
            Ok(true) => Push::Finish,
            Ok(false) if at_end => Push::Finish,
            Ok(false) if !may_leave => Push::Gather,
            // Who says how long it is has it at hand: it is through soon, and small when it is not torn. What has no
            // length may be a stream, of which somebody waits for each word; of one that is cut, all that came still goes out.
            // Pieces of 4 KiB make it 2 to 7 % larger, those of 16 KiB and more 2 % at most.
            Ok(false) if self.body.remaining().is_some() && !self.ended => Push::Gather,
            Ok(false) | Err(_) => Push::Flush,
        };
        let content = window.as_deref().map_or(&[][..], Buf::pending);
        let pressed = presses.press(press, content, push);
        if let Some(window) = window {
            window.sent(window.pending().len());
            window.release();
        }
        if !pressed {
            return Err(Refusal::BodyTooLong); // It cannot happen, and would be a cut.
        }
        self.done = push == Push::Finish;
        if may_leave || self.done {
            press.put_chunk(self.outbox.more(), push);
        }
        if self.done
            && let Some(press) = self.press.take()
        {
            presses.give(press);
        }
        sifted.map(drop)
    }
}
