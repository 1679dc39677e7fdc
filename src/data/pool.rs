//! Connections to servers: made, lent to an exchange, taken back, and closed when an idle one stirs.
//!
//! It owns every server connection of the worker and the lists of idle ones, never the choice of a server. A list
//! belongs to a server of an upstream and outlives changes of the configuration as long as that server is in it. Next:
//! [`super::view`] keeps the lists' numbers, [`super::dispatch`] lends and gives back.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::Registry;
use mio::event::Event;
use slab::Slab;

use super::demand::Demand;
use super::opening::Opening;
use super::socket::Attempt;
use super::timers::{Alarm, Timers};
use super::token::{Kind, Token};
use super::transport::Transport;
use crate::model::Endpoint;

/// Who has a server connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// The client connection in this slot.
    Lent(u32),
    /// Nobody: it waits in its list.
    Idle,
}

/// One line of the cache, for it is looked at four times a request and others come between.
#[derive(Debug)]
#[repr(align(64))]
struct ServerSocket {
    transport: Transport,
    /// Of its token, beside its slot here.
    generation: u32,
    holder: Holder,
    /// The list of its server.
    list: u32,
    /// Nobody uses it since then.
    since: Instant,
    alarm: Alarm,
}

/// The connections to one server.
#[derive(Debug, Default)]
struct List {
    /// Those that nobody uses, the one that was used last at the end.
    idle: VecDeque<u32>,
    /// The most of them.
    most: usize,
    /// What is said on a new connection before any request.
    opening: Option<Box<Opening>>,
    demand: Demand,
    /// The server is in no configuration any more; what is lent comes back to be closed.
    gone: bool,
    /// In use, idle and taken when that was told last.
    told: Option<(u32, u32, u64)>,
}

/// The worker's server connections.
#[derive(Debug)]
pub struct Pool {
    sockets: Slab<ServerSocket>,
    lists: Slab<List>,
    generation: u32,
    idle: usize,
    idle_max: usize,
    keepalive: Duration,
}

impl Pool {
    /// An empty pool. Of each server it keeps as many connections as were in use at once in the last seconds, for `keepalive`
    /// each, and never more than `idle_max` that are idle.
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

    /// What is done with the server of a list: connections in use, idle ones, and how often one was taken. Nothing when it is
    /// what was told last.
    pub fn news(&mut self, list: u32) -> Option<(u32, u32, u64)> {
        let List { idle, demand, told, .. } = self.lists.get_mut(list as usize)?;
        let now = (number(demand.busy()), number(idle.len()), demand.total());
        let is_new = told.replace(now).unwrap_or_default() != now;
        is_new.then_some(now)
    }

    /// Nobody heard what was told last.
    pub fn untold(&mut self) {
        self.lists.iter_mut().for_each(|(_, list)| list.told = None);
    }

    /// A new list for the idle connections of one server.
    /// It keeps `most` idle connections, or as many as all lists may.
    pub fn add_list(&mut self, most: Option<u32>) -> u32 {
        let list = number(self.lists.insert(List::default()));
        self.keep_most(list, most);
        list
    }

    /// New connections of a list that has none yet begin so.
    pub(super) fn open_with(&mut self, list: u32, opening: Option<Box<Opening>>) {
        if let Some(own) = self.lists.get_mut(list as usize) {
            own.opening = opening;
        }
    }

    /// A list keeps so many idle connections from now on; those that are too many are closed within a second.
    pub fn keep_most(&mut self, list: u32, most: Option<u32>) {
        if let Some(own) = self.lists.get_mut(list as usize) {
            own.most = most.map_or(self.idle_max, |most| most as usize);
        }
    }

    /// The server is gone from the configuration: its idle connections are closed. The list keeps its number until those come
    /// back that are lent.
    pub fn drop_list(&mut self, list: u32) {
        let Some(left) = self.lists.get_mut(list as usize) else { return };
        left.gone = true;
        for slot in std::mem::take(&mut left.idle) {
            self.idle -= 1;
            discard(&mut self.sockets, slot);
        }
        if left.demand.busy() == 0 {
            self.lists.remove(list as usize);
        }
    }

