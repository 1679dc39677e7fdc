//! When things happened to a request, and how many bytes went each way.
//!
//! It owns these numbers and never decides by them. Next: [`crate::data::record`] tells them when the request is over.

use std::time::Instant;

/// The course of one request.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    /// Its first byte came, or the one before it was over and that had come already.
    pub begun: Instant,
    /// The connection to its last server was there.
    pub connected: Option<Instant>,
    /// The head of its server's answer was whole (nginx `$upstream_header_time`).
    pub answered: Option<Instant>,
    /// Bytes that came from the client; while the request is under way those of the next are among them.
    pub received: u64,
    /// Bytes that the client took: heads, bodies and interim responses (nginx `$bytes_sent`).
    pub sent: u64,
}

impl Course {
    /// The course of a request of which so many bytes have come.
    #[inline]
    pub(super) fn new(begun: Instant, received: usize) -> Self {
        Self { begun, connected: None, answered: None, received: received as u64, sent: 0 }
    }
}
