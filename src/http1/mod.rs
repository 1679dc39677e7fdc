//! What the wire says: heads, framing, bodies and targets as bytes. Pure.

pub mod body;
pub mod buf;
pub mod connection;
pub mod error;
pub mod fields;
pub mod foreign;
pub mod framing;
pub mod gzipped;
pub mod limits;
mod lines;
pub mod origin;
pub mod reply;
pub mod request_head;
pub mod response_head;
pub mod rewrite;
pub mod scan;
pub mod target;