    /// A connection of this list that was in use is closed.
    fn lost(&mut self, list: u32) {
        let Some(own) = self.lists.get_mut(list as usize) else { return };
        own.demand.returned();
        if own.gone && own.demand.busy() == 0 {
            self.lists.remove(list as usize);
        }
    }

    /// Closes what is not worth keeping any more, the longest idle first. Once a second is often enough.
    pub fn trim(&mut self, now: Instant) {
        for (_, list) in &mut self.lists {
            list.demand.pass(now);
            let spare = list.most.min(list.demand.spare());
            while list.idle.len() > spare
                && let Some(slot) = list.idle.pop_front()
            {
                self.idle -= 1;
                discard(&mut self.sockets, slot);
            }
        }
    }

    /// Lends the connection that was used last, if one is idle.
    ///
    /// One that came back in this very turn is lent only when there is no other. A server that says more than it was
    /// asked for often does so a moment after its response, and the poll between two turns is what tells of it.
    #[inline(always)]
    pub fn lend(&mut self, list: u32, client: u32, now: Instant) -> Option<u32> {
        let List { idle, demand, .. } = self.lists.get_mut(list as usize)?;
        let came_now =
            |slot: Option<&u32>| self.sockets.get(*slot? as usize).map(|server| server.since == now);
        let slot = if came_now(idle.back())? && came_now(idle.front()) == Some(false) {
            idle.pop_front()?
        } else {
            idle.pop_back()?
        };
        demand.taken();
        self.idle -= 1;
        self.sockets.get_mut(slot as usize)?.holder = Holder::Lent(client);
        Some(slot)
    }

    /// Begins to connect to the server of a list, on behalf of a client connection.
    ///
    /// # Errors
    /// What the kernel says at once.
    pub fn connect(
        &mut self,
        endpoint: &Endpoint,
        list: u32,
        client: u32,
        registry: &Registry,
        now: Instant,
    ) -> io::Result<u32> {
        let opening = self.lists.get(list as usize).and_then(|list| list.opening.as_deref());
        let mut transport = Transport::connect(endpoint, opening)?;
        let entry = self.sockets.vacant_entry();
        self.generation = self.generation.wrapping_add(1);
        let token = Token::new(Kind::Server, number(entry.key()), self.generation);
        transport.register(registry, mio::Token(token.to_usize()))?;
        let slot = number(entry.key());
        let holder = Holder::Lent(client);
        entry.insert(ServerSocket {
            transport,
            generation: token.generation,
            holder,
            list,
            since: now,
            alarm: Alarm::default(),
        });
        if let Some(list) = self.lists.get_mut(list as usize) {
            list.demand.taken();
        }
        Ok(slot)
    }

    /// A connection was made: says what comes before requests, if anything does, and how that stands. It is for the client at the first of these
    /// addresses, which came to the second.
    pub fn begin(&mut self, slot: u32, of: impl FnOnce() -> Option<(SocketAddr, SocketAddr)>) -> Attempt {
        let Some(server) = self.sockets.get_mut(slot as usize) else { return Attempt::Failed };
        let opening = self.lists.get(server.list as usize).and_then(|list| list.opening.as_deref());
        match opening {
            None => Attempt::Made,
            Some(opening) => server.transport.begin(|| opening.proxy.map(|version| version.header(of()))),
        }
    }

    /// Servers are told on connections of this one's list whose they are, so nobody else can use it.
    #[must_use]
    pub fn is_private(&self, slot: u32) -> bool {
        let list = self.sockets.get(slot as usize).and_then(|server| self.lists.get(server.list as usize));
        list.and_then(|list| list.opening.as_ref()).is_some_and(|opening| opening.proxy.is_some())
    }

    /// What was lent.
    pub fn transport(&mut self, slot: u32) -> Option<&mut Transport> {
        self.sockets.get_mut(slot as usize).map(|server| &mut server.transport)
    }

    /// The client connection that a socket is lent to.
    #[must_use]
    pub fn lent_to(&self, slot: u32) -> Option<u32> {
        match self.sockets.get(slot as usize)?.holder {
            Holder::Lent(client) => Some(client),
            Holder::Idle => None,
        }
    }

