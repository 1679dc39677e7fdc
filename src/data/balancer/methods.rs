//! The table of balancing methods.
//!
//! It owns the table and nothing else: a method is a file beside this one, a line here, and one in that of
//! [`BalancingMethod`]. Next: [`super::round_robin`].

use super::choice::Choice;
use super::method::Method;
use super::peer::Peer;
use crate::data::draws::Draws;
use crate::model::{BalancingMethod, Upstream};

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
            fn define(&mut self, upstream: &Upstream, peers: &[Peer], kept: &[Option<usize>], seed: u64) {
                match self {
                    $(Self::$name(method) => method.define(upstream, peers, kept, seed),)*
                }
            }

            fn pick(
                &mut self,
                peers: &[Peer],
                choice: &Choice<'_>,
                draws: &mut Draws,
                eligible: impl Fn(&Peer) -> bool,
            ) -> Option<usize> {
                match self {
                    $(Self::$name(method) => method.pick(peers, choice, draws, eligible),)*
                }
            }

            fn failed(&mut self, peers: &[Peer], at: usize) {
                match self {
                    $(Self::$name(method) => method.failed(peers, at),)*
                }
            }

            fn times_answers(&self) -> bool {
                match self {
                    $(Self::$name(method) => method.times_answers(),)*
                }
            }
        }
    };
}

methods! {
    RoundRobin in round_robin,
    LeastConn in least_conn,
    Ewma in ewma,
    Hash in hash,
    Random in random,
}
