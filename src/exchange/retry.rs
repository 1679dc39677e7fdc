//! May another server be tried? One truth table.
//!
//! It owns the decision, never its execution, and what a failure says about its server. The rules are nginx's
//! (`proxy_next_upstream error timeout invalid_header http_500 http_504`) with the first ELB's three tries. Next:
//! [`super::machine`] asks and acts.

use super::phase::{Doubt, Sign};
use crate::reason::Reason;

/// What happened to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection was refused, or not established in time.
    Connect {
        /// It was the clock.
        timeout: bool,
    },
    /// There was a connection, and no session of TLS came of it.
    Session,
    /// The connection ended before an answer was there.
    Closed,
    /// What came was unreadable, or refused, or not asked for: this is what was wrong with it.
    Unacceptable(Reason),
    /// Nothing came in time.
    Silence,
}

impl Failure {
    /// What the client is told when no other server is asked.
    #[must_use]
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Connect { timeout: true } => Reason::ConnectTimeout,
            Self::Connect { timeout: false } => Reason::ConnectFailed,
            Self::Session => Reason::ServerTlsFailed,
            Self::Closed => Reason::ServerClosed,
            Self::Unacceptable(reason) => reason,
            Self::Silence => Reason::ServerTimeout,
        }
    }

    /// What it says about the health of the server. `reused` says that its connection came from the pool, where it may
    /// have died while nobody looked.
    #[must_use]
    pub(super) fn sign(self, reused: bool) -> Sign {
        match self {
            Self::Connect { .. } | Self::Session => Sign::Fault(self.reason()),
            Self::Closed if !reused => Sign::Fault(self.reason()),
            Self::Closed | Self::Unacceptable(_) => Sign::Nothing,
            Self::Silence => Sign::Doubt(Doubt::Silence),
        }
    }
}

/// What is known when it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt {
    /// Bytes of the request have left.
    pub sent: bool,
    /// The connection came from the pool, and no byte of a response has come.
    pub stale: bool,
    /// RFC 9110, section 9.2.2: to do it twice is to do it once.
    pub idempotent: bool,
    /// The whole request as far as it was read is still held.
    pub replayable: bool,
    /// Servers that may still be tried.
    pub tries_left: bool,
    /// An answer to the same request could not be accepted before. It is likely the request that is answered so: one more
    /// server is asked, lest it was that server after all, and no third.
    pub last: bool,
}

impl Attempt {
    /// The request can be sent once more, and nobody sees that it was sent twice.
    fn is_safe(self) -> bool {
        self.replayable && (!self.sent || self.idempotent)
    }

    /// Whether another server may be asked although this one has answered: with a 500 or a 504.
    #[must_use]
    pub(super) fn may_go_on(self) -> bool {
        self.is_safe() && self.tries_left && !self.last
    }
}

/// The attempts of one request so far, and what is known of the present one.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // Independent facts, each with its own sentence.
pub(super) struct Attempts {
    /// Servers tried, the present one included.
    pub(super) tries: u32,
    /// The present server connection came from the pool.
    pub(super) reused: bool,
    /// The present server connection is gone.
    pub(super) server_failed: bool,
    /// The server has switched protocols before the request's body was through: its answer waits for that.
    pub(super) switching: bool,
    /// An answer came that could not be accepted: one more server is asked, and no third.
    pub(super) unacceptable: bool,
    /// Why another server was asked, which the client is told when none is left.
    last_failure: Option<Failure>,
}

impl Attempts {
    /// A server has answered, and another one is asked all the same.
    pub(super) fn failed_over(&mut self) {
        self.last_failure = None;
    }

    /// What had become of the last attempt when another server was asked; nothing when it was a 500 or a 504.
    pub(super) fn last_failure(&self) -> Option<Reason> {
        self.last_failure.map(Failure::reason)
    }

    /// A connection to a server is there.
    #[inline]
    pub(super) fn connected(&mut self, reused: bool) {
        (self.reused, self.server_failed, self.switching) = (reused, false, false);
    }

    /// What to do about a failure, which is noted.
    pub(super) fn decide(&mut self, failure: Failure, attempt: Attempt) -> Retry {
        self.unacceptable |= matches!(failure, Failure::Unacceptable(_));
        let retry = decide(failure, attempt);
        if retry == Retry::NextServer {
            self.last_failure = Some(failure);
        }
        retry
    }

    /// Why there is no answer, when there is no other server: what was wrong with the last one, or `otherwise` this.
    pub(super) fn why_none(&self, otherwise: Reason) -> Reason {
        self.last_failure.map_or(otherwise, Failure::reason)
    }
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// The same server on a fresh connection; the attempt does not count.
    SameServer,
    /// The next server.
    NextServer,
    /// Answer the client.
    GiveUp(Reason),
}

