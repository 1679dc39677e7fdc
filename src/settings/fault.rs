//! Why a command line leads to nothing, and the exit code that says so.
//!
//! It owns the fault, never its words. Next: [`invocation`](super::invocation) and [`effective`](super::effective) find
//! them.

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::args::CommandLine;

/// Why nothing is to be done.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Help or version was asked for, a flag is unknown, or a value is bad. It knows its own exit code (0 or 2).
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The settings are well-formed but cannot be used here, such as a token file that is not there.
    #[error("{0}")]
    Configuration(String),
}

impl Fault {
    /// `EX_CONFIG` of `sysexits.h`.
    const CONFIGURATION: u8 = 78;

    /// What the process should end with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Fault::Usage(error) => u8::try_from(error.exit_code()).unwrap_or(2),
            Fault::Configuration(_) => Fault::CONFIGURATION,
        }
    }

    /// A bad value that only shows when values are looked at together.
    pub(super) fn usage(message: impl std::fmt::Display) -> Fault {
        Fault::Usage(CommandLine::command().error(ErrorKind::ValueValidation, message))
    }
}
