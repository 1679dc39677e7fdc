//! All that is in force in few words: its digest, and what of it is different.
//!
//! It owns nothing but putting both kinds together. Next: [`digest`](crate::model::digest) says what it is made of, the hub
//! tells of it.

use std::sync::Arc;

use super::State;
use crate::model::digest::Digest;
use crate::model::ledger::Differences;
use crate::model::upstream::UpstreamSpec;

impl State {
    /// The digest of what is in force: the same for all that serve the same, whatever way it came and in whatever order. The
    /// order of servers is no part of it, for a store has none. It costs what has changed since this was asked.
    pub fn digest(&mut self) -> Digest {
        Digest::of_all(&[self.domains.ledger().digest(), self.upstreams.ledger().digest()])
    }

    /// The digest of one domain's rule set.
    pub fn domain_digest(&self, name: &str) -> Option<Digest> {
        Some(self.domains.layers().effective().get(name)?.digest())
    }

    /// The digest of one upstream, whatever the case of its name.
    pub fn upstream_digest(&self, name: &str) -> Option<Digest> {
        Some(self.upstream(name)?.digest())
    }

    /// The digest of a server's parameters, or of the options.
    pub fn server_digest(&self, upstream: &str, server: &str) -> Option<Digest> {
        let part = self.upstream(upstream)?.part(server)?;
        Some(Digest::of_json(&part.to_string().into()))
    }

    /// The upstream in force of that name, whatever its case.
    pub fn upstream(&self, name: &str) -> Option<&Arc<UpstreamSpec>> {
        self.upstreams.layers().effective().get(&*name.to_ascii_lowercase())
    }

    /// The text of the rule set in force of a domain.
    pub fn domain(&self, name: &str) -> Option<&Arc<str>> {
        Some(self.domains.layers().effective().get(name)?.text())
    }

    /// What of it is different since this was asked.
    pub fn take_differences(&mut self) -> Differences {
        Differences {
            domains: self.domains.ledger().take_news(),
            upstreams: self.upstreams.ledger().take_news(),
        }
    }
}
