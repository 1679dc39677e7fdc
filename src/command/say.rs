//! Words for whoever called the command, where there is no log.
//!
//! It owns that nobody needs to hear them: a terminal that is gone, a closed pipe or a full disk is no fault of what was
//! said, and never a panic, which `eprintln!` would make of it.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

/// Says on standard error what is wrong.
pub(super) fn complain(what: impl Display) {
    let told = format!("error: {what}\n");
    let _ = io::stderr().write_all(told.as_bytes());
}

/// Says on standard error what should be known.
pub(super) fn note(what: impl Display) {
    let told = format!("warning: {what}\n");
    let _ = io::stderr().write_all(told.as_bytes());
}

/// Prints what was asked for. Whoever stopped reading does not need the rest.
pub(super) fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(format_args!("cannot print: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
