//! Whom clients are signed by: a file that is read at the start, and again when it has changed.
//!
//! It owns the reading of that file; never a certificate of a client. Next: [`keeper`](super::keeper) looks at it now and then.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::folder::text;
use crate::settings::unreadable;
use crate::tls::ClientTrust;

/// One file.
#[derive(Debug)]
pub(super) struct ClientCa {
    path: PathBuf,
    must: bool,
    /// When the file that could be used was changed, how long it was, and what it said; nothing before it was read.
    read: Option<((SystemTime, u64), ClientTrust)>,
}

impl ClientCa {
    /// A file that was not read yet.
    pub(super) fn new(path: &Path, must: bool) -> Self {
        Self { path: path.to_owned(), must, read: None }
    }

    /// What it said last.
    pub(super) fn trust(&self) -> Option<&ClientTrust> {
        self.read.as_ref().map(|(_, trust)| trust)
    }

    /// Reads it if it has changed. Says whether it has.
    ///
    /// # Errors
    /// Why it cannot be used; what it said before holds on.
    pub(super) fn look(&mut self) -> Result<bool, String> {
        let told = |error| unreadable(&self.path, &error);
        let stamp =
            fs::metadata(&self.path).and_then(|file| Ok((file.modified()?, file.len()))).map_err(told)?;
        if self.read.as_ref().is_some_and(|(known, _)| *known == stamp) {
            return Ok(false);
        }
        let trust = ClientTrust::read(&self.path, &text(&self.path)?, self.must)?;
        self.read = Some((stamp, trust));
        Ok(true)
    }
}
