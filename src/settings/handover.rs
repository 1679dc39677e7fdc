//! How one ELB takes the place of another on the same machine: where they meet, and how long it may take.
//!
//! It owns these flags and what they come to, never a socket. Next: [`handover`](crate::handover) is what is said there.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::units::{self, Span};

/// Where and for how long.
#[derive(Debug, Args)]
pub(super) struct HandoverArgs {
    /// Unix socket at which the next ELB takes over the listening sockets and what is not saved; one that finds another ELB
    /// there takes its place. With it SIGUSR2 starts this program anew for that
    #[arg(long, env = "ELB_HANDOVER", value_name = "PATH")]
    handover: Option<PathBuf>,

    /// How long the next ELB may take until every worker of it serves; then it is ended, and this one goes on
    #[arg(long, env = "ELB_HANDOVER_TIMEOUT", value_name = "TIME", default_value = "60s", value_parser = units::duration)]
    handover_timeout: Duration,
}

/// The same, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoverSettings {
    /// The unix socket where one ELB takes the place of another; `None` for never.
    pub path: Option<PathBuf>,
    /// From the wish to begin until every worker of the new one serves.
    pub timeout: Duration,
}

impl HandoverSettings {
    pub(super) fn new(args: &HandoverArgs) -> Self {
        Self { path: args.handover.clone(), timeout: args.handover_timeout }
    }

    pub(super) fn describe(&self) -> String {
        match &self.path {
            None => "hand-over to the next ELB: none".to_owned(),
            Some(path) => {
                format!("hand-over to the next ELB at {}, within {}", path.display(), Span(self.timeout))
            }
        }
    }
}
