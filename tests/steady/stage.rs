//! A worker with a client on one side and an origin on the other, neither of which allocates once it has begun.
//!
//! Both know beforehand what the other says, so they look for its last bytes and parse nothing. All connections to the
//! origin are made at the first request: it answers none before it has all of them. Next: `data::spawn`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use elb::access_log::batch::AccessLog;
use elb::link::{ControlEnd, Report, ToWorker, bridge};
use elb::model::{Edit, State};
use elb::settings::{AccessLogSettings, Settings};
use serde_json::{Map, Value, json};

/// The longest message, and more.
const ROOM: usize = 512 << 10;
/// Longest silence: nothing here takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is asked and answered, again and again.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Connections that ask at the same time.
    pub(crate) connections: usize,
    pub(crate) flags: &'static [&'static str],
    /// Of the domain `a.test`.
    pub(crate) rules: Value,
    /// Of its upstream.
    pub(crate) options: &'static str,
    pub(crate) request: Vec<u8>,
    /// The last bytes of the request as the origin gets it.
    pub(crate) request_end: &'static [u8],
    /// What the origin answers; nothing when it is not to be asked.
    pub(crate) response: Vec<u8>,
    /// The last bytes of the response as the client gets it.
    pub(crate) response_end: &'static [u8],
    /// A connection for each request.
    pub(crate) once: bool,
    /// How long the warm-up lasts at least.
    pub(crate) warm: Duration,
}

pub(crate) struct Stage {
    control: ControlEnd,
    worker: JoinHandle<()>,
    origin: JoinHandle<()>,
    address: SocketAddr,
    clients: Vec<TcpStream>,
    room: Vec<u8>,
}

/// An access log whose batches come back at once: what a writer does is done by another thread, and is not counted here.
fn log_to_nobody(settings: &AccessLogSettings) -> AccessLog {
    let (log, batches) = elb::access_log::batch::ends(1, settings.only, true);
    std::thread::spawn(move || {
        for batch in &batches.full {
            let _ = batches.free.send(batch);
        }
    });
    log
}

impl Stage {
    /// A worker that serves this case.
    pub(crate) fn new(case: &Case) -> Stage {
        let (origin, server) = origin(case);
        let flags: Vec<&str> =
            ["--listen=127.0.0.1:0", "--no-pin"].into_iter().chain(case.flags.iter().copied()).collect();
        let settings = Settings::from_flags(&flags).expect("good flags");
        let mut bound = elb::data::bind(&settings, |_| Vec::new()).expect("an address");
        let (address, listeners) = (bound.addresses[0], bound.workers.remove(0));
        let (mut ends, control) = bridge(1, false).expect("a bridge");
        let mut state = State::new();
        let upstreams =
            Map::from_iter([("up".to_owned(), json!({server.to_string(): "", "@options": case.options}))]);
        let domains = Map::from_iter([("a.test".to_owned(), case.rules.clone())]);
        for edit in [Edit::PutUpstreams(upstreams), Edit::PutDomains(domains)] {
            state.edit(edit).expect("good rules");
        }
        let snapshot = Arc::new(state.snapshot(1));
        let clients = elb::data::Clients::new(settings.max_connections_per_client);
        let log = settings.seeing.access_log.as_ref().map(log_to_nobody);
        let worker = elb::data::spawn(
            ends.remove(0),
            listeners,
            &settings,
            snapshot,
            (&clients, &elb::tls::Trust::nobody()),
            log,
        )
        .expect("a worker");
        let clients = (0..case.connections).map(|_| connect(address)).collect();
        Stage { control, worker, origin, address, clients, room: vec![0; ROOM] }
    }

    /// Asks so often, and for as long as the case wants.
    pub(crate) fn warm_up(&mut self, case: &Case, rounds: usize) {
        let begun = Instant::now();
        for round in 0.. {
            if round >= rounds && begun.elapsed() >= case.warm {
                break;
            }
            self.ask(case);
        }
        self.reports();
    }

    /// Every connection asks, then every connection is answered.
    pub(crate) fn ask(&mut self, case: &Case) {
        for client in &mut self.clients {
            if case.once {
                *client = connect(self.address);
            }
            client.write_all(&case.request).expect("a worker that listens");
        }
        for client in &mut self.clients {
            assert!(read_to(client, case.response_end, &mut self.room), "{}: no answer", case.name);
        }
    }

    /// How many reports came since this was last asked.
    pub(crate) fn reports(&mut self) -> usize {
        std::iter::from_fn(|| self.control.reports.try_recv().ok())
            .filter(|report| matches!(report, Report::Gauges { .. }))
            .count()
    }

    /// Ends the worker, and with it everything.
    pub(crate) fn end(self) {
        self.control.workers[0].send(ToWorker::Stop).expect("a worker that runs");
        self.worker.join().expect("a worker that did not panic");
        self.origin.join().expect("an origin that did not panic");
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).expect("a worker that accepts");
    client.set_nodelay(true).expect("an option");
    client.set_read_timeout(Some(PATIENCE)).expect("an option");
    client
}

/// Reads until `end` came; `false` when the connection ended. Messages do not overlap, so it is the last of them.
fn read_to(stream: &mut TcpStream, end: &[u8], room: &mut [u8]) -> bool {
    let mut length = 0;
    while !room[..length].ends_with(end) {
        match stream.read(&mut room[length..]) {
            Ok(0) | Err(_) => return false,
            Ok(more) => length += more,
        }
    }
    true
}

/// An origin that takes as many connections as there are clients, and not one more.
fn origin(case: &Case) -> (JoinHandle<()>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("an address");
    let address = listener.local_addr().expect("an address");
    let Case { request_end, response, connections, .. } = case.clone();
    let connections = if response.is_empty() { 0 } else { connections };
    let (response, all) = (Arc::new(response), Arc::new(Barrier::new(connections.max(1))));
    let origin = thread::spawn(move || {
        let talk = |_| {
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.set_nodelay(true).expect("an option");
            let (response, all) = (Arc::clone(&response), Arc::clone(&all));
            thread::spawn(move || {
                let (mut room, mut first) = (vec![0; ROOM], true);
                while read_to(&mut stream, request_end, &mut room) {
                    if std::mem::take(&mut first) {
                        all.wait();
                    }
                    stream.write_all(&response).expect("a worker that reads");
                }
            })
        };
        let talking: Vec<JoinHandle<()>> = (0..connections).map(talk).collect();
        drop(listener);
        talking.into_iter().for_each(|one| one.join().expect("a connection that did not panic"));
    });
    (origin, address)
}
