//! What the operator said: rules, upstreams, and immutable snapshots of both. Pure.
//!
//! Texts and JSON come in at the top and are checked; two layers of them (the store's, and edits over it) make the
//! [`State`]; a [`Snapshot`] of what is in force goes to the workers, where [`route()`] reads it for every request:
//!
//! ```text
//!   contents, change ──► check ──► rule, ruleset, server, upstream,
//!                                  upstream_options, options            what was said, read and checked
//!                                        │
//!                    library, parts, intern, upstream_name              equal things once
//!                                        │
//!   state ──► domains, upstreams ──► layers                             what is in force
//!     │                         └──► ledger ──► digest                  and what is told of it in few words
//!     │
//!   implicit ──► targets, hosts ──► snapshot                            what workers hold
//!                   │
//!                server_id, server_state, server_load                 which server is which, and what is known of it
//!                                       │
//!              route ──► ruleset ──► graph ──► rule, scratch, rates     what becomes of a request
//!                └──► shadow                                            and what would by other rules
//!                                        │
//!                          pattern ──► dialect                          what a pattern means
//!                             └──► compiled ──► engine, backtrack       its engine, once it is used
//! ```

mod backtrack;
mod change;
mod check;
mod compiled;
mod condition;
mod contents;
mod dialect;
mod digest;
mod domains;
mod encode;
mod engine;
mod engines;
mod fault;
mod foresee;
mod former;
mod good;
mod graph;
mod host;
mod hosts;
mod implicit;
mod intern;
mod json;
mod layers;
mod ledger;
mod library;
mod lint;
mod merge;
mod options;
mod parts;
mod patch;
mod pattern;
mod piecewise;
mod plan;
mod prepare;
mod rates;
mod recorder;
mod route;
mod rule;
mod ruleset;
mod scratch;
mod sent;
mod server;
mod server_id;
mod server_load;
mod server_state;
mod shadow;
mod shapes;
mod snapshot;
mod state;
mod storable;
mod targets;
mod unsaved;
mod upstream;
mod upstream_name;
mod upstream_options;
mod upstream_part;
mod upstreams;
mod wanted;
mod writes;

pub use change::{Doubtful, Dropped, Edit, Mode, Named, Outcome, Prepared, Rejected, StoreOutcome};
pub use check::{check, check_all};
pub use compiled::PatternNumbers;
pub use condition::Condition;
pub use contents::{Contents, KeyChange, KeyWrite, Servers};
pub use digest::Digest;
pub use fault::{Fault, Faults};
pub use foresee::Foreseen;
pub use good::Good;
pub use json::{read_json, read_member};
pub use ledger::{Count, Counts, Differences, Touch, Touched};
pub use library::Library;
pub use merge::merge;
pub use options::balancing::{BalancingMethod, HashBalance, HashKey};
pub use options::checks::{CheckKind, CheckOptions};
pub use options::opening::{OpeningOptions, TlsOptions};
pub use pattern::Pattern;
pub use plan::{Plan, Removal};
pub use recorder::{Look, Lookup, Recorder, Silent, Step};
pub use route::{Decision, Verdict, route};
pub use rule::{Backend, Redirect, Respond, Terminal};
pub use scratch::Scratch;
pub use server::{ServerSpec, ServerTarget};
pub use server_id::{ServerId, ServerIds};
pub use server_load::ServerLoad;
pub use server_state::known::ServerKnown;
pub use server_state::{Blame, Health, ServerState};
pub use shadow::{Difference, EXAMPLES, Example, OneWay, Tally, WAYS, foresee};
pub use snapshot::Snapshot;
pub use state::State;
pub use unsaved::Unsaved;
pub use upstream::{Endpoint, Server, Upstream, UpstreamSpec};
pub use upstream_name::UpstreamName;
pub use upstream_options::{OPTIONS, UpstreamOptions};
pub use wanted::Wanted;
