//! What a connection reads from and writes to, in the words that its connection may ask: a plain socket, or one with TLS above it.
//!
//! It owns how bytes get to the peer and back, never what they say. A variant with a layer above the socket answers the
//! same words: there is something to read while that layer holds some, and something to write while records of its own
//! have not left. Which variant it is costs a comparison and no call through a pointer. Next: [`super::socket`] for the
//! plain one, [`super::secure`] for the other, [`super::pump`] for who asks.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Registry, Token};
use rustls::ServerConfig;

use super::opening::Opening;
use super::secure::{Handshake, Secure};
use super::socket::{Attempt, Flow, Socket};
use crate::http1::origin::Identity;
use crate::model::Endpoint;

/// One end of a connection to a client or to a server.
#[derive(Debug)]
pub enum Transport {
    /// Bytes as they are.
    Plain(Socket),
    /// Bytes in records of TLS.
    Secure(Box<Secure>),
}

impl Transport {
    /// A client's socket as it was accepted.
    #[must_use]
    pub fn accepted(stream: TcpStream) -> Self {
        Self::Plain(Socket::accepted(stream))
    }

    /// Begins to connect; [`Transport::attempt`] says how it went.
    ///
    /// # Errors
    /// What the kernel says at once: no descriptors, no ports, no route.
    pub fn connect(endpoint: &Endpoint, opening: Option<&Opening>) -> io::Result<Self> {
        let socket = Socket::connect(endpoint)?;
        match opening.and_then(|opening| opening.tls.as_ref()) {
            None => Ok(Self::Plain(socket)),
            Some((config, name)) => {
                let session = Secure::toward(socket, Arc::clone(config), name.clone());
                session.map(|secure| Self::Secure(Box::new(secure))).map_err(io::Error::other)
            }
        }
    }

    /// Says what comes before requests on a connection that was made: a header, and the beginning of a session. Asked again while the session
    /// begins, it says how that stands.
    #[cold]
    pub(super) fn begin(&mut self, header: impl FnOnce() -> Option<Vec<u8>>) -> Attempt {
        match self {
            Self::Plain(socket) => match header() {
                Some(header) if socket.write(&header) != Flow::Moved(header.len()) => Attempt::Failed,
                _ => Attempt::Made,
            },
            Self::Secure(secure) => secure.begin(header),
        }
    }

