//! A non-blocking socket and what epoll last said of it, so that no call is made that can only answer "not now".
//!
//! It owns one stream and its readiness bits, never a policy. Registration is edge-triggered: a bit stays set until a
//! call moves less than it could have. Next: [`super::transport`] is what connections ask.

use std::io::{self, ErrorKind, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use mio::event::Event;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};

use crate::model::Endpoint;

/// What a read or write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// This many bytes moved.
    Moved(usize),
    /// The peer sent its end of input.
    Ended,
    /// Nothing now; an event will tell.
    Blocked,
    /// The connection is gone.
    Failed,
}

/// How an attempt to connect stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// An event will tell.
    UnderWay,
    /// It was made: what comes before requests may be said, and then requests.
    Made,
    /// The peer refused, or is not there.
    Failed,
    /// The peer is there, and no session of TLS came of it.
    NoSession,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A stream with its readiness.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // The bits that epoll reports.
pub struct Socket {
    stream: Stream,
    /// A read may find something.
    readable: bool,
    /// A write may take something.
    writable: bool,
    /// The peer's end of input is known to be there: read on to it, as epoll tells it once.
    ended: bool,
    /// An error is waiting on the socket.
    failed: bool,
    registered: bool,
}

impl Socket {
    /// A client's socket as it was accepted: it can be written, and a hopeful first read costs less than a turn.
    #[must_use]
    pub fn accepted(stream: TcpStream) -> Self {
        Self {
            stream: Stream::Tcp(stream),
            readable: true,
            writable: true,
            ended: false,
            failed: false,
            registered: false,
        }
    }

    /// Begins to connect; [`Socket::can_write`] or [`Socket::has_failed`] says how it went.
    ///
    /// # Errors
    /// What the kernel says at once: no descriptors, no ports, no route.
    pub fn connect(endpoint: &Endpoint) -> io::Result<Self> {
        let stream = match endpoint {
            Endpoint::Inet(address) => {
                let stream = TcpStream::connect(*address)?;
                // Without it the last segment of a body waits for an acknowledgement; failing to set it is only slower.
                let _ = stream.set_nodelay(true);
                Stream::Tcp(stream)
            }
            Endpoint::Unix(path) => Stream::Unix(UnixStream::connect(path.as_ref())?),
        };
        Ok(Self { stream, readable: false, writable: false, ended: false, failed: false, registered: false })
    }

    /// Registers for everything, once in its life.
    ///
    /// # Errors
    /// The kernel's limit on watched descriptors.
    pub fn register(&mut self, registry: &Registry, token: mio::Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match &mut self.stream {
            Stream::Tcp(stream) => registry.register(stream, token, both)?,
            Stream::Unix(stream) => registry.register(stream, token, both)?,
        }
        self.registered = true;
        Ok(())
    }

    /// The peer's address and ours, of a stream that has such.
    #[must_use]
    pub fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        match &self.stream {
            Stream::Tcp(stream) => Some((stream.peer_addr().ok()?, stream.local_addr().ok()?)),
            Stream::Unix(_) => None,
        }
    }

    /// Whether events tell of it.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.registered
    }

    /// Takes over what epoll reported.
    pub fn mark(&mut self, event: &Event) {
        self.ended |= event.is_read_closed();
        self.readable |= event.is_readable() || event.is_read_closed();
        self.writable |= event.is_writable();
        if event.is_error() {
            self.failed = true;
            self.readable = true;
            self.writable = true;
        }
    }

    /// A read may find something.
    #[inline]
    #[must_use]
    pub fn can_read(&self) -> bool {
        self.readable
    }

    /// A write may take something.
    #[inline]
    #[must_use]
    pub fn can_write(&self) -> bool {
        self.writable
    }

    /// An error is waiting on it.
    #[inline]
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// The peer's end of input is known to be there, be it behind bytes that were not read.
    #[inline]
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match &self.stream {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }

    /// Reads once. A read that does not fill the room has drained the socket, unless the end is still to be read.
    pub fn read(&mut self, room: &mut [u8]) -> Flow {
        let wanted = room.len();
        match rustix::net::recv(self.fd(), room, RecvFlags::empty()) {
            Ok((_, 0)) => {
                self.readable = false;
                Flow::Ended
            }
            Ok((_, n)) => {
                self.readable = n == wanted || self.ended || self.failed;
                Flow::Moved(n)
            }
            Err(Errno::WOULDBLOCK) => {
                self.readable = false;
                Flow::Blocked
            }
            Err(Errno::INTR) => Flow::Blocked,
            Err(_) => {
                self.readable = false;
                Flow::Failed
            }
        }
    }

    /// Reads once and leaves the bytes where they are: an event tells only of those that come behind them.
    pub fn peek(&mut self, room: &mut [u8]) -> Flow {
        match rustix::net::recv(self.fd(), room, RecvFlags::PEEK) {
            Ok((_, 0)) => Flow::Ended,
            Ok((_, n)) => Flow::Moved(n),
            Err(Errno::WOULDBLOCK) => {
                self.readable = false;
                Flow::Blocked
            }
            Err(Errno::INTR) => Flow::Blocked,
            Err(_) => Flow::Failed,
        }
    }

    /// All that is there is known, and of no use without more.
    pub fn await_more(&mut self) {
        self.readable = false;
    }

    /// Writes once.
    pub fn write(&mut self, bytes: &[u8]) -> Flow {
        let outcome = rustix::net::send(self.fd(), bytes, SendFlags::NOSIGNAL);
        self.wrote(outcome, bytes.len())
    }

    /// Writes once from several places; for one of them, [`Socket::write`] costs less.
    pub fn write_vectored(&mut self, slices: [&[u8]; 3]) -> Flow {
        self.write_places(&slices.map(IoSlice::new))
    }

    /// Writes once from any number of places.
    #[inline]
    pub fn write_places(&mut self, places: &[IoSlice<'_>]) -> Flow {
        let mut nothing = SendAncillaryBuffer::default();
        let outcome = rustix::net::sendmsg(self.fd(), places, &mut nothing, SendFlags::NOSIGNAL);
        self.wrote(outcome, places.iter().map(|place| place.len()).sum())
    }

    fn wrote(&mut self, outcome: rustix::io::Result<usize>, wanted: usize) -> Flow {
        match outcome {
            Ok(n) => {
                self.writable = n == wanted;
                Flow::Moved(n)
            }
            Err(Errno::WOULDBLOCK) => {
                self.writable = false;
                Flow::Blocked
            }
            Err(Errno::INTR) => Flow::Blocked,
            Err(_) => {
                self.writable = false;
                // What the peer said before it stopped listening is still to be read.
                self.readable = true;
                Flow::Failed
            }
        }
    }

    /// Tells the peer that nothing more will be sent.
    pub fn shutdown(&mut self) {
        // A peer that is gone already needs no telling.
        let _ = match &mut self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    /// The close that follows will be a reset, so that the peer cannot take it for the end of a body.
    pub fn reset_on_close(&mut self) {
        if let Stream::Tcp(stream) = &self.stream {
            let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }

    /// Gives the client's socket away, deregistered and still non-blocking.
    ///
    /// # Errors
    /// The kernel's refusal to forget the descriptor, or a socket that is no TCP stream.
    pub fn into_std(self, registry: &Registry) -> io::Result<std::net::TcpStream> {
        match self.stream {
            Stream::Tcp(mut stream) => {
                if self.registered {
                    registry.deregister(&mut stream)?;
                }
                Ok(stream.into())
            }
            Stream::Unix(_) => Err(io::Error::from(ErrorKind::Unsupported)),
        }
    }
}
