//! How connections come in: a few a turn, as long as there is room, and not at all while descriptors are short.
//!
//! It owns when a listener is asked, never what becomes of a connection. A queue that is not asked waits in the kernel.
//! Next: `worker` for the turn, `listen` for the sockets.

use std::io;
use std::time::Duration;

use mio::net::TcpStream;

use super::answer::exhausted;
use super::conn::{Conn, PeerText};
use super::socket::Socket;
use super::timers::Alarm;
use super::token::{Kind, Token};
use super::worker::Worker;

/// Connections accepted in one turn, so that a burst of new ones does not keep running ones waiting.
pub(super) const ACCEPTS: usize = 64;
/// How long accepting pauses when there are no descriptors or no memory for it; it goes on earlier when a connection
/// closes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Worker {
    pub(super) fn has_room(&self) -> bool {
        self.conns.len() < self.max_connections
    }

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
                if budget == 0 || !self.has_room() {
                    more = true;
                    break;
                }
                budget -= 1;
                match self.listeners[at].accept() {
                    Ok((stream, address)) => self.admit(stream, PeerText::new(address.ip())),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if gone(&error) => {}
                    Err(error) => {
                        // No descriptors, no memory: what runs goes on, and the queue waits in the kernel.
                        tracing::debug!(worker = self.index, %error, "accepting pauses");
                        self.ctx.refused.count(exhausted(&error).unwrap_or("accept-failed"));
                        self.paused = Some(self.ctx.env.now + ACCEPT_PAUSE);
                        return;
                    }
                }
            }
        }
        self.acceptable = more;
    }

    fn admit(&mut self, stream: TcpStream, peer: PeerText) {
        let entry = self.conns.vacant_entry();
        self.generation = self.generation.wrapping_add(1);
        let Ok(slot) = u32::try_from(entry.key()) else { return };
        let token = Token::new(Kind::Client, slot, self.generation);
        self.ctx.accepted += 1;
        let socket = Socket::accepted(stream);
        if !self.ctx.clients.enter(peer) {
            return self.ctx.refused.count("too-many-connections");
        }
        let deadline = self.ctx.env.now + self.ctx.env.policy.client_header_timeout;
        entry.insert(Conn {
            socket,
            token,
            peer,
            queued: false,
            starved: false,
            fresh: true,
            deadline,
            alarm: Alarm::default(),
            active: None,
        });
        self.pump(slot);
    }
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
