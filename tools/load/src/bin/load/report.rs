//! What was measured, as one line of JSON.
//!
//! It owns the numbers of one loop and their sum, never how they came about. Next: `main` prints it.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

use load::histogram::Histogram;

/// Why a request was not answered as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection ended before the answer was whole, or while it waited for its next request.
    Closed,
    /// Another status than 200.
    Status,
    /// No length of the body, or another one, or more bytes than it.
    Length,
}

/// The numbers.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Answers while it was measured.
    pub(crate) requests: u64,
    /// Their latencies.
    pub(crate) latencies: Histogram,
    /// By [`Fault`], at any time.
    pub(crate) faults: [u64; 3],
}

impl Report {
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.latencies.add(&other.latencies);
        self.faults.iter_mut().zip(other.faults).for_each(|(mine, theirs)| *mine += theirs);
    }

    pub(crate) fn text(&self, measured: Duration) -> String {
        let [closed, status, length] = self.faults;
        let mut text = format!(
            "{{\"event\": \"end\", \"seconds\": {:.6}, \"requests\": {}, \"errors\": {}, \
             \"faults\": {{\"closed\": {closed}, \"status\": {status}, \"length\": {length}}}",
            measured.as_secs_f64(),
            self.requests,
            closed + status + length,
        );
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)] {
            let microseconds = self.latencies.percentile(share) as f64 / 1e3;
            // Writing into a String cannot fail.
            let _ = write!(text, ", \"{name}\": {microseconds:.1}");
        }
        text.push('}');
        text
    }
}

/// Prints a line at once, also into a pipe. Without a reader the words are for nobody.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
