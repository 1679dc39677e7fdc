//! What is true of the request under way: it is known when its head is understood, and forgotten with its end.
//!
//! It owns facts about one request, never its bytes and never how far they have come. Next: [`super::machine`].

use super::retry;
use crate::http1::fields;
use crate::http1::framing::Version;
use crate::http1::request_head::RequestHead;

/// One request, as far as the rest of its exchange depends on it.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // Independent facts, each with its own sentence.
pub(super) struct Facts {
    pub(super) version: Version,
    /// The client would like to use its connection again.
    pub(super) keep_alive: bool,
    /// The client can take trailers.
    pub(super) takes_trailers: bool,
    /// The client waits for `100 Continue` before it sends the body, and was not told so yet.
    pub(super) expects_continue: bool,
    /// The method is HEAD.
    pub(super) is_head: bool,
    pub(super) is_idempotent: bool,
    /// Where the exchange ends on the server's connection is not certain ([`retry::unexpected_body`]).
    pub(super) blurred: bool,
    /// The server's connection is the client's from now on ([`crate::http1::fields::binds`]).
    pub(super) private: bool,
    /// The protocols that the client asks to switch to, when it does.
    protocols: Option<Box<Protocols>>,
}

/// A list of protocols. It is seldom there, and takes a word of each request under way.
#[derive(Debug)]
struct Protocols(Box<[u8]>);

impl Facts {
    /// None yet: what is assumed of a request whose head is not understood.
    #[inline]
    pub(super) fn none() -> Self {
        Self {
            version: Version::Http11,
            keep_alive: false,
            takes_trailers: false,
            expects_continue: false,
            is_head: false,
            is_idempotent: false,
            blurred: false,
            private: false,
            protocols: None,
        }
    }

    /// Of a head in these bytes.
    #[inline]
    pub(super) fn of(head: &RequestHead, bytes: &[u8], has_body: bool) -> Self {
        let method = head.method.of(bytes);
        Self {
            version: head.version,
            keep_alive: head.keep_alive,
            takes_trailers: head.takes_trailers,
            expects_continue: head.expects_continue,
            is_head: method == b"HEAD",
            is_idempotent: retry::idempotent(method),
            blurred: has_body && retry::unexpected_body(method),
            private: head.binds,
            protocols: head.upgrade.map(|upgrade| Box::new(Protocols(upgrade.of(bytes).into()))),
        }
    }

    #[inline]
    fn protocols(&self) -> &[u8] {
        self.protocols.as_ref().map_or(&[], |protocols| &protocols.0)
    }

    /// Whether this is a protocol that the client asked to switch to.
    pub(super) fn asked_for(&self, protocol: &[u8]) -> bool {
        !protocol.is_empty()
            && fields::tokens(self.protocols()).any(|asked| asked.eq_ignore_ascii_case(protocol))
    }

    /// The protocol was switched: what else was asked for is of no use.
    pub(super) fn forget_protocols(&mut self) {
        self.protocols = None;
    }

    /// Bytes of memory beside the struct.
    #[inline]
    pub(super) fn outside(&self) -> usize {
        self.protocols().len()
    }
}
