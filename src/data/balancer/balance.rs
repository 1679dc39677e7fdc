//! Who can be used, and who is left when nobody can.
//!
//! It owns one worker's account of one upstream's servers; it never connects, resolves or reads a clock. Next:
//! [`crate::model::Upstream`], which it reads, [`super::round_robin`] and [`super::general`], which choose, and
//! [`crate::data::view`], which keeps one of these for each upstream in use.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::choice::{Affinity, Choice};
use super::general::{General, Picked};
use super::lease::{Doubts, Lease, Tried};
use super::method::Method;
use super::peer::Peer;
use super::round_robin::RoundRobin;
use crate::exchange::Sign;
use crate::model::Upstream;

/// The choice among the servers of one upstream, in one worker.
///
/// Whose turn it is the upstream's method says; among whom, these rules. They are those of
/// `ngx_http_upstream_round_robin`, but for the last three, so that no client can take servers away from others by what it
/// asks for:
/// - `max_fails` failures put a server aside for `fail_timeout`; then one exchange a `fail_timeout` is let through, and
///   if it succeeds the failures are forgotten.
/// - `backup` servers are used when no other can be, `down` ones never, drained ones only by clients that are kept there.
/// - A server whose checks fail is not used, as one that is aside.
/// - A server that is its upstream's only one, but for those that are down or drained, is never put aside.
/// - Silence, 500 and 504 ([`Sign::Doubt`]) are failures of a server that answers nobody else, and whose request another
///   server answers well: they do not count if the others that were asked the same did no better, or if the server gave
///   somebody a good answer within the last `fail_timeout`, or since the request that failed came; and a good answer
///   that it gives later takes back those that counted. Then it was what was asked, not the server. A server that falls
///   ill is so found out a `fail_timeout` after its last good answer at the latest. Where no other was asked, as it is with
///   a POST, one opinion has to do.
/// - What ends without saying anything about the server ([`Sign::Nothing`]) changes nothing; if it was let through to see
///   whether failures are over, the next one is.
/// - When no server can be used and some are aside (all failed, or those that did not are busy), none is aside: all that
///   are not `down` and have room are picked from, backups too, until one of them answers well.
///
/// What is known of a server all workers share: it is aside for all at once, and one exchange of all workers' is let
/// through. The sequence, and the exchanges that `max_conns` counts, are this worker's.
#[derive(Debug)]
pub struct Balancer {
    upstream: Arc<Upstream>,
    /// One for each of the upstream's servers, in its order.
    pub(super) peers: Vec<Peer>,
    /// The sequence, where it is all that is asked for.
    round_robin: RoundRobin,
    /// Where more is.
    general: Option<Box<General>>,
    has_backups: bool,
    /// All but one are down or drained.
    alone: bool,
    /// There was nobody to pick from who was not aside, and no good answer since.
    open: bool,
    /// The last pick was such a one.
    opened: bool,
    /// Leases that were not given back, those on servers that the upstream no longer has included.
    leases: u64,
    seed: u64,
}

impl Balancer {
    /// A balancer that has picked nothing yet. `seed` says where in the sequence it starts (0 is the beginning): workers
    /// that all began with the first server would send their first exchanges there together.
    #[must_use]
    pub fn new(upstream: &Arc<Upstream>, seed: u64) -> Self {
        let mut balancer = Self {
            upstream: Arc::clone(upstream),
            peers: Vec::new(),
            round_robin: RoundRobin::default(),
            general: None,
            has_backups: false,
            alone: false,
            open: false,
            opened: false,
            leases: 0,
            seed,
        };
        balancer.define(upstream);
        balancer
    }

    /// Takes over a new definition of the upstream.
    ///
    /// The sequence begins anew, at another place. A server that is still there keeps its count of exchanges under way; it
    /// keeps its failures too, unless its parameters were changed: then an operator has dealt with it.
    pub fn carry(&mut self, upstream: &Arc<Upstream>) {
        self.seed = self.seed.wrapping_add(1);
        self.define(upstream);
    }

    /// What it picks from. Compare by pointer to see whether [`carry`](Self::carry) is due.
    #[must_use]
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// The server whose turn it is, of those that can be used and were not tried, or of all that were not tried when none
    /// can be used: its index in the upstream's servers, and the lease that must be given back. Nothing when there is none;
    /// then the answer is 502.
    // Always inlined, for it has a second caller in `pick_again`: as a function it costs a request ten instructions more. What
    // it seldom calls is given the parts of the choice, so that they lie in registers.
    #[inline(always)]
    pub fn pick(&mut self, choice: &Choice<'_>) -> Option<(usize, Lease)> {
        let Choice { tried, now, affinity } = *choice;
        if self.general.is_some() {
            return self.pick_general(tried, now, affinity);
        }
        let Self { peers, round_robin, .. } = self;
        let index = match &peers[..] {
            [only] => (only.has_room() && !tried.contains(only.id)).then_some(0)?,
            peers => {
                let usable = |peer: &Peer| peer.is_usable(now) && !tried.contains(peer.id);
                let mut best = round_robin.step(peers, |peer| !peer.backup && usable(peer));
                if best.is_none() && self.has_backups {
                    best = round_robin.step(peers, |peer| peer.backup && usable(peer));
                }
                match best {
                    Some(best) => best,
                    None => self.pick_open(tried, now)?,
                }
            }
        };
        let peer = self.peers.get_mut(index)?;
        if !peer.begin(self.opened, now) {
            return self.pick_again(tried, now, affinity);
        }
        self.leases += 1;
        Some((index, Lease::new(index, peer.id)))
    }

