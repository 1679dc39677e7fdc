//! How many connections each client has, at all workers together, when there is a bound on that.
//!
//! It owns the counts, never a connection. All workers share them, without a lock, and touch them when a connection
//! comes and when it goes; without a bound there are none. Next: [`super::accept`] asks, [`super::worker`] tells when a
//! connection goes.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Who counts as one client: an IPv4 address, or the /64 network that an IPv6 client may choose its addresses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(u64);

impl Client {
    /// Whose this address is.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            // Where no network of IPv6 is: `0:ffff::/32` is reserved (RFC 4291, section 2.4).
            IpAddr::V4(address) => Self(0xffff << 32 | u64::from(u32::from(address))),
            IpAddr::V6(address) => Self(u64::try_from(u128::from(address) >> 64).unwrap_or_default()),
        }
    }
}

/// The connections of each client that has one.
#[derive(Debug, Clone)]
pub struct Clients {
    /// What each may have; 0 is any number.
    most: u32,
    counts: Option<Arc<Counts>>,
}

impl Clients {
    /// Nobody has a connection yet. Clones share the counts.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self { most, counts: (most > 0).then(|| Arc::new(Counts::new())) }
    }

    /// A connection of this client has come; `false` when it has as many as it may, and this one does not count.
    #[must_use]
    pub fn enter(&self, client: Client) -> bool {
        self.counts.as_ref().is_none_or(|counts| counts.enter(client, u64::from(self.most)))
    }

    /// A connection that counted is gone.
    pub fn leave(&self, client: Client) {
        if let Some(counts) = &self.counts {
            counts.leave(client);
        }
    }
}

/// Buckets of the table: with as many clients as there are ports, one in a million finds its bucket full.
const BUCKETS: usize = 1 << 16;
/// Places of a bucket: a line of the cache.
const PLACES: usize = 8;
/// The lower bits of a place, which are the count; the others say whose it is.
const COUNT_BITS: u32 = 24;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// A table of fixed size. A place is 0, or a client's mark and its count. A client may have two places for a moment, when
/// two workers took one each at the same time, so its count is their sum. Who finds all places of a bucket taken by others
/// is not counted: nobody is refused for what others have.
#[derive(Debug)]
struct Counts {
    places: Box<[AtomicU64]>,
    /// Nobody outside can choose a bucket.
    hasher: RandomState,
}

impl Counts {
    fn new() -> Self {
        let places = (0..BUCKETS * PLACES).map(|_| AtomicU64::new(0)).collect();
        Self { places, hasher: RandomState::new() }
    }

    /// The client's bucket, and its mark in it, with a count of 0.
    fn bucket(&self, client: Client) -> (&[AtomicU64], u64) {
        let hash = self.hasher.hash_one(client);
        let first = usize::try_from(hash % BUCKETS as u64).unwrap_or_default() * PLACES;
        (self.places.get(first..first + PLACES).unwrap_or_default(), hash & !COUNT)
    }

    fn enter(&self, client: Client, most: u64) -> bool {
        let (bucket, mark) = self.bucket(client);
        loop {
            let seen = bucket.iter().map(|place| (place, place.load(Ordering::Relaxed)));
            let own = seen.clone().filter(|(_, value)| *value != 0 && value & !COUNT == mark);
            if own.clone().map(|(_, value)| value & COUNT).sum::<u64>() >= most {
                return false;
            }
            let place = own.clone().find(|(_, value)| value & COUNT < COUNT);
            let Some((place, value)) = place.or_else(|| seen.clone().find(|(_, value)| *value == 0)) else {
                return true;
            };
            if swap(place, value, if value == 0 { mark | 1 } else { value + 1 }) {
                return true;
            }
        }
    }

    fn leave(&self, client: Client) {
        let (bucket, mark) = self.bucket(client);
        for place in bucket {
            let mut value = place.load(Ordering::Relaxed);
            while value != 0 && value & !COUNT == mark {
                if swap(place, value, if value & COUNT == 1 { 0 } else { value - 1 }) {
                    return;
                }
                value = place.load(Ordering::Relaxed);
            }
        }
    }
}

/// Puts `new` where `old` still is. The number is all that is shared, so no order with anything else matters.
fn swap(place: &AtomicU64, old: u64, new: u64) -> bool {
    place.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> Client {
        Client::of(text.parse().unwrap())
    }

    fn open(clients: &Clients) -> usize {
        let counts = clients.counts.as_ref().unwrap();
        counts.places.iter().filter(|place| place.load(Ordering::Relaxed) != 0).count()
    }

    #[test]
    fn each_client_has_its_own_count_and_none_is_kept_for_nothing() {
        let clients = Clients::new(2);
        let (one, other) = (client("192.0.2.1"), client("2001:db8::1"));
        assert!(clients.enter(one) && clients.enter(one) && clients.enter(other));
        assert!(!clients.enter(one) && clients.enter(other) && !clients.enter(other));
        clients.leave(one);
        assert!(clients.enter(one) && !clients.enter(one));
        for peer in [one, one, other, other] {
            clients.leave(peer);
        }
        assert_eq!(open(&clients), 0);
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_a_network_of_ipv6() {
        assert_eq!(client("2001:db8::1"), client("2001:db8:0:0:ffff::9"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        for (one, other) in
            [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8:0:1::1"), ("::1", "0.0.0.1")]
        {
            assert_ne!(client(one), client(other));
        }
    }

    #[test]
    fn workers_count_together_and_lose_nothing() {
        const MOST: u32 = 1000;
        let clients = Clients::new(MOST);
        let all: Vec<Client> = (0..50).map(|n| client(&format!("192.0.2.{n}"))).collect();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let (clients, all) = (clients.clone(), &all);
                scope.spawn(move || {
                    for round in 0..400 {
                        all.iter().for_each(|client| assert!(clients.enter(*client), "round {round}"));
                        if round % 2 == 1 {
                            all.iter().for_each(|client| clients.leave(*client));
                        }
                    }
                });
            }
        });
        for client in &all {
            let more = (0..MOST).take_while(|_| clients.enter(*client)).count();
            assert_eq!(more, 200, "four workers hold two hundred each");
            (0..MOST).for_each(|_| clients.leave(*client));
        }
        assert_eq!(open(&clients), 0);
    }

    #[test]
    fn without_a_bound_nothing_is_counted() {
        let clients = Clients::new(0);
        assert!((0..1000).all(|_| clients.enter(client("192.0.2.1"))) && clients.counts.is_none());
        clients.leave(client("192.0.2.1"));
    }
}
