//! Moves the bytes of one connection, both ways: the stages of a round, which are repeated as long as something moves and the
//! connection's turn is not spent.
//!
//! It owns what happens between transports and exchange, never a decision of HTTP. Next: [`super::rounds`] takes many
//! connections through the stages, [`super::dispatch`] does what the exchange asks for.

use std::net::SocketAddr;
use std::ops::ControlFlow;

use super::clients::Client;
use super::conn::{Active, Conn, ServerLink, charge};
use super::ctx::Ctx;
use super::dispatch;
use super::opening::spoken_for;
use super::prelude::{LONGEST, Outcome, Prelude};
use super::relief::{self, lend, window};
use super::secure::Handshake;
use super::settle;
use super::socket::{Attempt, Flow};
use super::transport::Transport;
use super::turn::{Turn, Verdict};
use super::watch::{UNWATCHED, needs_watch, watch};
use crate::exchange::{Exchange, Heads, NoServer, SMALL_WINDOW, Side};
use crate::reason::Reason;

/// Reads what is there and wanted.
pub fn receive(conn: &mut Conn, ctx: &mut Ctx, turn: &mut Turn) -> Verdict {
    conn.queued = false;
    if conn.active.is_none() {
        if conn.transport.has_failed() {
            return Verdict::Close;
        }
        if conn.transport.is_leaving() {
            return if conn.transport.wants_write() { rest(conn, ctx) } else { Verdict::Close };
        }
        if !conn.transport.can_read() {
            return rest(conn, ctx);
        }
        if !conn.prelude.is_over() {
            let verdict = begin(conn, ctx);
            if verdict != Verdict::GoOn {
                return verdict;
            }
        }
        conn.active = Some(ctx.open(&conn.address));
    }
    let Conn { transport, active: Some(active), ends, .. } = conn else { return Verdict::Close };
    active.starved = false;
    if transport.has_failed() {
        active.exchange.failed(Side::Client);
    }
    turn.moved = connected(active, ctx, || spoken_for(ends.client, transport.addresses()));
    turn.moved |= receive_from_client(transport, active, ctx, turn);
    if let Some(server) = active.dispatch.link.up() {
        turn.moved |= receive_from_server(server, active, ctx, turn);
    }
    Verdict::GoOn
}

/// Looks at what a connection begins with. Its turn goes on when that is over and requests may come.
#[cold]
fn begin(conn: &mut Conn, ctx: &mut Ctx) -> Verdict {
    if conn.prelude == Prelude::Hello {
        return handshake(conn, ctx);
    }
    let mut room = [0; LONGEST];
    let come = match conn.transport.peek(&mut room) {
        Flow::Moved(n) => n,
        Flow::Blocked => return rest(conn, ctx),
        Flow::Ended | Flow::Failed => return Verdict::Close,
    };
    match conn.prelude.judge(conn.ends.peer, room.get(..come).unwrap_or_default()) {
        Outcome::More if conn.transport.has_ended() => Verdict::Close,
        Outcome::More => {
            conn.transport.await_more();
            rest(conn, ctx)
        }
        Outcome::Refused(reason) => {
            ctx.refused.count(reason);
            Verdict::Close
        }
        Outcome::Over { ends, used } => {
            let own = room.get_mut(..used).filter(|own| !own.is_empty());
            if own.is_some_and(|own| conn.transport.take(own) != Flow::Moved(used)) {
                return Verdict::Close;
            }
            if !ctx.clients.enter(Client::of(ends.client)) {
                ctx.refused.count(Reason::TooManyConnections);
                return Verdict::Close;
            }
            conn.begin(ends);
            if conn.prelude == Prelude::Hello { handshake(conn, ctx) } else { Verdict::GoOn }
        }
    }
}

/// Goes on with a session that begins. Its turn goes on when that is over.
#[cold]
fn handshake(conn: &mut Conn, ctx: &mut Ctx) -> Verdict {
    match conn.transport.handshake() {
        Handshake::UnderWay => rest(conn, ctx),
        Handshake::Over => {
            conn.prelude = Prelude::Over;
            if conn.transport.can_read() { Verdict::GoOn } else { rest(conn, ctx) }
        }
        Handshake::Failed => {
            ctx.refused.count(Reason::TlsHandshakeFailed);
            Verdict::Close
        }
    }
}

