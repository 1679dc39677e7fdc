//! A server by chance.
//!
//! It owns nothing: weights are the servers', chance is the worker's. Next: [`super::by_chance`].

use super::by_chance;
use super::choice::Choice;
use super::method::Method;
use super::peer::Peer;
use crate::data::draws::Draws;

/// Each server as often as its weight says, in no order, so that workers need not know of each other's picks to spread
/// theirs.
#[derive(Debug, Default)]
pub(super) struct Random;

impl Method for Random {
    fn pick(
        &mut self,
        peers: &[Peer],
        choice: &Choice<'_>,
        draws: &mut Draws,
        eligible: impl Fn(&Peer) -> bool,
    ) -> Option<usize> {
        by_chance::one(peers, choice.now, draws, eligible)
    }
}
