//! Which body follows a head, and which mixtures are smuggling (RFC 9112, section 6).
//!
//! It owns the decision from framing headers to a [`Framing`], never the bytes of the body. Next: `body`.

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// This many bytes.
    Length(u64),
    /// Chunks, to the last one and its trailers.
    Chunked,
    /// Until the peer closes (responses only).
    Close,
}