/// Lets the exchange take its steps.
#[inline(always)]
pub fn decide(conn: &mut Conn, ctx: &mut Ctx, heads: &mut Heads, turn: &mut Turn) -> Verdict {
    if !conn.active.as_ref().is_some_and(|active| active.exchange.has_work()) {
        return Verdict::GoOn;
    }
    let driven = dispatch::step(conn, ctx, heads);
    if driven == ControlFlow::Continue(false) {
        // To pass bytes on takes no step, and is bounded by its bytes. The head of an answer may have come.
        if let Some(active) = conn.active.as_mut().filter(|active| active.waits_for_answer()) {
            dispatch::note_answer(active, ctx);
        }
        return Verdict::GoOn;
    }
    turn.steps = turn.steps.saturating_sub(1);
    match driven {
        ControlFlow::Continue(_) => {
            // Another step may be due; or the exchange wants bytes now that are there, and of which no event will tell again.
            turn.moved = true;
            Verdict::GoOn
        }
        ControlFlow::Break(Verdict::Rest) => {
            settle::retire(conn, ctx);
            conn.deadline = ctx.env.now + ctx.keepalive;
            conn.fresh = false;
            // Nothing more of the client is known of: that is the usual end.
            if conn.transport.is_quiet() { rest(conn, ctx) } else { Verdict::GoOn }
        }
        ControlFlow::Break(verdict) => verdict,
    }
}

/// Writes what may leave.
pub fn send(conn: &mut Conn, ctx: &mut Ctx, turn: &mut Turn) -> Verdict {
    // An exchange that came to its end has nothing to send, and the next one may begin.
    let Conn { transport, active: Some(active), .. } = conn else { return Verdict::GoOn };
    turn.moved |= send_to_server(active, ctx);
    turn.moved |= send_to(transport, &mut active.exchange, Side::Client);
    if !turn.moved || !may_move(transport, active, ctx) {
        return rest(conn, ctx);
    }
    if turn.is_spent() { put_off(conn, ctx) } else { Verdict::GoOn }
}

/// Whether another round could do anything: a step is due, or a peer has sent bytes that are wanted.
fn may_move(client: &Transport, active: &Active, ctx: &mut Ctx) -> bool {
    active.exchange.has_work()
        || (client.can_read() && active.exchange.wants(Side::Client))
        || active.dispatch.link.slot().and_then(|slot| ctx.pool.transport(slot)).is_some_and(|server| {
            (server.can_read() && active.exchange.wants(Side::Server))
                || (active.dispatch.link.connecting().is_some() && server.attempt() != Attempt::UnderWay)
        })
}

/// Whether an attempt to connect, and to say what comes before requests, has come to an end, and how.
fn connected(
    active: &mut Active,
    ctx: &mut Ctx,
    of: impl FnOnce() -> Option<(SocketAddr, SocketAddr)>,
) -> bool {
    let Some(slot) = active.dispatch.link.connecting() else { return false };
    let Some(transport) = ctx.pool.transport(slot) else { return false };
    let attempt = match transport.attempt() {
        Attempt::Made => ctx.pool.begin(slot, of),
        other => other,
    };
    match attempt {
        Attempt::UnderWay => return false,
        Attempt::Made => active.exchange.connected(&ctx.env, false),
        Attempt::Failed => active.exchange.refused(&ctx.env, NoServer::Failed),
        Attempt::NoSession => active.exchange.refused(&ctx.env, NoServer::NoSession),
    }
    active.dispatch.link = ServerLink::Up { slot, own: ctx.pool.is_private(slot) };
    true
}

fn receive_from_server(server: u32, active: &mut Active, ctx: &mut Ctx, turn: &mut Turn) -> bool {
    // The transport lives in the pool and the windows in the stock, so it is borrowed for the one call that reads.
    if !ctx.pool.transport(server).is_some_and(|transport| transport.can_read()) {
        return false;
    }
    if turn.budget == 0 || !active.exchange.wants(Side::Server) || !window(active, Side::Server, ctx) {
        return false;
    }
    let Some(transport) = ctx.pool.transport(server) else { return false };
    read(transport, active, Side::Server, turn)
}

