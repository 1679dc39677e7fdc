//! Moves the bytes of one connection, both ways: the stages of a round, which are repeated as long as something moves and the
//! connection's budget lasts.
//!
//! It owns what happens between transports and exchange, never a decision of HTTP. Next: `rounds` takes many connections
//! through the stages, `answer` answers the exchange's steps.

use std::time::Duration;

use super::answer::{self, Driven, exhausted};
use super::buffers::Buffers;
use super::clients::Client;
use super::conn::{Active, Conn, charge};
use super::ctx::Ctx;
use super::prelude::{LONGEST, Outcome};
use super::settle;
use super::socket::Flow;
use super::transport::{Attempt, Transport};
use crate::exchange::{Need, NoServer, SMALL_WINDOW, Side};
use crate::http1::buf::Buf;
use crate::reason::Reason;

/// Bytes that one connection may read in one turn, so that a bulk transfer does not keep the others waiting: a few of
/// the largest windows.
const BUDGET: usize = 1024 * 1024;
/// Requests that one connection may have answered in one turn: a window of 32 KiB holds a thousand small ones, and each may
/// walk a chain of rules. Fewer would make a client that asks much at once wait for a poll too often.
pub(super) const REQUESTS: u32 = 32;

/// How long a client that owes nothing may wait for its answer before it is watched. Most answers come sooner, and a
/// connection that closes with its answer is then never registered: that saves a call and the events of its end. A client
/// that goes away is noticed that much later.
const UNWATCHED: Duration = Duration::from_millis(100);

/// What is to become of a connection after it was pumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pumped {
    /// It waits for an event or its deadline.
    Rest,
    /// It could go on, and others come first.
    More,
    /// It is closed.
    Close,
    /// Its socket goes to control, with the bytes that were read.
    Adopt,
}

/// What one connection may and has done since its turn came.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    budget: usize,
    /// Times that its exchange may still take steps; a request that ELB answers itself takes one.
    requests: u32,
    /// Something moved in this round.
    moved: bool,
    /// A read filled its window, so more is there.
    pub filled: bool,
    /// It has ended.
    pub over: bool,
}

impl Turn {
    /// All of it is ahead.
    pub const NEW: Self =
        Self { budget: BUDGET, requests: REQUESTS, moved: false, filled: false, over: false };

    /// Bytes that were read.
    #[must_use]
    pub fn read(&self) -> usize {
        BUDGET - self.budget
    }

    /// It has had its share of this turn: others come first.
    fn is_spent(&self) -> bool {
        self.budget == 0 || self.requests == 0
    }
}

/// Reads what is there and wanted.
pub fn receive(conn: &mut Conn, ctx: &mut Ctx, turn: &mut Turn) -> Option<Pumped> {
    conn.queued = false;
    if conn.active.is_none() {
        if conn.transport.has_failed() {
            return Some(Pumped::Close);
        }
        if !conn.transport.can_read() {
            return Some(rest(conn, ctx));
        }
        if !conn.prelude.is_over()
            && let Some(pumped) = begin(conn, ctx)
        {
            return Some(pumped);
        }
        conn.active = Some(ctx.open());
    }
    let Conn { transport, active: Some(active), .. } = conn else { return Some(Pumped::Close) };
    active.starved = false;
    if transport.has_failed() {
        active.exchange.failed(Side::Client);
    }
    turn.moved = connected(active, ctx);
    turn.moved |= receive_from_client(transport, active, ctx, turn);
    if let Some(server) = lent(active) {
        turn.moved |= receive_from_server(server, active, ctx, turn);
    }
    None
}

