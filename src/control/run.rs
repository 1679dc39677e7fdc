//! The control thread: one loop over everything that can happen, and the phases of the process.
//!
//! It owns who is asked to do what, and when the process may end; never the doing. Each kind of event is one line of
//! `run` and one of `take`. It alone reads the clock, once a turn, and tells the time to all that it calls. Next:
//! [`hub`](super::hub) for the configuration, [`start`](mod@super::start) for what comes before.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Interval, MissedTickBehavior, interval_at, sleep_until};
use tracing::info;

use super::admin::AdminServer;
use super::ahead::Ahead;
use super::arrival::{Arrival, Arrived};
use super::checks::order::{Finding, Ticket};
use super::checks::prober::Prober;
use super::fleet::Teller;
use super::handle::Question;
use super::history::HistorySaver;
use super::hub::Hub;
use super::manager::Manager;
use super::outages::Outages;
use super::replies::Frozen;
use super::saver::Saver;
use super::signals::Order;
use super::spare::Spare;
use super::statsd::Statsd;
use super::succession::{Happening, Heired, Succession};
use crate::access_log::writer::LogHandle;
use crate::link::{Adopted, Cut, Report, ToWorker};
use crate::readiness::{Readiness, Unready};

/// The slow pulse: what the store said goes to the state file, what is held back is looked at, and a worker whose mailbox
/// was full is tried again.
const TICK: Duration = Duration::from_secs(1);
/// How long names wait at most that could not be looked up: a server's name often comes to DNS a moment after it came here.
const FAILED_NAMES: Duration = Duration::from_secs(5);
/// How long workers may take to close everything once they are told to stop; milliseconds, unless the machine is busy.
const STOP: Duration = Duration::from_secs(2);
/// How often it is looked for the end of the last admin connection.
const LOOK: Duration = Duration::from_millis(20);

/// Everything that the control thread holds.
pub(super) struct Control {
    pub(super) hub: Hub,
    pub(super) admin: AdminServer,
    /// Scrapes go on until the end; nobody waits for one.
    pub(super) metrics: AdminServer,
    /// Of the access log, if there is one.
    pub(super) log: Option<LogHandle>,
    pub(super) questions: mpsc::Receiver<Question>,
    pub(super) events: mpsc::Receiver<Ahead>,
    pub(super) reports: mpsc::Receiver<Report>,
    pub(super) adoptions: mpsc::Receiver<Adopted>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) saver: Option<Saver>,
    pub(super) history: HistorySaver,
    pub(super) spare: Spare,
    pub(super) statsd: Option<Statsd>,
    pub(super) drain_timeout: Duration,
    /// From the order to end until nothing is accepted any more.
    pub(super) drain_delay: Duration,
    pub(super) readiness: Readiness,
    /// From one lookup of a name to the next.
    pub(super) resolve_interval: Duration,
    pub(super) phase: Phase,
    /// What workers that have ended had left to do.
    pub(super) cut: Cut,
    pub(super) outages: Outages,
    /// What other nodes are told; nothing once another process has this one's place.
    pub(super) teller: Option<Teller>,
    pub(super) prober: Prober,
    pub(super) manager: Manager,
    pub(super) succession: Succession,
    /// This process takes the place of another, which has not let go.
    pub(super) arrival: Option<Arrival>,
    /// Another process has the place of this one.
    pub(super) heired: Option<Heired>,
    /// The exit code.
    pub(super) code: u8,
}

/// How a control thread ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    /// What had to be cut off for it.
    pub(super) cut: Cut,
    /// The exit code.
    pub(super) code: u8,
}

/// Where the process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It serves.
    Serving,
    /// It serves, and says that it will not for long, until then.
    Leaving(Instant),
    /// It finishes what runs, until then.
    Draining(Instant),
    /// It closes what is left, until then.
    Stopping {
        until: Instant,
        /// Why, in words; nothing where the time of the drain was over.
        why: Option<&'static str>,
    },
}

/// What the loop waits for.
enum Event {
    Report(Report),
    Question(Question),
    Adopted(Adopted),
    Store(Ahead),
    /// A lookup has ended; a name with other addresses than before.
    LookedUp(Option<(String, Vec<SocketAddr>)>),
    Order(Order),
    /// A check of a server has ended.
    Checked(Ticket, Finding),
    /// It is time to look names up again: all, or those whose last lookup failed.
    Names {
        all: bool,
    },
    Tick,
    /// The next process wants something, or is gone.
    Succession(Happening),
    /// The process before has answered.
    Arrived(Arrived),
    /// The process that took over, and was started by this one, has ended.
    LeftAlone(io::Result<ExitStatus>),
    /// Something is due that no event tells.
    Due,
}

/// Ticks from one period from now on; a late tick delays the next ones instead of hurrying them.
fn pulse(period: Duration) -> Interval {
    let mut pulse = interval_at(tokio::time::Instant::now() + period, period);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pulse
}

