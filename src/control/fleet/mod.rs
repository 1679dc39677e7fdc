//! All ELBs that share a configuration: what this one says of itself, what the others say, and who lags behind.

mod built;
mod document;
mod judge;
mod reading;
mod teller;

pub(super) use built::Built;
#[cfg(test)]
pub(super) use document::Health;
pub(super) use document::{Document, Identity, Node, Served};
pub(super) use judge::{Asked, Judged, judge};
pub(super) use reading::Fleet;
pub(super) use teller::Teller;
