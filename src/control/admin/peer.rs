//! Who sent a request of the admin API, as its connection says.
//!
//! It owns the way from the connection to the endpoint, never whether the peer may do anything. Next:
//! [`serve`](super::serve) puts it into requests, [`access`](super::access) judges it, [`write`](mod@super::write) names it as the
//! author of a change.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::control::changes::{Author, Via};

/// Who sent a request; `serve` puts it into the request's extensions.
#[derive(Debug, Clone, Copy)]
pub(in crate::control) struct Peer(pub(in crate::control) IpAddr);

/// What a request changes, its peer has changed.
impl<S: Sync> FromRequestParts<S> for Author {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self { who: parts.extensions.get::<Peer>().map(|peer| peer.0), via: Via::Api })
    }
}
