//! Rule type `split`: so many of a hundred go there, the others elsewhere.
//!
//! It owns who goes where. What a key says is hashed by SipHash-2-4 with a key of zeros, over the salt, a zero byte and the value,
//! so that every ELB of every build sends the same client the same way; the hash, as a part of its range, falls into the part
//! of one arm, in the order in which they are given. Next: [`HashKey`] for keys.

use std::hash::Hasher;

use serde_json::Value;
use siphasher::sip::SipHasher24;

use super::args::{Args, Arguments, Link};
use super::contract::{Ask, Kind};
use crate::model::HashKey;
use crate::model::options::values::Given;
use crate::model::recorder::Look;
use crate::model::scratch::Scratch;
use crate::semantics::RequestView;

/// Highest weight of an arm.
const WEIGHT: u64 = 1_000_000;
/// Longest salt.
const SALT: usize = 255;
/// What a key may be; without one, chance decides.
const KEYS: [&str; 4] = ["random", "client", "cookie:NAME", "header:NAME"];

/// Arms with weights.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Split(Box<Arms>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Arms {
    /// Where each arm's part ends, in weights.
    ends: Box<[u64]>,
    key: Option<HashKey>,
    salt: Box<str>,
}

impl Kind for Split {
    const ARGUMENTS: Arguments = Arguments::only(&["arms", "key", "salt"]);

    fn read(args: &mut Args<'_>) -> Option<Split> {
        let (key, salt) = (key(args), salt(args));
        let given = args.list("arms", Link::MOST)?;
        let (mut ends, mut sum, mut sound) = (Vec::with_capacity(given.len()), 0, true);
        for (at, arm) in given.iter().enumerate() {
            let weight = match arm.get("weight").map(Value::as_u64) {
                Some(Some(weight)) if weight <= WEIGHT => weight,
                _ => {
                    sound = false;
                    args.fault_at("arms", at, format!("must have a weight from 0 to {WEIGHT}"));
                    0
                }
            };
            sum += weight;
            ends.push(sum);
            match arm.get("rule").and_then(Value::as_str) {
                Some(rule) => args.link_to(format!("/arms/{at}/rule"), rule),
                None => {
                    sound = false;
                    args.fault_at("arms", at, "must have the rule that follows");
                }
            }
            let unknown = arm
                .as_object()
                .and_then(|arm| arm.keys().find(|name| !["rule", "weight"].contains(&name.as_str())));
            if let Some(name) = unknown {
                sound = false;
                args.fault_at("arms", at, format!("has {name}, and can have rule and weight only"));
            }
        }
        if sound && sum == 0 {
            return args.fault("arms", "have no weight: one must have more than 0");
        }
        let (key, salt) = (key?, salt?);
        sound.then(|| Split(Box::new(Arms { ends: ends.into(), key, salt })))
    }
}

/// The key, where there is one; `Some(None)` is chance.
fn key(args: &mut Args<'_>) -> Option<Option<HashKey>> {
    let text = match args.given.get("key") {
        None => return Some(None),
        Some(Value::String(text)) if text == "random" => return Some(None),
        Some(Value::String(text)) => text.clone(),
        Some(_) => return args.fault("key", format!("must be one of {}", KEYS.join(", "))),
    };
    match HashKey::read(Given { text: &text, value: &text }) {
        Ok(key @ (HashKey::Client | HashKey::Cookie(_) | HashKey::Header(_))) => Some(Some(key)),
        Ok(_) => args.fault("key", format!("must be one of {}", KEYS.join(", "))),
        Err(message) => args.fault("key", message),
    }
}

/// What tells this split from others: where it stands in its rule set, unless it is said.
fn salt(args: &mut Args<'_>) -> Option<Box<str>> {
    match args.given.get("salt") {
        None => Some(args.at.as_str().into()),
        Some(Value::String(salt)) if salt.len() <= SALT => Some(salt.as_str().into()),
        Some(_) => args.fault("salt", format!("must be a string of {SALT} bytes at most")),
    }
}

impl Arms {
    /// The place of a request in the range of all hashes. One without what the key asks for goes by chance; so two splits on its
    /// way are not decided by the same chance, the salt goes with it.
    fn place(&self, request: &RequestView<'_>, draw: u64) -> u64 {
        let mut hasher = SipHasher24::new();
        hasher.write(self.salt.as_bytes());
        hasher.write_u8(0);
        match self.key.as_ref().filter(|key| key.is_there(request)) {
            Some(key) => key.feed(request, &mut hasher),
            None => hasher.write(&draw.to_le_bytes()),
        }
        hasher.finish()
    }
}

impl Ask for Split {
    fn answer(&self, request: &RequestView<'_>, draw: u64, _scratch: &mut Scratch) -> usize {
        let Arms { ends, .. } = &*self.0;
        let total = ends.last().copied().unwrap_or_default();
        let place = ((u128::from(self.0.place(request, draw)) * u128::from(total)) >> 64) as u64;
        ends.iter().position(|end| place < *end).unwrap_or_default()
    }

