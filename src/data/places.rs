//! Places for connections: how many there are, those kept for who administers, and the word that they are short.
//!
//! It owns the counts and the descriptors that are kept, never the choice of who goes. Next: [`super::accept`] asks,
//! [`super::room`] chooses.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use mio::Registry;

use super::token::Token;
use crate::settings::AllowList;

/// Places above the bound that only peers have who may use the admin API, and descriptors kept for them: enough for a few
/// tools of an operator at once.
pub(super) const ADMIN_PLACES: usize = 4;
/// How long no place may become free before it is looked in the queue for those peers. Others that are found there are
/// closed: in all that time nobody would have served them. Where requests only take their time, places become free all the
/// while, and the queue waits in the kernel as ever.
const STUCK: Duration = Duration::from_secs(3);
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

/// Those that go next when a place is needed, as `room` chose them.
#[derive(Debug, Default)]
pub(super) struct Leavers {
    /// The first to go is the last, each with its deadline when it was found: whoever has moved since has another one.
    pub(super) found: Vec<(Token, Instant)>,
    /// When they were found.
    pub(super) at: Option<Instant>,
    /// It is not looked again before.
    pub(super) again: Option<Instant>,
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
    /// Who goes next when a place is needed.
    pub(super) leavers: Leavers,
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
            leavers: Leavers::default(),
            stuck: None,
            short: [None; 2],
        };
        places.keep(registry);
        places
    }

    /// Whether these are as many connections as there may be.
    pub(super) fn is_full(&self, connections: usize) -> bool {
        connections >= self.most
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{ASKS, Turned, is_closed};

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
