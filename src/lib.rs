//! ELB is a dynamic HTTP/1.1 load balancer: rules and upstreams change while traffic flows.

pub mod command;
pub mod control;
pub mod data;
pub mod exchange;
pub mod http1;
pub mod link;
pub mod model;
pub mod settings;
pub mod stats;
