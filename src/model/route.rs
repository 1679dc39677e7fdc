//! Routing.

use super::request::Request;
use super::rule::Backend;
use super::scratch::Scratch;
use super::snapshot::Snapshot;

/// Watches the walk of one request through the rules.
pub trait Recorder {
    /// A rule was asked, and matched or not.
    fn step(&mut self, _rule: &str, _matched: bool) {}
}

/// Records nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;
impl Recorder for Silent {}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision<'s> {
    /// Answered by ELB itself.
    Denied {
        /// The domain's slot, if one was found.
        domain: Option<u32>,
        /// The status of the answer.
        status: u16,
        /// Why, as one kebab-case word.
        reason: &'static str,
    },
    /// Sent on.
    Forward {
        /// The domain's slot.
        domain: u32,
        /// Where to, and with which headers.
        backend: &'s Backend,
        /// The new path, percent-encoded, without query; `None`: as received.
        path: Option<&'s [u8]>,
    },
}

/// Decides on a request.
pub fn route<'s>(
    _snapshot: &'s Snapshot,
    _request: &Request<'_>,
    _scratch: &'s mut Scratch,
    _recorder: &mut impl Recorder,
) -> Decision<'s> {
    Decision::Denied { domain: None, status: 404, reason: "no-domain" }
}
