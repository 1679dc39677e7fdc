//! The control plane: one tokio thread that owns the configuration and everything that is not a request.

mod admin;
mod answers;
mod fleet;
mod handle;
mod hub;
mod intake;
mod outages;
mod replace;
mod resolve;
mod run;
mod saver;
mod signals;
mod start;
pub mod state_file;
pub mod statsd;
pub mod store;

pub use start::start;

#[cfg(test)]
mod tests;
