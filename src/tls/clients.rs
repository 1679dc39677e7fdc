//! Which clients are believed by their certificate, and what servers are told of it.
//!
//! It owns whom one trusts for that, and the form of the field (RFC 9440); never a session. Next: [`super::config`] has sessions ask for
//! certificates, `data::secure` keeps what a client has shown.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use crate::settings::roots;

/// Bytes of what servers are told of a certificate: many of them bound a line of a head at 8 KiB, and some at 16.
pub const LONGEST_IDENTITY: usize = 16 * 1024;

/// Whom clients are signed by, and whether each must show that.
#[derive(Clone)]
pub struct ClientTrust(Arc<dyn ClientCertVerifier>);

impl ClientTrust {
    /// Reads a file of certificates. With `must`, a client without one gets no session.
    ///
    /// # Errors
    /// What of the file cannot be used, and why.
    pub fn read(path: &Path, text: &str, must: bool) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(path, text)?), provider);
        let builder = if must { builder } else { builder.allow_unauthenticated() };
        builder.build().map(Self).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub(super) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for ClientTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTrust").field("must", &self.0.client_auth_mandatory()).finish_non_exhaustive()
    }
}

/// What servers are told of a certificate, as the value of `Client-Cert` (RFC 9440, section 2.2; RFC 8941, section 3.3.5); nothing for
/// one that is longer than [`LONGEST_IDENTITY`] would hold.
#[must_use]
pub fn identity(certificate: &CertificateDer<'_>) -> Option<Box<[u8]>> {
    let text = format!(":{}:", STANDARD.encode(certificate));
    (text.len() <= LONGEST_IDENTITY).then(|| text.into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_bytes_in_base64_between_colons_and_bounded() {
        assert_eq!(&*identity(&CertificateDer::from(&b"\x30\x03abc"[..])).unwrap(), b":MANhYmM=:");
        let longest = (LONGEST_IDENTITY - 2) / 4 * 3;
        assert_eq!(identity(&CertificateDer::from(vec![0; longest])).map(|text| text.len()), Some(16_382));
        assert!(identity(&CertificateDer::from(vec![0; longest + 1])).is_none());
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let why = ClientTrust::read(Path::new("ca.pem"), "none", true).unwrap_err();
        assert!(why.contains("ca.pem is not PEM"), "{why}");
    }
}
