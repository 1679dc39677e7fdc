//! One certificate with its key: read, checked, and what it says of itself.
//!
//! It owns the reading of both as PEM and of the names in it; never where they came from. Next: [`super::shown`] has all of them by
//! name.

use std::path::Path;
use std::sync::Arc;

use rustls::SignatureAlgorithm;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};

use super::expiry::{self, Expiry};
use crate::settings::certified_key;

/// A certificate and its key, as they were read.
#[derive(Clone, Copy)]
pub struct PairText<'a> {
    /// Where its chain was read.
    pub certificate: (&'a Path, &'a str),
    /// Where its key was read.
    pub key: (&'a Path, &'a str),
    /// What its authority says of it (OCSP, RFC 6960), in DER, for clients that ask; nothing for none.
    pub staple: Option<&'a [u8]>,
}

/// A certificate that can be shown.
#[derive(Debug)]
pub struct Certified {
    /// What the operator calls it: the stem of its file, or its name in etcd.
    pub name: Box<str>,
    /// The DNS names that it is for (RFC 5280, section 4.2.1.6), in lower case.
    pub names: Box<[Box<str>]>,
    /// Until when it and its chain are good.
    pub ends: Option<Expiry>,
    /// SHA-256 of the certificate in DER, as browsers and `openssl x509 -fingerprint` show it, without colons.
    pub fingerprint: Box<str>,
    pub(super) key: Arc<CertifiedKey>,
}

impl Certified {
    /// Reads one.
    ///
    /// # Errors
    /// Which of the two texts cannot be used, and why; or they do not fit each other.
    pub fn read(name: &str, pair: PairText<'_>) -> Result<Self, String> {
        let mut key = certified_key(pair.certificate, pair.key)?;
        key.ocsp = pair.staple.map(<[u8]>::to_vec);
        let own = key.end_entity_cert().map(CertificateDer::as_ref).unwrap_or_default();
        let (names, digest) = (names(own), Sha256::digest(own));
        let fingerprint = digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
        let told = names.first().map_or_else(|| name.into(), Clone::clone);
        let ends = expiry::of(&key.cert).map(|at| Expiry { name: told, at });
        Ok(Self { name: name.into(), names, ends, fingerprint, key: Arc::new(key) })
    }

    /// The kind of its key, in a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.key.key.algorithm() {
            SignatureAlgorithm::RSA => "RSA",
            SignatureAlgorithm::ECDSA => "ECDSA",
            SignatureAlgorithm::ED25519 => "Ed25519",
            _ => "other",
        }
    }

    /// Whether its key is of the kind that takes the most time.
    pub(super) fn is_slow(&self) -> bool {
        self.key.key.algorithm() == SignatureAlgorithm::RSA
    }
}

fn names(certificate: &[u8]) -> Box<[Box<str>]> {
    let certificate = CertificateDer::from(certificate);
    let Ok(read) = webpki::EndEntityCert::try_from(&certificate) else { return Box::default() };
    read.valid_dns_names().map(|name| name.to_ascii_lowercase().into()).collect()
}
