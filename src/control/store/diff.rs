//! What a dump has to write: the difference between the keys that are there and the contents that are wanted.
//!
//! It owns the choice, the order, the guards and the sizes of the transactions, never a connection. Pure. Next:
//! `dump` carries a plan out.

use std::collections::BTreeMap;

use super::keys::{Key, Keys};
use crate::model::Contents;

/// Operations in a transaction; etcd's default limit is 128, and its comparisons count against the same number.
pub(super) const BATCH_OPERATIONS: usize = 120;
/// Bytes of keys and values in a transaction; etcd's default limit for a request is 1.5 MiB.
pub(super) const BATCH_BYTES: usize = 1024 * 1024;
/// Bytes of one value. With its key it must fit a transaction of its own, below etcd's limit.
pub(super) const VALUE_BYTES: usize = 1024 * 1024;

/// A key that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Present {
    /// Its value.
    pub(super) value: Vec<u8>,
    /// The revision that wrote it; the guard of every operation on it.
    pub(super) revision: i64,
}

/// One write, which holds only if the key is still as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operation {
    /// The key.
    pub(super) key: String,
    /// The new value; nothing deletes the key.
    pub(super) value: Option<String>,
    /// The revision that the key must still have; 0 for a key that must not be there.
    pub(super) revision: i64,
}

impl Operation {
    fn bytes(&self) -> usize {
        // The key stands in the comparison and in the operation.
        2 * self.key.len() + self.value.as_ref().map_or(0, String::len)
    }
}

/// The transactions that make `present` hold `wanted`, to be carried out in order.
///
/// The order is: upstreams written, rules written, rules deleted, upstreams deleted. So at no moment does a rule that
/// was dumped name an upstream that is not there, wherever the sequence is cut. Keys that are not data (see [`Keys`])
/// are never touched.
///
/// # Errors
/// A name that could not be read back, or a value that etcd would refuse; then nothing is to be written.
pub(super) fn plan(
    keys: &Keys,
    present: &BTreeMap<String, Present>,
    wanted: &Contents,
) -> Result<Vec<Vec<Operation>>, String> {
    let (rules, servers) = texts(keys, wanted)?;
    let mut operations = puts(&servers, present);
    operations.extend(puts(&rules, present));
    let stale = |(key, there): (&String, &Present)| {
        let kind = keys.read(key.as_bytes())?;
        let stays = rules.contains_key(key) || servers.contains_key(key);
        let operation = Operation { key: key.clone(), value: None, revision: there.revision };
        (!stays).then_some((kind, operation))
    };
    let (rules_gone, servers_gone): (Vec<_>, Vec<_>) =
        present.iter().filter_map(stale).partition(|(kind, _)| matches!(kind, Key::Rule { .. }));
    operations.extend(rules_gone.into_iter().chain(servers_gone).map(|(_, operation)| operation));
    Ok(batches(operations))
}

type Texts<'a> = BTreeMap<String, &'a str>;

/// Key text → value, of the rules and of the servers.
fn texts<'a>(keys: &Keys, wanted: &'a Contents) -> Result<(Texts<'a>, Texts<'a>), String> {
    let (mut rules, mut servers) = (Texts::new(), Texts::new());
    for (domain, text) in &wanted.rules {
        let key = Key::Rule { domain: domain.clone() };
        rules.insert(checked(keys, &key, text)?, text);
    }
    for (upstream, of_upstream) in &wanted.upstreams {
        for (server, text) in of_upstream {
            let key = Key::Server { upstream: upstream.clone(), server: server.clone() };
            servers.insert(checked(keys, &key, text)?, text);
        }
    }
    Ok((rules, servers))
}

fn checked(keys: &Keys, key: &Key, text: &str) -> Result<String, String> {
    let written = keys.write(key);
    if !keys.holds(key) {
        return Err(format!(
            "{written}: this name cannot be stored (an empty part, a part that begins with @, or a slash)"
        ));
    }
    if text.len() > VALUE_BYTES {
        return Err(format!("{written}: {} bytes, and {VALUE_BYTES} can be stored", text.len()));
    }
    Ok(written)
}

fn puts(texts: &Texts<'_>, present: &BTreeMap<String, Present>) -> Vec<Operation> {
    let differs = |(key, text): (&String, &&str)| {
        let there = present.get(key);
        let same = there.is_some_and(|there| there.value == text.as_bytes());
        let revision = there.map_or(0, |there| there.revision);
        (!same).then(|| Operation { key: key.clone(), value: Some((*text).to_owned()), revision })
    };
    texts.iter().filter_map(differs).collect()
}

fn batches(operations: Vec<Operation>) -> Vec<Vec<Operation>> {
    let mut batches: Vec<Vec<Operation>> = Vec::new();
    let mut bytes = 0;
    for operation in operations {
        bytes += operation.bytes();
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH_OPERATIONS && bytes <= BATCH_BYTES => batch.push(operation),
            _ => {
                bytes = operation.bytes();
                batches.push(vec![operation]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests;
