//! A worker of its own for a test, turned by hand: what one turn does shows, and no clock is asked how fast it was.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Events;
use socket2::{Domain, Socket, Type};

use super::clients::Clients;
use super::spawn::{bind, build};
use super::turn::{STEPS, STEPS_A_REQUEST};
use super::worker::{EVENTS, Worker};
use crate::link::{Adopted, ControlEnd, bridge};
use crate::model::State;
use crate::settings::Settings;

/// Longest silence: nothing here takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A worker that knows no domain, and what it needs to turn.
pub(super) struct Turned {
    pub(super) worker: Worker,
    address: SocketAddr,
    events: Events,
    queue: Vec<u32>,
    control: ControlEnd,
}

impl Turned {
    pub(super) fn new(flags: &[&str]) -> Self {
        let flags: Vec<&str> = ["--listen=127.0.0.1:0", "--no-pin"].iter().chain(flags).copied().collect();
        let settings = Settings::from_flags(&flags).unwrap();
        let mut bound = bind(&settings, |_| Vec::new()).unwrap();
        let (address, listeners) = (bound.addresses[0], bound.workers.remove(0));
        let (mut ends, control) = bridge(1, true).unwrap();
        let snapshot = Arc::new(State::new().snapshot(1));
        let mut worker = build(
            ends.remove(0),
            listeners,
            &settings,
            snapshot,
            (&Clients::new(0), &crate::tls::Trust::nobody()),
            None,
        )
        .unwrap();
        worker.register().unwrap();
        Self { worker, address, events: Events::with_capacity(EVENTS), queue: Vec::new(), control }
    }

    /// Turns once; when nothing is to be done, that waits a moment for something.
    pub(super) fn turn(&mut self) {
        self.worker.turn(&mut self.events, &mut self.queue).unwrap();
    }

    /// Turns until something is true.
    #[track_caller]
    pub(super) fn until(&mut self, what: &str, is: impl Fn(&Worker) -> bool) {
        let begun = Instant::now();
        while !is(&self.worker) {
            assert!(begun.elapsed() < PATIENCE, "waited for {what}");
            self.turn();
        }
    }

    /// A client at this address that has said this.
    pub(super) fn call(&self, from: &str, says: &[u8]) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(from.parse().unwrap(), 0).into()).unwrap();
        socket.connect(&self.address.into()).unwrap();
        let mut client = TcpStream::from(socket);
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(says).unwrap();
        client
    }

    /// A connection that control was given.
    pub(super) fn adopted(&mut self) -> Option<Adopted> {
        self.control.adoptions.try_recv().ok()
    }

    /// A client that has said this, and was accepted.
    pub(super) fn client(&mut self, says: &[u8]) -> TcpStream {
        let client = self.call("127.0.0.1", says);
        let before = self.worker.ctx.accepted;
        self.until("a connection", |worker| worker.ctx.accepted > before);
        client
    }
}

/// Whether the client's connection was closed.
pub(super) fn is_closed(client: &mut TcpStream) -> bool {
    client.set_nonblocking(true).unwrap();
    let said = client.read(&mut [0]);
    client.set_nonblocking(false).unwrap();
    match said {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

/// What a client is told, up to the end of one answer.
pub(super) fn answer(client: &mut TcpStream) -> String {
    let (mut said, mut byte) = (Vec::new(), [0]);
    let ends: [&[u8]; 3] = [b"no-domain\n", b"no-buffers\n", b"no-places\n"];
    while !ends.iter().any(|end| said.ends_with(end)) && client.read(&mut byte).unwrap() > 0 {
        said.push(byte[0]);
    }
    String::from_utf8(said).unwrap()
}

pub(super) const ASKS: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_turn_answers_so_many_requests_of_a_connection_and_the_rest_comes_after_others() {
    let mut house = Turned::new(&[]);
    let mut other = house.client(b"");
    let _many = house.client(&ASKS.repeat(1000));
    let share = u64::from(STEPS / STEPS_A_REQUEST);
    assert_eq!(house.worker.ctx.requests, share, "as soon as it was accepted");
    for turn in 1..10 {
        other.write_all(ASKS).unwrap();
        house.turn();
        assert_eq!(house.worker.ctx.requests, share * (turn + 1) + turn, "turn {turn}");
        assert!(answer(&mut other).starts_with("HTTP/1.1 404"));
    }
}

#[test]
fn bytes_without_steps_are_no_requests() {
    let mut house = Turned::new(&[]);
    let mut client = house.client(b"GET / HTTP/1.1\r\n");
    for _ in 0..2 * STEPS {
        client.write_all(b"A: b\r\n").unwrap();
        house.turn();
    }
    client.write_all(b"Host: a\r\n\r\n").unwrap();
    house.until("the answer", |worker| worker.ctx.requests == 1);
}

#[test]
fn a_request_that_comes_with_the_order_to_go_down_is_answered_and_told_so() {
    let mut house = Turned::new(&[]);
    let mut client = house.client(ASKS);
    assert!(!answer(&mut client).contains("Connection: close"));
    let mut silent = house.client(b"");
    house.worker.begin_drain(Instant::now() + Duration::from_secs(3600));
    client.write_all(ASKS).unwrap();
    house.until("the request", |worker| worker.ctx.requests == 2);
    assert!(answer(&mut client).contains("Connection: close"));
    house.until("both to be let go", |worker| worker.over());
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
}
