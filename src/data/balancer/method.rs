//! What a balancing method is, and the table of those that there are.
//!
//! It owns the interface and the table, never who can be used: `balance` says that, and asks a method for one of them.
//! A method is a file beside this one, a line in the table, and one in that of `model::BalancingMethod`. Next: `round_robin`.

use super::peer::Peer;
use crate::data::draws::Draws;
use crate::model::BalancingMethod;

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

/// The table: the name, which is also that in [`BalancingMethod`], and the file.
macro_rules! methods {
    ($($name:ident in $file:ident,)*) => {
        /// The method of one upstream. No trait object: what is known at compile time is not looked up for each request.
        #[derive(Debug)]
        pub(super) enum AnyMethod {
            $($name(super::$file::$name),)*
        }

        impl AnyMethod {
            /// One that has no servers yet.
            pub(super) fn of(method: BalancingMethod) -> Self {
                match method {
                    $(BalancingMethod::$name => Self::$name(super::$file::$name::default()),)*
                }
            }
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
    RoundRobin in round_robin,
}
