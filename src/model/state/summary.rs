//! All that is in force in few words: its digest, and what of it is different.
//!
//! It owns nothing but putting both kinds together. Next: [`digest`](crate::model::digest) says what it is made of, the hub
//! tells of it.

use super::State;
use crate::model::digest::Digest;
use crate::model::ledger::Differences;

impl State {
    /// The digest of what is in force: the same for all that serve the same, whatever way it came and in whatever order. The
    /// order of servers is no part of it, for a store has none. It costs what has changed since this was asked.
    pub fn digest(&mut self) -> Digest {
        Digest::of_all(&[self.domains.ledger().digest(), self.upstreams.ledger().digest()])
    }

    /// What of it is different since this was asked.
    pub fn take_differences(&mut self) -> Differences {
        Differences {
            domains: self.domains.ledger().take_news(),
            upstreams: self.upstreams.ledger().take_news(),
        }
    }
}
