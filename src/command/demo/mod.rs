//! `elb demo`: the newcomer's first minute, with everything in one process.

mod guide;
mod servers;
mod show;

pub use show::demo;