    #[inline(never)]
    fn pick_general(&mut self, tried: &Tried, now: Instant, affinity: &Affinity) -> Option<(usize, Lease)> {
        let choice = Choice { tried, now, affinity };
        let Picked { at, lease, open } = self.general.as_mut()?.pick(&mut self.peers, &choice)?;
        (self.open, self.opened) = (self.open || open, open);
        self.leases += 1;
        Some((at, lease))
    }

    /// Another worker was faster. It has changed what is known of the server, so this one is not picked again at once.
    #[cold]
    #[inline(never)]
    fn pick_again(&mut self, tried: &Tried, now: Instant, affinity: &Affinity) -> Option<(usize, Lease)> {
        self.pick(&Choice { tried, now, affinity })
    }

    /// A lease on the server at `index`, which has a connection that only this exchange can use: whether it is aside or busy
    /// does not matter then. Nothing if it is not there, or down.
    pub fn claim(&mut self, index: usize, now: Instant) -> Option<Lease> {
        let peer = self.peers.get_mut(index).filter(|peer| !peer.is_down())?;
        peer.begin_all_the_same(now);
        if self.general.is_some() {
            peer.state.load().add(1);
        }
        self.leases += 1;
        Some(Lease::new(index, peer.id))
    }

    /// Picks as if nobody were aside, if nobody can be used who is not.
    #[cold]
    fn pick_open(&mut self, tried: &Tried, now: Instant) -> Option<usize> {
        if self.peers.iter().any(|peer| peer.is_usable(now)) {
            return None;
        }
        let eligible = |peer: &Peer| peer.has_room() && !tried.contains(peer.id);
        let index = self.round_robin.step(&self.peers, eligible)?;
        (self.open, self.opened) = (true, true);
        Some(index)
    }

    /// Whether the last pick was one of those that are made when everybody is aside; told once.
    #[inline]
    pub fn take_opened(&mut self) -> bool {
        std::mem::take(&mut self.opened)
    }

