//! The lines that `elb top` shows, made of what the API answers.
//!
//! It owns columns and their widths. Nothing that a name holds moves the cursor of a terminal. Next: [`show`](super::show) asks and
//! prints.

use std::cmp::Reverse;

use serde_json::Value;

use crate::settings::{TopSort, TopView};

/// Blanks between two columns.
const GAP: usize = 2;
/// Characters that a name keeps in a narrow terminal.
const NAME: usize = 16;

/// A column: its heading, and what stands in it for a row.
type Column = (&'static str, fn(&Value) -> String);

const DOMAINS: &[Column] = &[("DOMAIN", |row| text(&row["name"])), ("REQ/S", rate), ("ERR/S", errors)];
const UPSTREAMS: &[Column] = &[
    ("UPSTREAM", |row| text(&row["name"])),
    ("REQ/S", rate),
    ("ERR/S", errors),
    ("P50", |row| time(&row["p50_ms"])),
    ("P99", |row| time(&row["p99_ms"])),
    ("USABLE", |row| format!("{}/{}", text(&row["usable"]), text(&row["servers"]))),
];
const SERVERS: &[Column] = &[
    ("SERVER", |row| format!("{} {}", text(&row["upstream"]), text(&row["server"]))),
    ("REQ/S", rate),
    ("ERR/S", errors),
    ("ACTIVE", |row| text(&row["active"])),
    ("STATE", |row| text(&row["state"])),
    ("WHY", |row| text(&row["reason"])),
];
const WORKERS: &[Column] = &[
    ("WORKER", |row| text(&row["worker"])),
    ("REQ/S", rate),
    ("CLIENTS", |row| text(&row["clients"])),
    ("UNDER WAY", |row| text(&row["exchanges"])),
    ("TO SERVERS", |row| text(&row["server_connections"])),
    ("IDLE", |row| text(&row["server_connections_idle"])),
    ("VERSION", |row| text(&row["version"])),
];

/// What stands above the table: who this is and how it does, and its alarms.
pub(super) fn head(told: &Value, api: &str) -> Vec<String> {
    let (configuration, rate) = (&told["configuration"], &told["rate"]);
    let store = if told["store"]["up"] == true { "store up" } else { "store down" };
    let mut lines = vec![
        format!(
            "ELB {} at {api}  version {}, {} of {} workers  {store}",
            text(&told["elb"]),
            text(&configuration["version"]),
            text(&configuration["applied"]),
            text(&configuration["workers"])
        ),
        format!(
            "requests {}/s  errors {}/s  p50 {}  p99 {}",
            number(&rate["requests"]),
            number(&rate["errors"]),
            time(&rate["p50_ms"]),
            time(&rate["p99_ms"])
        ),
    ];
    let alarms = told["alarms"].as_array().into_iter().flatten();
    lines.extend(alarms.map(|alarm| format!("! {} [{}]", text(&alarm["message"]), text(&alarm["code"]))));
    lines
}

/// The table, its headings first: as many lines as there is room for, each as wide.
pub(super) fn table(told: &Value, view: TopView, sort: TopSort, width: usize, room: usize) -> Vec<String> {
    let (columns, list) = match view {
        TopView::Domains => (DOMAINS, &told["domains"]["rows"]),
        TopView::Upstreams => (UPSTREAMS, &told["upstreams"]["rows"]),
        TopView::Servers => (SERVERS, &told["servers"]["rows"]),
        TopView::Workers => (WORKERS, &told["workers"]),
    };
    let mut rows: Vec<&Value> = list.as_array().into_iter().flatten().collect();
    let hundredths = |value: &Value| Reverse((value.as_f64().unwrap_or_default() * 100.0) as u64);
    match (view, sort) {
        (TopView::Servers, TopSort::Name) => {
            rows.sort_by_key(|row| (text(&row["upstream"]), text(&row["server"])))
        }
        (TopView::Servers | TopView::Workers, TopSort::Rate) => {
            rows.sort_by_key(|row| hundredths(&row["rate"]))
        }
        (TopView::Servers, TopSort::Errors) => rows.sort_by_key(|row| hundredths(&row["errors"])),
        // The API has sorted the others.
        _ => {}
    }
    rows.truncate(room.saturating_sub(1));
    let heading: Vec<String> = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    let cells = rows.iter().map(|row| columns.iter().map(|(_, cell)| cell(row)).collect());
    set(std::iter::once(heading).chain(cells).collect(), width)
}

/// Sets cells in columns: the first one begins at the left, numbers end at the right. The first gives way where it is narrow, and
/// what is wider all the same is cut.
fn set(rows: Vec<Vec<String>>, width: usize) -> Vec<String> {
    let columns = rows.first().map_or(0, Vec::len);
    let widest = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..columns).map(widest).collect();
    let rest: usize = widths.iter().skip(1).map(|width| width + GAP).sum();
    if let Some(first) = widths.first_mut() {
        *first = (*first).min(width.saturating_sub(rest).max(NAME));
    }
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (number, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let cell = cut(cell, *width);
            match number {
                0 => line.push_str(&format!("{cell:<width$}")),
                // Words: the last columns of servers.
                4.. if cell.chars().any(char::is_alphabetic) => line.push_str(&format!("  {cell:<width$}")),
                _ => line.push_str(&format!("  {cell:>width$}")),
            }
        }
        cut(line.trim_end(), width)
    };
    rows.iter().map(line).collect()
}

