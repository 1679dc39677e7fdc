//! Who may administer: a peer on the list, speaking for itself, with the token if there is one, else by a name that is
//! this machine's.
//!
//! It owns that decision and the sentence that explains a refusal; it never looks at the path, the method or the body,
//! so no endpoint can be forgotten. One page is let out without the token, and `router` says so by name. Next: [`router`](super::router) asks it before anything else.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use subtle::ConstantTimeEq;
use tracing::warn;

use super::names::Names;
use crate::settings::{AdminSettings, AllowList, Secret};
use crate::stats::seldom::Seldom;

/// Headers that a proxy adds, and how others of them begin. With one of them the peer is not the one who speaks, so its
/// address proves nothing.
const FORWARDING: [&str; 8] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-original-forwarded-for",
];
const FORWARDED: &str = "x-forwarded-";

/// What the operator allowed.
#[derive(Debug, Default)]
pub(in crate::control) struct Access {
    allow: AllowList,
    token: Option<Secret>,
    names: Names,
    refusals: Mutex<Seldom>,
}

/// A request that may not administer.
#[derive(Debug)]
pub(super) struct Refusal {
    /// 401 when a token would help, else 403.
    pub(super) status: StatusCode,
    /// What is wrong, and what to do.
    pub(super) why: String,
}

impl Access {
    /// Peers on the list, with the token if there is one. Without one, this machine is spoken to by an address or by one
    /// of its names, of which `machine` is what it calls itself. An empty list allows nobody.
    pub(in crate::control) fn new(settings: &AdminSettings, machine: Option<&str>) -> Self {
        let AdminSettings { allow, token, hosts, .. } = settings;
        let names = Names::new(machine, hosts);
        Self { allow: allow.clone(), token: token.clone(), names, refusals: Mutex::default() }
    }

    /// Lets everybody in: for what is no secret to whoever reaches its address.
    pub(super) fn everybody() -> Self {
        Self { allow: AllowList::everybody(), ..Self::default() }
    }

