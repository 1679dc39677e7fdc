//! The event loop of one core.
//!
//! It owns the connections of the core and the order of a turn: mark, mailbox, accept, pump, expire, flush. It decides
//! nothing about a request. Events only set bits, so each connection is pumped once a turn however many it had. Next:
//! [`super::rounds`] and [`super::pump`].

use std::io;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use mio::{Events, Poll};
use slab::Slab;
use tokio::sync::mpsc;

use super::conn::Conn;
use super::ctx::Ctx;
use super::listen::Listener;
use super::places::Places;
use super::prelude::Prelude;
use super::settle;
use super::token::{Kind, Token};
use super::watch::watch;
use crate::access_log::batch::AccessLog;
use crate::exchange::Heads;
use crate::link::{Adopted, Report, ToWorker, WAKE};
use crate::reason::Reason;

/// Events taken from the kernel at once, and so about as many connections as a turn has to pump.
pub const EVENTS: usize = 1024;
/// How often numbers go to control, and forgotten upstreams are swept out.
const FLUSH: Duration = Duration::from_secs(1);

/// One core's worker.
pub struct Worker {
    pub(super) index: usize,
    pub(super) poll: Poll,
    pub(super) mailbox: Receiver<ToWorker>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) listeners: Vec<Listener>,
    pub(super) conns: Slab<Conn>,
    pub(super) ctx: Ctx,
    /// Where heads are taken apart.
    pub(super) heads: Heads,
    pub(super) runnable: Vec<u32>,
    /// Connections whose server has said something. They come after those whose client has: what goes to servers leaves
    /// together, and what goes to clients, so that who is woken by the first finds more to do.
    pub(super) answered: Vec<u32>,
    /// Connections that had their share of a turn and could go on. They come last in the next one.
    pub(super) later: Vec<u32>,
    pub(super) generation: u32,
    pub(super) places: Places,
    /// A listener may have more connections.
    pub(super) acceptable: bool,
    /// Accepting pauses until then.
    pub(super) paused: Option<Instant>,
    pub(super) flush_at: Instant,
    /// Everything is cut then.
    pub(super) drain: Option<Instant>,
    pub(super) stopped: bool,
    /// Nobody is asked before then to give anything back.
    pub(super) relieved: Option<Instant>,
    /// What there was no room for in the channel to control.
    pub(super) unsent: Option<Report>,
}

