//! How many connections each client address has at this worker, when there is a bound on that.
//!
//! It owns the counts, never a connection. Without a bound it holds nothing and costs one comparison. Next: `worker`
//! asks when a connection comes, and tells when it goes.

use std::collections::HashMap;

use super::conn::PeerText;

/// The connections of each client that has one.
#[derive(Debug, Default)]
pub struct Clients {
    /// What each may have; 0 is any number.
    most: u32,
    open: HashMap<PeerText, u32>,
}

impl Clients {
    /// Nobody has a connection yet.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self { most, open: HashMap::new() }
    }

    /// A connection of this client has come; `false` when it has as many as it may, and this one does not count.
    pub fn enter(&mut self, peer: PeerText) -> bool {
        if self.most == 0 {
            return true;
        }
        let open = self.open.entry(peer).or_default();
        let fits = *open < self.most;
        *open += u32::from(fits);
        fits
    }

    /// A connection that counted is gone.
    pub fn leave(&mut self, peer: PeerText) {
        if self.most == 0 {
            return;
        }
        match self.open.get_mut(&peer) {
            Some(open) if *open > 1 => *open -= 1,
            _ => drop(self.open.remove(&peer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> PeerText {
        PeerText::new(text.parse().unwrap())
    }

    #[test]
    fn each_client_has_its_own_count_and_none_is_kept_for_nothing() {
        let mut clients = Clients::new(2);
        let (one, other) = (peer("192.0.2.1"), peer("2001:db8::1"));
        assert!(clients.enter(one) && clients.enter(one) && clients.enter(other));
        assert!(!clients.enter(one) && clients.enter(other) && !clients.enter(other));
        clients.leave(one);
        assert!(clients.enter(one) && !clients.enter(one));
        for peer in [one, one, other, other] {
            clients.leave(peer);
        }
        assert!(clients.open.is_empty());
    }

    #[test]
    fn without_a_bound_nothing_is_counted() {
        let mut clients = Clients::new(0);
        assert!((0..1000).all(|_| clients.enter(peer("192.0.2.1"))) && clients.open.is_empty());
        clients.leave(peer("192.0.2.1"));
    }
}
