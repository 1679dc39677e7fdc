//! One proxied request and its response, as a machine without sockets: events in, steps out.
//!
//! It owns the phase, the deadline and every transition between phases; it never reads a clock, touches a socket or
//! knows a rule. The shell calls it in a loop of a few lines (`data::pump`). Next: `request` and `response` are its two
//! halves, `retry` and `finish` its two tables.

use std::time::Instant;

use super::finish::{self, End};
use super::phase::{Env, Forward, NoServer, Phase, RouteRequest, Side, Step};
use super::request::RequestHalf;
use super::response::{Client, ResponseHalf};
use super::retry::{self, Failure, Verdict};
use crate::http1::framing::Version;
use crate::http1::limits;

/// One exchange, and after it the next on the same client connection.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // Independent facts, each with its own sentence.
pub struct Exchange {
    pub(super) phase: Phase,
    pub(super) request: RequestHalf,
    pub(super) response: ResponseHalf,
    pub(super) deadline: Instant,
    /// Servers tried, the present one included.
    pub(super) tries: u32,
    /// The present server connection came from the pool.
    pub(super) reused: bool,
    pub(super) idempotent: bool,
    pub(super) head_request: bool,
    /// The client was promised that its connection goes on.
    pub(super) keep: bool,
    continued: bool,
    client_failed: bool,
    server_failed: bool,
    /// The server connection is to be closed before anything else; the flag says whether the server is to blame.
    pub(super) drop: Option<bool>,
    /// Something moved since the deadline was set.
    pub(super) moved: bool,
    /// The status that another server may better, and the answer if none can.
    pub(super) last_failure: Option<(u16, &'static str)>,
}

impl Exchange {
    /// An exchange whose first byte has just come.
    #[must_use]
    pub fn new(env: &Env<'_>) -> Self {
        Self {
            phase: Phase::Head,
            request: RequestHalf::new(),
            response: ResponseHalf::new(),
            deadline: env.now + env.policy.client_header_timeout,
            tries: 0,
            reused: false,
            idempotent: false,
            head_request: false,
            keep: false,
            continued: false,
            client_failed: false,
            server_failed: false,
            drop: None,
            moved: false,
            last_failure: None,
        }
    }

    /// Ready for the next request of the same client; bytes of it that were read already are kept.
    pub fn restart(&mut self, env: &Env<'_>) {
        self.request.reset();
        self.response.reset();
        self.phase = Phase::Head;
        self.deadline = env.now + env.policy.client_header_timeout;
        (self.tries, self.reused, self.continued, self.head_request) = (0, false, false, false);
        (self.server_failed, self.drop, self.last_failure) = (false, None, None);
    }

    /// Ready for another client.
    pub fn recycle(&mut self, env: &Env<'_>) {
        (self.request.ended, self.client_failed, self.moved) = (false, false, false);
        self.restart(env);
    }

    /// Bytes of a further request are waiting.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        !self.request.unread().is_empty()
    }

    /// The client's end of input was read.
    #[must_use]
    pub fn client_ended(&self) -> bool {
        self.request.ended
    }

