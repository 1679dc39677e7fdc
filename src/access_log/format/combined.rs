//! `combined`: the line of nginx and Apache that every program for logs can read.
//!
//! It owns the order of its fields (nginx, ngx_http_log_module, `combined`). The bytes are those of the whole answer, as there
//! is no count without its head. Next: [`escape`](super::escape).

use super::date::Date;
use super::escape::{quoted, word};
use super::number::decimal;
use crate::access_log::entry::{Entry, Text};

/// Appends the line.
pub(super) fn write(entry: &Entry<'_>, date: &Date<'_>, out: &mut Vec<u8>) {
    word(out, entry.text(Text::Client));
    out.extend_from_slice(b" - - ");
    common(entry, date, out);
    out.push(b'\n');
}

/// From the date to the user agent: also in the middle of the first ELB's line.
pub(super) fn common(entry: &Entry<'_>, date: &Date<'_>, out: &mut Vec<u8>) {
    let numbers = &entry.numbers;
    out.push(b'[');
    date.common(out);
    out.extend_from_slice(b"] ");
    if entry.text(Text::Method).is_empty() {
        // Its head was refused, or did not come.
        out.extend_from_slice(b"\"-\"");
    } else {
        let version: &[u8] = if numbers.is_old { b" HTTP/1.0" } else { b" HTTP/1.1" };
        quoted(out, &[entry.text(Text::Method), b" ", entry.text(Text::Target), version]);
    }
    out.push(b' ');
    decimal(out, numbers.status.into());
    out.push(b' ');
    decimal(out, numbers.sent);
    out.push(b' ');
    quoted(out, &[entry.text(Text::Referer)]);
    out.push(b' ');
    quoted(out, &[entry.text(Text::UserAgent)]);
}
