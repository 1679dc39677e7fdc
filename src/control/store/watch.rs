//! What to do next about etcd: list, watch, listen, rest, begin again. A state machine without a connection.
//!
//! It owns the order of steps, the back-off, the grouping of changes and the decision that etcd is gone; never a
//! socket, a clock, chance or a log: time and chance are arguments, and what is to be said or sent comes out as a
//! [`Step`]. Next: [`etcd`](super::etcd) carries the steps out and reports what came of them.
//!
//! ```text
//!          ┌──────── failed, rest a while ◄───────────┐
//!          ▼                                          │ failed before it was steady
//! Rest ─► List ── listed ──► Watch ── opened ──► Follow
//!          ▲                                          │ canceled, ended, silent, or a smaller revision
//!          └──────────────────────────────────────────┘
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::port::StoreEvent;
use crate::model::{Contents, KeyChange};

/// A change that comes after this long without one is published at once. Those that follow it more closely wait for each
/// other: they are published when none came for this long …
const GROUP_QUIET: Duration = Duration::from_millis(5);
/// … and at the latest this long after the first that waits.
const GROUP_LONGEST: Duration = Duration::from_millis(50);
/// The first rest after a failure; it doubles up to [`REST_LONGEST`].
const REST_FIRST: Duration = Duration::from_millis(100);
/// The longest rest between two attempts: after an outage nobody waits longer for etcd's changes than this and an
/// attempt, and an attempt that meets nobody is one small question to each endpoint.
const REST_LONGEST: Duration = Duration::from_secs(2);
/// A watch that lasted this long worked: when it breaks, the next attempt is made at once.
const STEADY: Duration = Duration::from_secs(1);

/// How often etcd is asked whether it is still there, and how long the answer may take.
#[derive(Debug, Clone, Copy)]
pub struct Pulse {
    /// From one question to the next.
    pub every: Duration,
    /// From a question to the conclusion that nobody answers.
    pub silence: Duration,
}

/// What the caller is to do next.
#[derive(Debug)]
pub(super) enum Step {
    /// Send this to the control loop.
    Report(StoreEvent),
    /// Log this.
    Say(Note),
    /// Do nothing until then, and call [`Core::rested`]; [`Core::resync`] may end it early.
    Rest(Instant),
    /// Read everything from the first endpoint that answers, beginning to ask with this one, and call [`Core::listed`]; or
    /// [`Core::failed`] when none has.
    List(usize),
    /// Watch from this revision on at the same endpoint, and call [`Core::opened`] or [`Core::failed`].
    Watch(i64),
    /// Ask for progress on the watch; call [`Core::failed`] if that is not possible.
    Ask,
    /// Wait for a message and call [`Core::heard`] or [`Core::failed`]; if none has come by then, [`Core::quiet`].
    Listen(Instant),
}

/// One line of the log: a change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Note {
    /// The store was read, for the first time or after it was lost.
    Connected {
        /// Where.
        endpoint: usize,
        /// At which revision.
        revision: i64,
    },
    /// Everything is read again, and this is why.
    Again(String),
    /// The revision went backwards: etcd was wiped, or restored from an older copy.
    Backwards {
        /// What it was.
        from: i64,
        /// What it is.
        to: i64,
    },
    /// No endpoint answers; a round of all of them has failed.
    Down(String),
}

/// A message of the watch.
#[derive(Debug)]
pub(super) enum Heard {
    /// Keys changed; only those that are data, so there may be none.
    Changes {
        /// The changes, in order.
        changes: Vec<KeyChange>,
        /// The revision of the last of them.
        revision: i64,
    },
    /// The watch lives, and this is etcd's revision.
    Progress(i64),
    /// The watch ended. What follows on its stream would be silence.
    Canceled(String),
}

#[derive(Debug)]
enum Phase {
    Rest(Instant),
    List,
    Watch,
    Follow(Follow),
}

/// A running watch.
#[derive(Debug)]
struct Follow {
    since: Instant,
    ask_at: Instant,
    /// The oldest question that was not answered by anything.
    asked: Option<Instant>,
    /// When changes came last.
    changed: Option<Instant>,
    group: Option<Group>,
}

