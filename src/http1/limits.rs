//! Every bound on what a peer may send that is not a setting, with its reason.
//!
//! It owns numbers and nothing else. What an operator may change is in `settings` and arrives as an argument.

use std::time::Duration;

/// Longest request line, in bytes: twice nginx's buffer; longer targets are answered 414.
pub const REQUEST_LINE: usize = 16 * 1024;
/// Most header fields in a head: browsers send a dozen, and a table of 256 fits on the stack. 431 above.
pub const HEADER_FIELDS: usize = 256;
/// Members that the `Connection` fields of a head may have, empty ones included. Each may name a field that is looked for
/// among all, so that without a bound a head of 64 KiB would be the work of many. 431 above.
pub const CONNECTION_OPTIONS: usize = 64;
/// Members that are looked at in a list of which few mean anything, such as `TE`; what stands behind them means nothing.
pub const LIST_MEMBERS: usize = 64;
/// Longest `Transfer-Encoding` and longest `Upgrade` that are read, in bytes: a few names. A longer one is not well-formed,
/// or is not passed on.
pub const SHORT_LIST: usize = 256;
/// Longest response head, in bytes: what the first ELB allowed. 502 above.
pub const RESPONSE_HEAD: usize = 256 * 1024;
/// Empty lines that are skipped before a request line (RFC 9112, section 2.2 asks for at least one).
pub const LEADING_EMPTY_LINES: usize = 2;
/// Longest chunk-size line, in bytes, its CRLF included; a size needs 16 digits, the rest is for extensions.
pub const CHUNK_LINE: usize = 4 * 1024;
/// Bytes of chunk-size lines that a chunk pays for beside twice its content: digits, CRLF and a word or two.
pub const CHUNK_OVERHEAD: usize = 16;
/// Bytes of chunk-size lines above what the chunks of a body pay for: nobody means anything by extensions, so a body that
/// is all extensions is an attack. The three numbers are Go's.
pub const CHUNK_EXCESS: usize = 16 * 1024;
/// Digits of a `Content-Length`: 19 hold every number below 2^63; more are zeros that some parser counts otherwise.
pub const LENGTH_DIGITS: usize = 19;
/// Hexadecimal digits of a chunk size: 16 hold 64 bits.
pub const CHUNK_DIGITS: usize = 16;
/// Longest trailer section, in bytes.
pub const TRAILERS: usize = 8 * 1024;
/// Trailer fields that pass; more are dropped.
pub const TRAILER_FIELDS: usize = 32;
/// Interim (1xx) responses to one request: a page has a few dozen things to hint at, and some servers hint one by one.
pub const INTERIM_RESPONSES: u8 = 64;
/// Bytes of them together; a final head may be as long.
pub const INTERIM_BYTES: u32 = 256 * 1024;
/// Bytes of interim responses that wait for a client; it may not read before it has sent its body, and need not wait for
/// them. What comes above is dropped.
pub const INTERIM_BACKLOG: usize = 64 * 1024;
/// Bytes that move a deadline: of a request body, to a client that reads, to a server or of its response head. A peer
/// that offers less, byte by byte, holds a connection and means nothing by it; the slowest modem has it in a second.
pub const PROGRESS: u32 = 1024;
/// How long more of a request is waited for that was answered before it was read, so that the client can read the answer
/// before the reset (nginx's `lingering_timeout`).
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long such a request is read on at most, however much comes (nginx's `lingering_time`).
pub const LINGER_TIME: Duration = Duration::from_secs(30);
