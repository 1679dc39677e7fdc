//! What the operator said: rules, upstreams, and immutable snapshots of both. Pure.
//!
//! Texts and JSON come in at the top and are checked; two layers of them (the store's, and edits over it) make the
//! [`State`]; a [`Snapshot`] of what is in force goes to the workers, where [`route()`] reads it for every request:
//!
//! ```text
//!   contents, change ──► check ──► rule, ruleset, server, upstream      what was said, read and checked
//!                                        │
//!   state ──► domains, upstreams ──► layers                             what is in force
//!     │
//!   resolve, implicit ──► snapshot ──► host                             what workers hold
//!                             │
//!   request ──► route ──► ruleset ──► pattern, engines, scratch         what becomes of a request
//! ```

mod change;
mod check;
mod contents;
mod dialect;
mod domains;
mod encode;
mod engines;
mod fault;
mod host;
mod implicit;
mod layers;
mod pattern;
mod request;
mod resolve;
mod route;
mod rule;
mod ruleset;
mod scratch;
mod server;
mod snapshot;
mod state;
mod upstream;
mod upstreams;

pub use change::{Dropped, Edit, Outcome, Rejected, StoreOutcome};
pub use check::{check, check_all};
pub use contents::{Contents, KeyChange, Servers};
pub use fault::Fault;
pub use pattern::{Pattern, Patterns};
pub use request::Request;
pub use resolve::Addresses;
pub use route::{Decision, Recorder, Silent, route};
pub use rule::Backend;
pub use scratch::Scratch;
pub use server::{ServerSpec, ServerTarget};
pub use snapshot::Snapshot;
pub use state::State;
pub use upstream::{Endpoint, Server, Upstream, UpstreamKey, UpstreamSpec};
