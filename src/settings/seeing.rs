//! What is seen of ELB from outside: metrics, and the form of the log.
//!
//! It owns these flags and what they come to. Next: [`args`](super::args) has all others.

use std::net::SocketAddr;

use clap::{Args, ValueEnum};

use super::addresses;

/// What a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // Each is its own name.
pub enum LogFormat {
    Text,
    Json,
}

impl LogFormat {
    /// The word of the flag.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// How ELB lets itself be watched.
#[derive(Debug, Args)]
pub(super) struct SeeingArgs {
    /// Serve /__erulb__/metrics, and nothing else, here as well, to whoever can reach it [default: where the admin API is]
    #[arg(long, env = "ELB_METRICS_LISTEN", value_name = "ADDR", value_parser = addresses::listen)]
    metrics_listen: Option<SocketAddr>,

    /// Domains, and as many upstreams, that have rows of their own among the metrics; what is counted of others is _other_
    #[arg(long, env = "ELB_METRICS_DOMAINS", value_name = "N", default_value = "1000")]
    metrics_domains: u32,

    /// Lines of the log: text for people, or JSON objects
    #[arg(long, env = "ELB_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

/// The same, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeeingSettings {
    /// Where metrics are served to anybody; `None`: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Names with rows of their own.
    pub metrics_domains: usize,
    /// What a line of the log is.
    pub log_format: LogFormat,
}

impl SeeingSettings {
    pub(super) fn new(args: &SeeingArgs) -> Self {
        Self {
            metrics_listen: args.metrics_listen,
            metrics_domains: args.metrics_domains as usize,
            log_format: args.log_format,
        }
    }

    /// In words.
    pub(super) fn describe(&self) -> String {
        let place = self.metrics_listen.map(|address| format!(", also on {address}")).unwrap_or_default();
        format!("metrics of {} domains{place}", self.metrics_domains)
    }
}
