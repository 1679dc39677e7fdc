//! The program of this process, started once more, so that a new build takes the place of the old one.
//!
//! It owns what the new process is started with, and that a failed one is ended; never what the two say to each other. Next:
//! [`succession`](super::succession) has it started.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use tokio::process::{Child, Command};

/// Variables that are for one process alone: its listening sockets, and whose signs of life are waited for.
const OWN: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// How this process was started.
#[derive(Debug, Clone)]
pub struct Program {
    /// What it was called by.
    called: PathBuf,
    /// The file that it was, when it started.
    file: Option<PathBuf>,
    arguments: Vec<OsString>,
}

impl Program {
    /// That of this process; to be asked before its file may have been replaced.
    #[must_use]
    pub fn of_this_process() -> Self {
        let mut words = env::args_os();
        let called = words.next().unwrap_or_default().into();
        Self { called, file: env::current_exe().ok(), arguments: words.collect() }
    }

    /// The file that is started: as it was called, so that a link that leads to another build by now is followed anew. A name without a
    /// folder may mean anything, and some managers make one up.
    fn path(&self) -> &Path {
        let has_folder = self.called.components().count() > 1;
        match &self.file {
            Some(file) if !has_folder || !self.called.is_file() => file,
            _ => &self.called,
        }
    }

    /// Starts it with the same arguments and variables, in the same folder, with the same log.
    ///
    /// # Errors
    /// There is no such program any more, or no process.
    pub(super) fn start(&self) -> io::Result<Child> {
        let path = self.path();
        let mut command = Command::new(path);
        command.args(&self.arguments);
        for name in OWN {
            command.env_remove(name);
        }
        command.spawn().map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }
}

/// Ends a process that did not get ready, and waits for its end aside.
pub(super) fn end(mut child: Child) {
    // It may have ended by itself.
    let _ = child.start_kill();
    tokio::spawn(async move { child.wait().await });
}
