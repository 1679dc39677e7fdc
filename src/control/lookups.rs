//! Lookups of names under way: each name once, on threads of their own, so many at a time and no more.
//!
//! It owns the bounds and that a name is asked for once until that lookup has really ended, however long the system
//! takes; never what an answer means. The system's resolver cannot be told to stop: a lookup that nobody waits for any
//! more still holds its thread for ten seconds and more when DNS is silent. So lookups share no thread with anything
//! else, and those that were silent before have a lane of their own. Next: [`resolve`](super::resolve) and
//! [`names`](super::names) ask.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::{Notify, Semaphore, SemaphorePermit, oneshot, watch};

/// Lookups at a time of names that are new: somebody waits for them.
pub(super) const NEW: usize = 16;
/// The same of names that are looked up again.
pub(super) const AGAIN: usize = 16;
/// The same of names whose last lookup was not answered in time: as likely as not, they hold their threads for long.
pub(super) const SILENT: usize = 8;
/// Stack of a lookup's thread. The system's resolver takes some tens of kilobytes, and its modules may take more.
const STACK: usize = 512 << 10;

/// The addresses of a name, or why there are none.
pub(super) type Answer = Result<Vec<SocketAddr>, Arc<str>>;
/// Asks for one `host:port`.
pub(super) type Ask =
    Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> + Send + Sync>;

/// Which threads a lookup may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// A name that nothing is known of.
    New,
    /// One that was answered before.
    Again,
    /// One that was not.
    Silent,
}

/// How far a lookup has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for its turn.
    Waiting,
    /// The system was asked.
    Asked,
    /// It is over.
    Ended(Answer),
}

/// All lookups under way.
#[derive(Clone)]
pub(super) struct Lookups(Arc<Shared>);

struct Shared {
    ask: Ask,
    lanes: [Semaphore; 3],
    running: Mutex<BTreeMap<String, Running>>,
}

struct Running {
    stage: watch::Receiver<Stage>,
    /// Somebody waits for it who need not wait in its lane.
    urgent: Arc<Notify>,
}

impl Lookups {
    /// Lookups by the system (`/etc/hosts`, then DNS, as `getaddrinfo` does).
    pub(super) fn system() -> Self {
        Self::on_threads(|name| Ok(name.to_socket_addrs()?.collect()))
    }

    /// Lookups by a function that may block: each has a thread for itself until it ends.
    pub(super) fn on_threads(
        ask: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Clone + Send + Sync + 'static,
    ) -> Self {
        Self::new(Arc::new(move |name| {
            let ask = ask.clone();
            Box::pin(async move {
                let (tell, answer) = oneshot::channel();
                let begin = thread::Builder::new().name("elb-lookup".to_owned()).stack_size(STACK);
                // Whoever asked may have gone.
                begin.spawn(move || drop(tell.send(ask(&name))))?;
                answer.await.unwrap_or_else(|_| Err(io::Error::other("the lookup broke off")))
            })
        }))
    }

    /// Lookups by `ask`.
    pub(super) fn new(ask: Ask) -> Self {
        let lanes = [Semaphore::new(NEW), Semaphore::new(AGAIN), Semaphore::new(SILENT)];
        Self(Arc::new(Shared { ask, lanes, running: Mutex::default() }))
    }

    /// How many names are asked for, or wait for their turn.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        self.0.running().len()
    }

    /// Looks a name up, unless that is under way already: then it is the same lookup, which at most comes to its turn
    /// earlier.
    pub(super) fn look_up(&self, name: &str, lane: Lane) -> watch::Receiver<Stage> {
        let mut running = self.0.running();
        if let Some(known) = running.get(name) {
            if lane == Lane::New {
                known.urgent.notify_one();
            }
            return known.stage.clone();
        }
        let (tell, stage) = watch::channel(Stage::Waiting);
        let urgent = Arc::new(Notify::new());
        running.insert(name.to_owned(), Running { stage: stage.clone(), urgent: Arc::clone(&urgent) });
        let (shared, name) = (Arc::clone(&self.0), name.to_owned());
        tokio::spawn(async move {
            let _turn = shared.turn(lane, &urgent).await;
            tell.send_replace(Stage::Asked);
            let answer = (shared.ask)(name.clone()).await;
            let answer = match answer {
                Ok(found) if found.is_empty() => Err("no address".into()),
                Ok(found) => Ok(found),
                Err(error) => Err(error.to_string().into()),
            };
            shared.running().remove(&name);
            tell.send_replace(Stage::Ended(answer));
        });
        stage
    }
}

impl Shared {
    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Running>> {
        // A lock that a panic poisoned still holds a list.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place in this lane; or in that of new names, once somebody is in a hurry.
    async fn turn(&self, lane: Lane, urgent: &Notify) -> Option<SemaphorePermit<'_>> {
        let [new, again, silent] = &self.lanes;
        let own = match lane {
            Lane::New => new,
            Lane::Again => again,
            Lane::Silent => silent,
        };
        // No lane is ever closed, so each gives a place in the end.
        let hurried = async {
            urgent.notified().await;
            new.acquire().await
        };
        tokio::select! {
            place = own.acquire() => place.ok(),
            place = hurried => place.ok(),
        }
    }
}

