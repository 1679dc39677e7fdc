//! Windows: how a connection gets one, waits for one, and what is taken back when the stock runs low. First that is what is
//! kept for second tries, then what those hold who are slowest.
//!
//! It owns the choice of those who give, never how a request ends. A request that is under way and moves gives nothing but
//! its second try. Next: [`super::buffers`] for when the stock is low, [`super::worker`] for when this is asked.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::buffers::Buffers;
use super::clients::Client;
use super::conn::{Active, Conn, charge};
use super::ctx::Ctx;
use super::token::Token;
use super::worker::Worker;
use crate::exchange::{Env, Need, Phase, Side};
use crate::http1::buf::Buf;

/// Connections that are let go in one turn: each is answered, and others wait meanwhile.
const VICTIMS: usize = 64;
/// How long it is not looked again when little was found: all connections are looked at each time.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a head may be under way before it is slow: a second is many round trips.
const SLOW: Duration = Duration::from_secs(1);
/// The same of a client that holds a large share of the stock, whoever else comes.
const GREEDY: Duration = Duration::from_millis(100);
/// How long a peer may take nothing of what waits for it, while others find no window at all.
const STALLED: Duration = Duration::from_secs(5);

/// Sees to it that a side has a window with room; `false` when the stock is used up.
#[inline]
pub(super) fn window(active: &mut Active, side: Side, ctx: &mut Ctx) -> bool {
    active.exchange.free_room(side);
    let Need { least, useful } = active.exchange.need(side);
    if useful > least
        && let Some(fresh) = ctx.buffers.take_useful(useful)
    {
        lend(active, side, fresh, ctx);
        return true;
    }
    if least == 0 {
        return true;
    }
    if !Buffers::larger_than(least - 1) {
        return false;
    }
    take(active, side, least, ctx) || starve(active, side, least, ctx)
}

/// The stock is used up: what is kept for another server is given up before anybody waits for a window. `false` when it
/// waits.
#[cold]
#[inline(never)]
fn starve(active: &mut Active, side: Side, least: usize, ctx: &mut Ctx) -> bool {
    if active.exchange.release_replay() && side == Side::Server {
        if let Some(unused) = active.exchange.reclaim(Side::Client) {
            ctx.buffers.give(unused);
        }
        take(active, side, least, ctx);
    }
    // What was given up may have made room in the window that is there.
    let none = active.exchange.room(side).is_empty();
    active.starved |= none;
    !none
}

/// Lends a window of the stock; `false` when that is used up.
#[inline]
fn take(active: &mut Active, side: Side, least: usize, ctx: &mut Ctx) -> bool {
    let taken = match active.exchange.has_window() {
        true => ctx.buffers.take(least),
        false => ctx.buffers.take_first(least),
    };
    let Some(fresh) = taken else { return false };
    lend(active, side, fresh, ctx);
    true
}

#[inline]
pub(super) fn lend(active: &mut Active, side: Side, fresh: Buf, ctx: &mut Ctx) {
    if let Some(unused) = active.exchange.lend(side, fresh) {
        ctx.buffers.give(unused);
    }
}

/// Puts a connection into the queue of those that wait for a window, once. Who holds one already comes first: what it waits
/// for may free both.
#[cold]
pub(super) fn queue_for_window(queued: &mut bool, active: &Active, token: Token, ctx: &mut Ctx) {
    if !std::mem::replace(queued, true) {
        match active.exchange.has_window() {
            true => ctx.starved.push_front(token),
            false => ctx.starved.push_back(token),
        }
    }
}

impl Worker {
    /// Connections that wait for a window are tried again when some came back, one after the other until one is tried
    /// in vain: with a thousand waiting, the windows of a turn are enough for a few.
    pub(super) fn feed_starved(&mut self) {
        if self.ctx.starved.is_empty() || !self.ctx.buffers.was_returned() {
            return;
        }
        while let Some(token) = self.ctx.starved.pop_front() {
            let Some(conn) = self.tenant(token) else { continue };
            conn.starved = false;
            self.pump(token.slot);
            if self.tenant(token).is_some_and(|conn| conn.starved) {
                return;
            }
        }
    }

    /// Takes back what can be spared, if the stock is low.
    pub(super) fn relieve(&mut self) {
        let now = self.ctx.env.now;
        if !self.ctx.buffers.is_low() || self.relieved.is_some_and(|until| now < until) {
            return;
        }
        let before = self.ctx.buffers.lent();
        self.release_replays();
        if self.ctx.buffers.is_low() {
            self.let_slowest_go();
        }
        let gained = before.saturating_sub(self.ctx.buffers.lent());
        self.relieved = (gained < self.ctx.buffers.worth_a_look()).then(|| now + PAUSE);
    }

    /// How long until it is to be looked again, if the stock is low.
    pub(super) fn until_relief(&self) -> Option<Duration> {
        let now = self.ctx.env.now;
        let until = self.relieved.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        self.ctx.buffers.is_low().then_some(until)
    }

    /// Requests that are kept for a second try are tried once from now on.
    fn release_replays(&mut self) {
        for (_, conn) in &mut self.conns {
            let Some(active) = &mut conn.active else { continue };
            if !active.exchange.release_replay() {
                continue;
            }
            if let Some(window) = active.exchange.reclaim(Side::Client) {
                self.ctx.buffers.give(window);
            }
            charge(&mut conn.charged, active.exchange.outside(), &mut self.ctx.buffers);
            if !self.ctx.buffers.is_low() {
                return;
            }
        }
    }

