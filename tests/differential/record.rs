//! What was read, for another parser to read again: a JSON document a line.
//!
//! It owns the form of the lines; `tools/differential` reads them.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;

/// One message, as hyper read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    /// Method and target of a request, status of a response.
    pub(crate) line: String,
    pub(crate) body: Vec<u8>,
}

impl Read {
    pub(crate) fn json(&self) -> Value {
        serde_json::json!({"line": self.line, "body": hex(&self.body)})
    }
}

/// Writes these lines to a file of this name, if a record is wanted.
pub(crate) fn write(name: &str, lines: impl Iterator<Item = Value>) {
    let Some(folder) = std::env::var_os("ELB_DIFFERENTIAL_RECORD").map(PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).expect("a folder for the record");
    let mut file = File::create(folder.join(name)).expect("a file for the record");
    for line in lines {
        writeln!(file, "{line}").expect("room for the record");
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
