//! `elb completions` and `elb man`: what shells and readers need to know of the command line.
//!
//! It owns where these go, never a text: all of them are those of `--help`. Next: [`crate::settings`] has them.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::Command;

use super::say::{complain, print};
use crate::settings::{CompletionsArgs, ManArgs, command_line};

/// Prints the completions of a shell.
#[must_use]
pub fn completions(args: &CompletionsArgs) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command_line(), "elb", &mut text);
    print(&String::from_utf8_lossy(&text))
}

/// Prints the manual page of `elb`, or writes those of all commands into a folder.
#[must_use]
pub fn man(args: &ManArgs) -> ExitCode {
    let written = match &args.to {
        None => page(command_line()).map(|text| print(&text)),
        Some(folder) => write(folder).map(|()| ExitCode::SUCCESS),
    };
    written.unwrap_or_else(|error| {
        complain(format_args!("cannot write manual pages: {error}"));
        ExitCode::FAILURE
    })
}

fn page(command: Command) -> io::Result<String> {
    let mut text = Vec::new();
    // The date and the source would differ from build to build.
    clap_mangen::Man::new(command).section("1").manual("ELB").render(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn write(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command_line(), folder)
}
