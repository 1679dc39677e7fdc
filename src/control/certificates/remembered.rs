//! The last good certificates of etcd on this machine's disk, for a start without etcd.
//!
//! It owns the form of that file, beside the state file, and the tolerance towards a broken one; never a certificate. Private keys are in it as
//! they are in etcd: sealed where they are sealed there. Next: [`replace`](crate::control::replace) writes it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::control::replace::replace;

/// The form of the file. Another number is another form, and the file is ignored.
const FORMAT: u32 = 1;

/// The file of one ELB name.
#[derive(Debug, Clone)]
pub(in crate::control) struct Remembered {
    path: PathBuf,
    name: String,
}

#[derive(Serialize, Deserialize)]
struct Form<Text: Ord> {
    elb_certificates: u32,
    name: Text,
    certificates: BTreeMap<Text, Text>,
}

impl Remembered {
    /// The file beside the state file at `path`, for the ELB called `name`.
    pub(in crate::control) fn beside(path: &Path, name: &str) -> Self {
        let mut path = path.to_owned().into_os_string();
        path.push(".certificates");
        Self { path: path.into(), name: name.to_owned() }
    }

    /// What was kept. A file that cannot be used is told in the log: it must not stand in the way of a start.
    pub(super) fn read(&self) -> BTreeMap<String, String> {
        self.try_read().unwrap_or_else(|reason| {
            warn!(path = %self.path.display(), reason, "the certificates of the last life are ignored");
            BTreeMap::new()
        })
    }

    fn try_read(&self) -> Result<BTreeMap<String, String>, String> {
        let file = match File::open(&self.path) {
            Ok(file) => BufReader::new(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(error.to_string()),
        };
        let form: Form<String> = serde_json::from_reader(file).map_err(|error| error.to_string())?;
        if form.elb_certificates != FORMAT || form.name != self.name {
            return Err(format!("it has form {}, or belongs to {}", form.elb_certificates, form.name));
        }
        Ok(form.certificates)
    }

    /// Keeps these instead. It waits for the disk.
    pub(super) fn write(&self, certificates: BTreeMap<&str, &str>) -> io::Result<()> {
        let form = Form { elb_certificates: FORMAT, name: &*self.name, certificates };
        replace(&self.path, |out| Ok(serde_json::to_writer(out, &form)?))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_what_is_broken_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let file = Remembered::beside(&state, "ELB");
        assert!(file.read().is_empty());
        file.write(BTreeMap::from([("a", "{}")])).unwrap();
        let all = BTreeMap::from([("a".to_owned(), "{}".to_owned())]);
        assert_eq!((file.read(), Remembered::beside(&state, "other").read()), (all, BTreeMap::new()));
        let whole = fs::read_to_string(&file.path).unwrap();
        for broken in [
            &whole[..whole.len() - 1],
            "",
            &whole.replace("\"elb_certificates\":1", "\"elb_certificates\":2"),
        ] {
            fs::write(&file.path, broken).unwrap();
            assert!(file.read().is_empty(), "{broken}");
        }
    }
}
