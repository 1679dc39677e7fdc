//! The control plane: one tokio thread that owns the configuration and everything that is not a request.

pub mod store;
