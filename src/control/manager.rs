//! What the service manager is told: that every worker serves, how it goes, that it is over soon, and that it still turns.
//!
//! It owns when which is said (sd_notify(3), `Type=notify`), never the judgement that it rests on. Without `NOTIFY_SOCKET` there is
//! nobody to tell. Next: [`run`](super::run) asks at each turn, `tools/packaging/elb.service` is a unit that listens.

use std::env;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tracing::warn;

use super::hub::Hub;
use crate::readiness::{Readiness, Unready};

/// The service manager, if there is one.
#[derive(Debug)]
pub(super) struct Manager(Option<Course>);

impl Manager {
    /// The one that started this process, or the one before it, which it `takes_over` from: then nothing is said until
    /// [`Manager::arrive`].
    pub(super) fn of_this_process(takes_over: bool) -> Self {
        let listens = env::var_os("NOTIFY_SOCKET").is_some_and(|path| !path.is_empty());
        let arrival = if takes_over { Arrival::Waits } else { Arrival::Is };
        Self(listens.then(|| Course { arrival, ..Course::new(sd_notify::watchdog_enabled()) }))
    }

    /// This process is the one to listen to from now on.
    pub(super) fn arrive(&mut self) {
        if let Some(course) = &mut self.0 {
            course.arrival = Arrival::Due;
        }
    }

    /// Another process is the one to listen to from now on, and this one says nothing any more.
    pub(super) fn leave_to(&mut self, process: u32) {
        if self.0.take().is_some()
            && let Err(error) = sd_notify::notify(&[NotifyState::MainPid(process)])
        {
            warn!("the service manager cannot be told of the next process: {error}");
        }
    }

    /// Tells it what is new. `is_over`: the process was told to end.
    pub(super) fn look(&mut self, hub: &Hub, readiness: &Readiness, is_over: bool, now: Instant) {
        let Some(course) = &mut self.0 else { return };
        let told = course.due(&Seen::of(hub, readiness, is_over), now);
        if told.is_empty() {
            return;
        }
        let states: Vec<NotifyState<'_>> = told.iter().map(Told::state).collect();
        if let Err(error) = sd_notify::notify(&states) {
            warn!("the service manager cannot be told anything more: {error}");
            self.0 = None;
        }
    }
}

/// Where the process stands.
#[derive(Debug)]
struct Seen {
    /// Every worker serves what is there.
    serves: bool,
    is_over: bool,
    /// A worker does not turn.
    hangs: bool,
    status: String,
}

impl Seen {
    fn of(hub: &Hub, readiness: &Readiness, is_over: bool) -> Self {
        let (status, snapshot) = (hub.status(), hub.serves());
        let reasons: Vec<&str> = readiness.reasons().map(Unready::word).collect();
        let (domains, upstreams) = (snapshot.domain_count(), snapshot.upstreams().count());
        let serving = format!("version {} of {domains} domains and {upstreams} upstreams", status.version);
        Self {
            serves: status.applied == status.workers,
            is_over,
            hangs: readiness.reasons().any(|reason| reason == Unready::WorkerSilent),
            status: if reasons.is_empty() { serving } else { format!("{serving}; {}", reasons.join(", ")) },
        }
    }
}

/// Whether this process is the one that the manager listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    Is,
    /// That is to be said.
    Due,
    /// It is not yet.
    Waits,
}

/// One thing that is said.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// This process is the main one.
    Main(u32),
    Ready,
    Stopping,
    Alive,
    Status(String),
}

impl Told {
    fn state(&self) -> NotifyState<'_> {
        match self {
            Self::Main(process) => NotifyState::MainPid(*process),
            Self::Ready => NotifyState::Ready,
            Self::Stopping => NotifyState::Stopping,
            Self::Alive => NotifyState::Watchdog,
            Self::Status(text) => NotifyState::Status(text),
        }
    }
}

/// What was said so far.
#[derive(Debug)]
struct Course {
    arrival: Arrival,
    /// From one sign of life to the next, if any is wanted: half of the time after which the process is taken for dead.
    each: Option<Duration>,
    alive: Option<Instant>,
    is_ready: bool,
    is_over: bool,
    status: String,
}

impl Course {
    fn new(watchdog: Option<Duration>) -> Self {
        Self {
            arrival: Arrival::Is,
            each: watchdog.map(|after| after / 2),
            alive: None,
            is_ready: false,
            is_over: false,
            status: String::new(),
        }
    }

    fn due(&mut self, seen: &Seen, now: Instant) -> Vec<Told> {
        let mut told = Vec::new();
        match self.arrival {
            Arrival::Waits => return told,
            Arrival::Due => told.push(Told::Main(std::process::id())),
            Arrival::Is => {}
        }
        self.arrival = Arrival::Is;
        if seen.serves && !self.is_ready {
            self.is_ready = true;
            told.push(Told::Ready);
        }
        if seen.is_over && !self.is_over {
            self.is_over = true;
            told.push(Told::Stopping);
        }
        if self.status != seen.status {
            self.status.clone_from(&seen.status);
            told.push(Told::Status(seen.status.clone()));
        }
        // A worker that hangs has this process started anew, which is what the watchdog is for.
        let is_due = |each| self.alive.is_none_or(|last| now.saturating_duration_since(last) >= each);
        if !seen.hangs && self.each.is_some_and(is_due) {
            self.alive = Some(now);
            told.push(Told::Alive);
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(serves: bool, status: &str) -> Seen {
        Seen { serves, is_over: false, hangs: false, status: status.to_owned() }
    }

    #[test]
    fn each_is_said_once() {
        let (mut course, now) = (Course::new(None), Instant::now());
        assert_eq!(course.due(&seen(false, "a"), now), [Told::Status("a".to_owned())]);
        assert_eq!(course.due(&seen(true, "a"), now), [Told::Ready]);
        assert_eq!(course.due(&seen(true, "a"), now), []);
        let over = Seen { is_over: true, ..seen(false, "b") };
        assert_eq!(course.due(&over, now), [Told::Stopping, Told::Status("b".to_owned())]);
        assert_eq!(course.due(&over, now), []);
    }

    #[test]
    fn a_process_that_takes_over_says_nothing_before_it_has_and_then_who_it_is() {
        let (mut course, now) = (Course::new(None), Instant::now());
        course.arrival = Arrival::Waits;
        assert_eq!(course.due(&seen(true, "a"), now), []);
        course.arrival = Arrival::Due;
        let own = Told::Main(std::process::id());
        assert_eq!(course.due(&seen(true, "a"), now), [own, Told::Ready, Told::Status("a".to_owned())]);
        assert_eq!(course.due(&seen(true, "a"), now), []);
    }

    #[test]
    fn signs_of_life_end_when_a_worker_hangs() {
        let (mut course, begun) = (Course::new(Some(Duration::from_secs(10))), Instant::now());
        let mut signs = Vec::new();
        for second in 0..30 {
            let seen = Seen { hangs: second >= 17, ..seen(true, "") };
            if course.due(&seen, begun + Duration::from_secs(second)).contains(&Told::Alive) {
                signs.push(second);
            }
        }
        assert_eq!(signs, [0, 5, 10, 15]);
    }
}