    /// Tells the log of a refusal, unless it was told of one just now.
    pub(super) fn tell(&self, peer: Option<IpAddr>, why: &str, now: Instant) {
        // A lock that a panic poisoned still holds a count and a time.
        let due = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).due(now);
        if let Some(count) = due {
            let peer = peer.map_or("an unknown peer".to_owned(), |peer| peer.to_canonical().to_string());
            warn!("admin request of {peer} refused: {why} ({count} since the last such line)");
        }
    }

    /// Says why nobody at this address may administer, whatever it asks; or that somebody there may.
    pub(super) fn admits(&self, peer: IpAddr) -> Result<(), String> {
        let peer = peer.to_canonical();
        if self.allow.holds(peer) { Ok(()) } else { Err(format!("{peer} is not in --admin-allow")) }
    }

    /// Says why this request may not administer, or that it may.
    pub(super) fn check(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<(), Refusal> {
        self.check_peer(peer, headers)?;
        self.check_speaker(headers)
    }

    /// The same for what holds no secret and asks for the token itself.
    pub(super) fn check_page(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<(), Refusal> {
        self.check_peer(peer, headers)?;
        if self.token.is_some() { Ok(()) } else { self.check_speaker(headers) }
    }

    /// Is it one of those who may, and does it speak for itself?
    fn check_peer(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<(), Refusal> {
        let refuse = |status, why| Err(Refusal { status, why });
        let Some(peer) = peer.map(|ip| ip.to_canonical()) else {
            return refuse(StatusCode::FORBIDDEN, "the peer's address is unknown".to_owned());
        };
        if let Err(why) = self.admits(peer) {
            return refuse(StatusCode::FORBIDDEN, why);
        }
        let forwarding =
            |name: &&HeaderName| FORWARDING.contains(&name.as_str()) || name.as_str().starts_with(FORWARDED);
        if let Some(name) = headers.keys().find(forwarding) {
            let why = format!("the request came through a proxy (it has {name})");
            return refuse(StatusCode::FORBIDDEN, why);
        }
        Ok(())
    }

    /// Is it somebody with the token, or at least no stranger's page?
    fn check_speaker(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let refuse = |status, why| Err(Refusal { status, why });
        match (&self.token, bearer(headers)) {
            (None, _) => self.names.check(headers).or_else(|why| refuse(StatusCode::FORBIDDEN, why)),
            (Some(token), Some(given)) if token.expose().as_bytes().ct_eq(given).into() => Ok(()),
            (_, Some(_)) => refuse(StatusCode::UNAUTHORIZED, "the bearer token is wrong".to_owned()),
            (_, None) => refuse(
                StatusCode::UNAUTHORIZED,
                "the bearer token is missing: send one Authorization: Bearer TOKEN".to_owned(),
            ),
        }
    }
}

/// The token of the one `Authorization: Bearer` header. Two headers are none: which one counts would be a guess.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (all.next()?.as_bytes(), all.next()) else { return None };
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let parse = |(name, value): &(&str, &str)| -> (HeaderName, _) {
            (name.parse().unwrap(), value.parse().unwrap())
        };
        lines.iter().map(parse).collect()
    }

    fn access(token: Option<&str>) -> Access {
        let allow = AllowList::new(&["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        let token = token.map(Secret::new);
        Access::new(&AdminSettings { listen: None, allow, token, hosts: Vec::new() }, None)
    }

    #[test]
    fn the_page_needs_no_token_and_all_else_of_it() {
        let check = |token: Option<&str>, peer: &str, lines: &[(&str, &str)]| {
            let checked = access(token).check_page(Some(peer.parse().unwrap()), &headers(lines));
            checked.err().map_or(0, |refusal| refusal.status.as_u16())
        };
        assert_eq!(check(Some("s3cret"), "127.0.0.1", &[("host", "elb.example")]), 0);
        assert_eq!(check(Some("s3cret"), "10.0.0.1", &[]), 403);
        assert_eq!(check(Some("s3cret"), "127.0.0.1", &[("via", "a")]), 403);
        assert_eq!(check(None, "127.0.0.1", &[("host", "localhost")]), 0);
        assert_eq!(check(None, "127.0.0.1", &[("host", "evil.example")]), 403);
    }

    #[test]
    fn the_table() {
        type Row<'a> = (Option<&'a str>, &'a str, &'a [(&'a str, &'a str)], u16);
        let rows: &[Row<'_>] = &[
            (None, "127.0.0.1", &[], 0),
            (None, "127.9.9.9", &[], 0),
            (None, "::ffff:127.0.0.1", &[], 0),
            (None, "fd00::1", &[], 0),
            (None, "::1", &[], 403),
            (None, "10.0.0.1", &[], 403),
            (None, "127.0.0.1", &[("x-forwarded-for", "127.0.0.1")], 403),
            (None, "127.0.0.1", &[("Forwarded", "for=127.0.0.1")], 403),
            (None, "127.0.0.1", &[("X-Real-IP", "")], 403),
            (None, "127.0.0.1", &[("Via", "1.1 a")], 403),
            (None, "127.0.0.1", &[("X-Forwarded-Proto", "https")], 403),
            (None, "127.0.0.1", &[("X-Forwarded-Host", "a")], 403),
            (None, "127.0.0.1", &[("CF-Connecting-IP", "127.0.0.1")], 403),
            (None, "127.0.0.1", &[("host", "127.0.0.1:8080")], 0),
            (None, "127.0.0.1", &[("host", "evil.example")], 403),
            (None, "127.0.0.1", &[("host", "localhost"), ("origin", "http://evil.example")], 403),
            (Some("s3cret"), "127.0.0.1", &[("host", "evil.example"), ("authorization", "Bearer s3cret")], 0),
            (None, "127.0.0.1", &[("authorization", "Bearer any")], 0),
            (Some("s3cret"), "127.0.0.1", &[], 401),
            (Some("s3cret"), "127.0.0.1", &[("authorization", "Bearer s3cret")], 0),
            (Some("s3cret"), "127.0.0.1", &[("authorization", "bearer  s3cret ")], 0),
            (Some("s3cret"), "127.0.0.1", &[("authorization", "Bearer s3cre")], 401),
            (Some("s3cret"), "127.0.0.1", &[("authorization", "Bearer S3cret")], 401),
            (Some("s3cret"), "127.0.0.1", &[("authorization", "Bearer ")], 401),
            (Some("s3cret"), "127.0.0.1", &[("authorization", "Basic s3cret")], 401),
            (Some("s3cret"), "10.0.0.1", &[("authorization", "Bearer s3cret")], 403),
            (Some("s3cret"), "127.0.0.1", &[("via", "a"), ("authorization", "Bearer s3cret")], 403),
        ];
        for (token, peer, lines, refused) in rows {
            let given = access(*token).check(Some(peer.parse().unwrap()), &headers(lines));
            let status = given.as_ref().err().map_or(0, |refusal| refusal.status.as_u16());
            assert_eq!(status, *refused, "{token:?} {peer} {lines:?}: {given:?}");
        }
    }

    #[test]
    fn two_tokens_are_none_and_an_unknown_peer_is_nobody() {
        let mut two = headers(&[("authorization", "Bearer s3cret")]);
        two.append("authorization", "Bearer s3cret".parse().unwrap());
        assert!(access(Some("s3cret")).check(Some("127.0.0.1".parse().unwrap()), &two).is_err());
        assert!(access(None).check(None, &HeaderMap::new()).is_err());
    }
}
