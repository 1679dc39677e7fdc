//! Picks a server: smooth weighted round robin with failure windows, as nginx does it.
//!
//! It owns one worker's counters of one upstream's servers; it never connects, resolves or reads a clock. Next:
//! `model::Upstream`, which it reads, and `view`, which keeps one of these for each upstream in use.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::model::{Endpoint, Server, Upstream};

#[cfg(test)]
mod tests;

/// Steps times servers that a random start may cost. A sequence is as long as its weights add up to, and weights are
/// the operator's; beyond this only its first part is started in.
const START_COST: u64 = 1 << 14;

/// The choice among the servers of one upstream, in one worker.
///
/// The rules are those of `ngx_http_upstream_round_robin`:
/// - Each pick raises every eligible server by its effective weight and takes the highest, which then pays what all
///   were raised by: weights 5, 1, 1 give `a a b a c a a`.
/// - `max_fails` failures put a server aside for `fail_timeout`; then one exchange a `fail_timeout` is let through, and
///   if it succeeds the failures are forgotten. A failure also costs effective weight, won back by one a pick.
/// - `backup` servers are used when no other can be, `down` ones never.
/// - A server that is its upstream's only one is never put aside.
///
/// `max_conns` counts the exchanges of this worker.
#[derive(Debug)]
pub struct Balancer {
    upstream: Arc<Upstream>,
    /// One for each of the upstream's servers, in its order.
    peers: Vec<Peer>,
    has_backups: bool,
    /// Leases that were not given back, those on servers that the upstream no longer has included.
    leases: u64,
    /// The identity that the next new server gets; 0 is nobody's.
    next_id: u32,
    seed: u64,
}

/// A server that was picked, and owes its [`Balancer::done`].
///
/// It outlives changes of the upstream: it names the server itself, and its place only as a hint.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the server counts as busy until the lease is given to `done`"]
pub struct Lease {
    index: u32,
    id: u32,
}

/// The servers that one exchange has tried. They are named, not numbered by place, so it stays right when the upstream
/// changes meanwhile. Four are kept in place, which is more than are tried unless `--retries` says so.
#[derive(Debug, Default, Clone)]
pub struct Tried {
    first: [u32; 4],
    more: Vec<u32>,
}

/// A server's definition and counters.
#[derive(Debug, Clone)]
struct Peer {
    /// Which server this is, through all definitions that have it.
    id: u32,
    backup: bool,
    /// Exchanges it may have at once: any number without `max_conns`, none when it is down.
    room: u32,
    conns: u32,
    max_fails: u32,
    fails: u32,
    weight: i64,
    effective: i64,
    current: i64,
    fail_timeout: Duration,
    /// The last failure.
    accessed: Option<Instant>,
    /// The last failure, or the pick that looked whether it is over.
    checked: Option<Instant>,
}

impl Balancer {
    /// A balancer that has picked nothing yet. `seed` says where in the sequence it starts (0 is the beginning): workers
    /// that all began with the first server would send their first exchanges there together.
    #[must_use]
    pub fn new(upstream: &Arc<Upstream>, seed: u64) -> Self {
        let nothing = Arc::new(Upstream { name: String::new(), servers: Vec::new(), implicit: false });
        let mut balancer =
            Self { upstream: nothing, peers: Vec::new(), has_backups: false, leases: 0, next_id: 1, seed };
        balancer.define(upstream);
        balancer
    }

    /// Takes over a new definition of the upstream.
    ///
    /// The sequence begins anew, at another place. A server that is still there, by address and name, keeps its count
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

