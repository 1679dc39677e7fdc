//! The whole process from outside: conversations between scripted clients and servers, with the real `elb` between.
//!
//! One file a subject. Each test starts its own ELB on a port of the kernel's choice and says what was sent, what the
//! server saw and what came back. What the tests are written with is in `../support`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]
#![allow(dead_code, reason = "support serves more tests than are in one crate")]

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod access_log;
mod admin;
mod agreement;
mod alarms;
mod balancing;
mod blame;
mod bodies;
mod certificates;
mod changes;
mod chaos;
mod checks;
mod client_certificates;
mod client_py;
mod command;
mod config;
mod ctl;
mod demo;
mod door;
mod download;
mod drain;
mod ends;
mod etcd_tls;
mod events;
mod exact_bodies;
mod exact_requests;
mod exact_responses;
mod explain;
mod faults;
mod fleet;
mod forwarded;
mod gzip;
mod handover;
mod health;
mod heat;
mod history;
mod hop_by_hop;
mod interim;
mod items;
mod keepalive;
mod kills;
mod leaks;
mod limit;
mod limits;
mod lint;
mod live;
mod log;
mod loops;
mod manual;
mod metrics;
mod migrate;
mod names;
mod openapi;
mod patch;
mod paths;
mod patterns;
mod ports;
mod private;
mod proxy;
mod proxy_protocol;
mod questions;
mod refusals;
mod resources;
mod restart;
mod retry;
mod rules;
mod scarcity;
mod seed;
mod servers;
mod service;
mod shadow;
mod spread;
mod stats;
mod statsd;
mod sums;
mod timeouts;
mod tls;
mod tls_edges;
mod tls_servers;
mod tls_table;
mod together;
mod top;
mod ui;
mod upgrade;
mod upstream_options;
mod worst;
mod worst_server;
mod writers;
mod writers_storm;
