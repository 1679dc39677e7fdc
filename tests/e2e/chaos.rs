//! Chaos: eight writers on two ELBs and one etcd, which is killed, stopped, compacted and wiped meanwhile, with rollbacks and dumps in
//! between; and a model of what each key may be.
//!
//! Each key has one owner, and each value is a number that is used once. What an owner was told is certain is the only value that the key may
//! have; what became of nobody knows what may be any of what was tried since. At each quiet point both ELBs and etcd hold the same, and
//! it is one that the model allows: so nothing is lost that was answered 200, nothing that was replaced comes back, and nobody's write is
//! undone by another's. `ELB_CHAOS_SEED` is the seed, `ELB_TEST_SECONDS` how long it lasts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::admin::Admin;
use crate::support::chance::Chance;
use crate::support::elb::{Elb, Launch};
use crate::support::etcd::Etcd;
use crate::support::etcdctl::etcd;
use crate::support::numbered::{Client, PREFIX, by_hand, numbered, served};
use crate::support::wait;

/// How long it lasts by itself.
const CHAOS: Duration = Duration::from_secs(30);
/// Clients of each ELB, and writers of etcd.
const CLIENTS: usize = 3;
const OTHERS: usize = 2;
/// Domains of each owner, and servers of its upstream.
const DOMAINS: usize = 3;
const SERVERS: usize = 3;
/// How long the writers write between two quiet points, in milliseconds.
const ROUND: (usize, usize) = (300, 1_200);
/// The longest pause between two writes of one writer, in milliseconds.
const PAUSE: usize = 25;

/// What a key may be: one of these. Nothing is that it is not there.
type Model = BTreeMap<String, Vec<Option<u64>>>;

/// What somebody owns, and what that may be.
struct Owner {
    name: String,
    model: Model,
}

impl Owner {
    fn new(name: &str) -> Owner {
        let name = name.to_owned();
        let domains = (0..DOMAINS).map(|nth| format!("{PREFIX}rules/{}", domain(&name, nth)));
        let servers = (0..SERVERS).map(|nth| format!("{PREFIX}upstreams/{name}/{}", server(nth)));
        let model = domains.chain(servers).map(|key| (key, vec![None])).collect();
        Owner { name, model }
    }

    /// Some keys are meant to be something else; `is_certain` once that was answered.
    fn wrote(&mut self, writes: &[(String, Option<u64>)], is_certain: bool) {
        for (key, value) in writes {
            let may_be = self.model.get_mut(key).expect("a key of its own");
            if is_certain {
                may_be.clear();
            }
            may_be.push(*value);
        }
    }
}

fn domain(owner: &str, nth: usize) -> String {
    format!("d{nth}.{owner}.test")
}

fn server(nth: usize) -> String {
    format!("10.0.0.{}:80", nth + 1)
}

/// A number that nobody had before.
fn fresh(numbers: &AtomicU64) -> u64 {
    numbers.fetch_add(1, Ordering::SeqCst) + 1
}

/// One change by a client of an ELB, stored at once, later, or by a call of its own.
fn change(admin: &Admin, owner: &mut Owner, numbers: &AtomicU64, chance: &mut Chance) {
    let nth = chance.below(DOMAINS);
    let name = domain(&owner.name, nth);
    let rule_key = format!("{PREFIX}rules/{name}");
    let upstream = owner.name.clone();
    let server_key = |nth: usize| format!("{PREFIX}upstreams/{upstream}/{}", server(nth));
    let dump = if chance.one_in(4) { "" } else { "?dump=1" };
    let mut writes = Vec::new();
    let answer = match chance.below(8) {
        0 | 1 => {
            let value = fresh(numbers);
            writes.push((rule_key, Some(value)));
            admin.call("PUT", &format!("domain{dump}"), Some(&json!({name: numbered(value)}).to_string()))
        }
        2 => {
            let value = fresh(numbers);
            writes.push((rule_key, Some(value)));
            admin.call("PUT", &format!("domain/{name}{dump}"), Some(&numbered(value).to_string()))
        }
        3 => {
            writes.push((rule_key, None));
            admin.call("DELETE", &format!("domain{dump}"), Some(&json!([name]).to_string()))
        }
        4 => {
            writes.extend((0..SERVERS).map(|nth| (server_key(nth), None)));
            admin.call("DELETE", &format!("upstream{dump}"), Some(&json!([upstream]).to_string()))
        }
        5 => {
            // A domain and an upstream in one step.
            let (value, parameter) = (fresh(numbers), fresh(numbers));
            writes.extend([(rule_key, Some(value)), (server_key(0), Some(parameter))]);
            let servers = json!({server(0): format!("max_fails={parameter}")});
            let body = json!({"domains": {name: numbered(value)}, "upstreams": {(&upstream): servers}});
            admin.call("PATCH", &format!("config{dump}"), Some(&body.to_string()))
        }
        6 => {
            let value = fresh(numbers);
            writes.push((server_key(1), Some(value)));
            let body = Value::from(format!("max_fails={value}")).to_string();
            admin.call("PUT", &format!("upstream/{upstream}/{}{dump}", server(1)), Some(&body))
        }
        _ => {
            let mut servers = serde_json::Map::new();
            for nth in 0..SERVERS {
                let value = (nth == 0 || chance.one_in(2)).then(|| fresh(numbers));
                servers.extend(value.map(|value| (server(nth), json!(format!("max_fails={value}")))));
                writes.push((server_key(nth), value));
            }
            admin.call("PUT", &format!("upstream{dump}"), Some(&json!({(&upstream): servers}).to_string()))
        }
    };
    let status = answer.status();
    assert!([200, 409, 503, 504].contains(&status), "{writes:?}: {status} {}", answer.text());
    owner.wrote(&writes, status == 200 && !dump.is_empty());
}