impl std::fmt::Debug for Lookups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lookups").field(&self.0.running().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Condvar;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_secs(10);

    /// A DNS that is silent until it is told to speak, and counts who asks.
    #[derive(Default)]
    struct Silence {
        speaks: Mutex<bool>,
        told: Condvar,
        asked: AtomicUsize,
    }

    impl Silence {
        fn wait(&self) {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let speaks = self.speaks.lock().unwrap();
            drop(self.told.wait_while(speaks, |speaks| !*speaks).unwrap());
        }

        fn speak(&self) {
            *self.speaks.lock().unwrap() = true;
            self.told.notify_all();
        }

        async fn until_asked(&self, times: usize) {
            let asked = async {
                while self.asked.load(Ordering::SeqCst) < times {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            timeout(SOON, asked).await.expect("so many questions in time");
        }
    }

    /// Ends the silence with the test, however that ends: threads that hang would hold it.
    struct Speaks(Arc<Silence>);

    impl Drop for Speaks {
        fn drop(&mut self) {
            self.0.speak();
        }
    }

    fn address() -> Vec<SocketAddr> {
        vec![SocketAddr::from(([10, 0, 0, 1], 80))]
    }

    /// Names that begin with `silent` are not answered until they may be; others are at once.
    fn lookups() -> (Lookups, Arc<Silence>) {
        let silence = Arc::new(Silence::default());
        let own = Arc::clone(&silence);
        let lookups = Lookups::on_threads(move |name| {
            if name.starts_with("silent") {
                own.wait();
            }
            Ok(address())
        });
        (lookups, silence)
    }

    async fn ends(mut stage: watch::Receiver<Stage>) -> Stage {
        let ended = stage.wait_for(|stage| matches!(stage, Stage::Ended(_)));
        timeout(SOON, ended).await.expect("an end in time").unwrap().clone()
    }

    #[tokio::test]
    async fn a_name_is_asked_for_once_until_that_has_really_ended() {
        let (lookups, silence) = lookups();
        let first = lookups.look_up("silent", Lane::New);
        silence.until_asked(1).await;
        for _ in 0..100 {
            assert_eq!(*lookups.look_up("silent", Lane::Again).borrow(), Stage::Asked);
        }
        silence.speak();
        assert_eq!(ends(first).await, Stage::Ended(Ok(address())));
        assert_eq!(silence.asked.load(Ordering::SeqCst), 1);
        ends(lookups.look_up("silent", Lane::New)).await;
        assert_eq!(silence.asked.load(Ordering::SeqCst), 2, "the next one is another");
    }

    #[tokio::test]
    async fn names_that_were_silent_leave_the_other_lanes_free() {
        let (lookups, silence) = lookups();
        let all: Vec<_> = (0..100).map(|n| lookups.look_up(&format!("silent{n}"), Lane::Silent)).collect();
        silence.until_asked(SILENT).await;
        for lane in [Lane::New, Lane::Again] {
            assert_eq!(ends(lookups.look_up("well", lane)).await, Stage::Ended(Ok(address())));
        }
        assert_eq!(silence.asked.load(Ordering::SeqCst), SILENT);
        // Somebody is in a hurry for one that waits.
        lookups.look_up("silent99", Lane::New);
        silence.until_asked(SILENT + 1).await;
        silence.speak();
        for stage in all {
            ends(stage).await;
        }
        assert_eq!(silence.asked.load(Ordering::SeqCst), 100);
    }

    /// The threads that everything else blocks on (bodies that are parsed, files that are written) are others: here there is
    /// one, and it is free.
    #[test]
    fn lookups_that_hang_hold_no_thread_of_anybody_else() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
        runtime.unwrap().block_on(async {
            let (lookups, silence) = lookups();
            let _speaks = Speaks(Arc::clone(&silence));
            for n in 0..NEW + 50 {
                lookups.look_up(&format!("silent{n}"), Lane::New);
            }
            silence.until_asked(NEW).await;
            let other = tokio::task::spawn_blocking(|| 7);
            assert_eq!(timeout(SOON, other).await.unwrap().unwrap(), 7);
        });
    }

    #[tokio::test]
    async fn the_system_knows_localhost_and_what_has_no_address_is_an_error() {
        let Stage::Ended(Ok(found)) = ends(Lookups::system().look_up("localhost:8088", Lane::New)).await
        else {
            panic!("localhost is known")
        };
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 8088));
        let none = Lookups::on_threads(|_| Ok(Vec::new()));
        assert_eq!(ends(none.look_up("a", Lane::New)).await, Stage::Ended(Err("no address".into())));
    }
}
