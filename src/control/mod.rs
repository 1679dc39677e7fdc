//! The control plane: one tokio thread that owns the configuration and everything that is not a request.

mod admin;
mod fleet;
mod handle;
mod hub;
mod intake;
mod resolve;
mod run;
mod signals;
mod start;
pub mod store;

pub use start::start;

#[cfg(test)]
mod tests;
