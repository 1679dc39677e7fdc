//! What the store says, on its way into the state: who is heard, what is held back, what the operator is told.
//!
//! It owns where the store layer comes from, the course of a hold and the alarms about the store; never a connection,
//! and never how texts are read (that is the model's). Next: [`held`](super::held), [`removals`](super::removals) and
//! [`rejections`](super::rejections) judge and count, [`hub`](super::hub) carries on with what changed.

use std::fmt;
use std::time::{Duration, Instant};

use tracing::info;

use super::alarms::{Alarms, Subject};
use super::dumps::Known;
use super::held::Held;
use super::live::{Live, Losses, ServerKey};
use super::rejections::Rejections;
use super::removals::Removals;
use super::replies::Heard;
use super::store::StoreEvent;
use crate::model::{Contents, Dropped, KeyChange, State, StoreOutcome};

/// The store as it was last heard of.
#[derive(Debug, Default)]
pub(super) struct StoreGuard {
    source: Source,
    /// Why the store is not there; nothing while it is.
    down: Option<String>,
    held: Option<Held>,
    removals: Removals,
    losses: Losses,
    rejections: Rejections,
    /// What came so far.
    heard: Heard,
    /// The store's revision of what it said last.
    revision: i64,
    /// The revision at which all of it was read last.
    loaded_at: i64,
    /// Edits that gave way, and other keys that somebody changed, since this was asked.
    overridden: (Vec<String>, Vec<String>),
}

/// Where the store layer comes from.
#[derive(Debug, Default, PartialEq, Eq)]
enum Source {
    #[default]
    Nothing,
    /// With what is in it, for people.
    StateFile(String),
    /// The process whose place this one takes; the same.
    Handover(String),
    Store,
}

