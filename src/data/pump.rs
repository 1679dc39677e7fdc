//! Moves the bytes of one connection, both ways, as long as something moves and its budget lasts.
//!
//! It owns the loop between sockets and exchange, never a decision of HTTP. Next: `answer` answers the exchange's steps.

use std::time::Duration;

use super::answer::{self, Driven, exhausted};
use super::buffers::Buffers;
use super::conn::{Active, Conn};
use super::ctx::Ctx;
use super::socket::{Flow, Socket};
use crate::exchange::{NoServer, Side};

/// Bytes that one connection may read in one turn, so that a bulk transfer does not keep the others waiting: a few of
/// the largest windows.
const BUDGET: usize = 1024 * 1024;

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

/// Moves what can be moved.
pub fn pump(conn: &mut Conn, ctx: &mut Ctx) -> Pumped {
    let mut budget = BUDGET;
    loop {
        if conn.active.is_none() {
            if conn.socket.failed {
                return Pumped::Close;
            }
            if !conn.socket.readable {
                return rest(conn, ctx);
            }
            conn.active = Some(ctx.open());
        }
        let Conn { socket, active: Some(active), .. } = conn else { return Pumped::Close };
        active.starved = false;
        if socket.failed {
            active.exchange.failed(Side::Client);
        }
        let mut moved = connected(active, ctx);
        moved |= receive(socket, active, Side::Client, ctx, &mut budget);
        if let Some(mut server) = lent(active, ctx) {
            moved |= receive_from_server(&mut server, active, ctx, &mut budget);
        }
        if active.exchange.is_stirred() {
            match answer::drive(conn, ctx) {
                Driven::Waiting { stepped } => moved |= stepped,
                Driven::Idle => continue,
                Driven::Close => return Pumped::Close,
                Driven::Adopt => return Pumped::Adopt,
            }
        }
        let Conn { socket, active: Some(active), .. } = conn else { return Pumped::Close };
        moved |= send_to_server(active, ctx);
        moved |= send(socket, &mut active.exchange, Side::Client);
        if budget == 0 {
            return rest_or(conn, ctx, Pumped::More);
        }
        if !moved || !may_move(socket, active, ctx) {
            return rest(conn, ctx);
        }
    }
}

/// Whether another round could do anything: a step is due, or a socket has bytes that are wanted.
fn may_move(client: &Socket, active: &Active, ctx: &mut Ctx) -> bool {
    active.exchange.is_stirred()
        || (client.readable && active.exchange.wants(Side::Client))
        || active.server.and_then(|slot| ctx.pool.socket(slot)).is_some_and(|server| {
            (server.readable && active.exchange.wants(Side::Server))
                || (active.connecting && (server.writable || server.failed))
        })
}

/// Whether an attempt to connect has come to an end, and how.
fn connected(active: &mut Active, ctx: &mut Ctx) -> bool {
    let (true, Some(slot)) = (active.connecting, active.server) else { return false };
    let Some(socket) = ctx.pool.socket(slot) else { return false };
    let (failed, writable) = (socket.failed, socket.writable);
    if !failed && !writable {
        return false;
    }
    active.connecting = false;
    if failed {
        active.exchange.refused(&ctx.env(), NoServer::Failed);
    } else {
        active.exchange.connected(&ctx.env(), false);
    }
    true
}

/// The server connection of an exchange, once it is established.
fn lent(active: &Active, _ctx: &Ctx) -> Option<u32> {
    active.server.filter(|_| !active.connecting)
}

fn receive_from_server(server: &mut u32, active: &mut Active, ctx: &mut Ctx, budget: &mut usize) -> bool {
    // The socket lives in the pool and the windows in the stock, so it is borrowed for the one call that reads.
    if !ctx.pool.socket(*server).is_some_and(|socket| socket.readable) {
        return false;
    }
    if *budget == 0 || !active.exchange.wants(Side::Server) || !window(active, Side::Server, ctx) {
        return false;
    }
    let Some(socket) = ctx.pool.socket(*server) else { return false };
    read(socket, active, Side::Server, budget)
}

fn receive(socket: &mut Socket, active: &mut Active, side: Side, ctx: &mut Ctx, budget: &mut usize) -> bool {
    if !socket.readable || *budget == 0 || !active.exchange.wants(side) || !window(active, side, ctx) {
        return false;
    }
    read(socket, active, side, budget)
}

