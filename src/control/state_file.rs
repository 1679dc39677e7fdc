//! The last good contents of the store, kept on this machine's disk for a start without it.
//!
//! It owns the form of that file and the tolerance towards a broken one; never the decision what is good or when it is
//! used. Next: `replace` writes it, the hub asks for it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::held::is_suspicious;
use super::replace::{keep, replace};
use crate::model::{Contents, Dropped, Servers};

/// The form of the file. Another number is another form, and the file is ignored.
const FORMAT: u32 = 1;
/// Bytes that are read at once.
const AT_ONCE: usize = 64 * 1024;

/// A file that keeps the last good contents of the store of one ELB name.
#[derive(Debug, Clone)]
pub struct StateFile {
    path: PathBuf,
    name: String,
    /// What the file and its predecessor hold, once this process has written them: large files are not read again for it.
    written: Arc<Mutex<Option<Written>>>,
}

#[derive(Debug, Clone, Copy)]
struct Written {
    there: Option<Digest>,
    before: Option<Digest>,
}

/// What is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The contents.
    pub contents: Contents,
    /// The revision of the store that they are from.
    pub revision: i64,
    /// The addresses of the names in them: `host:port` → addresses.
    pub names: BTreeMap<String, Vec<SocketAddr>>,
}

/// What was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The contents.
    pub contents: Contents,
    /// The revision of the store that they are from.
    pub revision: i64,
    /// The addresses of the names in them.
    pub names: BTreeMap<String, Vec<SocketAddr>>,
    /// When they were saved, in whole seconds.
    pub at: SystemTime,
}

#[derive(Serialize, Deserialize)]
struct Form<'c> {
    format: u32,
    name: String,
    revision: i64,
    /// Seconds since 1970.
    saved: u64,
    /// What a look at the file tells of its contents. An ELB that did not write it yet reads the file all the same.
    #[serde(default)]
    digest: Digest,
    /// Texts and not values, so that what comes back is what the store held, to the letter.
    rules: Cow<'c, BTreeMap<String, String>>,
    upstreams: Cow<'c, BTreeMap<String, Servers>>,
    #[serde(default)]
    names: Cow<'c, BTreeMap<String, Vec<SocketAddr>>>,
}

/// Enough to tell whether two files have the same contents, and how much is in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Digest {
    hash: u64,
    domains: usize,
    upstreams: usize,
}

/// A file of which nothing else is to be known.
#[derive(Deserialize)]
struct Head {
    digest: Digest,
}

impl Digest {
    fn of(contents: &Contents) -> Self {
        let mut hasher = DefaultHasher::new();
        contents.hash(&mut hasher);
        let (domains, upstreams) = (contents.rules.len(), contents.upstreams.len());
        Self { hash: hasher.finish(), domains, upstreams }
    }

    /// That of the file, if it is one of ours that has one.
    fn read(path: &Path) -> Option<Self> {
        let file = BufReader::with_capacity(AT_ONCE, File::open(path).ok()?);
        Some(serde_json::from_reader::<_, Head>(file).ok()?.digest)
    }

    /// Whether this is so much less than `before` that something went wrong.
    fn is_poor_beside(&self, before: &Self) -> bool {
        is_suspicious(&Dropped {
            domains: before.domains.saturating_sub(self.domains),
            of_domains: before.domains,
            upstreams: before.upstreams.saturating_sub(self.upstreams),
            of_upstreams: before.upstreams,
        })
    }
}

