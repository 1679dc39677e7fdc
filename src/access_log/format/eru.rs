//! `eru`: the line of the first ELB, so that what reads its log reads this one.
//!
//! It owns the order of its fields: host, client, time, request, status, bytes, referer, user agent, seconds in all, seconds of
//! the server, forwarded-for, path, arguments, server, its status. Next: [`combined`](super::combined) has the middle of it.

use super::combined::common;
use super::date::Date;
use super::escape::{quoted, word};
use super::number::{decimal, thousandths};
use crate::access_log::entry::{Entry, NEVER, Text};

/// Appends the line.
pub(super) fn write(entry: &Entry<'_>, date: &Date<'_>, out: &mut Vec<u8>) {
    let numbers = &entry.numbers;
    // nginx writes its `$host` in lower case and without port, as domains are.
    let host = entry.text(Text::Domain);
    word(out, if host.is_empty() { entry.text(Text::Host) } else { host });
    out.push(b' ');
    word(out, entry.text(Text::Client));
    out.push(b' ');
    common(entry, date, out);
    out.push(b' ');
    seconds(out, numbers.total);
    out.push(b' ');
    seconds(out, numbers.server);
    out.push(b' ');
    quoted(out, &[entry.text(Text::ForwardedFor)]);
    let target = entry.text(Text::Target);
    let (path, arguments) = match target.iter().position(|byte| *byte == b'?') {
        Some(at) => (target.get(..at).unwrap_or_default(), target.get(at + 1..).unwrap_or_default()),
        None => (target, &[][..]),
    };
    out.push(b' ');
    quoted(out, &[path]);
    out.push(b' ');
    quoted(out, &[arguments]);
    out.push(b' ');
    let server = entry.text(Text::Server);
    word(out, server);
    out.push(b' ');
    if server.is_empty() {
        out.push(b'-')
    } else {
        decimal(out, numbers.status.into())
    }
    out.push(b'\n');
}

/// Microseconds as seconds, in thousandths as nginx writes them.
fn seconds(out: &mut Vec<u8>, micros: u32) {
    if micros == NEVER { out.push(b'-') } else { thousandths(out, u64::from(micros) / 1000) }
}