impl StoreGuard {
    /// What said last what there is.
    pub(super) fn origin(&self) -> Option<&'static str> {
        match self.source {
            Source::Nothing => None,
            Source::StateFile(_) => Some("state-file"),
            Source::Handover(_) => Some("handover"),
            Source::Store => Some("store"),
        }
    }

    /// Whether a store or a state file has said what there is.
    pub(super) fn has_source(&self) -> bool {
        self.source != Source::Nothing
    }

    /// Takes an event. True when what is served has changed.
    pub(super) fn event(
        &mut self,
        state: &mut State,
        alarms: &mut Alarms,
        event: StoreEvent,
        live: &Live,
        now: Instant,
    ) -> bool {
        match event {
            StoreEvent::Loaded { contents, revision } => {
                self.loaded(state, alarms, contents, (revision, live), now)
            }
            StoreEvent::Changed { changes, revision } => {
                self.up(alarms, revision);
                if let Some(held) = &mut self.held {
                    held.apply(&changes, now);
                }
                let changes = self.spare(state, alarms, changes, live, now);
                let others = changes.iter().filter(|change| !state.is_away(change));
                self.removals.note(others, state, now);
                let outcome = state.store_changed(changes);
                self.tell(state, alarms, outcome, now)
            }
            // It changes nothing; `dumps` hears of it.
            StoreEvent::Dumped(_) => false,
            StoreEvent::Down { reason } => {
                self.lost(alarms, &reason);
                false
            }
        }
    }

    /// Holds back what a store takes away of live traffic key by key, if that is too much; gives what is to be taken.
    fn spare(
        &mut self,
        state: &State,
        alarms: &mut Alarms,
        changes: Vec<KeyChange>,
        live: &Live,
        now: Instant,
    ) -> Vec<KeyChange> {
        // What comes back from a dump was meant.
        let is_other = |change: &&KeyChange| !state.is_away(change);
        self.losses.forget_old(now);
        let is_there = |(upstream, server): &ServerKey| state.stores_server(upstream, server);
        let gone = live.removed(changes.iter().filter(is_other), is_there);
        let stranded = live.without(&gone, &self.losses);
        let is_held = self.held.as_ref().is_some_and(Held::is_live);
        if !is_held && (gone.is_empty() || self.held.is_some() || !stranded.is_too_much()) {
            self.losses.add(gone, &changes, is_there, now);
            return changes;
        }
        if !is_held {
            let mut contents = state.as_read();
            changes.iter().for_each(|change| contents.apply(change.clone()));
            let held = Held::of_live(contents, gone, stranded, now);
            alarms.raise(Subject::Held, held.to_string());
            self.held = Some(held);
        }
        changes.into_iter().filter(|change| !change.is_removal() || state.is_away(change)).collect()
    }

    fn loaded(
        &mut self,
        state: &mut State,
        alarms: &mut Alarms,
        contents: Contents,
        (revision, live): (i64, &Live),
        now: Instant,
    ) -> bool {
        self.heard.loads += 1;
        self.loaded_at = revision;
        let first = self.source != Source::Store;
        self.up(alarms, revision);
        self.losses.forget_old(now);
        match Held::judge(contents, state, live, &self.losses, now) {
            Ok(held) => {
                alarms.raise(Subject::Held, held.to_string());
                self.held = Some(held);
                false
            }
            Err(contents) => {
                self.released(alarms);
                if first {
                    let (domains, upstreams) = (contents.rules.len(), contents.upstreams.len());
                    info!("loaded {domains} domains and {upstreams} upstreams at revision {revision}");
                }
                self.accept(state, alarms, contents, now)
            }
        }
    }

    fn released(&mut self, alarms: &mut Alarms) {
        self.held = None;
        alarms.clear(
            Subject::Held,
            "the store holds the domains and upstreams again; nothing is held back any more",
        );
    }

    fn accept(&mut self, state: &mut State, alarms: &mut Alarms, contents: Contents, now: Instant) -> bool {
        self.source = Source::Store;
        let outcome = state.load(contents);
        self.tell(state, alarms, outcome, now)
    }

    /// Takes what a state file kept from an earlier life, `age` ago: it serves until the store is there, and what the
    /// store says then is judged against it.
    pub(super) fn remember(
        &mut self,
        state: &mut State,
        alarms: &mut Alarms,
        contents: Contents,
        age: Duration,
        now: Instant,
    ) {
        let (domains, upstreams) = (contents.rules.len(), contents.upstreams.len());
        let age = age.as_secs();
        let told = format!("{domains} domains and {upstreams} upstreams of the state file, {age} s old");
        self.source = Source::StateFile(told);
        let outcome = state.load(contents);
        self.tell(state, alarms, outcome, now);
    }

    /// Takes what the process had whose place this one takes: last good values, and then what was read to the letter. It serves until the
    /// store is there, and what the store says then is judged against it.
    pub(super) fn inherit(
        &mut self,
        state: &mut State,
        alarms: &mut Alarms,
        (good, read): (Contents, Contents),
        revision: i64,
        now: Instant,
    ) {
        let (domains, upstreams) = (good.rules.len(), good.upstreams.len());
        let told = format!("{domains} domains and {upstreams} upstreams of the process before this one");
        (self.source, self.revision) = (Source::Handover(told), revision);
        state.load(good);
        let outcome = state.load(read);
        self.tell(state, alarms, outcome, now);
    }

    /// The store is not there. One line, however often it is said.
    pub(super) fn lost(&mut self, alarms: &mut Alarms, reason: &str) {
        self.heard.failures += 1;
        alarms.raise(Subject::Store, format!("the store is down ({reason}); serving {}", self.source));
        self.down = Some(reason.to_owned());
    }

    fn up(&mut self, alarms: &mut Alarms, revision: i64) {
        self.revision = revision;
        if self.down.take().is_some() {
            alarms.clear(Subject::Store, &format!("the store is back, at revision {revision}"));
        }
    }

    /// The log and the alarm of rejected keys; notes which edits gave way. True when what is served has changed.
    fn tell(&mut self, state: &State, alarms: &mut Alarms, outcome: StoreOutcome, now: Instant) -> bool {
        self.rejections.tell(&outcome, self.revision, now);
        self.overridden.0.extend(outcome.overridden);
        self.overridden.1.extend(outcome.others.into_iter().flatten());
        if outcome.rejected.is_empty() && outcome.accepted.is_empty() {
            return outcome.changed;
        }
        match state.rejected().len() {
            0 => alarms.clear(Subject::Rejected, "no key of the store is rejected any more"),
            1 => alarms.note(
                Subject::Rejected,
                "1 key of the store is rejected; GET /__erulb__/rejected says why".to_owned(),
            ),
            count => alarms.note(
                Subject::Rejected,
                format!("{count} keys of the store are rejected; GET /__erulb__/rejected says why"),
            ),
        }
        outcome.changed
    }

    /// Time has passed: a hold may be over, and what was removed one by one may have become too much. True when what is
    /// served has changed.
    pub(super) fn tick(&mut self, state: &mut State, alarms: &mut Alarms, now: Instant) -> bool {
        let removed = self.removals.alarming(state);
        match removed {
            Some(Dropped { domains, of_domains, upstreams, of_upstreams }) => alarms.raise(
                Subject::Removed,
                format!(
                    "{domains} of {of_domains} domains and {upstreams} of {of_upstreams} upstreams were removed from the \
                     store, and are served no more; PUT /__erulb__/resync?confirm=1 says that it was meant"
                ),
            ),
            None => alarms.clear(Subject::Removed, "most of what was removed from the store is back"),
        }
        let Some(mut held) = self.held.take() else { return false };
        if held.is_over(state, now) {
            self.released(alarms);
            return self.accept(state, alarms, held.contents(), now);
        }
        alarms.raise(Subject::Held, held.to_string());
        self.held = Some(held);
        false
    }

    /// Applies what is held back, and takes what was removed for meant. `None` when nothing is held, else whether what is
    /// served has changed.
    pub(super) fn confirm(&mut self, state: &mut State, alarms: &mut Alarms, now: Instant) -> Option<bool> {
        self.removals.forget();
        self.losses = Losses::default();
        alarms.clear(Subject::Removed, "confirmed: what was removed from the store is gone");
        let held = self.held.take()?;
        let Dropped { domains, upstreams, .. } = state.would_drop(held.peek());
        alarms.clear(Subject::Held, &format!("confirmed: {domains} domains and {upstreams} upstreams go"));
        Some(self.accept(state, alarms, held.contents(), now))
    }

    /// Edits that gave way to changes of the store, and keys that others changed, since this was asked.
    pub(super) fn take_overridden(&mut self) -> (Vec<String>, Vec<String>) {
        std::mem::take(&mut self.overridden)
    }

    /// What a dump has to know of the store.
    pub(super) fn known(&self) -> Known<'_> {
        Known {
            held: self.held.as_ref().map(Held::peek),
            down: self.down.as_deref(),
            revision: self.revision,
            loads: self.heard.loads,
            loaded_at: self.loaded_at,
        }
    }

    /// Is it known what the store holds?
    pub(super) fn was_read(&self) -> bool {
        self.source == Source::Store || self.held.is_some()
    }

    /// Why the store is not there, if it is not.
    pub(super) fn down(&self) -> Option<&str> {
        self.down.as_deref()
    }

    /// The store's revision of what it said last.
    pub(super) fn revision(&self) -> i64 {
        self.revision
    }

    /// What the store said so far.
    pub(super) fn heard(&self) -> Heard {
        self.heard
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "no stored rules",
            Self::StateFile(told) | Self::Handover(told) => told,
            Self::Store => "what it held last",
        })
    }
}