impl Worker {
    /// Registers the listeners.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn register(&mut self) -> io::Result<()> {
        for (slot, listener) in self.listeners.iter_mut().enumerate() {
            let token = Token::new(Kind::Listener, u32::try_from(slot).unwrap_or(u32::MAX), 0);
            listener.register(self.poll.registry(), mio::Token(token.to_usize()))?;
        }
        Ok(())
    }

    /// Turns until it is stopped, or drained.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        let mut queue = Vec::with_capacity(EVENTS);
        while !self.over() {
            if let Err(error) = self.turn(&mut events, &mut queue) {
                tracing::error!(worker = self.index, %error, "epoll failed: the worker ends");
                break;
            }
        }
        self.end();
    }

    /// One turn of the loop; both lists are empty between two turns, and keep their room.
    pub(super) fn turn(&mut self, events: &mut Events, queue: &mut Vec<u32>) -> io::Result<()> {
        match self.poll.poll(events, Some(self.timeout())) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => self.ctx.tick(),
        }
        if self.mark(events) {
            self.read_mailbox();
        }
        let owed = self.later.len();
        self.accept();
        std::mem::swap(queue, &mut self.runnable);
        queue.append(&mut self.answered);
        queue.extend(self.later.drain(..owed));
        self.pump_all(queue);
        queue.clear();
        self.expire();
        self.relieve();
        self.feed_starved();
        self.flush();
        Ok(())
    }

    pub(super) fn over(&self) -> bool {
        self.stopped || (self.drain.is_some() && self.conns.is_empty())
    }

    fn timeout(&self) -> Duration {
        if !self.later.is_empty() || !self.runnable.is_empty() || (self.acceptable && self.paused.is_none()) {
            return Duration::ZERO;
        }
        let now = self.ctx.env.now;
        let until = |at: Instant| at.saturating_duration_since(now);
        let mut timeout = until(self.flush_at);
        if let Some(due) = self.ctx.seeing.log.as_ref().and_then(AccessLog::due) {
            timeout = timeout.min(until(due));
        }
        if let Some(next) = self.ctx.timers.next(now) {
            timeout = timeout.min(next);
        }
        if let Some(relief) = self.until_relief() {
            timeout = timeout.min(relief);
        }
        if let Some(paused) = self.paused {
            timeout = timeout.min(until(paused));
        }
        if let Some(drain) = self.drain {
            timeout = timeout.min(until(drain));
        }
        timeout
    }

    /// Turns events into bits. Returns whether control has said something.
    fn mark(&mut self, events: &Events) -> bool {
        let mut mail = false;
        for event in events {
            if event.token() == WAKE {
                mail = true;
                continue;
            }
            let Some(token) = Token::from_usize(event.token().0) else { continue };
            match token.kind {
                Kind::Listener => self.acceptable = true,
                Kind::Client => {
                    if let Some(conn) =
                        self.conns.get_mut(token.slot as usize).filter(|conn| conn.token == token)
                    {
                        conn.transport.mark(event);
                        queue(&mut self.runnable, conn);
                    }
                }
                Kind::Server => {
                    if let Some(slot) = self.ctx.pool.event(token, event)
                        && let Some(conn) = self.conns.get_mut(slot as usize)
                    {
                        queue(&mut self.answered, conn);
                    }
                }
            }
        }
        mail
    }

    fn read_mailbox(&mut self) {
        let mut latest = None;
        while let Ok(message) = self.mailbox.try_recv() {
            match message {
                ToWorker::Snapshot(snapshot) => latest = Some(snapshot),
                ToWorker::Shadow(order) => self.begin_shadow(order),
                ToWorker::EndShadow(run) => self.end_shadow(run),
                ToWorker::Tls(config) => self.ctx.tls = Some(config),
                ToWorker::Leave => self.ctx.env.draining = true,
                ToWorker::Drain(deadline) => self.begin_drain(deadline),
                ToWorker::Stop => self.stopped = true,
            }
        }
        if let Some(snapshot) = latest {
            self.send_stats();
            let version = snapshot.version;
            let former = std::sync::Arc::clone(self.ctx.view.snapshot());
            self.forget_removed(&former, &snapshot);
            let Ctx { view, pool, .. } = &mut self.ctx;
            let old = view.swap(snapshot);
            view.follow(pool);
            // Of the two pointers to it the last one travels, so nothing is freed here.
            drop(former);
            self.unsent = Some(Report::Applied { worker: self.index, version, old });
            self.send_applied();
        }
    }

    /// Tells control what is served. With a full channel it waits for the next flush: then the version shows late, but the
    /// old snapshot is still freed by control.
    fn send_applied(&mut self) {
        if let Some(report) = self.unsent.take()
            && let Err(mpsc::error::TrySendError::Full(report)) = self.reports.try_send(report)
        {
            self.unsent = Some(report);
        }
    }

    /// Requests under way whose domain is gone are counted under none: its slot may be another's.
    fn forget_removed(&mut self, former: &crate::model::Snapshot, current: &crate::model::Snapshot) {
        if current.keeps_domains_of(former) {
            return;
        }
        for (_, conn) in &mut self.conns {
            if let Some(active) = &mut conn.active {
                let is_kept = |slot: &u32| former.domain_name(*slot) == current.domain_name(*slot);
                active.dispatch.domain = active.dispatch.domain.filter(is_kept);
            }
        }
    }

    pub(super) fn pump(&mut self, slot: u32) {
        self.pump_all(&[slot]);
    }

    /// Closes a connection, once all that was said to its client has left.
    pub(super) fn close(&mut self, slot: u32) {
        if !self.leaves(slot) {
            self.remove(slot);
        }
    }

    /// Closes a connection now.
    pub(super) fn remove(&mut self, slot: u32) {
        if let Some(mut conn) = self.conns.try_remove(slot as usize) {
            // Whoever has not begun did not count yet.
            if conn.prelude.is_known() {
                self.ctx.clients.leave(conn.client);
            }
            settle::end(&mut conn, &mut self.ctx);
            self.ctx.timers.disarm(conn.token);
            conn.transport.close();
            self.paused = None;
        }
    }

    /// Whether a connection stays until all that was said to its client has left, for as long as a client may take to read.
    fn leaves(&mut self, slot: u32) -> bool {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return false };
        if conn.transport.leave() {
            return false;
        }
        settle::end(conn, &mut self.ctx);
        conn.deadline = self.ctx.env.now + self.ctx.env.policy.client_write_timeout;
        conn.alarm.set(&mut self.ctx.timers, conn.token, conn.deadline);
        conn.transport.is_registered() || watch(conn, &mut self.ctx)
    }

    /// The connection of this name, if it is still there.
    pub(super) fn tenant(&mut self, token: Token) -> Option<&mut Conn> {
        self.conns.get_mut(token.slot as usize).filter(|conn| conn.token == token)
    }

    /// Gives a connection to control, with what was read of its request.
    pub(super) fn hand_over(&mut self, slot: u32) {
        let Some(mut conn) = self.conns.try_remove(slot as usize) else { return };
        self.ctx.clients.leave(conn.client);
        let bytes = conn.active.as_ref().map(|active| active.exchange.unread().to_vec()).unwrap_or_default();
        settle::end(&mut conn, &mut self.ctx);
        self.ctx.timers.disarm(conn.token);
        let Ok(stream) = conn.transport.into_std(self.poll.registry()) else { return };
        let Ok(peer) = stream.peer_addr() else { return };
        if let Some(adoptions) = &self.ctx.adoptions {
            // There was room a moment ago; if another worker took it, the client sees a closed connection.
            let _ = adoptions.try_send(Adopted { stream, peer, bytes });
        }
    }

    /// Looks at connections whose time may have come.
    fn expire(&mut self) {
        let now = self.ctx.env.now;
        let mut due = std::mem::take(&mut self.ctx.due);
        self.ctx.timers.expire(now, |token| due.push(token));
        for token in due.drain(..) {
            match token.kind {
                Kind::Listener => {}
                Kind::Server => {
                    if self.ctx.pool.expire(token, &mut self.ctx.timers, now) {
                        self.ctx.refused.count(Reason::ServerKeepaliveTimeout);
                    }
                }
                Kind::Client => self.expire_client(token),
            }
        }
        self.ctx.due = due;
    }

    fn expire_client(&mut self, token: Token) {
        let Some(conn) = self.conns.get_mut(token.slot as usize).filter(|conn| conn.token == token) else {
            return;
        };
        conn.alarm.fired();
        if !conn.transport.is_registered() && !watch(conn, &mut self.ctx) {
            return self.close(token.slot);
        }
        if conn.deadline > self.ctx.env.now {
            conn.alarm.set(&mut self.ctx.timers, token, conn.deadline);
            return;
        }
        let Some(active) = &mut conn.active else {
            if !self.ctx.env.draining {
                self.ctx.refused.count(match conn.fresh {
                    _ if conn.prelude == Prelude::Hello => Reason::TlsHandshakeTimeout,
                    _ if conn.transport.is_leaving() => Reason::ClientWriteTimeout,
                    true => Reason::ClientHeaderTimeout,
                    false => Reason::KeepaliveTimeout,
                });
            }
            return self.close(token.slot);
        };
        match active.starved {
            true => active.exchange.starved(&self.ctx.env),
            false => active.exchange.expired(&self.ctx.env),
        }
        self.pump(token.slot);
    }

    fn flush(&mut self) {
        let now = self.ctx.env.now;
        if self.drain.is_some_and(|deadline| deadline <= now) {
            self.stopped = true;
        }
        if let Some(log) = &mut self.ctx.seeing.log
            && log.due().is_some_and(|due| due <= now)
        {
            log.send();
        }
        if now < self.flush_at {
            if self.ctx.stats.is_nearly_full() {
                self.send_stats();
            }
            return;
        }
        self.flush_at = now + FLUSH;
        self.send_applied();
        self.send_stats();
        self.send_shadow();
        let Ctx { view, pool, .. } = &mut self.ctx;
        view.sweep(pool);
        pool.trim(now);
        self.places.keep(&self.ctx.registry);
        let conns = &self.conns;
        self.ctx
            .starved
            .retain(|token| conns.get(token.slot as usize).is_some_and(|conn| conn.token == *token));
        self.send_gauges();
        if cfg!(debug_assertions) {
            self.check_invariants();
        }
    }

    pub(super) fn send_stats(&mut self) {
        let Ctx { stats, view, .. } = &mut self.ctx;
        if stats.is_empty() {
            return;
        }
        // With a full channel the numbers stay here and grow; none is lost.
        if let Ok(permit) = self.reports.try_reserve() {
            let snapshot = std::sync::Arc::clone(view.snapshot());
            permit.send(Report::Counted { stats: Box::new(stats.take()), snapshot });
        }
    }
}

/// Puts a connection into the queue, once.
pub(super) fn queue(runnable: &mut Vec<u32>, conn: &mut Conn) {
    if !conn.queued {
        conn.queued = true;
        runnable.push(conn.token.slot);
    }
}
