//! The last good contents of the store, kept on this machine's disk for a start without it.
//!
//! It owns the form of that file and the tolerance towards a broken one; never the decision what is good or when it
//! is used. Next: `replace` writes it, the hub asks for it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::replace::replace;
use crate::model::{Contents, Servers};

/// The form of the file. Another number is another form, and the file is ignored.
const FORMAT: u32 = 1;

/// A file that keeps the last good contents of the store of one ELB name.
#[derive(Debug, Clone)]
pub struct StateFile {
    path: PathBuf,
    name: String,
}

/// What was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The contents.
    pub contents: Contents,
    /// The revision of the store that they are from.
    pub revision: i64,
    /// When they were saved, in whole seconds.
    pub at: SystemTime,
}

#[derive(Serialize, Deserialize)]
struct Form {
    format: u32,
    name: String,
    revision: i64,
    /// Seconds since 1970.
    saved: u64,
    /// Texts and not values, so that what comes back is what the store held, to the letter.
    rules: BTreeMap<String, String>,
    upstreams: BTreeMap<String, Servers>,
}

impl StateFile {
    /// The file at `path` for the ELB called `name`.
    #[must_use]
    pub fn new(path: PathBuf, name: &str) -> StateFile {
        StateFile { path, name: name.to_owned() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was kept, if anything. A file that is broken, or another ELB's, is told in the log and ignored: it must
    /// not stand in the way of a start.
    pub async fn read(&self) -> Option<Saved> {
        let (path, name) = (self.path.clone(), self.name.clone());
        let read = tokio::task::spawn_blocking(move || read(&path, &name)).await;
        read.unwrap_or_else(|error| Err(error.to_string())).unwrap_or_else(|reason| {
            warn!(path = %self.path.display(), reason, "the state file is ignored");
            None
        })
    }

    /// Keeps these contents instead. After a crash at any moment the file is the old one or the new one.
    ///
    /// # Errors
    /// Whatever the file system says; what was kept before is kept then.
    pub async fn write(&self, contents: Contents, revision: i64) -> io::Result<()> {
        let (path, name) = (self.path.clone(), self.name.clone());
        let saved = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let Contents { rules, upstreams } = contents;
        let form = Form { format: FORMAT, name, revision, saved, rules, upstreams };
        let write = move || replace(&path, &serde_json::to_vec(&form)?);
        tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?
    }
}

fn read(path: &Path, name: &str) -> Result<Option<Saved>, String> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let form: Form = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if form.format != FORMAT {
        return Err(format!("it has form {}, and {FORMAT} is known", form.format));
    }
    if form.name != name {
        return Err(format!("it belongs to {}", form.name));
    }
    let contents = Contents { rules: form.rules, upstreams: form.upstreams };
    let at = UNIX_EPOCH.checked_add(Duration::from_secs(form.saved)).unwrap_or(UNIX_EPOCH);
    Ok(Some(Saved { contents, revision: form.revision, at }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn contents() -> Contents {
        let mut contents = Contents::default();
        contents.rules.insert("a.com".into(), "{ not even JSON".into());
        contents.upstreams.entry("up".into()).or_default().insert("unix:/s".into(), "weight=2".into());
        contents
    }

    #[tokio::test]
    async fn what_is_kept_comes_back_to_the_letter() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::new(folder.path().join("state"), "ELB");
        assert_eq!(file.read().await, None);
        let before = SystemTime::now() - Duration::from_secs(1);
        file.write(contents(), 42).await.unwrap();
        let saved = file.read().await.unwrap();
        assert_eq!((saved.contents, saved.revision), (contents(), 42));
        assert!(saved.at >= before && saved.at <= SystemTime::now());
        file.write(Contents::default(), 43).await.unwrap();
        assert_eq!(file.read().await.unwrap().revision, 43);
    }

    #[tokio::test]
    async fn a_broken_file_is_ignored_and_can_be_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::new(folder.path().join("state"), "ELB");
        file.write(contents(), 42).await.unwrap();
        let whole = fs::read(file.path()).unwrap();
        for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(file.path(), &whole[..cut]).unwrap();
            assert_eq!(file.read().await, None, "cut at {cut}");
        }
        fs::write(file.path(), String::from_utf8(whole).unwrap().replace("\"format\":1", "\"format\":2"))
            .unwrap();
        assert_eq!(file.read().await, None, "another form");
        file.write(contents(), 43).await.unwrap();
        assert!(file.read().await.is_some());
    }

    #[tokio::test]
    async fn the_file_of_another_elb_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        StateFile::new(path.clone(), "ELB").write(contents(), 42).await.unwrap();
        assert_eq!(StateFile::new(path, "ELB2").read().await, None);
    }

    #[tokio::test]
    async fn a_write_that_fails_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::new(folder.path().join("missing/state"), "ELB");
        assert_eq!(file.write(contents(), 1).await.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(file.read().await, None);
    }
}
