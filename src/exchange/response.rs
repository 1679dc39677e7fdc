//! The half that flows from server to client: interim heads, the final head, the body, and ELB's own answers.
//!
//! It owns the response's bytes from the moment they are read until they are sent, never the decision to commit to
//! them. Next: `machine` drives it.

use super::heads::Heads;
use super::sift::{Keeps, sift};
use super::sizes::{Bulk, HEAD, KEPT_HEAD};
use super::tail::{End, Tail};
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
    /// As it comes.
    Pass,
    /// Out of its chunks, for HTTP/1.0.
    Unchunk,
    /// In chunks, because only the server's close ends it, and a cut must not look like that.
    Wrap,
}

/// What the client is, as far as a response must know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    pub(super) version: Version,
    pub(super) takes_trailers: bool,
}

/// The response and what has become of it.
#[derive(Debug)]
pub(super) struct ResponseHalf {
    pub(super) window: Option<Buf>,
    /// What leaves before the window: heads that did not go into it, sizes of chunks, ELB's own answers.
    pub(super) out: Vec<u8>,
    out_sent: usize,
    /// Where in `out` the final head begins, until something of it has left.
    final_at: Option<usize>,
    /// The final head is in the window, right before the body, and nothing of it has left.
    joined: bool,
    pub(super) body: Body,
    pub(super) bulk: Bulk,
    tail: Tail,
    mode: Mode,
    passes_trailers: bool,
    wrapped: bool,
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
            out: Vec::with_capacity(HEAD),
            out_sent: 0,
            final_at: None,
            joined: false,
            body: Body::new(Framing::None, 0),
            bulk: Bulk::default(),
            tail: Tail::new(End::Own),
            mode: Mode::Pass,
            passes_trailers: false,
            wrapped: false,
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
        self.out.clear();
        self.out.shrink_to(KEPT_HEAD);
        (self.out_sent, self.tail, self.interim, self.interim_bytes) = (0, Tail::new(End::Own), 0, 0);
        (self.until_close, self.wrapped, self.status, self.joined) = (false, false, 0, false);
    }

    /// Ready for a response from another server; what was sent to the client meanwhile stays sent.
    pub(super) fn restart(&mut self) {
        (self.done, self.begun, self.ended, self.bulk) = (false, false, false, Bulk::default());
        if let Some(window) = &mut self.window {
            window.clear();
        }
    }

    fn unjudged(&self) -> &[u8] {
        self.window.as_ref().map_or(&[], Buf::unjudged)
    }

    /// Bytes behind the end of the response, which nobody asked for.
    pub(super) fn spoiled(&self) -> bool {
        self.ended || !self.unjudged().is_empty()
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
        match heads.find_response(window.unjudged(), scan, head_request) {
            Err(Refusal::HeaderName) => closed_up(window, heads, scan, head_request),
            found => found,
        }
    }

    /// The protocol that the head at hand names, with the `Connection` token.
    pub(super) fn protocol(&self, heads: &Heads) -> &[u8] {
        heads.response.upgrade.map_or(&[], |protocol| protocol.of(self.unjudged()))
    }

    pub(super) fn skip_head(&mut self, heads: &Heads) {
        if let Some(window) = &mut self.window {
            window.remove(heads.response_end);
        }
    }

    /// The protocol is switched: the 101 goes to the client, and all that follows is not HTTP.
    pub(super) fn switch(&mut self, heads: &Heads) {
        self.drop_sent_out();
        let bytes = self.window.as_ref().map_or(&[][..], Buf::unjudged);
        rewrite::switching(&mut self.out, bytes, &heads.response);
        self.status = heads.response.status;
        self.skip_head(heads);
    }

    /// The final head goes to the client. Returns whether the client's connection can go on after it.
    pub(super) fn commit(&mut self, heads: &mut Heads, client: Client, keep: bool) -> bool {
        self.drop_sent_out();
        self.final_at = Some(self.out.len());
        let head = &heads.response;
        (self.status, self.keep_alive) = (head.status, head.keep_alive);
        let (mode, outgoing) = match (head.framing, client.version) {
            (Framing::Close, Version::Http11) => (Mode::Wrap, Framing::Chunked),
            (Framing::Chunked, Version::Http10) => (Mode::Unchunk, Framing::Close),
            _ => (Mode::Pass, head.framing),
        };
        self.until_close = outgoing == Framing::Close;
        let keep = keep && !self.until_close;
        self.mode = mode;
        self.passes_trailers =
            client.version == Version::Http11 && (client.takes_trailers || head.announces_trailers);
        self.body = Body::new(head.framing, u64::MAX);
        let bytes = self.window.as_ref().map_or(&[][..], Buf::unjudged);
        heads.out.clear();
        let persistence = Persistence::of(client.version, keep);
        rewrite::response(&mut heads.out, bytes, &heads.response, outgoing, persistence);
        self.skip_head(heads);
        self.put(&heads.out);
        keep
    }

    /// Puts the final head where the old one was, so that it and the body behind it leave in one piece by a plain call; or
    /// behind what is to leave before it, or before a size that is not known yet.
    fn put(&mut self, head: &[u8]) {
        let joins = self.out.is_empty() && self.mode != Mode::Wrap;
        self.joined = joins && self.window.as_mut().is_some_and(|window| window.prepend(head));
        if !self.joined {
            self.out.extend_from_slice(head);
        }
    }

    /// Bytes of the final head have left.
    pub(super) fn head_left(&self) -> bool {
        self.final_at.is_none_or(|at| !self.joined && self.out_sent > at)
    }

    /// Takes a final head back of which nothing has left. What is in the window goes with the answer that replaces it.
    pub(super) fn retract(&mut self) {
        if let Some(at) = self.final_at.take() {
            self.out.truncate(at);
            self.out_sent = self.out_sent.min(at);
        }
        self.joined = false;
    }

    /// Moves a final head that waited for the size of the first chunk into the window, too.
    pub(super) fn join(&mut self) {
        if self.mode == Mode::Wrap
            && self.final_at == Some(0)
            && self.out_sent == 0
            && !self.joined
            && let Some(window) = self.window.as_mut().filter(|window| !window.is_empty())
        {
            self.joined = window.prepend(&self.out);
            if self.joined {
                self.out_sent = self.out.len();
            }
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
        self.drop_sent_out();
        reply.write(&mut self.out, date, persistence, bodiless);
        if let Some(window) = &mut self.window {
            window.clear();
        }
        self.status = reply.status;
        (self.tail, self.done, self.until_close) = (Tail::new(End::Own), true, false);
    }

    pub(super) fn drop_sent_out(&mut self) {
        if self.out_sent == self.out.len() {
            self.out.clear();
            (self.out_sent, self.final_at) = (0, None);
        }
    }

    /// Judges the bytes of the body that have come.
    ///
    /// # Errors
    /// The first rule that they break.
    pub(super) fn judge(&mut self) -> Result<(), Refusal> {
        let keeps = match self.mode {
            _ if self.done => return Ok(()),
            Mode::Wrap => return self.wrap(),
            Mode::Unchunk => Keeps::Content,
            Mode::Pass if self.passes_trailers => Keeps::Trailers,
            Mode::Pass => Keeps::Chunks,
        };
        self.done = sift(&mut self.body, self.window.as_mut(), keeps)?;
        Ok(())
    }

    /// Puts what has come into one chunk, once the chunk before it has left: the size line goes before the bytes.
    fn wrap(&mut self) -> Result<(), Refusal> {
        let Some(window) = &mut self.window else { return Ok(()) };
        let length = window.unjudged().len();
        if length == 0 || !window.pending().is_empty() {
            return Ok(());
        }
        window.accept(length);
        self.drop_sent_out();
        if self.wrapped {
            self.out.extend_from_slice(b"\r\n");
        }
        rewrite::hexadecimal(&mut self.out, length as u64);
        self.out.extend_from_slice(b"\r\n");
        self.wrapped = true;
        Ok(())
    }

    /// The server's end of input: was it the end of the body? Bytes that came before it must have been judged.
    pub(super) fn finish(&mut self) -> bool {
        if self.done || !self.unjudged().is_empty() {
            return self.done;
        }
        self.done = self.body.ended();
        if self.done && self.mode == Mode::Wrap {
            self.tail = Tail::new(if self.wrapped { End::LastChunk } else { End::OnlyChunk });
        }
        self.done
    }

    /// What is true between any two calls.
    pub(super) fn check_invariants(&self) {
        debug_assert!(self.out_sent <= self.out.len(), "sent twice");
        debug_assert!(self.tail.is_none() || self.done, "a tail before the end of the body");
        debug_assert!(self.window.as_ref().is_none_or(Buf::is_released), "a response is kept");
    }

    /// What should leave, in order.
    pub(super) fn slices(&self) -> [&[u8]; 3] {
        let pending = self.window.as_ref().map_or(&[][..], Buf::pending);
        [&self.out[self.out_sent..], pending, self.tail.left()]
    }

    /// Everything judged so far has left.
    pub(super) fn is_flushed(&self) -> bool {
        self.out_sent == self.out.len()
            && self.window.as_ref().is_none_or(Buf::is_flushed)
            && self.tail.is_sent()
    }

    /// The first `n` bytes of [`ResponseHalf::slices`] have left.
    pub(super) fn sent(&mut self, n: usize) {
        if std::mem::take(&mut self.joined) {
            self.final_at = None;
        }
        let head = n.min(self.out.len() - self.out_sent);
        self.out_sent += head;
        let mut rest = n - head;
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
    match close_up(window.unjudged_mut().get_mut(..heads.response_end).unwrap_or_default()) {
        0 => return Err(Refusal::HeaderName),
        free => window.remove(free),
    }
    scan.reset();
    heads.search_response(window.unjudged(), scan, head_request)
}
