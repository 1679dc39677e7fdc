//! `elb fleet`: whether all ELBs that share a configuration serve the same, which ones do not, and why.
//!
//! It owns the table, the waiting and the exit code, never the judgement, which is that of the ELB that is asked. Next:
//! `control::admin::fleet` answers.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::api;
use super::columns::{cell as text, columns, plain};
use super::say::{complain, print};
use crate::settings::FleetCommandArgs;

/// How often it is asked while it is waited. The ELB that is asked asks etcd once a second at most.
const AGAIN: Duration = Duration::from_millis(250);
/// The exit code when nobody could be asked, as for a usage that is none.
const UNKNOWN: u8 = 2;
/// Digits of a digest in the table.
const DIGITS: usize = 16;
/// Nodes that lag and are named in the line of progress.
const NAMED: usize = 3;

/// Asks. The exit code is 0 if all serve the same, 1 if not, 2 if nobody can be asked.
#[must_use]
pub fn fleet(args: &FleetCommandArgs) -> ExitCode {
    let begun = Instant::now();
    let mut progress =
        Progress { is_shown: args.wait.is_some() && io::stderr().is_terminal(), was_shown: false };
    loop {
        let told = api::call(&args.api, &question(args), None);
        let is_over = args.wait.is_none() || begun.elapsed() >= args.timeout;
        match told {
            Ok(told) if told["converged"] == true || is_over => {
                progress.end();
                return show(args, &told);
            }
            Ok(told) => progress.show(&told),
            Err(why) if is_over => {
                progress.end();
                complain(why);
                return ExitCode::from(UNKNOWN);
            }
            // It may be starting.
            Err(_) => {}
        }
        thread::sleep(AGAIN);
    }
}

fn question(args: &FleetCommandArgs) -> String {
    let mut question = format!("fleet?revision={}", args.revision.unwrap_or(0));
    if let Some(digest) = args.wait.as_deref().filter(|digest| *digest != "newest") {
        // Writing to a string does not fail.
        let _ = write!(question, "&digest={digest}");
    }
    question
}

fn show(args: &FleetCommandArgs, told: &Value) -> ExitCode {
    let printed = print(&if args.json { format!("{told}\n") } else { table(told) });
    if told["converged"] == true { printed } else { ExitCode::FAILURE }
}

/// A line that is written over by the next one.
struct Progress {
    is_shown: bool,
    was_shown: bool,
}

impl Progress {
    fn show(&mut self, told: &Value) {
        if self.is_shown {
            self.was_shown = true;
            // Whoever has gone from the terminal misses nothing.
            let _ = write!(io::stderr(), "\r\u{1b}[K{}", waiting(told));
        }
    }

    fn end(&self) {
        if self.was_shown {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

fn waiting(told: &Value) -> String {
    let nodes = told["nodes"].as_array().into_iter().flatten();
    let names: Vec<String> =
        nodes.filter(|node| !node["lags"].is_null()).map(|node| text(&node["id"])).collect();
    let shown = names[..names.len().min(NAMED)].join(", ");
    let more = names.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    match names.len() {
        0 => told["why"]
            .as_str()
            .map_or_else(|| "waiting".to_owned(), |why| format!("waiting: {}", plain(why))),
        count => format!("waiting for {count} of {}: {shown}{more}", told["all"]),
    }
}

/// One line for all, one for each node, and why those lag that do.
fn table(told: &Value) -> String {
    let digest = |value: &Value| text(value).chars().take(DIGITS).collect::<String>();
    let (all, lagging) = (told["all"].as_u64().unwrap_or(0), told["lagging"].as_u64().unwrap_or(0));
    let nodes = if all == 1 { "1 node".to_owned() } else { format!("{all} nodes") };
    let mut out = match told["converged"] == true {
        true => format!("converged: {nodes} on {}\n", digest(&told["digest"])),
        false if lagging == 0 => format!("not known: {nodes} on {}\n", digest(&told["digest"])),
        false => format!("not converged: {lagging} of {nodes} lag behind {}\n", digest(&told["digest"])),
    };
    if let Some(why) = told["why"].as_str() {
        let _ = writeln!(out, "note: {}", plain(why));
    }
    let mut rows = vec![
        ["NODE", "ADDRESS", "ELB", "DIGEST", "REVISION", "SINCE", "UNSAVED", "HEALTH"].map(str::to_owned),
    ];
    for node in told["nodes"].as_array().into_iter().flatten() {
        rows.push([
            text(&node["id"]),
            text(&node["address"]),
            text(&node["elb"]),
            digest(&node["digest"]),
            text(&node["revision"]),
            text(&node["since"]),
            text(&node["unsaved"]),
            health(&node["health"]),
        ]);
    }
    out.push_str(&columns(&rows));
    for node in told["nodes"].as_array().into_iter().flatten() {
        if let Some(why) = node["lags"].as_str() {
            let _ = writeln!(out, "{}: {}", text(&node["id"]), plain(why));
        }
    }
    out
}

/// `ready`, or why not; and the alarms.
fn health(health: &Value) -> String {
    let words =
        |name: &str| -> Vec<String> { health[name].as_array().into_iter().flatten().map(text).collect() };
    let (mut words_all, alarms) = (words("reasons"), words("alarms"));
    if health["ready"] == true {
        words_all.insert(0, "ready".to_owned());
    }
    words_all.extend(alarms);
    if words_all.is_empty() { "unknown".to_owned() } else { words_all.join(",") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(lags: &Value, why: &Value) -> Value {
        let node = |id: &str, lags: &Value| {
            json!({"id": id, "address": "a:80", "elb": "0.1.0", "digest": "1".repeat(64), "revision": 5, "since": null, "unsaved": 0,
                "health": {"ready": true, "reasons": [], "alarms": ["state-file"]}, "lags": lags})
        };
        let lagging = u64::from(!lags.is_null());
        json!({"converged": lags.is_null() && why.is_null(), "digest": "1".repeat(64), "node": "one", "why": why, "all": 2,
            "lagging": lagging, "nodes": [node("one", lags), node("two", &Value::Null)]})
    }

    #[test]
    fn the_table_says_who_lags_and_why() {
        let shown = table(&told(&json!("serves\u{1b}[2J another"), &Value::Null));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "not converged: 1 of 2 nodes lag behind 1111111111111111");
        assert!(lines[1].starts_with("NODE  ADDRESS  ELB    DIGEST"), "{shown}");
        assert!(
            lines[2].starts_with("one   a:80     0.1.0  1111111111111111  5         -")
                && lines[2].ends_with("ready,state-file"),
            "{shown}"
        );
        assert_eq!(lines[4], "one: serves\u{fffd}[2J another");
        let shown = table(&told(&Value::Null, &Value::Null));
        assert!(shown.starts_with("converged: 2 nodes on 1111111111111111\nNODE"), "{shown}");
        let shown = table(&told(&Value::Null, &json!("etcd is gone")));
        assert!(shown.starts_with("not known: 2 nodes on 1111111111111111\nnote: etcd is gone\n"), "{shown}");
    }

    #[test]
    fn progress_names_those_that_are_waited_for() {
        assert_eq!(waiting(&told(&json!("x"), &Value::Null)), "waiting for 1 of 2: one");
        assert_eq!(
            waiting(&told(&Value::Null, &json!("etcd\u{7} is gone"))),
            "waiting: etcd\u{fffd} is gone"
        );
    }
}
