//! The time of a line, in UTC. The calendar is asked once a second.
//!
//! It owns both forms: RFC 3339 with milliseconds, and that of Apache.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use super::number::thousandths;

/// Remembers the last second.
#[derive(Debug, Default)]
pub(super) struct Dates {
    second: Option<u64>,
    rfc3339: String,
    common: String,
}

/// One moment.
#[derive(Debug)]
pub(super) struct Date<'a> {
    dates: &'a Dates,
    millis: u64,
}

impl Dates {
    /// So many microseconds after `began`, which is so long after 1970. A clock that is wrong still makes a date.
    pub(super) fn at(&mut self, began: Duration, micros: u64) -> Date<'_> {
        let since = began.saturating_add(Duration::from_micros(micros));
        let second = since.as_secs();
        if self.second != Some(second) {
            self.second = Some(second);
            let moment = i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok());
            let zoned = moment.unwrap_or_default().to_zoned(TimeZone::UTC);
            self.rfc3339 = strtime::format("%Y-%m-%dT%H:%M:%S", &zoned).unwrap_or_default();
            self.common = strtime::format("%d/%b/%Y:%H:%M:%S +0000", &zoned).unwrap_or_default();
        }
        Date { dates: self, millis: since.subsec_millis().into() }
    }
}

impl Date<'_> {
    /// `2023-11-14T22:13:20.251Z` (RFC 3339).
    pub(super) fn rfc3339(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.dates.rfc3339.as_bytes());
        let at = out.len();
        thousandths(out, self.millis);
        // The point and what follows it.
        out.remove(at);
        out.push(b'Z');
    }

    /// `14/Nov/2023:22:13:20 +0000` (nginx `$time_local`).
    pub(super) fn common(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.dates.common.as_bytes());
    }
}
