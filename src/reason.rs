//! Why something is refused, cut or closed: each reason with its word, its status, and whose doing it is.
//!
//! It owns the only list of reasons, and decides nothing. `X-ELB-Reason`, the counters and the log take their words from
//! here. Next: [`crate::http1::error`] for what a message is refused for, `exchange::retry` for what follows a failure,
//! [`crate::stats::reasons`] for the numbers.

use std::fmt;

/// Who would have to do something else, for the reason to be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The client: what it sent, what it asked for, or how long it took.
    Client,
    /// The server: it cannot be reached, or what it sent, or how long it took.
    Server,
    /// ELB: what it ran out of, or its configuration.
    Elb,
}

/// One reason a line: `Name "word" Whose status`. The status is left out where nobody waits for an answer. Where the
/// answer may have begun already, the exchange is cut instead.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $name:ident $word:literal $whose:ident $($status:literal)?;)+) => {
        /// Why something is refused, cut or closed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $(#[doc = concat!("`", $word, "`.")] $(#[doc = $doc])* $name,)+
        }

        impl Reason {
            /// Every reason, in the order of `reason as usize`.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$name),+];

            /// One kebab-case word: the value of `X-ELB-Reason`, and the name of the number in `refused`.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// The status that a client is answered with, or `None` where nobody waits for an answer.
            #[must_use]
            pub const fn status(self) -> Option<u16> {
                match self { $(Self::$name => status!($($status)?),)+ }
            }

            /// Whose doing it is.
            #[must_use]
            pub const fn whose(self) -> Whose {
                match self { $(Self::$name => Whose::$whose,)+ }
            }
        }
    };
}

macro_rules! status {
    () => {
        None
    };
    ($status:literal) => {
        Some($status)
    };
}

