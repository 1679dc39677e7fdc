//! The folder of certificates: what is in it, read again where it has changed.
//!
//! It owns the names of the files and the bounds of reading them; never what a certificate is. What cannot be used stops all of it: who
//! wrote it is there to hear of it, and what was read before is kept. Next: [`keeper`](super::keeper) looks at it now and then.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::settings::unreadable;
use crate::tls::{Certified, LONGEST, PairText, is_staple};

/// Certificates in it. More are a mistake, such as a folder of something else.
const MOST: usize = 20_000;
/// What the file beside a certificate ends with that has its staple.
const STAPLE: &str = "ocsp";

/// What tells one state of a certificate from another: when it, its key and its staple changed, and how long they are.
type Stamp = [(SystemTime, u64); 3];

/// One folder.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// As it was when it was read and could be used; nothing before that.
    read: Option<BTreeMap<PathBuf, (Stamp, Arc<Certified>)>>,
}

impl Folder {
    /// A folder that was not read yet.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), read: None }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Those that were read last, by the names of their files.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &Arc<Certified>> {
        self.read.iter().flat_map(BTreeMap::values).map(|(_, certified)| certified)
    }

    /// Reads what has changed in it. Says whether anything has.
    ///
    /// # Errors
    /// What cannot be used. It is read again the next time: it may have been a file that was not whole yet, or no descriptor that was
    /// left.
    pub(super) fn look(&mut self) -> Result<bool, String> {
        let found = found(&self.path).map_err(|error| error.to_string())?;
        if let Some(read) = &self.read
            && read.iter().map(|(path, (stamp, _))| (path, stamp)).eq(&found)
        {
            return Ok(false);
        }
        let mut now = BTreeMap::new();
        for (path, stamp) in found {
            let known = self.read.as_ref().and_then(|read| read.get(&path)).filter(|known| known.0 == stamp);
            let certified = match known {
                Some((_, certified)) => Arc::clone(certified),
                None => Arc::new(read(&path)?),
            };
            now.insert(path, (stamp, certified));
        }
        self.read = Some(now);
        Ok(true)
    }
}

/// Which certificates there are.
fn found(folder: &Path) -> io::Result<BTreeMap<PathBuf, Stamp>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "crt") {
            continue;
        }
        if found.len() >= MOST {
            return Err(io::Error::other(format!("there are more than {MOST}")));
        }
        let of = |path: &Path| fs::metadata(path).and_then(|file| Ok((file.modified()?, file.len())));
        let key = path.with_extension("key");
        let staple = path.with_extension(STAPLE);
        let all = [of(&path), of(&key), of(&staple)].map(|one| one.unwrap_or((SystemTime::UNIX_EPOCH, 0)));
        found.insert(path, all);
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Certified, String> {
    let key = path.with_extension("key");
    let [certificate, secret] = [text(path)?, text(&key)?];
    let staple = staple(&path.with_extension(STAPLE))?;
    let pair =
        PairText { certificate: (path, &certificate), key: (&key, &secret), staple: staple.as_deref() };
    Certified::read(&path.file_stem().unwrap_or_default().to_string_lossy(), pair)
}

/// What an authority says of a certificate, if it was put there.
fn staple(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, &error)),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST as u64 + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    if !is_staple(&bytes) || bytes.len() > LONGEST {
        let most = LONGEST;
        return Err(format!("{} is no answer of OCSP in DER, or longer than {most} bytes", path.display()));
    }
    Ok(Some(bytes))
}

/// A file of PEM, if it is not too long.
pub(super) fn text(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let told = |error: io::Error| unreadable(path, &error);
    fs::File::open(path).map_err(told)?.take(LONGEST as u64 + 1).read_to_string(&mut text).map_err(told)?;
    if text.len() > LONGEST {
        return Err(format!("{} is longer than {LONGEST} bytes", path.display()));
    }
    Ok(text)
}
