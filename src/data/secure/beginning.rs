//! How the beginning of a session stands, and who its client is by that.
//!
//! It owns what a session says of its client's certificate, once; never its bytes. Next: [`crate::tls::identity`] is the form of it.

use rustls::Connection;

use crate::tls::identity;

/// How the beginning of a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// The peer moves next.
    UnderWay,
    /// Requests may come.
    Over,
    /// The peer is gone, or no session came of it. Where that can be said, it was told why.
    Failed,
}

/// What servers are told of the certificate that a client has shown, empty where it has shown none; nothing where that is too long.
pub(super) fn shown(session: &Connection) -> Option<Box<[u8]>> {
    let Connection::Server(session) = session else { return Some(Box::default()) };
    match session.peer_certificates().and_then(<[_]>::first) {
        Some(certificate) => identity(certificate),
        None => Some(Box::default()),
    }
}
