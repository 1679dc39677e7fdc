//! May another server be tried? One truth table.
//!
//! It owns the decision, never its execution, and what a failure says about its server. The rules are nginx's
//! (`proxy_next_upstream error timeout invalid_header http_500 http_504`) with the first ELB's three tries. Next:
//! `machine` asks and acts.

use super::phase::Sign;
use crate::reason::Reason;

/// What happened to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection was refused, or not established in time.
    Connect {
        /// It was the clock.
        timeout: bool,
    },
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
            Self::Connect { .. } => Sign::Fault,
            Self::Closed if !reused => Sign::Fault,
            Self::Closed | Self::Unacceptable(_) => Sign::Nothing,
            Self::Silence => Sign::Doubt,
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

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The same server on a fresh connection; the attempt does not count.
    Again,
    /// The next server.
    Next,
    /// Answer the client.
    Give(Reason),
}

/// The table of design: rows are what happened, columns what was sent and whether it may be repeated.
#[must_use]
pub(super) fn decide(failure: Failure, attempt: Attempt) -> Verdict {
    let safe = attempt.is_safe();
    match failure {
        // A pooled connection that the server closed as the request went out says nothing about the server.
        Failure::Closed if attempt.stale && safe => Verdict::Again,
        // Nothing was asked of a server that there was no connection to.
        Failure::Connect { .. } if safe && attempt.tries_left => Verdict::Next,
        _ if attempt.may_go_on() => Verdict::Next,
        _ => Verdict::Give(failure.reason()),
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
        for (failure, attempt, verdict) in [
            (refused, FRESH, Verdict::Next),
            (late, FRESH, Verdict::Next),
            (refused, unsent_post, Verdict::Next),
            (refused, Attempt { last: true, ..FRESH }, Verdict::Next),
            (late, Attempt { tries_left: false, ..FRESH }, Verdict::Give(Reason::ConnectTimeout)),
            (closed, Attempt { stale: true, ..get }, Verdict::Again),
            (closed, Attempt { stale: true, ..post }, Verdict::Give(Reason::ServerClosed)),
            (closed, Attempt { stale: true, ..unsent_post }, Verdict::Again),
            (closed, get, Verdict::Next),
            (closed, post, Verdict::Give(Reason::ServerClosed)),
            (invalid, get, Verdict::Next),
            (invalid, Attempt { stale: true, ..get }, Verdict::Next),
            (invalid, post, Verdict::Give(Reason::BadStatusLine)),
            (invalid, Attempt { last: true, ..get }, Verdict::Give(Reason::BadStatusLine)),
            (Failure::Silence, get, Verdict::Next),
            (Failure::Silence, post, Verdict::Give(Reason::ServerTimeout)),
        ] {
            assert_eq!(decide(failure, attempt), verdict, "{failure:?} {attempt:?}");
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
                assert!(matches!(decide(failure, attempt), Verdict::Give(_)), "{failure:?} {attempt:?}");
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
