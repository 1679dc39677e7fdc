//! The server of the worst clients: one thread for all of its connections.
//!
//! Attacks hold its connections, so a normal client's request often needs a new one. A thread for each would make that client
//! wait for threads to begin, and a thousand of them for processors; neither would be ELB's doing.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;

use crate::support::message::{Framing, Head};
use crate::support::server::ok;

/// How long a slow URL takes.
const SLOW: Duration = Duration::from_secs(3);
const LISTENER: Token = Token(usize::MAX - 2);
const WAKER: Token = Token(usize::MAX - 3);

/// A server that is slow where it is asked to be.
pub(crate) struct WorstServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ending: AtomicBool,
    /// Requests that were not strict HTTP.
    faults: AtomicUsize,
}

/// What is known of one connection.
struct Talk {
    stream: TcpStream,
    /// Tells it from another one that had its slot before.
    number: usize,
    came: Vec<u8>,
    leaves: Vec<u8>,
}

struct Serving {
    poll: Poll,
    listener: TcpListener,
    talks: Slab<Talk>,
    /// Slow answers, the next first: all take the same time.
    due: VecDeque<(Instant, usize, usize)>,
    accepted: usize,
    shared: Arc<Shared>,
}

impl WorstServer {
    pub(crate) fn start() -> WorstServer {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("an address");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("a local address");
        let (poll, shared) = (Poll::new().expect("a poll"), Arc::new(Shared::default()));
        let waker = Waker::new(poll.registry(), WAKER).expect("a waker");
        let mut listener = TcpListener::from_std(listener);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).expect("a listener");
        let serving = Serving {
            poll,
            listener,
            talks: Slab::new(),
            due: VecDeque::new(),
            accepted: 0,
            shared: Arc::clone(&shared),
        };
        WorstServer { address, shared, waker, thread: Some(thread::spawn(|| serving.run())) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Serving {
    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        while !self.shared.ending.load(Ordering::SeqCst) {
            let timeout = self.due.front().map(|(at, ..)| at.saturating_duration_since(Instant::now()));
            if let Err(error) = self.poll.poll(&mut events, timeout) {
                assert_eq!(error.kind(), ErrorKind::Interrupted);
                continue;
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    WAKER => {}
                    Token(slot) => self.go_on(slot),
                }
            }
            while let Some(&(at, slot, number)) = self.due.front()
                && at <= Instant::now()
            {
                self.due.pop_front();
                if let Some(talk) = self.talks.get_mut(slot).filter(|talk| talk.number == number) {
                    talk.leaves.extend_from_slice(ok("a").as_bytes());
                    self.go_on(slot);
                }
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let both = Interest::READABLE | Interest::WRITABLE;
            let entry = self.talks.vacant_entry();
            let _ = stream.set_nodelay(true);
            if self.poll.registry().register(&mut stream, Token(entry.key()), both).is_ok() {
                self.accepted += 1;
                entry.insert(Talk { stream, number: self.accepted, came: vec![], leaves: vec![] });
            }
        }
    }

    /// Reads what is there, answers what is whole, and writes what may leave.
    fn go_on(&mut self, slot: usize) {
        let Some(talk) = self.talks.get_mut(slot) else { return };
        let mut open = talk.read();
        loop {
            match talk.request() {
                Ok(Some(target)) if target == "/slow" => {
                    self.due.push_back((Instant::now() + SLOW, slot, talk.number));
                }
                Ok(Some(target)) => talk.leaves.extend_from_slice(answer(&target).as_bytes()),
                Ok(None) => break,
                Err(_) => {
                    self.shared.faults.fetch_add(1, Ordering::SeqCst);
                    open = false;
                    break;
                }
            }
        }
        if !(open && talk.write()) {
            self.talks.remove(slot);
        }
    }
}

fn answer(target: &str) -> String {
    if target == "/hints" {
        format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "x".repeat(15_000)).repeat(10)
    } else {
        ok("a")
    }
}

impl Talk {
    /// `false` when the connection has ended.
    fn read(&mut self) -> bool {
        let mut piece = [0; 64 << 10];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return false,
                Ok(count) => self.came.extend_from_slice(&piece[..count]),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }

    /// The target of the next request, if all of it has come.
    fn request(&mut self) -> Result<Option<String>, String> {
        let Some(at) = memchr::memmem::find(&self.came, b"\r\n\r\n") else { return Ok(None) };
        let head = Head::parse(&self.came[..at + 4])?;
        let body = match head.request_framing()? {
            Framing::Length(length) => usize::try_from(length).unwrap_or(usize::MAX),
            _ => 0,
        };
        if self.came.len() - (at + 4) < body {
            return Ok(None);
        }
        self.came.drain(..at + 4 + body);
        Ok(Some(head.target().to_owned()))
    }

    /// `false` when the connection has ended.
    fn write(&mut self) -> bool {
        while !self.leaves.is_empty() {
            match self.stream.write(&self.leaves) {
                Ok(count) => drop(self.leaves.drain(..count)),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        true
    }
}

impl Drop for WorstServer {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        let _ = self.waker.wake();
        let ended = self.thread.take().is_none_or(|thread| thread.join().is_ok());
        if !thread::panicking() {
            assert!(ended, "the server panicked");
            assert_eq!(self.shared.faults.load(Ordering::SeqCst), 0, "requests that were not strict HTTP");
        }
    }
}
