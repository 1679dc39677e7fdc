//! How many second tries the requests of an upstream may have, so that a fleet that is broken is not asked three times as much.
//!
//! It owns the counts of the last seconds, for one worker and one upstream; `now` is an argument. Next: [`super::dispatch`] asks
//! before it sends a request once more.

use std::time::{Duration, Instant};

/// Requests and tries count for this long at least, and for twice as long at most: as many requests may be sent once more at a
/// moment as wait at one server that dies, which are those of some seconds.
const WINDOW: Duration = Duration::from_secs(5);
/// Second tries a second that need no requests to allow them, of all workers together: a few clients are to see nothing of a
/// server that dies, whatever the budget is.
pub(super) const FLOOR: u32 = 10;

/// What is allowed in place of a number for each upstream.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    /// Second tries for a hundred requests.
    pub percent: u32,
    /// Second tries in two windows that need no requests.
    pub floor: u32,
}

impl Allowance {
    /// So many of a hundred requests, for one of `workers`.
    #[must_use]
    pub fn new(percent: u32, workers: usize) -> Self {
        let floor = 2 * WINDOW.as_secs() as u32 * FLOOR;
        let workers = u32::try_from(workers).unwrap_or(u32::MAX).max(1);
        Self { percent, floor: floor.div_ceil(workers) }
    }
}

/// The budget of one upstream.
#[derive(Debug)]
pub struct Budget {
    allowance: Allowance,
    /// Requests of this window, and of the one before.
    requests: [u32; 2],
    /// Second tries likewise.
    tries: [u32; 2],
    /// When the window is over; it begins with the first request.
    until: Option<Instant>,
}

impl Budget {
    /// One of which nothing is spent.
    #[must_use]
    pub fn new(allowance: Allowance) -> Self {
        Self { allowance, requests: [0; 2], tries: [0; 2], until: None }
    }

    /// Allows more or less from now on; what was spent stays.
    pub fn allow(&mut self, allowance: Allowance) {
        self.allowance = allowance;
    }

    /// A request is sent for the first time.
    #[inline]
    pub fn request(&mut self, now: Instant) {
        if self.until.is_none_or(|until| now >= until) {
            self.turn(now);
        }
        self.requests[0] = self.requests[0].wrapping_add(1);
    }

    /// Whether a request could be sent once more.
    pub fn has_left(&mut self, now: Instant) -> bool {
        if self.until.is_none_or(|until| now >= until) {
            self.turn(now);
        }
        let Allowance { percent, floor } = self.allowance;
        let [requests, spent] =
            [self.requests, self.tries].map(|[own, former]| u64::from(own) + u64::from(former));
        // Without any budget there is no floor either: somebody has said that there are to be no second tries.
        percent > 0 && spent < u64::from(floor) + requests * u64::from(percent) / 100
    }

    /// Whether a request may be sent once more; then that is spent.
    pub fn spend(&mut self, now: Instant) -> bool {
        let may = self.has_left(now);
        self.tries[0] += u32::from(may);
        may
    }

    #[cold]
    fn turn(&mut self, now: Instant) {
        let late = self.until.is_none_or(|until| now.saturating_duration_since(until) >= WINDOW);
        for counts in [&mut self.requests, &mut self.tries] {
            *counts = [0, if late { 0 } else { counts[0] }];
        }
        self.until = Some(now + WINDOW);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many of `asked` second tries are allowed.
    fn spent(budget: &mut Budget, asked: u32, now: Instant) -> u32 {
        (0..asked).map(|_| u32::from(budget.spend(now))).sum()
    }

    #[test]
    fn a_part_of_the_requests_and_some_more_are_sent_again() {
        let mut now = Instant::now();
        let mut budget = Budget::new(Allowance::new(20, 1));
        assert_eq!(spent(&mut budget, 1000, now), 100, "ten a second for as long as they count");
        assert!(!budget.has_left(now));
        (0..1000).for_each(|_| budget.request(now));
        assert_eq!(spent(&mut budget, 1000, now), 200);
        now += WINDOW;
        assert_eq!(spent(&mut budget, 1000, now), 0, "they count still");
        now += WINDOW;
        assert_eq!(spent(&mut budget, 1000, now), 100, "and no more");
        now += 100 * SECOND;
        (0..10).for_each(|_| budget.request(now));
        assert_eq!(spent(&mut budget, 1000, now), 102);
    }

    #[test]
    fn over_minutes_no_more_are_sent_again_than_the_part_and_the_floor() {
        let mut now = Instant::now();
        let mut budget = Budget::new(Allowance::new(20, 1));
        let mut sum = 0;
        for _ in 0..600 {
            now += SECOND / 10;
            (0..100).for_each(|_| budget.request(now));
            sum += spent(&mut budget, 200, now);
        }
        let least = 60 * (200 + FLOOR);
        assert!((least..least + 400).contains(&sum), "{sum} in a minute");
    }

    #[test]
    fn workers_share_the_floor_and_no_budget_is_none() {
        let now = Instant::now();
        let all: u32 = (0..4).map(|_| spent(&mut Budget::new(Allowance::new(20, 4)), 1000, now)).sum();
        assert_eq!(all, 100);
        let mut none = Budget::new(Allowance::new(0, 1));
        (0..1000).for_each(|_| none.request(now));
        assert_eq!(spent(&mut none, 10, now), 0);
    }
}
