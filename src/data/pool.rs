//! Connections to servers: made, lent to an exchange, taken back, and closed when an idle one stirs.
//!
//! It owns every server socket of the worker and the lists of idle ones, never the choice of a server. A list belongs
//! to a server of an upstream and outlives changes of the configuration as long as that server is in it. Next: `view`
//! keeps the lists' numbers, `answer` lends and gives back.

use std::io;
use std::time::{Duration, Instant};

use mio::Registry;
use mio::event::Event;
use slab::Slab;

use super::socket::Socket;
use super::timers::{Alarm, Timers};
use super::token::{Kind, Token};
use crate::model::Endpoint;

/// Who has a server socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// The client connection in this slot.
    Lent(u32),
    /// Nobody: it waits in this list.
    Idle(u32),
}

/// One line of the cache, for it is looked at four times a request and others come between.
#[derive(Debug)]
#[repr(align(64))]
struct ServerSocket {
    socket: Socket,
    /// Of its token, beside its slot here.
    generation: u32,
    holder: Holder,
    expires: Instant,
    alarm: Alarm,
}

/// The worker's server connections.
#[derive(Debug)]
pub struct Pool {
    sockets: Slab<ServerSocket>,
    lists: Slab<Vec<u32>>,
    generation: u32,
    idle: usize,
    idle_max: usize,
    keepalive: Duration,
}

impl Pool {
    /// An empty pool that keeps `idle_max` idle connections a server for `keepalive` each.
    #[must_use]
    pub fn new(idle_max: usize, keepalive: Duration) -> Self {
        Self { sockets: Slab::new(), lists: Slab::new(), generation: 0, idle: 0, idle_max, keepalive }
    }

    /// Connections that are open, idle ones included.
    #[must_use]
    pub fn open(&self) -> usize {
        self.sockets.len()
    }

