//! The one thread that writes the log, at the pace of whoever reads it.
//!
//! It owns the stream and what is told of lines that are missing. It alone waits: a pipe that nobody reads stops this
//! thread, and a full disk or a closed pipe costs it the line. Next: [`start`](mod@super::start) gives it standard
//! error.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use tracing::Level;

use super::form::Form;
use super::queue::{Entry, Waiting};

/// A stream that is set to not block (whoever shares it may do that) is tried again after so long.
const AGAIN: Duration = Duration::from_millis(20);

/// The thread's state.
pub(super) struct Writer<W> {
    out: W,
    waiting: Waiting,
    /// That of all other lines.
    form: Form,
    /// Lines that are missing, and not told of yet.
    missing: u64,
    /// The last line ends somewhere in the middle.
    torn: bool,
}

impl<W: Write> Writer<W> {
    /// A writer to this stream, whose lines have this form.
    pub(super) fn new(out: W, waiting: Waiting, form: Form) -> Self {
        Self { out, waiting, form, missing: 0, torn: false }
    }

    /// Writes until nobody can log any more.
    pub(super) fn run(mut self) {
        while let Ok(entry) = self.waiting.entries.recv() {
            match entry {
                Entry::Line { dropped, text } => {
                    self.missing += dropped;
                    if !(self.tell_missing() && self.put(&text)) {
                        self.missing += 1;
                        self.waiting.lost.add(1);
                    }
                }
                Entry::Flush(done) => drop(done.try_send(())),
            }
            // No line may come for a long time, and whoever reads now should know.
            if self.waiting.entries.is_empty() {
                let dropped = self.waiting.take_dropped();
                self.missing += dropped;
                if dropped > 0 {
                    self.tell_missing();
                }
            }
        }
    }

    /// Says how many lines are missing here, if any are. False when that cannot be written either.
    fn tell_missing(&mut self) -> bool {
        if self.missing == 0 {
            return true;
        }
        let told = format!(
            "{} lines of the log are missing here: it could not be written, or was not read in time",
            self.missing
        );
        let written = self.put((self.form.line(Level::WARN, &told) + "\n").as_bytes());
        if written {
            self.missing = 0;
        }
        written
    }

    /// Writes one line whole. False when it could not be, or not to its end.
    fn put(&mut self, line: &[u8]) -> bool {
        if self.torn {
            if self.write(b"\n").is_err() {
                return false;
            }
            self.torn = false;
        }
        match self.write(line) {
            Ok(()) => true,
            Err(written) => {
                self.torn = written > 0;
                false
            }
        }
    }

    /// Writes these bytes, and waits where a stream wants to be waited for. The error is how many were written.
    fn write(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(0) => return Err(bytes.len() - rest.len()),
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(AGAIN),
                Err(_) => return Err(bytes.len() - rest.len()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::queue::queue;
    use super::*;
    use std::collections::VecDeque;

    /// A stream that takes so many bytes of each write, or fails it.
    struct Script<'a> {
        steps: VecDeque<Result<usize, io::ErrorKind>>,
        written: &'a mut Vec<u8>,
    }

    impl Write for Script<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = self.steps.pop_front().unwrap_or(Ok(usize::MAX))?.min(bytes.len());
            self.written.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of these lines by a stream of these steps; the time of what the writer says itself left out.
    fn written(lines: &[&str], room: usize, steps: &[Result<usize, io::ErrorKind>]) -> Vec<String> {
        let (queue, waiting) = queue(room);
        lines.iter().for_each(|line| queue.push(line.as_bytes()));
        drop(queue);
        let mut bytes = Vec::new();
        Writer::new(
            Script { steps: steps.iter().copied().collect(), written: &mut bytes },
            waiting,
            Form::Text,
        )
        .run();
        let text = String::from_utf8(bytes).unwrap();
        let told = |line: &str| line.split_once("  WARN ").map_or(line, |(_, told)| told).to_owned();
        text.lines().map(|line| told(line).split(':').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn a_stream_that_fails_loses_the_line_and_the_next_one_tells_how_many() {
        let broken = Err(io::ErrorKind::BrokenPipe);
        assert_eq!(written(&["a", "b"], 9, &[]), ["a", "b"]);
        // `b` is tried after `a` failed, so the word that `a` is missing is what fails then.
        assert_eq!(
            written(&["a", "b", "c"], 9, &[broken, broken]),
            ["2 lines of the log are missing here", "c"]
        );
        assert_eq!(written(&["a", "b"], 9, &[broken; 9]), [""; 0]);
        assert_eq!(written(&["a"], 9, &[Ok(0)]), [""; 0]);
    }

    #[test]
    fn what_could_not_be_written_is_counted_for_good() {
        let (queue, waiting) = queue(9);
        let lost = waiting.lost.clone();
        ["a", "b", "c"].iter().for_each(|line| queue.push(line.as_bytes()));
        drop(queue);
        let mut bytes = Vec::new();
        let steps = [Err(io::ErrorKind::BrokenPipe)].into();
        Writer::new(Script { steps, written: &mut bytes }, waiting, Form::Text).run();
        assert_eq!(lost.count(), 1, "{}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_line_that_was_written_in_part_is_ended_before_the_next() {
        let full = Err(io::ErrorKind::StorageFull);
        assert_eq!(
            written(&["abc", "d"], 9, &[Ok(2), full]),
            ["ab", "1 lines of the log are missing here", "d"]
        );
        assert_eq!(written(&["abc", "d"], 9, &[Ok(2), Ok(1), Err(io::ErrorKind::Interrupted)]), ["abc", "d"]);
    }

    #[test]
    fn a_stream_that_would_block_is_waited_for() {
        let blocked = Err(io::ErrorKind::WouldBlock);
        assert_eq!(written(&["abc", "d"], 9, &[Ok(1), blocked, blocked]), ["abc", "d"]);
    }

    #[test]
    fn what_found_no_room_is_told_when_the_queue_is_empty_again() {
        assert_eq!(written(&["a", "b", "c", "d"], 2, &[]), ["a", "b", "2 lines of the log are missing here"]);
    }

    #[test]
    fn a_flush_waits_for_what_was_said_before_it() {
        let (queue, waiting) = queue(9);
        queue.push(b"a");
        thread::scope(|scope| {
            scope.spawn(|| Writer::new(io::sink(), waiting, Form::Text).run());
            assert!(queue.flush(Duration::from_secs(60)));
            drop(queue);
        });
    }
}
