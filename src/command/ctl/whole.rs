//! `elb ctl config`, `history` and `rollback`: the whole, as it is, was, and may be.
//!
//! It owns how versions are listed. Next: [`change`](super::change) prints differences.

use serde_json::{Value, json};

use super::change::{Api, Outcome, Trouble, differences, trial};
use crate::command::api::{Call, Given};
use crate::command::columns::{cell, columns, plain};
use crate::command::document;
use crate::settings::{ConfigVerb, How};

/// Digits of a digest in a table.
const DIGITS: usize = 16;
/// Names of a change in a table.
const NAMES: usize = 5;

/// Carries a command out.
pub(super) fn config(api: Api<'_>, verb: &ConfigVerb) -> Result<Outcome, Trouble> {
    match verb {
        ConfigVerb::Get { version } => {
            let told = api.get(&format!("config{}", which(version.as_deref())))?.value;
            Ok(if api.json { format!("{told}\n") } else { format!("{told:#}\n") }.into())
        }
        ConfigVerb::Diff { file } => {
            let body = document::read(file).map_err(Trouble::Own)?.to_string();
            let endpoint = "config?dry_run=1";
            let told = api
                .ask(&Call { method: Some("PUT"), endpoint, body: Some(body), given: Given::Anything })?
                .value;
            let sums = ["domains", "upstreams"].iter().flat_map(|kind| told["counts"][*kind].as_object());
            let differs = sums.flat_map(|kind| kind.values()).any(|count| count.as_u64() != Some(0));
            let text = if api.json { format!("{told}\n") } else { trial(&told) };
            Ok(Outcome { is_no: differs, ..text.into() })
        }
        ConfigVerb::Apply { file, how } => {
            let body = document::read(file).map_err(Trouble::Own)?.to_string();
            let call =
                Call { method: Some("PUT"), endpoint: "config", body: Some(body), given: Given::Anything };
            Ok(api.change(call, how)?)
        }
    }
}

/// Serves a version again.
pub(super) fn rollback(api: Api<'_>, to: &str, how: &How) -> Result<Outcome, Trouble> {
    let to = to.parse::<u64>().map_or_else(|_| json!(to), |number| json!(number));
    let body = Some(json!({"to": to}).to_string());
    Ok(api.change(Call { method: Some("POST"), endpoint: "rollback", body, given: Given::Anything }, how)?)
}

/// Lists versions, or says what one changed.
pub(super) fn history(api: Api<'_>, version: Option<&str>) -> Result<Outcome, Trouble> {
    let told = api.get(&format!("history{}", which(version)))?.value;
    if api.json {
        return Ok(format!("{told}\n").into());
    }
    if version.is_some() {
        return Ok(one(&told).into());
    }
    let mut rows = vec![["VERSION", "AT", "WHO", "VIA", "DIGEST", "CHANGES"].map(str::to_owned)];
    for entry in told["versions"].as_array().into_iter().flatten() {
        for made in entry["changes"].as_array().into_iter().flatten() {
            let digest = cell(&entry["digest"]).chars().take(DIGITS).collect();
            let (who, via) = (cell(&made["who"]), cell(&made["via"]));
            rows.push([cell(&entry["version"]), cell(&entry["at"]), who, via, digest, summary(made)]);
        }
    }
    Ok(columns(&rows).into())
}

fn one(entry: &Value) -> String {
    let mut out = format!(
        "version {} at {}, digest {}\n",
        entry["version"],
        cell(&entry["at"]),
        cell(&entry["digest"])
    );
    for made in entry["changes"].as_array().into_iter().flatten() {
        out.push_str(&format!(
            "by {} via {}:\n{}",
            cell(&made["who"]),
            cell(&made["via"]),
            differences(made)
        ));
    }
    out
}

/// `+2 ~1 domains: a.test b.test …`.
fn summary(made: &Value) -> String {
    let mut parts = Vec::new();
    for kind in ["domains", "upstreams"] {
        let count = |name: &str| made["counts"][kind][name].as_u64().unwrap_or(0);
        let signs = [('+', count("added")), ('-', count("removed")), ('~', count("changed"))];
        let signs: Vec<String> = signs
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(sign, count)| format!("{sign}{count}"))
            .collect();
        if !signs.is_empty() {
            parts.push(format!("{} {kind}", signs.join(" ")));
        }
    }
    let names: Vec<&str> = made["names"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let shown: Vec<String> = names.iter().take(NAMES).map(|name| plain(name)).collect();
    let more = if names.len() > NAMES { " …" } else { "" };
    format!("{}: {}{more}", parts.join(", "), shown.join(" "))
}

/// A version as it stands in a query: what is no number is the begin of a digest.
fn which(version: Option<&str>) -> String {
    version.map_or_else(String::new, |version| {
        let word = if version.parse::<u64>().is_ok() { "version" } else { "digest" };
        format!("?{word}={}", crate::command::api::segment(version))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_number_or_the_begin_of_a_digest() {
        assert_eq!((which(None), which(Some("7"))), (String::new(), "?version=7".to_owned()));
        assert_eq!(which(Some("a1b2c3d4")), "?digest=a1b2c3d4");
    }

    #[test]
    fn a_change_is_its_counts_and_first_names() {
        let none = json!({"added": 0, "removed": 0, "changed": 0});
        let names = ["a", "b", "c", "d", "e", "f"];
        let made = json!({"counts": {"domains": {"added": 4, "removed": 0, "changed": 2}, "upstreams": none}, "names": names});
        assert_eq!(summary(&made), "+4 ~2 domains: a b c d e …");
    }
}
