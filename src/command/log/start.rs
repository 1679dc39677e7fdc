//! Which lines are written, and the way of a panic into the log.
//!
//! It owns the beginning of the log, never what is in a line. Libraries speak from warnings upwards, so that
//! `--log-level debug` shows ELB and not its dependencies. Next:
//! [`form`](super::form) for the form of a line.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal};
use std::time::Duration;
use std::{panic, thread};

use tracing::Level;
use tracing_subscriber::EnvFilter;

use super::form::{Form, Lines};
use super::queue::{LINES, Queue, queue};
use super::writer::Writer;
use crate::settings::Settings;
use crate::stats::lost::Lost;

/// How long the end of the process waits for the last lines: far more than a reader needs that reads, also on a busy machine,
/// and short beside the ten seconds that `docker stop` leaves.
const LAST: Duration = Duration::from_secs(1);

/// The log of this process.
#[derive(Debug)]
pub(in crate::command) struct Log {
    queue: Queue,
}

/// Starts the log at the level and in the form of these settings; panics of all threads go there as well. The first call
/// counts.
///
/// # Errors
/// The kernel refuses a thread.
pub(in crate::command) fn start(settings: &Settings) -> io::Result<Log> {
    let form = Form::of(settings.seeing.log_format);
    let (queue, waiting) = queue(LINES);
    let writer = Writer::new(io::stderr(), waiting, form);
    thread::Builder::new().name("elb-log".to_owned()).spawn(move || writer.run())?;
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter(&settings.log_level)))
        .with_writer(queue.clone())
        .with_ansi(form == Form::Text && io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        // It would complain on standard error of what is wrong with standard error, and panic when that fails.
        .log_internal_errors(false)
        .event_format(Lines::new(form))
        .try_init();
    log_panics(queue.clone(), form);
    Ok(Log { queue })
}

impl Log {
    /// Where its lines are counted that are missing.
    pub(in crate::command) fn lost(&self) -> Lost {
        self.queue.lost.clone()
    }

    /// Writes the last lines, as far as someone takes them.
    pub(in crate::command) fn finish(self) {
        self.queue.flush(LAST);
    }
}

fn filter(level: &str) -> String {
    match level {
        "off" | "error" | "warn" => level.to_owned(),
        level => format!("warn,elb={level}"),
    }
}

/// A panic ends the process (see the profile in `Cargo.toml`), and must not wait for a pipe that nobody reads. What is in
/// the queue before it says what led there.
fn log_panics(queue: Queue, form: Form) {
    panic::set_hook(Box::new(move |info| {
        let thread = thread::current();
        let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let message = info.payload_as_str().unwrap_or("no message");
        let told = format!("thread '{}' panicked at {place}: {message}", thread.name().unwrap_or("?"));
        queue.push(form.line(Level::ERROR, &told).as_bytes());
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            let lines = backtrace.to_string();
            lines.lines().for_each(|line| queue.push(form.continued(Level::ERROR, line).as_bytes()));
        }
        queue.flush(LAST);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_a_filter() {
        for level in ["off", "error", "warn", "info", "debug", "trace"] {
            assert!(EnvFilter::try_new(filter(level)).is_ok(), "{level}");
        }
        assert_eq!(filter("debug"), "warn,elb=debug");
    }
}
