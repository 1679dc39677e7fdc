//! Who has the place of this process: it serves, another process is about to take over, or has.
//!
//! It owns the course of that: one attempt at a time, its deadline, what is given at which step, and that everything is as before when it
//! fails. The talk itself is [`giving`]'s, and what follows for the process is done in [`run`](super::run). Next:
//! [`arrival`](super::arrival) is the other side.

use std::future::pending;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Child;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::giving::{self, Ask, Reply, What};
use super::hub::Hub;
use super::replies::Frozen;
use super::upgrade::{self, Program};
use crate::handover::{Carried, Claim, Place, Step, Stock, Told, Trouble, refusal};

/// Conversations at a time: one is served, and the others hear at once that it is under way.
const TALKS: usize = 4;
/// Processes that are refused at a time, and how long each has to hear it; more are closed without a word.
const REFUSALS: usize = 8;
const REFUSAL: Duration = Duration::from_secs(1);
/// What conversations may have asked and not been answered: each asks one thing at a time.
const ASKS: usize = TALKS;
/// The pause after an accept that failed: out of descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Why a second process does not take over.
const BUSY: &str = "another process is taking over already";
/// Why a process of the same container does not.
const FIRST: &str = "the ELB that serves is the first process of its container, which ends with it: start the next one in another container";

/// What this process has that the next one may take.
#[derive(Debug, Default)]
pub struct Estate {
    /// Where they meet; nowhere without `--handover`.
    pub place: Option<Place>,
    /// It is this process's already, if no other had it.
    pub claim: Option<Claim>,
    /// Every listening socket once more.
    pub stock: Stock,
    /// How to start the next one.
    pub program: Option<Program>,
    /// What it may take until it is ready.
    pub timeout: Duration,
    /// What this process's keys in etcd begin with.
    pub name: String,
}

/// Where the place of this process stands.
#[derive(Debug)]
pub(super) struct Succession {
    estate: Estate,
    listener: Option<UnixListener>,
    asks: mpsc::Receiver<Ask>,
    asking: mpsc::Sender<Ask>,
    attempt: Option<Attempt>,
    /// Conversations so far, and those that are not over.
    talks: (u64, usize),
    /// Places for those who are refused.
    refusals: Arc<Semaphore>,
}

/// Another process is about to take over.
#[derive(Debug)]
struct Attempt {
    /// It was started by this one.
    child: Option<Child>,
    /// The conversation with it, and its process.
    talk: Option<(u64, u32)>,
    until: Instant,
    /// It waits for what is only in memory.
    wants: Option<Reply<Carried>>,
    /// What it was given, for the log.
    given: (usize, usize, usize),
}

/// What has happened.
#[derive(Debug)]
pub(super) enum Happening {
    Knocked(UnixStream),
    Asked(Ask),
    /// The process that was started has ended.
    Ended(io::Result<ExitStatus>),
}

/// The next process has the place.
#[derive(Debug)]
pub(super) struct Heired {
    pub(super) process: u32,
    /// It was started by this one.
    pub(super) child: Option<Child>,
}

impl Succession {
    /// Of a process with this estate. Must be called inside a tokio runtime.
    pub(super) fn new(estate: Estate) -> Self {
        let (asking, asks) = mpsc::channel(ASKS);
        let refusals = Arc::new(Semaphore::new(REFUSALS));
        let mut new = Self { estate, listener: None, asks, asking, attempt: None, talks: (0, 0), refusals };
        new.listen();
        new
    }

    /// Takes the place after another process has let go of it.
    pub(super) fn arrive(&mut self) {
        let Some(place) = &self.estate.place else { return };
        match place.claim() {
            Ok(claim) => self.estate.claim = Some(claim),
            Err(error) => return warn!("{error}: no other process can take the place of this one"),
        }
        self.listen();
    }

