//! Why bytes were refused: one refusal for each rule, and the reason that each is told and counted as.
//!
//! It owns the mapping from refusal to reason, never the decision to refuse. Next: [`crate::reason`] has the words and the
//! statuses, [`super::reply`] turns a reason into an answer.

use crate::reason::Reason;

/// A message that is not passed on, and why.
///
/// The same refusals serve requests, which are answered with the status of [`Refusal::reason`], and responses, which are a
/// 502 toward the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.reason())]
pub enum Refusal {
    /// A line that does not end in CRLF, or a CR that no LF follows.
    LineEnd,
    /// The request line is not `method SP target SP version`, or the version is none.
    RequestLine,
    /// A TLS hello stands where a request should.
    TlsOnPlainPort,
    /// A PROXY header stands where a request should.
    ProxyProtocol,
    /// The method is not a token.
    Method,
    /// The version is one, and not HTTP/1.x.
    Version,
    /// CONNECT, which a reverse proxy does not serve.
    Connect,
    /// TRACE, which would show a client what the proxy added.
    Trace,
    /// The target is none of the forms that RFC 9112, section 3.2 allows for its method.
    Target,
    /// The path holds a bad percent escape, an escaped NUL, or climbs above the root.
    Path,
    /// The path holds dots or control bytes that servers would read in different ways.
    AmbiguousPath,
    /// The request line is longer than the limit.
    TargetTooLong,
    /// No `Host` in HTTP/1.1.
    NoHost,
    /// More than one `Host`.
    TwoHosts,
    /// More than one of another field that there may be one of, and that rules or ELB rest on: `User-Agent`,
    /// `Authorization`.
    Repeated,
    /// `Host` or the target's authority is not `host[:port]`.
    Host,
    /// A header line that is not `token ":" value`.
    HeaderLine,
    /// A header name that is not a token, or has a space before the colon, or is empty.
    HeaderName,
    /// A control byte in a header value.
    HeaderValue,
    /// The head is longer than the limit.
    HeadTooLong,
    /// More header fields than the limit.
    TooManyHeaders,
    /// `Connection` names more fields than the limit.
    ConnectionOptions,
    /// `Content-Length` is not one run of digits that fits, or is there twice.
    ContentLength,
    /// `Transfer-Encoding` beside `Content-Length`.
    TwoFramings,
    /// `Transfer-Encoding` in an HTTP/1.0 message.
    ChunkedInOldVersion,
    /// `Transfer-Encoding` that does not end in one `chunked`.
    TransferEncoding,
    /// A transfer coding other than `chunked`.
    UnknownCoding,
    /// The body is longer than the limit.
    BodyTooLong,
    /// A chunk-size line that is not hexadecimal digits with well-formed extensions.
    ChunkLine,
    /// Chunk data that CRLF does not follow.
    ChunkEnd,
    /// Chunk extensions beyond the limit of a line, or out of all proportion to the content.
    ChunkExtensions,
    /// A trailer that is malformed, or would frame or route the message if it stood in the head.
    Trailer,
    /// Trailers beyond the limit.
    TrailersTooLong,
    /// More proxies are named in `X-Forwarded-For` than the limit: the request goes in a circle.
    Loop,
    /// `Expect` with something else than `100-continue`.
    Expect,
    /// A status line that is not `HTTP/1.x SP 3DIGIT`.
    StatusLine,
    /// A status that is not allowed where it came.
    Status,
}

impl Refusal {
    /// The reason that a request is refused for: its word and its status.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            Self::LineEnd => Reason::BadLineEnd,
            Self::RequestLine => Reason::BadRequestLine,
            Self::TlsOnPlainPort => Reason::TlsOnPlainPort,
            Self::ProxyProtocol => Reason::ProxyProtocol,
            Self::Method => Reason::BadMethod,
            Self::Version => Reason::BadVersion,
            Self::Connect => Reason::MethodConnect,
            Self::Trace => Reason::TraceRefused,
            Self::Target => Reason::BadTarget,
            Self::Path => Reason::BadPath,
            Self::AmbiguousPath => Reason::AmbiguousPath,
            Self::TargetTooLong => Reason::TargetTooLong,
            Self::NoHost => Reason::NoHost,
            Self::TwoHosts => Reason::TwoHosts,
            Self::Repeated => Reason::RepeatedField,
            Self::Host => Reason::BadHost,
            Self::HeaderLine => Reason::BadHeaderLine,
            Self::HeaderName => Reason::BadHeaderName,
            Self::HeaderValue => Reason::BadHeaderValue,
            Self::HeadTooLong => Reason::HeadTooLong,
            Self::TooManyHeaders => Reason::TooManyHeaders,
            Self::ConnectionOptions => Reason::TooManyConnectionOptions,
            Self::ContentLength => Reason::BadContentLength,
            Self::TwoFramings => Reason::TwoFramings,
            Self::ChunkedInOldVersion => Reason::ChunkedInOldVersion,
            Self::TransferEncoding => Reason::BadTransferEncoding,
            Self::UnknownCoding => Reason::UnknownCoding,
            Self::BodyTooLong => Reason::BodyTooLong,
            Self::ChunkLine => Reason::BadChunkLine,
            Self::ChunkEnd => Reason::BadChunkEnd,
            Self::ChunkExtensions => Reason::TooManyChunkExtensions,
            Self::Trailer => Reason::BadTrailer,
            Self::TrailersTooLong => Reason::TrailersTooLong,
            Self::Loop => Reason::Loop,
            Self::Expect => Reason::BadExpect,
            Self::StatusLine => Reason::BadStatusLine,
            Self::Status => Reason::BadStatus,
        }
    }

    /// The reason when it is the head of a server's answer that breaks the rule.
    #[must_use]
    pub fn reason_of_response(self) -> Reason {
        match self {
            Self::StatusLine => Reason::BadStatusLine,
            Self::Status => Reason::BadStatus,
            Self::HeadTooLong | Self::TargetTooLong | Self::TooManyHeaders | Self::ConnectionOptions => {
                Reason::ResponseHeadTooLong
            }
            Self::ContentLength
            | Self::TwoFramings
            | Self::ChunkedInOldVersion
            | Self::TransferEncoding
            | Self::UnknownCoding => Reason::BadResponseFraming,
            _ => Reason::BadResponseHead,
        }
    }
}
