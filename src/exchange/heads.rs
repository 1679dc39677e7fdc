//! The two heads of an exchange while they are taken apart and written anew.
//!
//! It owns what is true of a head only until the one that leaves is written: spans, canonical texts, and room to write
//! in. All of that happens within one turn, so one of these serves all exchanges of a worker and stays in its cache, and
//! an exchange under way takes few lines of it. Next: [`super::request`] and [`super::response`] keep what outlasts a head.

use super::phase::{Forward, Policy};
use super::press::{Pressed, Presses};
use crate::http1::error::Refusal;
use crate::http1::fields::Span;
use crate::http1::framing::Framing;
use crate::http1::origin::Origin;
use crate::http1::request_head::{RequestHead, check_request_line};
use crate::http1::response_head::{ResponseHead, may_be_response};
use crate::http1::rewrite::{self, Target, ToServer};
use crate::http1::scan::Scan;
use crate::http1::{foreign, limits, target};
use crate::semantics::reserved::{self, Reserved};
use crate::semantics::syntax::is_token;
use crate::semantics::{Head, RequestView, host, path};

/// Both heads, of the exchange that is driven. What is in it means something from the step that found a head until its question
/// is answered; a shell sees it through a [`super::Routing`] alone.
#[derive(Debug, Default)]
pub struct Heads {
    pub(super) request: ParsedRequest,
    pub(super) response: ResponseHead,
    /// Where the response head ends.
    pub(super) response_end: usize,
    /// Where a head is written that goes into a window.
    pub(super) out: Vec<u8>,
    /// What compresses the answers that these heads are of.
    pub(super) presses: Presses,
}

/// A text that is a stretch of the head, or a rewritten copy of one.
#[derive(Debug, Clone, Copy, Default)]
enum Text {
    Head(Span),
    #[default]
    Copy,
}

/// A request head that is understood.
#[derive(Debug, Default)]
pub(super) struct ParsedRequest {
    pub(super) head: RequestHead,
    /// Behind its last byte.
    pub(super) end: usize,
    host: Text,
    host_copy: Vec<u8>,
    /// The path as rules see it.
    path: Text,
    path_copy: Vec<u8>,
    /// The path that goes out in place of the client's, with its dots resolved; empty when the client's own does.
    resolved: Vec<u8>,
    /// `Host` as received, or the authority of the target, which wins over it (RFC 9112, section 3.2.2).
    authority: Span,
    /// The target as it goes out: what is put before it, and how much of it is path.
    before: &'static [u8],
    target: Span,
    path_len: u32,
    /// The path may be ELB's own: it is to be compared.
    may_be_reserved: bool,
}

impl Heads {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was compressed since the start.
    #[must_use]
    pub fn pressed(&self) -> Pressed {
        self.presses.pressed()
    }

    /// Bytes of the response head, which is bounded.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn response_len(&self) -> u32 {
        self.response_end as u32
    }

    /// Looks for the end of the response head that `bytes` begin with; `true` when it was found and is understood.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub(super) fn find_response(
        &mut self,
        bytes: &[u8],
        scan: &mut Scan,
        head_request: bool,
    ) -> Result<bool, Refusal> {
        let at_once = scan.is_fresh().then(|| self.response.parse_at_once(bytes, head_request)).flatten();
        match at_once {
            Some(found) => self.response_end = found.end,
            None => return self.search_response(bytes, scan, head_request),
        }
        Ok(true)
    }

    /// The same for a head that has not come at once, or breaks a rule, or is to be read once more.
    pub(super) fn search_response(
        &mut self,
        bytes: &[u8],
        scan: &mut Scan,
        head_request: bool,
    ) -> Result<bool, Refusal> {
        if !may_be_response(bytes) {
            return Err(Refusal::StatusLine);
        }
        let Some(found) = scan.find(bytes, limits::RESPONSE_HEAD)? else { return Ok(false) };
        self.response_end = found.end; // Whoever mends the head must know where it ends.
        self.response.parse(bytes, found, head_request).map(|()| true)
    }
}

