//! What `elb ctl` only looks at, and the calls that have no command of their own.
//!
//! It owns the forms of these for people. Next: `control::admin` answers.

use std::path::Path;

use serde_json::Value;

use super::change::{Api, Outcome, Trouble};
use crate::command::api::{Call, Given, segment};
use crate::command::columns::{cell, columns, plain};
use crate::command::document;
use crate::settings::How;

/// How each server does.
pub(super) fn servers(api: Api<'_>, upstream: Option<&str>) -> Result<Outcome, Trouble> {
    let asked = upstream.map(|name| format!("?upstream={}", segment(name))).unwrap_or_default();
    let told = api.get(&format!("servers{asked}"))?.value;
    if api.json {
        return Ok(format!("{told}\n").into());
    }
    let mut rows = vec![
        ["UPSTREAM", "SERVER", "ADDRESS", "STATE", "ACTIVE", "REQUESTS", "FAILURES", "SINCE", "WHY"]
            .map(str::to_owned),
    ];
    for row in told.as_array().into_iter().flatten() {
        rows.push(
            ["upstream", "server", "address", "state", "active", "requests", "failures", "since", "reason"]
                .map(|name| cell(&row[name])),
        );
    }
    Ok(columns(&rows).into())
}

/// Keys of the store that cannot be served.
pub(super) fn rejected(api: Api<'_>) -> Result<Outcome, Trouble> {
    let told = api.get("rejected")?.value;
    if api.json {
        return Ok(format!("{told}\n").into());
    }
    let mut rows = vec![["KEY", "SERVING", "POINTER", "ERROR"].map(str::to_owned)];
    for row in told["rejected"].as_array().into_iter().flatten() {
        rows.push(["key", "serving", "pointer", "error"].map(|name| cell(&row[name])));
    }
    if rows.len() == 1 {
        return Ok("no key is rejected\n".to_owned().into());
    }
    Ok(columns(&rows).into())
}

/// Where this ELB stands: one line for each member.
pub(super) fn status(api: Api<'_>) -> Result<Outcome, Trouble> {
    let told = api.get("status")?.value;
    if api.json {
        return Ok(format!("{told}\n").into());
    }
    let mut rows = Vec::new();
    for (name, value) in told.as_object().into_iter().flatten() {
        lines(name, value, &mut rows);
    }
    Ok(columns(&rows).into())
}

/// A value as lines: a list of nothing is none, a list of words is one, and an object is one for each member.
fn lines(name: &str, value: &Value, rows: &mut Vec<[String; 2]>) {
    match value {
        Value::Object(members) if members.contains_key("message") => {
            rows.push([name.to_owned(), cell(&value["message"])])
        }
        Value::Object(members) => {
            for (member, value) in members {
                lines(&format!("{name}.{member}"), value, rows);
            }
        }
        Value::Array(all) if all.is_empty() => rows.push([name.to_owned(), "none".to_owned()]),
        Value::Array(all) => {
            for (at, one) in all.iter().enumerate() {
                lines(&format!("{name}.{at}"), one, rows);
            }
        }
        other => rows.push([name.to_owned(), cell(other)]),
    }
}

/// Writes what was changed into the store.
pub(super) fn dump(api: Api<'_>) -> Result<Outcome, Trouble> {
    Ok(api.change(Call { method: Some("PUT"), endpoint: "dump", ..Call::default() }, &How::default())?)
}

/// Reads the store again.
pub(super) fn resync(api: Api<'_>, confirm: bool) -> Result<Outcome, Trouble> {
    let how = How { confirm, ..How::default() };
    Ok(api.change(Call { method: Some("PUT"), endpoint: "resync", ..Call::default() }, &how)?)
}

/// Anything else.
pub(super) fn call(
    api: Api<'_>,
    method: &'static str,
    endpoint: &str,
    file: Option<&Path>,
) -> Result<Outcome, Trouble> {
    let body = file.map(document::read).transpose().map_err(Trouble::Own)?.map(|body| body.to_string());
    let told = api.ask(&Call { method: Some(method), endpoint, body, given: Given::Anything })?;
    let notes = told.warnings.iter().map(|text| plain(text)).collect();
    let text = if api.json { format!("{}\n", told.value) } else { format!("{:#}\n", told.value) };
    Ok(Outcome { notes, ..text.into() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_member_is_a_line() {
        let mut rows = Vec::new();
        lines(
            "a",
            &json!({"b": 1, "c": [], "d": ["x", {"e": null}], "f": [{"message": "no", "code": "z"}]}),
            &mut rows,
        );
        let told: Vec<String> = rows.iter().map(|[name, value]| format!("{name}={value}")).collect();
        assert_eq!(told, ["a.b=1", "a.c=none", "a.d.0=x", "a.d.1.e=-", "a.f.0=no"]);
    }
}
