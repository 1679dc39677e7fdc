//! A command line that cannot be carried out, told to whoever wrote it.
//!
//! It owns where that text goes and what the process ends with; the wording is `settings`'.

use std::process::ExitCode;

use super::say::complain;
use crate::settings::Fault;

/// Says what is wrong, or what was asked for (`--help`, `--version`), and gives the exit code.
#[must_use]
pub fn refuse(fault: &Fault) -> ExitCode {
    match fault {
        // Nothing is left to be done when the terminal is gone.
        Fault::Usage(error) => drop(error.print()),
        Fault::Configuration(message) => complain(message),
    }
    ExitCode::from(fault.exit_code())
}