/// Looks at what a connection begins with; `None` when that is over and requests may come.
#[cold]
fn begin(conn: &mut Conn, ctx: &mut Ctx) -> Option<Pumped> {
    let mut room = [0; LONGEST];
    let come = match conn.transport.peek(&mut room) {
        Flow::Moved(n) => n,
        Flow::Blocked => return Some(rest(conn, ctx)),
        Flow::Ended | Flow::Failed => return Some(Pumped::Close),
    };
    match conn.prelude.judge(conn.peer, room.get(..come).unwrap_or_default()) {
        Outcome::More if conn.transport.has_ended() => Some(Pumped::Close),
        Outcome::More => {
            conn.transport.await_more();
            Some(rest(conn, ctx))
        }
        Outcome::Refused(reason) => {
            ctx.refused.count(reason);
            Some(Pumped::Close)
        }
        Outcome::Over { ends, used } => {
            let own = room.get_mut(..used).filter(|own| !own.is_empty());
            if own.is_some_and(|own| conn.transport.read(own) != Flow::Moved(used)) {
                return Some(Pumped::Close);
            }
            if !ctx.clients.enter(Client::of(ends.client)) {
                ctx.refused.count(Reason::TooManyConnections);
                return Some(Pumped::Close);
            }
            conn.begin(ends);
            None
        }
    }
}

/// Lets the exchange take its steps.
#[inline(always)]
pub fn decide(conn: &mut Conn, ctx: &mut Ctx, turn: &mut Turn) -> Option<Pumped> {
    if !conn.active.as_ref().is_some_and(|active| active.exchange.is_stirred()) {
        return None;
    }
    let driven = answer::drive(conn, ctx);
    if driven == Driven::Waiting {
        // To pass bytes on takes no step, and is bounded by its bytes.
        return None;
    }
    turn.requests = turn.requests.saturating_sub(1);
    match driven {
        Driven::Waiting | Driven::Stepped => turn.moved = true,
        // Nothing more of the client is known of: that is the usual end.
        Driven::Idle if conn.transport.is_quiet() => return Some(rest(conn, ctx)),
        Driven::Idle => {}
        Driven::Close => return Some(Pumped::Close),
        Driven::Adopt => return Some(Pumped::Adopt),
    }
    None
}

/// Writes what may leave.
pub fn send(conn: &mut Conn, ctx: &mut Ctx, turn: &mut Turn) -> Option<Pumped> {
    // An exchange that came to its end has nothing to send, and the next one may begin.
    let Conn { transport, active: Some(active), .. } = conn else { return None };
    turn.moved |= send_to_server(active, ctx);
    turn.moved |= send_to(transport, &mut active.exchange, Side::Client);
    if !turn.moved || !may_move(transport, active, ctx) {
        return Some(rest(conn, ctx));
    }
    turn.is_spent().then(|| rest_or(conn, ctx, Pumped::More))
}

/// Whether another round could do anything: a step is due, or a peer has sent bytes that are wanted.
fn may_move(client: &Transport, active: &Active, ctx: &mut Ctx) -> bool {
    active.exchange.is_stirred()
        || (client.can_read() && active.exchange.wants(Side::Client))
        || active.server.and_then(|slot| ctx.pool.transport(slot)).is_some_and(|server| {
            (server.can_read() && active.exchange.wants(Side::Server))
                || (active.connecting && server.attempt() != Attempt::UnderWay)
        })
}

/// Whether an attempt to connect has come to an end, and how.
fn connected(active: &mut Active, ctx: &mut Ctx) -> bool {
    let (true, Some(slot)) = (active.connecting, active.server) else { return false };
    let Some(transport) = ctx.pool.transport(slot) else { return false };
    match transport.attempt() {
        Attempt::UnderWay => return false,
        Attempt::Made => active.exchange.connected(&ctx.env, false),
        Attempt::Failed => active.exchange.refused(&ctx.env, NoServer::Failed),
    }
    active.connecting = false;
    true
}