/// Waits for the end of the process that took over, if this one started it. May be dropped at any await.
async fn ends(heired: &mut Option<Heired>) -> io::Result<ExitStatus> {
    match heired.as_mut().and_then(|heired| heired.child.as_mut()) {
        Some(child) => child.wait().await,
        None => pending().await,
    }
}

/// Waits for the answer of the process before, if there is one.
async fn arrives(arrival: &mut Option<Arrival>) -> Arrived {
    match arrival {
        Some(arrival) => arrival.next().await,
        None => pending().await,
    }
}

impl Control {
    /// Lives until the process is told to end.
    pub(super) async fn run(mut self) -> Ended {
        let (mut tick, mut names) = (pulse(TICK), pulse(self.resolve_interval));
        let mut failed_names = pulse(self.resolve_interval.min(FAILED_NAMES));
        let mut now = Instant::now();
        loop {
            self.hub.settle(now);
            self.keep_history();
            self.check(now);
            self.judge(now);
            if let Some(teller) = &mut self.teller {
                teller.look(&mut self.hub, &self.readiness, now);
            }
            self.succession.look(&mut self.hub, now);
            if let Some(arrived) = self.arrival.as_mut().and_then(|arrival| arrival.look(&self.hub, now)) {
                self.arrived(arrived, now);
            }
            self.manager.look(&self.hub, &self.readiness, self.phase != Phase::Serving, now);
            if self.is_over(now) {
                return self.end().await;
            }
            let due = self.due(now);
            let event = tokio::select! {
                Some(report) = self.reports.recv() => Event::Report(report),
                Some(question) = self.questions.recv() => Event::Question(question),
                Some(adopted) = self.adoptions.recv(), if self.admin.has_room() => Event::Adopted(adopted),
                Some(ahead) = self.events.recv() => Event::Store(ahead),
                found = self.hub.looked_up() => Event::LookedUp(found),
                Some(order) = self.orders.recv() => Event::Order(order),
                (ticket, finding) = self.prober.ended() => Event::Checked(ticket, finding),
                _ = names.tick() => Event::Names { all: true },
                _ = failed_names.tick() => Event::Names { all: false },
                _ = tick.tick() => Event::Tick,
                happening = self.succession.next() => Event::Succession(happening),
                arrived = arrives(&mut self.arrival) => Event::Arrived(arrived),
                status = ends(&mut self.heired) => Event::LeftAlone(status),
                () = sleep_until(due.into()) => Event::Due,
            };
            now = Instant::now();
            let is_adopted = matches!(event, Event::Adopted(_));
            self.take(event, now);
            if is_adopted {
                // It is looked at before the next one comes: only then is a whole request known for one.
                yield_now().await;
            }
        }
    }

    /// Begins the checks that are due, and gives up those that nobody asks for any more.
    fn check(&mut self, now: Instant) {
        for ticket in self.hub.stopped_checks() {
            self.prober.stop(ticket);
        }
        while let Some(order) = self.hub.begin_check(now) {
            self.prober.begin(order);
        }
    }

    fn take(&mut self, event: Event, now: Instant) {
        match event {
            Event::Report(report) => self.report(report, now),
            Event::Question(question) => self.answer(question, now),
            Event::Adopted(adopted) => self.admin.adopt(adopted),
            Event::Store((event, _foreseen)) => self.hub.store_event(event, now),
            Event::LookedUp(Some((name, addresses))) => self.hub.learnt(&name, addresses, now),
            Event::LookedUp(None) | Event::Due => {}
            Event::Order(order) => self.order(order, now),
            Event::Checked(ticket, finding) => self.hub.checked(ticket, finding, now),
            Event::Names { all } => self.hub.refresh_names(all),
            Event::Tick => self.tick(now),
            Event::Succession(happening) => self.happened(happening, now),
            Event::Arrived(arrived) => self.arrived(arrived, now),
            Event::LeftAlone(status) => self.left_alone(status, now),
        }
    }

    /// Answers what was asked, and all that was asked meanwhile: changes that come together share one snapshot.
    fn answer(&mut self, first: Question, now: Instant) {
        first(&mut self.hub, now);
        while let Ok(next) = self.questions.try_recv() {
            next(&mut self.hub, now);
        }
    }

