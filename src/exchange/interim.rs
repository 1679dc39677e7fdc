//! What comes before the final head: interim responses of the server, and the 100 that ELB says itself.
//!
//! It owns their number and size, never the decision what to do with a server that says too much. Next: [`super::response`].

use super::heads::Heads;
use super::response::ResponseHalf;
use crate::http1::buf::Buf;
use crate::http1::{limits, reply, rewrite};

impl ResponseHalf {
    /// Another interim response, which was found, is one too many.
    pub(super) fn has_said_enough(&self, heads: &Heads) -> bool {
        self.interim >= limits::INTERIM_RESPONSES
            || self.interim_bytes + heads.response_len() > limits::INTERIM_BYTES
    }

    /// An interim response was found; it goes on to the client, or ends here.
    pub(super) fn interim(&mut self, heads: &Heads, pass: bool) {
        self.interim += 1;
        self.interim_bytes += heads.response_len();
        if pass && self.outbox.len() < limits::INTERIM_BACKLOG {
            let bytes = self.window.as_ref().map_or(&[][..], Buf::unparsed);
            rewrite::interim(self.outbox.more(), bytes, &heads.response);
        }
        self.skip_head(heads);
    }

    /// Tells the client to go on with its body.
    pub(super) fn say_continue(&mut self) {
        self.outbox.more().extend_from_slice(reply::CONTINUE);
    }
}
