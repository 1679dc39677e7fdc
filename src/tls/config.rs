//! What sessions of TLS with clients begin with.
//!
//! It owns what is spoken: TLS 1.3 and 1.2 (RFC 8446, RFC 5246) with the suites that rustls takes for sound, HTTP/1.1 within (ALPN,
//! RFC 7301), and tickets (RFC 5077) whose keys change by themselves and are the same for all workers. There is no early data, which could
//! be sent again by others, and no renegotiation. Next: [`super::shown`] chooses the certificate, `data::secure` has the sessions.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::{Error, ServerConfig, version};

use super::clients::ClientTrust;
use super::shown::Shown;

/// What sessions have in common, whichever certificates there are.
#[derive(Debug)]
pub struct Sessions {
    tickets: Arc<dyn ProducesTickets>,
}

impl Sessions {
    /// New keys for tickets. They change every six hours, and what was sealed with the ones before is taken for as long.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn new() -> Result<Self, Error> {
        Ok(Self { tickets: ring::Ticketer::new()? })
    }

    /// What sessions begin with when these certificates are shown, and with `clients`, when theirs are asked for.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn with(&self, shown: Shown, clients: Option<&ClientTrust>) -> Result<Arc<ServerConfig>, Error> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])?;
        let builder = match clients {
            Some(trust) => builder.with_client_cert_verifier(trust.verifier()),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(shown));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ticketer = Arc::clone(&self.tickets);
        // Tickets resume sessions; a table of them would be one lock for all workers.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Arc::new(config))
    }
}
