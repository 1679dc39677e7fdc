//! Lines on their way to the log: a bounded queue that is never waited for.
//!
//! It owns what waits and the count of what found no room, never the stream. Next: [`writer`](super::writer) takes the
//! lines out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use tracing_subscriber::fmt::MakeWriter;

use crate::stats::lost::Lost;

/// Lines that may wait for a slow reader: what a start and a change of thousands of keys say in a burst.
pub(super) const LINES: usize = 1024;
/// Bytes of a line. An error text may repeat what it complains of; with this bound the queue holds 8 MiB at most.
pub(super) const LONGEST: usize = 8 << 10;
/// What stands where a line was cut.
const CUT: &[u8] = b"...";

/// What the writer is given.
#[derive(Debug)]
pub(super) enum Entry {
    /// A line with its end, and how many found no room before it.
    Line { dropped: u64, text: Vec<u8> },
    /// Everything before this is written: say so.
    Flush(Sender<()>),
}

/// Everybody's end of the queue.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    entries: Sender<Entry>,
    /// Since it was told last.
    dropped: Arc<AtomicU64>,
    /// Since the start.
    pub(super) lost: Lost,
}

/// The writer's end.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) entries: Receiver<Entry>,
    dropped: Arc<AtomicU64>,
    pub(super) lost: Lost,
}

/// A queue with room for `lines`.
pub(super) fn queue(lines: usize) -> (Queue, Waiting) {
    let (give, entries) = bounded(lines);
    let dropped = Arc::new(AtomicU64::new(0));
    let lost = Lost::default();
    let queue = Queue { entries: give, dropped: Arc::clone(&dropped), lost: lost.clone() };
    (queue, Waiting { entries, dropped, lost })
}

impl Queue {
    /// Puts one line in, or counts it when there is no room. It never waits.
    pub(super) fn push(&self, text: &[u8]) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if self.entries.try_send(Entry::Line { dropped, text: one_line(text) }).is_err() {
            self.dropped.fetch_add(dropped + 1, Ordering::Relaxed);
            self.lost.add(1);
        }
    }

    /// Waits until what is in the queue now was written, but no longer than this. Says whether it was.
    pub(super) fn flush(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let (done, written) = bounded(1);
        self.entries.send_deadline(Entry::Flush(done), deadline).is_ok()
            && written.recv_deadline(deadline).is_ok()
    }
}

impl Waiting {
    /// How many lines found no room since the last one that did.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

/// An event is one line, however it is worded: what it repeats of a key or a message may hold line ends, and must not look
/// like a line of its own.
fn one_line(text: &[u8]) -> Vec<u8> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut line = Vec::with_capacity(text.len().min(LONGEST) + 1);
    for &byte in text {
        if line.len() >= LONGEST - CUT.len() - 2 {
            while line.last().is_some_and(|last| *last & 0xc0 == 0x80) {
                line.pop();
            }
            line.pop();
            line.extend_from_slice(CUT);
            break;
        }
        match byte {
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            byte => line.push(byte),
        }
    }
    line.push(b'\n');
    line
}

/// `tracing` writes each event by one call.
impl io::Write for &Queue {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.push(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = &'a Queue;

    fn make_writer(&'a self) -> &'a Queue {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_counts_and_the_next_line_that_has_room_carries_the_count() {
        let (queue, waiting) = queue(1);
        for text in ["one\n", "two\n", "three\n"] {
            queue.push(text.as_bytes());
        }
        let next = || match waiting.entries.try_recv().unwrap() {
            Entry::Line { dropped, text } => (dropped, String::from_utf8(text).unwrap()),
            Entry::Flush(_) => panic!("a line"),
        };
        assert_eq!(next(), (0, "one\n".to_owned()));
        queue.push(b"four\n");
        assert_eq!(next(), (2, "four\n".to_owned()));
        assert_eq!((waiting.take_dropped(), queue.lost.count()), (0, 2));
    }

    #[test]
    fn a_flush_of_a_queue_that_nobody_empties_ends_in_time() {
        let (queue, waiting) = queue(1);
        assert!(!queue.flush(Duration::from_millis(1)), "it was taken, and nobody said that it is done");
        assert!(!queue.flush(Duration::from_millis(1)), "there was no room");
        drop(waiting);
        assert!(!queue.flush(Duration::from_secs(3600)), "nobody is there");
        queue.push(b"to nobody\n");
    }

    #[test]
    fn an_event_is_one_line_and_has_an_end() {
        assert_eq!(one_line(b"a\n"), b"a\n");
        assert_eq!(one_line(b"key a\nERROR forged\r\n"), b"key a\\nERROR forged\\r\n");
        assert_eq!(one_line(b""), b"\n");
        for long in ["\u{e9}".repeat(LONGEST), "\n".repeat(LONGEST), "a".repeat(LONGEST + 1)] {
            let line = one_line(long.as_bytes());
            assert!(line.len() <= LONGEST && line.ends_with(b"...\n"), "{}", line.len());
            assert!(String::from_utf8(line).is_ok(), "cut between two characters");
        }
    }
}
