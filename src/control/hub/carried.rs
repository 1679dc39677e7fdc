//! What is only in the memory of this process, for the next one: gathered here, and put back there.
//!
//! It owns that both are the same, and that nothing is changed between the two; never how it travels. Next:
//! [`handover`](crate::handover) has the form, [`succession`](crate::control::succession) asks for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Hub;
use crate::control::changes::Via;
use crate::control::replies::Frozen;
use crate::handover::{Carried, CarriedCertificates, CarriedServer, CarriedStore};
use crate::model::{Blame, Contents, Faults, Server, ServerKnown, Snapshot, Unsaved, Upstream};

/// What identifies a server for two processes: its upstream in lower case, its name, and its address.
type Name = (String, String, String);

impl Hub {
    /// From now on changes by the API are refused, for this reason; or with `None`, taken.
    pub(in crate::control) fn freeze(&mut self, why: Option<Frozen>) {
        self.frozen = why;
    }

    /// Whether a dump is under way: what it has written and not heard of yet could not be told.
    pub(in crate::control) fn is_dumping(&self) -> bool {
        self.dumps.is_awaited()
    }

    /// All of it. A hundred thousand domains are some tenths of a second.
    pub(in crate::control) fn carried(&self, now: Instant) -> Carried {
        let Unsaved { domains, upstreams } = self.state.unsaved();
        let known =
            |upstream: &Upstream, server: &Server| carry(name(upstream, server), server.state.known(now)?);
        let of_upstream = |upstream: &Arc<Upstream>| -> Vec<CarriedServer> {
            upstream.servers.iter().filter_map(|server| known(upstream, server)).collect()
        };
        Carried {
            version: self.current.version,
            store: self.guard.has_source().then(|| self.carried_store()),
            domains,
            upstreams,
            names: self.resolver.all_addresses(),
            certificates: CarriedCertificates(self.sources.certificates.texts()),
            servers: self.current.upstreams().flat_map(of_upstream).collect(),
        }
    }

    fn carried_store(&self) -> CarriedStore {
        let (read, good) = (self.state.as_read(), self.state.last_good().contents());
        CarriedStore {
            revision: self.guard.revision(),
            good_rules: differing(good.rules, &read.rules),
            good_upstreams: differing(good.upstreams, &read.upstreams),
            rules: read.rules,
            upstreams: read.upstreams,
        }
    }

    /// Takes all of it on but what is known of servers, before anything else is known here.
    ///
    /// # Errors
    /// What this build refuses of the edits.
    pub(in crate::control) fn inherit(&mut self, carried: Carried, now: Instant) -> Result<usize, Faults> {
        let Carried { version, store, domains, upstreams, names, certificates, servers: _ } = carried;
        self.sources.certificates.inherit(certificates.0);
        self.current = Arc::new(Snapshot::empty_at(version.max(self.current.version)));
        self.resolver.remember(names);
        let author = Via::Handover.by_nobody();
        if let Some(store) = store {
            let CarriedStore { revision, rules, upstreams, good_rules, good_upstreams } = store;
            let read = Contents { rules, upstreams };
            let mut good = read.clone();
            good.rules.extend(good_rules);
            good.upstreams.extend(good_upstreams);
            self.guard.inherit(&mut self.state, &mut self.alarms, (good, read), revision, now);
            self.stored_by(author, true, now);
        }
        let unsaved = Unsaved { domains, upstreams };
        let edits = unsaved.len();
        if edits > 0 {
            self.state.take_over(unsaved)?;
            self.changed(author, now);
        }
        Ok(edits)
    }

    /// Takes on what is known of servers that are served now and were before.
    pub(in crate::control) fn know(&mut self, servers: Vec<CarriedServer>, now: Instant) -> usize {
        let mut known: HashMap<Name, ServerKnown> = servers.into_iter().map(read).collect();
        let mut count = 0;
        for upstream in self.current.upstreams() {
            for server in &upstream.servers {
                let Some(known) = known.remove(&name(upstream, server)) else { continue };
                server.state.know(&known, now);
                if known.is_failing {
                    self.servers.schedule().know_failing(server.id, &server.state, now);
                }
                count += 1;
            }
        }
        count
    }
}

/// What of `values` is not the same in `others`.
fn differing<V: PartialEq>(values: BTreeMap<String, V>, others: &BTreeMap<String, V>) -> BTreeMap<String, V> {
    values.into_iter().filter(|(name, value)| others.get(name) != Some(value)).collect()
}

fn name(upstream: &Upstream, server: &Server) -> Name {
    (upstream.name.to_ascii_lowercase(), server.spec.name.clone(), server.endpoint.to_string())
}

fn carry((upstream, server, address): Name, known: ServerKnown) -> Option<CarriedServer> {
    let age = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    Some(CarriedServer {
        upstream,
        server,
        address,
        is_failing: known.is_failing,
        failures: known.failures,
        doubts: known.doubts,
        blame: known.blame.map(|blame| blame.word().to_owned()),
        failed: known.failed.map(age),
        checked: known.checked.map(age),
        turned: known.turned.map(age),
    })
}

fn read(carried: CarriedServer) -> (Name, ServerKnown) {
    let known = ServerKnown {
        is_failing: carried.is_failing,
        failures: carried.failures,
        doubts: carried.doubts,
        // A word of another build of ELB may be none here; that it failed is still known.
        blame: carried.blame.as_deref().and_then(Blame::named),
        failed: carried.failed.map(Duration::from_millis),
        checked: carried.checked.map(Duration::from_millis),
        turned: carried.turned.map(Duration::from_millis),
    };
    ((carried.upstream, carried.server, carried.address), known)
}
