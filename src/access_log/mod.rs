//! The access log: one line for each request that is over, written by a thread of its own, for which no request waits.
//!
//! A worker puts what is known of a request into a batch ([`batch`]) and formats nothing. A writer ([`writer`]) makes lines of
//! it ([`mod@format`]) and writes them ([`sink`]). When it does not keep up, lines are lost and counted, and never time.

pub mod batch;
pub mod entry;
pub mod format;
pub mod sink;
pub mod writer;
