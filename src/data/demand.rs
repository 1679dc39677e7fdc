//! How many connections of one server were in use at once in the last seconds: so many are worth keeping.
//!
//! It owns that number, never a connection; `now` is an argument. Next: `pool`, which keeps what is idle by it.

use std::time::{Duration, Instant};

/// What was in use at once is remembered for this long, and for twice as long at most: load comes in waves of seconds, and
/// what a wave left behind is closed when the next one is smaller.
pub const WINDOW: Duration = Duration::from_secs(10);
/// So many are worth keeping whatever was in use: a server that is asked once a minute is spared the connecting.
pub const LEAST: usize = 4;

/// The demand for connections of one server.
#[derive(Debug, Default, Clone, Copy)]
pub struct Demand {
    /// In use now.
    busy: u32,
    /// The most that were in use at once since the window began, and in the window before.
    most: [u32; 2],
    /// When the window ends; the first begins when somebody looks.
    until: Option<Instant>,
}

impl Demand {
    /// In use now.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.busy as usize
    }

    /// A connection is in use from now on.
    #[inline]
    pub fn taken(&mut self, now: Instant) {
        self.look(now);
        self.busy += 1;
        self.most[0] = self.most[0].max(self.busy);
    }

    /// One that was in use is idle now.
    #[inline]
    pub fn returned(&mut self, now: Instant) {
        self.look(now);
        self.lost();
    }

    /// One that was in use is closed.
    #[inline]
    pub fn lost(&mut self) {
        debug_assert!(self.busy > 0, "returned twice");
        self.busy = self.busy.saturating_sub(1);
    }

    /// How many idle ones are worth keeping beside those in use.
    #[inline]
    pub fn spare(&mut self, now: Instant) -> usize {
        self.look(now);
        let [most, before] = self.most;
        (most.max(before) as usize).max(LEAST).saturating_sub(self.busy as usize)
    }

    #[inline]
    fn look(&mut self, now: Instant) {
        if self.until.is_none_or(|until| now >= until) {
            self.turn(now);
        }
    }

    /// Another window begins.
    #[cold]
    fn turn(&mut self, now: Instant) {
        (self.most, self.until) = match self.until {
            Some(until) if now < until + WINDOW => ([self.busy, self.most[0]], Some(until + WINDOW)),
            // Nobody has looked for more than a window, so nothing has changed in the one that has passed.
            _ => ([self.busy; 2], Some(now + WINDOW)),
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is kept in all, those in use included.
    fn kept(demand: &mut Demand, now: Instant) -> usize {
        demand.busy() + demand.spare(now)
    }

    #[test]
    fn what_was_in_use_at_once_is_kept_for_some_seconds_and_no_longer() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut demand = Demand::default();
        assert_eq!(demand.spare(start), LEAST, "the first of all");
        (0..512).for_each(|_| demand.taken(at(1)));
        assert_eq!(demand.spare(at(1)), 0);
        (0..512).for_each(|_| demand.returned(at(1)));
        assert_eq!(demand.spare(at(1)), 512);
        // Ten at a time from now on.
        for second in 2..60 {
            (0..10).for_each(|_| demand.taken(at(second)));
            (0..10).for_each(|_| demand.returned(at(second)));
            let spare = demand.spare(at(second));
            assert_eq!(spare, if second < 20 { 512 } else { 10 }, "after {second} s");
        }
        assert_eq!(demand.spare(at(69)), 10);
        assert_eq!(demand.spare(at(80)), LEAST, "nothing for a long time");
    }

    #[test]
    fn what_is_in_use_all_the_time_counts_in_every_window() {
        let start = Instant::now();
        let mut demand = Demand::default();
        (0..100).for_each(|_| demand.taken(start));
        assert_eq!(demand.spare(start + 100 * WINDOW), 0);
        (0..100).for_each(|_| demand.returned(start + 100 * WINDOW));
        assert_eq!(demand.spare(start + 100 * WINDOW), 100);
    }

    proptest! {
        /// Never fewer than were in use at once within one window, nor more than within two and what was in use before.
        #[test]
        fn it_follows_the_most_of_the_last_seconds(
            events in proptest::collection::vec((any::<bool>(), 0_u64..8), 1..300),
        ) {
            let start = Instant::now();
            let mut demand = Demand::default();
            let (mut now, mut busy) = (start, 0_usize);
            // When it was, and how many were in use from then on.
            let mut history = vec![(start, 0)];
            for (take, pause) in events {
                now += Duration::from_secs(pause);
                if take {
                    demand.taken(now);
                    busy += 1;
                } else if busy > 0 {
                    demand.returned(now);
                    busy -= 1;
                }
                history.push((now, busy));
                let most = |span: Duration| {
                    let from = now.checked_sub(span).unwrap_or(start);
                    let before = history.iter().rev().find(|(at, _)| *at < from).map_or(0, |(_, busy)| *busy);
                    history.iter().filter(|(at, _)| *at >= from).map(|(_, busy)| *busy).max().unwrap_or(0).max(before)
                };
                let kept = kept(&mut demand, now);
                prop_assert!(kept >= most(WINDOW - Duration::from_secs(1)).max(LEAST));
                prop_assert!(kept <= most(2 * WINDOW).max(LEAST));
            }
        }
    }
}
