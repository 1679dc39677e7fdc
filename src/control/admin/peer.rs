//! Who sent a request of the admin API, as its connection says.
//!
//! It owns the way from the connection to the endpoint, never whether the peer may do anything. Next:
//! [`serve`](super::serve) puts it into requests, [`access`](super::access) judges it, [`write`](mod@super::write) names it as the
//! author of a change.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, header};

use super::query::{Flags, Word};
use crate::control::changes::{Author, Via};
use crate::control::wish::{Condition, Subject, Tags, Wish};

/// Who sent a request; `serve` puts it into the request's extensions.
#[derive(Debug, Clone, Copy)]
pub(in crate::control) struct Peer(pub(in crate::control) IpAddr);

/// How a request wants its change made. Its subject is the configuration, unless the endpoint says otherwise.
impl<S: Sync> FromRequestParts<S> for Wish {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let flags = Flags::from_request_parts(parts, state).await?;
        let tags = |name: HeaderName| {
            let values = parts.headers.get_all(&name);
            let texts = values.iter().map(|value| value.to_str().unwrap_or_default());
            parts.headers.contains_key(&name).then(|| Tags::read(texts))
        };
        let condition = Condition { matches: tags(header::IF_MATCH), none_of: tags(header::IF_NONE_MATCH) };
        Ok(Self {
            author: Author::from_request_parts(parts, state).await?,
            subject: Subject::All,
            condition,
            is_confirmed: flags.has(Word::Confirm),
            is_dumped: flags.has(Word::Dump),
            is_trial: flags.has(Word::DryRun),
            may_be_unresolved: flags.has(Word::Unresolved),
        })
    }
}

/// What a request changes, its peer has changed.
impl<S: Sync> FromRequestParts<S> for Author {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self { who: parts.extensions.get::<Peer>().map(|peer| peer.0), via: Via::Api })
    }
}