    /// Everybody was aside, and nobody has answered well since, neither to this worker nor to another.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open && !self.peers.iter().any(|peer| !peer.is_out() && peer.is_sound())
    }

    /// Would another pick succeed? It changes nothing.
    #[must_use]
    pub fn others(&self, choice: &Choice<'_>) -> bool {
        if let Some(general) = &self.general {
            return general.others(&self.peers, choice);
        }
        let Choice { tried, now, .. } = choice;
        let new = |peer: &Peer| !tried.contains(peer.id);
        match &self.peers[..] {
            [only] => only.has_room() && new(only),
            peers if peers.iter().any(|peer| peer.is_usable(*now)) => {
                peers.iter().any(|peer| peer.is_usable(*now) && new(peer))
            }
            peers => peers.iter().any(|peer| peer.has_room() && new(peer)),
        }
    }

    /// The exchange, which began no earlier than `since`, is over with this server, or has left it; `sign` is what that
    /// says about the server. A lease on a server that the upstream no longer has changes no server.
    ///
    /// A [doubt](Sign::Doubt) is not counted here: it is [held](Doubts::hold) until [`conclude`](Self::conclude).
    pub fn done(&mut self, lease: Lease, sign: Sign, since: Instant, now: Instant) {
        // What nearly every exchange is, without a call, so that nothing is saved for one.
        if sign == Sign::Good
            && self.general.is_none()
            && !self.open
            && let Some(peer) = self.peers.get_mut(lease.place as usize).filter(|peer| peer.id == lease.id)
            && peer.end_as_usual(now)
        {
            debug_assert!(self.leases > 0, "a lease is given back to whom it came from");
            self.leases = self.leases.saturating_sub(1);
            return;
        }
        self.settle(lease, sign, since, now);
    }

    /// Says what became of a request with doubts, which began no earlier than `since`. They count if it was `bettered`, by
    /// another server that answered it well, or if none was asked; if others did no better, it is likely the request that is ill.
    pub fn conclude(&mut self, tried: &Tried, doubts: Doubts, bettered: bool, since: Instant, now: Instant) {
        let counts = bettered || tried.len() == 1;
        for (id, doubt) in doubts.of(tried) {
            let Some(index) = self.peers.iter().position(|peer| peer.id == id) else { continue };
            let counts = counts && !self.alone;
            if self.peers.get_mut(index).is_some_and(|peer| peer.resolve(doubt, counts, since, now)) {
                self.failed(index);
            }
        }
    }

    #[inline(never)]
    fn settle(&mut self, mut lease: Lease, sign: Sign, since: Instant, now: Instant) {
        debug_assert!(self.leases > 0, "a lease is given back to whom it came from");
        self.leases = self.leases.saturating_sub(1);
        let Some(index) = self.index_of(&lease) else { return };
        let Some(peer) = self.peers.get_mut(index) else { return };
        if self.general.is_some() {
            General::leave(peer, &mut lease, sign, since, now);
        }
        let sign = if self.alone && sign != Sign::Good { Sign::Nothing } else { sign };
        if peer.end(sign, now) {
            self.failed(index);
        } else if self.open && sign == Sign::Good && peer.is_sound() {
            self.open = false;
        }
    }

    #[cold]
    #[inline(never)]
    fn failed(&mut self, index: usize) {
        match &mut self.general {
            None => self.round_robin.failed(&self.peers, index),
            Some(general) => general.failed(&self.peers, index),
        }
    }

    /// Where the server of a lease stands in the upstream now; nothing when it is gone from it.
    #[inline]
    #[must_use]
    pub fn index_of(&self, lease: &Lease) -> Option<usize> {
        match self.peers.get(lease.place as usize) {
            Some(peer) if peer.id == lease.id => Some(lease.place as usize),
            _ => self.look_for(lease),
        }
    }

    #[cold]
    #[inline(never)]
    fn look_for(&self, lease: &Lease) -> Option<usize> {
        let at = lease.unmarked();
        match self.peers.get(at) {
            Some(peer) if peer.id == lease.id => Some(at),
            _ => self.peers.iter().position(|peer| peer.id == lease.id),
        }
    }

    /// The first byte of a good answer has come to the exchange with this lease, which was sent at `since`. A method that
    /// looks at how soon servers answer takes the end of the exchange for it where this is not said.
    #[inline]
    pub fn answered(&self, lease: &mut Lease, since: Instant, now: Instant) {
        if lease.waits() {
            self.note_answer(lease, since, now);
        }
    }

    #[cold]
    fn note_answer(&self, lease: &mut Lease, since: Instant, now: Instant) {
        if let Some(peer) = self.index_of(lease).and_then(|at| self.peers.get(at)) {
            General::answered(peer, lease, since, now);
        }
    }

    /// The value of the `Set-Cookie` that an answer of the server at `index` is to have, in an upstream that is `sticky`, for a
    /// client whose cookie had this id (0 for none): it is kept there from now on. Nothing if it is already.
    #[must_use]
    pub fn cookie(&self, index: usize, id: u64) -> Option<&str> {
        self.general.as_ref()?.cookie(index, id)
    }

    /// Leases that are held. While there are any the balancer must live: it alone knows what they mean.
    #[must_use]
    pub fn leases(&self) -> u64 {
        self.leases
    }

    fn define(&mut self, upstream: &Arc<Upstream>) {
        let before = std::mem::replace(&mut self.upstream, Arc::clone(upstream));
        let former = std::mem::take(&mut self.peers);
        let mut former: HashMap<_, _> =
            former.into_iter().enumerate().map(|(at, peer)| (peer.id, (at, peer))).collect();
        self.peers = upstream.servers.iter().map(Peer::new).collect();
        self.has_backups = self.peers.iter().any(|peer| peer.backup);
        self.alone = self.peers.iter().filter(|peer| !peer.is_out()).count() == 1;
        self.open = false;
        let mut kept = Vec::with_capacity(self.peers.len());
        for peer in &mut self.peers {
            let known = former.remove(&peer.id);
            kept.push(known.and_then(|(at, known)| peer.carry(&known).then_some(at)));
            if self.alone {
                peer.stand_alone();
            }
        }
        self.generalise(upstream, former.into_values().map(|(_, peer)| peer));
        match &mut self.general {
            None => self.round_robin.define(upstream, &self.peers, &kept, self.seed),
            Some(general) => {
                general.define(upstream, before.options.method, &self.peers, &mut kept, self.seed);
            }
        }
    }

    /// Picks as much as the upstream asks for from now on. Exchanges that are under way enter the counts of all workers; those
    /// of servers that are `gone` leave them. They stay there while any is under way, so that none leaves that has not
    /// entered.
    fn generalise(&mut self, upstream: &Upstream, gone: impl Iterator<Item = Peer>) {
        let is_asked = General::is_asked(upstream, &self.peers);
        if self.general.is_some() {
            gone.for_each(|peer| peer.state.load().leave(peer.conns));
            if !is_asked && self.leases == 0 {
                self.general = None;
            }
        } else if is_asked {
            self.general = Some(Box::new(General::new(upstream.options.method, self.seed)));
            self.peers.iter().for_each(|peer| peer.state.load().add(peer.conns));
        }
    }
}
