//! Who makes room when a worker has as many connections as it may, or the process has no descriptor left.
//!
//! It owns the choice of connections that are closed for new ones, and how they are told; never a request under way.
//! First go those of a client that holds a large share of all, be they idle or slow, so that it harms itself before
//! others; then whoever else is idle. Next: [`super::accept`] asks, [`super::clients`] for who counts as one.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::clients::Client;
use super::conn::{Conn, SILENCE};
use super::listen::ACCEPTS;
use super::worker::Worker;
use crate::reason::Reason;

/// How long a connection must have rested to be closed for another one: clients that ask one thing after the other are back
/// within that, and when places are taken by others who are slow, they would be the ones who rest longest.
const REST: Duration = Duration::from_millis(100);
/// How long a client that holds a large share may owe a request, or the rest of its head, before it is slow. What is sent at
/// once comes with the connection, and no sooner can a new one be told from one that will never ask.
const GREEDY: Duration = Duration::from_millis(100);
/// Connections that no client has too many of: a browser opens six to one host.
const FEW: usize = 8;
/// The share of all connections above which a client has a large share.
const LARGE: usize = 8;
/// The share of all connections that are found at once, if that is more than a turn accepts.
const FOUND: usize = 64;
/// How long it is not looked again, for each connection that there is. To look at one takes some 50 ns, so with nobody to be
/// found a twentieth of the time is spent on it.
const LOOK: Duration = Duration::from_micros(1);
/// The same on top when nobody was found: soon somebody will have rested long enough.
const NOBODY: Duration = Duration::from_millis(20);
/// How long those that were found are who goes first: who has come since then may hold more.
const KEPT: Duration = Duration::from_secs(1);

impl Worker {
    /// The connection that goes if a place is needed now. It stays where it is: maybe nobody wants its place. All are looked
    /// at once in so many times.
    pub(super) fn leaver(&mut self) -> Option<u32> {
        let now = self.ctx.env.now;
        let leavers = &mut self.places.leavers;
        if leavers.at.is_some_and(|at| at + KEPT <= now) {
            leavers.found.clear();
        }
        self.next_leaver().or_else(|| {
            if self.places.leavers.again.is_some_and(|again| now < again) {
                return None;
            }
            self.look_for_leavers();
            self.next_leaver()
        })
    }

    /// The last of the list that has not moved since it was found.
    fn next_leaver(&mut self) -> Option<u32> {
        while let Some(&(token, deadline)) = self.places.leavers.found.last() {
            let conn = self.conns.get(token.slot as usize).filter(|conn| conn.token == token);
            if conn.is_some_and(|conn| {
                conn.deadline == deadline && (self.rests_since(conn).or(self.owes_since(conn))).is_some()
            }) {
                return Some(token.slot);
            }
            self.places.leavers.found.pop();
        }
        None
    }

    fn look_for_leavers(&mut self) {
        let (now, all) = (self.ctx.env.now, self.conns.len());
        let mut counts: HashMap<Client, usize> = HashMap::new();
        for (_, conn) in &self.conns {
            *counts.entry(conn.client).or_default() += 1;
        }
        counts.retain(|_, count| *count > FEW && *count * LARGE > all);
        let leaver = |conn: &Conn| {
            let share = counts.get(&conn.client).copied().unwrap_or_default();
            let rests = self.rests_since(conn);
            let since = rests.or_else(|| self.owes_since(conn).filter(|_| share > 0))?;
            Some(((Reverse(share), rests.is_none(), since), (conn.token, conn.deadline)))
        };
        let mut found: Vec<_> = self.conns.iter().filter_map(|(_, conn)| leaver(conn)).collect();
        let most = ACCEPTS.max(all / FOUND);
        if found.len() > most {
            found.select_nth_unstable_by_key(most, |(order, _)| *order);
            found.truncate(most);
        }
        found.sort_unstable_by_key(|(order, _)| Reverse(*order));
        let pause = LOOK * u32::try_from(all).unwrap_or(u32::MAX);
        let leavers = &mut self.places.leavers;
        leavers.found.clear();
        leavers.found.extend(found.into_iter().map(|(_, leaver)| leaver));
        leavers.at = Some(now);
        leavers.again = Some(now + pause + if leavers.found.is_empty() { NOBODY } else { Duration::ZERO });
    }

    /// Since when a connection rests, if it does: between two requests, or long enough before its first one.
    fn rests_since(&self, conn: &Conn) -> Option<Instant> {
        if conn.active.is_some() || moves(conn) {
            return None;
        }
        let (time, rest) = match conn.fresh {
            true => (self.ctx.env.policy.client_header_timeout, SILENCE),
            false => (self.ctx.keepalive, REST),
        };
        conn.deadline.checked_sub(time).filter(|since| *since + rest <= self.ctx.env.now)
    }

    /// Since when a connection owes what can be done without: its first request, the rest of a head, or its end behind an
    /// answer that was its last.
    fn owes_since(&self, conn: &Conn) -> Option<Instant> {
        if moves(conn) {
            return None;
        }
        let env = &self.ctx.env;
        let since = match conn.active.as_deref() {
            // Whoever waits for a window is not slow.
            Some(active) if active.starved => None,
            Some(active) => active.exchange.idles_since(env),
            None if conn.fresh => conn.deadline.checked_sub(env.policy.client_header_timeout),
            None => None,
        };
        since.filter(|since| *since + GREEDY <= env.now)
    }

    /// Closes a connection for another one. Who has begun a request is told why.
    pub(super) fn make_leave(&mut self, slot: u32) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        let token = conn.token;
        match &mut conn.active {
            Some(active) => {
                active.exchange.displaced(&self.ctx.env);
                self.pump(slot);
            }
            None => self.ctx.refused.count(Reason::IdleClosed),
        }
        // Its place is needed, so nothing is waited for: what does not leave at once is lost.
        if let Some(conn) = self.tenant(token) {
            conn.transport.leave();
            self.remove(slot);
        }
    }
}

