//! How connections come in: a few a turn, as long as there is room, and not at all while descriptors are short.
//!
//! It owns when a listener is asked, never what becomes of a connection. A queue that is not asked waits in the kernel.
//! Next: [`super::room`] for who makes room, [`super::listen`] for the sockets.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use super::clients::Client;
use super::conn::Conn;
use super::ctx::Ctx;
use super::listen::ACCEPTS;
use super::peer_text::PeerText;
use super::places::Short;
use super::prelude::{Ends, Outcome, Prelude};
use super::shortage;
use super::timers::Alarm;
use super::token::{Kind, Token};
use super::transport::Transport;
use super::worker::Worker;
use crate::reason::Reason;

/// How long accepting pauses when there are no descriptors or no memory for it; it goes on earlier when a connection
/// closes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What came of asking a listener.
enum Asked {
    /// A connection, or one that is gone again.
    Came,
    /// Nobody waits.
    Nobody,
    /// There is no place before then, unless a connection closes.
    Later(Instant),
}

impl Worker {
    /// Takes waiting connections, and pumps each at once: its first bytes are often there already, and one that is gone
    /// gives its descriptor back before the next one needs it.
    pub(super) fn accept(&mut self) {
        if self.paused.is_some_and(|until| until <= self.ctx.env.now) {
            self.paused = None;
        }
        if !self.acceptable || self.paused.is_some() {
            return;
        }
        let mut budget = ACCEPTS;
        let mut more = false;
        for at in 0..self.listeners.len() {
            loop {
                if budget == 0 {
                    more = true;
                    break;
                }
                budget -= 1;
                match if self.places.is_full(self.conns.len()) { self.ask_full(at) } else { self.ask(at) } {
                    Asked::Came => {}
                    Asked::Nobody => break,
                    Asked::Later(until) => {
                        self.paused = Some(until);
                        return;
                    }
                }
            }
        }
        self.acceptable = more;
    }

    /// Takes a connection for which there is a place.
    fn ask(&mut self, at: usize) -> Asked {
        match self.listeners[at].accept() {
            Ok((stream, address)) => {
                self.places.is_well();
                self.admit(stream, address.ip(), at);
                Asked::Came
            }
            Err(error) => self.not_taken(&error, at),
        }
    }

    /// Takes a connection when there is no place: somebody who can be spared goes for it.
    fn ask_full(&mut self, at: usize) -> Asked {
        let Some(leaver) = self.leaver() else {
            self.places.short_of(Short::Connections, self.ctx.env.now);
            let again = self.places.leavers.again;
            return self.seek(at, again.unwrap_or(self.ctx.env.now));
        };
        match self.listeners[at].accept() {
            Ok((stream, address)) => {
                self.places.short_of(Short::Connections, self.ctx.env.now);
                self.make_leave(leaver);
                self.places.is_well();
                self.admit(stream, address.ip(), at);
                Asked::Came
            }
            Err(error) => self.not_taken(&error, at),
        }
    }

    /// Looks in the queue for peers that have places of their own, if it has come to that. Everybody else waits until somebody
    /// may go for them.
    fn seek(&mut self, at: usize, until: Instant) -> Asked {
        let now = self.ctx.env.now;
        self.places.is_stuck(now);
        if !self.places.seeks_admins(now) {
            return Asked::Later(until);
        }
        match self.listeners[at].accept() {
            Ok((stream, address)) => {
                if self.conns.len() < self.places.all() && self.places.admits(address.ip()) {
                    self.admit(stream, address.ip(), at);
                } else {
                    self.ctx.refused.count(Reason::NoPlaces);
                }
                Asked::Came
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Asked::Nobody,
            Err(error) if gone(&error) => Asked::Came,
            Err(_) => Asked::Later(until),
        }
    }

    /// A listener gave no connection.
    fn not_taken(&mut self, error: &io::Error, at: usize) -> Asked {
        if error.kind() == io::ErrorKind::WouldBlock {
            return Asked::Nobody;
        }
        if gone(error) {
            return Asked::Came;
        }
        // What runs goes on, and the queue waits in the kernel.
        let reason = shortage::reason(error).unwrap_or(Reason::AcceptFailed);
        tracing::debug!(worker = self.index, %error, "accepting pauses");
        self.ctx.refused.count(reason);
        let until = self.ctx.env.now + ACCEPT_PAUSE;
        if reason != Reason::NoDescriptors {
            return Asked::Later(until);
        }
        self.places.short_of(Short::Descriptors, self.ctx.env.now);
        let Some(leaver) = self.leaver() else {
            let asked = if self.places.spend() { self.seek(at, until) } else { Asked::Later(until) };
            self.places.keep(&self.ctx.registry);
            return asked;
        };
        self.make_leave(leaver);
        // The new one wants a server as well.
        if let Some(another) = self.leaver() {
            self.make_leave(another);
        }
        Asked::Came
    }

    /// Takes a connection that has a place, and begins with it.
    fn admit(&mut self, stream: TcpStream, peer: IpAddr, at: usize) {
        let mut prelude = Prelude::of(self.listeners[at].protocol, || self.ctx.trusted_proxies.holds(peer));
        let mut ends = Ends::of(peer);
        match prelude.judge(peer, &[]) {
            Outcome::Over { ends: known, .. } => (prelude, ends) = (Prelude::Over, known),
            Outcome::More => {}
            Outcome::Refused(reason) => return self.ctx.refused.count(reason),
        }
        let entry = self.conns.vacant_entry();
        self.generation = self.generation.wrapping_add(1);
        let Ok(slot) = u32::try_from(entry.key()) else { return };
        let token = Token::new(Kind::Client, slot, self.generation);
        self.ctx.accepted += 1;
        let mut transport = Transport::accepted(stream);
        let client = Client::of(ends.client);
        if prelude.is_secure() {
            let Some(secure) = secure(transport, &self.ctx) else {
                return self.ctx.refused.count(Reason::TlsHandshakeFailed);
            };
            transport = secure;
        }
        if prelude.is_known() && !self.ctx.clients.enter(client) {
            return self.ctx.refused.count(Reason::TooManyConnections);
        }
        let deadline = self.ctx.env.now + self.ctx.env.policy.client_header_timeout;
        entry.insert(Conn {
            transport,
            token,
            client,
            address: PeerText::new(ends.client),
            ends,
            prelude,
            queued: false,
            starved: false,
            fresh: true,
            deadline,
            alarm: Alarm::default(),
            own: None,
            charged: 0,
            active: None,
        });
        self.pump(slot);
    }
}

/// Begins a session of TLS, where there are certificates to begin it with.
#[cold]
fn secure(transport: Transport, ctx: &Ctx) -> Option<Transport> {
    transport.secure(Arc::clone(ctx.tls.as_ref()?)).ok()
}

/// Whether the connection was gone before it was taken, which is no fault of ours.
fn gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_was_gone_makes_nobody_wait() {
        for (code, is_gone) in [(103, true), (104, true), (4, true), (24, false), (105, false), (1, false)] {
            assert_eq!(gone(&io::Error::from_raw_os_error(code)), is_gone, "{code}");
        }
    }
}
