//! What a server has to do right now, over all workers: requests under way, and how soon it answers.
//!
//! It owns these counts, which are written for each request where a method of balancing or `max_conns` needs them, and never
//! otherwise; never a choice, and no clock: times are ticks of the [`ServerState`] that it belongs to. Next:
//! `data::balancer::general`, which writes it, and the methods that read it.
//!
//! [`ServerState`]: super::server_state::ServerState

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The part of a new latency that enters the average, in its logarithm: one answer that took a hundred times as long as
/// usual makes the average four times as long, and eight of them in a row nearly a hundred times.
const NEW: f64 = 0.3;

/// The load of one server. A cache line of its own: it changes with each request, and what is known of the server's health
/// does not.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct ServerLoad {
    /// Requests under way.
    active: AtomicU32,
    /// Those that no byte of an answer has come to, where somebody wants to know.
    waiting: AtomicU32,
    /// When the first request was sent after the last answer. Those that were sent before that answer and still wait are slow by
    /// themselves: the server has answered another meanwhile.
    silent_since: AtomicU64,
    /// Nanoseconds to an answer, averaged; 0 when no answer has come yet.
    latency: AtomicU64,
    /// When the last answer came.
    answered: AtomicU64,
    /// When a request was last sent to it though it was silent.
    probed: AtomicU64,
}

const _: () = assert!(size_of::<ServerLoad>() == 64, "one cache line");

impl ServerLoad {
    /// Requests under way.
    #[inline]
    pub fn active(&self) -> u32 {
        self.active.load(Ordering::Relaxed)
    }

    /// One more request, if fewer than `limit` are under way; any number are with `u32::MAX`. Exact over all workers.
    pub fn enter(&self, limit: u32) -> bool {
        if limit == u32::MAX {
            self.add(1);
            return true;
        }
        let more = |active: u32| (active < limit).then(|| active + 1);
        self.active.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).is_ok()
    }

    /// So many requests are over, or count here no longer.
    pub fn leave(&self, requests: u32) {
        let before = self.active.fetch_sub(requests, Ordering::AcqRel);
        debug_assert!(before >= requests, "whoever leaves has entered");
    }

    /// So many requests are under way that did not count until now.
    pub fn add(&self, requests: u32) {
        self.active.fetch_add(requests, Ordering::AcqRel);
    }

    /// A request that entered waits for its answer.
    pub fn wait(&self, now: u64) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let answered = self.answered.load(Ordering::Relaxed);
        if self.silent_since.load(Ordering::Relaxed) <= answered {
            self.silent_since.fetch_max(now.max(answered + 1), Ordering::AcqRel);
        }
    }

    /// It waits no longer; something came, or (`None`) nothing that says how fast the server is.
    pub fn answer(&self, took: Option<u64>, now: u64) {
        let before = self.waiting.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before > 0, "whoever is answered has waited");
        let Some(took) = took else { return };
        self.answered.fetch_max(now, Ordering::AcqRel);
        // Of two workers that do this at once one may be lost, which an average bears.
        let took = took.max(1);
        let latency = match self.latency.load(Ordering::Relaxed) {
            0 => took,
            known => (known as f64 * (took as f64 / known as f64).powf(NEW)) as u64,
        };
        self.latency.store(latency.max(1), Ordering::Relaxed);
    }

    /// The average time to an answer in nanoseconds, and the ticks of the last one; nothing before the first.
    #[inline]
    pub fn latency(&self) -> Option<(u64, u64)> {
        match self.latency.load(Ordering::Relaxed) {
            0 => None,
            latency => Some((latency, self.answered.load(Ordering::Relaxed))),
        }
    }

    /// Requests that wait for an answer.
    #[inline]
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// For how many nanoseconds nothing has come though somebody waits.
    #[inline]
    pub fn silence(&self, now: u64) -> u64 {
        let since = self.silent_since.load(Ordering::Relaxed);
        match self.waiting() {
            0 => 0,
            _ if since <= self.answered.load(Ordering::Relaxed) => 0,
            _ => now.saturating_sub(since),
        }
    }

    /// Whether a request is to be sent to it though it is silent, to see: one each `interval` nanoseconds, of all workers'.
    pub fn probe(&self, interval: u64, now: u64) -> bool {
        let probed = self.probed.load(Ordering::Relaxed).max(self.silent_since.load(Ordering::Relaxed));
        now.saturating_sub(probed) > interval && self.probed.fetch_max(now, Ordering::AcqRel) <= probed
    }

    /// What it did before says nothing of it any more.
    pub(super) fn forget(&self) {
        self.latency.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_enter_than_the_limit_says_however_many_workers_try() {
        let load = ServerLoad::default();
        let most = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        if load.enter(3) {
                            most.fetch_max(load.active(), Ordering::Relaxed);
                            load.leave(1);
                        }
                    }
                });
            }
        });
        assert_eq!(load.active(), 0);
        assert!((1..=3).contains(&most.into_inner()));
        assert!(!load.enter(0) && load.enter(u32::MAX));
    }

    #[test]
    fn an_outlier_moves_the_average_little_and_a_change_moves_it_soon() {
        let load = ServerLoad::default();
        let mut now = 1;
        let mut answer = |took: u64| {
            load.wait(now);
            now += took;
            load.answer(Some(took), now);
            load.latency().unwrap().0
        };
        assert_eq!(answer(10_000), 10_000);
        assert!((30_000..50_000).contains(&answer(1_000_000)));
        (0..20).for_each(|_| {
            answer(10_000);
        });
        assert!((9_900..10_200).contains(&answer(10_000)));
        let slow = (0..8).map(|_| answer(1_000_000)).last().unwrap();
        assert!((700_000..1_000_000).contains(&slow), "{slow}");
    }

    #[test]
    fn silence_is_since_the_first_request_after_the_last_answer() {
        let load = ServerLoad::default();
        assert_eq!(load.silence(500), 0);
        load.wait(1_000);
        load.wait(1_500);
        assert_eq!(load.silence(2_000), 1_000);
        load.answer(Some(500), 2_000);
        assert_eq!(load.silence(9_000), 0, "whoever waits still is slow by himself");
        load.wait(9_000);
        assert_eq!(load.silence(9_500), 500);
        load.answer(None, 9_600);
        load.answer(None, 9_600);
        assert_eq!((load.silence(9_700), load.waiting()), (0, 0));
        load.wait(9_700);
        assert_eq!(load.silence(10_000), 1_000, "it has answered nobody since");
        assert!(!load.probe(1_000, 10_000) && load.probe(1_000, 10_001) && !load.probe(1_000, 11_001));
        assert!(load.probe(1_000, 11_002));
        // In one moment.
        load.answer(Some(1), 20_000);
        load.wait(20_000);
        assert_eq!(load.silence(20_501), 500);
    }
}
