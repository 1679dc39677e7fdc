//! What the operator said: rules, upstreams, and immutable snapshots of both. Pure.

mod check;
mod contents;
mod dialect;
mod encode;
mod engines;
mod fault;
mod host;
mod pattern;
mod request;
mod route;
mod rule;
mod ruleset;
mod scratch;
mod server;
mod snapshot;
mod state;
mod upstream;

pub use check::{check, check_all};
pub use contents::{Contents, KeyChange, Servers};
pub use fault::Fault;
pub use pattern::{Pattern, Patterns};
pub use request::Request;
pub use route::{Decision, Recorder, Silent, route};
pub use rule::Backend;
pub use scratch::Scratch;
pub use server::{ServerSpec, ServerTarget};
pub use snapshot::Snapshot;
pub use state::{Addresses, Dropped, Edit, Outcome, Rejected, State, StoreOutcome};
pub use upstream::{Endpoint, Server, Upstream, UpstreamKey, UpstreamSpec};