/// Something of it waits to be looked at.
fn moves(conn: &Conn) -> bool {
    conn.queued || conn.transport.can_read()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::data::places::{Leavers, Short};
    use crate::data::tests::{ASKS, Turned, answer, is_closed};
    use crate::exchange::Env;

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
        assert!(!house.worker.places.was_short_of(Short::Connections, now + Duration::from_secs(60)));
    }

    #[test]
    fn who_has_only_just_been_answered_does_not_rest() {
        let mut house = Turned::new(&["--max-connections=1"]);
        let mut asks = rested(&mut house);
        let Worker { conns, ctx, .. } = &mut house.worker;
        // As if its answer came now, however slow this machine is.
        conns.iter_mut().for_each(|(_, conn)| conn.deadline = ctx.env.now + ctx.keepalive);
        assert_eq!(house.worker.leaver(), None);
        house.worker.ctx.env.now += REST;
        assert!(house.worker.leaver().is_some() && !is_closed(&mut asks));
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

    /// As if everybody had come so much earlier.
    fn earlier(house: &mut Turned, time: Duration) {
        let Env { policy, .. } = &mut house.worker.ctx.env;
        policy.client_header_timeout += time;
        policy.linger_time += time;
        house.worker.ctx.keepalive += time;
    }

    /// So many clients of this address that have said this.
    fn crowd(house: &mut Turned, count: usize, from: &str, says: &[u8]) -> Vec<std::net::TcpStream> {
        let all = house.worker.conns.len() + count;
        let clients = (0..count).map(|_| house.call(from, says)).collect();
        house.until("a crowd", |worker| worker.conns.len() == all);
        clients
    }

    /// What a client was told before its connection was closed, if it was.
    fn farewell(client: &mut std::net::TcpStream) -> Option<String> {
        let mut said = String::new();
        client.set_nonblocking(true).unwrap();
        client.read_to_string(&mut said).is_ok().then_some(said)
    }

    #[test]
    fn who_holds_most_makes_room_before_others_who_have_rested_longer() {
        let mut house = Turned::new(&["--max-connections=20"]);
        let mut other = rested(&mut house);
        let mut greedy = crowd(&mut house, 19, "127.0.0.2", b"GET / HT");
        earlier(&mut house, REST);
        let mut new: Vec<_> = (0..3).map(|_| house.call("127.0.0.1", ASKS)).collect();
        house.until("the new ones", |worker| worker.ctx.requests == 4);
        assert!(new.iter_mut().all(|client| answer(client).starts_with("HTTP/1.1 404")));
        assert_eq!(house.worker.conns.len(), 20);
        let farewells: Vec<String> = greedy.iter_mut().filter_map(farewell).collect();
        assert_eq!((farewells.len(), is_closed(&mut other)), (3, false));
        for said in farewells {
            assert!(said.starts_with("HTTP/1.1 503") && said.ends_with("no-places\n"), "{said}");
        }
    }

    #[test]
    fn of_who_holds_most_those_can_be_spared_who_owe_a_request_or_their_end() {
        let mut house = Turned::new(&[]);
        let mut few = crowd(&mut house, 1, "127.0.0.1", b"GET / HT");
        let mut silent = crowd(&mut house, 10, "127.0.0.2", b"");
        let refused = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
        let mut linger = crowd(&mut house, 10, "127.0.0.2", refused);
        house.until("the answers", |worker| worker.ctx.requests == 10);
        assert_eq!(house.worker.leaver(), None, "none of them has had its time yet");
        house.worker.ctx.env.now += GREEDY + NOBODY;
        while let Some(slot) = house.worker.leaver() {
            house.worker.make_leave(slot);
        }
        assert_eq!((house.worker.conns.len(), is_closed(&mut few[0])), (1, false));
        assert!(silent.iter_mut().all(|client| farewell(client).as_deref() == Some("")));
        assert!(linger.iter_mut().all(|client| farewell(client).unwrap().ends_with("no-domain\n")));
    }

    #[test]
    fn a_client_has_a_large_share_above_a_few_connections_and_an_eighth_of_all() {
        let mut house = Turned::new(&[]);
        let _few = crowd(&mut house, FEW, "127.0.0.1", b"GET / HT");
        house.worker.ctx.env.now += GREEDY;
        assert_eq!(house.worker.leaver(), None, "all are its own, and they are few");
        let _one_more = crowd(&mut house, 1, "127.0.0.1", b"GET / HT");
        let mut others: Vec<_> =
            (1..=63).map(|other| crowd(&mut house, 1, &format!("127.0.1.{other}"), b"GET / HT")).collect();
        for is_large in [false, true] {
            house.worker.ctx.env.now += GREEDY;
            house.worker.places.leavers = Leavers::default();
            assert_eq!(house.worker.leaver().is_some(), is_large);
            others.pop();
            house.until("another to go", |worker| worker.conns.len() == 71);
        }
    }

    #[test]
    fn it_is_not_looked_for_somebody_again_at_once() {
        let mut house = Turned::new(&[]);
        let _silent = crowd(&mut house, FEW + 1, "127.0.0.1", b"");
        assert_eq!(house.worker.leaver(), None);
        let (now, again) = (house.worker.ctx.env.now, house.worker.places.leavers.again.unwrap());
        assert!(again > now + NOBODY);
        earlier(&mut house, GREEDY);
        assert_eq!(house.worker.leaver(), None);
        house.worker.ctx.env.now = again;
        assert!(house.worker.leaver().is_some());
    }
}