reasons! {
    // ------------------------------------------------------------------------------------------- the request is faulty
    // What these mean stands at the variants of `http1::error::Refusal`.
    BadLineEnd "bad-line-end" Client 400;
    BadRequestLine "bad-request-line" Client 400;
    TlsOnPlainPort "tls-on-plain-port" Client 400;
    ProxyProtocol "proxy-protocol" Client 400;
    BadMethod "bad-method" Client 400;
    BadVersion "bad-version" Client 505;
    MethodConnect "method-connect" Client 405;
    TraceRefused "trace-refused" Client 405;
    BadTarget "bad-target" Client 400;
    BadPath "bad-path" Client 400;
    AmbiguousPath "ambiguous-path" Client 400;
    TargetTooLong "target-too-long" Client 414;
    NoHost "no-host" Client 400;
    TwoHosts "two-hosts" Client 400;
    BadHost "bad-host" Client 400;
    RepeatedField "repeated-field" Client 400;
    BadHeaderLine "bad-header-line" Client 400;
    BadHeaderName "bad-header-name" Client 400;
    BadHeaderValue "bad-header-value" Client 400;
    HeadTooLong "head-too-long" Client 431;
    TooManyHeaders "too-many-headers" Client 431;
    TooManyConnectionOptions "too-many-connection-options" Client 431;
    BadExpect "bad-expect" Client 417;
    Loop "loop" Client 508;
    BadContentLength "bad-content-length" Client 400;
    TwoFramings "two-framings" Client 400;
    ChunkedInOldVersion "chunked-in-old-version" Client 400;
    BadTransferEncoding "bad-transfer-encoding" Client 400;
    UnknownCoding "unknown-coding" Client 501;
    BodyTooLong "body-too-long" Client 413;
    BadChunkLine "bad-chunk-line" Client 400;
    BadChunkEnd "bad-chunk-end" Client 400;
    TooManyChunkExtensions "too-many-chunk-extensions" Client 400;
    BadTrailer "bad-trailer" Client 400;
    TrailersTooLong "trailers-too-long" Client 400;

    // --------------------------------------------------------------------------------- the request may not go anywhere
    /// No domain of this name, and none that stands for it.
    NoDomain "no-domain" Client 404;
    /// A filter had no rule to go on with.
    RuleDenied "rule-denied" Client 403;
    /// A `limit` had no rule to go on with, and as many requests had come as it lets pass. Its status may be set.
    RateLimited "rate-limited" Client 429;
    /// The group that a rule makes the path of is none that should be sent.
    BadRewrite "bad-rewrite" Client 400;
    /// The path leads to what is ELB's own, and is no call of the admin API there.
    ReservedPath "reserved-path" Client 404;
    /// The peer is not in `--admin-allow`.
    AdminRefused "admin-refused" Client 403;
    /// The admin API has as many requests waiting as it takes.
    AdminBusy "admin-busy" Elb 503;

    // ----------------------------------------------------------------------- the client is too slow, or has gone away
    /// The head was not whole in time.
    ClientHeaderTimeout "client-header-timeout" Client 408;
    /// The client owed the rest of a body for too long.
    ClientBodyTimeout "client-body-timeout" Client 408;
    /// The client did not take its answer in time.
    ClientWriteTimeout "client-write-timeout" Client;
    /// The client has sent its end of input, and the answer did not begin in time.
    HalfCloseTimeout "half-close-timeout" Client;
    /// The rest of a request that was answered early did not come to its end in time.
    LingerTimeout "linger-timeout" Client;
    /// The client asked nothing more in time.
    KeepaliveTimeout "keepalive-timeout" Client;
    /// Nothing came through a tunnel, from either end, for too long.
    TunnelTimeout "tunnel-timeout" Client;
    /// The client ended before its body did.
    RequestCut "request-cut" Client;
    /// The client's address has as many connections as it may.
    TooManyConnections "too-many-connections" Client;
    /// A listener of the PROXY protocol got no header, a broken one, or one of somebody who is not trusted.
    BadProxyHeader "bad-proxy-header" Client;
    /// No session of TLS came of a connection: what the client sent or wants is none, or it went away.
    TlsHandshakeFailed "tls-handshake-failed" Client;
    /// The handshake of TLS took too long.
    TlsHandshakeTimeout "tls-handshake-timeout" Client;
    /// The client asks the server of one name, in TLS, for another (RFC 9110, section 15.5.20).
    Misdirected "misdirected" Client 421;

    // ------------------------------------------------------------------------ the server is not there, or is too slow
    /// The connection was refused or is impossible.
    ConnectFailed "connect-failed" Server 502;
    /// There was no connection in time.
    ConnectTimeout "connect-timeout" Server 504;
    /// No session of TLS came of a connection: what the server showed or said is not accepted, or it went away.
    ServerTlsFailed "server-tls-failed" Server 502;
    /// The server was silent for too long.
    ServerTimeout "server-timeout" Server 504;
    /// The connection ended before an answer began.
    ServerClosed "server-closed" Server 502;
    /// An idle connection was kept as long as it may be.
    ServerKeepaliveTimeout "server-keepalive-timeout" Server;
    /// Every server is down, busy, or was tried.
    NoServer "no-server" Server 502;

    // ---------------------------------------------------------------------------- what the server says is not accepted
    /// A line or a field of the head is malformed.
    BadResponseHead "bad-response-head" Server 502;
    /// The head says in no way, or in two, where the body ends.
    BadResponseFraming "bad-response-framing" Server 502;
    /// The body is malformed: its chunks or its trailers.
    BadResponseBody "bad-response-body" Server 502;
    /// The head, or the number of its fields, is above the limit.
    ResponseHeadTooLong "response-head-too-long" Server 502;
    /// More interim responses came than the limit.
    TooManyInterimResponses "too-many-interim-responses" Server 502;
    /// It came before the request was sent.
    UnaskedResponse "unasked-response" Server 502;
    /// It switches to a protocol that the client did not ask for.
    UnaskedSwitch "unasked-switch" Server 502;
    /// The answer ended before its end.
    ResponseCut "response-cut" Server 502;
    /// It does not begin with a status line.
    BadStatusLine "bad-status-line" Server 502;
    /// Its status is not allowed where it came.
    BadStatus "bad-status" Server 502;

    // -------------------------------------------------------------------- ELB has run out of something, or lacks a word
    /// The rule names an upstream that there is not.
    NoUpstream "no-upstream" Elb 502;
    /// No server of the upstream has an address.
    NoServerAddress "no-server-address" Elb 502;
    /// Buffers ran out.
    NoBuffers "no-buffers" Elb 503;
    /// The process has no descriptor left.
    NoDescriptors "no-descriptors" Elb 503;
    /// The kernel has no memory left for a socket.
    NoMemory "no-memory" Elb 503;
    /// This machine has no port left for a connection to that server.
    NoPorts "no-ports" Elb 503;
    /// There is no place for a connection: none became free for a while, or this one's was given to another client.
    NoPlaces "no-places" Elb 503;
    /// An idle connection made room for a new one.
    IdleClosed "idle-closed" Elb;
    /// The kernel gave no connection, or could not watch one.
    AcceptFailed "accept-failed" Elb;
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_has_a_word_of_its_own_and_a_place() {
        let words: BTreeSet<&str> = Reason::ALL.map(Reason::word).into();
        assert_eq!(words.len(), Reason::ALL.len());
        let is_kebab = |word: &str| {
            word.split('-').all(|part| part.bytes().all(|b| b.is_ascii_lowercase()) && !part.is_empty())
        };
        assert_eq!(words.iter().find(|word| !is_kebab(word)), None);
        for (at, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at, "{reason}");
        }
    }

    #[test]
    fn a_status_says_whose_doing_it_is() {
        // What a client asks for and ELB cannot do has a status that speaks of a server.
        let cannot = [Reason::BadVersion, Reason::UnknownCoding, Reason::Loop];
        for reason in Reason::ALL.into_iter().filter(|reason| !cannot.contains(reason)) {
            let Some(status) = reason.status() else { continue };
            let expected: &[u16] = match reason.whose() {
                Whose::Client => &[400, 403, 404, 405, 408, 413, 414, 417, 421, 429, 431],
                Whose::Server => &[502, 504],
                Whose::Elb => &[502, 503],
            };
            assert!(expected.contains(&status), "{reason} {status}");
        }
    }
}
