//! A socket with TLS above it (RFC 8446; RFC 5246), as rustls speaks it.
//!
//! It owns one session and its socket: what came in records and is not read yet, and records that the kernel had no room for. It asks
//! no thread and no clock. Its bounds are those of rustls: a handshake message of 64 KiB, 64 KiB of records that wait to leave, 32
//! empty records in a row. Next: [`super::transport`] is what connections ask, [`crate::tls`] says with which certificate.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::event::Event;
use mio::{Registry, Token};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ProtocolVersion, ServerConfig, ServerConnection};

pub use self::beginning::Handshake;
use self::wire::Wire;
use super::socket::{Attempt, Flow, Socket};
use crate::http1::origin::Identity;

/// Pieces of what a peer says to the session itself that are taken while nobody waits for it: tickets come in one or two.
const ASIDE: usize = 16;

/// One end of a session, ours or as a client. What it does is left out of line: a plain connection lies in fewer instructions then.
#[derive(Debug)]
pub struct Secure {
    socket: Socket,
    session: Connection,
    /// What comes before the session was said, and the session may begin.
    begun: bool,
    /// Bytes that came and were not read.
    unread: usize,
    /// The peer has said that nothing more comes, or its end of input was there.
    ended: bool,
    /// What came was no session, or the connection is gone.
    failed: bool,
    /// The socket's own end is due once all records have left.
    shuts: bool,
    /// The close that follows is a reset, so nothing is said before it.
    resets: bool,
    /// All that is to be said was said, and the connection closes once that has left.
    leaves: bool,
    /// Who the client is by its certificate.
    identity: Identity,
}

impl Secure {
    /// Begins a session.
    ///
    /// # Errors
    /// What rustls says of the configuration.
    #[cold]
    #[inline(never)]
    pub fn accepted(socket: Socket, config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        Ok(Self::new(socket, ServerConnection::new(config)?.into(), true))
    }

    /// Will begin a session with the server of this name, once the socket is connected.
    ///
    /// # Errors
    /// What rustls says of the configuration.
    #[cold]
    #[inline(never)]
    pub fn toward(
        socket: Socket,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, rustls::Error> {
        Ok(Self::new(socket, ClientConnection::new(config, name)?.into(), false))
    }

    fn new(socket: Socket, session: Connection, begun: bool) -> Self {
        let [ended, failed, shuts, resets, leaves] = [false; 5];
        let identity = Identity::default();
        Self { socket, session, begun, unread: 0, ended, failed, shuts, resets, leaves, identity }
    }

    /// How the attempt to connect stands, and to begin a session after that.
    #[cold]
    #[inline(never)]
    pub fn attempt(&mut self) -> Attempt {
        match self.begun {
            false if self.socket.has_failed() => Attempt::Failed,
            true if self.has_failed() => Attempt::NoSession,
            false if self.socket.can_write() => Attempt::Made,
            false => Attempt::UnderWay,
            true => match self.handshake() {
                Handshake::UnderWay => Attempt::UnderWay,
                Handshake::Over => Attempt::Made,
                Handshake::Failed => Attempt::NoSession,
            },
        }
    }

    /// Says what comes before the session, and begins it.
    #[cold]
    #[inline(never)]
    pub fn begin(&mut self, header: impl FnOnce() -> Option<Vec<u8>>) -> Attempt {
        if !self.begun {
            if header().is_some_and(|header| self.socket.write(&header) != Flow::Moved(header.len())) {
                return Attempt::Failed;
            }
            self.begun = true;
            self.flush();
        }
        self.attempt()
    }

    /// See [`super::transport::Transport::addresses`].
    #[cold]
    #[inline(never)]
    pub fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.socket.addresses()
    }

    /// Looks at what comes before the session.
    #[cold]
    #[inline(never)]
    pub fn peek(&mut self, room: &mut [u8]) -> Flow {
        self.socket.peek(room)
    }

    /// What was peeked at is of no use without more.
    #[cold]
    #[inline(never)]
    pub fn await_more(&mut self) {
        self.socket.await_more();
    }

    /// Takes what comes before the session.
    #[cold]
    #[inline(never)]
    pub fn take(&mut self, room: &mut [u8]) -> Flow {
        self.socket.read(room)
    }

    /// Goes on with the beginning.
    #[cold]
    #[inline(never)]
    pub fn handshake(&mut self) -> Handshake {
        while self.session.is_handshaking() && !self.failed {
            match self.pull() {
                Flow::Moved(_) => {}
                Flow::Blocked => return Handshake::UnderWay,
                Flow::Ended | Flow::Failed => return Handshake::Failed,
            }
        }
        let Some(identity) = beginning::shown(&self.session).filter(|_| !self.failed) else {
            return Handshake::Failed;
        };
        self.identity = identity;
        if !self.can_read() {
            self.flush();
        }
        Handshake::Over
    }

    /// Who the client is by its certificate.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The session has not begun yet, so it waits for the peer.
    #[cold]
    #[inline(never)]
    pub fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    /// The name that the client asked for (SNI, RFC 6066, section 3), in lower case.
    #[cold]
    #[inline(never)]
    pub fn server_name(&self) -> Option<&str> {
        match &self.session {
            Connection::Server(session) => session.server_name(),
            Connection::Client(_) => None,
        }
    }

