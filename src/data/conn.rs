//! One client connection, and what hangs on it while a request is under way.
//!
//! It owns the client's transport, the exchange, and the loans from the worker (windows, a server connection, a place in a
//! balancer); it never decides what to do with them. Next: [`super::pump`] moves its bytes, [`super::dispatch`] does what its
//! exchange asks for.

use std::time::{Duration, Instant};

use super::balancer::{Affinity, Choice, Doubts, Lease, Tried};
use super::buffers::Buffers;
use super::clients::Client;
use super::note::Note;
use super::peer_text::PeerText;
use super::prelude::{Ends, Prelude};
use super::timers::Alarm;
use super::token::Token;
use super::transport::Transport;
use crate::exchange::Exchange;

/// How long a client that has connected may say nothing before it is as idle as one that rests between two requests.
/// Its first request is usually a round trip away; nobody holds a worker longer by saying none.
pub(super) const SILENCE: Duration = Duration::from_secs(5);

/// The connection to the server of a request, as a slot of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerLink {
    /// There is none.
    None,
    /// It is not established yet.
    Connecting(u32),
    /// It is established.
    Up {
        /// The slot.
        slot: u32,
        /// It is the client's own, and rests with it.
        own: bool,
    },
}

impl ServerLink {
    /// Its slot, if there is one, established or not.
    #[inline]
    #[must_use]
    pub fn slot(self) -> Option<u32> {
        match self {
            Self::None => None,
            Self::Connecting(slot) | Self::Up { slot, .. } => Some(slot),
        }
    }

    /// Its slot once it is established.
    #[inline]
    #[must_use]
    pub fn up(self) -> Option<u32> {
        match self {
            Self::Up { slot, .. } => Some(slot),
            Self::None | Self::Connecting(_) => None,
        }
    }

    /// Its slot while it is not.
    #[inline]
    #[must_use]
    pub fn connecting(self) -> Option<u32> {
        match self {
            Self::Connecting(slot) => Some(slot),
            Self::None | Self::Up { .. } => None,
        }
    }

    /// Gives the slot up: there is none after that.
    #[inline]
    pub fn take(&mut self) -> Option<u32> {
        std::mem::replace(self, Self::None).slot()
    }
}

/// A request under way. Boxed and used again, so that an idle connection stays small and a busy one allocates nothing.
#[derive(Debug)]
pub struct Active {
    /// The machine.
    pub exchange: Exchange,
    /// Where its request was sent.
    pub dispatch: Dispatch,
    /// When it was pumped last, a window was wanted and the stock was used up.
    pub starved: bool,
}

impl Active {
    /// The balancer is to be told when the head of the answer has come.
    #[inline]
    #[must_use]
    pub fn waits_for_answer(&self) -> bool {
        self.dispatch.lease.as_ref().is_some_and(Lease::waits)
    }
}

/// Where a request was sent, and what it has borrowed for that.
#[derive(Debug)]
pub struct Dispatch {
    /// The server connection.
    pub link: ServerLink,
    /// The place taken in the balancer of `upstream`.
    pub lease: Option<Lease>,
    /// The upstream, as a slot of the view.
    pub upstream: Option<u32>,
    /// Servers tried for this request.
    pub tried: Tried,
    /// What is held against them until the request is over.
    pub doubts: Doubts,
    /// Where it belongs among the servers of its upstream, if some upstream asks for that.
    pub affinity: Affinity,
    /// The domain that it was routed by, for statistics.
    pub domain: Option<u32>,
    /// When it was routed.
    pub routed: Instant,
    /// The last rule that was asked, by its number in the rule set.
    pub rule: Option<u16>,
    /// What the access log shows of it; the room for that is kept.
    pub note: Option<Box<Note>>,
    /// It was not recorded yet.
    pub unrecorded: bool,
}

impl Dispatch {
    /// What the choice of a server depends on.
    #[inline(always)]
    #[must_use]
    pub fn choice(&self, now: Instant) -> Choice<'_> {
        Choice { tried: &self.tried, now, affinity: &self.affinity }
    }

    /// Nothing was sent anywhere.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            link: ServerLink::None,
            lease: None,
            upstream: None,
            tried: Tried::default(),
            doubts: Doubts::default(),
            affinity: Affinity::default(),
            domain: None,
            routed: now,
            rule: None,
            note: None,
            unrecorded: true,
        }
    }

    /// Ready for another request.
    #[inline]
    pub fn renew(&mut self) {
        (self.domain, self.rule, self.upstream, self.unrecorded) = (None, None, None, true);
        if let Some(note) = &mut self.note {
            note.clear();
        }
    }
}

/// A client connection.
#[derive(Debug)]
pub struct Conn {
    /// What it reads from and writes to.
    pub transport: Transport,
    /// Its name in the worker.
    pub token: Token,
    /// Whose it is.
    pub client: Client,
    /// The client's address, as text. Servers and rules are told of it.
    pub address: PeerText,
    /// Who is at its other end.
    pub ends: Ends,
    /// What it owes before its first request.
    pub prelude: Prelude,
    /// It waits in the worker's queue of runnable connections.
    pub queued: bool,
    /// It waits in the worker's queue for a window.
    pub starved: bool,
    /// It has not asked for anything yet. Its first request is on the way, so it is not closed like one that rests.
    pub fresh: bool,
    /// When something is to be done if nothing happens until then.
    pub deadline: Instant,
    /// When the wheel will ring for it.
    pub alarm: Alarm,
    /// The server connection that knows this client as its user and is nobody else's, as a slot of the pool. It rests here
    /// between two requests.
    pub own: Option<u32>,
    /// What the request under way held beside its windows when that was last told to the stock.
    pub charged: u32,
    /// The request under way.
    pub active: Option<Box<Active>>,
}

impl Conn {
    /// It is known whose it is.
    pub fn begin(&mut self, ends: Ends) {
        self.client = Client::of(ends.client);
        self.address = PeerText::new(ends.client);
        self.ends = ends;
        self.prelude = self.prelude.next();
    }

    /// Bytes of windows, and of what is held beside them.
    #[must_use]
    pub fn held(&self) -> usize {
        self.active.as_ref().map_or(0, |active| active.exchange.held()) + self.charged as usize
    }
}

/// Tells the stock what a request under way holds beside its windows, if that has changed.
#[inline]
pub fn charge(charged: &mut u32, held: u32, buffers: &mut Buffers) {
    if held != *charged {
        buffers.charge(*charged as usize, held as usize);
        *charged = held;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hundreds of requests under way are more than the first cache holds, and each is looked at twice. With eight lines a request of
    /// 512 at once takes 1 to 2 % more than with seven; its times and bytes are worth that.
    #[test]
    fn a_request_under_way_takes_few_lines_of_the_cache() {
        assert!(size_of::<Active>() <= 8 * 64, "{} bytes", size_of::<Active>());
    }

    #[test]
    fn an_idle_connection_is_small() {
        assert!(size_of::<Conn>() <= 192, "{} bytes", size_of::<Conn>());
    }
}
