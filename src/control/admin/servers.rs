//! `/__erulb__/servers`: how each server does, at each of its addresses.
//!
//! It owns the shape of a row; what is in it is known elsewhere, and the numbers are as old as the last report of each
//! worker, a second. Next: [`control::servers`](crate::control::servers) for where it comes from.

use std::collections::BTreeMap;
use std::time::SystemTime;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::answer::{self, Answer, Failure};
use super::times::Moment;
use crate::control::handle::HubHandle;
use crate::control::replies::Gone;
use crate::control::servers::Shown;

/// Rows that are written on the control thread: a millisecond or two. Ten thousand would be a tenth of a second.
const AT_ONCE: usize = 200;

/// All servers, or those of `?upstream=NAME`: `[{"upstream", "server", "address", "state", "since", "until", "reason",
/// "active", "requests", "failures", "last_check": {"at", "ok", "took_ms", "what"}, "idle_connections"}, …]`.
pub(super) async fn get(State(hub): State<HubHandle>, uri: Uri) -> Answer {
    let wanted = word(&uri, "upstream");
    let name = wanted.clone();
    let (measured, shown) = hub.ask_now(move |hub, now| (now, hub.servers(name.as_deref()))).await?;
    let moment = Moment { measured, calendar: SystemTime::now() };
    let Some(shown) = shown else {
        let name = wanted.unwrap_or_default();
        return Err(Failure::new(StatusCode::NOT_FOUND, format!("there is no upstream {name:?}")));
    };
    let is_small = shown.len() <= AT_ONCE;
    let text = move || text(&shown, &moment);
    let text = if is_small { text() } else { tokio::task::spawn_blocking(text).await.map_err(|_| Gone)? };
    Ok(answer::json_text(text))
}

/// The rows as JSON, one after the other: all of them as values would take ten times the memory of their text.
fn text(shown: &[Shown], moment: &Moment) -> String {
    let mut text = String::from("[");
    for shown in shown {
        text.push_str(if text.len() > 1 { "," } else { "" });
        text.push_str(&row(shown, moment).to_string());
    }
    text.push(']');
    text
}

/// The value of a word in the query of a `GET`.
pub(super) fn word(uri: &Uri, name: &str) -> Option<String> {
    let mut pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(known, _)| *known == name)?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

/// Upstream and server, each to the rows of its addresses without these two.
pub(super) fn by_server(shown: &[Shown], moment: &Moment) -> BTreeMap<(String, String), Vec<Value>> {
    let mut rows: BTreeMap<_, Vec<Value>> = BTreeMap::new();
    for one in shown {
        let mut row = row(one, moment);
        if let Some(row) = row.as_object_mut() {
            row.shift_remove("upstream");
            row.shift_remove("server");
        }
        rows.entry((one.upstream.to_string(), one.server.clone())).or_default().push(row);
    }
    rows
}

fn row(shown: &Shown, moment: &Moment) -> Value {
    let last_check = shown.last_check.as_ref().map(|last| {
        json!({
            "at": moment.text(last.at),
            "ok": last.finding.ok,
            "took_ms": last.finding.took.as_millis(),
            "what": last.finding.what,
        })
    });
    json!({
        "upstream": &*shown.upstream,
        "server": shown.server,
        "address": shown.address,
        "state": shown.state,
        "since": shown.since.and_then(|since| moment.text(since)),
        "until": shown.until.and_then(|until| moment.text(until)),
        "reason": shown.reason,
        "active": shown.active,
        "requests": shown.requests,
        "statuses": statuses(&shown.statuses),
        "failures": shown.failures,
        "last_check": last_check,
        "idle_connections": shown.idle_connections,
    })
}

/// Requests by status; what is beyond those that are told apart is `other`.
fn statuses(statuses: &[(u16, u64)]) -> Value {
    let one = |(status, requests): &(u16, u64)| (word_of(*status), Value::from(*requests));
    Value::Object(statuses.iter().map(one).collect())
}

/// A status as it is shown; 0 is all that has no row of its own.
pub(super) fn word_of(status: u16) -> String {
    if status == 0 { "other".to_owned() } else { status.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_the_value_that_stands_behind_it() {
        let word = |query: &str| word(&format!("/__erulb__/servers{query}").parse().unwrap(), "upstream");
        for (query, value) in [
            ("", None),
            ("?upstream", None),
            ("?upstream=up1", Some("up1")),
            ("?x=1&upstream=a%20b&upstream=c", Some("a b")),
            ("?upstream=%ff", Some("\u{fffd}")),
        ] {
            assert_eq!(word(query).as_deref(), value, "{query}");
        }
    }
}
