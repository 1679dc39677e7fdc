//! Does what an exchange asks for: says where its request goes, finds a server and a connection to it, and closes both when it
//! is over. It is the worker's [`Shell`].
//!
//! It owns the loans of a request while it is under way, never a byte of it. Next: [`super::view`] routes,
//! [`super::balancer`] chooses, [`super::pool`] lends, and [`super::settle`] gives all back at the end.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::aside;
use super::conn::{Active, Conn, Dispatch, ServerLink};
use super::ctx::Ctx;
use super::door;
use super::peer_text::PeerText;
use super::prelude::Ends;
use super::scheme;
use super::settle::{LEFT, give_place_back_early, settle};
use super::shortage;
use super::transport::Transport;
use super::turn::Verdict;
use super::view::{Local, Routed, Routing as Way};
use super::way;
use crate::answer::answer;
use crate::exchange::{
    self, Env, Exchange, Fate, Forward, Heads, NoServer, Routing, Shell, Side, Sign, Terms, advance,
};
use crate::http1::reply::Reply;
use crate::reason::Reason;
use crate::semantics::reserved::{self, Reserved};

/// Lets the exchange of a connection take a step, and says whether there was any, or that it is over: [`Verdict::Rest`] when the
/// connection goes on without a request.
#[inline(always)]
pub fn step(conn: &mut Conn, ctx: &mut Ctx, heads: &mut Heads) -> ControlFlow<Verdict, bool> {
    let Conn { active: Some(active), own, address, ends, token, transport, .. } = conn else {
        return ControlFlow::Continue(false);
    };
    let mut shell =
        Dispatcher { dispatch: &mut active.dispatch, transport, own, address, ends, slot: token.slot, ctx };
    advance(&mut active.exchange, heads, &mut shell)
}

/// One connection without its exchange, and what its worker lends. All of it is inlined where it is driven, and what is
/// seldom done is given the parts: so it lies in registers, which was 100 instructions a request.
struct Dispatcher<'a> {
    dispatch: &'a mut Dispatch,
    transport: &'a mut Transport,
    own: &'a mut Option<u32>,
    address: &'a PeerText,
    ends: &'a Ends,
    slot: u32,
    ctx: &'a mut Ctx,
}

impl Shell for Dispatcher<'_> {
    type End = Verdict;

    #[inline(always)]
    fn env(&self) -> &Env {
        &self.ctx.env
    }

    /// Asks the rules where a request of the client with this address goes.
    #[inline(always)]
    fn route(&mut self, mut routing: Routing<'_>) -> ControlFlow<Verdict> {
        let Self { dispatch, ctx, address, .. } = self;
        dispatch.tried.clear();
        dispatch.routed = ctx.env.now;
        match routing.reserved() {
            Reserved::No => {}
            reserved => {
                // What is asked of ELB itself is no traffic: nobody counts or logs it.
                dispatch.unrecorded = false;
                return door::answer(routing, (self.ends.peer, self.transport.is_secure()), reserved, ctx);
            }
        }
        ctx.requests += 1;
        let is_secure = self.transport.is_secure();
        if (is_secure || ctx.tls_redirect.is_some())
            && scheme::is_wrong(self.transport, &routing, self.ends, ctx)
        {
            scheme::answer(is_secure, routing, dispatch, ctx);
            return ControlFlow::Continue(());
        }
        let client = address.as_bytes();
        let request = routing.view(client);
        if ctx.seeing.is_close(ctx.requests) || routing.asks_for_way() {
            aside::route(routing, dispatch, client, (*self.ends, self.transport.session()), ctx);
            return ControlFlow::Continue(());
        }
        let when = (ctx.requests, ctx.env.now);
        let Way { domain, rule, routed } = ctx.view.route(&request, when, || routing.view(client));
        (dispatch.domain, dispatch.rule) = (domain, rule);
        match routed {
            // A rewrite leads to what is ELB's own no more than a client's spelling does.
            Routed::Forward { path: Some(path), .. } if reserved::is_under(path) => {
                routing.reply(&ctx.env, &Reply::refusal(Reason::ReservedPath));
            }
            Routed::Forward { upstream, backend, path } => {
                dispatch.upstream = Some(upstream);
                let host = backend.host().map(str::as_bytes);
                let session = self.transport.session();
                let forward = Forward { client, peer: None, session, path, host, extra: backend.headers() };
                if let Some(edits) = backend.edits() {
                    routing.change_answer(&ctx.env, edits);
                }
                routing.forward(&ctx.env, &forward);
                dispatch.affinity = ctx.view.affinity();
            }
            Routed::Answered(verdict) => answer(&verdict, routing, &ctx.env, ""),
        }
        ControlFlow::Continue(())
    }

    #[inline(always)]
    fn connect(&mut self, exchange: &mut Exchange, same: bool) {
        if !self.resume(exchange) {
            self.find_server(exchange, same);
        }
    }

    #[inline(always)]
    fn has_other(&mut self) -> Option<bool> {
        Some(has_other(self.dispatch, self.ctx))
    }

    #[inline(always)]
    fn drop_server(&mut self, sign: Sign) {
        drop_server(self.dispatch, sign, self.ctx);
    }

    #[inline(always)]
    fn shutdown(&mut self, side: Side) {
        match side {
            Side::Client => self.transport.shutdown(),
            Side::Server => shutdown_server(self.dispatch, self.ctx),
        }
    }

    #[inline(always)]
    fn finished(&mut self, exchange: &mut Exchange, fate: Fate) -> ControlFlow<Verdict> {
        settle(exchange, self.dispatch, self.own, fate, self.ctx);
        if !fate.keep_client {
            return ControlFlow::Break(Verdict::Close);
        }
        if exchange.has_unread() {
            exchange.restart(&self.ctx.env);
            self.dispatch.renew();
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(Verdict::Rest)
    }

    #[inline(always)]
    fn close(&mut self, exchange: &mut Exchange, reset: bool, sign: Sign) -> Verdict {
        if reset {
            self.transport.reset_on_close();
        }
        close(exchange, self.dispatch, self.own, sign, self.ctx);
        Verdict::Close
    }
}

