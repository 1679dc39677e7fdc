//! Answers the steps of an exchange: where a request goes, which server takes it, and what becomes of connections.
//!
//! It owns the loans of a request while it is under way, never a byte of it. Next: `view` routes, `balancer` chooses, `pool`
//! lends, and `settle` gives all back at the end.

use std::io;
use std::net::IpAddr;

use super::conn::{Active, Conn, PeerText};
use super::ctx::Ctx;
use super::door;
use super::settle::{cut, give_place_back, retire, settle};
use super::view::{Routed, Routing};
use crate::exchange::{Fate, Forward, NoServer, Side, Sign, Step};
use crate::http1::reply::Reply;
use crate::reason::Reason;
use crate::semantics::reserved::{self, Reserved};

/// What came of the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driven {
    /// The exchange waits for bytes, as it did before.
    Waiting,
    /// The exchange waits for bytes, and a step was taken before. That may have made it want some that are there already,
    /// and of which no event will tell again.
    Stepped,
    /// The exchange is over, and the connection goes on.
    Idle,
    /// The connection is to be closed.
    Close,
    /// The connection is control's from now on.
    Adopt,
}

/// Takes steps until the exchange waits or is over.
#[inline(always)]
pub fn drive(conn: &mut Conn, ctx: &mut Ctx) -> Driven {
    let mut waiting = Driven::Waiting;
    loop {
        let Conn { active: Some(active), own, address, peer, token, .. } = conn else { return Driven::Idle };
        match active.exchange.step(&ctx.env, &mut ctx.heads) {
            Step::Wait => return waiting,
            Step::Route => {
                if route(active, address, peer, ctx) {
                    return Driven::Adopt;
                }
            }
            Step::Connect { same } => {
                if !resume(active, own, ctx) {
                    connect(active, token.slot, same, ctx);
                }
            }
            Step::Finished(fate) => {
                if let Some(driven) = finished(conn, fate, ctx) {
                    return driven;
                }
            }
            step => {
                if seldom(conn, step, ctx) {
                    return Driven::Close;
                }
            }
        }
        waiting = Driven::Stepped;
    }
}

/// The steps that an exchange takes when something has gone wrong, or in the middle of a tunnel. `true` closes it.
#[cold]
#[inline(never)]
fn seldom(conn: &mut Conn, step: Step, ctx: &mut Ctx) -> bool {
    let Some(active) = &mut conn.active else { return false };
    match step {
        Step::Others => {
            let others = others(active, ctx);
            active.exchange.better(&ctx.env, &mut ctx.heads, others);
        }
        Step::Drop { sign } => drop_server(active, sign, ctx),
        Step::Shutdown(Side::Client) => conn.transport.shutdown(),
        Step::Shutdown(Side::Server) => {
            if let Some(transport) = active.server.and_then(|slot| ctx.pool.transport(slot)) {
                transport.shutdown();
            }
        }
        Step::Close { reset, sign } => {
            if reset {
                conn.transport.reset_on_close();
            }
            cut(conn, sign, ctx);
            return true;
        }
        Step::Wait | Step::Route | Step::Connect { .. } | Step::Finished(_) => {}
    }
    false
}

/// Asks the rules where a request of the client with this address goes; `true` when the connection goes to control.
#[inline(always)]
fn route(active: &mut Active, address: &PeerText, peer: &IpAddr, ctx: &mut Ctx) -> bool {
    active.tried.clear();
    active.routed = ctx.env.now;
    match active.exchange.reserved(&ctx.heads) {
        Reserved::No => {}
        reserved => return door::answer(active, *peer, reserved, ctx),
    }
    let request = active.exchange.request_view(&ctx.heads, address.as_bytes());
    ctx.requests += 1;
    let Routing { domain, rule, routed } = ctx.view.route(&request, ctx.requests);
    (active.domain, active.rule) = (domain, rule);
    match routed {
        Routed::Denied { reason } => active.exchange.reply(&ctx.env, &ctx.heads, &Reply::refusal(reason)),
        // A rewrite leads to what is ELB's own no more than a client's spelling does.
        Routed::Forward { path: Some(path), .. } if reserved::is_under(path) => {
            active.exchange.reply(&ctx.env, &ctx.heads, &Reply::refusal(Reason::ReservedPath));
        }
        Routed::Forward { upstream, backend, path } => {
            active.upstream = Some(upstream);
            let host = backend.host().map(str::as_bytes);
            let forward = Forward { peer: address.as_bytes(), path, host, extra: backend.headers() };
            active.exchange.forward(&ctx.env, &mut ctx.heads, &forward);
            active.affinity = ctx.view.affinity();
        }
    }
    false
}

/// Goes on with the connection that is the client's own, if this is the first attempt and it leads where the request goes.
#[inline(always)]
fn resume(active: &mut Active, own: &mut Option<u32>, ctx: &mut Ctx) -> bool {
    active.own = false;
    let Some(slot) = own.filter(|_| active.tried.is_empty()) else { return false };
    if try_resume(active, slot, ctx) {
        *own = None;
        return true;
    }
    if !ctx.pool.may_rest(slot) {
        ctx.pool.close(slot);
        *own = None;
    }
    false
}

