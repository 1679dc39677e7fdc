//! Picks a server: smooth weighted round robin with failure windows, as nginx does it.
//!
//! It owns one worker's counters of one upstream's servers; it never connects, resolves or reads a clock. Next:
//! `model::Upstream`, which it reads, and `view`, which keeps one of these for each upstream in use.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use self::peer::Peer;
use crate::exchange::Sign;
use crate::model::{ServerId, Upstream};

mod peer;
#[cfg(test)]
mod tests;

/// Steps times servers that a random start may cost. A sequence is as long as its weights add up to, and weights are
/// the operator's; beyond this only its first part is started in.
const START_COST: u64 = 1 << 14;

/// The choice among the servers of one upstream, in one worker.
///
/// The rules are those of `ngx_http_upstream_round_robin`, but for the last three, so that no client can take servers away
/// from others by what it asks for:
/// - Each pick raises every eligible server by its effective weight and takes the highest, which then pays what all
///   were raised by: weights 5, 1, 1 give `a a b a c a a`.
/// - `max_fails` failures put a server aside for `fail_timeout`; then one exchange a `fail_timeout` is let through, and
///   if it succeeds the failures are forgotten. A failure also costs effective weight, won back by one a pick.
/// - `backup` servers are used when no other can be, `down` ones never.
/// - A server that is its upstream's only one, but for `down` ones, is never put aside.
/// - Silence, 500 and 504 ([`Sign::Doubt`]) are failures of a server that answers nobody else: they do not count if it gave
///   somebody a good answer within the last `fail_timeout`, or since the request that failed came; and a good answer
///   that it gives later takes back those that counted. Then it was what was asked, not the server. A server that falls
///   ill is so found out a `fail_timeout` after its last good answer at the latest.
/// - What ends without saying anything about the server ([`Sign::Nothing`]) changes nothing; if it was let through to see
///   whether failures are over, the next one is.
/// - When no server can be used and some are aside (all failed, or those that did not are busy), none is aside: all that
///   are not `down` and have room are picked from, backups too, until one of them answers well.
///
/// `max_conns` counts the exchanges of this worker.
#[derive(Debug)]
pub struct Balancer {
    upstream: Arc<Upstream>,
    /// One for each of the upstream's servers, in its order.
    peers: Vec<Peer>,
    has_backups: bool,
    /// All but one are down.
    alone: bool,
    /// There was nobody to pick from who was not aside, and no good answer since.
    open: bool,
    /// The last pick was such a one.
    opened: bool,
    /// Leases that were not given back, those on servers that the upstream no longer has included.
    leases: u64,
    seed: u64,
}

/// A server that was picked, and owes its [`Balancer::done`].
///
/// It outlives changes of the upstream: it names the server itself, and its place only as a hint.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the server counts as busy until the lease is given to `done`"]
pub struct Lease {
    index: u32,
    id: ServerId,
}

/// The servers that one exchange has tried. They are named, not numbered by place, so it stays right when the upstream
/// changes meanwhile. Four are kept in place, which is more than are tried unless `--retries` says so.
#[derive(Debug, Default, Clone)]
pub struct Tried {
    first: [Option<ServerId>; 4],
    more: Vec<ServerId>,
}

