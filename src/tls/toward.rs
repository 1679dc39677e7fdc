//! What sessions of TLS with servers begin with.
//!
//! It owns whom ELB trusts as a server, and what is spoken: as with clients, TLS 1.3 and 1.2 with the suites that rustls takes for sound,
//! and HTTP/1.1 within. Sessions are resumed, without early data. Next: `data::opening` begins sessions, `control::checks` those of checks.

use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, WantsVerifier,
    version,
};

use crate::settings::roots;

/// Names of servers whose sessions may be resumed.
const REMEMBERED: usize = 1024;

/// Whom one trusts as a server.
#[derive(Debug, Clone)]
pub struct Trust(Arc<RootCertStore>);

impl Trust {
    /// Those whose certificates are in this file, read as PEM; or whom this system trusts, which may be nobody.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn new(file: Option<(&Path, &str)>) -> Result<Self, String> {
        let Some((path, text)) = file else {
            let mut system = RootCertStore::empty();
            // What of it cannot be read is trusted by nobody.
            system.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(Self(Arc::new(system)));
        };
        roots(path, text).map(Arc::new).map(Self)
    }

    /// Whoever trusts nobody has no session with a server that must show who it is.
    #[must_use]
    pub fn nobody() -> Self {
        Self(Arc::new(RootCertStore::empty()))
    }

    /// What sessions begin with; none is remembered yet.
    ///
    /// # Errors
    /// What rustls says of its own suites.
    pub fn toward(&self) -> Result<Toward, Error> {
        let verified = builder()?.with_root_certificates(Arc::clone(&self.0));
        let provider = Arc::new(ring::default_provider());
        let unverified = builder()?.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)));
        let [verified, unverified] = [verified, unverified].map(|builder| {
            let mut config = builder.with_no_client_auth();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            config.resumption = Resumption::in_memory_sessions(REMEMBERED);
            Arc::new(config)
        });
        Ok(Toward { verified, unverified })
    }
}

/// What sessions with servers begin with. Whoever has one of these resumes the sessions of it: a worker shares none, and waits for nobody.
#[derive(Debug, Clone)]
pub struct Toward {
    verified: Arc<ClientConfig>,
    unverified: Arc<ClientConfig>,
}

impl Toward {
    /// What a session begins with whose server must show that it is who it is asked to be, or need not.
    #[must_use]
    pub fn config(&self, verify: bool) -> &Arc<ClientConfig> {
        if verify { &self.verified } else { &self.unverified }
    }
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Error> {
    let provider = Arc::new(ring::default_provider());
    ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&version::TLS13, &version::TLS12])
}

/// Any certificate will do, as long as whoever shows it has its key: `tls_verify=off`.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