    /// The two ends of a client's connection: the peer's and ours.
    pub(super) fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        match self {
            Self::Plain(socket) => socket.addresses(),
            Self::Secure(secure) => secure.addresses(),
        }
    }

    /// Registers for everything, once in its life.
    ///
    /// # Errors
    /// The kernel's limit on watched descriptors.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.register(registry, token),
            Self::Secure(secure) => secure.register(registry, token),
        }
    }

    /// Whether events tell of it.
    #[inline]
    #[must_use]
    pub fn is_registered(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_registered(),
            Self::Secure(secure) => secure.is_registered(),
        }
    }

    /// Takes over what epoll reported.
    #[inline]
    pub fn mark(&mut self, event: &Event) {
        match self {
            Self::Plain(socket) => socket.mark(event),
            Self::Secure(secure) => secure.mark(event),
        }
    }

    /// How an attempt to connect stands.
    #[inline]
    pub fn attempt(&mut self) -> Attempt {
        match self {
            Self::Plain(socket) if socket.has_failed() => Attempt::Failed,
            Self::Plain(socket) if socket.can_write() => Attempt::Made,
            Self::Plain(_) => Attempt::UnderWay,
            Self::Secure(secure) => secure.attempt(),
        }
    }

    /// A read may find something.
    #[inline]
    #[must_use]
    pub fn can_read(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.can_read(),
            Self::Secure(secure) => secure.can_read(),
        }
    }

    /// A write may take something.
    #[inline]
    #[must_use]
    pub fn can_write(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.can_write(),
            Self::Secure(secure) => secure.can_write(),
        }
    }

    /// It waits for bytes of the peer, whoever else does: those that the transport itself needs. A plain one needs none.
    #[inline]
    #[must_use]
    pub fn wants_read(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Secure(secure) => secure.is_handshaking(),
        }
    }

    /// Something did not leave, and waits until the peer has room for it.
    #[inline]
    #[must_use]
    pub fn wants_write(&self) -> bool {
        match self {
            Self::Plain(socket) => !socket.can_write(),
            Self::Secure(secure) => secure.wants_write(),
        }
    }

    /// The peer has neither said anything that was not read, nor closed, nor failed.
    #[inline]
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        match self {
            Self::Plain(socket) => !socket.can_read() && !socket.has_failed(),
            Self::Secure(secure) => secure.is_quiet(),
        }
    }

    /// The same of one that nobody waits for, once the layer above the socket has taken what it says to itself.
    #[inline]
    #[must_use]
    pub fn is_at_rest(&mut self) -> bool {
        match self {
            Self::Plain(_) => self.is_quiet(),
            Self::Secure(secure) => secure.is_at_rest(),
        }
    }

    /// The peer's end of input is known to be there, be it behind bytes that were not read.
    #[inline]
    #[must_use]
    pub fn has_ended(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.has_ended(),
            Self::Secure(secure) => secure.has_ended(),
        }
    }

    /// The connection is known to be gone.
    #[inline]
    #[must_use]
    pub fn has_failed(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.has_failed(),
            Self::Secure(secure) => secure.has_failed(),
        }
    }

    /// Reads once.
    #[inline]
    pub fn read(&mut self, room: &mut [u8]) -> Flow {
        match self {
            Self::Plain(socket) => socket.read(room),
            Self::Secure(secure) => secure.read(room),
        }
    }

    /// Takes what was peeked at.
    pub fn take(&mut self, room: &mut [u8]) -> Flow {
        match self {
            Self::Plain(socket) => socket.read(room),
            Self::Secure(secure) => secure.take(room),
        }
    }

    /// Looks at what came before any layer above the socket, and leaves the bytes where they are.
    #[inline]
    pub fn peek(&mut self, room: &mut [u8]) -> Flow {
        match self {
            Self::Plain(socket) => socket.peek(room),
            Self::Secure(secure) => secure.peek(room),
        }
    }

    /// What [`Transport::peek`] found is of no use without more, of which an event will tell.
    #[inline]
    pub fn await_more(&mut self) {
        match self {
            Self::Plain(socket) => socket.await_more(),
            Self::Secure(secure) => secure.await_more(),
        }
    }

    /// Writes once.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) -> Flow {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Secure(secure) => secure.write(&[IoSlice::new(bytes)]),
        }
    }

    /// Writes once from several places; for one of them, [`Transport::write`] costs less.
    #[inline]
    pub fn write_vectored(&mut self, slices: [&[u8]; 3]) -> Flow {
        match self {
            Self::Plain(socket) => socket.write_vectored(slices),
            Self::Secure(secure) => secure.write(&slices.map(IoSlice::new)),
        }
    }

    /// Tells the peer that nothing more will be sent.
    pub fn shutdown(&mut self) {
        match self {
            Self::Plain(socket) => socket.shutdown(),
            Self::Secure(secure) => secure.shutdown(),
        }
    }

    /// The close that follows will be a reset, so that the peer cannot take it for the end of a body.
    pub fn reset_on_close(&mut self) {
        match self {
            Self::Plain(socket) => socket.reset_on_close(),
            Self::Secure(secure) => secure.reset_on_close(),
        }
    }

    /// Begins a session of TLS on a client's socket, from which nothing was read that belongs to it.
    ///
    /// # Errors
    /// What is wrong with the configuration, or there is a session already.
    pub fn secure(self, config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        match self {
            Self::Plain(socket) => Ok(Self::Secure(Box::new(Secure::accepted(socket, config)?))),
            Self::Secure(_) => Err(rustls::Error::HandshakeNotComplete),
        }
    }

    /// Goes on with the beginning of a session; a plain one has none.
    pub fn handshake(&mut self) -> Handshake {
        match self {
            Self::Plain(_) => Handshake::Over,
            Self::Secure(secure) => secure.handshake(),
        }
    }

    /// Whether nobody on the way can read along.
    #[inline]
    #[must_use]
    pub fn is_secure(&self) -> bool {
        matches!(self, Self::Secure(_))
    }

    /// Who the client of a session is by its certificate; nothing without a session.
    #[inline]
    #[must_use]
    pub fn session(&self) -> Option<&Identity> {
        match self {
            Self::Plain(_) => None,
            Self::Secure(secure) => Some(secure.identity()),
        }
    }

    /// The name that the client of a session asked for, in lower case.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        match self {
            Self::Plain(_) => None,
            Self::Secure(secure) => secure.server_name(),
        }
    }

    /// Says what a layer above the socket has to say before a close; the kernel does that for a plain one. `false` while something has
    /// not left: then an event will tell, and asked again, it waits for nothing.
    #[inline]
    pub fn leave(&mut self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Secure(secure) => secure.leave(),
        }
    }

    /// It closes once all has left.
    #[inline]
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Secure(secure) => secure.is_leaving(),
        }
    }

    /// Closes the connection.
    #[inline]
    pub fn close(self) {
        match self {
            Self::Plain(socket) => drop(socket),
            Self::Secure(secure) => drop(secure),
        }
    }

    /// Closes the connection, after what is to be said before that, if it can be said at once.
    #[inline]
    pub fn leave_and_close(mut self) {
        self.leave();
        self.close();
    }

    /// Gives the client's socket away, deregistered and still non-blocking.
    ///
    /// # Errors
    /// The kernel's refusal to forget the descriptor, or what is no TCP stream.
    pub fn into_std(self, registry: &Registry) -> io::Result<std::net::TcpStream> {
        match self {
            Self::Plain(socket) => socket.into_std(registry),
            // Whoever took it would have to speak TLS.
            Self::Secure(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use mio::{Events, Poll};

    use super::*;

    const PEER: Token = Token(1);

    /// A transport, the peer's end of it, and what tells of it.
    fn pair() -> (Transport, std::net::TcpStream, Poll) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let accepted = listener.accept().unwrap().0;
        accepted.set_nonblocking(true).unwrap();
        let mut transport = Transport::accepted(TcpStream::from_std(accepted));
        let poll = Poll::new().unwrap();
        transport.register(poll.registry(), PEER).unwrap();
        (transport, peer, poll)
    }

    /// Waits until events have made this true.
    fn until(transport: &mut Transport, poll: &mut Poll, is: impl Fn(&mut Transport) -> bool) {
        let mut events = Events::with_capacity(8);
        while !is(transport) {
            poll.poll(&mut events, Some(std::time::Duration::from_secs(20))).unwrap();
            assert!(!events.is_empty(), "no event told of it");
            events.iter().for_each(|event| transport.mark(event));
        }
    }

    #[test]
    fn a_plain_one_wants_nothing_for_itself_and_is_quiet_until_its_peer_speaks() {
        let (mut ours, mut peer, mut poll) = pair();
        assert!(ours.can_read() && !ours.is_quiet(), "a hopeful read comes first");
        assert_eq!(ours.read(&mut [0; 8]), Flow::Blocked);
        assert!(ours.is_quiet() && ours.can_write() && !ours.wants_write() && !ours.wants_read());
        peer.write_all(b"hello").unwrap();
        until(&mut ours, &mut poll, |ours| ours.can_read());
        assert_eq!(ours.read(&mut [0; 3]), Flow::Moved(3));
        assert!(ours.can_read(), "the read was filled, so more may be there");
        assert_eq!(ours.read(&mut [0; 8]), Flow::Moved(2));
        assert!(ours.is_quiet() && !ours.has_ended());
    }

    #[test]
    fn it_wants_to_write_from_the_moment_that_not_all_was_taken_until_there_is_room() {
        let (mut ours, mut peer, mut poll) = pair();
        let piece = vec![b'x'; 256 * 1024];
        let mut sent = 0;
        while let Flow::Moved(n) = ours.write(&piece) {
            sent += n;
        }
        assert!(ours.wants_write() && !ours.can_write() && !ours.has_failed());
        peer.read_exact(&mut vec![0; sent]).unwrap();
        until(&mut ours, &mut poll, |ours| !ours.wants_write());
        assert!(matches!(ours.write(b"more"), Flow::Moved(4)));
    }

    #[test]
    fn what_the_peer_said_is_read_before_its_end_and_shutdown_leaves_the_other_way_open() {
        let (mut ours, mut peer, mut poll) = pair();
        ours.shutdown();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        peer.write_all(b"last").unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        until(&mut ours, &mut poll, |ours| ours.has_ended());
        assert_eq!(ours.read(&mut [0; 8]), Flow::Moved(4));
        assert!(!ours.is_quiet(), "its end is still to be read");
        assert_eq!(ours.read(&mut [0; 8]), Flow::Ended);
        assert!(ours.is_quiet());
    }

    #[test]
    fn a_close_is_the_end_of_input_for_the_peer_and_a_reset_only_if_it_was_asked_for() {
        let (ours, mut peer, _poll) = pair();
        ours.close();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        let (mut ours, mut peer, _poll) = pair();
        ours.reset_on_close();
        ours.close();
        assert_eq!(peer.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn an_attempt_is_under_way_until_it_is_made_or_has_failed() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Inet(listener.local_addr().unwrap());
        for (outcome, gone) in [(Attempt::Made, false), (Attempt::Failed, true)] {
            let taken = listener.try_clone().unwrap();
            if gone {
                rustix::net::shutdown(&taken, rustix::net::Shutdown::Both).unwrap();
            }
            let mut poll = Poll::new().unwrap();
            let mut ours = Transport::connect(&endpoint, None).unwrap();
            assert_eq!(ours.attempt(), Attempt::UnderWay);
            ours.register(poll.registry(), PEER).unwrap();
            until(&mut ours, &mut poll, |ours| ours.attempt() != Attempt::UnderWay);
            assert_eq!(ours.attempt(), outcome);
        }
    }

    #[test]
    fn what_a_peer_said_before_it_stopped_listening_is_still_to_be_read() {
        let (mut ours, mut peer, mut poll) = pair();
        assert_eq!(ours.read(&mut [0; 8]), Flow::Blocked);
        peer.write_all(b"no").unwrap();
        until(&mut ours, &mut poll, |ours| ours.can_read());
        assert_eq!(ours.read(&mut [0; 8]), Flow::Moved(2));
        ours.shutdown();
        assert_eq!((ours.is_quiet(), ours.write(b"x"), ours.is_quiet()), (true, Flow::Failed, false));
    }
}
