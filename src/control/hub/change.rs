//! A change by the API: what must hold for it to be made, what it would strand, and the making.
//!
//! It owns the order of these; never how a change is read (`model`) or told (`admin::write`). All of it is done in one turn of
//! the hub, so nothing comes between what is looked at and what is done. Next: [`Plan`] says what a change comes to.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Hub;
use crate::control::changes::Author;
use crate::control::held;
use crate::control::live::{Gone, Live, Losses, key};
use crate::control::replies::{Accepted, Awaited, Made, Refused, Stranded, Tried};
use crate::control::resolve::Addresses;
use crate::control::wish::{Subject, Wish};
#[cfg(test)]
use crate::model::Faults;
use crate::model::{Digest, Dropped, Plan, Prepared, Removal};

impl Hub {
    /// Makes a change that was prepared, with what was found for its names; or nothing of it. A trial says what it would come
    /// to.
    ///
    /// # Errors
    /// It is at fault, what it was made from has changed meanwhile, or it takes so much away that somebody should say that it
    /// is meant.
    pub(in crate::control) fn change(
        &mut self,
        prepared: Prepared,
        found: Addresses,
        wish: &Wish,
        now: Instant,
    ) -> Result<Made, Refused> {
        let tag = self.tag(&wish.subject);
        if !wish.condition.holds(tag) {
            return Err(Refused::Changed(tag));
        }
        if !self.state.is_based_on_what_is(&prepared) {
            return Err(Refused::Meanwhile);
        }
        let is_whole = prepared.takes_the_rest_away();
        let plan = self.state.plan(prepared)?;
        let removal = plan.removal(&self.state);
        let stranded = self.stranded(&removal);
        let too_much = stranded.is_too_much() || (is_whole && self.is_most(&removal));
        if wish.is_trial {
            let differences = plan.differences(&self.state);
            let warnings = plan.warnings().to_vec();
            return Ok(Made::Tried(Tried { differences, warnings, stranded, needs_confirmation: too_much }));
        }
        if too_much && !wish.is_confirmed {
            return Err(Refused::Unconfirmed(stranded));
        }
        if let Some(why) = self.frozen {
            return Err(Refused::Frozen(why));
        }
        let named = wish.is_dumped.then(|| self.state.named(&plan));
        let mut accepted = self.carry_out(plan, found, wish.author, now);
        accepted.tag = self.tag(&wish.subject);
        let awaited: Option<Awaited> = named.map(|named| self.dump(named));
        Ok(Made::Accepted(accepted, awaited))
    }

    /// Makes a change that was prepared and that `author` asks for; or nothing of it.
    #[cfg(test)]
    pub(in crate::control) fn apply(
        &mut self,
        prepared: Prepared,
        found: Addresses,
        author: Author,
        now: Instant,
    ) -> Result<Accepted, Faults> {
        let plan = self.state.plan(prepared)?;
        Ok(self.carry_out(plan, found, author, now))
    }

    fn carry_out(&mut self, plan: Plan, found: Addresses, author: Author, now: Instant) -> Accepted {
        for (name, addresses) in self.resolver.take_found(found) {
            self.learnt(&name, addresses, now);
        }
        let outcome = self.state.carry_out(plan);
        if outcome.changed {
            self.changed(author, now);
            self.urgent = true;
        }
        self.resolver.forget_found();
        Accepted { warnings: outcome.warnings, found: outcome.found, ..self.accepted(now) }
    }

    /// What the subject is at the moment, in few words; nothing where there is no such domain, upstream or server.
    pub(in crate::control) fn tag(&mut self, subject: &Subject) -> Option<Digest> {
        match subject {
            Subject::All => Some(self.state.digest()),
            Subject::Domain(name) => self.state.domain_digest(name),
            Subject::Upstream(name) => self.state.upstream_digest(name),
            Subject::Server(upstream, server) => self.state.server_digest(upstream, server),
        }
    }

    /// What of it had requests of late.
    fn stranded(&mut self, removal: &Removal) -> Stranded {
        if removal.domains.is_empty() && removal.servers.is_empty() {
            return Stranded::default();
        }
        let live = self.live();
        let domains = removal.domains.iter().map(ToString::to_string);
        let servers = removal.servers.iter().map(|(upstream, server)| key(upstream, server));
        let mut gone = Gone {
            domains: domains.filter(|name| live.domains.contains_key(name)).collect(),
            servers: servers.filter(|key| live.servers.contains_key(key)).collect(),
        };
        removal.added.iter().for_each(|upstream| gone.replace_one(upstream));
        live.without(&gone, &Losses::default())
    }

    /// What had requests in the last seconds.
    pub(super) fn live(&self) -> Live {
        let window = self.recent.window();
        let domains = self.recent.domains().into_iter();
        let names = domains.map(|(slot, sums)| (self.current.domain_name(slot).to_owned(), sums.requests));
        let domains = names.filter(|(_, requests)| *requests > 0).collect();
        let counted = self.recent.servers();
        let mut servers = BTreeMap::new();
        for upstream in self.current.upstreams().filter(|_| !counted.is_empty()) {
            for server in &upstream.servers {
                let requests = counted.get(&server.id).map_or(0, |sums| sums.requests);
                if requests > 0 {
                    *servers.entry(key(&upstream.name, &server.spec.name)).or_default() += requests;
                }
            }
        }
        Live { domains, servers, seconds: window.took.as_secs_f64() }
    }

    /// Whether so much is not named in a document that it may be a part of one.
    fn is_most(&self, removal: &Removal) -> bool {
        let (of_domains, of_upstreams) = self.state.sizes();
        let (domains, upstreams) = (removal.domains.len(), removal.upstreams);
        held::is_suspicious(&Dropped { domains, of_domains, upstreams, of_upstreams })
    }
}
