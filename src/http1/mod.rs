//! What the wire says: heads, framing, bodies and targets as bytes. Pure.

pub mod error;
pub mod framing;
pub mod limits;