    fn look(&self, request: &RequestView<'_>, _scratch: &mut Scratch) -> Look {
        let Arms { ends, key, .. } = &*self.0;
        let mut before = 0;
        let weights: Vec<String> =
            ends.iter().map(|end| (end - std::mem::replace(&mut before, *end)).to_string()).collect();
        let value = key.as_ref().filter(|key| key.is_there(request)).and_then(|key| key.value(request));
        let what = key.as_ref().map_or_else(|| "chance".to_owned(), ToString::to_string);
        Look::new(what, value.as_deref(), weights.join(" : "))
    }

    fn branch(&self, successor: usize) -> String {
        format!("arm {successor}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule::kind::testing::read;
    use crate::model::rule::kind::{Rule, RuleRead};
    use crate::semantics::Sketch;
    use serde_json::json;

    fn split(args: Value) -> Rule {
        match read("split", args).unwrap() {
            RuleRead::Ask(rule) => rule,
            RuleRead::End(end) => panic!("{end:?}"),
        }
    }

    fn two(first: u64, second: u64, key: &str) -> Rule {
        let arms = json!([{"rule": "a", "weight": first}, {"rule": "b", "weight": second}]);
        split(json!({"arms": arms, "key": key, "salt": "s"}))
    }

    /// The arms of 100,000 clients.
    fn arms(rule: &Rule) -> Vec<usize> {
        let mut scratch = Scratch::new();
        let client =
            |n: u32| Sketch::new("h", "/").client(std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string());
        (0..100_000).map(|n| rule.answer(&client(n).view(), u64::from(n), &mut scratch)).collect()
    }

    #[test]
    fn shares_are_the_weights_and_a_changed_weight_moves_who_must() {
        let before = arms(&two(95, 5, "client"));
        let share = before.iter().filter(|arm| **arm == 1).count() as f64 / 1000.0;
        assert!((share - 5.0).abs() < 0.3, "{share} %");
        assert_eq!(before, arms(&two(95, 5, "client")), "read again it is the same");
        let after = arms(&two(90, 10, "client"));
        let moved =
            before.iter().zip(&after).filter(|(before, after)| before != after).count() as f64 / 1000.0;
        assert!((moved - 5.0).abs() < 0.3, "{moved} %");
        assert!(
            before.iter().zip(&after).all(|(before, after)| before <= after),
            "to the smaller arm, and to no other"
        );
        let by_chance = arms(&two(95, 5, "random"));
        let share = by_chance.iter().filter(|arm| **arm == 1).count() as f64 / 1000.0;
        assert!((share - 5.0).abs() < 0.3, "{share} %");
        assert!(arms(&two(0, 1, "client")).iter().all(|arm| *arm == 1));
    }

    #[test]
    fn the_same_client_goes_the_same_way_on_every_machine_and_in_every_build() {
        let arms: Vec<Value> = ["a", "b", "c"].map(|rule| json!({"rule": rule, "weight": 1})).into();
        let rule = split(json!({"arms": arms, "key": "cookie:id", "salt": "canary"}));
        let found: Vec<usize> = (0..12)
            .map(|n| {
                let sketch = Sketch::new("h", "/").field("Cookie", format!("id=user{n}"));
                rule.answer(&sketch.view(), 0, &mut Scratch::new())
            })
            .collect();
        assert_eq!(found, KNOWN);
    }

    /// What clients of today have: it may never change.
    const KNOWN: [usize; 12] = [2, 2, 2, 2, 1, 1, 1, 2, 0, 1, 0, 0];

    #[test]
    fn who_has_no_key_goes_by_chance() {
        let rule = two(1, 1, "header:X-User");
        let mut scratch = Scratch::new();
        let mut arm = |sketch: &Sketch, draw: u64| rule.answer(&sketch.view(), draw, &mut scratch);
        let (none, some) = (Sketch::new("h", "/"), Sketch::new("h", "/").field("x-user", "me"));
        let by_chance: usize = (0..1000).map(|draw| arm(&none, draw)).sum();
        assert!((400..600).contains(&by_chance), "{by_chance}");
        assert_eq!((0..100).map(|draw| arm(&some, draw)).sum::<usize>() % 100, 0, "always the same");
    }

    #[test]
    fn faults_are_told_at_their_place() {
        let arm = |rule: &str, weight: Value| json!({"rule": rule, "weight": weight});
        for (args, fault) in [
            (json!({}), "/args: has no arms"),
            (json!({"arms": []}), "/args/arms: must be a list of 1 to 32"),
            (json!({"arms": [arm("a", json!(0))]}), "/args/arms: have no weight"),
            (json!({"arms": [arm("a", json!(-1))]}), "/args/arms/0: must have a weight from 0 to 1000000"),
            (
                json!({"arms": [arm("a", json!(1)), {"weight": 1}]}),
                "/args/arms/1: must have the rule that follows",
            ),
            (json!({"arms": [{"rule": "a", "weight": 1, "x": 1}]}), "/args/arms/0: has x, and can have"),
            (
                json!({"arms": [arm("a", json!(1))], "key": "path"}),
                "/args/key: must be one of random, client",
            ),
            (json!({"arms": [arm("a", json!(1))], "key": "x"}), "/args/key: x: there is no such key"),
            (json!({"arms": [arm("a", json!(1))], "salt": 1}), "/args/salt: must be a string"),
        ] {
            let told = read("split", args).unwrap_err()[0].to_string();
            assert!(told.starts_with(fault), "{told}");
        }
    }
}
