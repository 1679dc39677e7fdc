//! A file of rules and upstreams, or what comes through a pipe.
//!
//! It owns the reading, never what is in it. Next: the commands that look at one.

use std::path::Path;
use std::{fs, io};

use serde_json::Value;

use crate::model;

/// The document in a file; `-` is standard input.
///
/// # Errors
/// In words, with the name of the file.
pub(super) fn read(file: &Path) -> Result<Value, String> {
    let from_pipe = file == Path::new("-");
    let name = if from_pipe { "<stdin>".to_owned() } else { file.display().to_string() };
    let text = if from_pipe { io::read_to_string(io::stdin()) } else { fs::read_to_string(file) };
    let text = text.map_err(|error| format!("cannot read {name}: {error}"))?;
    model::read_json(text.as_bytes()).map_err(|fault| format!("{name}: {fault}"))
}
