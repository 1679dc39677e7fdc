//! The half that flows from server to client: interim heads, the final head, the body, and ELB's own answers.
//!
//! It owns the response's bytes from the moment they are read until they are sent, never the decision to commit to
//! them. Next: [`super::machine`] drives it.

mod gzip;

use std::sync::Arc;

use super::facts::Facts;
use super::heads::Heads;
use super::outbox::Outbox;
use super::press::Press;
use super::sift::{Keeps, sift};
use super::sizes::Bulk;
use super::tail::{End, Tail};
use super::terms::Terms;
use super::windows::Need;
use crate::http1::body::Body;
use crate::http1::buf::Buf;
use crate::http1::error::Refusal;
use crate::http1::framing::{Framing, Version};
use crate::http1::reply::{self, Reply};
use crate::http1::response_head::close_up;
use crate::http1::rewrite::{self, Persistence};
use crate::http1::scan::Scan;

/// How the body goes to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// As it comes, but for trailers.
    Pass,
    /// As it comes, with trailers.
    PassAll,
    /// Out of its chunks, for HTTP/1.0.
    Unchunk,
    /// In chunks, because only the server's close ends it, and a cut must not look like that.
    Wrap,
    /// The same, behind the first chunk.
    Wrapped,
    /// Compressed, in chunks.
    Gzip,
}

/// The response and what has become of it.
#[derive(Debug)]
pub(super) struct ResponseHalf {
    pub(super) window: Option<Buf>,
    /// What leaves before the window: heads that did not go into it, sizes of chunks, ELB's own answers.
    pub(super) outbox: Outbox,
    body: Body,
    bulk: Bulk,
    tail: Tail,
    mode: Mode,
    /// What compresses the body, until it is at its end.
    pub(super) press: Option<Box<Press>>,
    /// The server would like to use its connection again.
    pub(super) keep_alive: bool,
    /// Interim responses seen, and their bytes.
    pub(super) interim: u8,
    pub(super) interim_bytes: u32,
    /// The status of the final head, or of a switch, that the client gets; 0 before that.
    pub(super) status: u16,
    /// The body has been read to its end.
    pub(super) done: bool,
    /// Bytes came on the present server connection.
    pub(super) begun: bool,
    /// The server's end of input was read.
    pub(super) ended: bool,
    /// The end of the body is the end of the client's connection.
    pub(super) until_close: bool,
}

impl ResponseHalf {
    /// A half that has seen nothing.
    pub(super) fn new() -> Self {
        Self {
            window: None,
            outbox: Outbox::new(),
            body: Body::new(Framing::None, 0),
            bulk: Bulk::default(),
            tail: Tail::new(End::Own),
            mode: Mode::Pass,
            press: None,
            keep_alive: false,
            interim: 0,
            interim_bytes: 0,
            status: 0,
            done: false,
            begun: false,
            ended: false,
            until_close: false,
        }
    }

    /// Ready for the response to the next request.
    pub(super) fn reset(&mut self) {
        self.restart();
        self.outbox.reset();
        (self.tail, self.interim, self.interim_bytes) = (Tail::new(End::Own), 0, 0);
        (self.until_close, self.status) = (false, 0);
    }

    /// Ready for a response from another server; what was sent to the client meanwhile stays sent.
    pub(super) fn restart(&mut self) {
        (self.done, self.begun, self.ended, self.bulk) = (false, false, false, Bulk::default());
        if let Some(window) = &mut self.window {
            window.clear();
        }
    }

    fn unparsed(&self) -> &[u8] {
        self.window.as_ref().map_or(&[], Buf::unparsed)
    }

    /// `n` bytes were put into the window.
    #[inline]
    pub(super) fn filled(&mut self, n: usize) {
        self.begun = true;
        if let Some(window) = &mut self.window {
            window.filled(n);
            self.bulk.came(n, window);
        }
    }

    /// More is wanted, and there is room for it or no window.
    pub(super) fn wants_more(&self) -> bool {
        let room = self.window.as_ref().is_none_or(|window| !window.is_full() || self.is_stuck(window));
        !self.done && !self.ended && room
    }

    /// Only a larger window than this full one helps; but not where nothing in it was looked at, as the client is slow.
    fn is_stuck(&self, window: &Buf) -> bool {
        window.is_stuck() && self.press.as_ref().is_none_or(|press| !press.waits)
    }

    /// The window that would hold more, or hold it better.
    #[inline]
    pub(super) fn need(&self) -> Need {
        Need::of(self.window.as_ref(), self.bulk.expects(&self.body))
    }