impl StateFile {
    /// The file at `path` for the ELB called `name`.
    #[must_use]
    pub fn new(path: PathBuf, name: &str) -> StateFile {
        StateFile { path, name: name.to_owned(), written: Arc::default() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where its predecessor is: what it held before its contents were others the last time, unless that is so much less
    /// than what stands there that something went wrong. ELB only writes it; it is for people.
    #[must_use]
    pub fn previous(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".previous");
        path.into()
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

    /// Keeps this instead. After a crash at any moment the file is the old one or the new one. It waits for the disk.
    ///
    /// # Errors
    /// Whatever the file system says; what was kept before is kept then.
    pub fn write(&self, kept: &Kept) -> io::Result<()> {
        let (path, previous) = (&self.path, self.previous());
        let saved = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let Kept { contents, revision, names } = kept;
        let digest = Digest::of(contents);
        // A lock that a panic poisoned still holds two digests, or none. Nobody else waits for it: one writes at a time.
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        // What fails on the way leaves nothing known, and the files are looked at again.
        let Written { there, mut before } = written
            .take()
            .unwrap_or_else(|| Written { there: Digest::read(path), before: Digest::read(&previous) });
        if let Some(there) = there
            && there != digest
            && !before.is_some_and(|before| there.is_poor_beside(&before))
        {
            keep(path, &previous)?;
            before = Some(there);
        }
        let form = Form {
            format: FORMAT,
            name: self.name.clone(),
            revision: *revision,
            saved,
            digest,
            rules: Cow::Borrowed(&contents.rules),
            upstreams: Cow::Borrowed(&contents.upstreams),
            names: Cow::Borrowed(names),
        };
        replace(path, |out| Ok(serde_json::to_writer(out, &form)?))?;
        *written = Some(Written { there: Some(digest), before });
        Ok(())
    }
}

fn read(path: &Path, name: &str) -> Result<Option<Saved>, String> {
    let file = match File::open(path) {
        Ok(file) => BufReader::with_capacity(AT_ONCE, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let form: Form<'static> = serde_json::from_reader(file).map_err(|error| error.to_string())?;
    if form.format != FORMAT {
        return Err(format!("it has form {}, and {FORMAT} is known", form.format));
    }
    if form.name != name {
        return Err(format!("it belongs to {}", form.name));
    }
    let contents = Contents { rules: form.rules.into_owned(), upstreams: form.upstreams.into_owned() };
    let at = UNIX_EPOCH.checked_add(Duration::from_secs(form.saved)).unwrap_or(UNIX_EPOCH);
    Ok(Some(Saved { contents, revision: form.revision, names: form.names.into_owned(), at }))
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

    fn kept(contents: Contents, revision: i64) -> Kept {
        let names = BTreeMap::from([("a.test:80".to_owned(), vec![SocketAddr::from(([10, 0, 0, 1], 80))])]);
        Kept { contents, revision, names }
    }

    #[tokio::test]
    async fn what_is_kept_comes_back_to_the_letter() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::new(folder.path().join("state"), "ELB");
        assert_eq!(file.read().await, None);
        let before = SystemTime::now() - Duration::from_secs(1);
        file.write(&kept(contents(), 42)).unwrap();
        let saved = file.read().await.unwrap();
        assert_eq!((saved.contents, saved.revision), (contents(), 42));
        assert_eq!(saved.names, kept(contents(), 42).names);
        assert!(saved.at >= before && saved.at <= SystemTime::now());
        file.write(&kept(Contents::default(), 43)).unwrap();
        assert_eq!(file.read().await.unwrap().revision, 43);
    }

    #[tokio::test]
    async fn a_broken_file_is_ignored_and_can_be_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::new(folder.path().join("state"), "ELB");
        file.write(&kept(contents(), 42)).unwrap();
        let whole = fs::read(file.path()).unwrap();
        for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(file.path(), &whole[..cut]).unwrap();
            assert_eq!(file.read().await, None, "cut at {cut}");
        }
        fs::write(file.path(), String::from_utf8(whole).unwrap().replace("\"format\":1", "\"format\":2"))
            .unwrap();
        assert_eq!(file.read().await, None, "another form");
        file.write(&kept(contents(), 43)).unwrap();
        assert!(file.read().await.is_some());
    }

    #[tokio::test]
    async fn a_file_without_names_is_one_of_an_older_elb() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::new(folder.path().join("state"), "ELB");
        fs::write(
            file.path(),
            r#"{"format":1,"name":"ELB","revision":3,"saved":1,"rules":{"a":"1"},"upstreams":{}}"#,
        )
        .unwrap();
        assert_eq!(file.read().await.unwrap().contents.rules.len(), 1);
    }

    #[tokio::test]
    async fn the_file_keeps_its_predecessor_and_a_poor_one_does_not_take_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::new(folder.path().join("state"), "ELB");
        let previous = StateFile::new(file.previous(), "ELB");
        let sites = |count: usize| {
            let rules = (0..count).map(|n| (format!("{n}.test"), "1".to_owned())).collect();
            Contents { rules, upstreams: BTreeMap::new() }
        };
        file.write(&kept(sites(6), 1)).unwrap();
        let file = StateFile::new(file.path().to_owned(), "ELB");
        file.write(&kept(sites(6), 2)).unwrap();
        assert_eq!(previous.read().await, None, "the same contents make no predecessor");
        file.write(&kept(sites(7), 3)).unwrap();
        assert_eq!(previous.read().await.unwrap().contents, sites(6));
        // A store that was emptied, and is filled again slowly.
        for (revision, count) in [(4, 0), (5, 1), (6, 2)] {
            file.write(&kept(sites(count), revision)).unwrap();
            assert_eq!(previous.read().await.unwrap().contents, sites(7));
        }
        file.write(&kept(sites(5), 7)).unwrap();
        file.write(&kept(sites(6), 8)).unwrap();
        assert_eq!(previous.read().await.unwrap().contents, sites(5), "which is no loss any more");
        // A broken file is nobody's predecessor; the next process finds it.
        fs::write(file.path(), "{").unwrap();
        let file = StateFile::new(file.path().to_owned(), "ELB");
        file.write(&kept(sites(8), 9)).unwrap();
        assert_eq!(previous.read().await.unwrap().contents, sites(5));
    }

    #[tokio::test]
    async fn the_file_of_another_elb_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        StateFile::new(path.clone(), "ELB").write(&kept(contents(), 42)).unwrap();
        assert_eq!(StateFile::new(path, "ELB2").read().await, None);
    }

    #[tokio::test]
    async fn a_write_that_fails_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::new(folder.path().join("missing/state"), "ELB");
        assert_eq!(file.write(&kept(contents(), 1)).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(file.read().await, None);
    }
}
