//! The final response on its way to the client, while the rest of the request may still be on its way to the server.
//!
//! It owns [`Phase::Relay`] and its ends: finished, broken, cut. It never decides where a request goes. Next: `finish`.

use super::finish::{self, End};
use super::heads::Heads;
use super::machine::Exchange;
use super::phase::{Env, Phase, Sign, Step};
use super::response::Client;
use crate::http1::error::Refusal;
use crate::http1::reply::Reply;
use crate::reason::Reason;

impl Exchange {
    /// The response that was found is the client's.
    pub(super) fn commit(&mut self, env: &Env, heads: &mut Heads) {
        let request = &mut self.request;
        let client = Client { version: request.version, takes_trailers: request.takes_trailers };
        // What is not read of the request would have to be, before the next could be: nobody knows how long that takes.
        let keep = request.keep_alive && request.done && !env.draining;
        request.forfeit();
        self.blurred |= heads.response.withheld;
        self.private |= heads.response.binds;
        self.latest = None;
        self.keep = self.response.commit(heads, client, keep);
        self.phase = Phase::Relay;
    }

    pub(super) fn relay(&mut self, env: &Env) {
        if self.response.judge().is_err() {
            return self.broken(env, Reason::BadResponseBody);
        }
        if !self.response.done && (self.server_failed || (self.response.ended && !self.response.finish())) {
            // What came before the cut still goes out; then the close shows that more should have come.
            let goes_out = !self.response.is_flushed() && !self.server_failed;
            if !goes_out {
                self.broken(env, Reason::ResponseCut);
            }
            return;
        }
        let refused = self.request.judge().err();
        if !self.response.done && (refused.is_some() || (self.request.ended && !self.request.done)) {
            return self.cut(Sign::Nothing, refused.map_or(Reason::RequestCut, Refusal::reason));
        }
        if refused.is_some() {
            self.request.discard(); // The response is whole all the same.
        }
        if self.response.done && self.response.is_flushed() {
            return self.finished(env);
        }
        self.response.join();
    }

    fn finished(&mut self, env: &Env) {
        let request_sent = self.request.is_flushed() && !self.request.abandoned;
        let fate = finish::decide(End {
            request_read: self.request.done,
            request_sent,
            client_keeps: self.keep,
            client_ended: self.request.ended && self.request.unread().is_empty(),
            server_keeps: self.response.keep_alive,
            server_spoiled: self.response.spoiled() || self.server_failed,
            blurred: self.blurred,
            status: self.response.status,
        });
        if !self.request.done && !self.request.ended {
            self.drop_server(fate.sign);
            self.request.discard();
            return self.linger(env);
        }
        self.end(Step::Finished(fate));
    }

    /// The server does not complete its response: a 502 as long as nothing of its head has left, and a cut after that. A
    /// server that begins an answer is there, whatever becomes of that answer; one that is gone refuses the next connection.
    fn broken(&mut self, env: &Env, reason: Reason) {
        if self.response.head_left() {
            return self.cut(Sign::Nothing, reason);
        }
        self.response.retract();
        self.drop_server(Sign::Nothing);
        self.answer(env, &Reply::refusal(reason));
    }

    /// The response ends before its end, and the client must see that.
    pub(super) fn cut(&mut self, sign: Sign, reason: Reason) {
        self.set_reason(reason);
        self.end(Step::Close { reset: self.response.until_close, sign });
    }
}