    /// Idle sockets and lists name each other, and what is lent is counted as in use.
    pub(super) fn check_invariants(&self) {
        let mut idle = 0;
        let mut lent = vec![0; self.lists.capacity()];
        for (_, server) in self.sockets.iter().filter(|(_, server)| server.holder != Holder::Idle) {
            lent[server.list as usize] += 1;
        }
        for (number, list) in &self.lists {
            idle += list.idle.len();
            for slot in &list.idle {
                let held =
                    self.sockets.get(*slot as usize).map(|server| (server.holder, server.list as usize));
                assert_eq!(held, Some((Holder::Idle, number)), "socket {slot} of list {number}");
            }
            assert_eq!(list.demand.busy(), lent[number], "connections of list {number} in use");
            assert!(!list.gone || lent[number] > 0, "list {number} is gone and kept");
        }
        let holders = self.sockets.iter().filter(|(_, server)| server.holder == Holder::Idle);
        assert_eq!((idle, idle), (self.idle, holders.count()), "idle connections");
    }

    /// Takes a connection back into its list, unless the list has what is worth keeping or something stirs on the connection.
    #[inline(always)]
    pub fn give_back(&mut self, slot: u32, timers: &mut Timers, now: Instant) {
        let Some(server) = self.sockets.get_mut(slot as usize) else { return };
        let Some(list) = self.lists.get_mut(server.list as usize) else { return self.close(slot) };
        if list.gone || !server.transport.is_at_rest() {
            return self.close(slot);
        }
        list.demand.returned();
        server.holder = Holder::Idle;
        if list.idle.len() >= list.most.min(list.demand.spare()) {
            return discard(&mut self.sockets, slot);
        }
        server.since = now;
        server.alarm.set(timers, Token::new(Kind::Server, slot, server.generation), now + self.keepalive);
        list.idle.push_back(slot);
        self.idle += 1;
    }

    /// Nothing was heard from a connection that was not asked anything, and its server is still in the configuration.
    #[must_use]
    pub fn may_rest(&mut self, slot: u32) -> bool {
        self.sockets.get_mut(slot as usize).is_some_and(|server| {
            let known = self.lists.get(server.list as usize).is_some_and(|list| !list.gone);
            known && server.transport.is_at_rest()
        })
    }

    /// The list that a connection is of.
    #[must_use]
    pub fn list_of(&self, slot: u32) -> Option<u32> {
        self.sockets.get(slot as usize).map(|server| server.list)
    }

