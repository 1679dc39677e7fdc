//! What the log is told of keys in quarantine, and of those that serve with a slip in them: one line for each key and fault,
//! however often it is written.
//!
//! It owns the counting and its bounds, never the judgement of a value (that is the model's). Next:
//! [`store_guard`](super::store_guard) hands over what a change of the store did.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::model::{Doubtful, Rejected, StoreOutcome};

/// Keys named one by one in the log for one event; a store full of broken keys must not fill the disk as well.
const NAMED: usize = 20;
/// Lines that one key may cause in a [`SPELL`]: a program that writes a new fault with each try is a few of them.
const LINES: u32 = 4;
/// How long the lines of a key are counted.
const SPELL: Duration = Duration::from_secs(60);
/// Keys whose lines are counted; the memory for it. Others are counted in the alarm and not named.
const KEYS: usize = 1000;

/// What the log was told.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    told: BTreeMap<String, Told>,
}

#[derive(Debug)]
struct Told {
    fault: String,
    /// The key is in quarantine, as far as the log knows.
    stands: bool,
    lines: u32,
    since: Instant,
}

impl Rejections {
    /// Tells the log what is new in the outcome of the store's change at `revision`.
    pub(super) fn tell(&mut self, outcome: &StoreOutcome, revision: i64, now: Instant) {
        let news = self.news(&outcome.rejected, now);
        for key in news.iter().take(NAMED) {
            let serves = if key.last_good { "its last good value serves on" } else { "it is left out" };
            let Rejected { key, pointer, message, .. } = key;
            let at = if pointer.is_empty() { String::new() } else { format!(" {pointer:?}") };
            warn!("{key:?} of the store is rejected at revision {revision}:{at} {message}; {serves}");
        }
        if let Some(more) = news.len().checked_sub(NAMED).filter(|more| *more > 0) {
            warn!("{more} more keys are rejected at revision {revision}; GET /__erulb__/rejected lists them");
        }
        let again = self.accepted(&outcome.accepted);
        if !again.is_empty() {
            info!("rejected no more: {}", some(&again));
        }
        self.doubt(&outcome.doubtful, revision, now);
        if !outcome.overridden.is_empty() {
            warn!("unsaved changes gave way to newer values of the store: {}", some(&outcome.overridden));
        }
    }

    /// Names keys that serve and say something that means nothing, as a slip of the pen does.
    fn doubt(&mut self, doubtful: &[Doubtful], revision: i64, now: Instant) {
        let last: BTreeMap<&str, &Doubtful> = doubtful.iter().map(|key| (key.key.as_str(), key)).collect();
        let mut news: Vec<&Doubtful> = last.into_values().collect();
        news.retain(|key| self.is_news(&key.key, doubted(key), now));
        for Doubtful { key, fault, more } in news.iter().take(NAMED) {
            let more = if *more == 0 { String::new() } else { format!(" ({more} more doubts of it)") };
            let at = if fault.pointer.is_empty() { String::new() } else { format!("{:?} ", fault.pointer) };
            warn!("{key:?} of the store serves at revision {revision}, but {at}{}{more}", fault.message);
        }
        if let Some(more) = news.len().checked_sub(NAMED).filter(|more| *more > 0) {
            warn!("{more} more keys at revision {revision} say something that means nothing");
        }
    }

    /// The last fault of each key, unless the log knows it or has heard enough of that key.
    fn news<'a>(&mut self, rejected: &'a [Rejected], now: Instant) -> Vec<&'a Rejected> {
        let last: BTreeMap<&str, &Rejected> = rejected.iter().map(|key| (key.key.as_str(), key)).collect();
        let fault = |key: &Rejected| format!("{} {}", key.pointer, key.message);
        last.into_values().filter(|key| self.is_news(&key.key, fault(key), now)).collect()
    }

    fn is_news(&mut self, key: &str, fault: String, now: Instant) -> bool {
        if !self.told.contains_key(key) {
            if self.told.len() >= KEYS {
                self.told.retain(|_, told| told.stands || now < told.since + SPELL);
            }
            if self.told.len() < KEYS {
                self.told.insert(key.to_owned(), Told { fault, stands: true, lines: 1, since: now });
                return true;
            }
            return false;
        }
        let Some(told) = self.told.get_mut(key) else { return false };
        if told.stands && told.fault == fault {
            return false;
        }
        if now >= told.since + SPELL {
            (told.lines, told.since) = (0, now);
        }
        if told.lines >= LINES {
            return false;
        }
        told.lines += 1;
        (told.fault, told.stands) = (fault, true);
        true
    }

    /// Those of the keys whose quarantine the log knows of.
    fn accepted(&mut self, keys: &[String]) -> Vec<String> {
        let mut known = |key: &&String| {
            self.told.get_mut(*key).is_some_and(|told| std::mem::replace(&mut told.stands, false))
        };
        keys.iter().filter(|key| known(key)).cloned().collect()
    }
}

