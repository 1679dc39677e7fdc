//! What is served, as it was given: all of it, or one.
//!
//! It owns these looks; whoever asks makes text of them aside. Next: `control::admin` shows them.

use std::sync::Arc;

use super::Hub;
use crate::control::history::{Entry, WayBack, Which};
use crate::control::replies::Listed;
use crate::model::UpstreamSpec;

impl Hub {
    /// Every domain with the JSON of its rule set, as given.
    pub(in crate::control) fn domain_texts(&self) -> Vec<(Arc<str>, Arc<str>)> {
        self.state.domain_list()
    }

    /// The JSON of the rule set of one domain.
    pub(in crate::control) fn domain_text(&self, name: &str) -> Option<Arc<str>> {
        self.state.domain(name).cloned()
    }

    /// Every upstream as it was given.
    pub(in crate::control) fn specs(&self) -> Vec<Arc<UpstreamSpec>> {
        self.state.upstreams()
    }

    /// One upstream, whatever the case of its name.
    pub(in crate::control) fn spec(&self, name: &str) -> Option<Arc<UpstreamSpec>> {
        self.state.upstream(name).cloned()
    }

    /// Every upstream, with the addresses of its servers.
    pub(in crate::control) fn upstreams(&self) -> Vec<Listed> {
        self.state.upstreams().into_iter().map(|spec| self.listed(spec)).collect()
    }

    /// One upstream, with the addresses of its servers.
    pub(in crate::control) fn upstream(&self, name: &str) -> Option<Listed> {
        self.spec(name).map(|spec| self.listed(spec))
    }

    /// The last versions, the newest first.
    pub(in crate::control) fn history(&self) -> Vec<Arc<Entry>> {
        self.history.entries().cloned().collect()
    }

    /// The number of a version, given by its number or by the begin of its digest.
    pub(in crate::control) fn version_of(&self, which: &Which) -> Option<u64> {
        match which {
            Which::Number(number) => (*number <= self.current.version).then_some(*number),
            Which::Digest(begin) if self.digest.to_string().starts_with(&**begin) => {
                Some(self.current.version)
            }
            Which::Digest(begin) => self.history.of_digest(begin),
        }
    }

    /// What leads back to a version, if that is known.
    pub(in crate::control) fn back_to(&self, which: &Which) -> Option<WayBack> {
        self.history.back_to(self.version_of(which)?, self.changes.waiting())
    }

    fn listed(&self, spec: Arc<UpstreamSpec>) -> Listed {
        let addresses = spec.servers.iter().map(|server| self.state.endpoints(&server.target())).collect();
        Listed { spec, addresses }
    }
}
