//! A storm, and after it nothing is left: no connection, no request, no place in a balancer, no buffer, no timer, no
//! descriptor.
//!
//! Valid, aborted, slow and hostile clients meet good, slow, dying and lying servers while the configuration changes.
//! Whoever asked well of good servers got the right answer, nobody ever got a wrong one, and no server saw a request that
//! nobody made. `ELB_STORM_SEED` is the seed, `ELB_TEST_SECONDS` how long it lasts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::admin::Admin;
use crate::support::chance::Chance;
use crate::support::elb::{Elb, Launch};
use crate::support::load;
use crate::support::rules;
use crate::support::server::Server;
use crate::support::wait;

mod clients;
mod servers;

/// How long the storm lasts by itself; the minute is `ELB_TEST_SECONDS=60`.
const SECONDS: u64 = 10;
/// How many there are of each kind of client.
const VALID: usize = 8;
const TUNNELS: usize = 2;
const HOSTILE: usize = 3;
const ABORTED: usize = 4;
const SLOW: usize = 12;
/// What a failing storm shows.
const SHOWN: usize = 10;

/// What a client does until the storm is over.
type Kind = fn(&Storm, SocketAddr, Chance);

/// What went wrong so far, what went well, and whether it is over.
#[derive(Default)]
struct Storm {
    over: AtomicBool,
    /// Right answers that valid clients got.
    right: AtomicU64,
    /// Messages that were refused as they must be.
    refused: AtomicU64,
    /// Connections that clients of each kind opened.
    opened: Mutex<BTreeMap<&'static str, u64>>,
    faults: Mutex<Vec<String>>,
}

impl Storm {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
    }

    /// A client of this kind opens a connection.
    fn opens(&self, kind: &'static str) {
        *self.opened.lock().expect("the numbers").entry(kind).or_default() += 1;
    }

    fn fault(&self, fault: impl Into<String>) {
        self.faults.lock().expect("the faults").push(fault.into());
    }

    fn judge(&self, seed: u64) {
        let faults = self.faults.lock().expect("the faults");
        let shown = faults.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
        assert!(faults.is_empty(), "{} faults; again with ELB_STORM_SEED={seed}:\n{shown}", faults.len());
    }
}

/// The domain that must always be served, the one that may fail, and the one that comes and goes.
const GOOD: &str = "good.test";
const BAD: &str = "bad.test";
const TEMP: &str = "temp.test";

#[test]
fn after_a_storm_nothing_is_left_and_nothing_was_wrong() {
    let seed = std::env::var("ELB_STORM_SEED").ok().map_or(1, |seed| seed.parse().expect("a number"));
    let storm = Arc::new(Storm::default());
    let good: Vec<Server> = (0..3).map(|_| servers::good(&storm)).collect();
    let bad: Vec<Server> = (0..3).map(|number| servers::bad(seed + number)).collect();
    let elb = launch(&good, &bad);
    let calm = elb.descriptors();

    let mut threads = Vec::new();
    let kinds: [(usize, Kind); 5] = [
        (VALID, clients::valid),
        (TUNNELS, clients::tunnels),
        (HOSTILE, clients::hostile),
        (ABORTED, clients::aborted),
        (SLOW, clients::slow),
    ];
    for (kind, (count, client)) in (0..).zip(kinds) {
        for number in 0..count as u64 {
            let (storm, address) = (Arc::clone(&storm), elb.address());
            let chance = Chance::new(seed << 16 | kind << 8 | number);
            threads.push(thread::spawn(move || client(&storm, address, chance)));
        }
    }
    change(&storm, &elb.admin(), &good, &bad, Chance::new(seed));
    storm.over.store(true, Ordering::SeqCst);
    let panicked = threads.into_iter().filter_map(|thread| thread.join().err()).count();
    storm.judge(seed);
    assert_eq!(panicked, 0, "clients panicked; again with ELB_STORM_SEED={seed}");
    let (right, refused) = (storm.right.load(Ordering::SeqCst), storm.refused.load(Ordering::SeqCst));
    let opened = storm.opened.lock().expect("the numbers");
    println!("seed {seed}: {right} right answers, {refused} refusals; connections: {opened:?}");
    assert!(right > 100 && refused > 10, "no storm: {right} right answers, {refused} refusals");
    println!("by reason: {}", nothing_is_left(&elb, calm));
}