/// One transaction by somebody who writes etcd.
fn write(client: &mut Client, owner: &mut Owner, numbers: &AtomicU64, chance: &mut Chance) {
    let keys: Vec<String> = owner.model.keys().cloned().collect();
    let count = chance.between(1, 3);
    let mut writes: Vec<_> = (0..count)
        .map(|_| {
            let key = keys[chance.below(keys.len())].clone();
            (key, (!chance.one_in(4)).then(|| fresh(numbers)))
        })
        .collect();
    writes.sort();
    writes.dedup_by(|one, other| one.0 == other.0);
    let done = client.try_write(Vec::new(), &writes, by_hand);
    owner.wrote(&writes, done.is_ok());
}

/// What happens to etcd while all write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Nothing,
    Killed,
    Stopped,
    Compacted,
    /// A client takes everything back to the last quiet point, so nobody can be sure of anything since.
    TakenBack,
}

fn befall(trouble: Trouble, etcd: &mut Etcd, elb: &Elb, digest: &str, chance: &mut Chance) {
    match trouble {
        Trouble::Nothing => {}
        Trouble::Killed => {
            etcd.stop();
            thread::sleep(Duration::from_millis(chance.below(300) as u64));
            etcd.restart();
        }
        Trouble::Stopped => {
            etcd.pause();
            thread::sleep(Duration::from_millis(chance.below(1_500) as u64));
            etcd.resume();
        }
        Trouble::Compacted => {
            let revision = Client::to(etcd).revision().to_string();
            etcd.ctl(&["compact", &revision]);
        }
        Trouble::TakenBack => {
            let body = json!({"to": digest}).to_string();
            let answer = elb.admin().call("POST", "rollback?confirm=1&dump=1", Some(&body));
            // The changes since may be more than are remembered.
            assert!([200, 404, 409, 503, 504].contains(&answer.status()), "{}", answer.text());
        }
    }
}

/// One write of an owner.
type Act<'a> = Box<dyn FnMut(&mut Owner, &mut Chance) + Send + 'a>;

/// Lets all write for a while, with some trouble in the midst of it.
fn storm(
    (etcd, elbs): (&mut Etcd, &[Elb; 2]),
    owners: &mut [Owner],
    numbers: &AtomicU64,
    digest: &str,
    chance: &mut Chance,
) -> Trouble {
    let troubles =
        [Trouble::Nothing, Trouble::Killed, Trouble::Stopped, Trouble::Compacted, Trouble::TakenBack];
    let trouble = chance.pick(&troubles);
    let before: Vec<Model> = owners.iter().map(|owner| owner.model.clone()).collect();
    let mut clients: Vec<Client> = (0..OTHERS).map(|_| Client::to(etcd)).collect();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut others = clients.iter_mut();
        for (nth, owner) in owners.iter_mut().enumerate() {
            let mut chance = Chance::new(chance.below(usize::MAX >> 1) as u64);
            let is_over = &is_over;
            let mut act: Act<'_> = match elbs.get(nth / CLIENTS) {
                Some(elb) => {
                    let admin = elb.admin();
                    Box::new(move |owner, chance| change(&admin, owner, numbers, chance))
                }
                None => {
                    let client = others.next().expect("one for each");
                    Box::new(move |owner, chance| write(client, owner, numbers, chance))
                }
            };
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    act(owner, &mut chance);
                    thread::sleep(Duration::from_millis(chance.below(PAUSE) as u64));
                }
            });
        }
        let half = Duration::from_millis(chance.between(ROUND.0, ROUND.1) as u64 / 2);
        thread::sleep(half);
        befall(trouble, etcd, &elbs[chance.below(2)], digest, chance);
        thread::sleep(half);
        is_over.store(true, Ordering::Relaxed);
    });
    if trouble == Trouble::TakenBack {
        for (owner, before) in owners.iter_mut().zip(before) {
            for (key, may_be) in &mut owner.model {
                let was = &before[key];
                may_be.extend(was);
            }
        }
    }
    trouble
}

