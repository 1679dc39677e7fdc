//! What an exchange holds of a balancer: the lease on the server that it was given, and the list of those it has tried.
//!
//! It owns these shapes, never a server: both know servers by their identity, and so outlive every change of the
//! upstream. Next: [`super::balance`] gives leases and takes them back.

use crate::exchange::Doubt;
use crate::model::ServerId;

/// A server that was picked, and owes its [`Balancer::done`](super::Balancer::done).
///
/// It outlives changes of the upstream: it names the server itself, and its place only as a hint.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the server counts as busy until the lease is given to `done`"]
pub struct Lease {
    /// The server's place in the upstream when it was picked, and the two marks.
    pub(super) place: u32,
    pub(super) id: ServerId,
}

/// In `place`: the request waits for its answer in the load of its server.
const WAITS: u32 = 1 << 31;
/// In `place`: how long the answer takes says how fast the server is. It does not of a second try, whose time began with the
/// first.
const TIMED: u32 = 1 << 30;

impl Lease {
    pub(super) fn new(place: usize, id: ServerId) -> Self {
        Self { place: place as u32, id }
    }

    /// The request waits for its answer.
    pub(super) fn wait(&mut self, timed: bool) {
        self.place |= if timed { WAITS | TIMED } else { WAITS };
    }

    /// Whether it waited until now, and whether the time that it took counts.
    pub(super) fn answer(&mut self) -> Option<bool> {
        let waits = (self.place & WAITS != 0).then_some(self.place & TIMED != 0);
        self.place &= !(WAITS | TIMED);
        waits
    }

    /// Does it still wait?
    #[inline]
    #[must_use]
    pub fn waits(&self) -> bool {
        self.place & WAITS != 0
    }

    /// The place without the marks.
    pub(super) fn unmarked(&self) -> usize {
        (self.place & !(WAITS | TIMED)) as usize
    }
}

/// Servers that are kept in place.
const KEPT: usize = 4;

/// The servers that one exchange has tried. They are named, not numbered by place, so it stays right when the upstream
/// changes meanwhile. Four are kept in place, which is more than are tried unless `--retries` says so.
#[derive(Debug, Default, Clone)]
pub struct Tried {
    first: [Option<ServerId>; KEPT],
    /// Those beyond. It is seldom there, and takes a word of each request under way.
    more: Option<Box<More>>,
}

#[derive(Debug, Default, Clone)]
struct More(Vec<ServerId>);

impl Tried {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes the server of a lease.
    #[inline]
    pub fn add(&mut self, lease: &Lease) {
        match self.first.iter_mut().find(|id| id.is_none()) {
            Some(free) => *free = Some(lease.id),
            None => self.add_more(lease.id),
        }
    }

    #[cold]
    fn add_more(&mut self, id: ServerId) {
        self.more.get_or_insert_default().0.push(id);
    }

    fn more(&self) -> &[ServerId] {
        self.more.as_ref().map_or(&[], |more| &more.0)
    }

    /// The server that was noted last.
    #[must_use]
    pub fn last(&self) -> Option<ServerId> {
        self.more().last().copied().or_else(|| self.first.iter().rev().find_map(|id| *id))
    }

    /// How many were noted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first.iter().flatten().count() + self.more().len()
    }

    /// Was none noted?
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first[0].is_none()
    }

    /// Forgets them all, for the next exchange.
    pub fn clear(&mut self) {
        self.first = [None; KEPT];
        if self.more.is_some() {
            self.more = None;
        }
    }

    #[inline]
    pub(super) fn contains(&self, id: ServerId) -> bool {
        !self.is_empty() && self.look_for(id)
    }

    #[cold]
    fn look_for(&self, id: ServerId) -> bool {
        self.first.contains(&Some(id)) || self.more().contains(&id)
    }
}

/// Those of the tried servers that are in [doubt](crate::exchange::Sign::Doubt), until another server has answered the same request.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[must_use = "what is held is to be given to `conclude`"]
pub struct Doubts {
    /// A bit for each of those that [`Tried`] keeps in place; of others nothing is held.
    silent: u8,
    /// The same for those that answered an error.
    erred: u8,
}

impl Doubts {
    /// Holds one about the server of a lease, which was tried.
    pub fn hold(&mut self, doubt: Doubt, tried: &Tried, lease: &Lease) {
        let Some(at) = tried.first.iter().position(|id| *id == Some(lease.id)) else { return };
        match doubt {
            Doubt::Silence => self.silent |= 1 << at,
            Doubt::ErrorStatus => self.erred |= 1 << at,
        }
    }

    /// Is none held?
    #[inline]
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.silent | self.erred == 0
    }

    /// The servers that they are about.
    pub(super) fn of(self, tried: &Tried) -> impl Iterator<Item = (ServerId, Doubt)> {
        tried.first.iter().enumerate().filter_map(move |(at, id)| match 1 << at {
            bit if self.erred & bit != 0 => Some(((*id)?, Doubt::ErrorStatus)),
            bit if self.silent & bit != 0 => Some(((*id)?, Doubt::Silence)),
            _ => None,
        })
    }
}
