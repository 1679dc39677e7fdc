//! The transitions of an exchange: what follows, in each phase, from what has happened.
//!
//! They put what the shell is to do into the queue of orders and never do it themselves. The tables that decide
//! ([`crate::exchange::retry`], [`crate::exchange::finish`]) are not theirs. Next: [`super::ends`].

use std::sync::Arc;

use super::Exchange;
use crate::exchange::facts::Facts;
use crate::exchange::finish::{self, End};
use crate::exchange::heads::Heads;
use crate::exchange::phase::{Doubt, Env, Forward, NoServer, Phase, Side, Sign, Step};
use crate::exchange::request_id::line_of;
use crate::exchange::retry::{Attempt, Failure, Retry};
use crate::exchange::terms::Terms;
use crate::http1::error::Refusal;
use crate::http1::framing::Version;
use crate::http1::reply::Reply;
use crate::reason::Reason;

impl Exchange {
    /// Takes the next transition if one is due, and says what the shell must do next.
    #[inline(always)]
    pub(in crate::exchange) fn step(&mut self, env: &Env, heads: &mut Heads) -> Step {
        if self.orders.is_empty() && std::mem::take(&mut self.unseen) {
            self.transition(env, heads);
        }
        if cfg!(debug_assertions) {
            self.check_invariants(env);
        }
        self.orders.take()
    }

    /// What is asked for by the answer to a step, before anything else has happened.
    #[inline(always)]
    pub(in crate::exchange) fn next_order(&mut self) -> Step {
        self.orders.take()
    }

    #[inline(always)]
    fn transition(&mut self, env: &Env, heads: &mut Heads) {
        match self.phase {
            Phase::Head => self.head(env, heads),
            Phase::Route | Phase::Failover | Phase::Over => {}
            Phase::Connect => self.connecting(env),
            Phase::Await => self.awaiting(env, heads),
            Phase::Relay { keep } => self.relay(env, heads, keep),
            Phase::Tunnel { .. } => self.tunnel(),
            Phase::Reply { then } => self.replying(env, then),
            Phase::Linger => self.lingering(env),
        }
    }

    fn head(&mut self, env: &Env, heads: &mut Heads) {
        match self.request.find(&mut heads.request, &mut self.scan, &env.policy) {
            Err(refusal) => self.refuse(env, refusal.reason()),
            Ok(false) if self.request.ended => self.close(Sign::Nothing),
            Ok(false) => {}
            Ok(true) => {
                self.facts = Facts::of(&heads.request.head, self.request.unread(), !self.request.done);
                self.phase = Phase::Route;
                self.orders.push(Step::Route);
            }
        }
    }

    /// The answer to [`Step::Route`]: there.
    #[inline(always)]
    pub(in crate::exchange) fn forward(&mut self, env: &Env, heads: &mut Heads, forward: &Forward<'_>) {
        self.request.commit(heads, forward, line_of(self.id.as_deref()), &env.policy);
        self.seek_first(env, false);
    }

    /// Asks for a server once more, or for the `same` on a fresh connection, if the request is still worth one.
    #[cold]
    #[inline(never)]
    fn seek(&mut self, env: &Env, same: bool) {
        self.seek_first(env, same);
    }

    #[inline(always)]
    fn seek_first(&mut self, env: &Env, same: bool) {
        match self.request.parse_body() {
            Err(refusal) => self.refuse(env, refusal.reason()),
            Ok(()) if self.request.is_cut() => self.request_cut(),
            Ok(()) => {
                if !same {
                    self.attempts.tries += 1;
                }
                let time =
                    self.terms.as_ref().map_or(env.policy.connect_timeout, |terms| terms.connect_timeout);
                self.deadline.set(env.now + time);
                self.phase = Phase::Connect;
                self.orders.push(Step::Connect { same });
            }
        }
    }

    /// More of the request has come while a connection is made, or its end.
    fn connecting(&mut self, env: &Env) {
        match self.request.parse_body() {
            Err(refusal) => {
                self.drop_server(Sign::Nothing);
                self.refuse(env, refusal.reason());
            }
            Ok(()) if self.request.is_cut() => self.request_cut(),
            Ok(()) => {}
        }
    }

    /// What the upstream asks for whose server is sought, if that is not what the policy says; or how the client is to be kept at
    /// the server that was chosen. To be told before the answer to [`Step::Connect`].
    pub fn agree(&mut self, env: &Env, terms: Arc<Terms>) {
        self.deadline.set(env.now + terms.connect_timeout);
        self.terms = Some(match self.terms.take() {
            Some(before) if before.edits.is_some() || before.way.is_some() => {
                let mut terms = Terms::clone(&terms);
                terms.keep(&before);
                Arc::new(terms)
            }
            _ => terms,
        });
    }

