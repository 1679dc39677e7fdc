//! `elb check FILE`: every fault of a file of rules and upstreams, before it is in force anywhere.
//!
//! It owns reading the file and showing the result; what is a fault is `model`'s to say. As `nginx -t`, it fails for what
//! would not be served and for nothing else. A rule with an argument that it does not have is served from a store, so that
//! is a warning, though the admin API refuses it. A fault is shown with its JSON pointer, a syntax error with line and
//! column.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;

use super::say::complain;
use crate::model;
use crate::settings::CheckArgs;

/// Checks the file. The exit code is 0 when it can be served as it is.
#[must_use]
pub fn check(args: &CheckArgs) -> ExitCode {
    let from_pipe = args.file == Path::new("-");
    let name = if from_pipe { "<stdin>".to_owned() } else { args.file.display().to_string() };
    let text = if from_pipe { io::read_to_string(io::stdin()) } else { fs::read_to_string(&args.file) };
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            complain(format_args!("cannot read {name}: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let mut told = Vec::new();
    let good = report(&name, &text, &mut told).unwrap_or(false);
    match io::stdout().write_all(&told) {
        // Whoever stopped reading does not need the rest; what was found still counts.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(format_args!("cannot write what was found: {error}"));
            ExitCode::FAILURE
        }
        _ if good => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Writes the findings, one a line, then a summary. True when there is no fault.
fn report(name: &str, text: &str, out: &mut impl Write) -> io::Result<bool> {
    let document: Value = match serde_json::from_str(text) {
        Ok(document) => document,
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let told = error.to_string();
            let place = format!(" at line {line} column {column}");
            writeln!(
                out,
                "{name}:{line}:{column}: not JSON: {}",
                told.strip_suffix(&place).unwrap_or(&told)
            )?;
            return Ok(false);
        }
    };
    let (mut faults, warnings) = model::check_all(&document);
    // Of two members of one name the document has one.
    faults.extend(model::read_json(text.as_bytes()).err());
    for fault in &faults {
        writeln!(out, "{name}: {fault}")?;
    }
    for warning in &warnings {
        writeln!(out, "{name}: warning: {warning}")?;
    }
    let members = |key| document.get(key).and_then(Value::as_object).map_or(0, serde_json::Map::len);
    let contents =
        format!("{}, {}", count(members("domains"), "domain"), count(members("upstreams"), "upstream"));
    let warned =
        if warnings.is_empty() { String::new() } else { format!(", {}", count(warnings.len(), "warning")) };
    if faults.is_empty() {
        writeln!(out, "{name}: {contents}: good{warned}")?;
    } else {
        writeln!(out, "{name}: {contents}: {}{warned}", count(faults.len(), "fault"))?;
    }
    Ok(faults.is_empty())
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(text: &str) -> (bool, String) {
        let mut out = Vec::new();
        let good = report("f.json", text, &mut out).unwrap();
        (good, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_good_file_is_summed_up_in_one_line() {
        let (good, told) = reported(
            r#"{"domains": {"a": {"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": "up"}}}}},
                "upstreams": {"up": {"127.0.0.1:80": ""}, "up2": {"127.0.0.1:81": "weight=2"}}}"#,
        );
        assert_eq!((good, told.as_str()), (true, "f.json: 1 domain, 2 upstreams: good\n"));
    }

    #[test]
    fn what_is_served_with_a_warning_is_good() {
        let (good, told) = reported(
            r#"{"domains": {"a": {"init": "r", "rules": {
                "r": {"type": "ua", "args": {"pattern": "x", "patern": "x", "succ": "s"}},
                "s": {"type": "backend", "args": {"servername": "h.test"}}}}}}"#,
        );
        assert!(
            good && told.starts_with("f.json: warning: /domains/a/rules/r/args/patern: is no argument"),
            "{told}"
        );
        assert!(told.ends_with("f.json: 1 domain, 0 upstreams: good, 1 warning\n"), "{told}");
    }

    #[test]
    fn a_member_that_is_there_twice_is_a_fault() {
        let (good, told) = reported(r#"{"upstreams": {"up": {"127.0.0.1:80": "", "127.0.0.1:80": "down"}}}"#);
        assert!(!good && told.starts_with("f.json: /upstreams/up/127.0.0.1:80: is there twice"), "{told}");
    }

    #[test]
    fn a_syntax_error_is_named_by_line_and_column() {
        let (good, told) = reported("{\n  \"domains\": {},\n}");
        assert!(!good);
        assert_eq!(told, "f.json:3:1: not JSON: trailing comma\n");
        assert!(reported("").1.starts_with("f.json:1:0: not JSON: EOF"), "{}", reported("").1);
    }
}
