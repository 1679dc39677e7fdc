//! Which server is which, through every change of the configuration.
//!
//! It owns the identities, never what is known of a server. Next: [`former`](super::former) for what makes a server the
//! same one, [`targets`](super::targets), which asks for them whenever an upstream is defined;
//! [`data::balancer`](crate::data::balancer) and the pools know servers by them.

use std::num::NonZeroU32;

/// The identity of a server: of one address, under one name, in one upstream.
///
/// It lasts as long as the upstream has that name at that address, whatever else changes: parameters, other servers, the
/// order. A server that is taken away and comes back is another one, with another number: a lease that outlives its server is
/// not taken for one of another. (Numbers come again after four billion servers, and are compared within one upstream only.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(NonZeroU32);

impl ServerId {
    /// Its number, which is not 0.
    #[inline]
    #[must_use]
    pub fn number(self) -> u32 {
        self.0.get()
    }

    /// The identity of that number; 0 is none's.
    #[must_use]
    pub fn of(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }
}

/// Gives servers their identities.
#[derive(Debug, Default)]
pub struct ServerIds {
    given: u32,
}

impl ServerIds {
    /// One that no server has.
    pub fn give(&mut self) -> ServerId {
        self.given = self.given.checked_add(1).unwrap_or(1);
        ServerId(NonZeroU32::new(self.given).unwrap_or(NonZeroU32::MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_identity_is_given_twice() {
        let mut ids = ServerIds::default();
        let given: std::collections::HashSet<_> = (0..100).map(|_| ids.give()).collect();
        assert_eq!(given.len(), 100);
    }
}