fn receive_from_client(
    transport: &mut Transport,
    active: &mut Active,
    ctx: &mut Ctx,
    turn: &mut Turn,
) -> bool {
    let side = Side::Client;
    if !transport.can_read() || turn.budget == 0 || !active.exchange.wants(side) || !window(active, side, ctx)
    {
        return false;
    }
    read(transport, active, side, turn)
}

#[inline]
fn read(transport: &mut Transport, active: &mut Active, side: Side, turn: &mut Turn) -> bool {
    let room = active.exchange.room(side);
    let wanted = room.len();
    if wanted == 0 {
        return false;
    }
    match transport.read(room) {
        Flow::Moved(n) => {
            turn.budget = turn.budget.saturating_sub(n);
            turn.filled |= n == wanted;
            active.exchange.filled(side, n);
        }
        Flow::Ended => active.exchange.ended(side),
        Flow::Failed => active.exchange.failed(side),
        Flow::Blocked => return false,
    }
    true
}

fn send_to_server(active: &mut Active, ctx: &mut Ctx) -> bool {
    let server = active.dispatch.link.up().and_then(|slot| ctx.pool.transport(slot));
    let Some(transport) = server else { return false };
    send_to(transport, &mut active.exchange, Side::Server)
}

#[inline]
fn send_to(transport: &mut Transport, exchange: &mut Exchange, side: Side) -> bool {
    if !transport.can_write() {
        return false;
    }
    let flow = match exchange.out(side) {
        [[], [], []] => return false,
        [only, [], []] | [[], only, []] => transport.write(only),
        slices => transport.write_vectored(slices),
    };
    match flow {
        Flow::Moved(n) => exchange.sent(side, n),
        Flow::Blocked => return false,
        Flow::Ended | Flow::Failed => exchange.write_closed(side),
    }
    true
}

/// The connection waits: windows that hold nothing go back, and its deadline is known to the wheel.
fn rest(conn: &mut Conn, ctx: &mut Ctx) -> Verdict {
    if let Some(active) = &mut conn.active {
        give_unused_back(active, &mut conn.charged, ctx);
        if active.exchange.is_slow_head()
            && let Some(small) = ctx.buffers.take(SMALL_WINDOW)
        {
            lend(active, Side::Client, small, ctx);
        }
    }
    follow(conn, ctx, Verdict::Rest)
}

/// The connection could go on, and others come first. It may wait for long all the same, so the wheel knows of it too.
#[cold]
#[inline(never)]
fn put_off(conn: &mut Conn, ctx: &mut Ctx) -> Verdict {
    if let Some(active) = &mut conn.active {
        give_unused_back(active, &mut conn.charged, ctx);
    }
    follow(conn, ctx, Verdict::More)
}

/// Returns windows that hold nothing, and tells the stock what is held beside them.
#[inline(always)]
fn give_unused_back(active: &mut Active, charged: &mut u32, ctx: &mut Ctx) {
    for side in [Side::Client, Side::Server] {
        if let Some(window) = active.exchange.reclaim(side) {
            ctx.buffers.give(window);
        }
    }
    charge(charged, active.exchange.outside(), &mut ctx.buffers);
}

/// The end of a connection's turn: its deadline is set, and its socket watched if it is to move next.
#[inline(always)]
fn follow(conn: &mut Conn, ctx: &mut Ctx, verdict: Verdict) -> Verdict {
    if let Some(active) = &mut conn.active {
        if active.starved {
            relief::queue_for_window(&mut conn.starved, active, conn.token, ctx);
        }
        if active.exchange.is_untouched() && !active.starved {
            // A hopeful read found nothing: the connection is as idle as before, and its deadline the same.
            settle::release(conn, ctx);
        } else {
            if conn.transport.has_ended() {
                active.exchange.half_closed(&ctx.env);
            }
            conn.deadline = active.exchange.deadline(&ctx.env);
        }
    }
    let watched = conn.transport.is_registered();
    if !watched && needs_watch(conn) {
        return if watch(conn, ctx) { verdict } else { Verdict::Close };
    }
    let until = if watched { conn.deadline } else { conn.deadline.min(ctx.env.now + UNWATCHED) };
    conn.alarm.set(&mut ctx.timers, conn.token, until);
    verdict
}
