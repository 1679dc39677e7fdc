//! The half that flows from client to server: head, body, and the window that may be replayed to another server.
//!
//! It owns the request's bytes from the moment they are read until they are sent and need not be sent again, never
//! the decision to send them. Next: `machine` drives it.

use super::phase::{Forward, RouteRequest};
use crate::http1::body::{Body, Piece};
use crate::http1::buf::Buf;
use crate::http1::error::Refusal;
use crate::http1::fields::{self, Span};
use crate::http1::framing::Framing;
use crate::http1::request_head::{RequestHead, check_request_line};
use crate::http1::rewrite::{self, ToServer};
use crate::http1::scan::{Found, Scan};
use crate::http1::syntax::is_token;
use crate::http1::target;

/// Largest window that is kept for a replay; a request that does not fit is sent once.
pub(super) const REPLAY: usize = 64 * 1024;
/// The window that every exchange begins with: a body of 16 KiB and its head come in one read.
pub(super) const FIRST_WINDOW: usize = 32 * 1024;

/// A text that is a stretch of the head, or a rewritten copy of one.
#[derive(Debug, Clone, Copy)]
enum Text {
    Head(Span),
    Copy,
}

/// The request and what has become of it.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // Independent facts about one stream, each with its own sentence.
pub(super) struct RequestHalf {
    pub(super) window: Option<Buf>,
    scan: Scan,
    found: Found,
    pub(super) head: RequestHead,
    host: Text,
    host_copy: Vec<u8>,
    path: Text,
    path_copy: Vec<u8>,
    /// `Host` as received, or the authority of the target, which wins over it (RFC 9112, section 3.2.2).
    authority: Span,
    /// The target as it goes out: what is put before it, and how much of it is path.
    before: &'static [u8],
    target: Span,
    path_len: u32,
    /// The protocols that it asks to switch to, when it does.
    protocols: Vec<u8>,
    out: Vec<u8>,
    out_sent: usize,
    body: Body,
    tail: &'static [u8],
    tail_sent: usize,
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
            scan: Scan::default(),
            found: Found { start: 0, end: 0 },
            head: RequestHead::default(),
            host: Text::Copy,
            host_copy: Vec::new(),
            path: Text::Copy,
            path_copy: Vec::new(),
            authority: Span::default(),
            before: b"",
            target: Span::default(),
            path_len: 0,
            protocols: Vec::new(),
            out: Vec::new(),
            out_sent: 0,
            body: Body::new(Framing::None, 0),
            tail: b"",
            tail_sent: 0,
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
        self.scan.reset();
        self.out.clear();
        self.out.shrink_to(FIRST_WINDOW);
        (self.out_sent, self.tail, self.tail_sent) = (0, b"", 0);
        (self.done, self.kept, self.begun, self.abandoned) = (false, true, false, false);
    }

    fn unjudged(&self) -> &[u8] {
        self.window.as_ref().map_or(&[], Buf::unjudged)
    }

    /// Bytes that no message has claimed yet.
    pub(super) fn unread(&self) -> &[u8] {
        self.unjudged()
    }

    /// Whether bytes of a head have come, empty lines before it not counted.
    pub(super) fn head_begun(&self) -> bool {
        self.scan.begun(self.unjudged())
    }

    /// Looks for the end of the head; `true` when it was found and every part of it is understood.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub(super) fn find(&mut self, max_head: usize, max_body: u64) -> Result<bool, Refusal> {
        let Self { window: Some(window), scan, head, .. } = self else { return Ok(false) };
        let bytes = window.unjudged();
        let begins = scan.is_fresh() && bytes.first().is_some_and(|byte| is_token(*byte));
        match begins.then(|| head.parse_at_once(bytes, max_head)).flatten() {
            Some(found) => self.found = found,
            None => {
                let found = scan.find(bytes, max_head);
                // A bad first line is what is wrong, whatever came behind it in the same read.
                if let Some(line) = scan.first_line(bytes) {
                    check_request_line(line)?;
                }
                let Some(found) = found? else { return Ok(false) };
                self.found = found;
                head.parse(bytes, found)?;
            }
        }
        if let Framing::Length(length) = self.head.framing
            && length > max_body
        {
            return Err(Refusal::BodyTooLong);
        }
        self.body = Body::new(self.head.framing, max_body);
        self.understand()?;
        Ok(true)
    }

    /// Takes the target and the host apart.
    fn understand(&mut self) -> Result<(), Refusal> {
        let Self { window: Some(window), .. } = self else { return Ok(()) };
        let bytes = window.unjudged();
        let target = target::parse(self.head.method.of(bytes), self.head.target.of(bytes))?;
        // The `*` that goes out need not be one that came in.
        self.target = if target.asterisk { Span::default() } else { Span::within(bytes, target.rest) };
        self.before = match target {
            target::Target { asterisk: true, .. } => b"*".as_slice(),
            target::Target { slash: true, .. } => b"/",
            _ => b"",
        };
        self.path_len = Span::new(0, target.path.len()).len;
        let host = self.head.host.of(bytes);
        if !host.is_empty() && target.authority.is_some() {
            // The field must be valid even where the target wins over it.
            target::normal_host(host, &mut self.host_copy)?;
        }
        let authority = target.authority.unwrap_or(host);
        self.authority = Span::within(bytes, authority);
        self.host = if authority.is_empty() {
            self.host_copy.clear();
            if target.authority.is_none() && self.head.version == crate::http1::framing::Version::Http10 {
                Text::Copy
            } else {
                return Err(Refusal::Host);
            }
        } else {
            settle(bytes, authority, &mut self.host_copy, target::normal_host)?
        };
        self.path = if target.asterisk || target.slash {
            self.path_copy.clear();
            self.path_copy.push(b'/');
            Text::Copy
        } else {
            settle(bytes, target.path, &mut self.path_copy, target::normalize)?
        };
        Ok(())
    }

    fn text<'a>(&'a self, text: Text, copy: &'a [u8]) -> &'a [u8] {
        match text {
            Text::Head(span) => span.of(self.unjudged()),
            Text::Copy => copy,
        }
    }

    /// What a rule may look at; valid from [`RequestHalf::find`] to [`RequestHalf::commit`].
    pub(super) fn route_request(&self) -> RouteRequest<'_> {
        let bytes = self.unjudged();
        RouteRequest {
            host: self.authority.of(bytes),
            host_normal: self.text(self.host, &self.host_copy),
            path: self.text(self.path, &self.path_copy),
            user_agent: self.head.user_agent.map(|value| value.of(bytes)),
        }
    }

    /// The method, as sent; valid as long as the head is in the window.
    pub(super) fn method(&self) -> &[u8] {
        self.head.method.of(self.unjudged())
    }

    /// Writes the head that goes out and takes the client's out of the window.
    pub(super) fn commit(&mut self, forward: &Forward<'_>, host_as_received: bool) {
        let mut out = std::mem::take(&mut self.out);
        let bytes = self.unjudged();
        let target = self.target.of(bytes);
        let (path, query) = target.split_at_checked(self.path_len as usize).unwrap_or((target, b""));
        let path: [&[u8]; 2] = match forward.path {
            Some(path) => [path, b""],
            None => [self.before, path],
        };
        let normal = self.text(self.host, &self.host_copy);
        let own = if host_as_received { self.authority.of(bytes) } else { normal };
        let to = ToServer {
            peer: forward.peer,
            host: forward.host.unwrap_or(own),
            target: [path[0], path[1], query],
            extra: forward.extra,
        };
        rewrite::request(&mut out, bytes, &self.head, &to);
        if let Some(asked) = self.head.upgrade {
            let mut protocols = std::mem::take(&mut self.protocols);
            protocols.clear();
            protocols.extend_from_slice(asked.of(self.unjudged()));
            self.protocols = protocols;
        }
        self.out = out;
        self.skip_head();
        // What came behind the head leaves with it in one piece.
        if let Some(window) = self.window.as_mut().filter(|window| !window.is_empty())
            && window.prepend(&self.out)
        {
            self.out.clear();
        }
    }

    /// Whether this is a protocol that the client asked to switch to.
    pub(super) fn asked_for(&self, protocol: &[u8]) -> bool {
        self.head.upgrade.is_some()
            && fields::tokens(&self.protocols).any(|asked| asked.eq_ignore_ascii_case(protocol))
    }

    /// Takes the head out of the window without sending anything.
    pub(super) fn skip_head(&mut self) {
        if let Some(window) = &mut self.window {
            window.remove(self.found.end);
        }
        self.found.end = 0;
    }

    /// Judges the bytes of the body that have come.
    ///
    /// # Errors
    /// The first rule that they break.
    pub(super) fn judge(&mut self) -> Result<(), Refusal> {
        if self.done {
            return Ok(());
        }
        loop {
            let piece = self.body.next(self.window.as_ref().map_or(&[], Buf::unjudged))?;
            let Some(window) = &mut self.window else {
                self.done = piece == Piece::Done;
                return Ok(());
            };
            match piece {
                Piece::Data(n) | Piece::Line(n) => window.accept(n),
                // The final CRLF alone ends every body; trailers do not go to a server that was not asked for them.
                Piece::Trailers(n) if n == 2 => window.accept(n),
                Piece::Trailers(n) => {
                    window.remove(n);
                    self.tail = b"\r\n";
                }
                Piece::More => return Ok(()),
                Piece::Done => {
                    self.done = true;
                    return Ok(());
                }
            }
        }
    }

    /// Whether more bytes are wanted and may be held; frees what need not be kept for that.
    pub(super) fn make_room(&mut self) -> bool {
        let Some(window) = &mut self.window else { return true };
        if !window.is_full() {
            return true;
        }
        if self.kept && window.capacity() < REPLAY {
            return true; // A larger window will be lent.
        }
        if self.begun && window.pending().is_empty() {
            self.forfeit();
            return true; // Now there is room, or one piece fills it all and a larger window will be lent.
        }
        false
    }

    /// Gives up the replay and frees what was sent.
    pub(super) fn forfeit(&mut self) {
        self.kept = false;
        if let Some(window) = &mut self.window {
            window.release();
        }
    }

    /// What should leave, in order.
    pub(super) fn slices(&self) -> [&[u8]; 3] {
        if self.abandoned {
            return [&[]; 3];
        }
        let pending = self.window.as_ref().map_or(&[][..], Buf::pending);
        [&self.out[self.out_sent..], pending, &self.tail[self.tail_sent..]]
    }

    /// Everything judged so far has left.
    pub(super) fn is_flushed(&self) -> bool {
        self.slices().iter().all(|slice| slice.is_empty())
    }

    /// The first `n` bytes of [`RequestHalf::slices`] have left.
    pub(super) fn sent(&mut self, n: usize) {
        self.begun = true;
        let head = n.min(self.out.len() - self.out_sent);
        self.out_sent += head;
        let mut rest = n - head;
        if let Some(window) = &mut self.window {
            let body = rest.min(window.pending().len());
            window.sent(body);
            rest -= body;
            if !self.kept {
                window.release();
            }
        }
        self.tail_sent += rest;
    }

    /// Everything is to be sent once more, to another connection.
    pub(super) fn rewind(&mut self) {
        (self.out_sent, self.tail_sent, self.begun, self.abandoned) = (0, 0, false, false);
        if let Some(window) = &mut self.window {
            window.rewind();
        }
    }

    /// What is true between any two calls.
    pub(super) fn check_invariants(&self) {
        debug_assert!(self.out_sent <= self.out.len() && self.tail_sent <= self.tail.len(), "sent twice");
        debug_assert!(self.tail.is_empty() || self.done, "a tail before the end of the body");
        debug_assert!(self.kept || self.window.as_ref().is_none_or(Buf::is_released), "kept for nothing");
    }

    /// Nothing of this request is to be sent any more; what was judged is forgotten.
    pub(super) fn discard(&mut self) {
        self.abandoned = true;
        self.forget_judged();
    }

    pub(super) fn forget_judged(&mut self) {
        self.kept = false;
        if let Some(window) = &mut self.window {
            let pending = window.pending().len();
            window.sent(pending);
            window.release();
        }
    }
}

/// Gives the canonical form of some bytes, out of themselves or written into the vector.
type Canonical = for<'a> fn(&'a [u8], &'a mut Vec<u8>) -> Result<&'a [u8], Refusal>;

/// Brings `part` into its canonical form: the bytes of the head themselves when they have it already, else a copy.
fn settle(bytes: &[u8], part: &[u8], copy: &mut Vec<u8>, canonical: Canonical) -> Result<Text, Refusal> {
    copy.clear();
    let text = canonical(part, copy)?;
    // A borrowed answer lies within the part; an empty one may point anywhere.
    let at = (text.as_ptr() as usize).wrapping_sub(part.as_ptr() as usize);
    if at <= part.len() && text.len() <= part.len() - at {
        Ok(Text::Head(Span::within(bytes, text)))
    } else {
        Ok(Text::Copy)
    }
}
