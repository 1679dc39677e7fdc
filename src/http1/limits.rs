//! Every bound on what a peer may send that is not a setting, with its reason.
//!
//! It owns numbers and nothing else. What an operator may change is in `settings` and arrives as an argument.

use std::time::Duration;

/// Longest request line, in bytes: twice nginx's buffer; longer targets are answered 414.
pub const REQUEST_LINE: usize = 16 * 1024;
/// Most header fields in a head: browsers send a dozen, and a table of 256 fits on the stack. 431 above.
pub const HEADER_FIELDS: usize = 256;
/// Fields that the `Connection` fields of a head may name. Each is looked for among all fields, so that without a bound a
/// head of 64 KiB would be the work of many. 431 above.
pub const CONNECTION_OPTIONS: u32 = 64;
/// Longest response head, in bytes: what the first ELB allowed. 502 above.
pub const RESPONSE_HEAD: usize = 256 * 1024;
/// Empty lines that are skipped before a request line (RFC 9112, section 2.2 asks for at least one).
pub const LEADING_EMPTY_LINES: usize = 2;
/// Longest chunk-size line, in bytes, its CRLF included; a size needs 16 digits, the rest is for extensions.
pub const CHUNK_LINE: usize = 4 * 1024;
/// Chunk extension bytes in one body: nobody uses them, so a body that is all extensions is an attack.
pub const CHUNK_EXTENSIONS: usize = 16 * 1024;
/// Digits of a `Content-Length`: 19 hold every number below 2^63; more are zeros that some parser counts otherwise.
pub const LENGTH_DIGITS: usize = 19;
/// Hexadecimal digits of a chunk size: 16 hold 64 bits.
pub const CHUNK_DIGITS: usize = 16;
/// Longest trailer section, in bytes.
pub const TRAILERS: usize = 8 * 1024;
/// Most trailer fields.
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
