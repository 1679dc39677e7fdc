//! What the store has, in its last good values, as it was at one moment.
//!
//! It owns handles of those values, so that taking it costs the one thread that changes them as little as can be: a hundred thousand
//! domains are some milliseconds, and their texts would be ten times that. Whoever writes them makes the texts. Next:
//! [`State::last_good`](super::State::last_good) takes it.

use std::sync::Arc;

use super::contents::Contents;
use super::domains;
use super::ruleset::RuleSet;
use super::upstream::UpstreamSpec;
use super::upstreams;

/// The store layer of one moment: rejected keys by their last good value, and no edits.
#[derive(Debug, Clone, Default)]
pub struct Good {
    pub(super) domains: Vec<(Arc<str>, Arc<RuleSet>)>,
    pub(super) upstreams: Vec<Arc<UpstreamSpec>>,
}

impl Good {
    /// Its texts. With very much in it this is a tenth of a second.
    #[must_use]
    pub fn contents(&self) -> Contents {
        let domains = self.domains.iter().map(|(domain, rules)| (domain, rules));
        Contents { rules: domains::written(domains), upstreams: upstreams::written(self.upstreams.iter()) }
    }
}
