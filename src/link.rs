//! The only bridge between the two planes: snapshots and orders toward the workers, reports toward control.
//!
//! It owns the channels, never a socket loop or a decision. Workers sleep in mio, so their mailbox is a crossbeam
//! channel with a [`mio::Waker`]; control sleeps in tokio, so its mailbox is a tokio channel that a worker fills with
//! `try_send`. Next: [`crate::data::worker`] reads one end, `control::run` the other.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use rustls::ServerConfig;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::model::{ServerId, Snapshot, Tally, UpstreamName};
use crate::readiness::Readiness;
use crate::stats::Taken;
use crate::stats::gzip::Gzip;
use crate::stats::reasons::Refused;
use crate::stats::retries::Retries;

/// Messages that may wait for one worker. Control keeps one snapshot in flight, so this is orders plus slack.
pub const MAILBOX: usize = 8;
/// Reports that may wait for control from all workers together; statistics stay in the worker when it is full.
pub const REPORTS: usize = 1024;
/// Admin connections that may wait for control; the next one is answered 503 by its worker.
pub const ADOPTIONS: usize = 64;
/// The readiness token of a worker's waker; no socket ever has it.
pub const WAKE: mio::Token = mio::Token(usize::MAX);
/// The last second of the year 9999, since 1970: the last one that an HTTP date can tell. Both planes write dates, by
/// libraries that panic at a time before 1970 or after this.
pub const LAST_SECOND: Duration = Duration::from_secs(253_402_300_799);

/// A candidate that is asked beside what is served.
#[derive(Debug)]
pub struct Shadowing {
    /// Which time it is that one is asked.
    pub run: u64,
    /// It shares its library with what is served.
    pub candidate: Snapshot,
    /// From then on it is not asked.
    pub until: Instant,
    /// It is asked about a request in whose number these bits are 0.
    pub mask: u64,
}

/// What control tells a worker.
#[derive(Debug)]
pub enum ToWorker {
    /// Serve from this snapshot on, and report [`Report::Applied`].
    Snapshot(Arc<Snapshot>),
    /// Ask this candidate about requests from now on, and report [`Report::Shadowed`].
    Shadow(Arc<Shadowing>),
    /// Ask it no more, if it is that of this run.
    EndShadow(u64),
    /// Begin sessions of TLS with these certificates from now on.
    Tls(Arc<ServerConfig>),
    /// Go on, and say in every answer that its connection closes: balancers before this one find another meanwhile.
    Leave,
    /// Stop accepting, finish what runs, and report [`Report::Drained`]; at the deadline, close what is left.
    Drain(Instant),
    /// Close everything now and end.
    Stop,
}

/// What a worker holds at one moment, and what it accepted, was asked and refused until then. With nobody there all that is held is 0, but for
/// idle server connections and what is kept to be used again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Gauges {
    /// Client connections.
    pub clients: usize,
    /// Requests under way.
    pub exchanges: usize,
    /// Connections that wait for a window.
    pub waiting_for_buffer: usize,
    /// Bytes of the windows that are lent, and of what is held beside them.
    pub window_bytes: usize,
    /// Connections to servers, idle ones included.
    pub server_connections: usize,
    /// Connections to servers that wait for a request.
    pub server_connections_idle: usize,
    /// Places taken in balancers: requests at servers, and attempts to reach one.
    pub requests_at_servers: u64,
    /// Timers that will come due.
    pub timers: usize,
    /// Exchanges that are kept ready, mostly finished ones.
    pub spare_exchanges: usize,
    /// 1 if it had as many connections as it may have, within the last minute.
    pub short_of_connections: usize,
    /// 1 if the process had no descriptor left for one, within the last minute.
    pub short_of_descriptors: usize,
    /// Connections of clients that were accepted since the start.
    pub accepted: u64,
    /// Requests that were put to the rules since the start; those that none can be, and the admin API's, are not among them.
    pub requests: u64,
    /// Requests that were put to a server although all were aside, as there was no other, since the start.
    pub fail_open: u64,
    /// Requests that were sent once more since the start, by what had become of them.
    pub retries: Retries,
    /// Requests since the start that could have been, had the budget of their upstream allowed it.
    pub retries_over_budget: u64,
    /// Searches of backtracking patterns that were given up since the start, as they took too long; each is no match.
    pub searches_given_up: u64,
    /// What was compressed since the start.
    pub gzip: Gzip,
    /// What was refused, cut or closed since the start, by reason.
    pub refused: Refused,
}