#[cold]
fn try_resume(active: &mut Active, slot: u32, ctx: &mut Ctx) -> bool {
    let current = active.upstream.and_then(|upstream| ctx.view.current(upstream, &mut ctx.pool));
    let Some(local) = current else { return false };
    // A list is one server's of one upstream, as long as a connection of it is out.
    let list = ctx.pool.list_of(slot).filter(|_| ctx.pool.may_rest(slot));
    let at = local.lists.iter().position(|own| Some(*own) == list);
    let Some(lease) = at.and_then(|at| local.balancer.claim(at, ctx.env.now)) else { return false };
    active.tried.add(&lease);
    active.lease = Some(lease);
    (active.server, active.connecting, active.own) = (Some(slot), false, true);
    active.exchange.connected(&ctx.env, true);
    true
}

/// Finds a server and a connection to it.
#[inline(always)]
fn connect(active: &mut Active, client: u32, same: bool, ctx: &mut Ctx) {
    let found =
        active.upstream.and_then(|upstream| Some((upstream, ctx.view.current(upstream, &mut ctx.pool)?)));
    let Some((upstream, local)) = found else {
        return active.exchange.refused(&ctx.env, NoServer::NoneLeft(Reason::NoUpstream));
    };
    let kept = active.lease.take();
    let again = kept.as_ref().filter(|_| same).and_then(|lease| local.balancer.index_of(lease));
    let at = match (again, kept) {
        (Some(at), Some(lease)) => {
            active.lease = Some(lease);
            at
        }
        (_, kept) => {
            if let Some(lease) = kept {
                local.balancer.done(lease, Sign::Nothing, active.routed, ctx.env.now);
            }
            let choice = active.choice(ctx.env.now);
            let Some((at, lease)) = local.balancer.pick(&choice) else {
                let reason = match local.balancer.upstream().servers.is_empty() {
                    true => Reason::NoServerAddress,
                    false => Reason::NoServer,
                };
                return active.exchange.refused(&ctx.env, NoServer::NoneLeft(reason));
            };
            active.tried.add(&lease);
            active.lease = Some(lease);
            if local.balancer.take_opened() {
                ctx.outages.opened(upstream);
            }
            at
        }
    };
    let definition = local.balancer.upstream();
    let (Some(server), Some(list)) = (definition.servers.get(at), local.lists.get(at).copied()) else {
        return active.exchange.refused(&ctx.env, NoServer::NoneLeft(Reason::NoServer));
    };
    let pooled = if again.is_some() { None } else { ctx.pool.lend(list, client, ctx.env.now) };
    if pooled.is_some() {
        (active.server, active.connecting) = (pooled, false);
        return active.exchange.connected(&ctx.env, true);
    }
    match ctx.pool.connect(&server.endpoint, list, client, &ctx.registry, ctx.env.now) {
        Ok(slot) => (active.server, active.connecting) = (Some(slot), true),
        Err(error) => match exhausted(&error) {
            Some(reason) => active.exchange.refused(&ctx.env, NoServer::NoneLeft(reason)),
            None => active.exchange.refused(&ctx.env, NoServer::Failed),
        },
    }
}

/// What this machine has run out of; no server is to blame for that.
pub(super) fn exhausted(error: &io::Error) -> Option<Reason> {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => Some(Reason::NoPorts),
        _ => match error.raw_os_error() {
            Some(23 | 24) => Some(Reason::NoDescriptors), // ENFILE, EMFILE
            Some(12 | 105) => Some(Reason::NoMemory),     // ENOMEM, ENOBUFS
            _ => None,
        },
    }
}

fn others(active: &Active, ctx: &mut Ctx) -> bool {
    let choice = active.choice(ctx.env.now);
    active
        .upstream
        .and_then(|upstream| ctx.view.local(upstream))
        .is_some_and(|local| local.balancer.others(&choice))
}

/// Closes the server connection. If that says something about the server, its place is given back at once; otherwise it is
/// kept until the exchange is over, so that the same server can be asked again.
fn drop_server(active: &mut Active, sign: Sign, ctx: &mut Ctx) {
    if let Some(slot) = active.server.take() {
        ctx.pool.close(slot);
    }
    active.connecting = false;
    if sign != Sign::Nothing {
        give_place_back(active, sign, ctx);
    }
}

/// The exchange is over. `None`: the next request is waiting already.
#[inline(always)]
fn finished(conn: &mut Conn, fate: Fate, ctx: &mut Ctx) -> Option<Driven> {
    let Conn { active: Some(active), own, .. } = conn else { return None };
    settle(active, own, fate, ctx);
    if !fate.keep_client {
        return Some(Driven::Close);
    }
    if active.exchange.has_unread() {
        active.exchange.restart(&ctx.env);
        active.renew();
        return None;
    }
    retire(conn, ctx);
    conn.deadline = ctx.env.now + ctx.keepalive;
    conn.fresh = false;
    Some(Driven::Idle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_has_run_out_of_is_no_servers_fault() {
        for (code, reason) in [
            (23, Some(Reason::NoDescriptors)),
            (24, Some(Reason::NoDescriptors)),
            (12, Some(Reason::NoMemory)),
            (105, Some(Reason::NoMemory)),
            (98, Some(Reason::NoPorts)),
            (99, Some(Reason::NoPorts)),
            (111, None), // Refused.
            (113, None), // No route.
        ] {
            assert_eq!(exhausted(&io::Error::from_raw_os_error(code)), reason, "{code}");
        }
    }
}
