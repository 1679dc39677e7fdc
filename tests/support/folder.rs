//! A folder of certificates that an authority of a test's own has signed, and an ELB that shows them.
//!
//! It owns the files; what clients see of them is for `secure`.

#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::elb::{Elb, Launch};
use super::etcd::certificates::{Authority, Signed};
use super::rules::SITE;
use super::secure::Trust;

/// The listener for HTTPS; it is the second of two.
pub(crate) const SECURE: &str = "--listen-tls=127.0.0.1:0";

/// A folder, and who signs what is in it.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) authority: Authority,
    place: tempfile::TempDir,
}

impl Folder {
    pub(crate) fn empty() -> Folder {
        Folder { authority: Authority::new("tests"), place: tempfile::tempdir().unwrap() }
    }

    /// With a certificate for [`SITE`].
    pub(crate) fn of_site() -> Folder {
        Folder::of(&[("site", &[SITE])])
    }

    /// With these certificates: what each is called, and the names that it is for.
    pub(crate) fn of(certificates: &[(&str, &[&str])]) -> Folder {
        let folder = Folder::empty();
        for (stem, names) in certificates {
            folder.put(stem, &folder.authority.sign(names));
        }
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.place.path()
    }

    /// Writes a file.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Puts a certificate there as ELB looks for it; the key first, as the certificate is what makes it look.
    pub(crate) fn put(&self, stem: &str, Signed { certificate, key }: &Signed) {
        self.file(&format!("{stem}.key"), key);
        self.file(&format!("{stem}.crt"), certificate);
    }

    pub(crate) fn flag(&self) -> String {
        format!("--tls-dir={}", self.path().display())
    }

    /// An ELB that shows them.
    pub(crate) fn launch(&self, document: &Value) -> Launch {
        Launch::serving(document).flag(&self.flag()).listener(SECURE)
    }

    /// Whom clients trust.
    pub(crate) fn trust(&self) -> Trust {
        Trust::of(&self.authority)
    }

    /// Where the authority's certificate is, for programs.
    pub(crate) fn ca(&self) -> String {
        self.file("authority.pem", &self.authority.pem).display().to_string()
    }
}

/// Where an ELB that was given [`SECURE`] listens for HTTPS.
pub(crate) fn secure(elb: &Elb) -> SocketAddr {
    elb.addresses()[1]
}