impl std::ops::AddAssign for Gauges {
    fn add_assign(&mut self, other: Self) {
        self.clients += other.clients;
        self.exchanges += other.exchanges;
        self.waiting_for_buffer += other.waiting_for_buffer;
        self.window_bytes += other.window_bytes;
        self.server_connections += other.server_connections;
        self.server_connections_idle += other.server_connections_idle;
        self.requests_at_servers += other.requests_at_servers;
        self.timers += other.timers;
        self.spare_exchanges += other.spare_exchanges;
        self.short_of_connections += other.short_of_connections;
        self.short_of_descriptors += other.short_of_descriptors;
        self.accepted += other.accepted;
        self.requests += other.requests;
        self.fail_open += other.fail_open;
        self.retries += other.retries;
        self.retries_over_budget += other.retries_over_budget;
        self.searches_given_up += other.searches_given_up;
        self.gzip += other.gzip;
        self.refused += other.refused;
    }
}

/// What a worker has to do with one server at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerNumbers {
    /// Which one.
    pub server: ServerId,
    /// Connections to it that are in use, or being made.
    pub active: u32,
    /// Connections to it that wait for a request.
    pub idle: u32,
    /// Requests that were brought to it since it is there: one that is tried twice counts twice.
    pub requests: u64,
}

impl ServerNumbers {
    /// Those of a server that nothing was done with.
    #[must_use]
    pub fn none(server: ServerId) -> Self {
        Self { server, active: 0, idle: 0, requests: 0 }
    }
}

/// What was cut off because the process had to end, by the deadline of a drain or by an order to stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cut {
    /// Requests whose answer was not out.
    pub requests: usize,
    /// Connections whose protocol was switched: websockets, mostly.
    pub tunnels: usize,
}

impl std::ops::AddAssign for Cut {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.tunnels += other.tunnels;
    }
}

/// What a worker tells control.
#[derive(Debug)]
pub enum Report {
    /// The worker serves this version; the snapshot it held before travels back to be freed off the request path.
    Applied {
        /// Which worker.
        worker: usize,
        /// The version that it serves now.
        version: u64,
        /// What it served before.
        old: Arc<Snapshot>,
    },
    /// Numbers counted since the last report, with the snapshot that names their slots.
    Counted {
        /// The numbers.
        stats: Box<Taken>,
        /// The snapshot whose slots they use.
        snapshot: Arc<Snapshot>,
    },
    /// What the worker holds, each second.
    Gauges {
        /// Which worker.
        worker: usize,
        /// How much of what.
        gauges: Box<Gauges>,
    },
    /// What is different with these servers since this was told last; at most once a second, and each server once.
    Servers {
        /// Which worker.
        worker: usize,
        /// The servers.
        servers: Vec<ServerNumbers>,
    },
    /// Every server of these upstreams has failed, and of no others; told when that changes.
    Outages {
        /// Which worker.
        worker: usize,
        /// The upstreams, of which it lists a bounded number.
        upstreams: Vec<Arc<UpstreamName>>,
    },
    /// What a candidate would have done with requests since this was told last; told at once when it is asked, then each second.
    Shadowed {
        /// Which worker.
        worker: usize,
        /// Which run.
        run: u64,
        /// What was compared.
        tally: Box<Tally>,
        /// This was the last of it, and what was asked travels back to be freed off the request path.
        over: Option<Arc<Shadowing>>,
    },
    /// The worker has ended.
    Drained {
        /// Which worker.
        worker: usize,
        /// What it had left to do.
        cut: Cut,
    },
}

/// A client connection whose request is for the admin API, with the bytes that were read and not consumed.
#[derive(Debug)]
pub struct Adopted {
    /// The socket, deregistered and non-blocking.
    pub stream: std::net::TcpStream,
    /// Who connected.
    pub peer: SocketAddr,
    /// What was read from it; to be served before the socket.
    pub bytes: Vec<u8>,
}

/// Why a worker did not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// It does not look into its mailbox, which is full.
    Full,
    /// It has ended.
    Ended,
}

