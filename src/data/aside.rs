//! How a request is routed that is looked at closely: one whose way somebody follows, logs or counts, that has an id, that may
//! speak for another, or about which a candidate is asked.
//!
//! It owns what is done for such a request beside what is done for each, in a function of its own: so the others pay nothing
//! for it. Next: [`super::dispatch`] calls it, [`super::note`], [`super::steps`] and [`super::way`] are what it fills.

use std::net::IpAddr;

use super::conn::Dispatch;
use super::ctx::Ctx;
use super::peer_text::PeerText;
use super::prelude::Ends;
use super::steps::Steps;
use super::view::{Routed, Routing as Way};
use super::way;
use crate::answer::answer;
use crate::exchange::{Forward, LONGEST_ID, Routing, is_id};
use crate::http1::origin::Identity;
use crate::http1::reply::Reply;
use crate::reason::Reason;
use crate::semantics::RequestView;
use crate::semantics::forwarded::client_of;
use crate::semantics::reserved;

/// `X-Forwarded-For` fields that are looked at, the last ones: a proxy adds one at most.
const FIELDS: usize = 32;

/// Asks the rules where a request goes. `peer` is who speaks HTTP, as text; `ends` has the address as well.
#[cold]
#[inline(never)]
pub(super) fn route(
    mut routing: Routing<'_>,
    dispatch: &mut Dispatch,
    peer: &[u8],
    (ends, session): (Ends, Option<&Identity>),
    ctx: &mut Ctx,
) {
    let speaks_for = client(&routing.view(peer), ends.client, ctx);
    give_id(&mut routing, speaks_for.is_some(), ctx);
    note(&routing, speaks_for.as_ref(), dispatch, ctx);
    let (client, peer) = match &speaks_for {
        Some(client) => (client.as_bytes(), Some(peer)),
        None => (peer, None),
    };
    let is_counted = ctx.seeing.is_usual(ctx.requests) || routing.asks_for_way();
    let mut told = told(&routing, client, ends.peer, ctx);
    let (request, when, mut steps) = (routing.view(client), (ctx.requests, ctx.env.now), Steps::default());
    let Ctx { view, env, shadow, .. } = ctx;
    let beside = shadow.as_deref_mut().and_then(|shadow| shadow.foresee(view, &request, when));
    let Way { domain, rule, routed } = match &mut told {
        Some(told) => view.route_told(&request, when, told),
        None => view.route_told(&request, when, &mut steps),
    };
    (dispatch.domain, dispatch.rule) = (domain, rule);
    if let Some(beside) = beside {
        beside.compare(&request, &routed);
    }
    let line = told.as_ref().map(way::Told::line).unwrap_or_default();
    match routed {
        // A rewrite leads to what is ELB's own no more than a client's spelling does.
        Routed::Forward { path: Some(path), .. } if reserved::is_under(path) => {
            let reply = Reply::refusal(Reason::ReservedPath);
            routing.reply(env, &Reply { lines: [line.as_bytes(), b""], ..reply });
        }
        Routed::Forward { upstream, backend, path } => {
            dispatch.upstream = Some(upstream);
            let host = backend.host().map(str::as_bytes);
            let forward = Forward { client, peer, session, path, host, extra: backend.headers() };
            match (&told, backend.edits()) {
                (Some(told), edits) => routing.tell_way(env, edits, Box::new(told.way())),
                (None, Some(edits)) => routing.change_answer(env, edits),
                (None, None) => {}
            }
            routing.forward_seldom(env, &forward);
            dispatch.affinity = view.affinity();
        }
        Routed::Answered(verdict) => answer(&verdict, routing, env, &line),
    }
    let steps = told.as_ref().map_or(&steps, way::Told::steps);
    if let (true, Some(domain), Some(last)) = (is_counted, domain, rule) {
        steps.count(domain, last, &mut ctx.stats);
    }
    if ctx.seeing.log.is_some()
        && let Some(note) = &mut dispatch.note
    {
        note.way(ctx.view.snapshot(), steps, (domain, rule), dispatch.upstream);
    }
}

/// The client that a proxy speaks for, which is trusted: the proxy itself, if it says nobody.
fn client(request: &RequestView<'_>, peer: IpAddr, ctx: &Ctx) -> Option<PeerText> {
    let trusted = &ctx.trusted_proxies;
    if !trusted.holds(peer) {
        return None;
    }
    let (mut values, mut count) = ([&[][..]; FIELDS], 0);
    for value in request.field(b"x-forwarded-for") {
        if count == FIELDS {
            values.rotate_left(1);
            count -= 1;
        }
        if let Some(place) = values.get_mut(count) {
            *place = value;
            count += 1;
        }
    }
    let values = values.into_iter().take(count);
    Some(PeerText::new(client_of(peer, values, |address| trusted.holds(address))))
}

/// The id that a proxy gave it which is trusted, else a new one, if requests have any.
fn give_id(routing: &mut Routing<'_>, is_trusted: bool, ctx: &mut Ctx) {
    let Some(ids) = &mut ctx.seeing.ids else { return };
    if is_trusted {
        let mut room = [0; LONGEST_ID];
        let view = routing.view(b"");
        let given = view.field(b"x-request-id").next().filter(|given| is_id(given));
        if let Some(given) = given
            && let Some(place) = room.get_mut(..given.len())
        {
            place.copy_from_slice(given);
            return routing.give_id(place);
        }
    }
    routing.give_id(&ids.next());
}

/// Notes what the access log shows of the request itself.
pub(super) fn note(routing: &Routing<'_>, client: Option<&PeerText>, dispatch: &mut Dispatch, ctx: &Ctx) {
    let (Some(log), Some(note)) = (&ctx.seeing.log, &mut dispatch.note) else { return };
    let version = ctx.view.snapshot().version;
    note.request(&routing.view(b""), routing.target(), log.shows_forwarded_for(), version);
    if let Some(client) = client {
        note.speaks_for(client);
    }
}

/// Who is told of the way, if the client asks for it and may know.
fn told(routing: &Routing<'_>, client: &[u8], peer: IpAddr, ctx: &Ctx) -> Option<way::Told> {
    if !routing.asks_for_way() {
        return None;
    }
    let request = routing.view(client);
    let asks = request.field(b"x-elb-explain").any(|value| value == b"1");
    (asks && way::may_know(&request, peer, ctx)).then(|| way::Told::new(ctx.view.snapshot().version))
}
