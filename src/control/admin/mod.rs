//! The admin API: connections that a worker handed over, or that came to a listener of its own, answered by axum on
//! hyper. An endpoint is a file here and a line in `router`.

mod access;
mod answer;
mod body;
mod certificate;
mod config;
mod domain;
mod dump;
mod events;
mod explain;
mod fleet;
mod graph;
mod health;
mod history;
mod item;
mod list;
mod measured;
mod merging;
mod metrics;
mod names;
mod openapi;
mod overview;
mod page;
mod peer;
mod prefixed;
mod process;
mod query;
mod rejected;
mod resync;
mod room;
mod router;
mod scrape;
mod serve;
mod servers;
mod shadow;
mod stats;
mod status;
mod times;
mod trial;
mod upstream;
mod upstream_item;
mod watched;
mod workers;
mod write;

pub(super) use access::Access;
pub(super) use serve::AdminServer;
pub(super) use times::Moment;

#[cfg(test)]
pub(super) use events::Streams;
#[cfg(test)]
pub(super) use peer::Peer;
#[cfg(test)]
pub(super) use router::{Api, api};
#[cfg(test)]
mod tests;
