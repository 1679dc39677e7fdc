//! The log: lines on standard error.
//!
//! It owns their form and which of them are written, never what is in them. Libraries speak from warnings upwards, so
//! that `--log-level debug` shows ELB and not its dependencies.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// Starts the log at this level. The first call counts.
pub(super) fn start(level: &str) {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter(level)))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(false)
        .try_init();
}

fn filter(level: &str) -> String {
    match level {
        "off" | "error" | "warn" => level.to_owned(),
        level => format!("warn,elb={level}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_a_filter() {
        for level in ["off", "error", "warn", "info", "debug", "trace"] {
            assert!(EnvFilter::try_new(filter(level)).is_ok(), "{level}");
        }
        assert_eq!(filter("debug"), "warn,elb=debug");
    }
}
