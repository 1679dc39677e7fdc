//! A load: many clients that ask without pause until they are told to stop.
//!
//! It owns the threads and the connections; what is asked and what is a failure is the test's to say. Most requests
//! follow each other on a connection, some come on a new one, so that both paths are under load. Next: `client`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::client::Client;
use super::wait;

/// Requests on one connection before the next is opened.
const PER_CONNECTION: u64 = 50;
/// Failures that are kept; the first tell enough.
const KEPT: usize = 10;

/// A running load.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ending: AtomicBool,
    answered: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// How long tests that put ELB under load do so: as the issue says, or as `ELB_TEST_SECONDS` does.
pub(crate) fn seconds() -> Duration {
    seconds_or(30)
}

/// The same with another length of its own.
pub(crate) fn seconds_or(own: u64) -> Duration {
    let given = std::env::var("ELB_TEST_SECONDS").ok();
    Duration::from_secs(given.map_or(own, |text| text.parse().expect("ELB_TEST_SECONDS is a number")))
}

impl Load {
    /// Starts so many clients of `address`. Each takes its `turn` again and again: one request and what is to be said
    /// about the answer. The number counts the turns of that client.
    pub(crate) fn start(
        address: SocketAddr,
        clients: usize,
        turn: impl Fn(&mut Client, u64) -> Result<(), String> + Send + Sync + 'static,
    ) -> Load {
        let (shared, turn) = (Arc::new(Shared::default()), Arc::new(turn));
        let clients = (0..clients).map(|_| {
            let (shared, turn) = (Arc::clone(&shared), Arc::clone(&turn));
            thread::spawn(move || shared.run(address, &*turn))
        });
        let clients = clients.collect();
        Load { shared, clients }
    }

    /// Requests answered so far, as they should be.
    pub(crate) fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// Waits until so many more requests were answered.
    #[track_caller]
    pub(crate) fn carry_on(&self, more: u64) {
        let goal = self.answered() + more;
        wait::until("the load to go on", || (self.answered() >= goal || self.failed()).then_some(()));
    }

    /// Whether anything went wrong so far.
    pub(crate) fn failed(&self) -> bool {
        !self.shared.failures.lock().expect("the failures").is_empty()
    }

    /// Ends the load, and gives the number of requests. Any failure among them is the test's.
    #[track_caller]
    pub(crate) fn finish(self) -> u64 {
        self.shared.ending.store(true, Ordering::SeqCst);
        let panicked = self.clients.into_iter().filter_map(|client| client.join().err()).count();
        let failures = self.shared.failures.lock().expect("the failures").join("\n");
        assert!(failures.is_empty() && panicked == 0, "under load:\n{failures}");
        self.shared.answered.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn run(&self, address: SocketAddr, turn: &dyn Fn(&mut Client, u64) -> Result<(), String>) {
        let mut number = 0;
        while !self.ending.load(Ordering::SeqCst) {
            let connected = Client::try_connect(address).map_err(|error| format!("connecting: {error}"));
            let outcome = connected.and_then(|mut client| {
                for _ in 0..PER_CONNECTION {
                    if self.ending.load(Ordering::SeqCst) {
                        break;
                    }
                    turn(&mut client, number)?;
                    self.answered.fetch_add(1, Ordering::SeqCst);
                    number += 1;
                }
                Ok(())
            });
            if let Err(failure) = outcome {
                let mut failures = self.failures.lock().expect("the failures");
                failures.push(format!("turn {number}: {failure}"));
                if failures.len() >= KEPT {
                    self.ending.store(true, Ordering::SeqCst);
                }
            }
        }
    }
}
