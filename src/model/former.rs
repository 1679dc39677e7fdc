//! What makes a server the same one after a change of its upstream.
//!
//! It owns that rule: the name and the address. Next: [`targets`](super::targets) asks for it whenever an upstream is
//! defined.

use std::collections::HashMap;

use super::upstream::{Endpoint, Server};

/// The servers of the former definition. Each gives its identity to one server of the next.
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