impl ParsedRequest {
    /// Looks for the end of the head that `bytes` begin with; `true` when it was found and every part of it is understood.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub(super) fn find(&mut self, bytes: &[u8], scan: &mut Scan, policy: &Policy) -> Result<bool, Refusal> {
        let begins = scan.is_fresh() && bytes.first().is_some_and(|byte| is_token(*byte));
        self.end = match begins.then(|| self.head.parse_at_once(bytes, policy.max_head)).flatten() {
            Some(found) => found.end,
            None => match self.search(bytes, scan, policy)? {
                Some(end) => end,
                None => return Ok(false),
            },
        };
        self.accept(bytes, policy)
    }

    /// The same for a head that nobody sent: it has code of its own, so that [`find`](Self::find) has one caller.
    #[cold]
    #[inline(never)]
    pub(super) fn find_seldom(&mut self, bytes: &[u8], policy: &Policy) -> Result<bool, Refusal> {
        let Some(end) = self.search(bytes, &mut Scan::default(), policy)? else { return Ok(false) };
        self.end = end;
        self.accept(bytes, policy)
    }

    /// Where a head ends that has not come at once, or breaks a rule.
    fn search(&mut self, bytes: &[u8], scan: &mut Scan, policy: &Policy) -> Result<Option<usize>, Refusal> {
        if let Some(refusal) = foreign::refusal(bytes) {
            return Err(refusal);
        }
        let found = scan.find(bytes, policy.max_head);
        // A bad first line is what is wrong, whatever came behind it in the same read.
        if let Some(line) = scan.first_line(bytes) {
            check_request_line(line)?;
        }
        let Some(found) = found? else { return Ok(None) };
        self.head.parse(bytes, found)?;
        Ok(Some(found.end))
    }

    /// Whether a head that was read is understood, and within what the policy allows.
    #[inline(always)]
    fn accept(&mut self, bytes: &[u8], policy: &Policy) -> Result<bool, Refusal> {
        self.understand(bytes, policy.path_as_received)?;
        // What goes to ELB itself is bounded by who takes it there.
        if let Framing::Length(length) = self.head.framing
            && length > policy.max_body
            && self.reserved(bytes) != Reserved::Exact
        {
            return Err(Refusal::BodyTooLong);
        }
        if !self.head.forwarded_for.is_empty() {
            self.goes_on(bytes, policy.max_forwarded)?;
        }
        Ok(true)
    }

    /// Whether so many have forwarded this request that it must go in a circle: an upstream is ELB itself, or comes back to
    /// it. Each round adds an entry, and would hold a connection more.
    fn goes_on(&self, bytes: &[u8], most: u32) -> Result<(), Refusal> {
        let entries = |value: &[u8]| match value {
            [] => 0,
            _ => 1 + memchr::memchr_iter(b',', value).count(),
        };
        let all: usize = self.head.forwarded_for.iter().map(|value| entries(value.of(bytes))).sum();
        if most > 0 && all > most as usize { Err(Refusal::Loop) } else { Ok(()) }
    }

    /// Takes the target and the host apart.
    #[inline(always)]
    fn understand(&mut self, bytes: &[u8], path_as_received: bool) -> Result<(), Refusal> {
        let target = target::parse(self.head.method.of(bytes), self.head.target.of(bytes))?;
        // The `*` that goes out need not be one that came in.
        self.target = if target.asterisk { Span::default() } else { Span::within(bytes, target.rest) };
        self.before = match target {
            target::Target { asterisk: true, .. } => b"*".as_slice(),
            target::Target { slash: true, .. } => b"/",
            _ => b"",
        };
        self.path_len = Span::new(0, target.path.len()).len;
        let host = self.head.host.unwrap_or_default().of(bytes);
        if !host.is_empty() && target.authority.is_some() {
            // The field must be valid even where the target wins over it.
            host::canonical(host, &mut self.host_copy)?;
        }
        let authority = target.authority.unwrap_or(host);
        self.authority = Span::within(bytes, authority);
        self.host = if authority.is_empty() {
            self.host_copy.clear();
            if self.head.host.is_some() {
                return Err(Refusal::Host);
            }
            Text::Copy // HTTP/1.0 need not say one.
        } else {
            settle(bytes, authority, &mut self.host_copy, host::canonical)?
        };
        self.resolved.clear();
        self.path = if target.asterisk || target.slash {
            self.may_be_reserved = false;
            self.path_copy.clear();
            self.path_copy.push(b'/');
            Text::Copy
        } else if path::is_plain(target.path) {
            self.may_be_reserved = reserved::may_be(target.path);
            Text::Head(Span::within(bytes, target.path))
        } else {
            self.may_be_reserved = true;
            self.unusual_path(bytes, target.path, path_as_received)?
        };
        Ok(())
    }

    /// A path that must be looked at: what goes out of it, and then what rules see of that.
    #[cold]
    fn unusual_path(&mut self, bytes: &[u8], path: &[u8], as_received: bool) -> Result<Text, Refusal> {
        if as_received {
            return Ok(settle(bytes, path, &mut self.path_copy, path::normalize)?);
        }
        if path::resolve(path, &mut self.resolved)?.as_ptr() == path.as_ptr() {
            self.resolved.clear();
            return Ok(settle(bytes, path, &mut self.path_copy, path::normalize)?);
        }
        self.path_copy.clear();
        let seen = path::normalize(&self.resolved, &mut self.path_copy)?.len();
        if self.path_copy.is_empty() {
            // It is canonical as it goes out.
            self.path_copy.extend_from_slice(self.resolved.get(..seen).unwrap_or_default());
        }
        Ok(Text::Copy)
    }

    /// What may be looked at in it.
    #[inline(always)]
    pub(super) fn view<'a>(&'a self, bytes: &'a [u8], client: &'a [u8]) -> RequestView<'a> {
        let host = [self.authority.of(bytes), text(bytes, self.host, &self.host_copy)];
        RequestView::new((self, bytes), host, text(bytes, self.path, &self.path_copy), client)
    }

    /// The target, as received.
    pub(super) fn target<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.head.target.of(bytes)
    }

    /// Whose the path is.
    #[inline]
    pub(super) fn reserved(&self, bytes: &[u8]) -> Reserved {
        if !self.may_be_reserved {
            return Reserved::No;
        }
        reserved::judge(self.head.target.of(bytes), text(bytes, self.path, &self.path_copy))
    }

    /// Whether it says `X-ELB-Explain`.
    #[inline(always)]
    pub(super) fn asks_for_way(&self) -> bool {
        self.head.asks_for_way
    }

    /// Whether the body is there as well.
    pub(super) fn is_whole(&self, bytes: &[u8]) -> bool {
        match self.head.framing {
            Framing::None => true,
            Framing::Length(length) => bytes.len().saturating_sub(self.end) as u64 >= length,
            Framing::Chunked | Framing::Close => false,
        }
    }

    /// The target that goes out where it is not the one that came.
    #[cold]
    #[inline(never)]
    fn another_target<'a>(&'a self, bytes: &'a [u8], path: Option<&'a [u8]>) -> Target<'a> {
        let target = self.target.of(bytes);
        let (own, query) = target.split_at_checked(self.path_len as usize).unwrap_or((target, b""));
        Target::Anew(match path {
            Some(path) => [path, b"", query],
            None if self.resolved.is_empty() => [self.before, own, query],
            None => [&self.resolved, b"", query],
        })
    }

    /// Writes the head that goes out; `id` is the line of the request's id, if it has one.
    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        bytes: &[u8],
        forward: &Forward<'_>,
        id: &[u8],
        policy: &Policy,
    ) {
        let is_same = forward.path.is_none() && self.resolved.is_empty() && self.target == self.head.target;
        let target = if is_same { Target::AsCame } else { self.another_target(bytes, forward.path) };
        let normal = text(bytes, self.host, &self.host_copy);
        let authority = self.authority.of(bytes);
        let own = if policy.host_as_received { authority } else { normal };
        let origin = Origin {
            authority,
            is_bare: authority.len() == normal.len(),
            is_trusted: forward.peer.is_some(),
            session: forward.session,
            passes: policy.pass_forwarded,
        };
        let to = ToServer {
            client: forward.client,
            peer: forward.peer,
            host: forward.host.unwrap_or(own),
            target,
            extra: forward.extra,
            id,
            origin,
        };
        rewrite::request(out, bytes, &self.head, &to);
    }
}

