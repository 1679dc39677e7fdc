//! One proxied request and its response, as a machine without sockets, clocks or rules. Pure.

mod attempt;
mod deadline;
mod finish;
mod flow;
mod heads;
mod interim;
mod invariants;
mod machine;
mod orders;
mod phase;
mod relay;
mod request;
mod response;
mod retry;
mod sift;
mod sizes;
mod tail;
mod waiting;
mod windows;

pub use heads::Heads;
pub use machine::Exchange;
pub use phase::{Env, Fate, Forward, NoServer, Phase, Policy, Side, Sign, Step};
pub use sizes::{BULK_WINDOW, FIRST_WINDOW, SMALL_WINDOW};
pub use windows::Need;
