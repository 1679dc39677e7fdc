//! A change by the API: what must hold for it to be made, what it would strand, and the making.
//!
//! It owns the order of these; never how a change is read (`model`) or told (`admin::write`). All of it is done in one turn of
//! the hub, so nothing comes between what is looked at and what is done. Next: [`Plan`] says what a change comes to.

use std::collections::HashSet;
use std::time::Instant;

use super::Hub;
use crate::control::changes::Author;
use crate::control::held;
use crate::control::replies::{Accepted, Awaited, Made, Refused, Stranded, Tried};
use crate::control::resolve::Addresses;
use crate::control::wish::{Subject, Wish};
#[cfg(test)]
use crate::model::Faults;
use crate::model::{Digest, Dropped, Plan, Prepared, Removal};

/// Domains or servers of live traffic that may always go at once.
const FEW: usize = 3;

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
        let seconds = self.recent.window().took.as_secs_f64();
        let (domains, servers) = (self.recent.domains(), self.recent.servers());
        let mut stranded =
            Stranded { of_domains: domains.len(), of_servers: servers.len(), ..Stranded::default() };
        let gone: HashSet<&str> = removal.domains.iter().map(|name| &**name).collect();
        let mut requests = 0;
        for (slot, sums) in domains {
            if gone.contains(self.current.domain_name(slot)) {
                stranded.domains += 1;
                requests += sums.requests;
            }
        }
        let mut of_servers = 0;
        for (upstream, server) in &removal.servers {
            let upstream = self.current.upstream_named(upstream);
            let addresses = upstream.iter().flat_map(|upstream| &upstream.servers);
            let of_this = addresses.filter(|one| one.spec.name == *server);
            let sums: u64 = of_this.filter_map(|one| servers.get(&one.id)).map(|sums| sums.requests).sum();
            stranded.servers += usize::from(sums > 0);
            of_servers += sums;
        }
        // A request may lose its domain and its server.
        let requests = requests.max(of_servers) as f64;
        stranded.per_second = if seconds > 0.0 { requests / seconds } else { 0.0 };
        stranded
    }

    /// Whether so much is not named in a document that it may be a part of one.
    fn is_most(&self, removal: &Removal) -> bool {
        let (of_domains, of_upstreams) = self.state.sizes();
        let (domains, upstreams) = (removal.domains.len(), removal.upstreams);
        held::is_suspicious(&Dropped { domains, of_domains, upstreams, of_upstreams })
    }
}

impl Stranded {
    fn is_too_much(&self) -> bool {
        let most = |gone: usize, of: usize| gone >= FEW && gone > of / 2;
        most(self.domains, self.of_domains) || most(self.servers, self.of_servers)
    }
}