    /// When the shell must call [`Exchange::expired`] if nothing moves until then.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Where the exchange stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The status that the client got, or 0 before that is known.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.response.head.status
    }

    /// What a rule may look at; valid while [`Step::Route`] waits for its answer.
    #[must_use]
    pub fn route_request(&self) -> RouteRequest<'_> {
        self.request.route_request()
    }

    /// Bytes of the request that were read and not consumed; all of it while [`Step::Route`] waits for its answer.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.request.unread()
    }

    /// Takes the next transition, or says what the shell must do first.
    pub fn step(&mut self, env: &Env<'_>) -> Step {
        if let Some(failed) = self.drop.take() {
            return Step::Drop { failed };
        }
        if self.client_failed && self.phase != Phase::Over {
            return self.close(false);
        }
        let step = match self.phase {
            Phase::Head => self.head(env),
            Phase::Route | Phase::Better | Phase::Over => Step::Wait,
            Phase::Connect { asked, same } => self.connect(env, asked, same),
            Phase::Await => self.awaiting(env),
            Phase::Relay => self.relay(env),
            Phase::Tunnel { .. } => self.tunnel(),
            Phase::Reply { linger } => self.replying(env, linger),
            Phase::Linger { told, left } => self.lingering(told, left),
        };
        // A transition may have asked for the server connection to go first.
        match (step, self.drop.take()) {
            (Step::Wait, Some(failed)) => Step::Drop { failed },
            (step, drop) => {
                self.drop = drop;
                if step == Step::Wait {
                    self.set_deadline(env);
                }
                step
            }
        }
    }

    fn head(&mut self, env: &Env<'_>) -> Step {
        match self.request.find(env.policy.max_head, env.policy.max_body) {
            Err(refusal) => self.refuse(env, refusal),
            Ok(false) if self.request.ended => self.close(false),
            Ok(false) => Step::Wait,
            Ok(true) => {
                self.idempotent = retry::idempotent(self.request.method());
                self.head_request = self.request.method() == b"HEAD";
                self.phase = Phase::Route;
                Step::Route
            }
        }
    }

    /// The answer to [`Step::Route`]: no, with this status and word.
    pub fn denied(&mut self, env: &Env<'_>, status: u16, reason: &'static str) {
        self.request.skip_head();
        self.answer(env, status, reason);
    }

    /// The answer to [`Step::Route`]: there.
    pub fn forward(&mut self, env: &Env<'_>, forward: &Forward<'_>) {
        self.request.commit(forward, env.policy.host_as_received);
        self.phase = Phase::Connect { asked: false, same: false };
    }

    fn connect(&mut self, env: &Env<'_>, asked: bool, same: bool) -> Step {
        if asked {
            return Step::Wait;
        }
        if !same {
            self.tries += 1;
        }
        self.deadline = env.now + env.policy.connect_timeout;
        self.phase = Phase::Connect { asked: true, same };
        Step::Connect { same }
    }

    /// The answer to [`Step::Connect`]: a connection is there, from the pool or fresh. One that comes when its time is
    /// over is nobody's: the [`Step::Drop`] that closes it is already due.
    pub fn connected(&mut self, env: &Env<'_>, reused: bool) {
        if !self.is_connecting() {
            return;
        }
        self.reused = reused;
        self.server_failed = false;
        self.request.rewind();
        self.response.restart();
        self.phase = Phase::Await;
        self.moved = true;
        let _ = self.request.judge(); // A refusal is found again by the next step.
        if self.request.head.expects_continue && !self.continued {
            self.continued = true;
            if !self.request.done && self.request.unread().is_empty() {
                self.response.say_continue();
            }
        }
        self.set_deadline(env);
    }

    /// The answer to [`Step::Connect`], at once or later: there will be no connection. After the deadline it is no news.
    pub fn refused(&mut self, env: &Env<'_>, why: NoServer) {
        match why {
            _ if !self.is_connecting() => {}
            NoServer::Failed => self.failed_attempt(env, Failure::Connect { timeout: false }),
            NoServer::NoneLeft { status, reason } => {
                let (status, reason) = self.last_failure.unwrap_or((status, reason));
                self.answer(env, status, reason);
            }
        }
    }

    /// The shell was asked for a connection and has not answered.
    fn is_connecting(&self) -> bool {
        matches!(self.phase, Phase::Connect { asked: true, .. })
    }

    fn awaiting(&mut self, env: &Env<'_>) -> Step {
        if let Err(refusal) = self.request.judge() {
            self.drop = Some(false);
            return self.refuse(env, refusal);
        }
        match self.response.find(self.head_request) {
            Err(_) => self.failed_attempt(env, Failure::Broken { invalid: true }),
            // A server that speaks before it was asked answers something else.
            Ok(true) if !self.request.begun => self.failed_attempt(env, Failure::Broken { invalid: true }),
            Ok(true) => return self.responded(env),
            Ok(false) if self.response.ended || self.server_failed => {
                self.failed_attempt(env, Failure::Broken { invalid: false });
            }
            Ok(false) if self.request.ended && !self.request.done => return self.close(false),
            Ok(false) => {}
        }
        self.go_on(env)
    }

    /// Takes the next step when a transition left one to take.
    fn go_on(&mut self, env: &Env<'_>) -> Step {
        match self.phase {
            Phase::Connect { asked: false, same } if self.drop.is_none() => self.connect(env, false, same),
            _ => Step::Wait,
        }
    }

    /// A head was found: interim, switching, or final.
    fn responded(&mut self, env: &Env<'_>) -> Step {
        let old = self.request.head.version == Version::Http10;
        match self.response.head.status {
            101 => {
                if self.request.head.upgrade.is_some()
                    && self.response.head.upgrade.is_some()
                    && self.request.done
                {
                    self.response.switch();
                    self.request.forfeit();
                    self.phase = Phase::Tunnel { told_server: false, told_client: false };
                    return self.tunnel();
                }
                self.failed_attempt(env, Failure::Broken { invalid: true });
                self.go_on(env)
            }
            status @ 100..200 => {
                if self.response.interim >= limits::INTERIM_RESPONSES {
                    self.failed_attempt(env, Failure::Broken { invalid: true });
                    return self.go_on(env);
                }
                // 100 answers an expectation, and ELB has answered it itself.
                self.response.interim(status != 100 && !old);
                self.awaiting(env)
            }
            status => {
                if matches!(status, 500 | 504)
                    && retry::decide(Failure::Status, self.attempt(env)) == Verdict::Next
                {
                    self.phase = Phase::Better;
                    return Step::Others;
                }
                self.commit(env);
                self.relay(env)
            }
        }
    }

    /// The answer to [`Step::Others`]: whether an untried server is left.
    pub fn better(&mut self, env: &Env<'_>, others: bool) {
        if others {
            self.drop = Some(true);
            self.phase = Phase::Connect { asked: false, same: false };
        } else {
            self.commit(env);
        }
    }

    fn commit(&mut self, env: &Env<'_>) {
        let head = &self.request.head;
        let client = Client { version: head.version, takes_trailers: head.takes_trailers };
        let keep = head.keep_alive && !env.draining;
        self.request.forfeit();
        self.keep = self.response.commit(client, keep);
        self.phase = Phase::Relay;
    }

    fn relay(&mut self, env: &Env<'_>) -> Step {
        if self.request.judge().is_err() {
            return self.cut();
        }
        if self.response.judge().is_err() {
            return self.cut();
        }
        if !self.response.done {
            if self.server_failed || (self.response.ended && !self.response.finish()) {
                // What came before the cut still goes out; then the close shows that more should have come.
                let behind = !self.response.is_flushed() && !self.server_failed;
                return if behind { Step::Wait } else { self.cut() };
            }
            if self.request.ended && !self.request.done {
                self.phase = Phase::Over;
                return Step::Close { reset: self.response.until_close, failed: false };
            }
        }
        if self.response.done && self.response.is_flushed() { self.finished(env) } else { Step::Wait }
    }

    fn finished(&mut self, env: &Env<'_>) -> Step {
        let request_sent = self.request.is_flushed() && !self.request.abandoned;
        let fate = finish::decide(End {
            request_read: self.request.done,
            request_sent,
            client_keeps: self.keep,
            client_ended: self.request.ended && self.request.unread().is_empty(),
            server_keeps: self.response.head.keep_alive,
            server_spoiled: self.response.spoiled() || self.server_failed,
        });
        if !self.request.done && !self.request.ended {
            self.drop = Some(false);
            self.request.discard();
            self.phase = Phase::Linger { told: false, left: limits::LINGER };
            self.deadline = env.now + env.policy.linger_timeout;
            return Step::Wait;
        }
        self.phase = Phase::Over;
        Step::Finished(fate)
    }

    /// The response cannot be completed: the client must see that.
    pub(super) fn cut(&mut self) -> Step {
        self.phase = Phase::Over;
        Step::Close { reset: self.response.until_close, failed: true }
    }

    pub(super) fn close(&mut self, failed: bool) -> Step {
        self.phase = Phase::Over;
        Step::Close { reset: false, failed }
    }

    /// The client connection goes on after ELB's own answer.
    pub(super) fn keeps(&self) -> bool {
        self.keep && !(self.request.ended && self.request.unread().is_empty())
    }

    /// Marks that bytes moved, in either direction, so that the next step sets the deadline anew.
    pub(super) fn mark(&mut self) {
        self.moved = true;
    }

    pub(super) fn server_is_gone(&self) -> bool {
        self.server_failed
    }

    pub(super) fn fail(&mut self, side: Side) {
        match side {
            Side::Client => self.client_failed = true,
            Side::Server => self.server_failed = true,
        }
        self.moved = true;
    }
}

#[cfg(test)]
mod tests;
