//! What an exchange would make of a request that nobody sent: how it is understood, and what a server would get of it.
//!
//! It owns no transition: it asks the functions that an exchange asks, and there is no exchange. So whoever explains is no second
//! caller of what every request takes, which would cost each of them. Next: [`super::heads`].

use super::heads::Heads;
use super::phase::{Forward, Policy};
use crate::http1::error::Refusal;
use crate::http1::reply::{Date, Reply};
use crate::http1::rewrite::Persistence;
use crate::reason::Reason;
use crate::semantics::RequestView;
use crate::semantics::reserved::Reserved;

/// A request that is understood.
#[derive(Debug)]
pub struct Preview<'b> {
    bytes: &'b [u8],
    heads: Box<Heads>,
}

impl<'b> Preview<'b> {
    /// Reads a head, which is whole.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn read(bytes: &'b [u8], policy: &Policy) -> Result<Self, Reason> {
        let mut heads = Box::new(Heads::new());
        match heads.request.find_seldom(bytes, policy) {
            Ok(true) => Ok(Self { bytes, heads }),
            Ok(false) => Err(Refusal::HeadTooLong.reason()),
            Err(refusal) => Err(refusal.reason()),
        }
    }

    /// What may be looked at in it; `client` is whose it is, as text.
    #[must_use]
    pub fn view<'a>(&'a self, client: &'a [u8]) -> RequestView<'a> {
        self.heads.request.view(self.bytes, client)
    }

    /// Whose the path is.
    #[must_use]
    pub fn reserved(&self) -> Reserved {
        self.heads.request.reserved(self.bytes)
    }

    /// The head that a server gets.
    #[must_use]
    pub fn forwarded(&self, forward: &Forward<'_>, policy: &Policy) -> Vec<u8> {
        let mut out = Vec::new();
        self.heads.request.write(&mut out, self.bytes, forward, b"", policy);
        out
    }

    /// The answer that its client gets, if ELB gives this one.
    #[must_use]
    pub fn answered(&self, reply: &Reply<'_>, date: &Date) -> Vec<u8> {
        written(reply, date, self.heads.request.head.method.of(self.bytes) == b"HEAD")
    }

    /// The answer to a request that is not understood.
    #[must_use]
    pub fn refused(reason: Reason, date: &Date) -> Vec<u8> {
        written(&Reply::refusal(reason), date, false)
    }
}

fn written(reply: &Reply<'_>, date: &Date, bodiless: bool) -> Vec<u8> {
    let mut out = Vec::new();
    reply.write(&mut out, date, Persistence::Keep, bodiless);
    out
}