impl Balancer {
    /// A balancer that has picked nothing yet. `seed` says where in the sequence it starts (0 is the beginning): workers
    /// that all began with the first server would send their first exchanges there together.
    #[must_use]
    pub fn new(upstream: &Arc<Upstream>, seed: u64) -> Self {
        let nothing = Arc::new(Upstream { name: String::new(), servers: Vec::new(), implicit: false });
        let mut balancer = Self {
            upstream: nothing,
            peers: Vec::new(),
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
    /// The sequence begins anew, at another place. A server that is still there keeps its count
    /// of exchanges under way; it keeps its failures too, unless its parameters were changed: then an operator has
    /// dealt with it.
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
    #[inline]
    pub fn pick(&mut self, tried: &Tried, now: Instant) -> Option<(usize, Lease)> {
        let index = match &mut self.peers[..] {
            [only] => (only.has_room() && !tried.contains(only.id)).then_some(0)?,
            peers => {
                let usable = |peer: &Peer| peer.is_usable(now) && !tried.contains(peer.id);
                let mut best = turn(peers, |peer| !peer.backup && usable(peer));
                if best.is_none() && self.has_backups {
                    best = turn(peers, |peer| peer.backup && usable(peer));
                }
                match best {
                    Some(best) => best,
                    None => self.pick_open(tried, now)?,
                }
            }
        };
        let peer = self.peers.get_mut(index)?;
        peer.begin(self.opened, now);
        self.leases += 1;
        Some((index, Lease { index: index as u32, id: peer.id }))
    }

    /// A lease on the server at `index`, which has a connection that only this exchange can use: whether it is aside or busy
    /// does not matter then. Nothing if it is not there, or down.
    pub fn claim(&mut self, index: usize, now: Instant) -> Option<Lease> {
        let peer = self.peers.get_mut(index).filter(|peer| !peer.is_down())?;
        peer.begin(false, now);
        self.leases += 1;
        Some(Lease { index: index as u32, id: peer.id })
    }

    /// Picks as if nobody were aside, if nobody can be used who is not.
    #[cold]
    fn pick_open(&mut self, tried: &Tried, now: Instant) -> Option<usize> {
        if self.peers.iter().any(|peer| peer.is_usable(now)) {
            return None;
        }
        let index = turn(&mut self.peers, |peer| peer.has_room() && !tried.contains(peer.id))?;
        (self.open, self.opened) = (true, true);
        Some(index)
    }

    /// Whether the last pick was one of those that are made when everybody is aside; told once.
    #[inline]
    pub fn take_opened(&mut self) -> bool {
        std::mem::take(&mut self.opened)
    }

    /// Everybody was aside, and nobody has answered well since.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Would another pick succeed? It changes nothing.
    #[must_use]
    pub fn others(&self, tried: &Tried, now: Instant) -> bool {
        let new = |peer: &Peer| !tried.contains(peer.id);
        match &self.peers[..] {
            [only] => only.has_room() && new(only),
            peers if peers.iter().any(|peer| peer.is_usable(now)) => {
                peers.iter().any(|peer| peer.is_usable(now) && new(peer))
            }
            peers => peers.iter().any(|peer| peer.has_room() && new(peer)),
        }
    }

    /// The exchange, which began no earlier than `since`, is over with this server, or has left it; `sign` is what that
    /// says about the server. A lease on a server that the upstream no longer has changes no server.
    pub fn done(&mut self, lease: Lease, sign: Sign, since: Instant, now: Instant) {
        debug_assert!(self.leases > 0, "a lease is given back to whom it came from");
        self.leases = self.leases.saturating_sub(1);
        let Some(peer) = self.index_of(&lease).and_then(|index| self.peers.get_mut(index)) else { return };
        let sign = if self.alone && sign != Sign::Good { Sign::Nothing } else { sign };
        peer.end(sign, since, now);
        if sign == Sign::Good && peer.fails == 0 {
            self.open = false;
        }
    }

    /// Where the server of a lease stands in the upstream now; nothing when it is gone from it.
    #[inline]
    #[must_use]
    pub fn index_of(&self, lease: &Lease) -> Option<usize> {
        match self.peers.get(lease.index as usize) {
            Some(peer) if peer.id == lease.id => Some(lease.index as usize),
            _ => self.peers.iter().position(|peer| peer.id == lease.id),
        }
    }

    /// Leases that are held. While there are any the balancer must live: it alone knows what they mean.
    #[must_use]
    pub fn leases(&self) -> u64 {
        self.leases
    }

    /// Exchanges under way on a server.
    #[cfg(test)]
    pub(super) fn conns(&self, index: usize) -> u32 {
        self.peers.get(index).map_or(0, |peer| peer.conns)
    }

    fn define(&mut self, upstream: &Arc<Upstream>) {
        self.upstream = Arc::clone(upstream);
        let known: HashMap<_, _> = self.peers.drain(..).map(|peer| (peer.id, peer)).collect();
        // The start is found with the weights as defined, before failures come back into it.
        self.peers = upstream.servers.iter().map(Peer::new).collect();
        self.has_backups = self.peers.iter().any(|peer| peer.backup);
        self.alone = self.peers.iter().filter(|peer| !peer.is_down()).count() == 1;
        self.open = false;
        start(&mut self.peers, self.seed);
        for peer in &mut self.peers {
            if let Some(known) = known.get(&peer.id) {
                peer.carry(known);
            }
            if self.alone {
                peer.forgive();
            }
        }
    }
}

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
            None => self.more.push(lease.id),
        }
    }

    /// How many were noted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first.iter().flatten().count() + self.more.len()
    }

    /// Was none noted?
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first[0].is_none()
    }

    /// Forgets them all, for the next exchange.
    pub fn clear(&mut self) {
        self.first = [None; 4];
        self.more.clear();
    }

    #[inline]
    fn contains(&self, id: ServerId) -> bool {
        !self.is_empty() && self.look_for(id)
    }

    #[cold]
    fn look_for(&self, id: ServerId) -> bool {
        self.first.contains(&Some(id)) || self.more.contains(&id)
    }
}

/// One step of the sequence, among the peers that are eligible.
#[inline]
fn turn(peers: &mut [Peer], eligible: impl Fn(&Peer) -> bool) -> Option<usize> {
    let mut best = None;
    let mut total = 0;
    for (index, peer) in peers.iter_mut().enumerate() {
        if !eligible(peer) {
            continue;
        }
        peer.current += peer.effective;
        total += peer.effective;
        if peer.effective < peer.weight {
            peer.effective += 1;
        }
        // Of equals the first.
        if best.is_none_or(|(_, highest)| peer.current > highest) {
            best = Some((index, peer.current));
        }
    }
    let (index, highest) = best?;
    peers.get_mut(index)?.current = highest - total;
    Some(index)
}

/// Takes new peers to the place in their sequence that `seed` says, backups in theirs.
fn start(peers: &mut [Peer], seed: u64) {
    for backup in [false, true] {
        let eligible = |peer: &Peer| peer.backup == backup && peer.has_room();
        let weights = peers.iter().filter(|peer| eligible(peer)).map(|peer| peer.weight.unsigned_abs());
        let (total, divisor) =
            weights.fold((0, 0), |(total, divisor), weight| (total + weight, gcd(weight, divisor)));
        // The sequence repeats after as many steps as the weights, in lowest terms, add up to.
        let length = total.checked_div(divisor).unwrap_or(0).min(START_COST / peers.len().max(1) as u64);
        for _ in 0..seed.checked_rem(length).unwrap_or(0) {
            turn(peers, eligible);
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