impl Dispatcher<'_> {
    /// Goes on with the connection that is the client's own, if this is the first attempt and it leads where the request goes.
    #[inline(always)]
    fn resume(&mut self, exchange: &mut Exchange) -> bool {
        let Some(slot) = self.own.filter(|_| self.dispatch.tried.is_empty()) else { return false };
        if try_resume(exchange, self.dispatch, slot, self.ctx) {
            *self.own = None;
            return true;
        }
        if !self.ctx.pool.may_rest(slot) {
            self.ctx.pool.close(slot);
            *self.own = None;
        }
        false
    }

    /// Finds a server and a connection to it.
    #[inline(always)]
    fn find_server(&mut self, exchange: &mut Exchange, same: bool) {
        let Self { dispatch, ctx, slot: client, .. } = self;
        let found = dispatch
            .upstream
            .and_then(|upstream| Some((upstream, ctx.view.current(upstream, &mut ctx.pool)?)));
        let Some((upstream, local)) = found else {
            return exchange.refused(&ctx.env, NoServer::NoneLeft(Reason::NoUpstream));
        };
        let is_next = !dispatch.tried.is_empty() && !same;
        if dispatch.tried.is_empty() {
            local.budget.request(ctx.env.now);
        } else if same {
            ctx.retries.stale();
        } else {
            if !local.budget.spend(ctx.env.now) {
                ctx.retries_over_budget += 1;
                return exchange.refused(&ctx.env, NoServer::NoneLeft(Reason::NoServer));
            }
        }
        let kept = dispatch.lease.take();
        let again = kept.as_ref().filter(|_| same).and_then(|lease| local.balancer.index_of(lease));
        let at = match (again, kept) {
            (Some(at), Some(lease)) => {
                dispatch.lease = Some(lease);
                at
            }
            (_, kept) => {
                if let Some(lease) = kept {
                    local.balancer.done(lease, Sign::Nothing, dispatch.routed, ctx.env.now);
                }
                let choice = dispatch.choice(ctx.env.now);
                let Some((at, lease)) = local.balancer.pick(&choice) else {
                    let reason = match local.balancer.upstream().servers.is_empty() {
                        true => Reason::NoServerAddress,
                        false => Reason::NoServer,
                    };
                    return exchange.refused(&ctx.env, NoServer::NoneLeft(reason));
                };
                if is_next {
                    ctx.retries.count(exchange.last_failure());
                }
                dispatch.tried.add(&lease);
                dispatch.lease = Some(lease);
                if local.balancer.take_opened() {
                    ctx.outages.opened(upstream);
                }
                if local.asks || exchange.terms().is_some() {
                    agree(exchange, local, at, dispatch.affinity.sticky, &ctx.env);
                }
                at
            }
        };
        let definition = local.balancer.upstream();
        let (Some(server), Some(list)) = (definition.servers.get(at), local.lists.get(at).copied()) else {
            return exchange.refused(&ctx.env, NoServer::NoneLeft(Reason::NoServer));
        };
        let now = ctx.env.now;
        let pooled = if again.is_some() { None } else { ctx.pool.lend(list, *client, now) };
        if let Some(slot) = pooled {
            dispatch.link = ServerLink::Up { slot, own: false };
            return exchange.connected(&ctx.env, true);
        }
        match ctx.pool.connect(&server.endpoint, list, *client, &ctx.registry, now) {
            Ok(slot) => dispatch.link = ServerLink::Connecting(slot),
            Err(error) => match shortage::reason(&error) {
                Some(reason) => exchange.refused(&ctx.env, NoServer::NoneLeft(reason)),
                None => exchange.refused(&ctx.env, NoServer::Failed),
            },
        }
    }
}

