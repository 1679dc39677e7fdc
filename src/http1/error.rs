//! Why bytes were refused: one reason for each rule, each with one status and one word for people.
//!
//! It owns the mapping from reason to status, never the decision to refuse. Next: `reply` turns a refusal into an
//! answer.

/// A message that is not passed on, and why.
///
/// The same reasons serve requests (answered with [`Refusal::status`]) and responses (always a 502 toward the client).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.reason())]
pub enum Refusal {
    /// A line that does not end in CRLF, or a CR that no LF follows.
    LineEnd,
    /// The request line is not `method SP target SP version`, or the version is none.
    RequestLine,
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
    /// The status a client gets when its request is refused for this reason.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Connect | Self::Trace => 405,
            Self::TargetTooLong => 414,
            Self::HeadTooLong | Self::TooManyHeaders | Self::ConnectionOptions => 431,
            Self::BodyTooLong => 413,
            Self::Expect => 417,
            Self::UnknownCoding => 501,
            Self::Version => 505,
            Self::Loop => 508,
            _ => 400,
        }
    }

    /// One kebab-case word: the value of `X-ELB-Reason`, and of the label in metrics.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::LineEnd => "bad-line-end",
            Self::RequestLine => "bad-request-line",
            Self::Method => "bad-method",
            Self::Version => "bad-version",
            Self::Connect => "connect-refused",
            Self::Trace => "trace-refused",
            Self::Target => "bad-target",
            Self::Path => "bad-path",
            Self::AmbiguousPath => "ambiguous-path",
            Self::TargetTooLong => "target-too-long",
            Self::NoHost => "no-host",
            Self::TwoHosts => "two-hosts",
            Self::Repeated => "repeated-field",
            Self::Host => "bad-host",
            Self::HeaderLine => "bad-header-line",
            Self::HeaderName => "bad-header-name",
            Self::HeaderValue => "bad-header-value",
            Self::HeadTooLong => "head-too-long",
            Self::TooManyHeaders => "too-many-headers",
            Self::ConnectionOptions => "too-many-connection-options",
            Self::ContentLength => "bad-content-length",
            Self::TwoFramings => "two-framings",
            Self::ChunkedInOldVersion => "chunked-in-old-version",
            Self::TransferEncoding => "bad-transfer-encoding",
            Self::UnknownCoding => "unknown-coding",
            Self::BodyTooLong => "body-too-long",
            Self::ChunkLine => "bad-chunk-line",
            Self::ChunkEnd => "bad-chunk-end",
            Self::ChunkExtensions => "too-many-chunk-extensions",
            Self::Trailer => "bad-trailer",
            Self::TrailersTooLong => "trailers-too-long",
            Self::Loop => "loop",
            Self::Expect => "bad-expect",
            Self::StatusLine => "bad-status-line",
            Self::Status => "bad-status",
        }
    }
}
