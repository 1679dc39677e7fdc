//! Servers by chance, each as likely as it has weight.
//!
//! It owns the drawing, never what becomes of those who were drawn. Next: [`super::random`] takes one,
//! [`super::least_conn`] and [`super::ewma`] compare a few.

use std::time::Instant;

use super::peer::Peer;
use crate::data::draws::Draws;

/// So many servers are compared at most: each is a cache line that other workers write. With two, *the power of two choices*,
/// a slow server among eight is still drawn beside one that is busy for a moment: in the simulation of `balancer/tests/tail.rs` the
/// 99th percentile of `least_conn` is 56 ms with two and 16 ms with eight, and the 99.9th of `ewma` 93 ms and 19 ms.
pub(super) const COMPARED: usize = 8;

/// One of those that are eligible; nothing when none is.
pub(super) fn one(
    peers: &[Peer],
    now: Instant,
    draws: &mut Draws,
    eligible: impl Fn(&Peer) -> bool,
) -> Option<usize> {
    let weight = |peer: &Peer| if eligible(peer) { peer.weight_at(now) } else { 0 };
    let total = peers.iter().map(&weight).sum();
    let (mut left, mut last) = (draws.below(total), None);
    for (at, peer) in peers.iter().enumerate() {
        let weight = weight(peer);
        if weight == 0 {
            continue;
        }
        // Another worker may change who is eligible meanwhile: then it is the last of those who still are.
        last = Some(at);
        match left.checked_sub(weight) {
            Some(rest) => left = rest,
            None => break,
        }
    }
    last
}

/// Servers to compare.
#[derive(Debug, Default)]
pub(super) struct Few {
    places: [usize; COMPARED],
    count: usize,
}

impl Few {
    /// All that are eligible; of a larger upstream those that follow a place by chance.
    pub(super) fn of(peers: &[Peer], draws: &mut Draws, eligible: impl Fn(&Peer) -> bool) -> Self {
        let mut few = Self::default();
        let start = if peers.len() <= COMPARED { 0 } else { draws.below(peers.len() as u64) as usize };
        let (before, after) = peers.split_at_checked(start).unwrap_or((peers, &[]));
        let around = (start..).zip(after).chain(before.iter().enumerate());
        let eligible = around.filter(|(_, peer)| eligible(peer)).map(|(at, _)| at);
        eligible.take(COMPARED).for_each(|at| few.add(at));
        few
    }

    /// None is eligible.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn add(&mut self, at: usize) {
        if let Some(place) = self.places.get_mut(self.count) {
            *place = at;
            self.count += 1;
        }
    }

    /// What `look` says of each, in their order.
    pub(super) fn map<T: Copy + Default>(&self, peers: &[Peer], look: impl Fn(&Peer) -> T) -> [T; COMPARED] {
        let mut looks = [T::default(); COMPARED];
        for (place, (_, peer)) in looks.iter_mut().zip(self.iter(peers)) {
            *place = look(peer);
        }
        looks
    }

    /// Each with its place.
    pub(super) fn iter<'p>(&self, peers: &'p [Peer]) -> impl Iterator<Item = (usize, &'p Peer)> {
        let places = self.places.iter().take(self.count);
        places.filter_map(|at| peers.get(*at).map(|peer| (*at, peer)))
    }

    /// The one with the lowest score; of equals, one by weight.
    pub(super) fn least(
        &self,
        peers: &[Peer],
        now: Instant,
        draws: &mut Draws,
        scores: &[f64; COMPARED],
    ) -> Option<usize> {
        // The lowest so far, its score, and the weight of all that have it.
        let mut best: Option<(usize, f64, u64)> = None;
        for ((at, peer), score) in self.iter(peers).zip(scores.iter().copied()) {
            let weight = || peer.weight_at(now);
            best = match best {
                Some((first, lowest, all)) if score >= lowest => {
                    if score > lowest {
                        continue;
                    }
                    let (weight, all) = (weight(), all + weight());
                    Some((if draws.below(all) < weight { at } else { first }, lowest, all))
                }
                _ => Some((at, score, weight())),
            };
        }
        best.map(|(at, ..)| at)
    }
}
