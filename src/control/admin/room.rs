//! The places of admin connections, and who gives one up when all are taken.
//!
//! It owns that choice, never a socket: a connection that must end is told so, and `serve` ends it. A request that has come
//! whole keeps its place until its answer is there, so it is served however many others drip; of those that drip the
//! slowest goes first. `now` is an argument. Next: [`serve`](super::serve) takes a place for each connection,
//! [`watched`](super::watched) says how far it has come.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::watched::{Progress, Stage};

/// Admin connections at a time.
pub(super) const PLACES: usize = 64;
/// A connection younger than this goes after all others: its first bytes are still on their way.
const FRESH: Duration = Duration::from_secs(1);

/// All places.
#[derive(Debug, Default)]
pub(super) struct Room {
    taken: Mutex<Taken>,
    /// Somebody has left.
    left: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    /// Numbers are never used again, so that who was dismissed cannot give up another's place.
    next: u64,
    places: BTreeMap<u64, Place>,
}

#[derive(Debug)]
struct Place {
    since: Instant,
    progress: Arc<Progress>,
    dismissed: Arc<Notify>,
}

/// One connection's place; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    room: Arc<Room>,
    number: u64,
    /// How far the connection has come; it says so itself.
    pub(super) progress: Arc<Progress>,
    dismissed: Arc<Notify>,
}

impl Room {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        // What a panic left behind is a map of whole entries.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is nobody there?
    pub(super) fn is_empty(&self) -> bool {
        self.taken().places.is_empty()
    }

    /// Would a connection get a place now?
    pub(super) fn has_room(&self, now: Instant) -> bool {
        let taken = self.taken();
        taken.places.len() < PLACES || taken.slowest(now).is_some()
    }

    /// A place for a connection, which may be that of a slower one. None when every place is a whole request's.
    pub(super) fn enter(self: &Arc<Self>, now: Instant) -> Option<Permit> {
        let mut taken = self.taken();
        if taken.places.len() >= PLACES {
            let slowest = taken.slowest(now)?;
            taken.places.remove(&slowest)?.dismissed.notify_one();
        }
        let number = taken.next;
        taken.next += 1;
        let (progress, dismissed) = (Arc::new(Progress::default()), Arc::new(Notify::new()));
        let place = Place { since: now, progress: Arc::clone(&progress), dismissed: Arc::clone(&dismissed) };
        taken.places.insert(number, place);
        Some(Permit { room: Arc::clone(self), number, progress, dismissed })
    }

    /// Waits until somebody has left.
    pub(super) async fn left(&self) {
        self.left.notified().await;
    }
}

impl Taken {
    /// Who goes first: whoever has its answer and lingers, then by the bytes that moved each second, and the fresh last.
    fn slowest(&self, now: Instant) -> Option<u64> {
        let rank = |place: &Place| {
            let age = now.saturating_duration_since(place.since);
            let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            match place.progress.stage() {
                Stage::Answering => None,
                Stage::Lingering => Some((0, u64::MAX - millis)),
                Stage::Reading | Stage::Writing if age < FRESH => Some((2, u64::MAX - millis)),
                Stage::Reading | Stage::Writing => {
                    Some((1, place.progress.moved().saturating_mul(1000) / millis.max(1)))
                }
            }
        };
        let ranked = self.places.iter().filter_map(|(number, place)| Some((rank(place)?, *number)));
        ranked.min().map(|(_, number)| number)
    }
}

impl Permit {
    /// Waits until the place is given to somebody else.
    pub(super) async fn dismissed(&self) {
        self.dismissed.notified().await;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.room.taken().places.remove(&self.number);
        self.room.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(now: Instant) -> (Arc<Room>, Vec<Permit>) {
        let room = Arc::new(Room::default());
        let permits = (0..PLACES).map(|_| room.enter(now).unwrap()).collect();
        (room, permits)
    }

    fn is_there(permit: &Permit) -> bool {
        permit.room.taken().places.contains_key(&permit.number)
    }

    #[test]
    fn the_slowest_gives_its_place_up_and_a_whole_request_never_does() {
        let begin = Instant::now();
        let (room, permits) = full(begin);
        for (at, permit) in permits.iter().enumerate() {
            permit.progress.moves(1000 + at);
        }
        permits[0].progress.enters(Stage::Answering);
        let later = begin + FRESH;
        let one = room.enter(later).unwrap();
        assert!(is_there(&permits[0]) && !is_there(&permits[1]) && is_there(&permits[2]));
        permits[9].progress.enters(Stage::Lingering);
        let _two = room.enter(later).unwrap();
        assert!(!is_there(&permits[9]) && is_there(&permits[2]) && is_there(&one), "a fresh one stays");
        permits.iter().for_each(|permit| permit.progress.enters(Stage::Answering));
        let _three = room.enter(later).unwrap();
        assert!(!is_there(&one), "of the fresh the oldest, when all others are whole");
    }

    #[test]
    fn when_all_are_whole_nobody_enters_until_one_leaves() {
        let now = Instant::now();
        let (room, mut permits) = full(now);
        permits.iter().for_each(|permit| permit.progress.enters(Stage::Answering));
        assert!(!room.has_room(now) && room.enter(now).is_none());
        permits.pop();
        assert!(room.has_room(now));
        let permit = room.enter(now).unwrap();
        drop(permits);
        assert!(!room.is_empty());
        drop(permit);
        assert!(room.is_empty());
    }

    #[tokio::test]
    async fn who_must_go_is_told_and_takes_nobody_elses_place_along() {
        let now = Instant::now();
        let (room, mut permits) = full(now);
        let _new = room.enter(now + FRESH).unwrap();
        let gone = permits.iter().position(|permit| !is_there(permit)).unwrap();
        let gone = permits.swap_remove(gone);
        gone.dismissed().await;
        drop(gone);
        assert_eq!(room.taken().places.len(), PLACES);
    }
}
