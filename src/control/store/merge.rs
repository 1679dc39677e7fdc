//! What a dump writes: the keys that are wanted otherwise than they were read, as far as they still are as they were read.
//!
//! It owns the choice, the order, the guards and the sizes of the transactions, never a connection. Pure. What a key
//! held when it was read is compared as a text and not by its revision: revisions begin anew when etcd is wiped or
//! restored, and a key that somebody wrote again as it was is what was read. The revision that guards a write is the
//! one at which that text was found. Next: [`dump`](super::dump) carries a plan out.

use std::collections::BTreeMap;

use super::keys::{Key, Keys};
use crate::model::{KeyChange, KeyWrite};

/// Keys in a transaction; etcd's default limit is 128 operations, and its comparisons count against the same number.
pub(super) const BATCH_KEYS: usize = 120;
/// Bytes of keys and values in a transaction of several; etcd's default limit for a request is 1.5 MiB.
pub(super) const BATCH_BYTES: usize = 1024 * 1024;
/// Bytes that the keys of a transaction held when they were read. They are read again in one answer.
pub(super) const READ_BYTES: usize = 16 * 1024 * 1024;

/// A key that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Present {
    /// Its value.
    pub(super) value: Vec<u8>,
    /// The revision that wrote it; the guard of every operation on it.
    pub(super) revision: i64,
}

/// One write, which holds only if the key is still as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operation {
    /// The key.
    pub(super) key: String,
    /// The new value; nothing deletes the key.
    pub(super) value: Option<String>,
    /// The revision that the key must still have; 0 for a key that must not be there.
    pub(super) revision: i64,
}

/// One key to be seen to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    /// The key in etcd.
    pub(super) key: String,
    /// What was read of it, what is wanted of it.
    pub(super) write: KeyWrite,
}

impl Wish {
    fn bytes(&self) -> usize {
        // The key stands in the comparison and in the operation.
        2 * self.key.len() + self.write.wanted.text().map_or(0, str::len)
    }

    fn read_bytes(&self) -> usize {
        self.write.read.as_ref().map_or(0, String::len)
    }
}

/// All that a dump is to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// The keys of each transaction, in order.
    pub(super) batches: Vec<Vec<Wish>>,
    /// Keys that cannot be stored, and why.
    pub(super) refused: Vec<(String, String)>,
}

/// Cuts what is wanted into transactions.
///
/// The order is: upstreams written, rules written, rules deleted, upstreams deleted. So at no moment does a rule that
/// was dumped name an upstream that is not there, wherever the sequence is cut.
pub(super) fn plan(keys: &Keys, writes: Vec<KeyWrite>) -> Plan {
    let mut plan = Plan::default();
    let mut stages: [Vec<Wish>; 4] = Default::default();
    for write in writes {
        let key = Key::of(&write.wanted);
        let written = keys.write(&key);
        if !keys.holds(&key) && write.wanted.text().is_some() {
            let why = "this name cannot be stored (an empty part, a part that begins with @, or a slash)";
            plan.refused.push((write.wanted.name(), why.to_owned()));
            continue;
        }
        let stage = match (&key, write.wanted.text()) {
            (Key::Server { .. }, Some(_)) => 0,
            (Key::Rule { .. }, Some(_)) => 1,
            (Key::Rule { .. }, None) => 2,
            (Key::Server { .. }, None) => 3,
        };
        if let Some(stage) = stages.get_mut(stage) {
            stage.push(Wish { key: written, write });
        }
    }
    let (mut bytes, mut read) = (0, 0);
    for wish in stages.into_iter().flatten() {
        (bytes, read) = (bytes + wish.bytes(), read + wish.read_bytes());
        match plan.batches.last_mut() {
            Some(batch) if batch.len() < BATCH_KEYS && bytes <= BATCH_BYTES && read <= READ_BYTES => {
                batch.push(wish);
            }
            _ => {
                (bytes, read) = (wish.bytes(), wish.read_bytes());
                plan.batches.push(vec![wish]);
            }
        }
    }
    plan
}

/// What is to be done about a batch as its keys are now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Merged {
    /// What is to be written, all or nothing.
    pub(super) operations: Vec<Operation>,
    /// Changes that cannot be made, because the key is not what was read.
    pub(super) conflicts: Vec<KeyChange>,
}

/// Merges what was read, what is wanted, and what is there now.
pub(super) fn merge(batch: &[Wish], there: &BTreeMap<String, Present>) -> Merged {
    let mut merged = Merged::default();
    for Wish { key, write } in batch {
        let present = there.get(key);
        let now = present.map(|present| text(&present.value));
        let wanted = write.wanted.text();
        if now == write.read {
            if !write.is_check() {
                let revision = present.map_or(0, |present| present.revision);
                merged.operations.push(Operation {
                    key: key.clone(),
                    value: wanted.map(str::to_owned),
                    revision,
                });
            }
        } else if now.as_deref() != wanted {
            merged.conflicts.push(write.wanted.clone());
        }
    }
    merged
}

/// A value as text. Bytes that are none become a text that no reader of rules or servers accepts, so that the key is
/// rejected by name instead of being half understood.
pub(super) fn text(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(error) => format!("\u{fffd} not UTF-8 at byte {}", error.valid_up_to()),
    }
}

#[cfg(test)]
mod tests;