/// An ELB with short patience everywhere, so that what hangs is let go within the test.
fn launch(good: &[Server], bad: &[Server]) -> Elb {
    let all = |servers: &[Server]| rules::upstream(&servers.iter().collect::<Vec<_>>(), "max_fails=0");
    let document = json!({
        "domains": {GOOD: rules::to("good"), BAD: rules::to("bad")},
        "upstreams": {"good": all(good), "bad": all(bad)},
    });
    let flags = [
        "--server-keepalive-timeout=1s",
        "--keepalive-timeout=2s",
        "--client-header-timeout=2s",
        "--client-body-timeout=2s",
        "--client-write-timeout=2s",
        "--server-timeout=3s",
        "--tunnel-timeout=2s",
        "--max-body=64k",
    ];
    flags.iter().fold(Launch::serving(&document), |launch, flag| launch.flag(flag)).start()
}

/// Ways to choose a server; what they count is lent, too.
const OPTIONS: &[&str] = &[
    "",
    "method=least_conn",
    "method=ewma",
    "method=hash key=path hash_balance=2",
    "method=random sticky=cookie:s",
];

/// Changes the configuration until the time is over: weights, members and methods of upstreams, ways through the rules, and a
/// domain that comes and goes. All of it is meant: where requests are few, one change may take most of what had them away.
fn change(storm: &Storm, admin: &Admin, good: &[Server], bad: &[Server], mut chance: Chance) {
    let begun = Instant::now();
    while begun.elapsed() < load::seconds_or(SECONDS) && storm.goes_on() {
        let some = |servers: &[Server], chance: &mut Chance| -> Value {
            let first = chance.below(servers.len());
            let count = chance.between(1, servers.len());
            let chosen = (0..count).map(|n| &servers[(first + n) % servers.len()]);
            let parameters =
                chance.pick(&["max_fails=0", "max_fails=0 weight=5", "max_fails=0 max_conns=1000"]);
            let mut servers = rules::upstream(&chosen.collect::<Vec<_>>(), parameters);
            servers["@options"] = chance.pick(OPTIONS).into();
            servers
        };
        match chance.below(6) {
            0 => drop(admin.put("upstream?confirm=1", &json!({"good": some(good, &mut chance)}))),
            1 => drop(admin.put("upstream?confirm=1", &json!({"bad": some(bad, &mut chance)}))),
            2 => drop(admin.put("domain?confirm=1", &json!({GOOD: ways(&mut chance)}))),
            3 => {
                admin.put("upstream?confirm=1", &json!({"temp": some(good, &mut chance)}));
                admin.put("domain?confirm=1", &json!({TEMP: rules::to("temp")}));
            }
            4 => drop(admin.delete("domain?confirm=1", &json!([TEMP]))),
            _ => drop(admin.delete("upstream?confirm=1", &json!(["temp"]))),
        }
        thread::sleep(Duration::from_millis(20)); // The pace of an operator in a hurry.
    }
}

/// One of several rule sets that all lead to the good servers.
fn ways(chance: &mut Chance) -> Value {
    let pattern = chance.pick(&["^/", "^/\\d+/", "never"]);
    json!({"init": "p", "rules": {
        "p": {"type": "path", "args": {"pattern": pattern, "regex": true, "succ": "b", "fail": "b"}},
        "b": {"type": "backend", "args": {"servername": "good"}}}})
}

/// Waits until every worker says that it holds nothing, with numbers that are younger than the storm.
///
/// Gives what was refused, by reason.
fn nothing_is_left(elb: &Elb, calm: usize) -> Value {
    let over = Instant::now();
    let admin = elb.admin();
    let refused = wait::until("all to be given back", || {
        let told = admin.get("workers");
        let fresh = |worker: &Value| {
            Duration::from_millis(worker["age_ms"].as_u64().expect("an age")) < over.elapsed()
        };
        let fresh = told["workers"].as_array().expect("workers").iter().all(fresh);
        let all = &told["all"];
        let names = [
            "clients",
            "exchanges",
            "waiting_for_buffer",
            "window_bytes",
            "server_connections",
            "server_connections_idle",
            "requests_at_servers",
            "timers",
        ];
        (fresh && names.iter().all(|name| all[name] == 0)).then(|| all["refused"].clone())
    });
    wait::until("as few descriptors as before", || (elb.descriptors() <= calm).then_some(()));
    refused
}
