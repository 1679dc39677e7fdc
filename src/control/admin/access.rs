//! Who may administer: a peer on the list, speaking for itself, with the token if there is one.
//!
//! It owns that decision and the sentence that explains a refusal; it never looks at the path, the method or the body,
//! so no endpoint can be forgotten. Next: `router` asks it before anything else.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::http::{HeaderMap, header};
use subtle::ConstantTimeEq;
use tracing::warn;

use crate::settings::{AllowList, Secret};
use crate::stats::seldom::Seldom;

/// Headers that a proxy adds. With one of them the peer is not the one who speaks, so its address proves nothing.
const FORWARDING: [&str; 4] = ["x-forwarded-for", "forwarded", "x-real-ip", "via"];

/// What the operator allowed.
#[derive(Debug, Default)]
pub(in crate::control) struct Access {
    allow: AllowList,
    token: Option<Secret>,
    refusals: Mutex<Seldom>,
}

impl Access {
    /// Peers in `allow`, and only with `token` if there is one. An empty list allows nobody.
    pub(in crate::control) fn new(allow: AllowList, token: Option<Secret>) -> Self {
        Self { allow, token, refusals: Mutex::default() }
    }

    /// Tells the log of a refusal, unless it was told of one just now.
    pub(super) fn tell(&self, why: &str, now: Instant) {
        // A lock that a panic poisoned still holds a count and a time.
        let due = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).due(now);
        if let Some(count) = due {
            warn!("admin request refused: {why} ({count} since the last such line)");
        }
    }

    /// Says why this request may not administer, or that it may.
    pub(super) fn check(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<(), String> {
        let Some(peer) = peer.map(|ip| ip.to_canonical()) else {
            return Err("the peer's address is unknown".to_owned());
        };
        if !self.allow.holds(peer) {
            return Err(format!("{peer} is not in --admin-allow"));
        }
        if let Some(name) = FORWARDING.iter().find(|name| headers.contains_key(**name)) {
            return Err(format!("the request came through a proxy (it has {name})"));
        }
        match &self.token {
            Some(token)
                if !bearer(headers).is_some_and(|given| token.expose().as_bytes().ct_eq(given).into()) =>
            {
                Err("the bearer token is missing or wrong".to_owned())
            }
            _ => Ok(()),
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
    use axum::http::HeaderName;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let parse = |(name, value): &(&str, &str)| -> (HeaderName, _) {
            (name.parse().unwrap(), value.parse().unwrap())
        };
        lines.iter().map(parse).collect()
    }

    fn access(token: Option<&str>) -> Access {
        Access::new(
            AllowList::new(&["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]),
            token.map(Secret::new),
        )
    }

    #[test]
    fn the_table() {
        type Row<'a> = (Option<&'a str>, &'a str, &'a [(&'a str, &'a str)], bool);
        let rows: &[Row<'_>] = &[
            (None, "127.0.0.1", &[], true),
            (None, "127.9.9.9", &[], true),
            (None, "::ffff:127.0.0.1", &[], true),
            (None, "fd00::1", &[], true),
            (None, "::1", &[], false),
            (None, "10.0.0.1", &[], false),
            (None, "127.0.0.1", &[("x-forwarded-for", "127.0.0.1")], false),
            (None, "127.0.0.1", &[("Forwarded", "for=127.0.0.1")], false),
            (None, "127.0.0.1", &[("X-Real-IP", "")], false),
            (None, "127.0.0.1", &[("Via", "1.1 a")], false),
            (None, "127.0.0.1", &[("authorization", "Bearer any")], true),
            (Some("s3cret"), "127.0.0.1", &[], false),
            (Some("s3cret"), "127.0.0.1", &[("authorization", "Bearer s3cret")], true),
            (Some("s3cret"), "127.0.0.1", &[("authorization", "bearer  s3cret ")], true),
            (Some("s3cret"), "127.0.0.1", &[("authorization", "Bearer s3cre")], false),
            (Some("s3cret"), "127.0.0.1", &[("authorization", "Bearer S3cret")], false),
            (Some("s3cret"), "127.0.0.1", &[("authorization", "Bearer ")], false),
            (Some("s3cret"), "127.0.0.1", &[("authorization", "Basic s3cret")], false),
            (Some("s3cret"), "10.0.0.1", &[("authorization", "Bearer s3cret")], false),
            (Some("s3cret"), "127.0.0.1", &[("via", "a"), ("authorization", "Bearer s3cret")], false),
        ];
        for (token, peer, lines, allowed) in rows {
            let given = access(*token).check(Some(peer.parse().unwrap()), &headers(lines));
            assert_eq!(given.is_ok(), *allowed, "{token:?} {peer} {lines:?}: {given:?}");
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
