//! Smooth weighted round robin, as nginx does it.
//!
//! It owns the counters of the sequence, one pair for each server; never who is eligible. Next: [`super::method`], of which it is
//! one.

use std::time::Instant;

use super::choice::Choice;
use super::method::Method;
use super::peer::Peer;
use crate::data::draws::Draws;
use crate::model::Upstream;

/// Steps times servers that a random start may cost. A sequence is as long as its weights add up to, and weights are
/// the operator's; beyond this only its first part is started in.
const START_COST: u64 = 1 << 14;

/// The rules are those of `ngx_http_upstream_round_robin`: each pick raises every eligible server by its effective weight
/// and takes the highest, which then pays what all were raised by: weights 5, 1, 1 give `a a b a c a a`. A failure costs
/// effective weight, which is won back by one a pick.
#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    /// One for each of the upstream's servers, in its order.
    turns: Vec<Turn>,
    /// Some server's weight grows.
    slow: bool,
}

/// A server's place in the sequence.
#[derive(Debug)]
struct Turn {
    weight: i64,
    effective: i64,
    current: i64,
}

impl Method for RoundRobin {
    /// The sequence begins anew.
    fn define(&mut self, _: &Upstream, peers: &[Peer], kept: &[Option<usize>], seed: u64) {
        self.slow = peers.iter().any(|peer| !peer.is_plain());
        let new = peers.iter().map(|peer| {
            let weight = i64::from(peer.weight);
            Turn { weight, effective: weight, current: 0 }
        });
        let former = std::mem::replace(&mut self.turns, new.collect());
        // The start is found with the weights as defined, before failures come back into it.
        self.start(peers, seed);
        for (turn, kept) in self.turns.iter_mut().zip(kept) {
            if let Some(former) = kept.and_then(|at| former.get(at)) {
                turn.effective = former.effective;
            }
        }
    }

    fn pick(
        &mut self,
        peers: &[Peer],
        choice: &Choice<'_>,
        _: &mut Draws,
        eligible: impl Fn(&Peer) -> bool,
    ) -> Option<usize> {
        if self.slow { self.slow_step(peers, choice.now, eligible) } else { self.step(peers, eligible) }
    }

    fn failed(&mut self, peers: &[Peer], at: usize) {
        let (Some(turn), Some(peer)) = (self.turns.get_mut(at), peers.get(at)) else { return };
        if let Some(cost) = turn.weight.checked_div(i64::from(peer.max_fails)) {
            turn.effective = (turn.effective - cost).max(0);
        }
    }
}

impl RoundRobin {
    /// One step of the sequence.
    #[inline]
    pub(super) fn step(&mut self, peers: &[Peer], eligible: impl Fn(&Peer) -> bool) -> Option<usize> {
        self.step_by(peers, eligible, |_| 1)
    }

    /// One step in which a server that starts slowly has a part of its weight.
    fn slow_step(&mut self, peers: &[Peer], now: Instant, eligible: impl Fn(&Peer) -> bool) -> Option<usize> {
        self.step_by(peers, eligible, |peer| peer.share(now).into())
    }

    /// One step in which each weight is multiplied by what `scale` says.
    #[inline]
    fn step_by(
        &mut self,
        peers: &[Peer],
        eligible: impl Fn(&Peer) -> bool,
        scale: impl Fn(&Peer) -> i64,
    ) -> Option<usize> {
        let mut best = None;
        let mut total = 0;
        for (index, (turn, peer)) in self.turns.iter_mut().zip(peers).enumerate() {
            if !eligible(peer) {
                continue;
            }
            let gain = turn.effective * scale(peer);
            turn.current += gain;
            total += gain;
            if turn.effective < turn.weight {
                turn.effective += 1;
            }
            // Of equals the first.
            if best.is_none_or(|(_, highest)| turn.current > highest) {
                best = Some((index, turn.current));
            }
        }
        let (index, highest) = best?;
        self.turns.get_mut(index)?.current = highest - total;
        Some(index)
    }

    /// Goes to the place in the sequence that `seed` says, backups in theirs.
    fn start(&mut self, peers: &[Peer], seed: u64) {
        for backup in [false, true] {
            let eligible = |peer: &Peer| peer.backup == backup && !peer.is_out();
            let weights = peers.iter().filter(|peer| eligible(peer)).map(|peer| u64::from(peer.weight));
            let (total, divisor) =
                weights.fold((0, 0), |(total, divisor), weight| (total + weight, gcd(weight, divisor)));
            // The sequence repeats after as many steps as the weights, in lowest terms, add up to.
            let length = total.checked_div(divisor).unwrap_or(0).min(START_COST / peers.len().max(1) as u64);
            for _ in 0..seed.checked_rem(length).unwrap_or(0) {
                self.step(peers, eligible);
            }
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{server, weighted};
    use super::*;

    fn defined(peers: &[Peer], seed: u64) -> RoundRobin {
        let mut round_robin = RoundRobin::default();
        round_robin.define(&weighted(&[]), peers, &vec![None; peers.len()], seed);
        round_robin
    }

    #[test]
    fn failures_cost_weight_that_is_won_back() {
        let heavy = server('a', |spec| (spec.weight, spec.max_fails) = (4, 2));
        let peers = [heavy, server('b', |spec| spec.weight = 4)].map(|server| Peer::new(&server));
        let mut round_robin = defined(&peers, 0);
        let pick = |round_robin: &mut RoundRobin| round_robin.step(&peers, |_| true);
        assert_eq!(pick(&mut round_robin), Some(0));
        round_robin.failed(&peers, 0);
        // 4 - 4/2 = 2, then one more with each pick.
        let seen = [(); 4].map(|()| (round_robin.turns[0].effective, pick(&mut round_robin)).0);
        assert_eq!(seen, [2, 3, 4, 4]);
        for _ in 0..3 {
            round_robin.failed(&peers, 0);
        }
        assert_eq!(round_robin.turns[0].effective, 0, "and never below nothing");
        // What it lost stays lost where it stands now, if it is still there on the same terms.
        round_robin.define(
            &weighted(&[]),
            &[Peer::new(&server('b', |_| ())), Peer::new(&server('a', |_| ()))],
            &[None, Some(0)],
            0,
        );
        assert_eq!([0, 1].map(|at| round_robin.turns[at].effective), [1, 0]);
    }

    proptest! {
        #[test]
        fn any_weights_start_quickly(weights in proptest::collection::vec(1..=u32::MAX, 0..200), seed: u64) {
            let peers: Vec<Peer> = weighted(&weights).servers.iter().map(Peer::new).collect();
            prop_assert_eq!(defined(&peers, seed).turns.iter().map(|turn| turn.current).sum::<i64>(), 0);
        }
    }
}
