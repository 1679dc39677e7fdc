//! What `elb` does when it is called: one file a command.
//!
//! Commands start the two planes and talk to people on a terminal; they hold no logic of either plane. [`run`](fn@run) serves,
//! [`demo`](fn@demo) serves two sample servers, [`check`](fn@check) reads a file of rules and says what is wrong with it,
//! [`explain`](fn@explain) says why a request goes where it goes, [`graph`](fn@graph) draws a rule set,
//! [`health`](fn@health) asks whether an ELB should get traffic, [`top`](fn@top) watches one, [`fleet`](fn@fleet) shows all that
//! share a configuration, [`ctl`](fn@ctl) uses the admin API, [`migrate`](fn@migrate) copies keys of etcd's v2 API, [`completions`] and [`man`] tell shells and readers of all of these.

mod api;
mod check;
mod columns;
mod ctl;
mod demo;
mod document;
mod explain;
mod fleet;
mod graph;
mod health;
mod help;
mod inherit;
mod log;
mod migrate;
mod refuse;
mod run;
mod say;
mod serve;
mod top;

pub use check::check;
pub use ctl::ctl;
pub use demo::demo;
pub use explain::explain;
pub use fleet::fleet;
pub use graph::graph;
pub use health::health;
pub use help::{completions, man};
pub use migrate::migrate;
pub use refuse::refuse;
pub use run::run;
pub use top::top;
