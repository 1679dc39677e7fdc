//! What `elb` does when it is called: one file a command.
//!
//! Commands start the two planes and talk to people on a terminal; they hold no logic of either plane. [`run`](fn@run) serves,
//! [`demo`](fn@demo) serves two sample servers, [`check`](fn@check) reads a file of rules and says what is wrong with it.

mod check;
mod demo;
mod log;
mod refuse;
mod run;
mod say;
mod serve;

pub use check::check;
pub use demo::demo;
pub use refuse::refuse;
pub use run::run;
