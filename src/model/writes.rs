//! The writes of a dump: the keys of the store that an edit changes, each with the value that was read of it.
//!
//! A dump is a three-way merge: of the value that was *read* of a key, the value that is *wanted*, and the value that is there
//! *now*. The first two are compared here, key by key. The store compares the first and the third, and leaves a key alone when
//! they differ. So a dump undoes no write of others; it is told of the conflict. Texts that mean the same (`""` for a server's
//! defaults, indented JSON) are equal.
//!
//! It owns that difference and the note of what was sent; never a store. Next: [`sent`](super::sent) for the note,
//! `control::dumps` for the course of a dump.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::change::Named;
use super::contents::{Contents, KeyChange, KeyWrite};
use super::domains::{Domains, WHOLE};
use super::ruleset::RuleSet;
use super::upstreams::{Upstreams, part};

impl Domains {
    /// The domains that a dump has to see to: those with an edit, those that are named, and, if all are, those that
    /// `held` lacks. `held` is what was read last where that is not the store layer.
    pub(crate) fn to_write(&self, named: &Named, held: Option<&Contents>, writes: &mut Vec<KeyWrite>) {
        let mut domains: BTreeSet<&str> = self.layers.edited().map(|domain| &**domain).collect();
        domains.extend(named.domains.iter().map(String::as_str));
        if let Some(held) = held.filter(|_| named.all) {
            let lacking = self.texts.keys().filter(|domain| !held.rules.contains_key(&***domain));
            domains.extend(lacking.map(|domain| &**domain));
        }
        for domain in domains {
            let text = self.texts.get(domain).map(|text| &**text);
            let read = held.map_or(text, |held| held.rules.get(domain).map(String::as_str));
            let wanted = match self.layers.edit(domain) {
                None => text,
                Some(None) => None,
                Some(Some(rules)) => Some(self.spelling(domain, rules).unwrap_or(rules.text())),
            };
            let doubtful = self.sent.away(domain);
            if read != wanted || doubtful || named.domains.contains(domain) {
                let wanted = KeyChange::Rule { domain: domain.to_owned(), text: wanted.map(str::to_owned) };
                writes.push(KeyWrite { read: read.map(str::to_owned), wanted, doubtful });
            }
        }
    }

    /// How the store spells these rules, if it holds them.
    fn spelling(&self, domain: &str, rules: &Arc<RuleSet>) -> Option<&str> {
        let stored = self.layers.store().get(domain).filter(|stored| stored.sound)?;
        (stored.value.as_ref() == Some(rules)).then(|| self.texts.get(domain).map(|text| &**text))?
    }

    /// `text` goes to the store.
    pub(crate) fn send(&mut self, domain: &str, text: Option<&str>) {
        self.sent.note(domain, WHOLE, text);
        self.layers.send(domain);
    }

    /// Nothing went to the store after all.
    pub(crate) fn unsend(&mut self, domain: &str) {
        self.sent.heard(domain, WHOLE, None);
        self.layers.came_back(domain);
        self.layers.absorb(domain);
    }

    /// Whether anything of the domain is on its way.
    pub(crate) fn is_away(&self, domain: &str) -> bool {
        self.sent.away(domain)
    }
}

impl Upstreams {
    /// The servers that a dump has to see to: those that an edit changes, those of named upstreams, and, if all are, those
    /// that `held` lacks. `held` is what was read last where that is not the store layer.
    pub(crate) fn to_write<'a>(
        &'a self,
        named: &'a Named,
        held: Option<&Contents>,
        writes: &mut Vec<KeyWrite>,
    ) {
        let mut keys: BTreeSet<&str> = self.layers.edited().map(|key| &**key).collect();
        keys.extend(named.upstreams.keys().map(String::as_str));
        if held.is_some() && named.all {
            keys.extend(self.store.keys().map(|key| &**key));
        }
        for key in keys {
            let named = named.upstreams.get(key);
            let mut all = self.wanted(key);
            for (name, server) in
                named.into_iter().flat_map(|(name, servers)| servers.iter().map(move |one| (name, one)))
            {
                // It was here when it was named, and is neither in the store nor wanted.
                if !all.keys().any(|(_, known)| known == server) {
                    all.insert((name, server), None);
                }
            }
            for (upstream, server) in self.sent.parts(key).filter_map(|part| part.split_once('/')) {
                all.entry((upstream, server)).or_insert(None);
            }
            for ((upstream, server), wanted) in all {
                let read = match held {
                    Some(held) => {
                        held.upstreams.get(upstream).and_then(|of| of.get(server)).map(String::as_str)
                    }
                    None => self.text(key, upstream, server),
                };
                let doubtful = self.sent.holds(key, &part(upstream, server));
                let is_named = named.is_some_and(|(_, servers)| servers.contains(server));
                if read != wanted.as_deref() || doubtful || is_named {
                    let (upstream, server) = (upstream.to_owned(), server.to_owned());
                    let wanted = KeyChange::Server { upstream, server, text: wanted };
                    writes.push(KeyWrite { read: read.map(str::to_owned), wanted, doubtful });
                }
            }
        }
    }

    /// The store's keys of one upstream, by its spelling and by server, and what each should be.
    fn wanted(&self, key: &str) -> BTreeMap<(&str, &str), Option<String>> {
        let edit = self.layers.edit(key);
        let stored = self.store.get(key).into_iter().flatten();
        let mut wanted: BTreeMap<(&str, &str), Option<String>> = stored
            .map(|one| ((&*one.upstream, &*one.server), edit.is_none().then(|| one.text.to_string())))
            .collect();
        for (spec, (name, part)) in
            edit.flatten().into_iter().flat_map(|spec| spec.parts().map(move |part| (spec, part)))
        {
            let stored = self.stored_as(key, &spec.name, name).filter(|stored| stored.fault.is_none());
            // What says the same stays as somebody wrote it.
            let same = stored.filter(|stored| stored.good().as_ref() == Some(&part));
            let text = same.map_or_else(|| part.to_string(), |same| same.text.to_string());
            wanted.insert((&spec.name, name), Some(text));
        }
        wanted
    }

    /// `text` goes to the store.
    pub(crate) fn send(&mut self, upstream: &str, server: &str, text: Option<&str>) {
        let key = upstream.to_ascii_lowercase();
        self.sent.note(&key, &part(upstream, server), text);
        self.layers.send(&key);
    }

    /// Nothing went to the store after all.
    pub(crate) fn unsend(&mut self, upstream: &str, server: &str) {
        let key = upstream.to_ascii_lowercase();
        self.sent.heard(&key, &part(upstream, server), None);
        if !self.sent.away(&key) {
            self.layers.came_back(&key);
            self.layers.absorb(&key);
        }
    }

    /// Whether anything of the server is on its way.
    pub(crate) fn is_away(&self, upstream: &str, server: &str) -> bool {
        self.sent.holds(&upstream.to_ascii_lowercase(), &part(upstream, server))
    }
}
