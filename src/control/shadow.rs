//! The candidate that workers ask beside what is served, and what they found.
//!
//! It owns who still asks it and the sums of what all of them say, bounded as each worker's are; never a comparison. One candidate
//! is asked at a time, and the last one's report is kept. Next: `hub::shadow` gives the orders, `admin::shadow` shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::link::Shadowing;
use crate::model::{Difference, Digest, EXAMPLES, Example, Snapshot, Tally, UpstreamSpec, WAYS};

/// What is served, to make a candidate of it.
pub(super) struct Served {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) domains: Vec<(Arc<str>, Arc<str>)>,
    pub(super) upstreams: Vec<Arc<UpstreamSpec>>,
}

/// What shall be asked, and how.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) snapshot: Snapshot,
    pub(super) digest: Digest,
    pub(super) span: Duration,
    /// One request of so many is looked at; a power of two.
    pub(super) sample: u64,
}

/// How far a run is. Its number comes first, so that a later run is further.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stage {
    pub(super) run: u64,
    pub(super) point: Point,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Point {
    /// Some worker does not ask yet.
    #[default]
    Begins,
    Runs,
    /// All have told all.
    Over,
}

/// Why a run cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRun {
    /// There is one.
    Another,
    /// A worker takes no orders.
    Hangs,
}

/// Requests of which the same is different.
#[derive(Debug, Clone)]
pub(super) struct Sum {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) difference: Difference,
    pub(super) requests: u64,
    pub(super) examples: Vec<Example>,
}

/// The sums of one run.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    pub(super) requests: u64,
    pub(super) same: u64,
    pub(super) otherwise: u64,
    pub(super) elsewhere: u64,
    pub(super) other: u64,
    ways: BTreeMap<(String, String, Difference), (u64, Vec<Example>)>,
}

/// One run, and what is known of it.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) number: u64,
    pub(super) since: Instant,
    pub(super) until: Instant,
    /// When the last worker told the last of it.
    pub(super) over: Option<Instant>,
    /// Somebody ended it.
    pub(super) is_cut: bool,
    pub(super) sample: u64,
    pub(super) candidate: Digest,
    /// What was served when it began.
    pub(super) version: u64,
    live: Digest,
    /// Something else was served since.
    pub(super) is_changed: bool,
    /// Workers that have not begun, and that have not ended.
    silent: BTreeSet<usize>,
    busy: BTreeSet<usize>,
    /// Held until nobody asks it any more, so that it is freed here.
    order: Option<Arc<Shadowing>>,
    pub(super) sums: Sums,
}

/// The run that there is, or was last.
#[derive(Debug, Default)]
pub(super) struct Shadows {
    last: Option<Run>,
    stage: watch::Sender<Stage>,
}

impl Shadows {
    /// The next run, if there may be one; `version` with this digest is served. The order is to be given to `workers`.
    pub(super) fn begin(
        &mut self,
        candidate: Candidate,
        (version, live): (u64, Digest),
        now: Instant,
    ) -> Result<Arc<Shadowing>, NoRun> {
        if self.last.as_ref().is_some_and(|run| run.over.is_none()) {
            return Err(NoRun::Another);
        }
        let Candidate { snapshot, digest, span, sample } = candidate;
        let (number, until) = (self.last.as_ref().map_or(0, |run| run.number) + 1, now + span);
        let mask = sample.max(1) - 1;
        let order = Arc::new(Shadowing { run: number, candidate: snapshot, until, mask });
        self.last = Some(Run {
            number,
            since: now,
            until,
            over: None,
            is_cut: false,
            sample,
            candidate: digest,
            version,
            live,
            is_changed: false,
            silent: BTreeSet::new(),
            busy: BTreeSet::new(),
            order: Some(Arc::clone(&order)),
            sums: Sums::default(),
        });
        Ok(order)
    }

    /// These workers have taken the order.
    pub(super) fn taken(&mut self, workers: BTreeSet<usize>, now: Instant) {
        if let Some(run) = &mut self.last {
            (run.silent, run.busy) = (workers.clone(), workers);
        }
        self.look(now);
    }

    /// It shall end; gives its number as long as it runs.
    pub(super) fn cut(&mut self) -> Option<u64> {
        let run = self.last.as_mut().filter(|run| run.over.is_none())?;
        run.is_cut = true;
        Some(run.number)
    }

    /// A worker tells what it found.
    pub(super) fn told(&mut self, worker: usize, number: u64, tally: Tally, is_over: bool, now: Instant) {
        let Some(run) = self.last.as_mut().filter(|run| run.number == number) else { return };
        run.sums.add(tally);
        run.silent.remove(&worker);
        if is_over {
            run.busy.remove(&worker);
        }
        self.look(now);
    }

    /// A worker has ended, and tells nothing any more.
    pub(super) fn ended(&mut self, worker: usize, now: Instant) {
        if let Some(run) = &mut self.last {
            run.silent.remove(&worker);
            run.busy.remove(&worker);
        }
        self.look(now);
    }

    /// This is served from now on.
    pub(super) fn serves(&mut self, digest: Digest) {
        if let Some(run) = self.last.as_mut().filter(|run| run.over.is_none()) {
            run.is_changed |= run.live != digest;
        }
    }