    /// Bytes behind the end of the response, which nobody asked for.
    pub(super) fn spoiled(&self) -> bool {
        self.ended || !self.unparsed().is_empty()
    }

    /// Looks for the end of a head; `true` when it was found and is understood.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub(super) fn find(
        &mut self,
        heads: &mut Heads,
        scan: &mut Scan,
        head_request: bool,
    ) -> Result<bool, Refusal> {
        let Self { window: Some(window), .. } = self else { return Ok(false) };
        match heads.find_response(window.unparsed(), scan, head_request) {
            Err(Refusal::HeaderName) => closed_up(window, heads, scan, head_request),
            found => found,
        }
    }

    /// The protocol that the head at hand names, with the `Connection` token.
    pub(super) fn protocol(&self, heads: &Heads) -> &[u8] {
        heads.response.upgrade.map_or(&[], |protocol| protocol.of(self.unparsed()))
    }

    pub(super) fn skip_head(&mut self, heads: &Heads) {
        if let Some(window) = &mut self.window {
            window.remove(heads.response_end);
        }
    }

    /// The protocol is switched: the 101 goes to the client, and all that follows is not HTTP.
    pub(super) fn switch(&mut self, heads: &Heads) {
        let bytes = self.window.as_ref().map_or(&[][..], Buf::unparsed);
        rewrite::switching(self.outbox.more(), bytes, &heads.response);
        self.status = heads.response.status;
        self.skip_head(heads);
    }

    /// The final head goes to the client, with the cookie of its terms. Returns whether the client's connection can
    /// go on after it.
    #[allow(clippy::ref_option)] // An address is passed, and looked at where it is needed: that costs the fewest instructions.
    pub(super) fn commit(
        &mut self,
        heads: &mut Heads,
        client: &Facts,
        keep: bool,
        terms: &Option<Arc<Terms>>,
    ) -> bool {
        let head = &heads.response;
        (self.status, self.keep_alive) = (head.status, head.keep_alive);
        let (mode, outgoing) = match (head.framing, client.version) {
            (Framing::Close, Version::Http11) => (Mode::Wrap, Framing::Chunked),
            (Framing::Chunked, Version::Http10) => (Mode::Unchunk, Framing::Close),
            (Framing::Chunked, _) if client.takes_trailers || head.announces_trailers => {
                (Mode::PassAll, Framing::Chunked)
            }
            _ => (Mode::Pass, head.framing),
        };
        self.until_close = outgoing == Framing::Close;
        let keep = keep && !self.until_close;
        self.mode = mode;
        self.body = Body::new(head.framing, u64::MAX);
        let bytes = self.window.as_ref().map_or(&[][..], Buf::unparsed);
        heads.out.clear();
        let persistence = Persistence::of(client.version, keep);
        rewrite::response(&mut heads.out, bytes, &heads.response, outgoing, persistence);
        if let Some(terms) = terms.as_ref().filter(|terms| terms.touch_answers()) {
            self.change(heads, client, terms);
        }
        self.skip_head(heads);
        self.put(&heads.out);
        keep
    }

    /// Changes the answer as its terms say: first what a rule says of the server's fields, then how its content leaves, then
    /// ELB's own.
    #[cold]
    #[inline(never)]
    fn change(&mut self, heads: &mut Heads, client: &Facts, terms: &Terms) {
        if let Some(edits) = &terms.edits {
            rewrite::edit(&mut heads.out, edits);
            if let Some(gzip) = &edits.gzip {
                self.gzip(heads, client, gzip, terms.takes);
            }
        }
        if let Some(cookie) = &terms.cookie {
            rewrite::add_field(&mut heads.out, "Set-Cookie", cookie);
        }
        if let Some(way) = &terms.way {
            rewrite::add_field(&mut heads.out, "X-ELB-Way", &[&*way.rules, &*way.server].concat());
        }
    }

    /// Puts the final head where the old one was, so that it and the body behind it leave in one piece by a plain call; or
    /// behind what is to leave before it, or before a size that is not known yet.
    fn put(&mut self, head: &[u8]) {
        let joins =
            self.outbox.more().is_empty() && matches!(self.mode, Mode::Pass | Mode::PassAll | Mode::Unchunk);
        if joins && self.window.as_mut().is_some_and(|window| window.prepend(head)) {
            self.outbox.joined();
        } else {
            self.outbox.stage().extend_from_slice(head);
        }
    }

    /// Moves a final head that waited for the size of the first chunk into the window, too.
    pub(super) fn join(&mut self) {
        if matches!(self.mode, Mode::Wrap | Mode::Wrapped)
            && let Some(head) = self.outbox.head_alone()
            && let Some(window) = self.window.as_mut().filter(|window| !window.is_empty())
            && window.prepend(head)
        {
            self.outbox.moved();
        }
    }

    /// An answer of ELB's own.
    pub(super) fn reply(
        &mut self,
        reply: &Reply<'_>,
        date: &reply::Date,
        persistence: Persistence,
        bodiless: bool,
    ) {
        reply.write(self.outbox.more(), date, persistence, bodiless);
        if let Some(window) = &mut self.window {
            window.clear();
        }
        (self.status, self.press) = (reply.status, None);
        (self.tail, self.done, self.until_close) = (Tail::new(End::Own), true, false);
    }

    /// Reads what has come of the body: what is exact of it may leave.
    ///
    /// # Errors
    /// The first rule that they break.
    pub(super) fn parse_body(&mut self, heads: &mut Heads) -> Result<(), Refusal> {
        let keeps = match self.mode {
            _ if self.done => return Ok(()),
            Mode::Wrap | Mode::Wrapped => return self.wrap(),
            Mode::Gzip => return self.compress(&mut heads.presses),
            Mode::Unchunk => Keeps::Content,
            Mode::PassAll => Keeps::Trailers,
            Mode::Pass => Keeps::Chunks,
        };
        self.done = sift(&mut self.body, self.window.as_mut(), keeps)?;
        Ok(())
    }

    /// Puts what has come into one chunk, once the chunk before it has left: the size line goes before the bytes.
    fn wrap(&mut self) -> Result<(), Refusal> {
        let Some(window) = &mut self.window else { return Ok(()) };
        let length = window.unparsed().len();
        if length == 0 || !window.pending().is_empty() {
            return Ok(());
        }
        window.accept(length);
        let out = self.outbox.more();
        if self.mode == Mode::Wrapped {
            out.extend_from_slice(b"\r\n");
        }
        rewrite::hexadecimal(out, length as u64);
        out.extend_from_slice(b"\r\n");
        self.mode = Mode::Wrapped;
        Ok(())
    }

    /// The server's end of input: was it the end of the body? Bytes that came before it must have been read.
    pub(super) fn finish(&mut self) -> bool {
        // What is compressed has come to its end when that has left the press.
        if self.done || !self.unparsed().is_empty() || self.mode == Mode::Gzip {
            return self.done;
        }
        self.done = self.body.ended();
        match self.mode {
            Mode::Wrap if self.done => self.tail = Tail::new(End::OnlyChunk),
            Mode::Wrapped if self.done => self.tail = Tail::new(End::LastChunk),
            _ => {}
        }
        self.done
    }

    /// What is true between any two calls.
    pub(super) fn check_invariants(&self) {
        self.outbox.check_invariants();
        debug_assert!(self.tail.is_none() || self.done, "a tail before the end of the body");
        debug_assert!(
            self.press.is_none() || (self.mode == Mode::Gzip && !self.done),
            "a press without work"
        );
        debug_assert!(self.window.as_ref().is_none_or(Buf::is_released), "a response is kept");
    }

    /// What should leave, in order.
    pub(super) fn slices(&self) -> [&[u8]; 3] {
        let pending = self.window.as_ref().map_or(&[][..], Buf::pending);
        [self.outbox.left(), pending, self.tail.left()]
    }

    /// Everything that may leave has left.
    pub(super) fn is_flushed(&self) -> bool {
        self.outbox.is_flushed() && self.window.as_ref().is_none_or(Buf::is_flushed) && self.tail.is_sent()
    }

    /// The first `n` bytes of [`ResponseHalf::slices`] have left.
    pub(super) fn sent(&mut self, n: usize) {
        let mut rest = self.outbox.sent(n);
        if let Some(window) = &mut self.window {
            let body = rest.min(window.pending().len());
            window.sent(body);
            window.release();
            rest -= body;
        }
        self.tail.sent(rest);
    }
}

/// The same once more, without the blanks before colons that may be all that is wrong with the head.
#[cold]
#[inline(never)]
fn closed_up(
    window: &mut Buf,
    heads: &mut Heads,
    scan: &mut Scan,
    head_request: bool,
) -> Result<bool, Refusal> {
    match close_up(window.unparsed_mut().get_mut(..heads.response_end).unwrap_or_default()) {
        0 => return Err(Refusal::HeaderName),
        free => window.remove(free),
    }
    scan.reset();
    heads.search_response(window.unparsed(), scan, head_request)
}
