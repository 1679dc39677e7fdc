//! How many connections of one server were in use at once in the last seconds: so many are worth keeping.
//!
//! It owns that number, never a connection; `now` is an argument. Next: [`super::pool`], which keeps what is idle by it.

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
    /// How often one was taken.
    taken: u64,
    /// The most that were in use at once since the window began, and in the window before.
    most: [u32; 2],
    /// When the window ends; the first begins with the first look at the time.
    until: Option<Instant>,
}

impl Demand {
    /// In use now.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.busy as usize
    }

    /// How often a connection was taken, which is once for each request that was brought to the server.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.taken
    }

    /// A connection is in use from now on.
    #[inline]
    pub fn taken(&mut self) {
        self.busy += 1;
        self.taken += 1;
        self.most[0] = self.most[0].max(self.busy);
    }

    /// One that was in use is idle now, or closed.
    #[inline]
    pub fn returned(&mut self) {
        debug_assert!(self.busy > 0, "returned twice");
        self.busy = self.busy.saturating_sub(1);
    }

    /// How many idle ones are worth keeping beside those in use.
    #[inline]
    #[must_use]
    pub fn spare(&self) -> usize {
        let [most, before] = self.most;
        (most.max(before) as usize).max(LEAST).saturating_sub(self.busy as usize)
    }

    /// Lets the time pass: another window begins when it is due. To be called about once a second, so that nothing need be
    /// asked of the time when a connection is taken or returned.
    pub fn pass(&mut self, now: Instant) {
        (self.most, self.until) = match self.until {
            Some(until) if now < until => return,
            Some(until) if now < until + WINDOW => ([self.busy, self.most[0]], Some(until + WINDOW)),
            // Nobody has looked for more than a window: nothing that is known of it is new.
            Some(_) => ([self.busy; 2], Some(now + WINDOW)),
            None => (self.most, Some(now + WINDOW)),
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is kept in all, those in use included.
    fn kept(demand: &Demand) -> usize {
        demand.busy() + demand.spare()
    }

    fn take_and_return(demand: &mut Demand, connections: usize) {
        (0..connections).for_each(|_| demand.taken());
        (0..connections).for_each(|_| demand.returned());
    }

    #[test]
    fn what_was_in_use_at_once_is_kept_for_some_seconds_and_no_longer() {
        let start = Instant::now();
        let mut demand = Demand::default();
        assert_eq!(demand.spare(), LEAST, "the first of all");
        demand.pass(start);
        (0..512).for_each(|_| demand.taken());
        assert_eq!(demand.spare(), 0);
        (0..512).for_each(|_| demand.returned());
        assert_eq!(demand.spare(), 512);
        // Ten at a time from now on.
        for second in 1..60 {
            demand.pass(start + Duration::from_secs(second));
            take_and_return(&mut demand, 10);
            assert_eq!(demand.spare(), if second < 20 { 512 } else { 10 }, "after {second} s");
        }
        (60..70).for_each(|second| demand.pass(start + Duration::from_secs(second)));
        assert_eq!(demand.spare(), 10);
        (70..80).for_each(|second| demand.pass(start + Duration::from_secs(second)));
        assert_eq!(demand.spare(), LEAST, "nothing for a long time");
    }

    #[test]
    fn what_is_in_use_all_the_time_counts_in_every_window() {
        let start = Instant::now();
        let mut demand = Demand::default();
        demand.pass(start);
        (0..100).for_each(|_| demand.taken());
        demand.pass(start + 100 * WINDOW);
        assert_eq!(demand.spare(), 0);
        (0..100).for_each(|_| demand.returned());
        assert_eq!(demand.spare(), 100);
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
            demand.pass(now);
            for (take, pause) in events {
                for _ in 0..pause {
                    now += Duration::from_secs(1);
                    demand.pass(now);
                }
                if take {
                    demand.taken();
                    busy += 1;
                } else if busy > 0 {
                    demand.returned();
                    busy -= 1;
                }
                history.push((now, busy));
                let most = |span: Duration| {
                    let from = now.checked_sub(span).unwrap_or(start);
                    let before = history.iter().rev().find(|(at, _)| *at < from).map_or(0, |(_, busy)| *busy);
                    history.iter().filter(|(at, _)| *at >= from).map(|(_, busy)| *busy).max().unwrap_or(0).max(before)
                };
                let kept = kept(&demand);
                prop_assert!(kept >= most(WINDOW - Duration::from_secs(1)).max(LEAST));
                prop_assert!(kept <= most(2 * WINDOW).max(LEAST));
            }
        }
    }
}
