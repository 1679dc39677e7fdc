//! `elb check FILE`: every fault of a file of rules and upstreams, before it is in force anywhere.
//!
//! It owns reading the file and showing the result; what is a fault is `model`'s to say. As `nginx -t`, it fails for what
//! would not be served and for nothing else, unless it is to be strict. A rule with an argument that it does not have is
//! served from a store, so that is a warning, though the admin API refuses it. A fault is shown with its JSON pointer, a
//! syntax error with line and column.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::say::complain;
use crate::model::{self, Fault};
use crate::settings::CheckArgs;
use crate::warning::Warning;

/// Checks the file. The exit code is 0 when it can be served as it is, and, if it is to be strict, has no warnings.
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
    let found = Found::of(&text);
    let told = if args.json { found.json() } else { found.lines(&name, args.strict) };
    match io::stdout().write_all(told.as_bytes()) {
        // Whoever stopped reading does not need the rest; what was found still counts.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(format_args!("cannot write what was found: {error}"));
            ExitCode::FAILURE
        }
        _ if found.is_good(args.strict) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// What came of a file.
#[derive(Debug, Default)]
struct Found {
    /// Line, column and what is wrong there; it could not be read further.
    syntax: Option<(usize, usize, String)>,
    faults: Vec<Fault>,
    warnings: Vec<Warning>,
    /// How many there are of both.
    domains: usize,
    upstreams: usize,
}

impl Found {
    fn of(text: &str) -> Found {
        let document: Value = match serde_json::from_str(text) {
            Ok(document) => document,
            Err(error) => {
                let (line, column, told) = (error.line(), error.column(), error.to_string());
                let place = format!(" at line {line} column {column}");
                let told = told.strip_suffix(&place).unwrap_or(&told).to_owned();
                return Found { syntax: Some((line, column, told)), ..Found::default() };
            }
        };
        let (mut faults, warnings) = model::check_all(&document);
        // Of two members of one name the document has one.
        faults.extend(model::read_json(text.as_bytes()).err());
        let members = |key| document.get(key).and_then(Value::as_object).map_or(0, serde_json::Map::len);
        let (domains, upstreams) = (members("domains"), members("upstreams"));
        Found { syntax: None, faults, warnings, domains, upstreams }
    }

    fn is_good(&self, strict: bool) -> bool {
        self.syntax.is_none() && self.faults.is_empty() && (!strict || self.warnings.is_empty())
    }

    /// The findings, one a line, then a summary.
    fn lines(&self, name: &str, strict: bool) -> String {
        if let Some((line, column, told)) = &self.syntax {
            return format!("{name}:{line}:{column}: not JSON: {told}\n");
        }
        let faults = self.faults.iter().map(|fault| format!("{name}: {fault}\n"));
        let warnings = self.warnings.iter().map(|warning| format!("{name}: warning: {warning}\n"));
        let mut told: String = faults.chain(warnings).collect();
        let contents = format!("{}, {}", count(self.domains, "domain"), count(self.upstreams, "upstream"));
        let judgement = match self.faults.len() {
            0 if self.is_good(strict) => "good".to_owned(),
            0 => "not good enough for --strict".to_owned(),
            faults => count(faults, "fault"),
        };
        let warned = match self.warnings.len() {
            0 => String::new(),
            warnings => format!(", {}", count(warnings, "warning")),
        };
        told.push_str(&format!("{name}: {contents}: {judgement}{warned}\n"));
        told
    }

    /// The same for programs: `{"domains", "upstreams", "faults", "warnings"}`.
    fn json(&self) -> String {
        let syntax = self.syntax.iter().map(|(line, column, told)| {
            json!({"line": line, "column": column, "pointer": "", "message": format!("not JSON: {told}")})
        });
        let faults =
            self.faults.iter().map(|fault| json!({"pointer": fault.pointer, "message": fault.message}));
        let told = json!({
            "domains": self.domains,
            "upstreams": self.upstreams,
            "faults": syntax.chain(faults).collect::<Value>(),
            "warnings": self.warnings,
        });
        format!("{told:#}\n")
    }
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(text: &str) -> (bool, String) {
        let found = Found::of(text);
        (found.is_good(false), found.lines("f.json", false))
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
    fn strict_is_who_takes_no_warning() {
        let to = |servername: &str| {
            let rules = json!({"r": {"type": "backend", "args": {"servername": servername}}});
            Found::of(
                &json!({"domains": {"a": {"init": "r", "rules": rules}}, "upstreams": {"up": {"127.0.0.1:1": ""}}})
                    .to_string(),
            )
        };
        let bare = to("web");
        assert_eq!((bare.is_good(false), bare.is_good(true)), (true, false));
        let told = bare.lines("f", true);
        let line =
            "f: warning: /domains/a/rules/r/args/servername: there is no upstream web: 502 until there is";
        assert!(told.starts_with(line) && told.contains("[unknown-upstream]\n"), "{told}");
        assert!(
            told.ends_with("f: 1 domain, 1 upstream: not good enough for --strict, 1 warning\n"),
            "{told}"
        );
        for known in ["UP", "h.test", "h:80", "127.0.0.1"] {
            assert!(to(known).is_good(true), "{known}");
        }
    }

    #[test]
    fn programs_are_told_the_same() {
        let told = |text: &str| serde_json::from_str::<Value>(&Found::of(text).json()).unwrap();
        let found = told(
            r#"{"domains": {"a/b": {}, "c": {"init": "r", "rules": {
                "r": {"type": "backend", "args": {"servername": "up"}}}}}}"#,
        );
        assert_eq!((&found["domains"], &found["upstreams"]), (&json!(2), &json!(0)));
        assert_eq!(found["faults"][0]["pointer"], "/domains/a~1b");
        assert_eq!(found["warnings"][0]["code"], "unknown-upstream");
        assert_eq!(found["warnings"][0]["pointer"], "/domains/c/rules/r/args/servername");
        assert_eq!(told("{\n,}")["faults"][0]["line"], 2);
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