    /// The answer to [`Step::Connect`]: a connection is there, from the pool or fresh. One that comes when its time is
    /// over is nobody's: the [`Step::Drop`] that closes it is already due.
    pub fn connected(&mut self, env: &Env, reused: bool) {
        if !self.is_connecting() {
            return;
        }
        self.attempts.connected(reused);
        self.course.connected = Some(env.now);
        self.request.rewind();
        self.restart_response();
        self.phase = Phase::Await;
        self.deadline.renew();
        // What came with the connection; a refusal is found again by the next step.
        self.unseen = self.request.parse_body().is_err() || self.request.is_cut();
        if std::mem::take(&mut self.facts.expects_continue) && !self.request.done && !self.has_unread() {
            self.response.say_continue();
        }
    }

    /// The answer to [`Step::Connect`], at once or later: there will be no connection. After the deadline it is no news.
    pub fn refused(&mut self, env: &Env, why: NoServer) {
        match why {
            _ if !self.is_connecting() => {}
            NoServer::Failed => self.failed_attempt(env, Failure::Connect { timeout: false }),
            NoServer::NoSession => self.failed_attempt(env, Failure::Session),
            NoServer::NoneLeft(reason) => {
                let reason = self.attempts.why_none(reason);
                self.answer(env, &Reply::refusal(reason));
            }
        }
    }

    /// The shell was asked for a connection and has not answered.
    fn is_connecting(&self) -> bool {
        self.phase == Phase::Connect && self.orders.is_empty()
    }

    fn attempt(&self, env: &Env) -> Attempt {
        Attempt {
            sent: self.request.has_begun(),
            stale: self.attempts.reused && !self.response.begun,
            idempotent: self.facts.is_idempotent,
            replayable: self.request.is_replayable(),
            tries_left: self.attempts.tries < self.most_tries(env),
            last: self.attempts.unacceptable,
        }
    }

    /// An attempt came to nothing; another one follows, or the client is told.
    pub(super) fn failed_attempt(&mut self, env: &Env, failure: Failure) {
        let attempt = self.attempt(env);
        let sign = failure.sign(self.attempts.reused);
        match self.attempts.decide(failure, attempt) {
            Retry::SameServer => {
                self.drop_server(Sign::Nothing);
                self.seek(env, true);
            }
            Retry::NextServer => {
                self.drop_server(sign);
                self.seek(env, false);
            }
            Retry::GiveUp(reason) => {
                self.drop_server(sign);
                self.answer(env, &Reply::refusal(reason));
            }
        }
    }

    fn awaiting(&mut self, env: &Env, heads: &mut Heads) {
        if let Err(refusal) = self.request.parse_body() {
            self.drop_server(Sign::Nothing);
            return self.refuse(env, refusal.reason());
        }
        if self.attempts.switching && !self.request.is_through() {
            return self.hold(env);
        }
        // A server that speaks before it was asked answers something else: on a connection from the pool, an earlier
        // request, which says nothing about what it would answer on a fresh one.
        let unasked = self.response.begun && !self.request.has_begun();
        if unasked && self.attempts.reused {
            self.restart_response();
            return self.failed_attempt(env, Failure::Closed);
        }
        match self.response.find(heads, &mut self.scan, self.facts.is_head) {
            Err(refusal) => {
                self.failed_attempt(env, Failure::Unacceptable(refusal.reason_of_response()));
            }
            Ok(_) if unasked => {
                self.failed_attempt(env, Failure::Unacceptable(Reason::UnaskedResponse));
            }
            Ok(true) => self.responded(env, heads),
            Ok(false) if self.response.ended || self.attempts.server_failed => {
                self.failed_attempt(env, Failure::Closed);
            }
            Ok(false) if self.request.is_cut() => self.request_cut(),
            Ok(false) => {}
        }
    }

    /// A head was found: interim, switching, or final.
    fn responded(&mut self, env: &Env, heads: &mut Heads) {
        match heads.response.status {
            101 => self.switch(env, heads),
            status @ 100..200 => {
                if self.response.has_said_enough(heads) {
                    let failure = Failure::Unacceptable(Reason::TooManyInterimResponses);
                    return self.failed_attempt(env, failure);
                }
                // 100 answers an expectation, and ELB has answered it itself.
                let passes = status != 100 && self.facts.version != Version::Http10;
                self.response.interim(heads, passes);
                self.scan.reset();
                self.deadline.rest();
                self.awaiting(env, heads);
            }
            status => {
                if matches!(status, 500 | 504) && self.attempt(env).may_go_on() {
                    self.phase = Phase::Failover;
                    return self.orders.push(Step::Failover);
                }
                self.commit(env, heads);
            }
        }
    }

