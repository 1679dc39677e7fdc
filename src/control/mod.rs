//! The control plane: one tokio thread that owns the configuration and everything that is not a request.

mod admin;
mod ahead;
mod alarms;
mod background;
mod certificates;
mod changes;
pub mod checks;
mod dns;
mod dumps;
mod failures;
mod fleet;
mod handle;
mod health;
mod heat;
mod held;
mod history;
mod hub;
mod lately;
mod live;
mod lookups;
mod manager;
mod names;
mod outages;
mod reader;
mod recent;
mod rejections;
mod removals;
mod replace;
mod replies;
mod resolve;
mod run;
mod saver;
mod servers;
mod shadow;
mod shortages;
mod signals;
mod sources;
mod spare;
mod start;
pub mod state_file;
pub mod statsd;
pub mod store;
mod store_guard;
mod traffic;
mod validity;
mod wish;
mod workers;

pub use start::{Listeners, Logs, start};

#[cfg(test)]
mod tests;