    /// What is known of the run that there is, or was last.
    pub(super) fn last(&self) -> Option<&Run> {
        self.last.as_ref()
    }

    /// To wait for what becomes of it.
    pub(super) fn watch(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    fn look(&mut self, now: Instant) {
        let Some(run) = &mut self.last else { return };
        if run.busy.is_empty() && run.over.is_none() {
            run.over = Some(now);
            run.order = None;
        }
        let point = match (run.over, run.silent.is_empty()) {
            (Some(_), _) => Point::Over,
            (None, true) => Point::Runs,
            (None, false) => Point::Begins,
        };
        let stage = Stage { run: run.number, point };
        self.stage.send_if_modified(|old| std::mem::replace(old, stage) != stage);
    }
}

impl Run {
    /// A word for how it stands.
    pub(super) fn state(&self) -> &'static str {
        match (self.over, self.is_cut) {
            (None, _) => "running",
            (Some(_), false) => "done",
            (Some(_), true) => "ended",
        }
    }
}

impl Sums {
    fn add(&mut self, tally: Tally) {
        self.requests += tally.requests;
        self.same += tally.same;
        self.otherwise += tally.otherwise;
        self.elsewhere += tally.elsewhere;
        self.other += tally.other;
        for way in tally.into_ways() {
            let key = (way.from, way.to, way.difference);
            if self.ways.len() >= WAYS && !self.ways.contains_key(&key) {
                self.other += way.requests;
                continue;
            }
            let (requests, examples) = self.ways.entry(key).or_default();
            *requests += way.requests;
            let room = EXAMPLES.saturating_sub(examples.len());
            examples.extend(way.examples.into_iter().take(room));
        }
    }

    /// What is different, those with most requests first.
    pub(super) fn ways(&self) -> Vec<Sum> {
        let sum = |((from, to, difference), (requests, examples)): (
            &(String, String, Difference),
            &(u64, Vec<_>),
        )| Sum {
            from: from.clone(),
            to: to.clone(),
            difference: *difference,
            requests: *requests,
            examples: examples.clone(),
        };
        let mut ways: Vec<Sum> = self.ways.iter().map(sum).collect();
        ways.sort_by_key(|sum| std::cmp::Reverse(sum.requests));
        ways
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::State;

    fn candidate() -> Candidate {
        let mut state = State::new();
        let digest = state.digest();
        Candidate { snapshot: state.snapshot(0), digest, span: Duration::from_secs(60), sample: 4 }
    }

    fn tally(requests: u64) -> Tally {
        let mut tally = Tally::default();
        (tally.requests, tally.same) = (requests, requests);
        tally
    }

    #[test]
    fn a_run_is_over_when_every_worker_has_told_the_last_of_it_and_there_is_one_at_a_time() {
        let (mut shadows, now) = (Shadows::default(), Instant::now());
        let digest = State::new().digest();
        let stage = shadows.watch();
        assert!(shadows.last().is_none() && shadows.cut().is_none());
        let order = shadows.begin(candidate(), (3, digest), now).unwrap();
        assert_eq!((order.run, order.mask, order.until), (1, 3, now + Duration::from_secs(60)));
        shadows.taken(BTreeSet::from([0, 1, 2]), now);
        assert_eq!(shadows.begin(candidate(), (3, digest), now).unwrap_err(), NoRun::Another);
        assert_eq!(*stage.borrow(), Stage { run: 1, point: Point::Begins });
        (0..3).for_each(|worker| shadows.told(worker, 1, tally(0), false, now));
        assert_eq!(*stage.borrow(), Stage { run: 1, point: Point::Runs });
        shadows.told(0, 1, tally(5), true, now);
        shadows.told(1, 1, tally(2), false, now);
        shadows.told(1, 9, tally(100), true, now);
        shadows.ended(2, now);
        assert_eq!((shadows.last().unwrap().state(), shadows.cut()), ("running", Some(1)));
        shadows.told(1, 1, tally(1), true, now);
        let run = shadows.last().unwrap();
        assert_eq!((run.state(), run.sums.requests, run.sums.same, run.version), ("ended", 8, 8, 3));
        assert_eq!(*stage.borrow(), Stage { run: 1, point: Point::Over });
        drop(order);
        assert_eq!(shadows.begin(candidate(), (3, digest), now).unwrap().run, 2);
    }

    #[test]
    fn a_run_says_that_something_else_was_served_meanwhile() {
        let (mut shadows, now) = (Shadows::default(), Instant::now());
        let (mut state, digest) = (State::new(), State::new().digest());
        shadows.begin(candidate(), (3, digest), now).unwrap();
        shadows.taken(BTreeSet::from([0]), now);
        shadows.serves(digest);
        assert!(!shadows.last().unwrap().is_changed, "only addresses are others");
        let given = serde_json::json!({"up": {"127.0.0.1:1": ""}});
        state.edit(crate::model::Edit::PutUpstreams(given.as_object().unwrap().clone())).unwrap();
        shadows.serves(state.digest());
        shadows.serves(digest);
        assert!(shadows.last().unwrap().is_changed);
    }
}
