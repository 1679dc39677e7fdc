//! Rule type `limit`: has whoever asks asked less often than he may?
//!
//! It owns the reading of a rate and of what is counted, never the counting. Next: [`rates`](crate::model::rates) counts,
//! [`route`](crate::model::route()) refuses where no rule follows on no.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::args::{Args, Arguments};
use super::contract::{Ask, Kind};
use crate::model::options::balancing::HashKey;
use crate::model::options::values::Given;
use crate::model::rates::{Rate, Rates};
use crate::model::recorder::Look;
use crate::model::scratch::Scratch;
use crate::semantics::RequestView;

/// Highest rate, in requests a second: beyond it a limit limits nothing.
const FASTEST: u64 = 1_000_000;
/// Most requests that may come at once.
const BURST: u64 = 1_000_000;
/// A second.
const NANOS: u64 = 1_000_000_000;

/// A bound on how often requests come, for each value of a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Limit(Box<Bound>);

#[derive(Debug, Clone)]
struct Bound {
    rate: Rate,
    key: HashKey,
    status: u16,
    /// Tells it from other limits of the same domain: where it stands in the rule set.
    place: Box<str>,
    rates: Arc<Rates>,
}

/// Where it is counted is no part of what it is.
impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        (self.rate, &self.key, self.status, &self.place)
            == (other.rate, &other.key, other.status, &other.place)
    }
}

impl Eq for Bound {}

impl Hash for Bound {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.rate, self.status, &self.place).hash(state);
    }
}

impl Limit {
    /// What a request is answered with that may not go on.
    pub(crate) fn status(&self) -> u16 {
        self.0.status
    }
}

impl Kind for Limit {
    const ARGUMENTS: Arguments = Arguments::only(&["rate", "burst", "key", "status", "succ", "fail"]);

    fn read(args: &mut Args<'_>) -> Option<Limit> {
        args.branches();
        let (rate, burst) = (rate(args), args.number("burst", 0, BURST, 0));
        let (key, status) = (key(args), args.number("status", 400, 599, 429));
        let rate = Rate { interval: rate?, burst: burst? as u32 };
        let (place, rates) = (args.at.as_str().into(), args.parts.rates());
        Some(Limit(Box::new(Bound { rate, key: key?, status: status? as u16, place, rates })))
    }
}

impl Ask for Limit {
    /// Where nobody says when it is, nothing is counted and all may go on.
    fn answer(&self, request: &RequestView<'_>, _draw: u64, scratch: &mut Scratch) -> usize {
        let Some(now) = scratch.rating.now else { return 1 };
        let bound = &*self.0;
        let key = bound.rates.hash(|hasher| {
            (scratch.rating.domain, &bound.place).hash(hasher);
            bound.key.feed(request, hasher);
        });
        match bound.rates.take(key, bound.rate, now, scratch.rating.looks) {
            Ok(()) => 1,
            Err(wait) => {
                scratch.rating.wait = wait;
                0
            }
        }
    }

    fn look(&self, request: &RequestView<'_>, _scratch: &mut Scratch) -> Look {
        let Bound { key, rate, .. } = &*self.0;
        let test = format!("one each {:?}, {} at once", Duration::from_nanos(rate.interval), rate.burst);
        Look::new(key.to_string(), key.value(request).as_deref(), test)
    }
}

/// `100r/s` or `30r/m`, as nginx writes it.
fn rate(args: &mut Args<'_>) -> Option<u64> {
    let text = args.text("rate")?;
    let span = |unit| match unit {
        "r/s" => Some(1),
        "r/m" => Some(60),
        _ => None,
    };
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let read = number
        .parse::<u64>()
        .ok()
        .zip(span(unit))
        .filter(|(number, span)| *number > 0 && number.div_ceil(*span) <= FASTEST);
    match read {
        Some((number, span)) => Some(span * NANOS / number),
        None => args.fault(
            "rate",
            format!(
                "must be a number of requests from 1 to {FASTEST} a second or minute, as 100r/s or 30r/m"
            ),
        ),
    }
}

