//! Which servers are checked, when each is due, and what was found of each.
//!
//! It owns the order of checks: one at a time of a server, each an interval after the one before with some chance in it, so
//! that the checks of many servers spread by themselves; and a bounded number at once. What is due waits in that order when all
//! places are taken. A server that is taken away is not checked from that moment on. No socket and no clock: `now` is an
//! argument. Next: [`prober`](super::prober) carries orders out, [`tally`](super::tally) counts.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use std::time::{Duration, Instant};

use super::order::{Finding, Order, Ticket};
use super::tally::Tally;
use crate::model::{CheckOptions, OpeningOptions, Server, ServerId, ServerState, Upstream};

/// Checks at a time. Each is a connection and some kilobytes, and a thousand servers that take their time are asked in a few
/// seconds all the same.
pub(super) const AT_ONCE: usize = 64;
/// The part of an interval by which a check may be early or late by chance.
const CHANCE: u32 = 20;

/// All checks.
#[derive(Debug)]
pub struct Schedule {
    seed: u64,
    checked: BTreeMap<ServerId, Checked>,
    /// Those that no check is under way of, in the order in which they are due.
    due: BTreeSet<(Instant, ServerId)>,
    /// Checks under way.
    running: usize,
    /// Checks that were begun so far.
    begun: u64,
    /// Checks under way whose server is gone or is to be asked something else.
    stopped: Vec<Ticket>,
}

#[derive(Debug)]
struct Checked {
    /// Of its upstream.
    slot: u32,
    server: Server,
    options: CheckOptions,
    opening: Option<Box<OpeningOptions>>,
    tally: Tally,
    last: Option<LastCheck>,
    next: Next,
}

/// What comes next for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A check is due then.
    Due(Instant),
    /// One is under way, and was begun then.
    Running { ticket: Ticket, begun: Instant },
}

/// A check that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastCheck {
    /// When it ended.
    pub at: Instant,
    /// What it found.
    pub finding: Finding,
}

impl Schedule {
    /// One that checks nobody. The seed decides the chance in it.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            checked: BTreeMap::new(),
            due: BTreeSet::new(),
            running: 0,
            begun: 0,
            stopped: Vec::new(),
        }
    }

    /// The upstream in a slot is defined like this from now on. A server that stays keeps what is known of it.
    pub fn define(&mut self, slot: u32, upstream: &Upstream, now: Instant) {
        for server in &upstream.servers {
            match &upstream.options.check {
                Some(options) if !server.spec.down => {
                    self.keep(slot, server, (options, upstream.options.opening.as_deref()), now);
                }
                _ => self.remove(server.id, now),
            }
        }
    }

    fn keep(
        &mut self,
        slot: u32,
        server: &Server,
        asked: (&CheckOptions, Option<&OpeningOptions>),
        now: Instant,
    ) {
        let (options, opening) = asked;
        let known = self.checked.get_mut(&server.id);
        if let Some(known) = known.filter(|known| (&known.options, known.opening.as_deref()) == asked) {
            known.server.clone_from(server);
            return;
        }
        let known = self.forget(server.id);
        let (tally, last) = known.map(|known| (known.tally, known.last)).unwrap_or_default();
        // The first is at any time of an interval.
        let due = now + share(options.interval, self.draw(server.id));
        self.due.insert((due, server.id));
        let (server, options, opening) = (server.clone(), options.clone(), opening.cloned().map(Box::new));
        let next = Next::Due(due);
        self.checked.insert(server.id, Checked { slot, server, options, opening, tally, last, next });
    }

    /// The server is not checked any more, so that nothing is known against it.
    pub fn remove(&mut self, id: ServerId, now: Instant) {
        if let Some(known) = self.forget(id)
            && known.tally.is_failing()
        {
            known.server.state.set_check(true, now);
        }
    }

    /// A server failed its checks before this process was there, and does so until they say otherwise; one that is not checked any more
    /// has nothing to say it.
    pub fn know_failing(&mut self, id: ServerId, state: &ServerState, now: Instant) {
        match self.checked.get_mut(&id) {
            Some(known) => known.tally = Tally::of_failing(),
            None => state.set_check(true, now),
        }
    }

    fn forget(&mut self, id: ServerId) -> Option<Checked> {
        let known = self.checked.remove(&id)?;
        match known.next {
            Next::Due(at) => drop(self.due.remove(&(at, id))),
            Next::Running { ticket, .. } => {
                self.running -= 1;
                self.stopped.push(ticket);
            }
        }
        Some(known)
    }

    /// Checks that are to be given up, since this was asked.
    pub fn take_stopped(&mut self) -> Vec<Ticket> {
        std::mem::take(&mut self.stopped)
    }

    /// When a check may begin that may not yet.
    pub fn next(&self) -> Option<Instant> {
        self.due.first().filter(|_| self.running < AT_ONCE).map(|(at, _)| *at)
    }

    /// Begins a check, if one is due and there is a place for it.
    pub fn begin(&mut self, now: Instant) -> Option<Order> {
        let (at, id) = *self.due.first()?;
        if at > now || self.running >= AT_ONCE {
            return None;
        }
        self.due.pop_first();
        let known = self.checked.get_mut(&id)?;
        self.begun += 1;
        self.running += 1;
        let ticket = Ticket { server: id, number: self.begun };
        known.next = Next::Running { ticket, begun: now };
        Some(Order::new(ticket, &known.server, (&known.options, known.opening.as_deref())))
    }

    /// A check has ended. When that turned the server, which is up or failing from now on, it says in which slot its upstream
    /// is.
    pub fn end(&mut self, ticket: Ticket, finding: Finding, now: Instant) -> Option<u32> {
        let draw = self.draw(ticket.server);
        let known = self.checked.get_mut(&ticket.server)?;
        let Next::Running { ticket: running, begun } = known.next else { return None };
        if running != ticket {
            return None;
        }
        self.running -= 1;
        let Checked { slot, server, options, tally, last, next, .. } = known;
        let chance = share(options.interval / CHANCE * 2, draw);
        let due = (begun + options.interval + chance - options.interval / CHANCE).max(now);
        *next = Next::Due(due);
        self.due.insert((due, ticket.server));
        let turned = tally.count(finding.ok, options.rise, options.fall);
        *last = Some(LastCheck { at: now, finding });
        let up = turned?;
        server.state.set_check(up, now);
        if up {
            // Requests failed while it was gone, which the checks knew. It need not wait for `fail_timeout` as well.
            server.state.forgive();
        }
        Some(*slot)
    }

    /// What the last check of a server found; nothing for one that was not checked yet, or is not.
    pub fn last(&self, id: ServerId) -> Option<&LastCheck> {
        self.checked.get(&id)?.last.as_ref()
    }

    /// A number for this server that is another with each check.
    fn draw(&self, id: ServerId) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, id, self.begun).hash(&mut hasher);
        hasher.finish()
    }
}

/// A part of a time, by chance.
fn share(of: Duration, draw: u64) -> Duration {
    let nanos = u128::from(u64::try_from(of.as_nanos()).unwrap_or(u64::MAX));
    Duration::from_nanos(((nanos * u128::from(draw)) >> 64) as u64)
}

#[cfg(test)]
mod tests;
