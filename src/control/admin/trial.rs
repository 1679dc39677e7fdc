//! What a change would come to, for `?dry_run=1`: its differences, its warnings, and whom it would strand.
//!
//! It owns these shapes and their bounds. Next: [`write`](mod@super::write) asks for a trial, `history` shows differences too.

use axum::response::Response;
use serde_json::{Map, Value, json};

use super::answer::{self, bounded};
use crate::control::replies::{Stranded, Tried};
use crate::model::{Count, Counts, Differences, Touch, Touched};

/// Differences that are shown at most, and bytes of their values: what a person may read, and a program can work with.
const SHOWN: usize = 1_000;
const BYTES: usize = 4 << 20;

/// The answer to a trial: nothing was changed.
pub(super) fn shown(tried: &Tried) -> Response {
    let Tried { differences, warnings, stranded, needs_confirmation } = tried;
    let mut body = Map::new();
    body.insert("msg".to_owned(), "nothing was changed (dry_run)".into());
    body.extend(changes(differences));
    body.insert("needs_confirmation".to_owned(), (*needs_confirmation).into());
    body.insert("strands".to_owned(), strands(stranded));
    body.insert("warnings".to_owned(), json!(bounded(warnings.clone())));
    answer::json(&body)
}

/// What of live traffic goes.
pub(super) fn strands(stranded: &Stranded) -> Value {
    let Stranded { domains, of_domains, servers, of_servers, per_second } = stranded;
    json!({
        "domains": domains,
        "of_domains": of_domains,
        "servers": servers,
        "of_servers": of_servers,
        "requests_per_second": (per_second * 10.0).round() / 10.0,
    })
}

/// How many of each kind come, go and change.
pub(super) fn counts(counts: &Counts) -> Value {
    let of = |Count { added, removed, changed }: Count| json!({"added": added, "removed": removed, "changed": changed});
    json!({"domains": of(counts.domains), "upstreams": of(counts.upstreams)})
}

/// `counts`, `diff` (each with `path`, `from` and `to`, of which null is one that is not there), and how many `more` there are.
pub(super) fn changes(differences: &Differences) -> Map<String, Value> {
    let of = |kind: &'static str, touched: &Touched| {
        touched.iter().map(move |touch| (kind, touch.clone())).collect::<Vec<_>>()
    };
    let all = [of("domains", &differences.domains), of("upstreams", &differences.upstreams)].concat();
    let (mut rows, mut bytes) = (Vec::new(), 0);
    for (kind, touch) in all.iter().take(SHOWN) {
        let length = |text: &Option<std::sync::Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        bytes += length(&touch.before) + length(&touch.after);
        if bytes > BYTES {
            break;
        }
        rows.push(row(kind, touch));
    }
    let more = all.len() - rows.len();
    Map::from_iter([
        ("counts".to_owned(), counts(&differences.counts())),
        ("diff".to_owned(), rows.into()),
        ("more".to_owned(), more.into()),
    ])
}

fn row(kind: &str, touch: &Touch) -> Value {
    let value = |text: &Option<std::sync::Arc<str>>| -> Value {
        // They were JSON when they were read.
        text.as_ref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    };
    let name = touch.name.replace('~', "~0").replace('/', "~1");
    json!({"path": format!("/{kind}/{name}"), "from": value(&touch.before), "to": value(&touch.after)})
}
