//! Which server is which, through every change of the configuration.
//!
//! It owns the identities and the rule for what makes a server the same one; never what is known of a server. Next:
//! `targets` asks for them whenever an upstream is defined, `data::balancer` and the pools know servers by them.

use std::collections::HashMap;
use std::num::NonZeroU32;

use super::upstream::{Endpoint, Server};

/// The identity of a server: of one address, under one name, in one upstream.
///
/// It lasts as long as the upstream has that name at that address, whatever else changes: parameters, other servers, the
/// order. A server that is taken away and comes back is another one, with another number: a lease that outlives its server is
/// not taken for one of another. (Numbers come again after four billion servers, and are compared within one upstream only.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(NonZeroU32);

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

/// The servers of a definition, from which those of the next one take their identities, each once.
pub(crate) struct Former<'s>(HashMap<&'s Endpoint, Vec<&'s Server>>);

impl<'s> Former<'s> {
    /// Those of the definition that was in force until now.
    pub(crate) fn new(servers: &'s [Server]) -> Former<'s> {
        let mut former: HashMap<&Endpoint, Vec<&Server>> = HashMap::new();
        for server in servers {
            former.entry(&server.endpoint).or_default().push(server);
        }
        Former(former)
    }

    /// The one of this name and address, unless it was taken already.
    pub(crate) fn take(&mut self, name: &str, endpoint: &Endpoint) -> Option<&'s Server> {
        let servers = self.0.get_mut(endpoint)?;
        let at = servers.iter().position(|server| server.spec.name == name)?;
        Some(servers.swap_remove(at))
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