    /// Closes a connection, lent or idle.
    pub fn close(&mut self, slot: u32) {
        let Some(server) = self.sockets.try_remove(slot as usize) else { return };
        let ServerSocket { transport, holder, list, .. } = server;
        transport.leave_and_close();
        if holder != Holder::Idle {
            return self.lost(list);
        }
        // Servers close what they find idle for too long, which is what stands in front.
        if let Some(list) = self.lists.get_mut(list as usize)
            && let Some(at) = list.idle.iter().position(|other| *other == slot)
        {
            list.idle.remove(at);
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
        server.transport.mark(event);
        match server.holder {
            Holder::Lent(client) => Some(client),
            Holder::Idle => {
                if !server.transport.is_at_rest() {
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
        server.alarm.fired();
        if server.holder != Holder::Idle {
            return false;
        }
        let expires = server.since + self.keepalive;
        let over = expires <= now;
        if over {
            self.close(token.slot);
        } else {
            server.alarm.set(timers, token, expires);
        }
        over
    }

    /// Closes all idle connections: the worker is going down.
    pub fn close_idle(&mut self) {
        for list in 0..self.lists.capacity() {
            for slot in
                self.lists.get_mut(list).map(|list| std::mem::take(&mut list.idle)).unwrap_or_default()
            {
                self.idle -= 1;
                discard(&mut self.sockets, slot);
            }
        }
    }
}

/// Closes a connection that is in no list any more.
fn discard(sockets: &mut Slab<ServerSocket>, slot: u32) {
    if let Some(server) = sockets.try_remove(slot as usize) {
        server.transport.leave_and_close();
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
        let list = pool.add_list(None);
        let mut slots: Vec<u32> = Vec::new();
        for came in [earlier, earlier, now, now] {
            slots.push(pool.connect(&endpoint, list, 1, poll.registry(), earlier).unwrap());
            pool.give_back(*slots.last().unwrap(), &mut timers, came);
        }
        let order: Vec<u32> = std::iter::from_fn(|| pool.lend(list, 2, now)).collect();
        assert_eq!(order, [slots[0], slots[1], slots[3], slots[2]]);
        for slot in order {
            pool.give_back(slot, &mut timers, now);
        }
        assert_eq!(
            pool.lend(list, 2, now + Duration::from_millis(1)),
            Some(slots[2]),
            "the last one is warm"
        );
        pool.check_invariants();
    }

    /// A pool, a server, and a clock that is set by hand.
    struct Scene {
        _listener: std::net::TcpListener,
        endpoint: Endpoint,
        poll: mio::Poll,
        timers: Timers,
        pool: Pool,
        list: u32,
        now: Instant,
    }

    impl Scene {
        fn new(idle_max: usize) -> Self {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let (now, endpoint) = (Instant::now(), Endpoint::Inet(listener.local_addr().unwrap()));
            let mut pool = Pool::new(idle_max, Duration::from_secs(60));
            let list = pool.add_list(None);
            let (poll, timers) = (mio::Poll::new().unwrap(), Timers::new(now, 0));
            Self { _listener: listener, endpoint, poll, timers, pool, list, now }
        }

        /// So many connections are in use at once; how many of them had to be made.
        fn wave(&mut self, at_once: usize) -> usize {
            let mut made = 0;
            let slots: Vec<u32> = (0..at_once)
                .map(|_| {
                    self.pool.lend(self.list, 1, self.now).unwrap_or_else(|| {
                        made += 1;
                        self.pool
                            .connect(&self.endpoint, self.list, 1, self.poll.registry(), self.now)
                            .unwrap()
                    })
                })
                .collect();
            for slot in slots {
                self.pool.give_back(slot, &mut self.timers, self.now);
            }
            self.pool.check_invariants();
            made
        }

        fn pass(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
            self.pool.trim(self.now);
            self.pool.check_invariants();
        }
    }

    #[test]
    fn what_was_in_use_at_once_is_kept_and_shrinks_when_it_is_not_any_more() {
        let mut scene = Scene::new(usize::MAX);
        assert_eq!(scene.wave(100), 100);
        assert_eq!((scene.wave(100), scene.pool.idle()), (0, 100), "all of them can be used again");
        for _ in 0..25 {
            scene.pass(1);
            assert_eq!(scene.wave(10), 0);
        }
        assert_eq!((scene.pool.open(), scene.pool.idle()), (10, 10));
        scene.pass(30);
        assert_eq!(scene.pool.open(), super::super::demand::LEAST, "also when nothing comes at all");
    }

    #[test]
    fn no_more_are_kept_than_may_be() {
        for (most, kept) in [(0, 0), (1, 1), (7, 7), (200, 100)] {
            let mut scene = Scene::new(most);
            scene.wave(100);
            assert_eq!((scene.pool.open(), scene.pool.idle()), (kept, kept));
        }
    }

    #[test]
    fn a_list_that_is_gone_keeps_its_number_until_all_of_it_has_come_back() {
        let mut scene = Scene::new(usize::MAX);
        scene.wave(2);
        let lent = scene.pool.lend(scene.list, 1, scene.now).unwrap();
        scene.pool.drop_list(scene.list);
        scene.pool.check_invariants();
        assert_eq!((scene.pool.open(), scene.pool.idle()), (1, 0));
        let other = scene.pool.add_list(None);
        assert_ne!(other, scene.list, "what comes back would be taken for the other's");
        scene.pool.give_back(lent, &mut scene.timers, scene.now);
        scene.pool.check_invariants();
        assert_eq!((scene.pool.open(), scene.pool.add_list(None)), (0, scene.list));
    }
}
