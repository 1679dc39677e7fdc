//! The control plane: one tokio thread that owns the configuration and everything that is not a request.

mod replace;
pub mod state_file;
pub mod statsd;
pub mod store;
