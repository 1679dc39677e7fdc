//! What the wire says: heads, framing, bodies and targets as bytes. Pure.

pub mod body;
pub mod error;
pub mod framing;
pub mod limits;
pub mod syntax;
pub mod target;
