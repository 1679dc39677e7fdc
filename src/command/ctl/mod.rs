//! `elb ctl`: the admin API from a shell.
//!
//! [`run`] takes a command apart; [`item`] has domains and upstreams, [`server`] one server, [`whole`] the configuration and its
//! history, [`sights`] what is only looked at, [`shadow`] what a document would do; [`edit`] is the way through an editor, [`marks`] puts faults into its text; [`change`] is what all
//! changes have in common.

mod certificate;
mod change;
mod edit;
mod item;
mod marks;
mod run;
mod server;
mod shadow;
mod sights;
mod whole;

pub use run::ctl;
