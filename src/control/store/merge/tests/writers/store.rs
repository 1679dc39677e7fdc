//! The keys that are written, and a store with etcd's rules.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

/// What a key holds: for servers their `max_fails`, for domains the upstream they name; always another number.
pub(super) type Number = usize;

pub(super) const DOMAINS: [&str; 2] = ["d0", "d1"];
pub(super) const UPSTREAM: &str = "u";
pub(super) const SERVERS: [&str; 3] = ["s0:1", "s1:1", "s2:1"];

pub(super) fn rule(number: Number) -> Value {
    json!({"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": format!("n{number}")}}}})
}

/// The text of a key with this number, as other people write it.
pub(super) fn spelled(key: &KeyChange, number: Number) -> String {
    match key {
        KeyChange::Rule { .. } => format!("{:#}", rule(number)),
        KeyChange::Server { .. } => format!("max_fails={number}"),
    }
}

/// The number in a text, however it is spelled.
pub(super) fn number(text: Option<&str>) -> Option<Number> {
    let text = text?;
    let (_, rest) = text.split_once("max_fails=").or_else(|| {
        text.split_once(r#""n"#).map(|_| {
            let at = text.find(r#""n"#).unwrap_or(0);
            text.split_at(at + 2)
        })
    })?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

pub(super) fn all_keys() -> Vec<KeyChange> {
    let rules = DOMAINS.map(|domain| KeyChange::Rule { domain: domain.into(), text: None });
    let servers = SERVERS.map(|server| KeyChange::Server {
        upstream: UPSTREAM.into(),
        server: server.into(),
        text: None,
    });
    rules.into_iter().chain(servers).collect()
}

pub(super) fn with_text(key: &KeyChange, text: Option<String>) -> KeyChange {
    match key.clone() {
        KeyChange::Rule { domain, .. } => KeyChange::Rule { domain, text },
        KeyChange::Server { upstream, server, .. } => KeyChange::Server { upstream, server, text },
    }
}

/// A store with etcd's rules.
#[derive(Default)]
pub(super) struct Store {
    pub(super) keys: BTreeMap<String, (KeyChange, i64)>,
    /// What each revision, from 1 on, changed.
    pub(super) history: Vec<Vec<KeyChange>>,
}

impl Store {
    pub(super) fn revision(&self) -> i64 {
        i64::try_from(self.history.len()).unwrap()
    }

    pub(super) fn write(&mut self, changes: Vec<KeyChange>) {
        let revision = self.revision() + 1;
        let mut told = Vec::new();
        for change in changes {
            let name = change.name();
            if change.text().is_some() {
                self.keys.insert(name, (change.clone(), revision));
            } else if self.keys.remove(&name).is_none() {
                continue;
            }
            told.push(change);
        }
        if !told.is_empty() {
            self.history.push(told);
        }
    }

    pub(super) fn text(&self, key: &KeyChange) -> Option<String> {
        self.keys.get(&key.name()).and_then(|(change, _)| change.text()).map(str::to_owned)
    }

    pub(super) fn present(&self, batch: &[Wish]) -> BTreeMap<String, Present> {
        let one = |wish: &Wish| {
            let (change, revision) = self.keys.get(&wish.write.wanted.name())?;
            let value = change.text()?.as_bytes().to_vec();
            Some((wish.key.clone(), Present { value, revision: *revision }))
        };
        batch.iter().filter_map(one).collect()
    }

    /// The numbers that a key had from one revision to another, both included.
    pub(super) fn numbers(&self, key: &KeyChange, from: i64, to: i64) -> Vec<Option<Number>> {
        let (mut now, mut numbers) = (None, Vec::new());
        if from == 0 {
            numbers.push(None);
        }
        for (revision, changes) in (1..).zip(&self.history) {
            for change in changes.iter().filter(|change| change.is_same_key(key)) {
                now = number(change.text());
            }
            if (from..=to).contains(&revision) {
                numbers.push(now);
            }
        }
        numbers
    }
}
