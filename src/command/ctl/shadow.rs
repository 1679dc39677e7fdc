//! `elb ctl shadow`: what a document would do with the requests that come.
//!
//! It owns the waiting and the table, never the candidate. Next: [`change`](super::change) has the way to the API.

use std::io::{self, IsTerminal, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::change::{Api, Outcome, Trouble};
use crate::command::api::Call;
use crate::command::columns::{cell, columns, plain};
use crate::command::document;
use crate::settings::ShadowArgs;

/// How often it is asked how far it is.
const PULSE: Duration = Duration::from_secs(1);
const ENDPOINT: &str = "shadow";

/// Has a document asked beside what is served, waits until that is over, and says what was found.
pub(super) fn shadow(api: Api<'_>, args: &ShadowArgs) -> Result<Outcome, Trouble> {
    let ShadowArgs { file, seconds, sample, merge } = args;
    let config = document::read(file).map_err(Trouble::Own)?;
    let mode = if *merge { "merge" } else { "replace" };
    let body = json!({"config": config, "mode": mode, "seconds": seconds, "sample": sample});
    let ended = interrupted()?;
    let call =
        Call { method: Some("POST"), endpoint: ENDPOINT, body: Some(body.to_string()), ..Call::default() };
    let mut report = api.ask(&call)?.value;
    let run = report["run"].clone();
    let is_shown = io::stderr().is_terminal();
    // It is another one's report once somebody has begun anew.
    while report["state"] == "running" && report["run"] == run {
        if is_shown {
            // Whoever has gone from the terminal misses nothing.
            let _ = write!(io::stderr(), "\r\u{1b}[K{}", sums(&report));
        }
        report = match ended.recv_timeout(PULSE) {
            Ok(()) => {
                let end = Call { method: Some("DELETE"), endpoint: ENDPOINT, ..Call::default() };
                api.ask(&end)?.value
            }
            Err(RecvTimeoutError::Timeout) => api.get(ENDPOINT)?.value,
            Err(RecvTimeoutError::Disconnected) => {
                thread::sleep(PULSE);
                api.get(ENDPOINT)?.value
            }
        };
    }
    if is_shown {
        let _ = write!(io::stderr(), "\r\u{1b}[K");
    }
    if report["run"] != run {
        return Err(Trouble::Own("somebody ended it and had another document asked".to_owned()));
    }
    let text = if api.json { format!("{report}\n") } else { table(&report) };
    let is_no = ["elsewhere", "otherwise"].iter().any(|sum| report[*sum] != 0);
    Ok(Outcome { is_no, ..text.into() })
}

/// Says when somebody presses Ctrl-C.
fn interrupted() -> Result<mpsc::Receiver<()>, Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let no_room = |error: io::Error| Trouble::Own(format!("the system has no room for it: {error}"));
    let runtime = runtime.map_err(no_room)?;
    let (tell, ended) = mpsc::channel();
    let mut pressed = {
        let _inside = runtime.enter();
        signal(SignalKind::interrupt()).map_err(no_room)?
    };
    let wait = move || {
        runtime.block_on(async { while pressed.recv().await.is_some() && tell.send(()).is_ok() {} });
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map_err(no_room)?;
    Ok(ended)
}

fn sums(report: &Value) -> String {
    let Value::Object(_) = report else { return String::new() };
    format!(
        "{} requests: {} go elsewhere, {} go the same way otherwise, {} go the same way",
        report["requests"], report["elsewhere"], report["otherwise"], report["same"]
    )
}

/// The report for people: the sums, and a row for each way.
fn table(report: &Value) -> String {
    let mut out = format!("{}\n", sums(report));
    if report["sample"] != 1 {
        out.push_str(&format!("One request of {} was looked at.\n", report["sample"]));
    }
    if report["changed_meanwhile"] == true {
        out.push_str(
            "What is served was changed meanwhile: each request is compared with what was served then.\n",
        );
    }
    let mut rows = vec![["REQUESTS", "FROM", "TO", "WHAT", "EXAMPLE"].map(str::to_owned)];
    for way in report["ways"].as_array().into_iter().flatten() {
        let text = |name: &str| plain(way[name].as_str().unwrap_or_default());
        let first = &way["examples"][0];
        let part = |name: &str| plain(first[name].as_str().unwrap_or_default());
        let example = format!("{} {}{}", part("method"), part("host"), part("path"));
        rows.push([cell(&way["requests"]), text("from"), text("to"), text("difference"), example]);
    }
    if rows.len() > 1 {
        out.push_str(&columns(&rows));
    }
    if report["other"] != 0 {
        out.push_str(&format!("… and {} requests on other ways\n", report["other"]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_its_sums_and_a_row_for_each_way() {
        let mut report = json!({"state": "done", "requests": 9, "same": 6, "otherwise": 1, "elsewhere": 3, "sample": 1,
            "changed_meanwhile": false, "other": 0, "ways": [{"from": "upstream a", "to": "404 no-domain",
            "difference": "destination", "requests": 3,
            "examples": [{"method": "GET", "host": "a.test", "path": "/x\u{1b}"}]}]});
        let text = table(&report);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "9 requests: 3 go elsewhere, 1 go the same way otherwise, 6 go the same way");
        assert!(lines[2].contains("404 no-domain") && lines[2].contains("GET a.test/x\u{fffd}"), "{text}");
        (report["sample"], report["other"], report["ways"]) = (json!(8), json!(2), json!([]));
        let text = table(&report);
        assert!(
            text.ends_with("One request of 8 was looked at.\n… and 2 requests on other ways\n"),
            "{text}"
        );
    }
}