/// The table of design: rows are what happened, columns what was sent and whether it may be repeated.
#[must_use]
pub(super) fn decide(failure: Failure, attempt: Attempt) -> Retry {
    let safe = attempt.is_safe();
    match failure {
        // A pooled connection that the server closed as the request went out says nothing about the server.
        Failure::Closed if attempt.stale && safe => Retry::SameServer,
        // Nothing was asked of a server that there was no connection to.
        Failure::Connect { .. } | Failure::Session if safe && attempt.tries_left => Retry::NextServer,
        _ if attempt.may_go_on() => Retry::NextServer,
        _ => Retry::GiveUp(failure.reason()),
    }
}

/// Whether doing this method twice is doing it once (RFC 9110, section 9.2.2). Unknown methods are not assumed to be;
/// the first ELB repeated all but POST, PATCH and LOCK, which its `proxy_next_upstream` knew as non-idempotent.
#[must_use]
pub(super) fn idempotent(method: &[u8]) -> bool {
    matches!(
        method,
        b"GET" | b"HEAD" | b"PUT" | b"DELETE" | b"OPTIONS" | b"TRACE" | b"PROPFIND" | b"REPORT" | b"SEARCH"
    )
}

/// Whether a body is nothing that servers expect with this method, so that some do not read it: they take it for the next
/// request then, and their answer to that would be the next client's.
#[must_use]
pub(super) fn unexpected_body(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"DELETE" | b"OPTIONS")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Attempt = Attempt {
        sent: false,
        stale: false,
        idempotent: true,
        replayable: true,
        tries_left: true,
        last: false,
    };

    #[test]
    fn the_table_row_by_row() {
        let get = Attempt { sent: true, ..FRESH };
        let post = Attempt { sent: true, idempotent: false, ..FRESH };
        let unsent_post = Attempt { idempotent: false, ..FRESH };
        let refused = Failure::Connect { timeout: false };
        let late = Failure::Connect { timeout: true };
        let (closed, invalid) = (Failure::Closed, Failure::Unacceptable(Reason::BadStatusLine));
        for (failure, attempt, retry) in [
            (refused, FRESH, Retry::NextServer),
            (late, FRESH, Retry::NextServer),
            (refused, unsent_post, Retry::NextServer),
            (Failure::Session, unsent_post, Retry::NextServer),
            (
                Failure::Session,
                Attempt { tries_left: false, ..FRESH },
                Retry::GiveUp(Reason::ServerTlsFailed),
            ),
            (refused, Attempt { last: true, ..FRESH }, Retry::NextServer),
            (late, Attempt { tries_left: false, ..FRESH }, Retry::GiveUp(Reason::ConnectTimeout)),
            (closed, Attempt { stale: true, ..get }, Retry::SameServer),
            (closed, Attempt { stale: true, ..post }, Retry::GiveUp(Reason::ServerClosed)),
            (closed, Attempt { stale: true, ..unsent_post }, Retry::SameServer),
            (closed, get, Retry::NextServer),
            (closed, post, Retry::GiveUp(Reason::ServerClosed)),
            (invalid, get, Retry::NextServer),
            (invalid, Attempt { stale: true, ..get }, Retry::NextServer),
            (invalid, post, Retry::GiveUp(Reason::BadStatusLine)),
            (invalid, Attempt { last: true, ..get }, Retry::GiveUp(Reason::BadStatusLine)),
            (Failure::Silence, get, Retry::NextServer),
            (Failure::Silence, post, Retry::GiveUp(Reason::ServerTimeout)),
        ] {
            assert_eq!(decide(failure, attempt), retry, "{failure:?} {attempt:?}");
        }
    }

    #[test]
    fn a_500_may_be_bettered_where_the_request_may_be_repeated() {
        let get = Attempt { sent: true, ..FRESH };
        assert!(get.may_go_on());
        assert!(!Attempt { idempotent: false, ..get }.may_go_on());
        assert!(!Attempt { last: true, ..get }.may_go_on());
    }

    #[test]
    fn nothing_is_tried_without_tries_or_without_the_request() {
        for attempt in [
            Attempt { tries_left: false, ..FRESH },
            Attempt { replayable: false, ..FRESH },
            Attempt { replayable: false, stale: true, ..FRESH },
        ] {
            for failure in [Failure::Connect { timeout: false }, Failure::Closed, Failure::Silence] {
                assert!(matches!(decide(failure, attempt), Retry::GiveUp(_)), "{failure:?} {attempt:?}");
            }
            assert!(!attempt.may_go_on(), "{attempt:?}");
        }
    }

    #[test]
    fn methods_that_may_be_repeated() {
        assert!(idempotent(b"GET") && idempotent(b"PUT") && idempotent(b"DELETE"));
        assert!(!idempotent(b"POST") && !idempotent(b"PATCH") && !idempotent(b"get") && !idempotent(b"BREW"));
    }
}