/// The server connection of an exchange, once it is established.
fn lent(active: &Active) -> Option<u32> {
    active.server.filter(|_| !active.connecting)
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

/// Sees to it that a side has a window with room; `false` when the stock is used up.
#[inline]
fn window(active: &mut Active, side: Side, ctx: &mut Ctx) -> bool {
    let Need { least, useful } = active.exchange.make_room(side);
    if useful > least
        && let Some(fresh) = ctx.buffers.take_useful(useful)
    {
        lend(active, side, fresh, ctx);
        return true;
    }
    if least == 0 {
        return true;
    }
    if !Buffers::larger_than(least - 1) {
        return false;
    }
    take(active, side, least, ctx) || starve(active, side, least, ctx)
}

/// The stock is used up: what is kept for another server is given up before anybody waits for a window. `false` when it
/// waits.
#[cold]
#[inline(never)]
fn starve(active: &mut Active, side: Side, least: usize, ctx: &mut Ctx) -> bool {
    if active.exchange.forgo_replay() && side == Side::Server {
        if let Some(unused) = active.exchange.reclaim(Side::Client) {
            ctx.buffers.give(unused);
        }
        take(active, side, least, ctx);
    }
    // What was given up may have made room in the window that is there.
    let none = active.exchange.room(side).is_empty();
    active.starved |= none;
    !none
}

/// Lends a window of the stock; `false` when that is used up.
#[inline]
fn take(active: &mut Active, side: Side, least: usize, ctx: &mut Ctx) -> bool {
    let taken = match active.exchange.has_window() {
        true => ctx.buffers.take(least),
        false => ctx.buffers.take_first(least),
    };
    let Some(fresh) = taken else { return false };
    lend(active, side, fresh, ctx);
    true
}

#[inline]
fn lend(active: &mut Active, side: Side, fresh: Buf, ctx: &mut Ctx) {
    if let Some(unused) = active.exchange.lend(side, fresh) {
        ctx.buffers.give(unused);
    }
}

fn send_to_server(active: &mut Active, ctx: &mut Ctx) -> bool {
    let Some(transport) = lent(active).and_then(|slot| ctx.pool.transport(slot)) else { return false };
    send_to(transport, &mut active.exchange, Side::Server)
}

#[inline]
fn send_to(transport: &mut Transport, exchange: &mut crate::exchange::Exchange, side: Side) -> bool {
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
        Flow::Ended | Flow::Failed => exchange.deaf(side),
    }
    true
}

/// The connection waits: windows that hold nothing go back, and its deadline is known to the wheel.
fn rest(conn: &mut Conn, ctx: &mut Ctx) -> Pumped {
    rest_or(conn, ctx, Pumped::Rest)
}

fn rest_or(conn: &mut Conn, ctx: &mut Ctx, pumped: Pumped) -> Pumped {
    if let Some(active) = &mut conn.active {
        for side in [Side::Client, Side::Server] {
            if let Some(window) = active.exchange.reclaim(side) {
                ctx.buffers.give(window);
            }
        }
        charge(&mut conn.charged, active.exchange.outside(), &mut ctx.buffers);
        if active.exchange.is_slow_head()
            && pumped == Pumped::Rest
            && let Some(small) = ctx.buffers.take(SMALL_WINDOW)
        {
            lend(active, Side::Client, small, ctx);
        }
        if active.starved && !std::mem::replace(&mut conn.starved, true) {
            // Who holds a window already comes first: what it waits for may free both.
            match active.exchange.has_window() {
                true => ctx.starved.push_front(conn.token),
                false => ctx.starved.push_back(conn.token),
            }
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
        return if watch(conn, ctx) { pumped } else { Pumped::Close };
    }
    let until = if watched { conn.deadline } else { conn.deadline.min(ctx.env.now + UNWATCHED) };
    conn.alarm.set(&mut ctx.timers, conn.token, until);
    pumped
}

/// Whether the client is who moves next: it owes bytes, or room for them.
fn needs_watch(conn: &Conn) -> bool {
    conn.transport.wants_read()
        || conn.transport.wants_write()
        || conn.active.as_ref().is_none_or(|active| active.exchange.wants(Side::Client) || active.starved)
}

/// Begins to watch a client; what is there already is told at once. `false` when the kernel cannot.
pub fn watch(conn: &mut Conn, ctx: &mut Ctx) -> bool {
    let registered = conn.transport.register(&ctx.registry, mio::Token(conn.token.to_usize()));
    if let Err(error) = &registered {
        ctx.refused.count(exhausted(error).unwrap_or(Reason::AcceptFailed));
    }
    conn.alarm.set(&mut ctx.timers, conn.token, conn.deadline);
    registered.is_ok()
}
