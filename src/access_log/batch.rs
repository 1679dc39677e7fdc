//! Entries on their way from a worker to a writer: in batches, of which there is a bounded number.
//!
//! It owns the worker's end: what is put into a batch, when that leaves, and the count of what finds no room. It never waits and
//! never formats. Next: [`writer`](super::writer) is the other end.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::entry::{Entry, LONGEST_ENTRY, Numbers};
use crate::settings::AccessLogOnly;
use crate::stats::lost::Lost;

/// Bytes of a batch: some hundred requests, so that handing one over costs each of them nothing.
const BATCH: usize = 128 << 10;
/// Batches for each worker. All of them together, 4 MiB, are what a writer may be behind: a tenth of a second at full load.
const BATCHES: usize = 32;
/// How long an entry waits for others to come into its batch.
const WAIT: Duration = Duration::from_millis(100);

/// Entries, and the moment that their times count from.
#[derive(Debug)]
pub struct Batch {
    /// One behind the other.
    pub bytes: Vec<u8>,
    /// When it began, since 1970.
    pub began: Duration,
    /// How many there are.
    pub entries: u64,
    began_at: Instant,
}

/// A worker's end. A copy is another worker's, and begins without a batch.
#[derive(Debug)]
pub struct AccessLog {
    /// Which requests are logged.
    only: AccessLogOnly,
    forwarded_for: bool,
    batch: Option<Box<Batch>>,
    free: Receiver<Box<Batch>>,
    full: Sender<Box<Batch>>,
    lost: Lost,
}

impl Clone for AccessLog {
    fn clone(&self) -> Self {
        let Self { only, forwarded_for, free, full, lost, .. } = self;
        Self {
            only: *only,
            forwarded_for: *forwarded_for,
            batch: None,
            free: free.clone(),
            full: full.clone(),
            lost: lost.clone(),
        }
    }
}

impl Batch {
    fn new() -> Self {
        Self { bytes: Vec::with_capacity(BATCH), began: Duration::ZERO, entries: 0, began_at: Instant::now() }
    }
}

/// The writers' end.
#[derive(Debug, Clone)]
pub struct Batches {
    /// Batches to be written.
    pub full: Receiver<Box<Batch>>,
    /// Where they go back to.
    pub free: Sender<Box<Batch>>,
    /// Entries that were not written.
    pub lost: Lost,
}

/// The ends for so many workers, each to be given a copy of the first. `forwarded_for` says whether lines have that field.
#[must_use]
pub fn ends(workers: usize, only: AccessLogOnly, forwarded_for: bool) -> (AccessLog, Batches) {
    let most = BATCHES * workers.max(1);
    let ((full, out), (free, back), lost) = (bounded(most), bounded(most), Lost::default());
    for _ in 0..most {
        // There is room for all of them. Memory that was never written to costs nothing.
        let _ = free.try_send(Box::new(Batch::new()));
    }
    let log = AccessLog { only, forwarded_for, batch: None, free: back, full, lost: lost.clone() };
    (log, Batches { full: out, free, lost })
}

impl AccessLog {
    /// Whether lines show `X-Forwarded-For`, so that it is to be looked up.
    #[must_use]
    pub fn shows_forwarded_for(&self) -> bool {
        self.forwarded_for
    }

    /// Whether a request has a line: one that ended so, and took so many microseconds.
    #[must_use]
    pub fn wants(&self, is_error: bool, total: u32) -> bool {
        let AccessLogOnly { errors, slow } = self.only;
        let is_slow = slow.is_some_and(|slow| Duration::from_micros(total.into()) >= slow);
        (!errors && slow.is_none()) || (errors && is_error) || is_slow
    }

    /// Puts a request in that was over at `ended`; or counts it as lost.
    pub fn push(&mut self, entry: &Entry<'_>, ended: Instant) {
        if self.batch.as_ref().is_some_and(|batch| batch.bytes.len() + LONGEST_ENTRY > BATCH) {
            self.send();
        }
        if self.batch.is_none() {
            self.batch = self.free.try_recv().ok();
            if let Some(batch) = &mut self.batch {
                batch.bytes.clear();
                (batch.entries, batch.began, batch.began_at) = (0, calendar(), ended);
            }
        }
        let Some(batch) = &mut self.batch else { return self.lost.add(1) };
        let after = ended.saturating_duration_since(batch.began_at).as_micros();
        let numbers = Numbers { ended: u64::try_from(after).unwrap_or(u64::MAX), ..entry.numbers };
        Entry { numbers, ..*entry }.encode(&mut batch.bytes);
        batch.entries += 1;
    }

    /// When what is there is to leave.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.batch.as_ref().map(|batch| batch.began_at + WAIT)
    }

    /// Hands over what is there.
    pub fn send(&mut self) {
        if let Some(batch) = self.batch.take() {
            let entries = batch.entries;
            // There is room for all batches that there are; without a writer nobody takes one.
            if self.full.try_send(batch).is_err() {
                self.lost.add(entries);
            }
        }
    }
}

/// The time since 1970; a clock that is wrong shows that year.
fn calendar() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::entry::TEXTS;

    const ALL: AccessLogOnly = AccessLogOnly { errors: false, slow: None };

    #[test]
    fn a_writer_that_takes_nothing_costs_lines_and_they_are_counted() {
        let (mut log, batches) = ends(1, ALL, false);
        let entry = Entry { numbers: Numbers::default(), texts: [&[b'x'; 2000]; TEXTS] };
        let (mut pushed, now) = (0, Instant::now());
        while batches.lost.count() < 10 {
            log.push(&entry, now);
            pushed += 1;
        }
        log.send();
        let waiting: u64 = batches.full.try_iter().map(|batch| batch.entries).sum();
        assert_eq!(waiting + 10, pushed);
        assert_eq!(log.due(), None);
        assert!(pushed > 500, "{pushed}");
        // One that comes back takes further ones.
        batches.free.try_send(Box::new(Batch::new())).unwrap();
        log.push(&entry, now);
        assert_eq!((batches.lost.count(), log.due()), (10, Some(now + WAIT)));
        drop(batches.full);
        log.send();
        assert_eq!(batches.lost.count(), 11, "nobody is there");
    }

    #[test]
    fn what_is_wanted_is_logged() {
        let wants = |errors, slow| {
            let (log, _) = ends(1, AccessLogOnly { errors, slow }, false);
            [log.wants(false, 5), log.wants(true, 5), log.wants(false, 2_000_000)]
        };
        let slow = Some(Duration::from_secs(1));
        assert_eq!(wants(false, None), [true; 3]);
        assert_eq!(wants(true, None), [false, true, false]);
        assert_eq!(wants(false, slow), [false, false, true]);
        assert_eq!(wants(true, slow), [false, true, true]);
    }
}
