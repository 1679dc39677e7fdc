//! Carries a dump out in etcd: read the keys it is about, merge, commit in guarded transactions.
//!
//! It owns the course of one dump, never the merging itself (`merge`) and never the watch: a dump has a connection of
//! its own, so neither waits for the other. It has no deadline as a whole, for fifty thousand keys take longer than
//! one; every step has. Next: [`merge`](super::merge) says what is written and in which order,
//! [`connection`](super::connection) does it.

use std::sync::Arc;

use super::connection::{Commit, Connection, Refusal, denied};
use super::keys::Keys;
use super::merge::{Wish, merge, plan};
use super::options::EtcdOptions;
use super::port::Dumped;
use crate::model::{KeyChange, KeyWrite};

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
    let (_, connection) = Connection::soon(options, &keys.data(), first).await?;
    reached();
    let mut course = Course::over(connection);
    course.dumped.refused = plan.refused;
    match course.take(plan.batches, |_| true).await {
        Ok(()) => Ok(course.dumped),
        Err(reason) => {
            let reason = denied(reason, options, &format!("write below /{}/", options.name));
            Err(format!("{reason}; {} of {all} keys were seen to", course.seen))
        }
    }
}

/// Keys that are being written over one connection.
pub(super) struct Course {
    connection: Connection,
    /// What came of them so far.
    pub(super) dumped: Dumped,
    /// Keys that were seen to.
    pub(super) seen: usize,
    /// Keys that were written, of these.
    pub(super) written: usize,
}

impl Course {
    /// Nothing was seen to yet.
    pub(super) fn over(connection: Connection) -> Course {
        Course { connection, dumped: Dumped::default(), seen: 0, written: 0 }
    }

    /// Sees to all, a transaction each, for as long as `go_on` says so, which is told how many keys were seen to.
    ///
    /// # Errors
    /// What went wrong, for people.
    pub(super) async fn take(
        &mut self,
        batches: Vec<Vec<Wish>>,
        mut go_on: impl FnMut(usize) -> bool,
    ) -> Result<(), String> {
        let mut left: Vec<Vec<Wish>> = batches.into_iter().rev().collect();
        while let Some(batch) = left.pop() {
            if !go_on(self.seen) {
                return Ok(());
            }
            match self.batch(&batch).await {
                Ok(()) => self.seen += batch.len(),
                // Smaller ones may pass, and one object that is too large shall not hold up the others.
                Err(Refusal::ThisMuch(_)) if batch.len() > 1 => {
                    let (before, after) = batch.split_at(batch.len() / 2);
                    left.extend([after.to_vec(), before.to_vec()]);
                }
                Err(Refusal::ThisMuch(why)) => {
                    let refused = batch.iter().map(|wish| (wish.write.wanted.name(), why.clone()));
                    self.dumped.refused.extend(refused);
                    self.seen += batch.len();
                }
                Err(Refusal::Other(reason)) => return Err(reason),
            }
        }
        Ok(())
    }

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
                self.written += merged.operations.len();
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
