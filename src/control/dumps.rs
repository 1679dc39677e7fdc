//! Dumps: who waits for one, the one under way, and what became of the changes of those who wait.
//!
//! One dump is under way at a time, and all who ask meanwhile share the next. It carries the edits that are pending and
//! nothing else (see `model::State::to_write`), so events of the store go on being applied beside it. It is over when the
//! store has said of every key it wrote, or could not write, what that key is now: from then on both hold the same.
//!
//! Of an edit here and a change there, the one that this ELB learns of later wins. A key that somebody else changed before
//! the dump came to it is therefore left alone: that change was not known when the edit was made, so it counts as the later
//! one; it is applied as soon as it is heard, the edit gives way, and whoever waits for it is told.
//!
//! It owns the order of dumps and those answers, never a key or a connection. Next: [`hub`](super::hub) calls it,
//! [`store`](super::store) carries out.

use std::collections::BTreeSet;
use std::mem;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use super::replies::DumpError;
use super::store::{Dumped, StoreCommand};
use crate::model::{Contents, KeyChange, KeyWrite, Named, State};

/// How many times a dump writes again what others changed while it was under way and what is still edited.
const ROUNDS: u32 = 5;
/// How long the store may take to report what a dump wrote; then it is read again.
const HEAR: Duration = Duration::from_secs(5);

/// How much longer a dump may take for each edit that is pending when it is asked for: a transaction of etcd takes 120
/// keys, and a disk that is busy some 50 ms; twice that.
const EACH_EDIT: Duration = Duration::from_millis(1);
/// The same for each domain and upstream: a file is read and written whole, some 100,000 of them in a second.
const EACH_KEY: Duration = Duration::from_micros(20);

/// How much longer than a small one a dump may take when so many edits are pending, and so much is served.
pub(super) fn longer(edits: usize, keys: usize) -> Duration {
    let each = |cost: Duration, count| cost.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
    each(EACH_EDIT, edits).saturating_add(each(EACH_KEY, keys))
}

/// Someone who waits for what was changed until now to be in the store.
#[derive(Debug)]
struct Waiter {
    named: Named,
    /// Keys among those named where the edit gave way to a later change of the store.
    lost: BTreeSet<String>,
    reply: oneshot::Sender<Result<i64, DumpError>>,
}

/// A dump that the store has been told to make.
#[derive(Debug)]
struct Round {
    waiters: Vec<Waiter>,
    /// Rounds that may follow.
    left: u32,
    /// Keys whose event has not come from the store since they were sent; without texts.
    awaiting_event: Vec<KeyChange>,
    /// Keys that were only to be looked at; without texts.
    checks: Vec<KeyChange>,
    ended: Option<Ended>,
}

/// What the store has answered.
#[derive(Debug)]
struct Ended {
    dumped: Dumped,
    /// How many loads had come by then: another one says everything.
    loads: u64,
    /// Since when the store is waited for.
    since: Instant,
}

/// What a dump has to know of the store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    /// What was read last, if it is held back from the state.
    pub(super) held: Option<&'a Contents>,
    /// Why the store is not there, if so.
    pub(super) down: Option<&'a str>,
    /// Its revision, as last heard of.
    pub(super) revision: i64,
    /// How many times all of it was read.
    pub(super) loads: u64,
    /// At which revision that was last.
    pub(super) loaded_at: i64,
}

/// What has come of going on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Went {
    /// A dump has ended.
    pub(super) ended: bool,
    /// What is served is different now.
    pub(super) changed: bool,
}

/// All dumps.
#[derive(Debug)]
pub(super) struct Dumps {
    store: mpsc::Sender<StoreCommand>,
    waiting: Vec<Waiter>,
    running: Option<Round>,
}

impl Dumps {
    /// No dump. `store` takes commands for the store.
    pub(super) fn new(store: mpsc::Sender<StoreCommand>) -> Dumps {
        Dumps { store, waiting: Vec::new(), running: None }
    }

