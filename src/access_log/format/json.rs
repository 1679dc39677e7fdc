//! `json`: one object a line, its members in one order, what there is not as `null`.
//!
//! It owns the names of the members. Next: [`escape`](super::escape).

use super::date::Date;
use super::escape::json_string;
use super::number::{decimal, thousandths};
use crate::access_log::entry::{Entry, NEVER, Text};

/// Appends the line.
pub(super) fn write(entry: &Entry<'_>, date: &Date<'_>, out: &mut Vec<u8>) {
    let numbers = &entry.numbers;
    out.extend_from_slice(b"{\"time\":\"");
    date.rfc3339(out);
    out.push(b'"');
    text(out, b",\"id\":", entry.text(Text::Id));
    if !entry.text(Text::TraceParent).is_empty() {
        text(out, b",\"traceparent\":", entry.text(Text::TraceParent));
    }
    text(out, b",\"client\":", entry.text(Text::Client));
    text(out, b",\"method\":", entry.text(Text::Method));
    text(out, b",\"host\":", entry.text(Text::Host));
    text(out, b",\"path\":", entry.text(Text::Target));
    text(out, b",\"domain\":", entry.text(Text::Domain));
    rules(out, entry.text(Text::Rules));
    text(out, b",\"upstream\":", entry.text(Text::Upstream));
    text(out, b",\"server\":", entry.text(Text::Server));
    number(out, b",\"tries\":", numbers.tries.into());
    number(out, b",\"status\":", numbers.status.into());
    text(out, b",\"reason\":", entry.text(Text::Reason));
    number(out, b",\"version\":", numbers.version);
    number(out, b",\"bytes_in\":", numbers.received);
    number(out, b",\"bytes_out\":", numbers.sent);
    time(out, b",\"total_ms\":", numbers.total);
    time(out, b",\"head_ms\":", numbers.head);
    time(out, b",\"connect_ms\":", numbers.connect);
    time(out, b",\"server_ms\":", numbers.server);
    text(out, b",\"user_agent\":", entry.text(Text::UserAgent));
    text(out, b",\"referer\":", entry.text(Text::Referer));
    out.extend_from_slice(b"}\n");
}

fn text(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    if value.is_empty() { out.extend_from_slice(b"null") } else { json_string(out, value) }
}

fn rules(out: &mut Vec<u8>, rules: &[u8]) {
    out.extend_from_slice(b",\"rules\":[");
    for (place, rule) in rules.split(|byte| *byte == 0).filter(|rule| !rule.is_empty()).enumerate() {
        if place > 0 {
            out.push(b',');
        }
        json_string(out, rule);
    }
    out.push(b']');
}

fn number(out: &mut Vec<u8>, name: &[u8], value: u64) {
    out.extend_from_slice(name);
    decimal(out, value);
}

/// Microseconds as milliseconds.
fn time(out: &mut Vec<u8>, name: &[u8], micros: u32) {
    out.extend_from_slice(name);
    if micros == NEVER { out.extend_from_slice(b"null") } else { thousandths(out, micros.into()) }
}
