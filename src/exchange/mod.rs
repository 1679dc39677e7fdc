//! One proxied request and its response, as a machine without sockets, clocks or rules. Pure.

mod finish;
mod flow;
mod machine;
mod phase;
mod request;
mod response;
mod retry;

pub use machine::Exchange;
pub use phase::{Env, Fate, Forward, NoServer, Phase, Policy, RouteRequest, Side, Step};
