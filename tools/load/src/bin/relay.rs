//! The floor: receives and sends, and does nothing else, so whatever a proxy costs above it is the proxy's own.
//!
//! Each client connection has one server connection. No byte is looked at. The order of calls is the cheapest that
//! epoll allows: sockets are registered once, edge-triggered, and a receive that does not fill its buffer has drained
//! the socket. With `--once` the end of a response is known without looking, so the server connection goes on to the
//! next client, the one that was used last first.

use std::io;
use std::net::SocketAddrV4;
use std::thread;

use load::args::Args;
use load::net::{self, Flow, LISTENER, Poll, Ready};
use rustix::fd::OwnedFd;

const HELP: &str = "\
relay: passes bytes between clients and a server, both ways, unseen

  --listen ADDRESS    where clients connect, as 127.0.0.1:8080
  --server ADDRESS    where their bytes go
  --buffer BYTES      most bytes of one receive (65536)
  --once true         a client connection carries one exchange, whose response is one receive (false)
  --threads N         loops, each with a listener of its own (1)";

/// What the command line says.
#[derive(Debug, Clone, Copy)]
struct Setup {
    listen: SocketAddrV4,
    server: SocketAddrV4,
    buffer: usize,
    once: bool,
}

fn main() -> io::Result<()> {
    let mut args = Args::read(HELP);
    let setup = Setup {
        listen: args.required("listen"),
        server: args.required("server"),
        buffer: args.or("buffer", 64 * 1024),
        once: args.or("once", false),
    };
    let threads: usize = args.or("threads", 1);
    args.end();
    for _ in 1..threads {
        thread::spawn(move || Relay::new(setup)?.run());
    }
    Relay::new(setup)?.run()
}

/// One direction of a pair.
#[derive(Debug, Default)]
struct Way {
    /// Bytes that were received and could not be sent yet.
    held: Vec<u8>,
    sent: usize,
}

/// A server connection, and the client that has it now.
#[derive(Debug)]
struct Pair {
    server: OwnedFd,
    client: Option<OwnedFd>,
    to_server: Way,
    to_client: Way,
}

/// The state of one thread. A socket's token is its pair's number, doubled, plus one for the server's.
///
/// An event of a socket that was closed meanwhile may reach the next owner of its number. It does no harm: the call
/// that follows finds nothing.
struct Relay {
    setup: Setup,
    listener: OwnedFd,
    pairs: Vec<Option<Pair>>,
    /// Numbers of pairs whose server connection waits for a client.
    idle: Vec<usize>,
    /// Numbers without a pair.
    free: Vec<usize>,
    scratch: Vec<u8>,
}

impl Relay {
    fn new(setup: Setup) -> io::Result<Self> {
        Ok(Self {
            setup,
            listener: net::listen(setup.listen)?,
            pairs: Vec::new(),
            idle: Vec::new(),
            free: Vec::new(),
            scratch: vec![0; setup.buffer],
        })
    }

    fn run(mut self) -> io::Result<()> {
        let mut poll = Poll::new()?;
        poll.add(&self.listener, LISTENER)?;
        loop {
            poll.wait(None, |poll, ready| match ready.token {
                LISTENER => self.accept(poll),
                token => {
                    self.stir((token / 2) as usize, token % 2 == 1, ready);
                    Ok(())
                }
            })?;
        }
    }

    fn accept(&mut self, poll: &Poll) -> io::Result<()> {
        while let Some(client) = net::accept(&self.listener)? {
            let number = match self.idle.pop() {
                Some(number) => number,
                None => self.connect(poll)?,
            };
            let Some(pair) = &mut self.pairs[number] else { continue };
            let client = pair.client.insert(client);
            if self.setup.once {
                // The request is mostly there already; then one exchange needs no registration.
                if let Flow::Moved(n) = net::receive(client, &mut self.scratch) {
                    push(&self.scratch[..n], &pair.server, &mut pair.to_server);
                    continue;
                }
            }
            poll.add(client, 2 * number as u64)?;
        }
        Ok(())
    }

    fn connect(&mut self, poll: &Poll) -> io::Result<usize> {
        let server = net::connect(self.setup.server)?;
        let number = self.free.pop().unwrap_or_else(|| {
            self.pairs.push(None);
            self.pairs.len() - 1
        });
        poll.add(&server, 2 * number as u64 + 1)?;
        let pair = Pair { server, client: None, to_server: Way::default(), to_client: Way::default() };
        self.pairs[number] = Some(pair);
        Ok(number)
    }

    /// Moves what an event says can be moved.
    fn stir(&mut self, number: usize, is_server: bool, ready: Ready) {
        let Some(pair) = &mut self.pairs[number] else { return };
        let Some(client) = &pair.client else {
            if ready.ended {
                self.pairs[number] = None;
                self.idle.retain(|idle| *idle != number);
                self.free.push(number);
            }
            return;
        };
        let (from, to, out, back) = if is_server {
            (&pair.server, client, &mut pair.to_client, &mut pair.to_server)
        } else {
            (client, &pair.server, &mut pair.to_server, &mut pair.to_client)
        };
        // What this socket did not take before.
        let unblocked = ready.writable && !back.held.is_empty() && flush(from, back);
        let mut gone = ready.readable && !pass(from, to, out, &mut self.scratch, ready.ended);
        if unblocked && back.held.is_empty() {
            // The other socket was not read meanwhile.
            gone |= !pass(to, from, back, &mut self.scratch, true);
        }
        let over = self.setup.once && is_server && ready.readable && out.held.is_empty();
        if gone {
            self.pairs[number] = None;
            self.free.push(number);
        } else if over {
            pair.client = None;
            self.idle.push(number);
        }
    }
}

/// Passes what has come, until the socket is drained or the other one takes no more. `false`: it has ended.
fn pass(from: &OwnedFd, to: &OwnedFd, way: &mut Way, scratch: &mut [u8], to_the_end: bool) -> bool {
    while way.held.is_empty() {
        match net::receive(from, scratch) {
            Flow::Moved(n) => {
                push(&scratch[..n], to, way);
                if n < scratch.len() && !to_the_end {
                    return true;
                }
            }
            Flow::Blocked => return true,
            Flow::Gone => return false,
        }
    }
    true
}

/// Sends, and keeps what is not taken. A socket that is gone tells so when it is read.
fn push(bytes: &[u8], to: &OwnedFd, way: &mut Way) {
    let taken = match net::send(to, bytes) {
        Flow::Moved(n) => n,
        Flow::Blocked => 0,
        Flow::Gone => bytes.len(),
    };
    way.held.extend_from_slice(&bytes[taken..]);
}

/// Sends what was kept. Whether something moved.
fn flush(to: &OwnedFd, way: &mut Way) -> bool {
    let Flow::Moved(n) = net::send(to, &way.held[way.sent..]) else { return false };
    way.sent += n;
    if way.sent == way.held.len() {
        way.held.clear();
        way.sent = 0;
    }
    true
}
