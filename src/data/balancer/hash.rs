//! The same server for the same key.
//!
//! It owns which server a key belongs to, never where the key comes from. Next: [`super::key`] for that.

use super::choice::Choice;
use super::method::Method;
use super::peer::{FULL, Peer};
use crate::data::draws::{self, Draws};
use crate::model::{HashBalance, Upstream};

/// Weighted rendezvous hashing (Thaler and Ravishankar, *Using name-based mappings to increase hit rates*, 1998): of each
/// server and the key a number is made, and the lowest wins. So a server that goes takes its own keys along and no others, each
/// of which goes to another server than the next one's; one that comes takes its share and moves no other key; shares follow
/// weights, also while one grows. There is no table to build: a pick looks at each server once, as those of all methods do.
///
/// With `hash_balance`, a server that has more than so much of its share of the requests under way is passed over, as in
/// *Consistent Hashing with Bounded Loads* (Mirrokni, Thorup and Zadimoghaddam, 2018).
#[derive(Debug, Default)]
pub(super) struct Hash {
    /// What stands for each server, in their order: the same in each ELB, and after each start.
    names: Vec<u64>,
    /// All have the same weight, which then need not be looked at.
    even: bool,
    balance: Option<HashBalance>,
}

impl Method for Hash {
    fn define(&mut self, upstream: &Upstream, peers: &[Peer], _: &[Option<usize>], _: u64) {
        self.names = upstream.servers.iter().map(super::sticky::name_of).collect();
        self.even = peers.iter().all(|peer| peer.is_plain())
            && peers
                .windows(2)
                .all(|pair| pair.first().map(|peer| peer.weight) == pair.last().map(|peer| peer.weight));
        self.balance = upstream.options.hash_balance;
    }

    fn pick(
        &mut self,
        peers: &[Peer],
        choice: &Choice<'_>,
        _: &mut Draws,
        eligible: impl Fn(&Peer) -> bool,
    ) -> Option<usize> {
        let weight =
            |peer: &Peer| if self.even { f64::from(FULL) } else { peer.weight_at(choice.now) as f64 };
        let active = |peer: &Peer| f64::from(peer.state.load().active());
        // Requests for each part of weight, this one included, times how far one may be above.
        let bound = self.balance.map(|balance| {
            let (mut requests, mut weights) = (1.0, 0.0);
            for peer in peers.iter().filter(|peer| eligible(peer)) {
                requests += active(peer);
                weights += weight(peer);
            }
            requests / weights * f64::from(balance.hundredths()) / 100.0
        });
        let has_room = |peer: &Peer| bound.is_none_or(|bound| active(peer) < (bound * weight(peer)).ceil());
        let mut best: Option<(usize, f64)> = None;
        for (at, (peer, name)) in peers.iter().zip(&self.names).enumerate() {
            if !eligible(peer) || !has_room(peer) {
                continue;
            }
            let chance = even_chance(draws::mix(choice.affinity.key ^ name));
            let score = if self.even { -chance } else { -chance.ln() / weight(peer) };
            if best.is_none_or(|(_, lowest)| score < lowest) {
                best = Some((at, score));
            }
        }
        best.map(|(at, _)| at)
    }
}

/// A number between 0 and 1, neither of them.
fn even_chance(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}
