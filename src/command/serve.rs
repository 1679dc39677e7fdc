//! The two planes, put together: listeners, the bridge, control, then one worker after the other.
//!
//! It owns the order of these steps and nothing that happens afterwards. Control comes first: it loads the store before
//! anyone is served, and a thread started from a pinned one would inherit its core. Next: `data`, `control`, `link`.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread::JoinHandle;

use crate::settings::Settings;

/// `EX_SOFTWARE` of `sysexits.h`: the control thread ended without a word.
const SOFTWARE: u8 = 70;

/// A running balancer.
pub(super) struct Serving {
    addresses: Vec<SocketAddr>,
    control: JoinHandle<u8>,
}

/// Starts everything. When it returns, clients are served.
///
/// # Errors
/// What could not be had, in words that name it: an address, an open file, a thread.
pub(super) fn start(settings: Settings) -> io::Result<Serving> {
    drop(settings);
    Err(io::Error::new(io::ErrorKind::Unsupported, "the planes are not put together yet"))
}

impl Serving {
    /// Where the data port is, with the ports that the kernel chose; empty when control ended at once.
    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Waits until control has ended everything.
    pub(super) fn wait(self) -> ExitCode {
        ExitCode::from(self.control.join().unwrap_or(SOFTWARE))
    }
}
