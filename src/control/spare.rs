//! When memory that nobody uses any more is given back to the system.
//!
//! It owns that judgement, by how much the process has and by what is told of large changes; never the giving back (that is
//! [`memory`]). Next: [`run`](super::run) asks once a second.

use std::time::{Duration, Instant};

use super::background::aside;
use super::reader::Reader;
use crate::memory;

/// Growth, in bytes, that is looked into: less is not worth the milliseconds that it takes.
const GROWTH: u64 = 32 << 20;
/// From what made it grow until it is looked into. What was needed for a moment is gone by then, and so are the threads that wrote
/// files, whose memory nobody can give back before they end.
const LATER: Duration = Duration::from_secs(3);

/// Has the two threads that read and apply changes let go of memory, and gives it back.
#[derive(Debug)]
pub(super) struct Spare {
    reader: Reader,
    course: Course,
}

impl Spare {
    pub(super) fn new(reader: Reader) -> Self {
        Self { reader, course: Course::default() }
    }

    /// To be asked about once a second. `is_likely`: something large has gone.
    pub(super) fn look(&mut self, is_likely: bool, now: Instant) {
        let Some(resident) = memory::resident() else { return };
        if self.course.is_due(resident, is_likely, now) {
            memory::let_go();
            let reader = self.reader.clone();
            // There is nothing to be given back any more when the process is ending.
            tokio::spawn(async move {
                let _ = reader.read(memory::let_go).await;
                let _ = aside(memory::give_back).await;
            });
        }
    }
}

/// What is known of the process's memory.
#[derive(Debug, Default)]
struct Course {
    /// How much there was when it was looked at last: that much is in use.
    rest: Option<u64>,
    due: Option<Instant>,
    /// Some was given back since, and the next look tells how much is left.
    is_new: bool,
}

impl Course {
    fn is_due(&mut self, resident: u64, is_likely: bool, now: Instant) -> bool {
        let is_first = self.rest.is_none();
        let rest = self.rest.filter(|_| !self.is_new).map_or(resident, |rest| rest.min(resident));
        self.rest = Some(rest);
        self.is_new = false;
        // A start may have read very much.
        if is_first || is_likely || resident > rest.saturating_add(GROWTH) {
            self.due.get_or_insert(now + LATER);
        }
        self.is_new = self.due.is_some_and(|due| now >= due);
        if self.is_new {
            self.due = None;
        }
        self.is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    /// When it was due, in seconds, of what was seen each second.
    fn dues(seen: &[(u64, bool)]) -> Vec<usize> {
        let (mut course, begun) = (Course::default(), Instant::now());
        let at = |second: usize| begun + Duration::from_secs(second as u64);
        let due = |(second, (megabytes, is_likely)): (usize, &(u64, bool))| {
            course.is_due(megabytes * MB, *is_likely, at(second)).then_some(second)
        };
        seen.iter().enumerate().filter_map(due).collect()
    }

    #[test]
    fn growth_is_looked_into_once() {
        let stays: Vec<_> =
            [20, 20].into_iter().chain([300; 20]).map(|megabytes| (megabytes, false)).collect();
        assert_eq!(dues(&stays), [3], "all of it is in use");
        let falls: Vec<_> = [20, 300, 300, 300, 300, 40, 40, 70, 80, 80, 80, 80, 80]
            .map(|megabytes| (megabytes, false))
            .into();
        assert_eq!(dues(&falls), [3, 11], "what was given back is measured from anew");
    }

    #[test]
    fn what_is_told_of_is_looked_into_without_growth() {
        let mut seen = [(300, false); 12];
        seen[2].1 = true;
        seen[4].1 = true;
        assert_eq!(dues(&seen), [3, 7], "the first is that of the start");
        let little: Vec<_> = (0..20).map(|second| (20 + second, false)).collect();
        assert_eq!(dues(&little), [3]);
    }
}