impl Head for ParsedRequest {
    fn method<'a>(&'a self, bytes: &'a [u8]) -> &'a [u8] {
        self.head.method.of(bytes)
    }

    fn query<'a>(&'a self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.target.of(bytes).get(self.path_len as usize..)?.strip_prefix(b"?")
    }

    fn field<'a>(&'a self, bytes: &'a [u8], name: &[u8], from: usize) -> Option<(&'a [u8], usize)> {
        self.head.value_of(bytes.get(..self.end)?, name, from)
    }

    fn user_agent<'a>(&'a self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.head.user_agent.map(|value| value.of(bytes))
    }
}

fn text<'a>(bytes: &'a [u8], text: Text, copy: &'a [u8]) -> &'a [u8] {
    match text {
        Text::Head(span) => span.of(bytes),
        Text::Copy => copy,
    }
}

/// Gives the canonical form of some bytes, out of themselves or written into the vector.
type Canonical<E> = for<'a> fn(&'a [u8], &'a mut Vec<u8>) -> Result<&'a [u8], E>;

/// Brings `part` into its canonical form: the bytes of the head themselves when they have it already, else a copy.
#[inline(always)]
fn settle<E>(bytes: &[u8], part: &[u8], copy: &mut Vec<u8>, canonical: Canonical<E>) -> Result<Text, E> {
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