/// Changes that wait for their neighbours.
#[derive(Debug)]
struct Group {
    changes: Vec<KeyChange>,
    revision: i64,
    first: Instant,
    last: Instant,
}

/// The state of one store's watch.
#[derive(Debug)]
pub(super) struct Core {
    phase: Phase,
    pulse: Pulse,
    endpoints: usize,
    endpoint: usize,
    /// Lists that failed since one succeeded.
    failures: u32,
    /// Somebody asked for a list and has not heard what came of it.
    wanted: bool,
    /// Watches that broke before they were steady, since one was.
    unsteady: u32,
    /// What the control loop was told last.
    up: bool,
    /// The newest revision that etcd was seen at.
    revision: i64,
    /// The newest revision of a list or a progress message. Events do not raise it: etcd 3.4 may deliver a progress
    /// message after events that are newer than it.
    floor: i64,
    out: VecDeque<Step>,
}

impl Core {
    /// Begins with a list. `endpoints` is their number, at least one.
    pub(super) fn new(endpoints: usize, pulse: Pulse) -> Core {
        Core {
            phase: Phase::List,
            pulse,
            endpoints: endpoints.max(1),
            endpoint: 0,
            failures: 0,
            wanted: false,
            unsteady: 0,
            up: false,
            revision: 0,
            floor: 0,
            out: VecDeque::new(),
        }
    }

    /// What to do next. The answer is the same until one of the other functions is called, except that a
    /// [`Step::Report`], [`Step::Say`] or [`Step::Ask`] comes once.
    pub(super) fn step(&mut self) -> Step {
        if let Some(step) = self.out.pop_front() {
            return step;
        }
        match &self.phase {
            Phase::Rest(until) => Step::Rest(*until),
            Phase::List => Step::List(self.endpoint),
            Phase::Watch => Step::Watch(self.revision + 1),
            Phase::Follow(follow) => Step::Listen(follow.next(self.pulse)),
        }
    }

    /// The rest is over.
    pub(super) fn rested(&mut self) {
        if matches!(self.phase, Phase::Rest(_)) {
            self.phase = Phase::List;
        }
    }

    /// Everything was read from this endpoint, at `revision`.
    pub(super) fn listed(&mut self, endpoint: usize, contents: Contents, revision: i64) {
        self.endpoint = endpoint;
        if revision < self.revision {
            self.say(Note::Backwards { from: self.revision, to: revision });
        }
        if !self.up {
            self.say(Note::Connected { endpoint: self.endpoint, revision });
        }
        self.up = true;
        self.wanted = false;
        self.failures = 0;
        self.revision = revision;
        self.floor = revision;
        self.out.push_back(Step::Report(StoreEvent::Loaded { contents, revision }));
        self.phase = Phase::Watch;
    }

    /// The watch is open.
    pub(super) fn opened(&mut self, now: Instant) {
        self.phase =
            Phase::Follow(Follow { since: now, ask_at: now, asked: None, changed: None, group: None });
    }

    /// A message came on the watch. `chance` is a random number from 0 to 1.
    pub(super) fn heard(&mut self, message: Heard, now: Instant, chance: f64) {
        let Phase::Follow(follow) = &mut self.phase else { return };
        follow.asked = None;
        match message {
            Heard::Canceled(reason) => self.broken(format!("the watch was canceled: {reason}"), now, chance),
            Heard::Progress(revision) if revision < self.floor => {
                let reason = format!("the revision went from {} back to {revision}", self.floor);
                self.broken(reason, now, chance);
            }
            Heard::Progress(revision) => {
                self.floor = revision;
                self.revision = self.revision.max(revision);
            }
            Heard::Changes { changes, revision } => {
                self.revision = self.revision.max(revision);
                if !changes.is_empty() && follow.gather(changes, revision, now) {
                    self.publish();
                }
            }
        }
    }

    /// For so long this task did not read the stream: the control loop did not take what was reported, or the machine did
    /// not run this thread. That time does not count as silence of etcd.
    pub(super) fn missed(&mut self, time: Duration) {
        if let Phase::Follow(Follow { asked: Some(asked), .. }) = &mut self.phase {
            *asked += time;
        }
    }

