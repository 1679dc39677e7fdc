//! The domains in both layers: texts from the store, rule sets from the admin API.
//!
//! It owns the reading of rule texts and the quarantine of those that cannot be read, never which layer wins (that is
//! `layers`) or a store. Next: [`state`](super::state) for who calls, [`ruleset`](super::ruleset) for what is read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::change::{Doubtful, Rejected, StoreOutcome};
use super::digest::Digest;
use super::fault::Fault;
use super::host;
use super::hosts::{EditableHosts, Hosts};
use super::implicit::Servernames;
use super::layers::{Change, Layered, Layers, Stored, Told};
use super::ledger::Ledger;
use super::library::Library;
use super::ruleset::RuleSet;
use super::sent::Sent;

impl Layered for Arc<RuleSet> {
    fn same_stored(&self, other: &Self) -> bool {
        self == other
    }
}

/// What a domain is called in its digest.
const KIND: &str = "domain";
/// A domain is one key of the store.
pub(super) const WHOLE: &str = "";

/// All domains.
#[derive(Debug, Default)]
pub(crate) struct Domains {
    pub(super) layers: Layers<Arc<RuleSet>>,
    /// What the store holds. Where that is the rule set's own text, it is the same allocation.
    pub(super) texts: BTreeMap<Arc<str>, Arc<str>>,
    /// The faults of those texts that have one.
    faults: BTreeMap<Arc<str>, Fault>,
    pub(super) sent: Sent,
    servernames: Servernames,
    hosts: EditableHosts,
    ledger: Ledger,
}

impl Domains {
    pub(crate) fn layers(&self) -> &Layers<Arc<RuleSet>> {
        &self.layers
    }

    /// The upstreams and hosts that the rules in force name.
    pub(crate) fn servernames(&self) -> &Servernames {
        &self.servernames
    }

    /// Those, in lower case, that came into use or fell out of it since this was asked.
    pub(crate) fn take_servername_news(&mut self) -> BTreeSet<Box<str>> {
        self.servernames.take_news()
    }

    /// What is in force, in few words.
    pub(crate) fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// What is in force, for a snapshot.
    pub(crate) fn hosts(&mut self) -> Hosts {
        self.hosts.hosts()
    }

    /// The name under which a domain is in force that `name` would be once more. A name that is in force itself may be changed,
    /// whatever others a store has.
    pub(crate) fn twin(&self, name: &str) -> Option<&str> {
        if self.layers.effective().contains_key(name) {
            return None;
        }
        self.hosts.twin(name, &host::asked_as(name).ok()?)
    }

    /// An edit; says whether what serves is different now.
    pub(crate) fn put(&mut self, domain: &str, rules: Arc<RuleSet>) -> bool {
        let change = self.layers.put(domain, rules);
        self.note(domain, change)
    }

    /// An edit; says whether what serves is different now, and whether the domain was there.
    pub(crate) fn delete(&mut self, domain: &str) -> (bool, bool) {
        let (change, found) = self.layers.delete(domain);
        (self.note(domain, change), found)
    }

    /// The store holds exactly `texts`. What differs is newer than any edit of it, unless it was sent from here.
    pub(crate) fn load(
        &mut self,
        texts: BTreeMap<String, String>,
        library: &Library,
        outcome: &mut StoreOutcome,
    ) {
        let gone = self.texts.keys().filter(|domain| !texts.contains_key(&***domain));
        for domain in gone.cloned().collect::<Vec<_>>() {
            self.stored(&domain, None, Told::Listed, library, outcome);
        }
        for (domain, text) in texts {
            self.stored(&domain, Some(text), Told::Listed, library, outcome);
        }
    }

    /// The store's text of one domain is this. A text that cannot be read changes nothing that serves.
    pub(crate) fn stored(
        &mut self,
        domain: &str,
        text: Option<String>,
        told: Told,
        library: &Library,
        outcome: &mut StoreOutcome,
    ) {
        let is_known = self.texts.get(domain).map(|known| &**known) == text.as_deref();
        if is_known && told == Told::Listed {
            return;
        }
        let is_echo = self.sent.heard(domain, WHOLE, text.as_deref());
        self.layers.came_back(domain);
        if is_known {
            return self.layers.absorb(domain);
        }
        let key = format!("rules/{domain}");
        let read = text.as_deref().map(|text| self.read(domain, text, library)).transpose();
        let was_rejected = self.faults.remove(domain).is_some();
        let sound = read.is_ok();
        let mut own = None;
        let stored = match read {
            Ok(rules) => {
                own = rules.as_ref().map(|rules| Arc::clone(rules.text()));
                rules.map(|rules| Stored { value: Some(rules), sound })
            }
            Err(fault) => {
                self.faults.insert(self.layers.key(domain), fault.clone());
                let last_good = self.layers.effective().contains_key(domain);
                let Fault { pointer, message } = fault;
                outcome.rejected.push(Rejected { key: key.clone(), message, pointer, last_good });
                let value = self.layers.store().get(domain).and_then(|stored| stored.value.clone());
                Some(Stored { value, sound })
            }
        };
        if let Some(stored) = stored.as_ref().filter(|_| sound) {
            let twin = self.twin(domain).map(|twin| Fault::new("", host::same_domain(twin)));
            let unknown = stored.value.iter().flat_map(|rules| rules.unknown()).cloned();
            let mut doubts = twin.into_iter().chain(unknown);
            // A key is told of once, so the first of its doubts speaks for all.
            if let Some(fault) = doubts.next() {
                outcome.doubtful.push(Doubtful { key: key.clone(), fault, more: doubts.count() });
            }
        }
        if was_rejected && sound {
            outcome.accepted.push(key.clone());
        }
        let was_edited = self.layers.edit(domain).is_some();
        let (change, overridden) = self.layers.stored(domain, stored, sound && !is_echo);
        outcome.changed |= self.note(domain, change);
        if sound && !is_echo && (overridden || !was_edited) {
            outcome.note(|| key.clone());
        }
        if overridden {
            outcome.overridden.push(key);
        }
        match text {
            Some(text) => {
                let text = own.filter(|own| **own == *text).unwrap_or_else(|| text.into());
                self.texts.insert(self.layers.key(domain), text)
            }
            None => self.texts.remove(domain),
        };
    }