    /// Connections that nobody uses.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.idle
    }

    /// A new list for the idle connections of one server.
    pub fn add_list(&mut self) -> u32 {
        number(self.lists.insert(Vec::new()))
    }

    /// The server is gone from the configuration: its idle connections are closed.
    pub fn drop_list(&mut self, list: u32) {
        for slot in self.lists.try_remove(list as usize).unwrap_or_default() {
            self.idle -= 1;
            self.sockets.remove(slot as usize);
        }
    }

    /// Lends the connection that was used last, if one is idle.
    ///
    /// One that came back in this very turn is lent only when there is no other. A server that says more than it was
    /// asked for often does so a moment after its response, and the poll between two turns is what tells of it.
    pub fn lend(&mut self, list: u32, client: u32, now: Instant) -> Option<u32> {
        let idle = self.lists.get_mut(list as usize)?;
        let just_now = now + self.keepalive;
        let came_now =
            |slot: Option<&u32>| self.sockets.get(*slot? as usize).map(|server| server.expires == just_now);
        let slot = if came_now(idle.last())? && came_now(idle.first()) == Some(false) {
            idle.remove(0)
        } else {
            idle.pop()?
        };
        self.idle -= 1;
        self.sockets.get_mut(slot as usize)?.holder = Holder::Lent(client);
        Some(slot)
    }

    /// Begins to connect on behalf of a client connection.
    ///
    /// # Errors
    /// What the kernel says at once.
    pub fn connect(
        &mut self,
        endpoint: &Endpoint,
        client: u32,
        registry: &Registry,
        now: Instant,
    ) -> io::Result<u32> {
        let mut socket = Socket::connect(endpoint)?;
        let entry = self.sockets.vacant_entry();
        self.generation = self.generation.wrapping_add(1);
        let token = Token::new(Kind::Server, number(entry.key()), self.generation);
        socket.register(registry, mio::Token(token.to_usize()))?;
        let slot = number(entry.key());
        let holder = Holder::Lent(client);
        entry.insert(ServerSocket {
            socket,
            generation: token.generation,
            holder,
            expires: now,
            alarm: Alarm::default(),
        });
        Ok(slot)
    }

    /// The socket that was lent.
    pub fn socket(&mut self, slot: u32) -> Option<&mut Socket> {
        self.sockets.get_mut(slot as usize).map(|server| &mut server.socket)
    }

    /// The client connection that a socket is lent to.
    #[must_use]
    pub fn lent_to(&self, slot: u32) -> Option<u32> {
        match self.sockets.get(slot as usize)?.holder {
            Holder::Lent(client) => Some(client),
            Holder::Idle(_) => None,
        }
    }

    /// Idle sockets and lists name each other.
    pub(super) fn check_invariants(&self) {
        let mut idle = 0;
        for (list, slots) in &self.lists {
            idle += slots.len();
            for slot in slots {
                let holder = self.sockets.get(*slot as usize).map(|server| server.holder);
                assert_eq!(holder, Some(Holder::Idle(number(list))), "socket {slot} of list {list}");
            }
        }
        let holders = self.sockets.iter().filter(|(_, server)| matches!(server.holder, Holder::Idle(_)));
        assert_eq!((idle, idle), (self.idle, holders.count()), "idle connections");
    }

    /// Takes a connection back into a list, unless the list is full or something stirs on the connection.
    pub fn give_back(&mut self, slot: u32, list: u32, timers: &mut Timers, now: Instant) {
        let (Some(server), Some(idle)) =
            (self.sockets.get_mut(slot as usize), self.lists.get_mut(list as usize))
        else {
            return self.close(slot);
        };
        if idle.len() >= self.idle_max || server.socket.readable || server.socket.failed {
            return self.close(slot);
        }
        server.holder = Holder::Idle(list);
        server.expires = now + self.keepalive;
        server.alarm.set(timers, Token::new(Kind::Server, slot, server.generation), server.expires);
        idle.push(slot);
        self.idle += 1;
    }

    /// Closes a connection, lent or idle.
    pub fn close(&mut self, slot: u32) {
        let Some(server) = self.sockets.try_remove(slot as usize) else { return };
        if let Holder::Idle(list) = server.holder
            && let Some(idle) = self.lists.get_mut(list as usize)
        {
            idle.retain(|other| *other != slot);
            self.idle -= 1;
        }
    }

    /// Takes over an event. The answer is the client connection to pump; an idle connection that stirs is closed: its
    /// server has nothing to say to nobody.
    pub fn event(&mut self, token: Token, event: &Event) -> Option<u32> {
        let server = self
            .sockets
            .get_mut(token.slot as usize)
            .filter(|server| server.generation == token.generation)?;
        server.socket.mark(event);
        match server.holder {
            Holder::Lent(client) => Some(client),
            Holder::Idle(_) => {
                if server.socket.readable || server.socket.failed {
                    self.close(token.slot);
                }
                None
            }
        }
    }

    /// A timer came due: closes an idle connection whose time is over. Returns whether it was.
    pub fn expire(&mut self, token: Token, timers: &mut Timers, now: Instant) -> bool {
        let server =
            self.sockets.get_mut(token.slot as usize).filter(|server| server.generation == token.generation);
        let Some(server) = server else { return false };
        server.alarm.rang();
        if !matches!(server.holder, Holder::Idle(_)) {
            return false;
        }
        let over = server.expires <= now;
        if over {
            self.close(token.slot);
        } else {
            server.alarm.set(timers, token, server.expires);
        }
        over
    }

    /// Closes all idle connections: the worker is going down.
    pub fn close_idle(&mut self) {
        for list in 0..self.lists.capacity() {
            for slot in self.lists.get_mut(list).map(std::mem::take).unwrap_or_default() {
                self.idle -= 1;
                self.sockets.remove(slot as usize);
            }
        }
    }
}

/// Slots are bounded by the number of open files, far below `u32::MAX`.
#[allow(clippy::cast_possible_truncation)]
fn number(slot: usize) -> u32 {
    slot as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_came_back_in_this_turn_is_lent_last() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Inet(listener.local_addr().unwrap());
        let poll = mio::Poll::new().unwrap();
        let (earlier, now) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        let mut pool = Pool::new(64, Duration::from_secs(60));
        let mut timers = Timers::new(earlier, 0);
        let list = pool.add_list();
        let mut slots: Vec<u32> = Vec::new();
        for came in [earlier, earlier, now, now] {
            slots.push(pool.connect(&endpoint, 1, poll.registry(), earlier).unwrap());
            pool.give_back(*slots.last().unwrap(), list, &mut timers, came);
        }
        let order: Vec<u32> = std::iter::from_fn(|| pool.lend(list, 2, now)).collect();
        assert_eq!(order, [slots[0], slots[1], slots[3], slots[2]]);
        for slot in order {
            pool.give_back(slot, list, &mut timers, now);
        }
        assert_eq!(
            pool.lend(list, 2, now + Duration::from_millis(1)),
            Some(slots[2]),
            "the last one is warm"
        );
        pool.check_invariants();
    }
}
