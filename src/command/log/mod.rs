//! The log: lines on standard error, which whoever reads them can neither break nor hold up.
//!
//! Every thread puts its lines into one bounded queue and goes on; one thread writes them. A stream that cannot be
//! written, or that nobody reads, loses lines, and the log says how many. Next: [`form`] for the form of a
//! line, [`start`](mod@start) for which there are, [`queue`] for what waits, [`writer`] for the stream.

mod form;
mod json;
mod queue;
mod start;
mod timestamp;
mod writer;

pub(super) use start::start;
