//! A server that has few places and takes its time: who is served, who waits, and when each is done.
//!
//! It owns the arithmetic, never a socket and never a clock: `now` is an argument. Next: `bin/farm` asks it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

/// How long requests take.
#[derive(Debug, Clone)]
pub struct Pace {
    /// The shortest service.
    pub least: Duration,
    /// The longest; all between are equally likely.
    pub most: Duration,
    /// When it is slower than that, if it ever is.
    pub slow: Option<Slow>,
}

/// A server that is slow at the end of each cycle.
#[derive(Debug, Clone)]
pub struct Slow {
    /// A request that begins then takes so many times as long.
    pub factor: u32,
    /// How long it is slow.
    pub lasts: Duration,
    /// How long a cycle is.
    pub cycle: Duration,
}

impl Pace {
    /// How long a request takes that begins so long after the start; `draw` is any number.
    #[must_use]
    pub fn of(&self, draw: u64, after: Duration) -> Duration {
        let spread = self.most.saturating_sub(self.least).as_nanos() as u64;
        let usual = self.least + Duration::from_nanos(draw % (spread + 1));
        match &self.slow {
            Some(slow) if slow.is_on(after) => usual * slow.factor,
            _ => usual,
        }
    }
}

impl Slow {
    fn is_on(&self, after: Duration) -> bool {
        let cycle = self.cycle.as_nanos().max(1);
        after.as_nanos() % cycle >= cycle.saturating_sub(self.lasts.as_nanos())
    }
}

/// The places of one server and the queue behind them: first come, first served.
#[derive(Debug)]
pub struct Places {
    free: usize,
    pace: Pace,
    begun: Instant,
    /// The state of its random numbers.
    draws: u64,
    queue: VecDeque<(u64, Instant)>,
    served: BinaryHeap<Reverse<(Instant, u64)>>,
}

impl Places {
    /// So many places, all free. Cycles count from `begun`; a server with another `seed` draws other numbers.
    #[must_use]
    pub fn new(places: usize, pace: Pace, begun: Instant, seed: u64) -> Self {
        Self { free: places, pace, begun, draws: seed, queue: VecDeque::new(), served: BinaryHeap::new() }
    }

    /// A request came.
    pub fn come(&mut self, ticket: u64, now: Instant) {
        if self.free == 0 {
            self.queue.push_back((ticket, now));
        } else {
            self.free -= 1;
            self.begin(ticket, now);
        }
    }

    /// When the next one is done.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.served.peek().map(|Reverse((done, _))| *done)
    }

    /// One that is done by now. The next in the queue begins when it was done, not when that was noticed: a server that is
    /// looked at late is no slower for it.
    pub fn done(&mut self, now: Instant) -> Option<u64> {
        let done = self.next().filter(|done| *done <= now)?;
        let Reverse((_, ticket)) = self.served.pop()?;
        match self.queue.pop_front() {
            Some((next, came)) => self.begin(next, done.max(came)),
            None => self.free += 1,
        }
        Some(ticket)
    }

    fn begin(&mut self, ticket: u64, at: Instant) {
        let took = self.pace.of(draw(&mut self.draws), at.saturating_duration_since(self.begun));
        self.served.push(Reverse((at + took, ticket)));
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn pace() -> Pace {
        let slow = Slow { factor: 10, lasts: 5000 * MS, cycle: 10_000 * MS };
        Pace { least: 5 * MS, most: 15 * MS, slow: Some(slow) }
    }

    #[test]
    fn services_are_spread_evenly_and_ten_times_as_long_at_the_end_of_each_cycle() {
        let (pace, mut draws) = (pace(), 7);
        let mut sum = Duration::ZERO;
        for _ in 0..10_000 {
            let took = pace.of(draw(&mut draws), 4999 * MS);
            assert!((5 * MS..=15 * MS).contains(&took));
            sum += took;
        }
        assert!((9 * MS..11 * MS).contains(&(sum / 10_000)));
        for (after, took) in [(0, 5), (5000, 50), (9999, 50), (10_000, 5), (15_000, 50)] {
            assert_eq!(pace.of(0, after * MS), took * MS);
        }
    }

    #[test]
    fn who_finds_no_place_waits_for_the_first_that_is_free() {
        let start = Instant::now();
        let pace = Pace { least: 10 * MS, most: 10 * MS, slow: None };
        let mut places = Places::new(2, pace, start, 0);
        (0..4).for_each(|ticket| places.come(ticket, start + ticket as u32 * MS));
        assert_eq!((places.next(), places.done(start + 9 * MS)), (Some(start + 10 * MS), None));
        let late = start + 15 * MS;
        assert_eq!((places.done(late), places.done(late), places.done(late)), (Some(0), Some(1), None));
        // The third began when the first was done.
        assert_eq!(places.next(), Some(start + 20 * MS));
        let end = start + 21 * MS;
        assert_eq!((places.done(end), places.done(end), places.next()), (Some(2), Some(3), None));
    }
}
