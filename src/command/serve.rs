//! The two planes, put together: listeners, the bridge, control, then one worker after the other.
//!
//! It owns the order of these steps and nothing that happens afterwards. Control comes first: it loads the store before
//! anyone is served, and a thread started from a pinned one would inherit its core. Next: [`data`], [`control`],
//! [`link`].

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::inherit::Inheritance;
use crate::access_log::writer::Writers;
use crate::handover::Use;
use crate::settings::Settings;
use crate::stats::lost::Lost;
use crate::tls::Trust;
use crate::{access_log, control, data, link};

/// `EX_SOFTWARE` of `sysexits.h`: the control thread ended without a word.
const SOFTWARE: u8 = 70;

/// How long the end of the process waits for the last lines of the access log, as for those of its own.
const LAST_LINES: Duration = Duration::from_secs(1);

/// A running balancer.
pub(super) struct Serving {
    addresses: Vec<SocketAddr>,
    control: JoinHandle<u8>,
    /// Of the access log.
    writers: Option<Writers>,
}

/// Starts everything. When it returns, clients are served. Lines of the process's own log that are missing are counted in
/// `lost`.
///
/// # Errors
/// What could not be had, in words that name it: an address, an open file, a thread.
pub(super) fn start(settings: Settings, lost: Lost, mut inheritance: Inheritance) -> io::Result<Serving> {
    let settings = Arc::new(settings);
    let mut there = |place: usize| settings.listen.get(place).map(|one| inheritance.queues(one));
    let mut bound = data::bind(&settings, |place| there(place).unwrap_or_default())?;
    let (addresses, listeners) = (bound.addresses.clone(), std::mem::take(&mut bound.workers));
    let (ends, control_end) = link::bridge(settings.workers, settings.admin.listen.is_none())
        .map_err(|error| named("cannot make the workers' mailboxes", &error))?;
    let (ready, first) = crossbeam_channel::bounded(1);
    let mut bind = |address: Option<SocketAddr>, purpose: Use, told: &str| {
        let one = |address| match inheritance.socket(purpose, address) {
            Some(socket) => Ok(socket),
            None => data::bind_admin(address, told),
        };
        address.map(one).transpose()
    };
    let (admin_at, metrics_at) = (settings.admin.listen, settings.seeing.metrics_listen);
    let admin = bind(admin_at, Use::Admin, "the admin API")?;
    let metrics = bind(metrics_at, Use::Metrics, "metrics")?;
    let others = [(Use::Admin, admin_at, admin.as_ref()), (Use::Metrics, metrics_at, metrics.as_ref())];
    inheritance
        .keep(&settings, bound, others)
        .map_err(|error| named("cannot keep the listening sockets for the next ELB", &error))?;
    let own = control::Listeners {
        admin: admin.map(Into::into),
        metrics: metrics.map(Into::into),
        data: addresses.clone(),
    };
    let access_log = settings.seeing.access_log.as_ref();
    let (log, writers) =
        access_log.map(|log| access_log::writer::start(log, settings.workers)).transpose()?.unzip();
    let logs = control::Logs { access: writers.as_ref().map(|writers| writers.handle.clone()), own: lost };
    let trust = trust(&settings)?;
    let toward = trust.toward().map_err(io::Error::other)?;
    let control =
        control::start(Arc::clone(&settings), own, logs, inheritance.rest(), control_end, ready, toward)?;
    // Without a first snapshot control has ended, and its exit code says how.
    let Ok(snapshot) = first.recv() else { return Ok(Serving { addresses: Vec::new(), control, writers }) };
    let clients = data::Clients::new(settings.max_connections_per_client);
    for (end, listeners) in ends.into_iter().zip(listeners) {
        let index = end.index;
        data::spawn(end, listeners, &settings, Arc::clone(&snapshot), (&clients, &trust), log.clone())
            .map_err(|error| named(&format!("cannot start worker {index}"), &error))?;
    }
    Ok(Serving { addresses, control, writers })
}

/// Whom servers with TLS are signed by.
fn trust(settings: &Settings) -> io::Result<Trust> {
    let Some(path) = &settings.tls.server_ca else { return Trust::new(None).map_err(io::Error::other) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| named(&format!("cannot read {}", path.display()), &error))?;
    Trust::new(Some((path, &text))).map_err(io::Error::other)
}

/// The same error with what was being done.
fn named(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

impl Serving {
    /// Where the data port is, with the ports that the kernel chose; empty when control ended at once.
    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Waits until control has ended everything.
    pub(super) fn wait(self) -> ExitCode {
        let code = self.control.join().unwrap_or(SOFTWARE);
        if let Some(writers) = self.writers {
            writers.finish(LAST_LINES);
        }
        ExitCode::from(code)
    }
}
