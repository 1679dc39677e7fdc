//! The door to what is ELB's own: who may go through to control, and what everybody else is told.
//!
//! It owns that answer and its line in the log. Strangers are refused here, by their worker, so that they take nothing
//! from those who may administer: control hears of no request whose peer is not on the list. It never judges a token, a
//! `Host` or an endpoint, which `control::admin` does. Next: `worker` hands over what may pass.

use std::net::IpAddr;

use super::conn::{Active, PeerText};
use super::ctx::Ctx;
use crate::http1::reply::Reply;
use crate::link::ADOPTIONS;
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

/// Answers a request whose path is ELB's own. `true` when its connection goes to control.
#[cold]
pub(super) fn answer(active: &mut Active, peer: PeerText, reserved: Reserved, ctx: &mut Ctx) -> bool {
    let Ctx { env, heads, adoptions, admin_allow, strangers, .. } = ctx;
    let (reason, error) = match (reserved, adoptions) {
        (Reserved::No | Reserved::Misspelt, _) => (Reason::ReservedPath, NOT_HERE),
        (Reserved::Exact, None) => (Reason::ReservedPath, ELSEWHERE),
        (Reserved::Exact, Some(adoptions)) => match peer.address().is_some_and(|ip| admin_allow.holds(ip)) {
            true if may_pass(adoptions.capacity(), active.exchange.is_whole(heads)) => return true,
            true => (Reason::AdminBusy, BUSY),
            false => {
                if let Some(count) = strangers.due(env.now) {
                    let peer = String::from_utf8_lossy(peer.as_bytes());
                    tracing::warn!(
                        "admin request refused: {peer} is not in --admin-allow ({count} since the last such line)"
                    );
                }
                (Reason::AdminRefused, [peer.as_bytes(), b" is not in --admin-allow"])
            }
        },
    };
    active.exchange.reply(env, heads, &Reply::error(reason, error));
    false
}

/// Whether a request gets one of the places that are left.
fn may_pass(left: usize, whole: bool) -> bool {
    left > if whole { 0 } else { FOR_WHOLE }
}

impl PeerText {
    /// The address that it is the text of.
    fn address(&self) -> Option<IpAddr> {
        std::str::from_utf8(self.as_bytes()).ok()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