    /// The server whose turn it is, of those that can be used and were not tried: its index in the upstream's servers,
    /// and the lease that must be given back. Nothing when there is none; then the answer is 502.
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
                best?
            }
        };
        let peer = self.peers.get_mut(index)?;
        peer.conns += 1;
        self.leases += 1;
        if peer.fails > 0 && peer.rested(now) {
            peer.checked = Some(now);
        }
        Some((index, Lease { index: index as u32, id: peer.id }))
    }

    /// Would another pick succeed? It changes nothing.
    #[must_use]
    pub fn others(&self, tried: &Tried, now: Instant) -> bool {
        match &self.peers[..] {
            [only] => only.has_room() && !tried.contains(only.id),
            peers => peers.iter().any(|peer| peer.is_usable(now) && !tried.contains(peer.id)),
        }
    }

    /// The exchange is over with this server, or has left it; `failed` when the server is to blame. A lease on a server
    /// that the upstream no longer has changes no server.
    pub fn done(&mut self, lease: Lease, failed: bool, now: Instant) {
        debug_assert!(self.leases > 0, "a lease is given back to whom it came from");
        self.leases = self.leases.saturating_sub(1);
        let single = self.peers.len() == 1;
        let Some(peer) = self.index_of(&lease).and_then(|index| self.peers.get_mut(index)) else { return };
        debug_assert!(peer.conns > 0, "a lease is given back once");
        peer.conns = peer.conns.saturating_sub(1);
        if single {
            peer.fails = 0;
        } else if failed {
            peer.fails = peer.fails.saturating_add(1);
            peer.accessed = Some(now);
            peer.checked = Some(now);
            if let Some(cost) = peer.weight.checked_div(i64::from(peer.max_fails)) {
                peer.effective = (peer.effective - cost).max(0);
            }
        } else if peer.accessed < peer.checked {
            peer.fails = 0;
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
    #[must_use]
    pub fn conns(&self, index: usize) -> u32 {
        self.peers.get(index).map_or(0, |peer| peer.conns)
    }

    fn define(&mut self, upstream: &Arc<Upstream>) {
        let before = std::mem::replace(&mut self.upstream, Arc::clone(upstream));
        let mut known: HashMap<_, _> =
            before.servers.iter().map(identity).zip(self.peers.drain(..)).collect();
        let known: Vec<_> = upstream.servers.iter().map(|server| known.remove(&identity(server))).collect();
        // The start is found with the weights as defined, before failures come back into it.
        self.peers = upstream.servers.iter().map(Peer::new).collect();
        self.has_backups = self.peers.iter().any(|peer| peer.backup);
        start(&mut self.peers, self.seed);
        for (peer, known) in self.peers.iter_mut().zip(known) {
            match known {
                Some(known) => peer.carry(&known),
                None => {
                    peer.id = self.next_id;
                    self.next_id = self.next_id.wrapping_add(1).max(1);
                }
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
        match self.first.iter_mut().find(|id| **id == 0) {
            Some(free) => *free = lease.id,
            None => self.more.push(lease.id),
        }
    }

    /// How many were noted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first.iter().filter(|id| **id != 0).count() + self.more.len()
    }

    /// Was none noted?
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first[0] == 0
    }

    /// Forgets them all, for the next exchange.
    pub fn clear(&mut self) {
        self.first = [0; 4];
        self.more.clear();
    }

    #[inline]
    fn contains(&self, id: u32) -> bool {
        !self.is_empty() && self.look_for(id)
    }

    #[cold]
    fn look_for(&self, id: u32) -> bool {
        self.first.contains(&id) || self.more.contains(&id)
    }
}

impl Peer {
    fn new(server: &Server) -> Self {
        let spec = &server.spec;
        let weight = i64::from(spec.weight);
        Self {
            id: 0,
            backup: spec.backup,
            room: match spec.max_conns {
                _ if spec.down => 0,
                0 => u32::MAX,
                max_conns => max_conns,
            },
            conns: 0,
            max_fails: spec.max_fails,
            fails: 0,
            weight,
            effective: weight,
            current: 0,
            fail_timeout: spec.fail_timeout,
            accessed: None,
            checked: None,
        }
    }

    /// Becomes the server that was `known` under the definition before.
    fn carry(&mut self, known: &Self) {
        self.id = known.id;
        self.conns = known.conns;
        if self.terms() == known.terms() {
            self.fails = known.fails;
            self.effective = known.effective;
            self.accessed = known.accessed;
            self.checked = known.checked;
        }
    }

    /// What the operator said about it.
    fn terms(&self) -> (i64, u32, Duration, u32, bool) {
        (self.weight, self.max_fails, self.fail_timeout, self.room, self.backup)
    }

    #[inline]
    fn has_room(&self) -> bool {
        self.conns < self.room
    }

    #[inline]
    fn is_usable(&self, now: Instant) -> bool {
        self.has_room() && (self.fails == 0 || self.is_trusted(now))
    }

    /// A server that has failed: not too often yet, or long enough ago?
    #[cold]
    fn is_trusted(&self, now: Instant) -> bool {
        self.max_fails == 0 || self.fails < self.max_fails || self.rested(now)
    }

    /// Has `fail_timeout` passed since the last failure, and since the last exchange that was let through to see?
    #[inline]
    fn rested(&self, now: Instant) -> bool {
        self.checked.is_none_or(|checked| now.saturating_duration_since(checked) > self.fail_timeout)
    }
}

/// What makes a server the same one in two definitions.
fn identity(server: &Server) -> (&Endpoint, &str) {
    (&server.endpoint, &server.spec.name)
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
