//! When a client's socket is registered: not before it is waited for.
//!
//! It owns that delay, never an event. Next: [`super::pump`] rests a connection, [`super::transport`] is registered.

use std::time::Duration;

use super::conn::Conn;
use super::ctx::Ctx;
use super::shortage;
use crate::exchange::Side;
use crate::reason::Reason;

/// How long a client that owes nothing may wait for its answer before it is watched. Most answers come sooner, and a
/// connection that closes with its answer is then never registered: that saves a call and the events of its end. A client
/// that goes away is noticed that much later.
pub(super) const UNWATCHED: Duration = Duration::from_millis(100);

/// Whether the client is who moves next: it owes bytes, or room for them.
pub(super) fn needs_watch(conn: &Conn) -> bool {
    conn.transport.wants_read()
        || conn.transport.wants_write()
        || conn.active.as_ref().is_none_or(|active| active.exchange.wants(Side::Client) || active.starved)
}

/// Begins to watch a client; what is there already is told at once. `false` when the kernel cannot.
pub(super) fn watch(conn: &mut Conn, ctx: &mut Ctx) -> bool {
    let registered = conn.transport.register(&ctx.registry, mio::Token(conn.token.to_usize()));
    if let Err(error) = &registered {
        ctx.refused.count(shortage::reason(error).unwrap_or(Reason::AcceptFailed));
    }
    conn.alarm.set(&mut ctx.timers, conn.token, conn.deadline);
    registered.is_ok()
}
