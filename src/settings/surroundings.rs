//! What lies around a command line: variables, files, cores.
//!
//! It owns how they are handed in, so that nothing here reads the environment. Next: [`invocation`](super::invocation).

use std::ffi::OsString;
use std::io;
use std::path::Path;

use super::fault::Fault;

/// What a command line may refer to, handed in by the caller.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// A variable by its name.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// The text of a file, for secrets.
    pub read: &'a dyn Fn(&Path) -> io::Result<String>,
    /// The names of all variables.
    pub names: &'a [OsString],
    /// How many cores this process may use at once.
    pub cores: usize,
    /// Their numbers; empty when they cannot be had. A quota may leave the time of fewer than are here.
    pub core_numbers: &'a [usize],
}

impl Surroundings<'_> {
    /// A variable that is set, not empty, and text.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        match (self.variable)(name).filter(|value| !value.is_empty()).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(Fault::usage(format!("the variable {name} is not UTF-8"))),
        }
    }
}
