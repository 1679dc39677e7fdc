//! Carries a dump out in etcd: read the keys it is about, merge, commit in guarded transactions.
//!
//! It owns the course of one dump, never the merging itself (`merge`) and never the watch: a dump has a connection of
//! its own, so neither waits for the other. It has no deadline as a whole, for fifty thousand keys take longer than
//! one; every step has. Next: [`merge`](super::merge) says what is written and in which order,
//! [`connection`](super::connection) does it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::connection::{Commit, Connection, Refusal, denied};
use super::keys::Keys;
use super::merge::{Wish, merge, plan};
use super::options::EtcdOptions;
use super::port::Dumped;
use crate::model::{KeyChange, KeyWrite};

/// How long the endpoints may take together until one of them has answered for the first time.
pub(super) const FIRST: Duration = Duration::from_secs(2);
/// How often a batch is merged again because somebody changed one of its keys between the reading and the commit.
const TRIES: usize = 8;

/// Writes what is wanted, key by key, and gives what came of it. Endpoints are asked side by side, beginning with the one
/// whose number is `first`; `reached` is told when one has answered.
///
/// # Errors
/// What went wrong, for people. Whatever was written by then is a beginning, and the next dump goes on from there. Of the
/// last transaction it may be unknown whether it was carried out.
pub(super) async fn dump(
    options: &Arc<EtcdOptions>,
    first: usize,
    writes: Vec<KeyWrite>,
    reached: impl Fn(),
) -> Result<Dumped, String> {
    let all = writes.len();
    let keys = Keys::new(&options.name);
    let plan = plan(&keys, writes);
    let (_, connection) = timeout(FIRST, Connection::first_to_answer(options, &keys.data(), first))
        .await
        .map_err(|_| format!("no endpoint has answered in {} ms", FIRST.as_millis()))??;
    reached();
    let dumped = Dumped { refused: plan.refused, ..Dumped::default() };
    let mut course = Course { connection, dumped };
    let mut left: Vec<Vec<Wish>> = plan.batches.into_iter().rev().collect();
    let mut seen = 0;
    while let Some(batch) = left.pop() {
        match course.batch(&batch).await {
            Ok(()) => seen += batch.len(),
            // Smaller ones may pass, and one object that is too large shall not hold up the others.
            Err(Refusal::ThisMuch(_)) if batch.len() > 1 => {
                let (before, after) = batch.split_at(batch.len() / 2);
                left.extend([after.to_vec(), before.to_vec()]);
            }
            Err(Refusal::ThisMuch(why)) => {
                course
                    .dumped
                    .refused
                    .extend(batch.iter().map(|wish| (wish.write.wanted.name(), why.clone())));
                seen += batch.len();
            }
            Err(Refusal::Other(reason)) => {
                let reason = denied(reason, options, &format!("write below /{}/", options.name));
                return Err(format!("{reason}; {seen} of {all} keys were seen to"));
            }
        }
    }
    Ok(course.dumped)
}

/// A dump under way.
struct Course {
    connection: Connection,
    dumped: Dumped,
}

impl Course {
    /// Sees to the keys of one transaction.
    async fn batch(&mut self, batch: &[Wish]) -> Result<(), Refusal> {
        for _ in 0..TRIES {
            let keys: Vec<&str> = batch.iter().map(|wish| wish.key.as_str()).collect();
            let (there, read_at) = self.connection.read(&keys).await?;
            let merged = merge(batch, &there);
            if merged.operations.is_empty() {
                self.done(read_at, merged.conflicts);
                return Ok(());
            }
            if let Commit::Done(revision) = self.connection.commit(&merged.operations).await? {
                self.done(revision, merged.conflicts);
                return Ok(());
            }
        }
        Err(Refusal::ThisMuch("it is changed faster than it can be read".to_owned()))
    }

    fn done(&mut self, revision: i64, conflicts: Vec<KeyChange>) {
        self.dumped.revision = revision;
        self.dumped.conflicts.extend(conflicts);
    }
}