/// What is known of a key by which it is told once.
fn doubted(key: &Doubtful) -> String {
    format!("serves, but {}", key.fault)
}

/// The first few names, as they can be written in one line, and how many there are beyond them.
pub(super) fn some(names: &[String]) -> String {
    let (named, rest) = names.split_at(names.len().min(NAMED));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    let named: Vec<String> = named.iter().map(|name| format!("{name:?}")).collect();
    named.join(", ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Fault;

    fn rejected(key: &str, message: &str) -> Rejected {
        Rejected { key: key.into(), message: message.into(), pointer: String::new(), last_good: false }
    }

    #[test]
    fn one_bad_value_that_is_written_a_thousand_times_is_one_line() {
        let (mut told, now) = (Rejections::default(), Instant::now());
        let written: Vec<Rejected> = (0..100).map(|_| rejected("rules/a", "no JSON")).collect();
        let lines: usize = (0..9).map(|_| told.news(&written, now).len()).sum();
        assert_eq!(lines, 1);
        // Another fault is another line, and another key as well.
        assert_eq!(
            told.news(&[rejected("rules/a", "no init"), rejected("rules/b", "no JSON")], now).len(),
            2
        );
    }

    #[test]
    fn a_key_that_is_broken_in_a_new_way_each_time_is_a_few_lines_a_minute() {
        let (mut told, now) = (Rejections::default(), Instant::now());
        let mut lines = |from: Instant| {
            (0..900).map(|n| told.news(&[rejected("rules/a", &n.to_string())], from).len()).sum::<usize>()
        };
        assert_eq!(lines(now), LINES as usize);
        assert_eq!(lines(now + SPELL), LINES as usize);
    }

    #[test]
    fn a_key_that_is_good_and_bad_in_turn_is_a_few_lines_a_minute() {
        let (mut told, now) = (Rejections::default(), Instant::now());
        let (mut bad, mut good) = (0, 0);
        for _ in 0..450 {
            bad += told.news(&[rejected("rules/a", "no JSON")], now).len();
            good += told.accepted(&["rules/a".to_owned()]).len();
        }
        assert_eq!((bad, good), (LINES as usize, LINES as usize));
    }

    #[test]
    fn a_key_that_serves_with_a_slip_in_it_is_told_once_for_each_slip() {
        let (mut told, now) = (Rejections::default(), Instant::now());
        let doubtful = |pointer: &str| Doubtful {
            key: "rules/a".to_owned(),
            fault: Fault::new(pointer, "is no argument"),
            more: 0,
        };
        let news = |told: &mut Rejections, pointer: &str| {
            let doubtful = doubtful(pointer);
            told.is_news(&doubtful.key, doubted(&doubtful), now)
        };
        assert!(news(&mut told, "/x") && !news(&mut told, "/x") && news(&mut told, "/y"));
        assert!(told.accepted(&["rules/b".to_owned()]).is_empty());
    }

    #[test]
    fn the_memory_for_it_is_bounded() {
        let (mut told, now) = (Rejections::default(), Instant::now());
        let many =
            |from: usize| (from..from + KEYS).map(|n| rejected(&n.to_string(), "x")).collect::<Vec<_>>();
        assert_eq!(told.news(&many(0), now).len(), KEYS);
        assert_eq!(told.news(&many(KEYS), now).len(), 0);
        let names: Vec<String> = (0..KEYS).map(|n| n.to_string()).collect();
        assert_eq!(told.accepted(&names).len(), KEYS);
        assert_eq!(told.news(&many(KEYS), now + SPELL).len(), KEYS);
        assert_eq!(told.told.len(), KEYS);
    }

    #[test]
    fn the_log_names_a_few_and_counts_the_rest() {
        let names: Vec<String> = (0..NAMED + 2).map(|n| n.to_string()).collect();
        assert!(some(&names).ends_with("\"19\" and 2 more"));
        assert_eq!(some(&["a\nWARN b".to_owned()]), r#""a\nWARN b""#, "a name cannot forge a line");
    }
}
