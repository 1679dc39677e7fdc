//! What all changes of `elb ctl` have in common: the words of the query, and what is printed of the answer.
//!
//! It owns these, never which change it is. Next: [`item`](super::item) and [`whole`](super::whole) make some.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::api::{self, Call, Failed, Reply};
use crate::command::columns::plain;
use crate::settings::How;

/// How long nobody wonders whether anything happens.
const QUIET: Duration = Duration::from_secs(1);
/// Letters of a value in a difference: what fits beside its path.
const VALUE: usize = 160;

/// Where the API is, and how answers are printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Api<'a> {
    pub(super) address: &'a str,
    pub(super) json: bool,
}

/// What is printed, and whether it went well.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) text: String,
    /// What goes to standard error.
    pub(super) notes: Vec<String>,
    /// It is 1 that the command ends with, although it was carried out.
    pub(super) is_no: bool,
}

/// Why a command was not carried out.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The API says no, or nothing.
    Api(Failed),
    /// It is nothing of the API's.
    Own(String),
}

impl From<Failed> for Trouble {
    fn from(failed: Failed) -> Self {
        Self::Api(failed)
    }
}

impl From<String> for Outcome {
    fn from(text: String) -> Self {
        Self { text, notes: Vec::new(), is_no: false }
    }
}

impl Api<'_> {
    /// What the API says to a question.
    pub(super) fn get(&self, endpoint: &str) -> Result<Reply, Failed> {
        self.ask(&Call { endpoint, ..Call::default() })
    }

    /// Asks. On a terminal, a line says how long that has taken when it takes long.
    pub(super) fn ask(&self, call: &Call<'_>) -> Result<Reply, Failed> {
        if !io::stderr().is_terminal() {
            return api::send(self.address, call);
        }
        thread::scope(|scope| {
            let (done, wait) = mpsc::channel::<()>();
            scope.spawn(move || progress(&wait));
            let reply = api::send(self.address, call);
            drop(done);
            reply
        })
    }

    /// Makes a change.
    pub(super) fn change(&self, call: Call<'_>, how: &How) -> Result<Outcome, Failed> {
        let endpoint = format!("{}{}", call.endpoint, query(call.endpoint, how));
        let reply = self.ask(&Call { endpoint: &endpoint, ..call })?;
        if self.json {
            return Ok(format!("{}\n", reply.value).into());
        }
        let mut outcome = Outcome::from(if how.dry_run { trial(&reply.value) } else { said(&reply.value) });
        let own = reply.value["warnings"].as_array().into_iter().flatten().map(warning);
        outcome.notes = own.chain(reply.warnings.iter().map(|text| plain(text))).collect();
        outcome.notes.dedup();
        Ok(outcome)
    }
}

/// Says each second that it is waited, until somebody has the answer.
fn progress(wait: &mpsc::Receiver<()>) {
    let begun = Instant::now();
    let mut shown = false;
    while let Err(mpsc::RecvTimeoutError::Timeout) = wait.recv_timeout(QUIET) {
        shown = true;
        // Whoever has gone from the terminal misses nothing.
        let _ = write!(io::stderr(), "\r\u{1b}[Kwaiting for the answer, {} s", begun.elapsed().as_secs());
    }
    if shown {
        let _ = write!(io::stderr(), "\r\u{1b}[K");
    }
}

/// The words that are on.
fn query(endpoint: &str, how: &How) -> String {
    let words = [
        ("dump", how.dump),
        ("dry_run", how.dry_run),
        ("confirm", how.confirm),
        ("unresolved", how.unresolved),
    ];
    let on: Vec<String> =
        words.iter().filter(|(_, is_on)| *is_on).map(|(word, _)| format!("{word}=1")).collect();
    let begin = if endpoint.contains('?') { '&' } else { '?' };
    if on.is_empty() { String::new() } else { format!("{begin}{}", on.join("&")) }
}

/// What an answer says beside its warnings.
fn said(answer: &Value) -> String {
    let found =
        answer.as_object().into_iter().flatten().filter(|(name, _)| *name != "msg" && *name != "warnings");
    let lines = found.map(|(name, value)| format!("{}: {}\n", plain(name), plain(&value.to_string())));
    let lines: String = lines.collect();
    if lines.is_empty() { format!("{}\n", plain(answer["msg"].as_str().unwrap_or("OK"))) } else { lines }
}

