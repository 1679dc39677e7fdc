//! Servers that take their time, as those of an application do: each has few places, and a queue behind them.
//!
//! Each server is a listener, and a thread with a loop of its own. It keeps every connection, answers one request of a
//! connection at a time, and reads nothing but heads: bodies are for `origin`. How long a request takes is
//! `load::service`'s.

use std::io;
use std::net::SocketAddrV4;
use std::thread;
use std::time::{Duration, Instant};

use load::args::{Args, refuse};
use load::head;
use load::net::{self, Flow, LISTENER, Poll, Ready, TICKER};
use load::service::{Pace, Places, Slow};
use rustix::fd::OwnedFd;

const HELP: &str = "\
farm: servers that take their time; every GET is answered with 128 bytes

  --listen ADDRESS    where one listens, as 127.0.0.1:8080; given again, it is another server
  --places N          requests that a server works on at once; others wait in a queue (4)
  --least-ms N        the shortest service (5)
  --most-ms N         the longest; all between are equally likely (15)
  --slow-factor N     one of them, that in the middle, takes so many times as long (1)
  --slow-ms N         for so long, at the end of each cycle (5000)
  --cycle-ms N        the length of a cycle (10000)";

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: farm\r\nContent-Type: text/plain\r\nContent-Length: 128\r\n\r\n\
xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

fn main() -> io::Result<()> {
    let mut args = Args::read(HELP);
    let mut listen: Vec<SocketAddrV4> = Vec::new();
    while let Some(address) = args.optional("listen") {
        listen.push(address);
    }
    let places = args.or("places", 4);
    let mut milliseconds = |name, default| Duration::from_millis(args.or(name, default));
    let (least, most) = (milliseconds("least-ms", 5), milliseconds("most-ms", 15));
    let (lasts, cycle) = (milliseconds("slow-ms", 5000), milliseconds("cycle-ms", 10_000));
    let factor = args.or("slow-factor", 1);
    args.end();
    if listen.is_empty() {
        refuse("--listen is needed");
    }
    let begun = Instant::now();
    let middle = listen.len() / 2;
    let threads: Vec<_> = (listen.into_iter().enumerate())
        .map(|(number, address)| {
            let slow = (number == middle).then_some(Slow { factor, lasts, cycle });
            let places = Places::new(places, Pace { least, most, slow }, begun, number as u64);
            thread::spawn(move || Server::new(address, places)?.run())
        })
        .collect();
    threads
        .into_iter()
        .try_for_each(|server| server.join().map_err(|_| io::Error::other("a server panicked")).flatten())
}

/// A connection.
struct Conn {
    socket: OwnedFd,
    /// Bytes of requests that are not whole yet, or wait behind one under way.
    carry: Vec<u8>,
    /// The ticket of the request under way.
    ticket: Option<u64>,
}

struct Server {
    listener: OwnedFd,
    /// It rings when the next request is done.
    alarm: OwnedFd,
    places: Places,
    conns: Vec<Option<Conn>>,
    free: Vec<usize>,
    /// Requests so far.
    tickets: u64,
    scratch: Vec<u8>,
}

/// Of a ticket, the part that is the number of the connection. The rest tells its requests apart, and those of another
/// connection that had the number before.
const NUMBER_BITS: u32 = 20;

impl Server {
    fn new(listen: SocketAddrV4, places: Places) -> io::Result<Self> {
        let (listener, alarm) = (net::listen(listen)?, net::alarm()?);
        let (conns, free) = (Vec::new(), Vec::new());
        Ok(Self { listener, alarm, places, conns, free, tickets: 0, scratch: vec![0; 64 * 1024] })
    }

    fn run(mut self) -> io::Result<()> {
        let mut poll = Poll::new()?;
        poll.add(&self.listener, LISTENER)?;
        poll.add(&self.alarm, TICKER)?;
        loop {
            poll.wait(None, |poll, ready| match ready.token {
                LISTENER => self.accept(poll),
                TICKER => Ok(()),
                token => {
                    self.stir(token as usize, ready);
                    Ok(())
                }
            })?;
            self.answer();
            if let Some(next) = self.places.next() {
                net::set(&self.alarm, next.saturating_duration_since(Instant::now()))?;
            }
        }
    }

    fn accept(&mut self, poll: &Poll) -> io::Result<()> {
        while let Some(socket) = net::accept(&self.listener)? {
            let number = self.free.pop().unwrap_or_else(|| {
                self.conns.push(None);
                self.conns.len() - 1
            });
            poll.add(&socket, number as u64)?;
            self.conns[number] = Some(Conn { socket, carry: Vec::new(), ticket: None });
        }
        Ok(())
    }

    fn stir(&mut self, number: usize, ready: Ready) {
        let Some(conn) = &mut self.conns[number] else { return };
        if !ready.readable {
            return;
        }
        loop {
            match net::receive(&conn.socket, &mut self.scratch) {
                Flow::Moved(n) => conn.carry.extend_from_slice(&self.scratch[..n]),
                Flow::Blocked => break,
                Flow::Gone => return self.close(number),
            }
        }
        self.begin(number);
    }

    /// The next request of a connection, if one is whole and none is under way.
    fn begin(&mut self, number: usize) {
        let Some(conn) = &mut self.conns[number] else { return };
        if conn.ticket.is_some() {
            return;
        }
        let Some(length) = head::end(&conn.carry) else { return };
        conn.carry.drain(..length);
        self.tickets += 1;
        let ticket = self.tickets << NUMBER_BITS | number as u64;
        conn.ticket = Some(ticket);
        self.places.come(ticket, Instant::now());
    }

    /// Answers what is done. A request whose connection is gone has had its place for nothing, as it has elsewhere.
    fn answer(&mut self) {
        let now = Instant::now();
        while let Some(ticket) = self.places.done(now) {
            let number = (ticket & ((1 << NUMBER_BITS) - 1)) as usize;
            let Some(conn) = &mut self.conns[number] else { continue };
            if conn.ticket != Some(ticket) {
                continue;
            }
            conn.ticket = None;
            // So little always fits into the buffer of a socket that is asked one thing at a time.
            match net::send(&conn.socket, ANSWER) {
                Flow::Moved(n) if n == ANSWER.len() => self.begin(number),
                _ => self.close(number),
            }
        }
    }

    fn close(&mut self, number: usize) {
        self.conns[number] = None;
        self.free.push(number);
    }
}
