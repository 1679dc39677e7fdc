//! The question where a request goes, and its answers.
//!
//! It lends the request's head for as long as the question is open: nobody can look at it before or after. It owns neither.
//! Next: [`super::drive()`] asks it.

use std::sync::Arc;

use super::heads::Heads;
use super::machine::Exchange;
use super::phase::{Env, Forward};
use super::terms::{Terms, Way};
use crate::http1::reply::Reply;
use crate::semantics::gzip::Takes;
use crate::semantics::reserved::Reserved;
use crate::semantics::{RequestView, ResponseEdits};

/// A request whose head is understood, and which waits to be told where it goes.
#[derive(Debug)]
pub struct Routing<'a> {
    exchange: &'a mut Exchange,
    heads: &'a mut Heads,
}

impl<'a> Routing<'a> {
    /// The question of an exchange, of whose request `heads` has just been read.
    #[inline(always)]
    pub(super) fn new(exchange: &'a mut Exchange, heads: &'a mut Heads) -> Self {
        Self { exchange, heads }
    }

    /// What may be looked at in the request; `client` is whose it is, as text.
    #[must_use]
    #[inline(always)]
    pub fn view<'b>(&'b self, client: &'b [u8]) -> RequestView<'b> {
        self.heads.request.view(self.exchange.unread(), client)
    }

    /// Whose the path of the request is.
    #[must_use]
    #[inline]
    pub fn reserved(&self) -> Reserved {
        self.heads.request.reserved(self.exchange.unread())
    }

    /// The target, as received.
    #[must_use]
    pub fn target(&self) -> &[u8] {
        self.heads.request.target(self.exchange.unread())
    }

    /// Whether all of the request was read. Chunks are never taken for whole.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.heads.request.is_whole(self.exchange.unread())
    }

    /// All that was read of the request, its head first.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.exchange.unread()
    }

    /// The client asks for the way of its request: `X-ELB-Explain: 1`. Whether it may know is for who answers.
    #[must_use]
    #[inline(always)]
    pub fn asks_for_way(&self) -> bool {
        self.heads.request.asks_for_way()
    }

    /// This is changed in the answer of the server that it goes to.
    #[inline(always)]
    pub fn change_answer(&mut self, env: &Env, edits: &Arc<ResponseEdits>) {
        change_answer(self.exchange, self.heads, env, edits);
    }

    /// The same, and its client is told of the way of the request.
    pub fn tell_way(&mut self, env: &Env, edits: Option<&Arc<ResponseEdits>>, way: Box<Way>) {
        let terms = Terms { way: Some(way), ..terms(self.exchange, self.heads, env, edits) };
        self.exchange.agree(env, Arc::new(terms));
    }

    /// The request has this id from now on.
    pub fn give_id(&mut self, id: &[u8]) {
        self.exchange.give_id(id);
    }

    /// It goes nowhere, and this is the reply.
    #[inline]
    pub fn reply(self, env: &Env, reply: &Reply<'_>) {
        self.exchange.reply(env, self.heads, reply);
    }

    /// It goes there, as few requests do: it has code of its own, so that [`forward`](Self::forward) has one caller.
    #[inline(never)]
    pub fn forward_seldom(self, env: &Env, forward: &Forward<'_>) {
        self.exchange.forward(env, self.heads, forward);
    }

    /// It goes there.
    #[inline(always)]
    pub fn forward(self, env: &Env, forward: &Forward<'_>) {
        self.exchange.forward(env, self.heads, forward);
    }
}

/// It is given the exchange itself: a question that is lent is written to memory, which is dear where nothing is changed.
#[cold]
#[inline(never)]
fn change_answer(exchange: &mut Exchange, heads: &Heads, env: &Env, edits: &Arc<ResponseEdits>) {
    let terms = terms(exchange, heads, env, Some(edits));
    exchange.agree(env, Arc::new(terms));
}

/// What is changed in the answer to a request, with what its head says of that: it is gone when the answer comes.
fn terms(exchange: &Exchange, heads: &Heads, env: &Env, edits: Option<&Arc<ResponseEdits>>) -> Terms {
    let takes = match edits {
        Some(edits) if edits.gzip.is_some() => {
            let view = heads.request.view(exchange.unread(), b"");
            Takes::of(|name| view.field(name))
        }
        _ => Takes::default(),
    };
    Terms { edits: edits.cloned(), takes, ..Terms::of(&env.policy) }
}
