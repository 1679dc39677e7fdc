//! `kill -9` in the midst of dumps and rollbacks: what starts next serves of each key what was there before or what was asked for.
//!
//! `ELB_KILLS` is how often, `ELB_CHAOS_SEED` the seed.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::support::chance::Chance;
use crate::support::elb::Launch;
use crate::support::etcdctl::etcd;
use crate::support::numbered::{PREFIX, numbered, served};

/// How often by itself; a hundred take two minutes.
const KILLS: usize = 12;
/// More than fit one transaction of etcd.
const DOMAINS: usize = 400;
const SERVERS: usize = 30;
/// The latest moment, in milliseconds: by then most of what was asked is done.
const LATEST: usize = 150;

fn document(value: u64) -> Value {
    let domains: Map<String, Value> =
        (0..DOMAINS).map(|nth| (format!("d{nth}.test"), numbered(value))).collect();
    let servers: Map<String, Value> =
        (0..SERVERS).map(|nth| (format!("10.0.0.{nth}:80"), json!(format!("max_fails={value}")))).collect();
    json!({"domains": domains, "upstreams": {"up": servers}})
}

fn variable(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn whenever_it_is_killed_each_key_is_what_it_was_or_what_was_asked_for() {
    let (etcd, folder) = (etcd(), tempfile::tempdir().expect("a folder"));
    let flag = format!("--state-file={}", folder.path().join("state.json").display());
    let start = || Launch::storing(&etcd).flag(&flag).start();
    let mut chance = Chance::new(variable("ELB_CHAOS_SEED", 1) as u64);
    let mut elb = start();
    elb.admin().put("config?dump=1", &document(1));
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for round in 0..variable("ELB_KILLS", KILLS) {
        let before = served(&elb);
        let version: u64 = elb.admin().get("status")["configuration"]["version"].as_u64().expect("a number");
        let value = round as u64 + 2;
        let (method, word, body) = match chance.below(3) {
            0 => ("PUT", "config?dump=1&confirm=1", document(value)),
            1 => {
                elb.admin().put("config", &document(value));
                ("PUT", "dump", Value::Null)
            }
            _ => {
                elb.admin().put("config?dump=1", &document(value));
                ("POST", "rollback?dump=1&confirm=1", json!({"to": version}))
            }
        };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let admin = elb.admin();
        let asked = format!(
            "{method} /__erulb__/{word} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut client = admin.client();
        client.send(asked);
        thread::sleep(Duration::from_millis(chance.below(LATEST) as u64));
        elb.signal("KILL");
        elb.exit();
        elb = start();
        let after = served(&elb);
        assert_eq!(after.len(), DOMAINS + SERVERS, "round {round}, {word}: nothing is missing");
        let (mut old, mut new) = (0, 0);
        for (key, is) in &after {
            let was = before[key];
            assert!(
                [was, value].contains(is),
                "round {round}, {word}: {key} is {is}, was {was}, may be {value}"
            );
            old += usize::from(*is == was);
            new += usize::from(*is == value);
        }
        let kind = if old == 0 {
            "all new"
        } else if new == 0 {
            "all old"
        } else {
            "some of both"
        };
        *kinds.entry(kind).or_default() += 1;
        assert!(after.keys().all(|key| key.starts_with(PREFIX)));
        // The file beside the state file is whole, whatever the moment was.
        let history = elb.admin().get("history");
        assert!(history["versions"].as_array().is_some_and(|versions| !versions.is_empty()), "round {round}");
    }
    println!("{kinds:?}");
}
