//! What the end-to-end tests are written with: the command as a child process, scripted clients and servers, etcd.
//!
//! Both ends of every conversation are scripts over raw sockets, so a test says byte for byte what was sent and sees
//! byte for byte what arrived. Ports are the kernel's choice, every wait has a deadline, and nothing sleeps for luck.

pub(crate) mod admin;
pub(crate) mod browser;
pub(crate) mod chance;
pub(crate) mod client;
pub(crate) mod described;
pub(crate) mod dns;
pub(crate) mod elb;
pub(crate) mod etcd;
pub(crate) mod etcdctl;
pub(crate) mod exact;
pub(crate) mod folder;
pub(crate) mod gzip;
pub(crate) mod haproxy;
pub(crate) mod load;
pub(crate) mod message;
pub(crate) mod numbered;
#[macro_use]
pub(crate) mod modes;
pub(crate) mod pages;
pub(crate) mod rules;
pub(crate) mod secure;
pub(crate) mod server;
pub(crate) mod skip;
pub(crate) mod stage;
pub(crate) mod wait;
pub(crate) mod websocket;
pub(crate) mod wire;
