//! What an operator changes in the head of an answer on its way to the client.
//!
//! It owns these names and values, never a head. Next: `model::rule::backend` reads them, `http1::rewrite` carries them out.

/// Fields that are dropped, and fields that are added after that.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ResponseEdits {
    /// Names of fields that the server's answer loses, in any case.
    pub dropped: Box<[Box<str>]>,
    /// Fields that it gets. Names are tokens (RFC 9110, section 5.6.2), values hold no control bytes but tabs.
    pub added: Box<[(Box<str>, Box<str>)]>,
}
