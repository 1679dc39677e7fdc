//! What an operator changes in an answer on its way to the client.
//!
//! It owns these names and values, never a head. Next: `model::rule::backend` reads them, `http1::rewrite` carries them out;
//! [`super::gzip`] says more of compression.

use super::gzip::Gzip;

/// Fields that are dropped, and fields that are added after that; then its content may be compressed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ResponseEdits {
    /// Names of fields that the server's answer loses, in any case.
    pub dropped: Box<[Box<str>]>,
    /// Fields that it gets. Names are tokens (RFC 9110, section 5.6.2), values hold no control bytes but tabs.
    pub added: Box<[(Box<str>, Box<str>)]>,
    /// Its content is compressed for clients that take that.
    pub gzip: Option<Box<Gzip>>,
}
