//! The server with the fewest requests under way.
//!
//! It owns that comparison; the counts are those of all workers, in `model::ServerLoad`. Next: [`super::by_chance`] for who is
//! compared.

use super::by_chance::Few;
use super::choice::Choice;
use super::method::Method;
use super::peer::Peer;
use crate::data::draws::Draws;

/// Requests under way divided by weight, the lowest of all servers, or of a few by chance where there are many (after
/// Mitzenmacher, *The Power of Two Choices in Randomized Load Balancing*, 2001). Of equals, such as servers that have nothing
/// to do, one by weight.
#[derive(Debug, Default)]
pub(super) struct LeastConn;

impl Method for LeastConn {
    fn pick(
        &mut self,
        peers: &[Peer],
        choice: &Choice<'_>,
        draws: &mut Draws,
        eligible: impl Fn(&Peer) -> bool,
    ) -> Option<usize> {
        let now = choice.now;
        let few = Few::of(peers, draws, eligible);
        let scores =
            few.map(peers, |peer| f64::from(peer.state.load().active()) / peer.weight_at(now) as f64);
        few.least(peers, now, draws, &scores)
    }
}
