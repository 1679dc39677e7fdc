//! Picks for upstreams that ask for more than a plain sequence: another method, `max_conns`, `slow_start`, `sticky`.
//!
//! It owns how those rules go together, and the counts that all workers have of a server's requests; never health. Plain
//! round robin goes past it and pays for nothing of it. Next: the methods, a file each.

use std::time::Instant;

use super::choice::Choice;
use super::lease::Lease;
use super::method::Method;
use super::methods::AnyMethod;
use super::peer::Peer;
use super::sticky::Sticky;
use crate::data::draws::Draws;
use crate::exchange::Sign;
use crate::model::{BalancingMethod, Upstream};

/// How often a pick begins anew because another worker was faster. Each time somebody else got what this one wanted, so it
/// ends; this is the bound that a proof has.
const RACES: usize = 64;

/// The rules of one upstream beyond the plain sequence, in one worker.
#[derive(Debug)]
pub(super) struct General {
    method: AnyMethod,
    draws: Draws,
    sticky: Option<Sticky>,
    times_answers: bool,
}

/// What was picked.
#[derive(Debug)]
pub(super) struct Picked {
    pub(super) at: usize,
    pub(super) lease: Lease,
    /// Everybody was aside.
    pub(super) open: bool,
}

impl General {
    /// Whether this upstream needs it.
    pub(super) fn is_asked(upstream: &Upstream, peers: &[Peer]) -> bool {
        upstream.options.method != BalancingMethod::RoundRobin
            || upstream.options.sticky.is_some()
            || !peers.iter().all(Peer::is_plain)
    }

    /// One that knows no servers yet.
    pub(super) fn new(method: BalancingMethod, seed: u64) -> Self {
        Self { method: AnyMethod::of(method), draws: Draws::new(seed), sticky: None, times_answers: false }
    }

    /// The upstream is defined anew. `before` is the method until now.
    pub(super) fn define(
        &mut self,
        upstream: &Upstream,
        before: BalancingMethod,
        peers: &[Peer],
        kept: &mut [Option<usize>],
        seed: u64,
    ) {
        if before != upstream.options.method {
            self.method = AnyMethod::of(upstream.options.method);
            kept.fill(None);
        }
        self.method.define(upstream, peers, kept, seed);
        self.sticky = Sticky::of(upstream);
        self.times_answers = self.method.times_answers();
    }

    /// The server that the client is kept at, or one by the method.
    pub(super) fn pick(&mut self, peers: &mut [Peer], choice: &Choice<'_>) -> Option<Picked> {
        for _ in 0..RACES {
            let (at, open) = self.find(peers, choice)?;
            let peer = peers.get_mut(at)?;
            if peer.enter(open, choice.now) {
                let mut lease = Lease::new(at, peer.id);
                if self.times_answers {
                    peer.state.load().wait(peer.state.ticks(choice.now));
                    lease.wait(choice.tried.is_empty());
                }
                return Some(Picked { at, lease, open });
            }
        }
        None
    }

    fn find(&mut self, peers: &[Peer], choice: &Choice<'_>) -> Option<(usize, bool)> {
        let Choice { tried, now, .. } = *choice;
        if let Some(at) = self.kept_at(peers, choice) {
            return Some((at, false));
        }
        let Self { method, draws, .. } = self;
        let usable = |peer: &Peer| peer.is_ready(now) && !tried.contains(peer.id);
        let found = (method.pick(peers, choice, draws, |peer| !peer.backup && usable(peer)))
            .or_else(|| method.pick(peers, choice, draws, |peer| peer.backup && usable(peer)));
        if let Some(at) = found {
            return Some((at, false));
        }
        if peers.iter().any(|peer| peer.is_ready(now)) {
            return None;
        }
        let open = |peer: &Peer| peer.has_place() && !tried.contains(peer.id);
        method.pick(peers, choice, draws, open).map(|at| (at, true))
    }

    /// The server of the client's cookie, if it can be used.
    fn kept_at(&self, peers: &[Peer], choice: &Choice<'_>) -> Option<usize> {
        let at = self.sticky.as_ref()?.place(choice.affinity.sticky)?;
        let peer = peers.get(at)?;
        (peer.may_stay(choice.now) && !choice.tried.contains(peer.id)).then_some(at)
    }

    /// Would another pick succeed?
    pub(super) fn others(&self, peers: &[Peer], choice: &Choice<'_>) -> bool {
        let Choice { tried, now, .. } = *choice;
        let new = |peer: &Peer| !tried.contains(peer.id);
        self.kept_at(peers, choice).is_some()
            || match peers.iter().any(|peer| peer.is_ready(now)) {
                true => peers.iter().any(|peer| peer.is_ready(now) && new(peer)),
                false => peers.iter().any(|peer| peer.has_place() && new(peer)),
            }
    }

    /// Something of an answer has come to the exchange with this lease, which began at `since`.
    pub(super) fn answered(peer: &Peer, lease: &mut Lease, since: Instant, now: Instant) {
        if let Some(timed) = lease.answer() {
            let took = timed.then(|| now.saturating_duration_since(since).as_nanos());
            let took = took.map(|took| u64::try_from(took).unwrap_or(u64::MAX));
            peer.state.load().answer(took, peer.state.ticks(now));
        }
    }

    /// The exchange has left the server.
    pub(super) fn leave(peer: &Peer, lease: &mut Lease, sign: Sign, since: Instant, now: Instant) {
        if sign == Sign::Good {
            Self::answered(peer, lease, since, now);
        } else if lease.answer().is_some() {
            peer.state.load().answer(None, peer.state.ticks(now));
        }
        peer.state.load().leave(1);
    }

    /// A failure of the server at that place was counted.
    pub(super) fn failed(&mut self, peers: &[Peer], at: usize) {
        self.method.failed(peers, at);
    }

    /// What the client of an exchange with the server at that place is told to say from now on, if it said `id`.
    pub(super) fn cookie(&self, at: usize, id: u64) -> Option<&str> {
        self.sticky.as_ref()?.cookie(at, id)
    }
}