fn read(socket: &mut Socket, active: &mut Active, side: Side, budget: &mut usize) -> bool {
    let room = active.exchange.room(side);
    if room.is_empty() {
        return false;
    }
    match socket.read(room) {
        Flow::Moved(n) => {
            *budget = budget.saturating_sub(n);
            active.exchange.filled(side, n);
        }
        Flow::Ended => active.exchange.ended(side),
        Flow::Failed => active.exchange.failed(side),
        Flow::Blocked => return false,
    }
    true
}

/// Sees to it that a side has a window with room; `false` when the stock is used up.
fn window(active: &mut Active, side: Side, ctx: &mut Ctx) -> bool {
    let wanted = active.exchange.make_room(side);
    if wanted == 0 {
        return true;
    }
    if !Buffers::larger_than(wanted - 1) {
        return false;
    }
    // What is kept for another server is given up before anybody waits for a window.
    if !take(active, side, wanted, ctx) && active.exchange.forgo_replay() && side == Side::Server {
        if let Some(unused) = active.exchange.reclaim(Side::Client) {
            ctx.buffers.give(unused);
        }
        take(active, side, wanted, ctx);
    }
    active.starved |= active.exchange.room(side).is_empty();
    !active.exchange.room(side).is_empty()
}

/// Lends a window of the stock; `false` when that is used up.
fn take(active: &mut Active, side: Side, wanted: usize, ctx: &mut Ctx) -> bool {
    let taken = match active.exchange.held() {
        0 => ctx.buffers.take_first(wanted),
        _ => ctx.buffers.take(wanted),
    };
    let Some(fresh) = taken else { return false };
    if let Some(unused) = active.exchange.lend(side, fresh) {
        ctx.buffers.give(unused);
    }
    true
}

fn send_to_server(active: &mut Active, ctx: &mut Ctx) -> bool {
    let Some(socket) = lent(active, ctx).and_then(|slot| ctx.pool.socket(slot)) else { return false };
    send(socket, &mut active.exchange, Side::Server)
}

fn send(socket: &mut Socket, exchange: &mut crate::exchange::Exchange, side: Side) -> bool {
    let out = exchange.out(side);
    if !socket.writable || out.iter().all(|slice| slice.is_empty()) {
        return false;
    }
    match socket.write(out) {
        Flow::Moved(n) => exchange.sent(side, n),
        Flow::Blocked => return false,
        Flow::Ended | Flow::Failed => {
            exchange.deaf(side);
            // What the server said before it stopped listening is still to be read.
            socket.readable = true;
        }
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
        if active.starved && !std::mem::replace(&mut conn.starved, true) {
            // Who holds a window already comes first: what it waits for may free both.
            match active.exchange.held() {
                0 => ctx.starved.push_back(conn.token),
                _ => ctx.starved.push_front(conn.token),
            }
        }
        if active.exchange.is_untouched() && !active.starved {
            // A hopeful read found nothing: the connection is as idle as before, and its deadline the same.
            answer::release(conn, ctx);
        } else {
            conn.deadline = active.exchange.deadline(&ctx.env());
        }
    }
    if conn.active.is_none() && ctx.draining && !conn.fresh {
        return Pumped::Close;
    }
    let watched = conn.socket.is_registered();
    if !watched && needs_watch(conn) {
        return if watch(conn, ctx) { pumped } else { Pumped::Close };
    }
    let until = if watched { conn.deadline } else { conn.deadline.min(ctx.now + UNWATCHED) };
    conn.alarm.set(&mut ctx.timers, conn.token, until);
    pumped
}

/// Whether the client is who moves next: it owes bytes, or room for them.
fn needs_watch(conn: &Conn) -> bool {
    !conn.socket.writable
        || conn.active.as_ref().is_none_or(|active| active.exchange.wants(Side::Client) || active.starved)
}

/// Begins to watch a client; what is there already is told at once. `false` when the kernel cannot.
pub fn watch(conn: &mut Conn, ctx: &mut Ctx) -> bool {
    let registered = conn.socket.register(&ctx.registry, mio::Token(conn.token.to_usize()));
    if let Err(error) = &registered {
        ctx.refused.count(exhausted(error).unwrap_or("accept-failed"));
    }
    conn.alarm.set(&mut ctx.timers, conn.token, conn.deadline);
    registered.is_ok()
}