    /// The store holds the former text of this domain again, after a write of it: the text is newer than that write.
    pub(crate) fn give_way(&mut self, domain: &str, outcome: &mut StoreOutcome) {
        self.unsend(domain);
        let (change, was_edited) = self.layers.give_way(domain);
        outcome.changed |= self.note(domain, change);
        if was_edited {
            outcome.overridden.push(format!("rules/{domain}"));
        }
    }

    fn read(&self, domain: &str, text: &str, library: &Library) -> Result<Arc<RuleSet>, Fault> {
        host::asked_as(domain).map_err(|message| Fault::new("", message))?;
        library.read_text(text)
    }

    fn note(&mut self, domain: &str, change: Change<Arc<RuleSet>>) -> bool {
        if !change.is_one() {
            return false;
        }
        self.servernames.replace(change.before.as_deref(), change.after.as_deref());
        let entry =
            |rules: &Arc<RuleSet>| (Digest::of_entry(KIND, domain, rules.digest()), Arc::clone(rules.text()));
        let key = self.layers.key(domain);
        self.ledger.note(&key, domain, change.before.as_ref().map(entry), change.after.as_ref().map(entry));
        self.hosts.set(&key, change.after);
        true
    }

    /// What is in force as texts, and what was rejected as it stands in the store.
    pub(crate) fn in_force(&self) -> BTreeMap<String, String> {
        let mut texts = written(self.layers.effective().iter());
        for domain in self.faults.keys().filter(|domain| self.layers.edit(domain).is_none()) {
            texts.extend(
                self.texts.get_key_value(domain).map(|(domain, text)| (domain.to_string(), text.to_string())),
            );
        }
        texts
    }

    /// The texts of the store.
    pub(crate) fn as_read(&self) -> BTreeMap<String, String> {
        self.texts.iter().map(|(domain, text)| (domain.to_string(), text.to_string())).collect()
    }

    /// The store layer in its last good values.
    pub(crate) fn last_good(&self) -> Vec<(Arc<str>, Arc<RuleSet>)> {
        let good = |(domain, stored): (&Arc<str>, &Stored<Arc<RuleSet>>)| {
            Some((Arc::clone(domain), Arc::clone(stored.value.as_ref()?)))
        };
        self.layers.store().iter().filter_map(good).collect()
    }

    /// How many domains of the store `texts` lacks, and of how many; those that an edit deletes are not asked for.
    pub(crate) fn would_drop(&self, texts: &BTreeMap<String, String>) -> (usize, usize) {
        let stay = || self.texts.keys().filter(|domain| !matches!(self.layers.edit(domain), Some(None)));
        (stay().filter(|domain| !texts.contains_key(&***domain)).count(), stay().count())
    }

    /// How many the store has.
    pub(crate) fn stored_count(&self) -> usize {
        self.texts.len()
    }

    /// Whether the store has this one.
    pub(crate) fn stores(&self, domain: &str) -> bool {
        self.texts.contains_key(domain)
    }

    /// The quarantine.
    pub(crate) fn rejected(&self) -> impl Iterator<Item = Rejected> {
        self.faults.iter().map(|(domain, fault)| Rejected {
            key: format!("rules/{domain}"),
            message: fault.message.clone(),
            pointer: fault.pointer.clone(),
            last_good: self.layers.effective().contains_key(domain),
        })
    }
}

/// Rule sets as a store holds them.
pub(super) fn written<'a>(
    domains: impl Iterator<Item = (&'a Arc<str>, &'a Arc<RuleSet>)>,
) -> BTreeMap<String, String> {
    domains.map(|(domain, rules)| (domain.to_string(), rules.text().to_string())).collect()
}
