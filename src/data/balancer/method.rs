//! What a balancing method is.
//!
//! It owns the interface, never who can be used: `balance` says that, and asks a method for one of them.
//! Next: [`super::methods`] for those that there are.

use super::choice::Choice;
use super::peer::Peer;
use crate::data::draws::Draws;
use crate::model::Upstream;

/// Whose turn it is among the servers of an upstream, in one worker.
pub(super) trait Method {
    /// The upstream is defined anew, with these servers. `kept` says for each at which place it stood in the definition
    /// before, if it was there on the same terms. Workers with different seeds are to begin at different servers.
    fn define(&mut self, _upstream: &Upstream, _peers: &[Peer], _kept: &[Option<usize>], _seed: u64) {}

    /// The place of one of the servers that are eligible; nothing when none is.
    fn pick(
        &mut self,
        peers: &[Peer],
        choice: &Choice<'_>,
        draws: &mut Draws,
        eligible: impl Fn(&Peer) -> bool,
    ) -> Option<usize>;

    /// A failure of the server at that place was counted.
    fn failed(&mut self, _peers: &[Peer], _at: usize) {}

    /// Whether it looks at how soon servers answer.
    fn times_answers(&self) -> bool {
        false
    }
}