    fn listen(&mut self) {
        let Some(listener) = self.estate.claim.as_mut().and_then(Claim::listener) else { return };
        match listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener)) {
            Ok(listener) => self.listener = Some(listener),
            Err(error) => warn!("no other process can take the place of this one: {error}"),
        }
    }

    /// Waits for what happens next. May be dropped at any await.
    pub(super) async fn next(&mut self) -> Happening {
        let Self { listener, asks, attempt, .. } = self;
        let child = attempt.as_mut().and_then(|attempt| attempt.child.as_mut());
        let ended = async {
            match child {
                Some(child) => child.wait().await,
                None => pending().await,
            }
        };
        let knocked = async {
            let Some(listener) = listener else { return pending().await };
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => return stream,
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                }
            }
        };
        tokio::select! {
            Some(ask) = asks.recv() => Happening::Asked(ask),
            stream = knocked => Happening::Knocked(stream),
            status = ended => Happening::Ended(status),
        }
    }

    /// When an attempt is over at the latest.
    pub(super) fn due(&self) -> Option<Instant> {
        self.attempt.as_ref().map(|attempt| attempt.until)
    }

    /// Starts the next process, if nothing stands against it.
    pub(super) fn begin(&mut self, objection: Option<Told>, now: Instant) {
        if self.estate.place.is_none() {
            return info!(
                "SIGUSR2 does nothing without --handover: to replace ELB, start the new one beside it, then end this one"
            );
        }
        let objection =
            objection.map(|told| told.why).or_else(|| self.attempt.as_ref().map(|_| BUSY.to_owned()));
        if let Some(objection) = objection {
            return warn!("no new process is started: {objection}");
        }
        if is_first() {
            return warn!("no new process is started: {FIRST}");
        }
        if self.listener.is_none() {
            return warn!("no new process is started: --handover cannot be used, see above");
        }
        let Some(program) = &self.estate.program else { return };
        match program.start() {
            Ok(child) => {
                info!(
                    process = child.id(),
                    "started the next ELB, which has {:?} to take over", self.estate.timeout
                );
                self.attempt = Some(Attempt::new(now + self.estate.timeout, Some(child)));
            }
            Err(error) => warn!("no new process could be started, this one goes on: {error}"),
        }
    }

    /// Somebody is at the place: if it is this user or root, it is talked to.
    pub(super) fn knocked(&mut self, stream: UnixStream, now: Instant) {
        let own = rustix::process::geteuid().as_raw();
        // The number of a process that this one cannot see, as it is in another container, is 0.
        let refused = match stream.peer_cred().map(|peer| (peer.uid(), peer.pid().unwrap_or(0))) {
            Ok((user, _)) if user != own && user != 0 => {
                warn!("a process of user {user} wants to take over, and is refused: this is user {own}");
                Some("it belongs to another user")
            }
            Ok((_, process)) if is_first() && process != 0 => Some(FIRST),
            Ok(_) => (self.talks.1 >= TALKS).then_some(BUSY),
            Err(error) => {
                warn!("nobody knows who wants to take over, so it is refused: {error}");
                Some("nobody knows whose it is")
            }
        };
        if let Some(why) = refused {
            return self.refuse(stream, why);
        }
        self.talks.0 += 1;
        let until = self.attempt.as_ref().map_or(now + self.estate.timeout, |attempt| attempt.until);
        let begun = stream.into_std().and_then(|stream| {
            giving::talk(self.talks.0, stream, until, self.estate.name.clone(), self.asking.clone())
        });
        match begun {
            Ok(()) => self.talks.1 += 1,
            Err(error) => warn!("a process that wants to take over cannot be talked to: {error}"),
        }
    }

    /// Says why nobody is talked to, aside. A socket that is closed while it holds words that nobody read takes the answer with it.
    fn refuse(&self, mut stream: UnixStream, why: &str) {
        let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() else { return };
        let words = refusal(why);
        tokio::spawn(async move {
            let said = async {
                stream.write_all(&words).await?;
                stream.shutdown().await?;
                let mut room = [0; 1024];
                while stream.read(&mut room).await? > 0 {}
                Ok::<_, io::Error>(())
            };
            // Whoever does not hear it goes without.
            let _ = timeout(REFUSAL, said).await;
            drop(permit);
        });
    }

    /// A conversation asks something; `objection` is why this process lets go of nothing. Says when the place is another's.
    pub(super) fn asked(
        &mut self,
        Ask { talk, what }: Ask,
        hub: &mut Hub,
        objection: Option<Told>,
        now: Instant,
    ) -> Option<Heired> {
        if let What::Over(outcome) = what {
            self.talks.1 = self.talks.1.saturating_sub(1);
            return self.over(talk, outcome, hub);
        }
        let is_current =
            self.attempt.as_ref().and_then(|attempt| attempt.talk).is_some_and(|(own, _)| own == talk);
        // Whoever asked and is gone needs no answer.
        match what {
            What::Begin { process, version, reply } => {
                let answer = match objection {
                    Some(objection) => Err(objection),
                    None => self.admit(talk, process, &version, now),
                };
                let _ = reply.send(answer);
            }
            What::Carry(reply) if is_current => {
                hub.freeze(Some(Frozen::HandingOver));
                self.attempt.as_mut().map(|attempt| attempt.wants.replace(reply));
            }
            What::Ready(reply) if is_current => drop(reply.send(Ok(()))),
            What::Carry(reply) => drop(reply.send(Err(objection.unwrap_or_else(late)))),
            What::Ready(reply) => drop(reply.send(Err(objection.unwrap_or_else(late)))),
            What::Over(_) => {}
        }
        None
    }

    /// Lets a process have the sockets, unless another one is at it.
    fn admit(&mut self, talk: u64, process: u32, version: &str, now: Instant) -> Result<Stock, Told> {
        let attempt = self.attempt.get_or_insert_with(|| Attempt::new(now + self.estate.timeout, None));
        if attempt.talk.is_some() || attempt.child.as_ref().is_some_and(|child| child.id() != Some(process)) {
            return Err(Told::stays(BUSY));
        }
        let stock = self.estate.stock.copies();
        match stock {
            Ok(stock) => {
                info!(
                    process,
                    version,
                    sockets = stock.len(),
                    "the next ELB has the listening sockets, and gets ready"
                );
                attempt.talk = Some((talk, process));
                attempt.given.0 = stock.len();
                Ok(stock)
            }
            Err(error) => {
                self.attempt = self.attempt.take().filter(|attempt| attempt.child.is_some());
                Err(Told::stays(format!("the listening sockets cannot be handed over: {error}")))
            }
        }
    }

    /// Does what has become possible, or is due. To be called once a turn.
    pub(super) fn look(&mut self, hub: &mut Hub, now: Instant) {
        let Some(attempt) = &mut self.attempt else { return };
        if now >= attempt.until {
            let why = format!("it did not get ready within {:?}", self.estate.timeout);
            return self.fail(hub, Told::stays(why));
        }
        if !hub.is_dumping()
            && let Some(reply) = attempt.wants.take()
        {
            let carried = hub.carried(now);
            attempt.given.1 = carried.domains.len() + carried.upstreams.len();
            attempt.given.2 = carried.servers.len();
            let _ = reply.send(Ok(carried));
        }
    }

    fn over(&mut self, talk: u64, outcome: Result<(), (Step, Trouble)>, hub: &mut Hub) -> Option<Heired> {
        let (own, process) = self.attempt.as_ref()?.talk?;
        if own != talk {
            return None;
        }
        match outcome {
            Ok(()) => {
                let Attempt { child, given: (sockets, edits, servers), .. } = self.attempt.take()?;
                info!(
                    process,
                    sockets,
                    edits,
                    servers,
                    "handed over: the next ELB serves, and this one finishes what runs"
                );
                Some(Heired { process, child })
            }
            Err((step, trouble)) => {
                let when = match step {
                    Step::Hello => "before it had anything",
                    Step::Offered => "while it read its configuration",
                    Step::Carried => "while it started its workers",
                    Step::Ready => "when it was ready",
                };
                self.fail(hub, Told::stays(format!("{trouble}, {when}")));
                None
            }
        }
    }

    /// The process that was started has ended.
    pub(super) fn ended(&mut self, status: io::Result<ExitStatus>, hub: &mut Hub) {
        let why = match status {
            Ok(status) => format!("it has ended with {status}"),
            Err(error) => format!("it cannot be waited for: {error}"),
        };
        self.fail(hub, Told::stays(why));
    }

    /// It comes to nothing: everything is as before.
    fn fail(&mut self, hub: &mut Hub, told: Told) {
        let Some(attempt) = self.attempt.take() else { return };
        hub.freeze(None);
        if let Some(child) = attempt.child {
            upgrade::end(child);
        }
        let goes_on = if told.is_ending { "" } else { ", and this one goes on serving" };
        warn!("the next ELB does not take over{goes_on}: {}", told.why);
        if let Some(reply) = attempt.wants {
            let _ = reply.send(Err(told));
        }
    }

    /// This process lets go of its copies, so that a worker that closes a socket closes it; nobody is met any more. `has_heir`: the place is
    /// another's.
    pub(super) fn let_go(&mut self, hub: &mut Hub, has_heir: bool) {
        self.fail(hub, Told::ends("this process is told to end"));
        self.listener = None;
        self.estate.stock = Stock::default();
        match self.estate.claim.take() {
            Some(claim) if has_heir => claim.leave(),
            claim => drop(claim),
        }
    }
}

impl Attempt {
    fn new(until: Instant, child: Option<Child>) -> Self {
        Self { child, talk: None, until, wants: None, given: (0, 0, 0) }
    }
}

/// Whether all other processes of its container end with this one.
fn is_first() -> bool {
    std::process::id() == 1
}

fn late() -> Told {
    Told::stays("this attempt is over")
}
