//! Places for connections: who makes room when a worker has as many as it may, or the process has no descriptor left.
//!
//! It owns the choice of idle connections that are closed for new ones, the places kept for those who administer, and the
//! word that places are short; never a request under way. Next: `accept` asks.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use mio::Registry;

use super::accept::ACCEPTS;
use super::conn::Conn;
use super::drain::SILENCE;
use super::token::Token;
use super::worker::Worker;
use crate::settings::AllowList;

/// Places above the bound that only peers have who may use the admin API, and descriptors kept for them: enough for a few
/// tools of an operator at once.
pub(super) const ADMIN_PLACES: usize = 4;
/// How long no place may become free before it is looked in the queue for those peers. Others that are found there are
/// closed: in all that time nobody would have served them. Where requests only take their time, places become free all the
/// while, and the queue waits in the kernel as ever.
const STUCK: Duration = Duration::from_secs(3);
/// How long a connection must have rested to be closed for another one: clients that ask one thing after the other are back
/// within that, and when places are taken by others who are slow, they would be the ones who rest longest.
const REST: Duration = Duration::from_millis(100);
/// How long it counts as one shortage, and is told as long.
const TOLD: Duration = Duration::from_secs(60);

/// What has run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Short {
    /// As many connections as there may be.
    Connections,
    /// Descriptors of the process.
    Descriptors,
}

/// The places of a worker.
#[derive(Debug)]
pub struct Places {
    /// Connections that there may be, those of administrators aside.
    most: usize,
    /// Whose connections may take the places that are kept; nobody's when the admin API is elsewhere.
    admins: Option<AllowList>,
    /// Copies of a descriptor, to be closed when one is needed for a peer that administers.
    kept: Vec<Registry>,
    /// Those that were idle longest when it was last looked, the longest last, with their deadlines then.
    idle: Vec<(Token, Instant)>,
    /// The turn in which nobody was found, who need not be looked for again in it.
    nobody: Option<Instant>,
    /// Since when no place could be had.
    stuck: Option<Instant>,
    /// When each was short last.
    short: [Option<Instant>; 2],
}

impl Places {
    /// So many places, and some more for these peers. `registry` is what the kept descriptors are copies of.
    pub(super) fn new(most: usize, admins: Option<AllowList>, registry: &Registry) -> Self {
        let mut places = Self {
            most,
            admins,
            kept: Vec::new(),
            idle: Vec::new(),
            nobody: None,
            stuck: None,
            short: [None; 2],
        };
        places.keep(registry);
        places
    }

    /// All that there may be.
    pub(super) fn all(&self) -> usize {
        self.most + ADMIN_PLACES
    }

    /// Sees to it that descriptors are kept, if there are any to be had.
    pub(super) fn keep(&mut self, registry: &Registry) {
        let wanted = if self.admins.is_some() { ADMIN_PLACES } else { 0 };
        while self.kept.len() < wanted
            && let Ok(copy) = registry.try_clone()
        {
            self.kept.push(copy);
        }
    }

    /// A descriptor is free now that was kept.
    pub(super) fn spend(&mut self) -> bool {
        self.kept.pop().is_some()
    }

    /// A place was had in the usual way, or nobody waits for one.
    pub(super) fn is_well(&mut self) {
        self.stuck = None;
    }

    /// None was to be had.
    pub(super) fn is_stuck(&mut self, now: Instant) {
        self.stuck.get_or_insert(now);
    }

    /// It has gone on so long that those who administer are looked for in the queue.
    pub(super) fn seeks_admins(&self, now: Instant) -> bool {
        self.admins.is_some() && self.stuck.is_some_and(|since| now >= since + STUCK)
    }

    /// Whether this peer may take a place that is kept.
    pub(super) fn admits(&self, peer: IpAddr) -> bool {
        self.admins.as_ref().is_some_and(|admins| admins.holds(peer))
    }

    /// Notes what is short.
    pub(super) fn short_of(&mut self, what: Short, now: Instant) {
        self.short[what as usize] = Some(now);
    }

    /// Whether it was short within the last minute.
    pub(super) fn was_short_of(&self, what: Short, now: Instant) -> bool {
        self.short[what as usize].is_some_and(|at| now < at + TOLD)
    }
}

impl Worker {
    /// As many connections as there may be.
    pub(super) fn is_full(&self) -> bool {
        self.conns.len() >= self.places.most
    }

    /// The connection that has been idle longest. It is looked for in all of them once in so many times.
    pub(super) fn longest_idle(&mut self) -> Option<u32> {
        let now = Some(self.ctx.env.now);
        self.last_idle().or_else(|| {
            if self.places.nobody == now {
                return None;
            }
            self.look_for_idle();
            self.places.nobody = now.filter(|_| self.places.idle.is_empty());
            self.last_idle()
        })
    }

    /// The last of the list that still rests. It stays there: maybe nobody wants its place.
    fn last_idle(&mut self) -> Option<u32> {
        while let Some(&(token, deadline)) = self.places.idle.last() {
            let conn = self.conns.get(token.slot as usize).filter(|conn| conn.token == token);
            if conn.is_some_and(|conn| conn.deadline == deadline && self.idle_since(conn).is_some()) {
                return Some(token.slot);
            }
            self.places.idle.pop();
        }
        None
    }