    /// The time of a [`Step::Listen`] has come and no message has.
    pub(super) fn quiet(&mut self, now: Instant, chance: f64) {
        let Phase::Follow(follow) = &mut self.phase else { return };
        let silence = self.pulse.silence;
        if follow.asked.is_some_and(|asked| now >= asked + silence) {
            self.endpoint = (self.endpoint + 1) % self.endpoints;
            return self.broken(format!("no sign of life for {} ms", silence.as_millis()), now, chance);
        }
        if now >= follow.ask_at {
            follow.ask_at = now + self.pulse.every;
            follow.asked = follow.asked.or(Some(now));
            self.out.push_back(Step::Ask);
        }
        if follow.group.as_ref().is_some_and(|group| now >= group.due()) {
            self.publish();
        }
    }

    /// A step could not be carried out, or the stream of the watch ended: the next endpoint may do better.
    pub(super) fn failed(&mut self, reason: String, now: Instant, chance: f64) {
        self.endpoint = (self.endpoint + 1) % self.endpoints;
        match self.phase {
            Phase::Rest(_) => {}
            Phase::List => self.list_failed(reason, now, chance),
            Phase::Watch | Phase::Follow(_) => self.broken(reason, now, chance),
        }
    }

    /// Read everything again, as soon as possible, and report what comes of it.
    pub(super) fn resync(&mut self) {
        self.publish();
        self.wanted = true;
        self.phase = Phase::List;
    }

    /// Every endpoint was asked, so the store is down, and the next round waits.
    fn list_failed(&mut self, reason: String, now: Instant, chance: f64) {
        self.failures = self.failures.saturating_add(1);
        if self.up || self.failures == 1 {
            self.say(Note::Down(reason.clone()));
        }
        if self.up || self.failures == 1 || self.wanted {
            self.out.push_back(Step::Report(StoreEvent::Down { reason }));
        }
        (self.up, self.wanted) = (false, false);
        self.phase = Phase::Rest(now + rest(self.failures, chance));
    }

    /// The watch is over; what it had brought is published, and everything is listed anew.
    fn broken(&mut self, reason: String, now: Instant, chance: f64) {
        self.publish();
        self.say(Note::Again(reason));
        let steady = matches!(&self.phase, Phase::Follow(follow) if now >= follow.since + STEADY);
        self.unsteady = if steady { 0 } else { self.unsteady.saturating_add(1) };
        self.phase = if steady { Phase::List } else { Phase::Rest(now + rest(self.unsteady, chance)) };
    }

    fn publish(&mut self) {
        if let Phase::Follow(Follow { group, .. }) = &mut self.phase
            && let Some(Group { changes, revision, .. }) = group.take()
        {
            self.out.push_back(Step::Report(StoreEvent::Changed { changes, revision }));
        }
    }

    fn say(&mut self, note: Note) {
        self.out.push_back(Step::Say(note));
    }
}

impl Follow {
    /// When something is due although no message comes.
    fn next(&self, pulse: Pulse) -> Instant {
        let silent = self.asked.map(|asked| asked + pulse.silence);
        let group = self.group.as_ref().map(Group::due);
        [silent, group].into_iter().flatten().fold(self.ask_at, Instant::min)
    }

    /// Adds to the changes that wait, and says whether they have waited enough.
    fn gather(&mut self, changes: Vec<KeyChange>, revision: i64, now: Instant) -> bool {
        let silence = self.changed.replace(now).is_none_or(|last| now >= last + GROUP_QUIET);
        let group =
            self.group.get_or_insert_with(|| Group { changes: Vec::new(), revision, first: now, last: now });
        group.changes.extend(changes);
        group.revision = revision;
        group.last = now;
        silence || now >= group.first + GROUP_LONGEST
    }
}

impl Group {
    fn due(&self) -> Instant {
        (self.last + GROUP_QUIET).min(self.first + GROUP_LONGEST)
    }
}

/// How long to rest after the `nth` failure in a row (from 1): doubled each time, and between half of that and all of
/// it, so that many ELBs do not come back at one moment.
pub(super) fn rest(nth: u32, chance: f64) -> Duration {
    let doublings = nth.saturating_sub(1).min(16);
    let longest = REST_FIRST.saturating_mul(1 << doublings).min(REST_LONGEST);
    longest.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
