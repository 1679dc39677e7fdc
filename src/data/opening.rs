//! What is said on a connection to a server before any request: whom it is for, and TLS.
//!
//! It owns how what an upstream asks for is said to one server, never a byte that is read. A list of the pool has one of these, so
//! connections of different openings never meet. Next: [`super::pool`] has them said, [`super::secure`] speaks TLS.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::model::{OpeningOptions, Server, UpstreamOptions};
use crate::semantics::ProxyVersion;
use crate::tls::Toward;

/// How connections to one server begin.
#[derive(Debug, Clone)]
pub struct Opening {
    /// A header that says whom the connection is for. Such a connection is its client's own.
    pub proxy: Option<ProxyVersion>,
    /// A session for this name.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Opening {
    /// What connections to a server begin with, if anything.
    pub(super) fn of(options: &UpstreamOptions, server: &Server, toward: &Toward) -> Option<Box<Self>> {
        let OpeningOptions { tls, proxy } = options.opening.as_deref()?;
        let tls = tls.as_ref().map(|tls| {
            let name = ServerName::try_from(tls.name_of(&server.spec));
            // What is a host for the resolver and none for a certificate is vouched for by nobody.
            let name = name.unwrap_or_else(|_| IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED).into());
            (Arc::clone(toward.config(tls.verify)), name)
        });
        Some(Box::new(Self { proxy: *proxy, tls }))
    }
}

/// Whom a connection to a server is for: the client, and where it came to, of the `ends` of its connection. The port of a client that somebody else spoke for is not known,
/// and then it is 0.
#[cold]
pub(super) fn spoken_for(
    client: IpAddr,
    ends: Option<(SocketAddr, SocketAddr)>,
) -> Option<(SocketAddr, SocketAddr)> {
    let (peer, local) = ends?;
    let port = if peer.ip().to_canonical() == client.to_canonical() { peer.port() } else { 0 };
    Some((SocketAddr::new(client, port), local))
}
