//! Both ends of TLS: a client, and a server that plays a script.
//!
//! It owns their sessions; the client reads answers with a `Content-Length`.

#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, RootCertStore, ServerConfig,
    ServerConnection, SignatureScheme, StreamOwned,
};

use super::etcd::certificates::{Authority, Signed};
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

    /// Clients that show this certificate where they are asked for one.
    pub(crate) fn showing(&self, signed: &Signed) -> Trust {
        let [certificate, key] = [("certificate", &signed.certificate), ("key", &signed.key)]
            .map(|(name, text)| (Path::new(name), text.as_str()));
        let own = elb::settings::certified_key(certificate, key).unwrap();
        let mut config = ClientConfig::clone(&self.0);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(own));
        Trust(Arc::new(config))
    }

    /// What is stapled to the certificate that a client of this name is shown.
    pub(crate) fn stapled(&self, to: SocketAddr, name: &str) -> Vec<u8> {
        let seen = Arc::new(Stapled::default());
        let mut config = ClientConfig::clone(&self.0);
        config.dangerous().set_certificate_verifier(seen.clone());
        let mut client = Trust(Arc::new(config)).connect(to, name);
        client.stream.conn.complete_io(&mut client.stream.sock).unwrap();
        seen.0.lock().unwrap().clone()
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

/// A server that speaks TLS, for what a balancer says to one: it plays a script on each connection, one after the other, and closes it.
pub(crate) struct SecureServer {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<HandshakeKind>>>,
    failed: Arc<Mutex<Vec<String>>>,
}

/// What such a script has of a connection.
pub(crate) type SecureStream = StreamOwned<ServerConnection, TcpStream>;

impl SecureServer {
    /// One that shows this certificate. It ends with the test's process.
    pub(crate) fn start(
        shown: &Signed,
        versions: &[&'static rustls::SupportedProtocolVersion],
        script: impl Fn(&mut SecureStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> SecureServer {
        let chain = vec![CertificateDer::from_pem_slice(shown.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let config = Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, failed) = (Arc::default(), Arc::default());
        let server = SecureServer { address, seen: Arc::clone(&seen), failed: Arc::clone(&failed) };
        let script = Arc::new(script);
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let (seen, failed) = (Arc::clone(&seen), Arc::clone(&failed));
                let (config, script) = (Arc::clone(&config), Arc::clone(&script));
                thread::spawn(move || {
                    let mut session = ServerConnection::new(config).unwrap();
                    let mut socket = socket;
                    while session.is_handshaking() {
                        if let Err(error) = session.complete_io(&mut socket) {
                            failed.lock().unwrap().push(error.to_string());
                            return;
                        }
                    }
                    seen.lock().unwrap().push(session.handshake_kind().unwrap());
                    let mut stream = StreamOwned::new(session, socket);
                    // What the script did not wait for is no fault of it.
                    let _ = script(&mut stream);
                });
            }
        });
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Of each session that began, whether it was taken up again.
    pub(crate) fn resumed(&self) -> Vec<bool> {
        self.seen.lock().unwrap().iter().map(|kind| *kind == HandshakeKind::Resumed).collect()
    }

    /// Why others did not.
    pub(crate) fn failed(&self) -> Vec<String> {
        self.failed.lock().unwrap().clone()
    }
}

/// Reads a head of a request that has no body; nothing when the client has ended.
pub(crate) fn head(stream: &mut SecureStream) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) => head.push(byte[0]),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(String::from_utf8(head).expect("a head of text")))
}

/// Keeps what is stapled, and trusts everybody.
#[derive(Debug, Default)]
struct Stapled(Mutex<Vec<u8>>);

impl ServerCertVerifier for Stapled {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        staple: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.0.lock().unwrap() = staple.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