    /// The server switches protocols, if it was asked to.
    fn switch(&mut self, env: &Env, heads: &Heads) {
        if !self.facts.asked_for(self.response.protocol(heads)) {
            return self.failed_attempt(env, Failure::Unacceptable(Reason::UnaskedSwitch));
        }
        if !self.request.is_through() {
            self.attempts.switching = true;
            self.scan.reset();
            return self.hold(env);
        }
        self.response.switch(heads);
        self.course.answered = Some(env.now);
        self.deadline.unlimit();
        self.request.release_replay();
        self.facts.forget_protocols();
        self.phase = Phase::Tunnel { server_shut: false, client_shut: false };
        self.tunnel();
    }

    /// A switch of protocols that came before the request's body was through waits for that: what the client sends is its
    /// body until then, and the server is told so by what it gets. An end that comes meanwhile is nobody's fault.
    fn hold(&mut self, env: &Env) {
        if self.response.ended || self.attempts.server_failed {
            self.failed_attempt(env, Failure::Unacceptable(Reason::ResponseCut));
        } else if self.request.is_cut() {
            self.request_cut();
        }
    }

    /// Another server will answer.
    fn restart_response(&mut self) {
        self.response.restart();
        self.scan.reset();
        self.attempts.switching = false;
    }

    /// The answer to [`Step::Failover`]: whether an untried server is left.
    pub(in crate::exchange) fn failover(&mut self, env: &Env, heads: &mut Heads, other: bool) {
        if other {
            self.drop_server(Sign::Doubt(Doubt::ErrorStatus));
            self.attempts.failed_over();
            self.seek(env, false);
        } else {
            self.commit(env, heads);
        }
    }

    /// The response that was found is the client's.
    fn commit(&mut self, env: &Env, heads: &mut Heads) {
        // What is not read of the request would have to be, before the next could be: nobody knows how long that takes.
        let keep = self.facts.keep_alive && self.request.done && !env.draining;
        self.request.release_replay();
        self.facts.blurred |= heads.response.withheld;
        self.facts.private |= heads.response.binds;
        self.deadline.unlimit();
        self.course.answered = Some(env.now);
        let keep = self.response.commit(heads, &self.facts, keep, &self.terms);
        self.phase = Phase::Relay { keep };
        self.relay(env, heads, keep);
    }

    /// Passes the response on, while the rest of the request may still be on its way to the server.
    fn relay(&mut self, env: &Env, heads: &mut Heads, keep: bool) {
        if self.response.parse_body(heads).is_err() {
            return self.broken(env, Reason::BadResponseBody);
        }
        let gone = self.attempts.server_failed;
        if !self.response.done && (gone || (self.response.ended && !self.response.finish())) {
            // What came before the cut still goes out; then the close shows that more should have come.
            if gone || self.response.is_flushed() {
                self.broken(env, Reason::ResponseCut);
            }
            return;
        }
        let refused = self.request.parse_body().err();
        if !self.response.done && (refused.is_some() || self.request.is_cut()) {
            return self.cut(Sign::Nothing, refused.map_or(Reason::RequestCut, Refusal::reason));
        }
        if refused.is_some() {
            self.request.discard(); // The response is whole all the same.
        }
        if self.response.done && self.response.is_flushed() {
            return self.finished(env, keep);
        }
        self.response.join();
    }

    fn finished(&mut self, env: &Env, keep: bool) {
        let fate = finish::decide(End {
            request_read: self.request.done,
            request_sent: self.request.is_flushed() && !self.request.abandoned,
            client_keeps: keep,
            client_ended: self.request.is_at_end(),
            server_keeps: self.response.keep_alive,
            server_spoiled: self.response.spoiled() || self.attempts.server_failed,
            blurred: self.facts.blurred,
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
        if self.response.outbox.has_head_left() {
            return self.cut(Sign::Nothing, reason);
        }
        self.response.outbox.retract(); // What is in the window goes with the answer that replaces it.
        self.drop_server(Sign::Nothing);
        self.answer(env, &Reply::refusal(reason));
    }

    /// The response ends before its end, and the client must see that.
    pub(super) fn cut(&mut self, sign: Sign, reason: Reason) {
        self.set_reason(reason);
        self.end(Step::Close { reset: self.response.until_close, sign });
    }

    fn tunnel(&mut self) {
        for window in [&mut self.request.window, &mut self.response.window].into_iter().flatten() {
            let waiting = window.unparsed().len();
            window.accept(waiting);
        }
        let Phase::Tunnel { mut server_shut, mut client_shut } = self.phase else { return };
        if self.attempts.server_failed {
            // A reset stays one: only that tells the client that something may be missing.
            return self.end(Step::Close { reset: true, sign: Sign::Good });
        }
        if self.request.ended && !server_shut && self.request.is_flushed() {
            server_shut = true;
            self.orders.push(Step::Shutdown(Side::Server));
        }
        if self.response.ended && !client_shut && self.response.is_flushed() {
            client_shut = true;
            self.orders.push(Step::Shutdown(Side::Client));
        }
        self.phase = Phase::Tunnel { server_shut, client_shut };
        if server_shut && client_shut {
            self.close(Sign::Good);
        }
    }
}
