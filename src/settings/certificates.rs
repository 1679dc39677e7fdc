//! The files that a connection with TLS is made with, and what is wrong with them.
//!
//! It owns where they are, their reading as PEM, and that a key fits its certificate; never a connection. Pure: whoever calls
//! reads the files, once at the start and again for each connection, as they may have been renewed. Next:
//! `control::store` connects with them.

use std::io;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// Where the files are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificates {
    /// Of those who may sign the certificate of the other side; without it, whom this system trusts.
    pub ca: Option<PathBuf>,
    /// The certificate that is shown, and its key.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// What the files say, in PEM.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CertificateTexts {
    /// Who may sign.
    pub ca: Option<String>,
    /// The certificate that is shown, and its key.
    pub own: Option<(String, String)>,
}

impl Certificates {
    /// Reads the files and looks whether they can be used.
    ///
    /// # Errors
    /// Which file cannot, and why.
    pub fn read(&self, read: &dyn Fn(&Path) -> io::Result<String>) -> Result<CertificateTexts, String> {
        let text = |path: &Path| read(path).map_err(|error| unreadable(path, &error));
        let mut texts = CertificateTexts::default();
        if let Some(path) = &self.ca {
            let ca = text(path)?;
            roots(path, &ca)?;
            texts.ca = Some(ca);
        }
        if let Some((certificate, key)) = &self.own {
            let own = (text(certificate)?, text(key)?);
            certified_key((certificate, &own.0), (key, &own.1))?;
            texts.own = Some(own);
        }
        Ok(texts)
    }
}

/// Whose certificates are in a file, one at least.
///
/// # Errors
/// What of the file cannot be used, and why.
pub fn roots(path: &Path, text: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, text)? {
        roots
            .add(certificate)
            .map_err(|error| format!("{}: a certificate in it cannot be read: {error}", path.display()))?;
    }
    Ok(roots)
}

/// Why a file of certificates cannot be read, in words.
#[must_use]
pub fn unreadable(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        // Certificates also come as DER, which is no text.
        io::ErrorKind::InvalidData => format!("{} is not PEM: it is no text", path.display()),
        _ => format!("cannot read {}: {error}", path.display()),
    }
}

/// All certificates of a file, one at least.
fn certificates(path: &Path, text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match read {
        Err(error) => Err(format!("{} is not PEM: {error}", path.display())),
        Ok(none) if none.is_empty() => Err(format!(
            "{} is not PEM, or holds no certificate: there is no line -----BEGIN CERTIFICATE-----",
            path.display()
        )),
        Ok(certificates) => Ok(certificates),
    }
}

/// A certificate with its chain, and its key: each with where it was read.
///
/// # Errors
/// Which of the two cannot be used, and why; or the key is that of another certificate.
pub fn certified_key(certificate: (&Path, &str), key: (&Path, &str)) -> Result<CertifiedKey, String> {
    let chain = certificates(certificate.0, certificate.1)?;
    let [certificate, path] = [certificate.0.display(), key.0.display()];
    let key = PrivateKeyDer::from_pem_slice(key.1.as_bytes()).map_err(|_| {
        let why = if key.1.contains("ENCRYPTED") { "its key is encrypted" } else { "there is no key in it" };
        format!(
            "{path} is not PEM, or cannot be used: {why}, and a line -----BEGIN PRIVATE KEY----- is needed"
        )
    })?;
    let key = any_supported_type(&key)
        .map_err(|_| format!("{path}: a key of this kind cannot be used; RSA, ECDSA and Ed25519 can"))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(format!("the key in {path} does not fit the certificate in {certificate}"))
        }
        Err(error) => Err(format!("{certificate}: its first certificate cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests;
