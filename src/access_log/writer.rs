//! The threads that make lines of entries and write them: one for every few workers.
//!
//! It owns the threads. They alone wait for a disk or a reader. Next: [`format`](super::format), [`sink`](super::sink).

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::batch::{AccessLog, Batch, Batches, ends};
use super::entry::Entry;
use super::format::line::Lines;
use super::sink::Sink;
use crate::settings::{AccessLogFormat, AccessLogSettings};
use crate::stats::lost::Lost;

/// Workers for each writer: a line takes about a tenth of what its request takes of a worker.
const WORKERS: usize = 4;

/// What is left to whoever started the log.
#[derive(Debug)]
pub struct Writers {
    /// For whoever gives it orders.
    pub handle: LogHandle,
    /// Nobody sends here: it ends with the last writer.
    ended: Receiver<()>,
}

/// How the log is asked and told something while it runs.
#[derive(Debug, Clone)]
pub struct LogHandle {
    /// Requests that have no line.
    pub lost: Lost,
    reopen: Sender<()>,
}

impl LogHandle {
    /// Has the place opened again, soon: its file was moved. One order at a time is enough.
    pub fn reopen(&self) {
        let _ = self.reopen.try_send(());
    }
}

/// Opens the place and starts the writers; gives what each worker gets a copy of.
///
/// # Errors
/// The place cannot be opened, or the kernel refuses a thread.
pub fn start(settings: &AccessLogSettings, workers: usize) -> io::Result<(AccessLog, Writers)> {
    let told = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot open the access log {}: {error}", settings.to))
    };
    let sink = Arc::new(Mutex::new(Sink::open(settings.to.clone()).map_err(told)?));
    let shows_forwarded_for = settings.format == AccessLogFormat::Eru;
    let (log, batches) = ends(workers, settings.only, shows_forwarded_for);
    let ((reopen, orders), (alive, ended)) = (bounded(1), bounded(0));
    for number in 0..workers.div_ceil(WORKERS) {
        let writer = Writer {
            sink: Arc::clone(&sink),
            lines: Lines::new(settings.format),
            batches: batches.clone(),
            orders: orders.clone(),
            out: Vec::new(),
            _alive: alive.clone(),
        };
        thread::Builder::new().name(format!("elb-access-{number}")).spawn(move || writer.run())?;
    }
    Ok((log, Writers { handle: LogHandle { lost: batches.lost, reopen }, ended }))
}

impl Writers {
    /// Waits until the last lines are written, once no worker can log any more; but no longer than this.
    pub fn finish(self, within: Duration) {
        let _ = self.ended.recv_timeout(within);
    }
}

struct Writer {
    sink: Arc<Mutex<Sink>>,
    lines: Lines,
    batches: Batches,
    orders: Receiver<()>,
    /// Lines of one batch.
    out: Vec<u8>,
    _alive: Sender<()>,
}

impl Writer {
    fn run(mut self) {
        loop {
            select! {
                recv(self.batches.full) -> batch => match batch {
                    Ok(batch) => self.write(batch),
                    Err(_) => return,
                },
                recv(self.orders) -> order => if order.is_ok() { self.reopen() } else { self.orders = crossbeam_channel::never() },
            }
        }
    }

    fn write(&mut self, batch: Box<Batch>) {
        self.out.clear();
        let mut rest = batch.bytes.as_slice();
        while let Some((entry, next)) = Entry::decode(rest) {
            self.lines.write(&entry, batch.began, &mut self.out);
            rest = next;
        }
        // A lock that a panic poisoned still holds a stream.
        let lost = self.sink.lock().unwrap_or_else(PoisonError::into_inner).write(&self.out);
        if lost > 0 {
            self.batches.lost.add(lost);
        }
        // There is room for all batches that there are.
        let _ = self.batches.free.try_send(batch);
    }

    fn reopen(&mut self) {
        match self.sink.lock().unwrap_or_else(PoisonError::into_inner).reopen() {
            Ok(()) => tracing::info!("the access log is opened again"),
            Err(error) => {
                tracing::error!("the access log cannot be opened again, the former goes on: {error}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::access_log::entry::{Numbers, TEXTS};
    use crate::settings::{AccessLogOnly, AccessLogTo};

    #[test]
    fn every_entry_is_a_line_before_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let settings = AccessLogSettings {
            to: AccessLogTo::Path(path.clone()),
            format: AccessLogFormat::Json,
            only: AccessLogOnly::default(),
        };
        let (log, writers) = start(&settings, 8).unwrap();
        let entry = Entry { numbers: Numbers::default(), texts: [b"x"; TEXTS] };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let mut log = log.clone();
                scope.spawn(move || {
                    (0..1000).for_each(|_| log.push(&entry, Instant::now()));
                    log.send();
                });
            }
        });
        drop(log);
        let lost = writers.handle.lost.clone();
        writers.finish(Duration::from_secs(20));
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count() as u64 + lost.count(), 8000);
        assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }
}
