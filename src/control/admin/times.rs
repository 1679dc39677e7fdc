//! Times as the API shows them: what the process measured, in the calendar's words.
//!
//! It owns that form, RFC 3339 in UTC to the millisecond; no clock: both times are arguments. Next:
//! [`servers`](super::servers) shows times.

use std::time::{Instant, SystemTime};

use jiff::Timestamp;

/// What the time was at one moment, by the clock that times are measured with and by the calendar.
#[derive(Debug, Clone, Copy)]
pub(in crate::control) struct Moment {
    pub(in crate::control) measured: Instant,
    pub(in crate::control) calendar: SystemTime,
}

impl Moment {
    /// The text of a time; nothing where the calendar has none.
    pub(in crate::control) fn text(&self, at: Instant) -> Option<String> {
        let calendar = match at.checked_duration_since(self.measured) {
            Some(later) => self.calendar.checked_add(later),
            None => self.calendar.checked_sub(self.measured.saturating_duration_since(at)),
        };
        self::calendar(calendar?)
    }
}

/// The text of a time of the calendar.
pub(super) fn calendar(at: SystemTime) -> Option<String> {
    Some(format!("{:.3}", Timestamp::try_from(at).ok()?))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn times_before_and_after_are_those_of_the_calendar() {
        let measured = Instant::now() + Duration::from_secs(100);
        let moment = Moment { measured, calendar: UNIX_EPOCH + Duration::from_millis(1_795_831_200_250) };
        let text = |at| moment.text(at).unwrap();
        assert_eq!(text(measured), "2026-11-28T02:00:00.250Z");
        assert_eq!(text(measured + Duration::from_secs(3600)), "2026-11-28T03:00:00.250Z");
        assert_eq!(text(measured - Duration::from_millis(251)), "2026-11-28T01:59:59.999Z");
        let end = Moment { measured, calendar: UNIX_EPOCH + Duration::from_secs(1 << 62) };
        assert_eq!(end.text(measured), None);
    }
}
