//! What is known of this process at one moment, as far as it is shown in numbers.
//!
//! It owns nothing but the list. Next: [`scrape`](super::scrape) gathers it, [`metrics`](super::metrics) makes rows of it.

use std::time::Duration;

use super::process::Process;
use crate::control::replies::{Status, Working};
use crate::control::servers::Shown;
use crate::control::traffic::{ByStatus, Listed, Upstream};
use crate::control::validity::Certificates;
use crate::link::Gauges;
use crate::model::PatternNumbers;
use crate::stats::Requests;

/// All that a scrape is made of.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) workers: Vec<Working>,
    /// Of all workers together.
    pub(super) gauges: Gauges,
    pub(super) servers: Vec<Shown>,
    pub(super) domains: Listed<ByStatus<Requests>>,
    /// Requests of no domain.
    pub(super) nameless: ByStatus<Requests>,
    pub(super) upstreams: Listed<Upstream>,
    pub(super) status: Status,
    pub(super) rejected: usize,
    pub(super) revision: i64,
    pub(super) store_up: bool,
    /// How long ago the store was found well.
    pub(super) store_age: Option<Duration>,
    /// Lines of the access log that are missing.
    pub(super) lost_lines: u64,
    /// Lines of the process's own log that are.
    pub(super) lost_log_lines: u64,
    /// What is known of certificates.
    pub(super) certificates: Option<Certificates>,
    pub(super) patterns: PatternNumbers,
    pub(super) process: Process,
}
