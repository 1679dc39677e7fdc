//! What the worker holds, counted once a second; and in debug builds, whether all of it belongs together.
//!
//! It owns the counting and the sweep, never what is counted. Whatever is lent must be found with whom it was lent to,
//! so a leak, a double loan or a lost timer ends the process within a second of its making. Next: [`crate::link::Gauges`].

use std::collections::HashSet;

use super::conn::{Active, Conn};
use super::ctx::Ctx;
use super::places::Short;
use super::token::Token;
use super::worker::Worker;
use crate::exchange::{Phase, Pressed};
use crate::link::{Cut, Gauges, Report};
use crate::stats::gzip::Gzip;

impl Worker {
    /// Tells control what is held.
    pub(super) fn send_gauges(&mut self) {
        // The next second tells what is true then; nothing is lost when there is no room for this one.
        let _ = self.reports.try_send(Report::Gauges { worker: self.index, gauges: Box::new(self.gauges()) });
        let Ctx { outages, view, pool, .. } = &mut self.ctx;
        let servers = view.server_news(pool);
        if !servers.is_empty()
            && self.reports.try_send(Report::Servers { worker: self.index, servers }).is_err()
        {
            pool.untold();
        }
        if let Some(upstreams) = outages.news(view) {
            let report = Report::Outages { worker: self.index, upstreams };
            if self.reports.try_send(report).is_err() {
                outages.untold();
            }
        }
    }

    fn gauges(&self) -> Gauges {
        let Ctx {
            pool,
            view,
            timers,
            buffers,
            starved,
            spare,
            exchanges,
            accepted,
            requests,
            refused,
            outages,
            retries,
            retries_over_budget,
            ..
        } = &self.ctx;
        let short = |what| usize::from(self.places.was_short_of(what, self.ctx.env.now));
        Gauges {
            clients: self.conns.len(),
            exchanges: *exchanges,
            waiting_for_buffer: starved.len(),
            window_bytes: buffers.lent(),
            server_connections: pool.open(),
            server_connections_idle: pool.idle(),
            requests_at_servers: view.leases(),
            timers: timers.armed(),
            spare_exchanges: spare.len(),
            short_of_connections: short(Short::Connections),
            short_of_descriptors: short(Short::Descriptors),
            accepted: *accepted,
            requests: *requests,
            fail_open: outages.picks,
            retries: *retries,
            retries_over_budget: *retries_over_budget,
            searches_given_up: view.searches_given_up(),
            gzip: gzip(self.heads.pressed()),
            refused: *refused,
        }
    }

    /// What would be cut off now. An answer that is out, and a client that has not asked, lose nothing.
    pub(super) fn under_way(&self) -> Cut {
        let mut cut = Cut::default();
        for active in self.conns.iter().filter_map(|(_, conn)| conn.active.as_ref()) {
            match active.exchange.phase() {
                Phase::Tunnel { .. } => cut.tunnels += 1,
                Phase::Linger | Phase::Over => {}
                _ => cut.requests += 1,
            }
        }
        cut
    }

    /// Sweeps over everything that is lent.
    pub(super) fn check_invariants(&mut self) {
        self.ctx.pool.check_invariants();
        let runnable: HashSet<u32> = self.runnable.iter().chain(&self.later).copied().collect();
        let starved: HashSet<Token> = self.ctx.starved.iter().copied().collect();
        let (mut exchanges, mut windows, mut leases, mut lent) = (0, 0, 0, 0);
        for (slot, conn) in &self.conns {
            assert_eq!(slot, conn.token.slot as usize, "a connection knows its slot");
            let armed = self.ctx.timers.armed_for(conn.token);
            assert!(armed.is_some_and(|at| at <= conn.deadline), "{armed:?} for {:?}", conn.deadline);
            assert!(!conn.queued || runnable.contains(&conn.token.slot), "marked, and in no queue");
            assert_eq!(conn.starved, starved.contains(&conn.token), "waiting for a window or not");
            lent += usize::from(conn.own.is_some());
            if let Some(own) = conn.own {
                assert_eq!(
                    self.ctx.pool.lent_to(own),
                    Some(conn.token.slot),
                    "a client's own connection {own}"
                );
            }
            let Some(active) = &conn.active else { continue };
            exchanges += 1;
            windows += conn.held();
            leases += u64::from(active.dispatch.lease.is_some());
            lent += usize::from(active.dispatch.link.slot().is_some());
            check_loans(conn, active, &self.ctx);
        }
        assert_eq!(exchanges, self.ctx.exchanges, "exchanges");
        assert_eq!(windows, self.ctx.buffers.lent(), "windows");
        assert_eq!(leases, self.ctx.view.leases(), "leases");
        assert_eq!(lent + self.ctx.pool.idle(), self.ctx.pool.open(), "server connections");
        assert!(
            !self.ctx.spare.iter().any(|spare| spare.exchange.has_window()),
            "a spare exchange holds a window"
        );
    }
}

/// What was compressed, by the names under which it is told.
fn gzip(pressed: Pressed) -> Gzip {
    let Pressed { answers, taken, given, refused } = pressed;
    Gzip { answers, content_bytes: taken, sent_bytes: given, skipped: refused }
}

/// A server connection and the exchange that has it name each other.
fn check_loans(conn: &Conn, active: &Active, ctx: &Ctx) {
    if let Some(server) = active.dispatch.link.slot() {
        assert_eq!(ctx.pool.lent_to(server), Some(conn.token.slot), "server connection {server}");
    }
}
