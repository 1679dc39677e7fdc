//! The end of a request: what it has borrowed is given back, and what is known of it is recorded.
//!
//! It owns that end, which is the same however it comes: [`settle`] is the only one. Next: [`super::record`] for what
//! is told, [`super::pool`] and [`super::balancer`] for what is given back.

use super::conn::{Conn, Dispatch, ServerLink, charge};
use super::ctx::Ctx;
use super::record::record;
use crate::exchange::{Exchange, Fate, Side, Sign};

/// The fate of a request whose connection ends before it does, and which says nothing about its server.
pub(super) const LEFT: Fate = Fate { keep_client: false, keep_server: false, sign: Sign::Nothing };

/// Ends the request under way: its server connection goes back to the pool, stays with the client, or is closed; its place in
/// the balancer is given back; it is recorded. To settle it again changes nothing.
#[inline(always)]
pub(super) fn settle(
    exchange: &mut Exchange,
    dispatch: &mut Dispatch,
    own: &mut Option<u32>,
    fate: Fate,
    ctx: &mut Ctx,
) {
    let is_own = matches!(dispatch.link, ServerLink::Up { own: true, .. });
    if let Some(slot) = dispatch.link.take() {
        let list = dispatch
            .upstream
            .filter(|_| fate.keep_server && !ctx.ending)
            .and_then(|upstream| ctx.view.local(upstream))
            .and_then(|local| local.lists.get(local.balancer.index_of(dispatch.lease.as_ref()?)?).copied());
        let private = is_own || exchange.is_private();
        match list {
            Some(_) if private && fate.keep_client && ctx.pool.may_rest(slot) => {
                if let Some(former) = own.replace(slot) {
                    ctx.pool.close(former);
                }
            }
            Some(_) if !private => ctx.pool.give_back(slot, &mut ctx.timers, ctx.env.now),
            _ => ctx.pool.close(slot),
        }
    }
    give_place_back(dispatch, fate.sign, ctx);
    if !dispatch.doubts.is_empty() {
        conclude(dispatch, fate.sign, ctx);
    }
    record(exchange, dispatch, ctx);
}

/// Gives the place in the balancer back before the request is over, with what is to be said of the server.
#[cold]
#[inline(never)]
pub(super) fn give_place_back_early(dispatch: &mut Dispatch, sign: Sign, ctx: &mut Ctx) {
    give_place_back(dispatch, sign, ctx);
    if sign == Sign::Good {
        conclude(dispatch, sign, ctx);
    }
}

#[inline(always)]
fn give_place_back(dispatch: &mut Dispatch, sign: Sign, ctx: &mut Ctx) {
    if let Some(lease) = dispatch.lease.take()
        && let Some(local) = dispatch.upstream.and_then(|upstream| ctx.view.local(upstream))
    {
        if let Sign::Doubt(doubt) = sign {
            dispatch.doubts.hold(doubt, &dispatch.tried, &lease);
        }
        local.balancer.done(lease, sign, dispatch.routed, ctx.env.now);
    }
}

/// What was held against the servers that were tried counts from now on, or does not: `sign` is that of the last one.
#[cold]
#[inline(never)]
fn conclude(dispatch: &mut Dispatch, sign: Sign, ctx: &mut Ctx) {
    let doubts = std::mem::take(&mut dispatch.doubts);
    if let Some(local) = dispatch.upstream.and_then(|upstream| ctx.view.local(upstream)) {
        let bettered = sign == Sign::Good;
        local.balancer.conclude(&dispatch.tried, doubts, bettered, dispatch.routed, ctx.env.now);
    }
}

/// Returns everything that a connection has borrowed, and closes what is its own: it is about to be closed.
pub(super) fn end(conn: &mut Conn, ctx: &mut Ctx) {
    release(conn, ctx);
    if let Some(own) = conn.own.take() {
        ctx.pool.close(own);
    }
}

/// Returns everything that a connection has borrowed; it is idle after that, or about to be closed.
pub(super) fn release(conn: &mut Conn, ctx: &mut Ctx) {
    let Conn { active: Some(active), own, .. } = conn else { return };
    settle(&mut active.exchange, &mut active.dispatch, own, LEFT, ctx);
    retire(conn, ctx);
}

/// Puts an exchange aside that was settled, and returns its windows.
#[inline(always)]
pub(super) fn retire(conn: &mut Conn, ctx: &mut Ctx) {
    let Some(mut active) = conn.active.take() else { return };
    for side in [Side::Client, Side::Server] {
        if let Some(window) = active.exchange.surrender(side) {
            ctx.buffers.give(window);
        }
    }
    charge(&mut conn.charged, 0, &mut ctx.buffers);
    ctx.close(active);
}
