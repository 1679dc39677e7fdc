//! How the beginning of a session stands, and who its client is by that.
//!
//! It owns what a session says of its client's certificate, once; never its bytes. Next: [`crate::tls::identity`] is the form of it.

use rustls::Connection;

use crate::http1::origin::Identity;
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

/// Who a client is by the certificate that it has shown; nothing where that is too long to be told.
pub(super) fn shown(session: &Connection) -> Option<Identity> {
    let Connection::Server(session) = session else { return Some(Identity::default()) };
    match session.peer_certificates().and_then(<[_]>::first) {
        Some(certificate) => identity(certificate).map(Identity::new),
        None => Some(Identity::default()),
    }
}
