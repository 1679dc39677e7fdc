//! What the hub knows of requests, for whoever shows it.
//!
//! It owns these looks and nothing that is counted. Next: [`reports`](super::reports) has what workers tell,
//! `control::admin` asks.

use std::time::{Duration, Instant};

use super::Hub;
use crate::control::changes::Via;
use crate::control::failures::Failures;
use crate::control::heat::Step;
use crate::control::recent::Recent;
use crate::control::replies::Heard;
use crate::control::servers::Shown;
use crate::control::sources::Sources;
use crate::control::traffic::Traffic;

impl Hub {
    /// Where others count what the hub only shows.
    pub(in crate::control) fn looks_at(&mut self, sources: Sources) {
        self.sources = sources;
    }

    /// What they have counted.
    pub(in crate::control) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// How long there has been a hub.
    pub(in crate::control) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.history.began())
    }

    /// The way by which changes of the store come.
    pub(in crate::control) fn via(&self) -> Via {
        self.via
    }

    /// What came from the store since the start.
    pub(in crate::control) fn heard(&self) -> Heard {
        self.guard.heard()
    }

    /// Where the data come from that are served beside what was changed by the API: a word, or nothing as long as there are none.
    pub(in crate::control) fn origin_of_data(&self) -> Option<&'static str> {
        self.guard.origin()
    }

    /// What was counted of requests, by names that are configured.
    pub(in crate::control) fn traffic(&mut self) -> &mut Traffic {
        let Self { traffic, servers, current, .. } = self;
        traffic.prune(current, |id| servers.has(id));
        traffic
    }

    /// What happened in the last seconds, by names that are configured.
    pub(in crate::control) fn recent(&mut self) -> &Recent {
        self.recent.prune(&self.current);
        &self.recent
    }

    /// Servers of the upstreams that are `wanted`.
    pub(in crate::control) fn servers_of(&self, wanted: impl Fn(&str) -> bool) -> Vec<Shown> {
        self.servers.list(&self.current, &self.traffic, wanted)
    }

    /// The rule set of a domain, as it was given.
    pub(in crate::control) fn rules_of(&self, domain: &str) -> Option<String> {
        self.state.domain(domain).map(|text| text.to_string())
    }

    /// Which ways requests took through the rules of a domain, as far as they were looked at.
    pub(in crate::control) fn heat(&mut self, domain: &str, now: Instant) -> Vec<Step> {
        self.heat.of(domain, now)
    }

    /// The last requests that failed.
    pub(in crate::control) fn failures(&self) -> &Failures {
        &self.failures
    }
}
