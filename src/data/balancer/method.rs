//! What a balancing method is, and the table of those that there are.
//!
//! It owns the interface and the table, never who can be used: `balance` says that, and asks a method for one of them.
//! A method is a file beside this one and a line in the table. Next: `round_robin`.

use super::peer::Peer;
use super::round_robin::RoundRobin;
use crate::data::draws::Draws;

/// Whose turn it is among the servers of an upstream, in one worker.
pub(super) trait Method {
    /// The upstream is defined anew, with these servers. `kept` says for each at which place it stood in the definition
    /// before, if it was there on the same terms. Workers with different seeds are to begin at different servers.
    fn define(&mut self, peers: &[Peer], kept: &[Option<usize>], seed: u64);

    /// The place of one of the servers that are eligible; nothing when none is.
    fn pick(&mut self, peers: &[Peer], draws: &mut Draws, eligible: impl Fn(&Peer) -> bool) -> Option<usize>;

    /// A failure of the server at that place was counted.
    fn failed(&mut self, _peers: &[Peer], _at: usize) {}
}

/// The table: a name, and the file.
macro_rules! methods {
    ($($name:ident)*) => {
        /// The method of one upstream. No trait object: what is known at compile time is not looked up for each request.
        #[derive(Debug)]
        pub(super) enum AnyMethod {
            $($name($name),)*
        }

        impl Method for AnyMethod {
            fn define(&mut self, peers: &[Peer], kept: &[Option<usize>], seed: u64) {
                match self {
                    $(Self::$name(method) => method.define(peers, kept, seed),)*
                }
            }

            #[inline]
            fn pick(
                &mut self,
                peers: &[Peer],
                draws: &mut Draws,
                eligible: impl Fn(&Peer) -> bool,
            ) -> Option<usize> {
                match self {
                    $(Self::$name(method) => method.pick(peers, draws, eligible),)*
                }
            }

            fn failed(&mut self, peers: &[Peer], at: usize) {
                match self {
                    $(Self::$name(method) => method.failed(peers, at),)*
                }
            }
        }
    };
}

methods! {
    RoundRobin
}

impl Default for AnyMethod {
    fn default() -> Self {
        Self::RoundRobin(RoundRobin::default())
    }
}
