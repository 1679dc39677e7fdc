//! `elb top`: an ELB at a glance, in a terminal.

mod screen;
mod show;
mod table;

pub use show::top;
