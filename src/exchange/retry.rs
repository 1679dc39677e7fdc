//! May another server be tried? One truth table.
//!
//! It owns the decision, never its execution. The rules are nginx's (`proxy_next_upstream error timeout invalid_header
//! http_500 http_504`) with the first ELB's three tries. Next: `machine` asks and acts.

use super::phase::Sign;

/// What happened to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection was refused, or not established in time.
    Connect {
        /// It was the clock.
        timeout: bool,
    },
    /// The connection ended, or brought no readable head.
    Broken {
        /// The head was unreadable, or refused, or something came that was not asked for.
        invalid: bool,
    },
    /// Nothing came in time.
    Silence,
    /// The server itself answered 500 or 504.
    Status,
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

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The same server on a fresh connection; the attempt does not count.
    Again,
    /// The next server.
    Next,
    /// Answer the client with this status and word; for [`Failure::Status`], with the server's own response.
    Give(u16, &'static str),
}

/// The table of design: rows are what happened, columns what was sent and whether it may be repeated.
#[must_use]
pub(super) fn decide(failure: Failure, attempt: Attempt) -> Verdict {
    let safe = attempt.replayable && (!attempt.sent || attempt.idempotent);
    let asked = attempt.last && !matches!(failure, Failure::Connect { .. });
    match failure {
        // A pooled connection that the server closed as the request went out says nothing about the server.
        Failure::Broken { invalid: false } if attempt.stale && safe => Verdict::Again,
        _ if safe && attempt.tries_left && !asked => Verdict::Next,
        _ => {
            let (status, reason) = answer(failure);
            Verdict::Give(status, reason)
        }
    }
}

/// The answer when no other server is asked: a status and a word.
#[must_use]
pub(super) fn answer(failure: Failure) -> (u16, &'static str) {
    match failure {
        Failure::Connect { timeout: true } => (504, "connect-timeout"),
        Failure::Connect { timeout: false } => (502, "connect-failed"),
        Failure::Broken { invalid: true } => (502, "bad-response"),
        Failure::Broken { invalid: false } => (502, "server-closed"),
        Failure::Silence => (504, "server-timeout"),
        Failure::Status => (0, "server-status"),
    }
}

/// What a failed attempt says about the health of its server. `reused` says that its connection came from the pool, where
/// it may have died while nobody looked.
#[must_use]
pub(super) fn sign(failure: Failure, reused: bool) -> Sign {
    match failure {
        Failure::Connect { .. } => Sign::Fault,
        Failure::Broken { invalid: false } if !reused => Sign::Fault,
        Failure::Broken { .. } => Sign::Nothing,
        Failure::Silence | Failure::Status => Sign::Doubt,
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
        let closed = Failure::Broken { invalid: false };
        let invalid = Failure::Broken { invalid: true };
        for (failure, attempt, verdict) in [
            (refused, FRESH, Verdict::Next),
            (late, FRESH, Verdict::Next),
            (refused, unsent_post, Verdict::Next),
            (closed, Attempt { stale: true, ..get }, Verdict::Again),
            (closed, Attempt { stale: true, ..post }, Verdict::Give(502, "server-closed")),
            (closed, Attempt { stale: true, ..unsent_post }, Verdict::Again),
            (closed, get, Verdict::Next),
            (closed, post, Verdict::Give(502, "server-closed")),
            (invalid, get, Verdict::Next),
            (invalid, Attempt { stale: true, ..get }, Verdict::Next),
            (invalid, post, Verdict::Give(502, "bad-response")),
            (Failure::Silence, get, Verdict::Next),
            (Failure::Silence, post, Verdict::Give(504, "server-timeout")),
            (Failure::Status, get, Verdict::Next),
            (Failure::Status, post, Verdict::Give(0, "server-status")),
        ] {
            assert_eq!(decide(failure, attempt), verdict, "{failure:?} {attempt:?}");
        }
    }

    #[test]
    fn nothing_is_tried_without_tries_or_without_the_request() {
        for failure in [
            Failure::Connect { timeout: false },
            Failure::Broken { invalid: false },
            Failure::Silence,
            Failure::Status,
        ] {
            for attempt in [
                Attempt { tries_left: false, ..FRESH },
                Attempt { replayable: false, ..FRESH },
                Attempt { replayable: false, stale: true, ..FRESH },
            ] {
                assert!(matches!(decide(failure, attempt), Verdict::Give(..)), "{failure:?} {attempt:?}");
            }
        }
    }

    #[test]
    fn methods_that_may_be_repeated() {
        assert!(idempotent(b"GET") && idempotent(b"PUT") && idempotent(b"DELETE"));
        assert!(!idempotent(b"POST") && !idempotent(b"PATCH") && !idempotent(b"get") && !idempotent(b"BREW"));
    }
}
