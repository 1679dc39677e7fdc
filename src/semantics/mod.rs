//! What HTTP means, whatever the wire says it in (RFC 9110): names, hosts, paths, and a request as it is looked at. Pure.
//!
//! Everybody may ask here: parsers what a byte or a name is, rules what a request holds, the data plane what is ELB's
//! own. It knows no version of HTTP, no message as bytes, and imports nothing.

pub mod edits;
pub mod field;
pub mod forwarded;
pub mod gzip;
pub mod host;
pub mod path;
pub mod policy;
pub mod proxy_header;
pub mod query;
pub mod request;
pub mod reserved;
pub mod sketch;
pub mod syntax;

pub use edits::ResponseEdits;
pub use gzip::Gzip;
pub use proxy_header::ProxyVersion;
pub use request::{Head, RequestView};
pub use sketch::Sketch;
