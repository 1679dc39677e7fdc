//! How a worker goes down: what is queued is taken, what runs is finished, and who rests is given a moment.
//!
//! It owns when a connection without a request is closed for good, never when the process ends. Next: [`super::worker`] for the turn,
//! `control::run` for the deadline.

use std::time::Instant;

use super::conn::SILENCE;
use super::ctx::Ctx;
use super::listen::{ACCEPTS, BACKLOG};
use super::worker::Worker;
use crate::link::Report;

impl Worker {
    /// Takes what is queued, closes the listeners, gives idle connections their moment, and lets the rest finish.
    pub(super) fn begin_drain(&mut self, deadline: Instant) {
        if self.drain.replace(deadline).is_some() {
            return;
        }
        self.acceptable = true;
        self.paused = None;
        // No more than the kernel keeps waiting: clients that go on coming would hold the worker here.
        for _ in 0..self.listeners.len() * usize::from(BACKLOG).div_ceil(ACCEPTS) {
            if !self.acceptable || self.paused.is_some() {
                break;
            }
            self.accept();
        }
        (self.ctx.env.draining, self.ctx.ending) = (true, true);
        for listener in self.listeners.drain(..) {
            listener.close(self.poll.registry());
        }
        self.acceptable = false;
        self.hurry();
        self.ctx.pool.close_idle();
    }

    /// Whoever owes a request has less time from now on.
    fn hurry(&mut self) {
        // A request that was on its way when the order came is answered, with `Connection: close`, and not lost.
        let grace = self.ctx.drain_grace;
        let Ctx { env, keepalive, timers, .. } = &mut self.ctx;
        let first = env.policy.client_header_timeout;
        // For those who come to that later.
        *keepalive = grace.min(*keepalive);
        env.policy.client_header_timeout = SILENCE.min(first);
        for (_, conn) in &mut self.conns {
            let last = match &mut conn.active {
                Some(active) => active.exchange.hurry(env, SILENCE),
                None if conn.fresh => conn.deadline + SILENCE.min(first) - first,
                None => env.now + grace,
            };
            conn.deadline = conn.deadline.min(last);
            conn.alarm.set(timers, conn.token, conn.deadline);
        }
    }

    /// Closes what is left, and says what that was.
    pub(super) fn end(mut self) {
        let cut = self.under_way();
        let left: Vec<u32> = self.conns.iter().map(|(_, conn)| conn.token.slot).collect();
        left.into_iter().for_each(|slot| self.close(slot));
        self.send_stats();
        if let Some(log) = &mut self.ctx.seeing.log {
            log.send();
        }
        let _ = self.reports.try_send(Report::Drained { worker: self.index, cut });
    }
}