fn warning(warning: &Value) -> String {
    let text = |name: &str| plain(warning[name].as_str().unwrap_or_default());
    let (pointer, message, code) = (text("pointer"), text("message"), text("code"));
    let place = if pointer.is_empty() { String::new() } else { format!("{pointer}: ") };
    format!("{place}{message} [{code}]")
}

/// What a change would come to: one line for each difference, their sums, and whom it would strand.
pub(super) fn trial(answer: &Value) -> String {
    let mut out = differences(answer);
    let strands = &answer["strands"];
    let number = |name: &str| strands[name].as_u64().unwrap_or(0);
    if number("domains") + number("servers") > 0 {
        let _ = writeln!(
            out,
            "It takes away {} of {} domains and {} of {} servers that had requests, with {} requests a second.",
            number("domains"),
            number("of_domains"),
            number("servers"),
            number("of_servers"),
            strands["requests_per_second"],
        );
    }
    if answer["needs_confirmation"] == true {
        out.push_str("It needs --confirm.\n");
    }
    out
}

/// One line for each difference: `+` came, `-` went, `~` is another.
pub(super) fn differences(answer: &Value) -> String {
    let mut out = String::new();
    for row in answer["diff"].as_array().into_iter().flatten() {
        let path = plain(row["path"].as_str().unwrap_or_default());
        let (from, to) = (&row["from"], &row["to"]);
        // Writing to a string does not fail.
        let _ = match (from.is_null(), to.is_null()) {
            (true, _) => writeln!(out, "+ {path} {}", short(to)),
            (false, true) => writeln!(out, "- {path}"),
            (false, false) => writeln!(out, "~ {path}\n    from {}\n    to   {}", short(from), short(to)),
        };
    }
    if let Some(more) = answer["more"].as_u64().filter(|more| *more > 0) {
        let _ = writeln!(out, "… and {more} more");
    }
    let kind = |name: &str| {
        let counts = &answer["counts"][name];
        format!(
            "{name}: {} added, {} removed, {} changed",
            counts["added"], counts["removed"], counts["changed"]
        )
    };
    let _ = writeln!(out, "{}; {}", kind("domains"), kind("upstreams"));
    out
}

fn short(value: &Value) -> String {
    let text = plain(&value.to_string());
    if text.chars().count() <= VALUE { text } else { text.chars().take(VALUE - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_words_of_the_query_are_those_that_are_on() {
        let how = How { dump: true, confirm: true, ..How::default() };
        assert_eq!(query("config", &how), "?dump=1&confirm=1");
        assert_eq!(query("config?x=1", &how), "&dump=1&confirm=1");
        assert_eq!(query("config", &How::default()), "");
    }

    #[test]
    fn a_trial_is_a_line_for_each_difference_and_says_who_is_stranded() {
        let none = json!({"added": 0, "removed": 0, "changed": 0});
        let told = json!({
            "counts": {"domains": {"added": 1, "removed": 1, "changed": 0}, "upstreams": none},
            "diff": [{"path": "/domains/a", "from": null, "to": {"init": "x"}}, {"path": "/domains/b\u{1b}", "from": {}, "to": null}],
            "more": 3,
            "needs_confirmation": true,
            "strands": {"domains": 1, "of_domains": 1, "servers": 0, "of_servers": 4, "requests_per_second": 7.5},
        });
        assert_eq!(
            trial(&told),
            "+ /domains/a {\"init\":\"x\"}\n- /domains/b\u{fffd}\n… and 3 more\n\
             domains: 1 added, 1 removed, 0 changed; upstreams: 0 added, 0 removed, 0 changed\n\
             It takes away 1 of 1 domains and 0 of 4 servers that had requests, with 7.5 requests a second.\nIt needs --confirm.\n"
        );
    }

    #[test]
    fn an_answer_is_its_word_or_what_was_found() {
        assert_eq!(said(&json!({"msg": "OK", "warnings": []})), "OK\n");
        assert_eq!(said(&json!({"up": true, "no": 404})), "up: true\nno: 404\n");
        assert_eq!(warning(&json!({"code": "c", "pointer": "/a", "message": "m"})), "/a: m [c]");
    }
}