    /// Lets some of those go who are slowest, of the clients that hold most.
    fn let_slowest_go(&mut self) {
        let mut held: HashMap<Client, usize> = HashMap::new();
        for (_, conn) in &self.conns {
            if conn.held() > 0 {
                *held.entry(conn.client).or_default() += conn.held();
            }
        }
        let large = self.ctx.buffers.large_share();
        let out = self.ctx.buffers.is_out() && !self.ctx.starved.is_empty();
        let mut slow: Vec<(Reverse<usize>, Instant, Token)> = Vec::new();
        for (_, conn) in &self.conns {
            let share = held.get(&conn.client).copied().unwrap_or_default();
            let Some(since) = slow_since(conn, &self.ctx.env, out) else { continue };
            let patience = if share > large { GREEDY } else { SLOW };
            if since + patience <= self.ctx.env.now {
                slow.push((Reverse(share), since, conn.token));
            }
        }
        if slow.len() > VICTIMS {
            slow.select_nth_unstable_by_key(VICTIMS, |(share, since, _)| (*share, *since));
            slow.truncate(VICTIMS);
        }
        slow.sort_unstable_by_key(|(share, since, _)| (*share, *since));
        for (_, _, token) in slow {
            if self.ctx.buffers.is_low() {
                self.let_go(token);
            }
        }
    }

    fn let_go(&mut self, token: Token) {
        let conn = self.conns.get_mut(token.slot as usize).filter(|conn| conn.token == token);
        let Some(active) = conn.and_then(|conn| conn.active.as_mut()) else { return };
        active.exchange.let_go(&self.ctx.env);
        self.pump(token.slot);
    }
}

/// Since when a connection holds something and does not do what it is waited for: a head is not whole, or, when windows are
/// `out`, a peer has taken nothing for so long.
fn slow_since(conn: &Conn, env: &Env, out: bool) -> Option<Instant> {
    let active = conn.active.as_deref().filter(|_| conn.held() > 0)?;
    if active.exchange.phase() == Phase::Head {
        // Whoever waits for a window is not slow.
        if active.starved {
            return None;
        }
        return conn.deadline.checked_sub(env.policy.client_header_timeout);
    }
    active.exchange.stalled_since(env).filter(|since| out && *since + STALLED <= env.now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{ASKS, Turned, answer, is_closed};
    use crate::exchange::FIRST_WINDOW;

    /// The beginning of a head that needs a window of the first size.
    fn begun() -> Vec<u8> {
        [&b"GET / HTTP/1.1\r\nX-Unfinished: "[..], &[b'x'; 5000]].concat()
    }

    /// As if everybody had come so much earlier.
    fn earlier(house: &mut Turned, time: Duration) {
        let Worker { conns, ctx, .. } = &mut house.worker;
        for (_, conn) in conns {
            conn.deadline -= time;
            conn.alarm.set(&mut ctx.timers, conn.token, conn.deadline);
        }
    }

    /// A client at this address with such a head, which holds its window.
    fn holding(house: &mut Turned, from: &str) -> std::net::TcpStream {
        let client = house.call(from, &begun());
        let held = house.worker.ctx.buffers.lent() + FIRST_WINDOW;
        house.until("a head", |worker| worker.ctx.buffers.lent() == held);
        client
    }

    #[test]
    fn the_slowest_of_who_holds_most_are_let_go_and_no_more_than_need_be() {
        let mut house = Turned::new(&["--max-buffers=1m"]);
        // Half the stock is 16 windows; 127.0.0.1 has most of them, and came later.
        let mut few: Vec<_> = (0..3).map(|_| holding(&mut house, "127.0.0.2")).collect();
        earlier(&mut house, SLOW);
        let mut many: Vec<_> = (0..13).map(|_| holding(&mut house, "127.0.0.1")).collect();
        earlier(&mut house, GREEDY);
        assert!(!house.worker.ctx.buffers.is_low());
        many.push(house.client(&begun()));
        house.until("enough to be given back", |worker| !worker.ctx.buffers.is_low());
        assert!(answer(&mut many[0]).starts_with("HTTP/1.1 503"));
        assert!(!few.iter_mut().chain(&mut many[1..]).any(is_closed));
        assert_eq!(house.worker.ctx.buffers.lent(), 16 * FIRST_WINDOW);
    }

    #[test]
    fn who_is_not_slow_or_waits_for_a_window_is_not_let_go() {
        let mut house = Turned::new(&["--max-buffers=1m"]);
        let from: Vec<String> = (1..=24).map(|n| format!("127.0.0.{n}")).collect();
        let mut heads: Vec<_> = from.iter().map(|from| holding(&mut house, from)).collect();
        let mut waits = house.client(ASKS);
        assert!(house.worker.ctx.buffers.is_out());
        house.turn();
        assert!(!heads.iter_mut().any(is_closed), "nobody has had a second yet");
        earlier(&mut house, SLOW);
        house.until("enough to be given back", |worker| !worker.ctx.buffers.is_low());
        assert!(answer(&mut waits).starts_with("HTTP/1.1 404"));
    }
}