/// What etcd holds of the model's keys.
fn stored(etcd: &Etcd) -> BTreeMap<String, u64> {
    let mut client = Client::to(etcd);
    let mut held = client.numbers(&format!("{PREFIX}rules/"));
    held.extend(client.numbers(&format!("{PREFIX}upstreams/")));
    held
}

/// Waits until nothing is unsaved and all hold the same; then that is what the model allows, and all that it allows from now on.
fn quiet(etcd: &Etcd, elbs: &[Elb; 2], owners: &mut [Owner], what: &str) -> String {
    for elb in elbs {
        wait::until(&format!("a dump after {what}"), || {
            let answer = elb.admin().call("PUT", "dump", Some(""));
            (answer.status() == 200 && answer.head.get("X-ELB-Unsaved") == Some("0")).then_some(())
        });
    }
    let held = stored(etcd);
    for elb in elbs {
        wait::until(&format!("an ELB that serves what etcd holds after {what}"), || {
            (served(elb) == held).then_some(())
        });
    }
    for owner in owners {
        for (key, may_be) in &mut owner.model {
            let is = held.get(key).copied();
            assert!(may_be.contains(&is), "after {what}: {key} is {is:?} and may be {may_be:?}");
            *may_be = vec![is];
        }
    }
    let digests = elbs.each_ref().map(|elb| {
        let status = elb.admin().get("status");
        status["configuration"]["digest"].as_str().expect("a digest").to_owned()
    });
    assert_eq!(digests[0], digests[1], "after {what}");
    digests[0].clone()
}

/// etcd loses everything: both ELBs go on as before, and one of them writes all of it back.
fn wiped(etcd: &mut Etcd, elbs: &[Elb; 2], writer: usize) {
    let before = served(&elbs[0]);
    let loads = |elb: &Elb| elb.admin().get("status")["store"]["loads"].as_u64().expect("a number");
    let loaded = elbs.each_ref().map(loads);
    etcd.wipe();
    for (elb, loaded) in elbs.iter().zip(loaded) {
        wait::until("the empty etcd to be read", || (loads(elb) > loaded).then_some(()));
        assert_eq!(served(elb), before);
    }
    wait::until("all of it to be written back", || {
        (elbs[writer].admin().call("PUT", "dump", Some("")).status() == 200).then_some(())
    });
}

fn duration() -> Duration {
    let given = std::env::var("ELB_TEST_SECONDS").ok();
    given.map_or(CHAOS, |text| Duration::from_secs(text.parse().expect("ELB_TEST_SECONDS is a number")))
}

#[test]
fn at_each_quiet_point_what_is_served_is_what_was_answered() {
    let mut etcd = etcd();
    let seed =
        std::env::var("ELB_CHAOS_SEED").map_or(1, |text| text.parse().expect("ELB_CHAOS_SEED is a number"));
    let mut chance = Chance::new(seed);
    let elbs = [(); 2].map(|()| Launch::storing(&etcd).start());
    let mut owners: Vec<Owner> =
        (0..2 * CLIENTS + OTHERS).map(|nth| Owner::new(&format!("o{nth}"))).collect();
    let (numbers, begun, end) = (AtomicU64::new(0), Instant::now(), duration());
    let mut digests: Vec<(String, Vec<Model>)> = Vec::new();
    let mut digest = quiet(&etcd, &elbs, &mut owners, "the start");
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    while begun.elapsed() < end {
        let trouble = storm((&mut etcd, &elbs), &mut owners, &numbers, &digest, &mut chance);
        let what = format!("{trouble:?} with seed {seed}");
        digest = quiet(&etcd, &elbs, &mut owners, &what);
        *told.entry(format!("{trouble:?}")).or_default() += 1;
        digests.push((digest.clone(), owners.iter().map(|owner| owner.model.clone()).collect()));
        if chance.one_in(4) {
            wiped(&mut etcd, &elbs, chance.below(2));
            assert_eq!(quiet(&etcd, &elbs, &mut owners, "it was wiped"), digest);
            *told.entry("wiped".to_owned()).or_default() += 1;
        }
        if chance.one_in(3) {
            // A version that is known to be whole is served again, to the letter.
            let (to, models) = digests[chance.below(digests.len())].clone();
            let body = json!({"to": to}).to_string();
            let answer = elbs[chance.below(2)].admin().call("POST", "rollback?confirm=1&dump=1", Some(&body));
            match answer.status() {
                200 => {
                    owners.iter_mut().zip(models).for_each(|(owner, model)| owner.model = model);
                    digest = quiet(&etcd, &elbs, &mut owners, "a rollback");
                    assert_eq!(digest, to);
                    *told.entry("rolled back".to_owned()).or_default() += 1;
                }
                status => assert_eq!(status, 404, "{}", answer.text()),
            }
        }
    }
    println!("seed {seed}: {} values, {told:?}", numbers.load(Ordering::Relaxed));
    assert!(numbers.load(Ordering::Relaxed) > 100, "chaos is more than that");
}