    fn report(&mut self, report: Report, now: Instant) {
        match report {
            // The old snapshot ends here: what only it held is freed on this thread, where nobody waits.
            Report::Applied { worker, version, old } => {
                self.hub.applied(worker, version);
                drop(old);
            }
            Report::Counted { stats, snapshot } => {
                if let Some(statsd) = &mut self.statsd {
                    statsd.counted(&stats, |slot| snapshot.domain_name(slot));
                }
                self.hub.counted(&stats, &snapshot, now);
            }
            Report::Gauges { worker, gauges } => self.hub.measured(worker, *gauges, now),
            Report::Servers { worker, servers } => self.hub.told_of_servers(worker, servers),
            // What was asked ends here, as an old snapshot does.
            Report::Shadowed { worker, run, tally, over } => {
                self.hub.shadowed(worker, (run, over.is_some()), *tally, now);
                drop(over);
            }
            Report::Drained { worker, cut } => {
                self.hub.ended(worker, now);
                self.cut += cut;
            }
            Report::Outages { worker, upstreams } => self.outages.told(worker, &upstreams),
        }
    }

    fn order(&mut self, order: Order, now: Instant) {
        match (order, self.phase) {
            (Order::Resync, _) => drop(self.hub.resync(None, now)),
            (Order::Upgrade, _) => self.succession.begin(self.objection(), now),
            (Order::Drain, Phase::Serving) if self.drain_delay > Duration::ZERO => {
                info!("going on for {:?}, not ready any more; then what runs is finished", self.drain_delay);
                self.hub.order(|| ToWorker::Leave);
                self.phase = Phase::Leaving(now + self.drain_delay);
            }
            (Order::Drain, Phase::Serving) => self.drain(now),
            (Order::Drain, _) => {}
            (Order::Stop, _) => self.stop(Some("a second signal ended ELB at once"), now),
            (Order::Reopen, _) => match &self.log {
                Some(log) => log.reopen(),
                None => info!("there is no access log to open again"),
            },
        }
    }

    /// Accepts nobody any more, and finishes what runs.
    pub(super) fn drain(&mut self, now: Instant) {
        let deadline = now + self.drain_timeout;
        self.succession.let_go(&mut self.hub, self.heired.is_some());
        self.hub.freeze(Some(Frozen::Ending));
        match self.admin.withdraw() {
            Ok(address) => info!("the admin API is at {address} until all is done"),
            Err(error) => info!("the admin API is closed: {error}"),
        }
        self.hub.order(|| ToWorker::Drain(deadline));
        self.phase = Phase::Draining(deadline);
    }

    /// Says whether the process should get traffic.
    fn judge(&self, now: Instant) {
        let (behind, silent) = self.hub.late_workers(now);
        for (reason, stands) in [
            (Unready::NoConfiguration, !self.hub.is_configured()),
            (Unready::Draining, self.phase != Phase::Serving),
            (Unready::WorkerBehind, behind),
            (Unready::WorkerSilent, silent),
        ] {
            self.readiness.set(reason, stands);
        }
    }

    pub(super) fn stop(&mut self, why: Option<&'static str>, now: Instant) {
        self.succession.let_go(&mut self.hub, self.heired.is_some());
        self.admin.close();
        self.metrics.close();
        self.hub.order(|| ToWorker::Stop);
        self.phase = Phase::Stopping { until: now + STOP, why };
    }

    /// Moves from phase to phase as time and workers allow. True at the end of the last.
    fn is_over(&mut self, now: Instant) -> bool {
        let idle = self.hub.running() == 0 && self.admin.is_idle();
        match self.phase {
            Phase::Serving => false,
            Phase::Leaving(until) => {
                if now >= until {
                    self.drain(now);
                }
                false
            }
            Phase::Draining(_) if idle => true,
            Phase::Draining(deadline) => {
                if self.hub.running() == 0 {
                    self.admin.close();
                }
                if now >= deadline {
                    self.stop(None, now);
                }
                false
            }
            Phase::Stopping { until, .. } => idle || now >= until,
        }
    }

    /// When the loop has to turn even if nothing happens; the tick bounds it anyway.
    fn due(&self, now: Instant) -> Instant {
        let phase = match self.phase {
            Phase::Serving => None,
            Phase::Leaving(until) => Some(until),
            // Nothing tells when the last admin connection has ended, and it is the last thing to wait for.
            _ if self.hub.running() == 0 => Some(now + LOOK),
            Phase::Draining(until) | Phase::Stopping { until, .. } => Some(until),
        };
        let latest = now + TICK;
        let places = [self.succession.due(), self.arrival.as_ref().map(Arrival::due)];
        let own = [self.hub.due(now), self.hub.next_check(), phase];
        own.into_iter().chain(places).flatten().fold(latest, Instant::min)
    }

    fn tick(&mut self, now: Instant) {
        self.hub.tick(now);
        self.hub.library().tidy();
        if let Some(saver) = &self.saver {
            self.hub.state_file(saver.fault());
        }
        self.save();
        self.spare.look(self.history.has_packed(), now);
    }

    pub(super) fn save(&mut self) {
        if let Some(saver) = &self.saver
            && let Some(unsaved) = self.hub.unsaved()
        {
            saver.save(unsaved);
        }
    }

    fn keep_history(&mut self) {
        if let Some(entries) = self.hub.history_news() {
            self.history.save(entries);
        }
    }
}
