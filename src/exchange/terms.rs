//! What holds for one request that is not as the policy has it.
//!
//! It owns these values, never where they come from. Next: `data::terms` makes them of the options of an upstream,
//! `data::dispatch` adds what a rule says of the answer.

use std::sync::Arc;
use std::time::Duration;

use super::phase::Policy;
use crate::semantics::ResponseEdits;
use crate::semantics::gzip::Takes;

/// What holds for the attempts of one request, in place of the [`Policy`], and what is changed in its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// From the attempt to the established connection.
    pub connect_timeout: Duration,
    /// Silence of a server.
    pub server_timeout: Duration,
    /// Servers tried.
    pub tries: u32,
    /// What the answer says in a `Set-Cookie` field of its own, to keep its client at a server.
    pub cookie: Option<Box<str>>,
    /// What a rule changes in the answer.
    pub edits: Option<Arc<ResponseEdits>>,
    /// What the client says of compressed answers, if the rule asks for them.
    pub takes: Takes,
    /// The way of the request, for a client that asked for it.
    pub way: Option<Box<Way>>,
}

/// The way of a request, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// By which domain and rules.
    pub rules: String,
    /// To which server, as far as one was chosen.
    pub server: String,
}

impl Terms {
    /// What holds where nothing else is said.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        Self {
            connect_timeout: policy.connect_timeout,
            server_timeout: policy.server_timeout,
            tries: policy.tries,
            cookie: None,
            edits: None,
            takes: Takes::default(),
            way: None,
        }
    }

    /// What a rule or a client has asked for, which holds whatever an upstream asks for.
    pub(super) fn keep(&mut self, before: &Terms) {
        if self.edits.is_none() {
            (self.edits, self.takes) = (before.edits.clone(), before.takes);
        }
        self.way = self.way.take().or_else(|| before.way.clone());
    }

    /// Whether an answer is changed by them.
    pub(super) fn touch_answers(&self) -> bool {
        self.cookie.is_some() || self.edits.is_some() || self.way.is_some()
    }
}