    /// See [`super::transport::Transport::register`].
    #[cold]
    #[inline(never)]
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.socket.register(registry, token)
    }

    /// Whether events tell of it.
    #[cold]
    #[inline(never)]
    pub fn is_registered(&self) -> bool {
        self.socket.is_registered()
    }

    /// Takes over what epoll reported. Records that wait leave at once, as nobody else may have anything to write.
    #[cold]
    #[inline(never)]
    pub fn mark(&mut self, event: &Event) {
        self.socket.mark(event);
        if self.begun && self.session.wants_write() && self.socket.can_write() {
            self.flush();
        }
    }

    /// A read may find something.
    #[cold]
    #[inline(never)]
    pub fn can_read(&self) -> bool {
        self.unread > 0 || self.socket.can_read()
    }

    /// Nothing waits to leave, and a write may take something.
    #[cold]
    #[inline(never)]
    pub fn can_write(&self) -> bool {
        self.socket.can_write() && !self.shuts
    }

    /// Records wait until the peer has room for them.
    #[cold]
    #[inline(never)]
    pub fn wants_write(&self) -> bool {
        !self.socket.can_write() || self.session.wants_write()
    }

    /// Nothing is there that was not read, and nothing has failed.
    #[cold]
    #[inline(never)]
    pub fn is_quiet(&self) -> bool {
        !self.can_read() && !self.has_failed()
    }

    /// The same, after what the peer says to the session itself was taken: tickets (RFC 8446, section 4.6.1).
    #[cold]
    #[inline(never)]
    pub fn is_at_rest(&mut self) -> bool {
        for _ in 0..ASIDE {
            if self.unread > 0 || self.ended || self.failed || !matches!(self.pull(), Flow::Moved(0)) {
                break;
            }
        }
        self.is_quiet() && !self.ended
    }

    /// The peer's end of input is known to be there.
    #[cold]
    #[inline(never)]
    pub fn has_ended(&self) -> bool {
        self.ended || self.socket.has_ended()
    }

    /// The connection is known to be gone.
    #[cold]
    #[inline(never)]
    pub fn has_failed(&self) -> bool {
        self.failed || self.socket.has_failed()
    }

    /// Reads once. A client that ends without saying so has ended all the same: how long a request is never depends on it. An answer may be as
    /// long as the connection, so a server that does has failed: anybody on the way could have ended it (RFC 9112, section 9.8).
    #[cold]
    #[inline(never)]
    pub fn read(&mut self, room: &mut [u8]) -> Flow {
        while self.unread == 0 {
            if self.ended {
                return Flow::Ended;
            }
            match self.pull() {
                Flow::Moved(_) => {}
                other => {
                    self.flush();
                    return other;
                }
            }
        }
        match self.session.reader().read(room) {
            Ok(n) => {
                self.unread = self.unread.saturating_sub(n);
                Flow::Moved(n)
            }
            Err(_) => {
                self.failed = true;
                Flow::Failed
            }
        }
    }

    /// Takes what the socket has, a few kilobytes of it.
    fn pull(&mut self) -> Flow {
        if !self.socket.can_read() {
            return Flow::Blocked;
        }
        match self.session.read_tls(&mut Wire(&mut self.socket)) {
            Ok(0) if matches!(self.session, Connection::Server(_)) => {
                self.ended = true;
                return Flow::Ended;
            }
            Ok(0) => {
                self.failed = true;
                return Flow::Failed;
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Flow::Blocked,
            Err(_) => {
                self.failed = true;
                return Flow::Failed;
            }
        }
        let outcome = self.session.process_new_packets();
        // What the session itself says, of a handshake or why there is none, leaves at once. Behind a handshake it is tickets, which leave with
        // the answer to the first request, or as soon as nothing more is there to read.
        let is_behind = self.session.protocol_version() == Some(ProtocolVersion::TLSv1_3)
            && matches!(self.session, Connection::Server(_))
            && !self.session.is_handshaking();
        if outcome.is_err() || !is_behind {
            self.flush();
        }
        match outcome {
            Ok(state) => {
                self.unread = state.plaintext_bytes_to_read();
                self.ended |= state.peer_has_closed();
                Flow::Moved(self.unread)
            }
            Err(_) => {
                self.failed = true;
                Flow::Failed
            }
        }
    }

    /// Writes once. What was taken leaves now, or as soon as there is room for it. A head and its body share a record.
    #[cold]
    #[inline(never)]
    pub fn write(&mut self, places: &[IoSlice<'_>]) -> Flow {
        if !self.can_write() {
            return Flow::Blocked;
        }
        let Ok(taken) = self.session.writer().write_vectored(places) else { return Flow::Failed };
        self.flush();
        match taken {
            _ if self.failed => Flow::Failed,
            0 => Flow::Blocked,
            taken => Flow::Moved(taken),
        }
    }

    /// Sends records as long as the kernel takes them.
    fn flush(&mut self) {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Wire(&mut self.socket)) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.failed = true;
                    return;
                }
            }
        }
        if self.shuts {
            self.socket.shutdown();
        }
    }
}

mod beginning;
mod leaving;
mod wire;

#[cfg(test)]
mod tests;
