//! A client that speaks TLS.
//!
//! It owns one session, and reads answers with a `Content-Length`.

#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};

use super::etcd::certificates::Authority;
use super::wait::PATIENCE;

/// What clients have in common: whom they trust, and the sessions that they may take up again.
#[derive(Debug, Clone)]
pub(crate) struct Trust(pub(crate) Arc<ClientConfig>);

impl Trust {
    pub(crate) fn of(authority: &Authority) -> Trust {
        Trust::speaking(authority, rustls::ALL_VERSIONS)
    }

    pub(crate) fn speaking(
        authority: &Authority,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Trust {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        Trust(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    }

    /// Clients that offer these protocols (ALPN).
    pub(crate) fn offering(&self, protocols: &[&str]) -> Trust {
        let mut config = ClientConfig::clone(&self.0);
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Trust(Arc::new(config))
    }

    /// A client that asks for the server of this name.
    pub(crate) fn connect(&self, to: SocketAddr, name: &str) -> SecureClient {
        self.begin(TcpStream::connect_timeout(&to, PATIENCE).unwrap(), name)
    }

    /// The same on a connection that has begun.
    pub(crate) fn begin(&self, socket: TcpStream, name: &str) -> SecureClient {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let session = ClientConnection::new(Arc::clone(&self.0), name).unwrap();
        SecureClient { stream: StreamOwned::new(session, socket) }
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct SecureClient {
    pub(crate) stream: StreamOwned<ClientConnection, TcpStream>,
}

impl SecureClient {
    /// Sends one request and reads its answer, head and body.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> String {
        self.try_ask(request).expect("an answer")
    }

    pub(crate) fn try_ask(&mut self, request: impl AsRef<[u8]>) -> io::Result<String> {
        self.stream.write_all(request.as_ref())?;
        let mut answer = Vec::new();
        let mut room = [0; 16 * 1024];
        loop {
            let text = String::from_utf8_lossy(&answer);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                if length.is_none_or(|length| length.parse() == Ok(body.len())) {
                    return Ok(text.into_owned());
                }
            }
            match self.stream.read(&mut room)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => answer.extend_from_slice(&room[..n]),
            }
        }
    }

    /// Whether the session was taken up again.
    pub(crate) fn is_resumed(&self) -> bool {
        self.stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// What the other end has shown, as PEM would hold it.
    pub(crate) fn shown(&self) -> CertificateDer<'static> {
        self.stream.conn.peer_certificates().unwrap()[0].clone().into_owned()
    }
}