    /// Somebody waits for what is `named` to be in the store, as it is now or as it is changed later. `was_read`: it is
    /// known what the store holds.
    pub(super) fn ask(&mut self, named: Named, was_read: bool) -> oneshot::Receiver<Result<i64, DumpError>> {
        let (reply, outcome) = oneshot::channel();
        if !was_read {
            // The receiver is still there: it is returned below.
            let _ = reply.send(Err(DumpError::Unread));
            return outcome;
        }
        self.waiting.push(Waiter { named, lost: BTreeSet::new(), reply });
        outcome
    }

    /// Whether anybody waits.
    pub(super) fn is_awaited(&self) -> bool {
        self.running.is_some() || !self.waiting.is_empty()
    }

    /// Edits of these keys gave way; and these others were changed by somebody else, though no edit of them was pending:
    /// what was put may have been just what the store had held until then.
    pub(super) fn gave_way(&mut self, edits: &[String], others: &[String]) {
        let running = self.running.iter_mut().flat_map(|round| &mut round.waiters);
        for waiter in self.waiting.iter_mut().chain(running) {
            let all = waiter.named.all;
            waiter.lost.extend(edits.iter().filter(|key| all || waiter.named.names(key)).cloned());
            waiter.lost.extend(others.iter().filter(|key| waiter.named.names(key)).cloned());
        }
    }

    /// The store has answered.
    pub(super) fn ended(
        &mut self,
        state: &mut State,
        known: Known<'_>,
        outcome: Result<Dumped, String>,
        now: Instant,
    ) {
        let Some(round) = &mut self.running else { return };
        let checks = mem::take(&mut round.checks);
        match outcome {
            Ok(dumped) => {
                let conflicts: BTreeSet<String> = dumped.conflicts.iter().map(KeyChange::name).collect();
                checks
                    .iter()
                    .filter(|key| !conflicts.contains(&key.name()))
                    .for_each(|key| state.unsend(key));
                let refused: BTreeSet<&str> = dumped.refused.iter().map(|(name, _)| name.as_str()).collect();
                if !refused.is_empty() {
                    let refused =
                        round.awaiting_event.iter().filter(|key| refused.contains(key.name().as_str()));
                    refused.for_each(|key| state.unsend(key));
                }
                round.ended = Some(Ended { dumped, loads: known.loads, since: now });
            }
            Err(reason) => {
                checks.iter().for_each(|key| state.unsend(key));
                let waiters = self.running.take().map(|round| round.waiters).unwrap_or_default();
                warn!("the store did not take the dump: {reason}");
                for waiter in waiters {
                    answer(waiter, Err(DumpError::Failed(reason.clone())));
                }
            }
        }
    }

    /// Goes on as far as is possible now.
    pub(super) fn settle(&mut self, state: &mut State, known: Known<'_>, now: Instant) -> Went {
        let was_running = self.running.is_some();
        let changed = self.finish(state, known, now);
        let ended = was_running && self.running.is_none();
        if self.running.is_none() && !self.waiting.is_empty() {
            let waiters = mem::take(&mut self.waiting);
            self.begin(state, known, waiters, ROUNDS);
        }
        Went { ended, changed }
    }

    fn begin(&mut self, state: &mut State, known: Known<'_>, waiters: Vec<Waiter>, left: u32) {
        let mut named = Named::default();
        waiters.iter().for_each(|waiter| named.add(&waiter.named));
        let writes = state.to_write(&named, known.held);
        if writes.is_empty() {
            for waiter in waiters {
                let outcome = known.down.map_or(Ok(known.revision), |down| {
                    Err(DumpError::Failed(format!("there was nothing to write, and it is down: {down}")))
                });
                answer(waiter, outcome);
            }
            return;
        }
        let key = |write: &KeyWrite| write.wanted.without_text();
        let checks = writes.iter().filter(|write| write.is_check()).map(key).collect();
        let awaiting_event = writes.iter().map(key).collect();
        state.send(&writes);
        if let Err(error) = self.store.try_send(StoreCommand::Dump { writes }) {
            let (mpsc::error::TrySendError::Full(unsent) | mpsc::error::TrySendError::Closed(unsent)) = error;
            if let StoreCommand::Dump { writes } = unsent {
                writes.iter().for_each(|write| state.unsend(&write.wanted));
            }
            for waiter in waiters {
                answer(waiter, Err(DumpError::Busy));
            }
            return;
        }
        self.running = Some(Round { waiters, left, awaiting_event, checks, ended: None });
    }