/// Control's end of one worker's mailbox.
#[derive(Debug, Clone)]
pub struct WorkerHandle {
    /// The worker's number, from 0.
    pub index: usize,
    mailbox: Sender<ToWorker>,
    waker: Arc<mio::Waker>,
}

impl WorkerHandle {
    /// Puts a message into the mailbox, then wakes the worker.
    ///
    /// # Errors
    /// The mailbox is full, or the worker has ended. The message is gone.
    pub fn send(&self, message: ToWorker) -> Result<(), NotTaken> {
        match self.mailbox.try_send(message) {
            Ok(()) => {
                // A wake that fails leaves the message for the next turn, which the flush timer bounds to a second.
                let _ = self.waker.wake();
                Ok(())
            }
            Err(TrySendError::Full(_)) => Err(NotTaken::Full),
            Err(TrySendError::Disconnected(_)) => Err(NotTaken::Ended),
        }
    }
}

/// A worker's end: its poll, its mailbox, and the ways back to control.
#[derive(Debug)]
pub struct WorkerEnd {
    /// The worker's number, from 0.
    pub index: usize,
    /// The poll that the waker wakes; the worker registers its sockets here.
    pub poll: mio::Poll,
    /// Messages from control.
    pub mailbox: Receiver<ToWorker>,
    /// Reports to control.
    pub reports: mpsc::Sender<Report>,
    /// Admin connections to control; `None` when the admin API is not on the data port.
    pub adoptions: Option<mpsc::Sender<Adopted>>,
    /// Whether the process should get traffic, as control judges it.
    pub readiness: Readiness,
}

/// Control's end: all workers and what comes from them.
#[derive(Debug)]
pub struct ControlEnd {
    /// One handle a worker, in order.
    pub workers: Vec<WorkerHandle>,
    /// Reports of all workers.
    pub reports: mpsc::Receiver<Report>,
    /// Admin connections of all workers.
    pub adoptions: mpsc::Receiver<Adopted>,
    /// What all workers say when they are asked whether the process is ready.
    pub readiness: Readiness,
}

/// Makes both ends for `workers` workers. `admin` says whether workers hand admin connections over.
///
/// # Errors
/// Whatever the kernel says to a new poll or waker (too many open files).
pub fn bridge(workers: usize, admin: bool) -> io::Result<(Vec<WorkerEnd>, ControlEnd)> {
    let (report, reports) = mpsc::channel(REPORTS);
    let (adopt, adoptions) = mpsc::channel(ADOPTIONS);
    let readiness = Readiness::not_yet();
    let mut ends = Vec::with_capacity(workers);
    let mut handles = Vec::with_capacity(workers);
    for index in 0..workers {
        let poll = mio::Poll::new()?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), WAKE)?);
        let (sender, mailbox) = crossbeam_channel::bounded(MAILBOX);
        handles.push(WorkerHandle { index, mailbox: sender, waker });
        let adoptions = admin.then(|| adopt.clone());
        let readiness = readiness.clone();
        ends.push(WorkerEnd { index, poll, mailbox, reports: report.clone(), adoptions, readiness });
    }
    Ok((ends, ControlEnd { workers: handles, reports, adoptions, readiness }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_message_wakes_the_worker_and_a_full_mailbox_takes_none() {
        let (mut ends, control) = bridge(1, true).unwrap();
        let end = &mut ends[0];
        for _ in 0..MAILBOX {
            control.workers[0].send(ToWorker::Stop).unwrap();
        }
        assert_eq!(control.workers[0].send(ToWorker::Stop), Err(NotTaken::Full));
        let mut events = mio::Events::with_capacity(4);
        end.poll.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
        assert_eq!(events.iter().map(mio::event::Event::token).collect::<Vec<_>>(), [WAKE]);
        assert_eq!(end.mailbox.try_iter().count(), MAILBOX);
        drop(ends);
        assert_eq!(control.workers[0].send(ToWorker::Stop), Err(NotTaken::Ended));
    }

    #[test]
    fn without_admin_on_the_data_port_no_worker_can_hand_over() {
        let (ends, _control) = bridge(2, false).unwrap();
        assert!(ends.iter().all(|end| end.adoptions.is_none()));
    }
}