fn key(args: &mut Args<'_>) -> Option<HashKey> {
    let text = match args.given.get("key") {
        None => return Some(HashKey::Client),
        Some(Value::String(text)) => text.clone(),
        Some(_) => return args.fault("key", format!("must be one of {}", HashKey::WORDS.join(", "))),
    };
    match HashKey::read(Given { text: &text, value: &text }) {
        Ok(key) => Some(key),
        Err(message) => args.fault("key", message),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::model::rule::kind::testing::read;
    use crate::model::rule::kind::{Rule, RuleRead};
    use crate::semantics::Sketch;
    use serde_json::{Value, json};

    fn limit(args: Value) -> Rule {
        match read("limit", args).unwrap() {
            RuleRead::Ask(rule) => rule,
            RuleRead::End(end) => panic!("{end:?}"),
        }
    }

    /// How many of ten such requests go on, all in the same moment.
    fn pass(rule: &Rule, sketch: &Sketch, domain: u32) -> usize {
        let mut scratch = Scratch::new();
        (0..10)
            .map(|_| {
                scratch.begin();
                scratch.rating.at(Some(Instant::now()), false);
                scratch.rating.domain = domain;
                rule.answer(&sketch.view(), 0, &mut scratch)
            })
            .sum()
    }

    #[test]
    fn each_value_of_the_key_and_each_domain_has_its_own() {
        let client = |address: &str| Sketch::new("h", "/").client(address);
        let rule = limit(json!({"rate": "1r/m", "burst": 2}));
        assert_eq!(pass(&rule, &client("192.0.2.1"), 0), 3);
        assert_eq!(pass(&rule, &client("192.0.2.1"), 0), 0);
        assert_eq!(pass(&rule, &client("192.0.2.2"), 0), 3);
        assert_eq!(pass(&rule, &client("192.0.2.1"), 1), 3);
        let rule = limit(json!({"rate": "1r/m", "burst": 2, "key": "query:k"}));
        let query = |query: &str| Sketch::new("h", "/").query(query);
        assert_eq!(pass(&rule, &query("k=a+b"), 2), 3);
        for spelling in ["k=a%20b", "%6b=a+b", "x&k=%61%20%62&k=c"] {
            assert_eq!(pass(&rule, &query(spelling), 2), 0, "{spelling} is k=a+b, however it is written");
        }
        let rule = limit(json!({"rate": "1r/s", "key": "header:X-Api-Key"}));
        assert_eq!(pass(&rule, &Sketch::new("h", "/").field("x-api-key", "a"), 0), 1);
        assert_eq!(pass(&rule, &Sketch::new("h", "/").field("x-api-key", "b"), 0), 1);
        assert_eq!(pass(&rule, &client("192.0.2.1"), 0), 1);
        assert_eq!(pass(&rule, &client("192.0.2.2"), 0), 0, "without the field all are one");
    }

    #[test]
    fn who_says_not_when_it_is_counts_nothing() {
        let rule = limit(json!({"rate": "1r/m"}));
        let (sketch, mut scratch) = (Sketch::new("h", "/"), Scratch::new());
        assert!((0..10).all(|_| rule.answer(&sketch.view(), 0, &mut scratch) == 1));
        scratch.rating.at(Some(Instant::now()), true);
        assert!((0..10).all(|_| rule.answer(&sketch.view(), 0, &mut scratch) == 1), "to look takes nothing");
    }

    #[test]
    fn faults_are_told_at_their_place() {
        for (args, place, message) in [
            (json!({}), "/args", "has no rate"),
            (json!({"rate": 5}), "/args/rate", "must be a string"),
            (json!({"rate": "0r/s"}), "/args/rate", "must be a number of requests"),
            (json!({"rate": "1000001r/s"}), "/args/rate", "must be a number of requests"),
            (json!({"rate": "5"}), "/args/rate", "must be a number of requests"),
            (json!({"rate": "5r/h"}), "/args/rate", "must be a number of requests"),
            (json!({"rate": "5r/s", "burst": -1}), "/args/burst", "must be a whole number from 0 to"),
            (json!({"rate": "5r/s", "status": 200}), "/args/status", "must be a whole number from 400 to"),
            (json!({"rate": "5r/s", "key": "clent"}), "/args/key", "clent: there is no such key"),
            (json!({"rate": "5r/s", "key": 7}), "/args/key", "must be one of client"),
        ] {
            let fault = read("limit", args.clone()).unwrap_err().remove(0);
            assert_eq!(fault.pointer, place, "{args}");
            assert!(fault.message.starts_with(message), "{fault}");
        }
    }

    #[test]
    fn a_rate_is_an_interval() {
        for (rate, interval) in [("100r/s", 10_000_000), ("30r/m", 2_000_000_000), ("1000000r/s", 1_000)] {
            let rule = limit(json!({"rate": rate}));
            assert!(matches!(rule, Rule::Limit(limit) if limit.0.rate.interval == interval), "{rate}");
        }
    }
}