/// So many characters at most, the last an ellipsis where some are missing.
pub(super) fn cut(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        Some(_) => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

fn text(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

fn number(value: &Value) -> String {
    match value.as_f64() {
        None => "-".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(number) if number >= 100.0 => format!("{number:.0}"),
        Some(number) => format!("{number:.1}"),
    }
}

fn rate(row: &Value) -> String {
    number(&row["rate"])
}

fn errors(row: &Value) -> String {
    number(&row["errors"])
}

fn time(value: &Value) -> String {
    match value.as_f64() {
        None => "-".to_owned(),
        Some(millis) if millis >= 1000.0 => format!("{:.1}s", millis / 1000.0),
        Some(millis) => format!("{millis:.1}ms"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told() -> Value {
        json!({
            "elb": "1", "configuration": {"version": 3, "applied": 1, "workers": 2}, "store": {"up": false},
            "alarms": [{"code": "store-down", "message": "the store\u{1b}[2J is down"}],
            "rate": {"requests": 123.4, "errors": 0.0, "p50_ms": 1.26, "p99_ms": 2500.0},
            "domains": {"rows": [
                {"name": "a-name-that-is-rather-long.test", "rate": 10.0, "errors": 0.25},
                {"name": "b\u{1b}.test", "rate": 0.0, "errors": 0.0}]},
            "servers": {"rows": [
                {"upstream": "up", "server": "b:1", "rate": 1.0, "errors": 2.0, "active": 3, "state": "aside", "reason": "why not"},
                {"upstream": "up", "server": "a:1", "rate": 5.0, "errors": 1.0, "active": 30, "state": "up", "reason": null}]},
        })
    }

    #[test]
    fn a_table_has_columns_that_fit_and_names_that_move_no_cursor() {
        let lines = table(&told(), TopView::Domains, TopSort::Rate, 80, 10);
        let expected = [
            "DOMAIN                           REQ/S  ERR/S",
            "a-name-that-is-rather-long.test   10.0    0.2",
            "b\u{fffd}.test                              0      0",
        ];
        assert_eq!(lines, expected);
        let lines = table(&told(), TopView::Domains, TopSort::Rate, 32, 2);
        assert_eq!(lines, ["DOMAIN              REQ/S  ERR/S", "a-name-that-is-ra…   10.0    0.2"]);
        assert!(
            table(&told(), TopView::Domains, TopSort::Rate, 5, 9)
                .iter()
                .all(|line| line.chars().count() <= 5)
        );
    }

    #[test]
    fn servers_are_sorted_here() {
        let names = |sort| {
            let lines = table(&told(), TopView::Servers, sort, 80, 10);
            lines.iter().skip(1).map(|line| line[..6].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(TopSort::Rate), ["up a:1", "up b:1"]);
        assert_eq!(names(TopSort::Errors), ["up b:1", "up a:1"]);
        assert_eq!(names(TopSort::Name), ["up a:1", "up b:1"]);
        let lines = table(&told(), TopView::Servers, TopSort::Errors, 80, 10);
        assert_eq!(lines[0], "SERVER  REQ/S  ERR/S  ACTIVE  STATE  WHY");
        assert_eq!(lines[1], "up b:1    1.0    2.0       3  aside  why not");
    }

    #[test]
    fn the_head_tells_how_it_does() {
        let expected = [
            "ELB 1 at here  version 3, 1 of 2 workers  store down",
            "requests 123/s  errors 0/s  p50 1.3ms  p99 2.5s",
            "! the store\u{fffd}[2J is down [store-down]",
        ];
        assert_eq!(head(&told(), "here"), expected);
    }
}
