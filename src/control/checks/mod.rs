//! Active checks: one prober asks every server that an operator wants checked, whether it answers.
//!
//! What is due, and what so many good or bad answers in a row mean, is decided without a socket or a clock; a thin shell
//! asks. All of it is on the control thread, with connections of its own: nothing of it is a worker's.
//!
//! ```text
//!   snapshot ──► schedule ──► order ──► prober ──► probe ──► finding ──► schedule ──► tally ──► ServerState
//! ```

pub mod order;
mod probe;
pub(super) mod prober;
pub mod schedule;
mod tally;