/// Tells the balancer that the head of an answer has come, once, where its method looks at how soon servers answer.
#[cold]
#[inline(never)]
pub(super) fn note_answer(active: &mut Active, ctx: &mut Ctx) {
    let Active { exchange, dispatch, .. } = active;
    let course = exchange.course();
    if let (Some(sent), Some(answered), Some(lease)) =
        (course.connected, course.answered, &mut dispatch.lease)
        && let Some(local) = dispatch.upstream.and_then(|upstream| ctx.view.local(upstream))
    {
        local.balancer.answered(lease, sent, answered);
    }
}

/// Tells an exchange what its upstream asks for, and how its client is kept at the server in that place, if it said the `id` of
/// another one or none.
#[cold]
#[inline(never)]
fn agree(exchange: &mut Exchange, local: &mut Local, at: usize, id: u64, env: &Env) {
    let terms = local.terms_at(at, id);
    let terms = match exchange.terms().and_then(|terms| terms.way.as_ref()) {
        None => terms,
        Some(way) => {
            let server = way::server(local, at, exchange.tries());
            let way = exchange::Way { rules: way.rules.clone(), server };
            Arc::new(Terms { way: Some(Box::new(way)), ..Terms::clone(&terms) })
        }
    };
    exchange.agree(env, terms);
}

/// Whether an untried server is left, and may be asked.
#[cold]
#[inline(never)]
fn has_other(dispatch: &Dispatch, ctx: &mut Ctx) -> bool {
    let choice = dispatch.choice(ctx.env.now);
    let local = dispatch.upstream.and_then(|upstream| ctx.view.local(upstream));
    local.is_some_and(|local| {
        let others = local.balancer.others(&choice);
        let may = others && local.budget.has_left(ctx.env.now);
        ctx.retries_over_budget += u64::from(others && !may);
        may
    })
}

/// Closes the server connection. If that says something about the server, its place is given back at once; otherwise it is
/// kept until the exchange is over, so that the same server can be asked again.
#[cold]
#[inline(never)]
fn drop_server(dispatch: &mut Dispatch, sign: Sign, ctx: &mut Ctx) {
    if let Some(slot) = dispatch.link.take() {
        ctx.pool.close(slot);
    }
    if sign != Sign::Nothing {
        give_place_back_early(dispatch, sign, ctx);
    }
}

#[cold]
#[inline(never)]
fn shutdown_server(dispatch: &Dispatch, ctx: &mut Ctx) {
    if let Some(transport) = dispatch.link.slot().and_then(|slot| ctx.pool.transport(slot)) {
        transport.shutdown();
    }
}

/// Ends the request because its client's connection is closed.
#[cold]
#[inline(never)]
fn close(exchange: &mut Exchange, dispatch: &mut Dispatch, own: &mut Option<u32>, sign: Sign, ctx: &mut Ctx) {
    settle(exchange, dispatch, own, Fate { sign, ..LEFT }, ctx);
}

/// Whether a request goes on with this connection, which is its client's own.
#[cold]
#[inline(never)]
fn try_resume(exchange: &mut Exchange, dispatch: &mut Dispatch, slot: u32, ctx: &mut Ctx) -> bool {
    let current = dispatch.upstream.and_then(|upstream| ctx.view.current(upstream, &mut ctx.pool));
    let Some(local) = current else { return false };
    // A list is one server's of one upstream, as long as a connection of it is out.
    let list = ctx.pool.list_of(slot).filter(|_| ctx.pool.may_rest(slot));
    let Some(at) = local.lists.iter().position(|own| Some(*own) == list) else { return false };
    let Some(lease) = local.balancer.claim(at, ctx.env.now) else { return false };
    dispatch.tried.add(&lease);
    dispatch.lease = Some(lease);
    dispatch.link = ServerLink::Up { slot, own: true };
    local.budget.request(ctx.env.now);
    if local.asks || exchange.terms().is_some() {
        agree(exchange, local, at, dispatch.affinity.sticky, &ctx.env);
    }
    exchange.connected(&ctx.env, true);
    true
}