    /// Ends the dump under way if everything was heard of it; or begins it anew for what is still to be written. Says
    /// whether what is served is different now.
    fn finish(&mut self, state: &mut State, known: Known<'_>, now: Instant) -> bool {
        let Some(Round { awaiting_event, ended: Some(ended), .. }) = &mut self.running else { return false };
        awaiting_event.retain(|key| state.is_away(key));
        let is_listed = known.loaded_at >= ended.dumped.revision;
        let is_over =
            awaiting_event.is_empty() || is_listed || known.loads > ended.loads || known.down.is_some();
        if !is_over {
            if now >= ended.since + HEAR {
                ended.since = now;
                // It is asked again after a while if it does not take the question.
                let _ = self.store.try_send(StoreCommand::Resync);
            }
            return false;
        }
        let Some(Round { mut waiters, left, awaiting_event, ended: Some(ended), .. }) = self.running.take()
        else {
            return false;
        };
        let Dumped { revision, conflicts, refused } = ended.dumped;
        let conflicts: BTreeSet<String> = conflicts.iter().map(KeyChange::name).collect();
        let mut changed = false;
        // Written, and not there when all was listed after it.
        for key in awaiting_event.iter().filter(|key| is_listed && !conflicts.contains(&key.name())) {
            let outcome = state.give_way(key);
            changed |= outcome.changed;
            let name = key.name();
            let concerned = |waiter: &&mut Waiter| {
                waiter.named.names(&name) || (waiter.named.all && !outcome.overridden.is_empty())
            };
            waiters.iter_mut().chain(&mut self.waiting).filter(concerned).for_each(|waiter| {
                waiter.lost.insert(name.clone());
            });
        }
        let writes =
            if conflicts.is_empty() { Vec::new() } else { state.to_write(&Named::default(), known.held) };
        let pending: Vec<String> =
            writes.iter().map(|write| write.wanted.name()).filter(|name| conflicts.contains(name)).collect();
        if !pending.is_empty() && left > 0 && known.down.is_none() {
            self.begin(state, known, waiters, left - 1);
            return changed;
        }
        info!("dumped at revision {revision}; {} unsaved changes since", state.pending_edits());
        for mut waiter in waiters {
            let named = |name: &&String| waiter.named.names(name);
            let covered = |name: &str| waiter.named.all || waiter.named.names(name);
            let outcome = if let Some((name, why)) = refused.iter().find(|(name, _)| covered(name)) {
                Err(DumpError::Failed(format!("{name}: {why}")))
            } else if let Some(name) = pending.iter().find(|name| covered(name)) {
                Err(DumpError::Failed(format!("others change {name} faster than it can be written")))
            } else {
                Ok(revision)
            };
            let lost: Vec<String> = conflicts.iter().filter(named).cloned().collect();
            waiter.lost.extend(lost);
            answer(waiter, outcome);
        }
        changed
    }
}

fn answer(waiter: Waiter, outcome: Result<i64, DumpError>) {
    let Waiter { lost, reply, .. } = waiter;
    let outcome = match outcome {
        Ok(_) if !lost.is_empty() => Err(DumpError::GaveWay(lost.into_iter().collect())),
        other => other,
    };
    // If nobody waits any more, the dump was made all the same.
    let _ = reply.send(outcome);
}

#[cfg(test)]
mod tests;
