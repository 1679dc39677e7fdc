//! The door to what is ELB's own: who may go through to control, and what everybody else is told.
//!
//! It owns that answer and its line in the log. Strangers are refused here, by their worker, so that they take nothing
//! from those who may administer: control hears of no request whose peer is not on the list. It never judges a token, a
//! `Host` or an endpoint, which `control::admin` does. Next: [`super::worker`] hands over what may pass.

use std::net::IpAddr;
use std::ops::ControlFlow;

use super::ctx::Ctx;
use super::peer_text::PeerText;
use super::turn::Verdict;
use crate::exchange::Routing;
use crate::http1::reply::{Body, Reply};
use crate::link::ADOPTIONS;
use crate::readiness::HealthAnswer;
use crate::reason::Reason;
use crate::semantics::reserved::Reserved;

/// Of the places on the way to control, how many are kept for requests that have come whole: those that drip fill the rest.
const FOR_WHOLE: usize = ADOPTIONS / 4;

/// What a path is told that only leads to the API, or to a port without it.
const NOT_HERE: [&[u8]; 2] =
    [b"no such endpoint: the admin API is under /__erulb__/ in exactly this spelling", b""];
const ELSEWHERE: [&[u8]; 2] =
    [b"no such endpoint: the admin API is not on this port, see --admin-listen", b""];
const BUSY: [&[u8]; 2] = [b"the admin API has too many requests waiting; ask again in a second", b""];

/// Answers a request whose path is ELB's own, or says that its connection goes to control. `peer` is that of the socket: who
/// a proxy says that it speaks for may be anybody.
#[cold]
pub(super) fn answer(
    routing: Routing<'_>,
    (peer, is_secure): (IpAddr, bool),
    reserved: Reserved,
    ctx: &mut Ctx,
) -> ControlFlow<Verdict> {
    if let Some(HealthAnswer { status, body }) = asked_for_health(&routing, reserved, ctx) {
        let body = Some(Body { kind: "application/json", text: [body.as_bytes(), b"", b"", b""] });
        routing.reply(&ctx.env, &Reply { body, ..Reply::plain(status) });
        return ControlFlow::Continue(());
    }
    let text = PeerText::new(peer);
    let Ctx { env, adoptions, admin_allow, strangers, .. } = ctx;
    let (reason, error) = match (reserved, adoptions) {
        (Reserved::No | Reserved::Misspelt, _) => (Reason::ReservedPath, NOT_HERE),
        (Reserved::Exact, None) => (Reason::ReservedPath, ELSEWHERE),
        // Control speaks no TLS.
        (Reserved::Exact, Some(_)) if is_secure => (Reason::ReservedPath, ELSEWHERE),
        (Reserved::Exact, Some(adoptions)) => match admin_allow.holds(peer) {
            true if may_pass(adoptions.capacity(), routing.is_whole()) => {
                return ControlFlow::Break(Verdict::Adopt);
            }
            true => (Reason::AdminBusy, BUSY),
            false => {
                if let Some(count) = strangers.due(env.now) {
                    tracing::warn!(
                        "admin request refused: {peer} is not in --admin-allow ({count} since the last such line)"
                    );
                }
                (Reason::AdminRefused, [text.as_bytes(), b" is not in --admin-allow"])
            }
        },
    };
    routing.reply(env, &Reply::error(reason, error));
    ControlFlow::Continue(())
}

/// What a request is answered with that asks whether this process lives, or should get traffic. Anybody may ask that, and no
/// other thread is needed for the answer.
fn asked_for_health(routing: &Routing<'_>, reserved: Reserved, ctx: &Ctx) -> Option<HealthAnswer> {
    let request = routing.view(b"");
    let asks = reserved == Reserved::Exact && matches!(request.method(), b"GET" | b"HEAD");
    asks.then(|| ctx.readiness.answer(request.path)).flatten()
}

/// Whether a request gets one of the places that are left.
fn may_pass(left: usize, whole: bool) -> bool {
    left > if whole { 0 } else { FOR_WHOLE }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::data::listen::Protocol;
    use crate::data::tests::Turned;

    #[test]
    fn who_is_at_the_socket_is_judged_and_not_whom_it_says_it_speaks_for() {
        let mut house = Turned::new(&["--admin-allow=127.0.0.2"]);
        house.worker.listeners[0].protocol = Protocol::Named;
        let asks = |named: &str| {
            format!("FOR {named}\nGET /__erulb__/domain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        };
        let mut stranger = house.call("127.0.0.1", asks("127.0.0.2").as_bytes());
        house.until("the stranger", |worker| worker.ctx.refused.iter().any(|(_, count)| count > 0));
        let mut told = String::new();
        stranger.read_to_string(&mut told).unwrap();
        assert!(told.starts_with("HTTP/1.1 403") && told.contains("127.0.0.1 is not in"), "{told}");
        let _operator = house.call("127.0.0.2", asks("192.0.2.7").as_bytes());
        house.until("the operator", |worker| worker.ctx.accepted == 2 && worker.conns.is_empty());
        assert_eq!(house.adopted().unwrap().peer.ip().to_string(), "127.0.0.2");
        assert!(house.adopted().is_none());
    }

    #[test]
    fn those_that_drip_leave_places_for_those_that_are_whole() {
        for (left, whole, passes) in [
            (ADOPTIONS, false, true),
            (FOR_WHOLE + 1, false, true),
            (FOR_WHOLE, false, false),
            (FOR_WHOLE, true, true),
            (1, true, true),
            (0, true, false),
        ] {
            assert_eq!(may_pass(left, whole), passes, "{left} {whole}");
        }
    }
}
