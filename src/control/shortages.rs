//! Tells people when workers have no place left for a client, and when they have again.
//!
//! It owns the words, never the count: a worker says for a minute that it was short, so that a shortage that comes and
//! goes is one. Next: [`data::places`](crate::data::places) finds it, [`alarms`](super::alarms) shows it.

use super::alarms::{Alarms, Subject};
use crate::link::Gauges;

/// Looks at what all workers hold together.
pub(super) fn judge(alarms: &mut Alarms, all: &Gauges) {
    match all.short_of_connections {
        0 => alarms.clear(Subject::Connections, "there are places for clients again"),
        workers => alarms.raise(
            Subject::Connections,
            format!(
                "{workers} workers have as many client connections as they may (--max-connections, or their share of the \
                 limit of open files): idle ones are closed for new ones, and while none is idle, new ones wait"
            ),
        ),
    }
    match all.short_of_descriptors {
        0 => alarms.clear(Subject::Descriptors, "there are descriptors for clients again"),
        workers => alarms.raise(
            Subject::Descriptors,
            format!(
                "{workers} workers had no descriptor left for a client: raise the limit of open files (ulimit -n, \
                 LimitNOFILE=), or lower --max-connections"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shortage_is_an_alarm_until_no_worker_is_short() {
        let mut alarms = Alarms::default();
        let short = Gauges { short_of_connections: 2, short_of_descriptors: 1, ..Gauges::default() };
        judge(&mut alarms, &short);
        assert!(alarms.of(Subject::Connections).is_some_and(|text| text.starts_with("2 workers have")));
        assert!(alarms.of(Subject::Descriptors).is_some_and(|text| text.contains("ulimit -n")));
        judge(&mut alarms, &Gauges::default());
        assert_eq!(alarms.warnings().count(), 0);
    }
}