    fn look_for_idle(&mut self) {
        let idle = self.conns.iter().filter_map(|(_, conn)| Some((self.idle_since(conn)?, conn)));
        let mut idle: Vec<_> = idle.map(|(since, conn)| (since, conn.token, conn.deadline)).collect();
        if idle.len() > ACCEPTS {
            idle.select_nth_unstable_by_key(ACCEPTS, |(since, ..)| *since);
            idle.truncate(ACCEPTS);
        }
        idle.sort_unstable_by_key(|(since, ..)| std::cmp::Reverse(*since));
        self.places.idle.clear();
        self.places.idle.extend(idle.into_iter().map(|(_, token, deadline)| (token, deadline)));
    }

    /// Since when a connection rests, if it does: between two requests, or long enough before its first one.
    fn idle_since(&self, conn: &Conn) -> Option<Instant> {
        if conn.active.is_some() || conn.queued || conn.socket.readable {
            return None;
        }
        let (time, rest) = match conn.fresh {
            true => (self.ctx.env.policy.client_header_timeout, SILENCE),
            false => (self.ctx.keepalive, REST),
        };
        conn.deadline.checked_sub(time).filter(|since| *since + rest <= self.ctx.env.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{ASKS, Turned, answer, is_closed};

    /// A client that was answered and rests.
    fn rested(house: &mut Turned) -> std::net::TcpStream {
        let others = house.worker.ctx.exchanges;
        let mut client = house.client(ASKS);
        answer(&mut client);
        house.until("the client to rest", |worker| worker.ctx.exchanges == others);
        client
    }

    #[test]
    fn who_has_rested_longest_makes_room_and_who_is_served_does_not() {
        let mut house = Turned::new(&["--max-connections=4"]);
        let mut served = house.client(b"GET / HT");
        let mut rests: Vec<_> = (0..2).map(|_| rested(&mut house)).collect();
        assert!(!house.worker.places.was_short_of(Short::Connections, Instant::now()));
        rests.push(rested(&mut house));
        for longest in 0..3 {
            rests.push(rested(&mut house));
            let closed: Vec<bool> = rests.iter_mut().map(is_closed).collect();
            assert_eq!(closed.iter().filter(|closed| **closed).count(), longest + 1, "{closed:?}");
            assert!(closed.is_sorted_by(|one, other| one >= other), "{closed:?}");
        }
        assert!(!is_closed(&mut served));
        assert_eq!(house.worker.conns.len(), 4);
        let now = house.worker.ctx.env.now;
        assert!(house.worker.places.was_short_of(Short::Connections, now));
        assert!(!house.worker.places.was_short_of(Short::Connections, now + TOLD));
    }

    #[test]
    fn who_has_only_just_been_answered_does_not_rest() {
        let mut house = Turned::new(&["--max-connections=1"]);
        let mut asks = rested(&mut house);
        let Worker { conns, ctx, .. } = &mut house.worker;
        // As if its answer came now, however slow this machine is.
        conns.iter_mut().for_each(|(_, conn)| conn.deadline = ctx.env.now + ctx.keepalive);
        assert_eq!(house.worker.longest_idle(), None);
        house.worker.ctx.env.now += REST;
        assert!(house.worker.longest_idle().is_some() && !is_closed(&mut asks));
    }

    #[test]
    fn who_has_never_said_anything_rests_after_five_seconds() {
        let mut house = Turned::new(&["--max-connections=1"]);
        let mut silent = house.client(b"");
        let _next = house.call("127.0.0.1", ASKS);
        house.until("no place", |worker| worker.paused.is_some());
        assert!(!is_closed(&mut silent));
        let Worker { conns, ctx, .. } = &mut house.worker;
        for (_, conn) in conns {
            // As if they had gone by.
            conn.deadline -= SILENCE;
            conn.alarm.set(&mut ctx.timers, conn.token, conn.deadline);
        }
        house.until("the next", |worker| worker.ctx.requests == 1);
        assert!(is_closed(&mut silent));
    }

    #[test]
    fn who_may_administer_has_places_when_nobody_rests_and_nothing_moves() {
        let mut house = Turned::new(&["--max-connections=2", "--admin-allow=127.0.0.2"]);
        let _served: Vec<_> = (0..2).map(|_| house.client(b"GET / HT")).collect();
        let mut strangers: Vec<_> = (0..3).map(|_| house.call("127.0.0.1", ASKS)).collect();
        let mut operators: Vec<_> =
            (0..=ADMIN_PLACES).map(|_| house.call("127.0.0.2", b"GET / HT")).collect();
        house.until("no place", |worker| worker.paused.is_some());
        assert_eq!((house.worker.conns.len(), strangers.iter_mut().any(is_closed)), (2, false), "they wait");
        house.worker.places.stuck = Instant::now().checked_sub(STUCK);
        house.until("the operator", |worker| worker.conns.len() == 2 + ADMIN_PLACES);
        house.until("the queue to be empty", |worker| !worker.acceptable);
        assert!(strangers.iter_mut().all(is_closed));
        let refused = operators.iter_mut().filter_map(|one| is_closed(one).then_some(()));
        assert_eq!(refused.count(), 1, "their places have an end, too");
    }

    #[test]
    fn descriptors_are_kept_for_those_who_administer_here_and_for_nobody_else() {
        let mut house = Turned::new(&[]);
        assert_eq!(house.worker.places.kept.len(), ADMIN_PLACES);
        assert!(house.worker.places.spend());
        house.worker.places.keep(&house.worker.ctx.registry);
        assert_eq!(house.worker.places.kept.len(), ADMIN_PLACES);
        let none = Places::new(1, None, &house.worker.ctx.registry);
        assert!(none.kept.is_empty() && !none.admits("127.0.0.1".parse().unwrap()));
    }
}
