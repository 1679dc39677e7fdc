//! A storm of writers: two ELBs whose clients change and dump, and four others who write the same keys of the same etcd.
//!
//! Every value is a number that is used once, so each event in etcd's own history has one author. At the end that history
//! is held against what everybody was told: nothing that was answered 200 or written by another is lost or undone but by a
//! later write of the same key, and both ELBs serve what etcd holds. `ELB_STORM_SEED` is the seed, `ELB_TEST_SECONDS` how
//! long it lasts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use etcd_client::{Compare, CompareOp, EventType, PutOptions, WatchOptions};
use serde_json::{Value, json};

use crate::support::admin::Admin;
use crate::support::chance::Chance;
use crate::support::elb::Launch;
use crate::support::etcdctl::etcd;
use crate::support::numbered::{Client, PREFIX, by_hand, number, numbered, served};
use crate::support::wait;

/// How long the storm lasts by itself.
const STORM: Duration = Duration::from_secs(20);
/// Domains, and servers of each upstream.
const DOMAINS: usize = 8;
const SERVERS: usize = 4;
/// Clients of each ELB. Each has an upstream and a share of the domains of its own, so that what one of them is answered
/// is not superseded by the other.
const CLIENTS: usize = 2;
/// The longest pause between two writes of an ELB's client, and of another, in milliseconds: the others leave it a chance.
const PAUSE: usize = 12;
const PAUSE_OF_OTHERS: usize = 150;

fn domain(nth: usize) -> String {
    format!("d{nth}.test")
}

fn server(nth: usize) -> String {
    format!("10.0.0.{}:80", nth + 1)
}

fn rule_key(nth: usize) -> String {
    format!("{PREFIX}rules/{}", domain(nth))
}

fn server_key(upstream: usize, nth: usize) -> String {
    format!("{PREFIX}upstreams/u{upstream}/{}", server(nth))
}

/// A wish that was put to an ELB.
#[derive(Debug, Clone)]
struct Wish {
    key: String,
    /// What the key should hold; nothing to delete it.
    value: Option<u64>,
    /// etcd's revision before it was asked, and after it was answered.
    span: (i64, i64),
    status: u16,
    /// Whether 200 promises it: it does, unless the key was only not mentioned.
    promised: bool,
    /// Whether it was stored by a request of its own. What ELB hears of between the two counts as later (the manual's page of stores).
    apart: bool,
}

/// What everybody did.
#[derive(Debug, Default)]
struct Diary {
    wishes: Mutex<Vec<Wish>>,
    /// What others wrote: revision and key → value.
    theirs: Mutex<BTreeMap<(i64, String), Option<u64>>>,
    next: AtomicU64,
}

impl Diary {
    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn theirs(&self, revision: i64, writes: impl IntoIterator<Item = (String, Option<u64>)>) {
        let mut theirs = self.theirs.lock().expect("no writer panicked");
        theirs.extend(writes.into_iter().map(|(key, value)| ((revision, key), value)));
    }
}

/// Writes one key after the other.
fn puts(client: &mut Client, diary: &Diary, chance: &mut Chance) {
    let key = if chance.one_in(2) { rule_key(chance.below(DOMAINS)) } else { any_server(chance) };
    let value = (!chance.one_in(4)).then(|| diary.number());
    let writes = [(key, value)];
    let revision = client.write(Vec::new(), &writes, by_hand).expect("no guard");
    diary.theirs(revision, writes);
}

/// Writes several keys in one revision.
fn transacts(client: &mut Client, diary: &Diary, chance: &mut Chance) {
    let mut keys = BTreeSet::from([rule_key(chance.below(DOMAINS))]);
    keys.extend((0..3).map(|_| any_server(chance)));
    let writes: Vec<_> = keys.into_iter().map(|key| (key, Some(diary.number()))).collect();
    let revision = client.write(Vec::new(), &writes, by_hand).expect("no guard");
    diary.theirs(revision, writes);
}

/// Reads, and writes only if nobody else has meanwhile.
fn swaps(client: &mut Client, diary: &Diary, chance: &mut Chance) {
    let key = if chance.one_in(2) { rule_key(chance.below(DOMAINS)) } else { any_server(chance) };
    let (_, at) = client.read(&key);
    let guard = Compare::mod_revision(key.as_str(), CompareOp::Equal, at);
    let writes = [(key, Some(diary.number()))];
    if let Some(revision) = client.write(vec![guard], &writes, by_hand) {
        diary.theirs(revision, writes);
    }
}

/// A service that registers itself under a lease, and goes.
fn registers(client: &mut Client, diary: &Diary, chance: &mut Chance) {
    let (key, value) = (any_server(chance), diary.number());
    let Client { runtime, etcd } = client;
    let lease = runtime.block_on(etcd.lease_grant(600, None)).expect("a lease").id();
    let under = PutOptions::new().with_lease(lease);
    let put = runtime.block_on(etcd.put(key.as_str(), by_hand(&key, value), Some(under))).expect("an answer");
    diary.theirs(put.header().expect("a header").revision(), [(key.clone(), Some(value))]);
    pause(chance, PAUSE_OF_OTHERS);
    let revoked = runtime.block_on(etcd.lease_revoke(lease)).expect("an answer");
    // If somebody else wrote the key meanwhile, the lease has nothing to take along, and this revision is another's.
    let revision = revoked.header().expect("a header").revision();
    diary.theirs.lock().expect("no writer panicked").entry((revision, key)).or_insert(None);
}

fn any_server(chance: &mut Chance) -> String {
    server_key(chance.below(CLIENTS), chance.below(SERVERS))
}

fn pause(chance: &mut Chance, longest: usize) {
    thread::sleep(Duration::from_millis(chance.below(longest) as u64));
}

/// A client of one ELB: changes and dumps what is its own among that ELB's clients.
struct Operator<'a> {
    admin: Admin,
    client: Client,
    diary: &'a Diary,
    nth: usize,
}

impl Operator<'_> {
    fn act(&mut self, chance: &mut Chance) {
        let from = self.client.revision();
        let nth = CLIENTS * chance.below(DOMAINS / CLIENTS) + self.nth;
        let mut apart = false;
        let mut wishes: Vec<(String, Option<u64>, bool)> = Vec::new();
        let status = match chance.below(8) {
            0..=3 => {
                let value = self.diary.number();
                wishes.push((rule_key(nth), Some(value), true));
                let body = json!({domain(nth): numbered(value)});
                apart = chance.one_in(3);
                if apart {
                    self.admin.put("domain", &body);
                    self.call("PUT", "dump", &Value::Null)
                } else {
                    self.call("PUT", "domain?dump=1", &body)
                }
            }
            4 => {
                wishes.push((rule_key(nth), None, true));
                self.call("DELETE", "domain?dump=1", &json!([domain(nth)]))
            }
            5 => {
                wishes.extend((0..SERVERS).map(|server| (server_key(self.nth, server), None, false)));
                self.call("DELETE", "upstream?dump=1", &json!([format!("u{}", self.nth)]))
            }
            _ => {
                let mut servers = serde_json::Map::new();
                for server_nth in 0..SERVERS {
                    let value = (server_nth == 0 || chance.one_in(2)).then(|| self.diary.number());
                    wishes.push((server_key(self.nth, server_nth), value, value.is_some()));
                    servers
                        .extend(value.map(|value| (server(server_nth), json!(format!("max_fails={value}")))));
                }
                self.call("PUT", "upstream?dump=1", &json!({format!("u{}", self.nth): servers}))
            }
        };
        let span = (from, self.client.revision());
        let wishes = wishes.into_iter().map(|(key, value, promised)| Wish {
            key,
            value,
            span,
            status,
            promised,
            apart,
        });
        self.diary.wishes.lock().expect("no writer panicked").extend(wishes);
    }

    fn call(&self, method: &str, word: &str, body: &Value) -> u16 {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.admin.call(method, word, Some(&body));
        assert!(
            [200, 409].contains(&answer.status()),
            "{method} {word}: {} {}",
            answer.status(),
            answer.text()
        );
        answer.status()
    }
}

/// What happened to each key: revision and value, in order.
type History = BTreeMap<String, Vec<(i64, Option<u64>)>>;

/// All that etcd ever said of our keys.
fn history(client: &mut Client) -> History {
    let last = client.revision();
    let mut history = History::new();
    let Client { runtime, etcd } = client;
    runtime.block_on(async {
        let options = WatchOptions::new().with_prefix().with_start_revision(1);
        let mut stream = etcd.watch(PREFIX, Some(options)).await.expect("a watch");
        // One more write, so that it is known when all has come.
        etcd.put(format!("{PREFIX}@end"), "", None).await.expect("an answer");
        'all: while let Some(message) = stream.message().await.expect("a message") {
            for event in message.events() {
                let pair = event.kv().expect("a key");
                if pair.mod_revision() > last {
                    break 'all;
                }
                // What an ELB says of itself is none of the data.
                if pair.key_str().expect("text").contains("/@nodes/") {
                    continue;
                }
                let value = (event.event_type() == EventType::Put)
                    .then(|| number(pair.value_str().expect("text")).expect("a number"));
                let events = history.entry(pair.key_str().expect("text").to_owned()).or_default();
                events.push((pair.mod_revision(), value));
            }
        }
    });
    history
}

/// The values of a key from one revision to another, both included.
fn values(events: &[(i64, Option<u64>)], span: (i64, i64)) -> Vec<Option<u64>> {
    let before = events.iter().rev().find(|(revision, _)| *revision <= span.0).and_then(|(_, value)| *value);
    let during = events.iter().filter(|(revision, _)| (span.0 + 1..=span.1).contains(revision));
    [before].into_iter().chain(during.map(|(_, value)| *value)).collect()
}

/// Holds the history against the diary.
fn judge(history: &History, diary: &Diary) {
    let wishes = diary.wishes.lock().expect("no writer panicked");
    let theirs = diary.theirs.lock().expect("no writer panicked");
    let none = Vec::new();
    let of = |key: &str| history.get(key).unwrap_or(&none);
    for ((revision, key), value) in theirs.iter().filter(|(_, value)| value.is_some()) {
        assert!(
            of(key).contains(&(*revision, *value)),
            "{key} of another at {revision}: {value:?} is not there"
        );
    }
    for wish in wishes.iter().filter(|wish| wish.status == 200 && wish.promised && !wish.apart) {
        let values = values(of(&wish.key), wish.span);
        assert!(values.contains(&wish.value), "{wish:?} was answered 200, and the key held {values:?}");
    }
    let mut by_key: BTreeMap<&str, Vec<&Wish>> = BTreeMap::new();
    for wish in wishes.iter() {
        by_key.entry(&wish.key).or_default().push(wish);
    }
    for (key, events) in history {
        let mut seen = BTreeSet::new();
        for (revision, value) in events {
            if value.is_some() {
                assert!(seen.insert(value), "{key} at {revision}: {value:?} came back");
            }
            if theirs.get(&(*revision, key.clone())) == Some(value) {
                continue;
            }
            let asked =
                |wish: &&&Wish| wish.value == *value && wish.span.0 < *revision && *revision <= wish.span.1;
            let wishes = by_key.get(key.as_str()).map_or(&[][..], Vec::as_slice);
            assert!(
                wishes.iter().find(asked).is_some(),
                "{key} at {revision}: nobody asked for {value:?} then"
            );
        }
    }
}

fn seed() -> u64 {
    std::env::var("ELB_STORM_SEED").map_or(1, |text| text.parse().expect("ELB_STORM_SEED is a number"))
}

fn duration() -> Duration {
    let given = std::env::var("ELB_TEST_SECONDS").ok();
    given.map_or(STORM, |text| Duration::from_secs(text.parse().expect("ELB_TEST_SECONDS is a number")))
}

#[test]
fn in_a_storm_of_writers_nothing_is_lost_but_to_a_later_write() {
    let (etcd, seed, end) = (etcd(), seed(), Instant::now() + duration());
    let elbs = [Launch::storing(&etcd).start(), Launch::storing(&etcd).start()];
    let diary = Diary::default();
    type Writes = fn(&mut Client, &Diary, &mut Chance);
    let others: [Writes; 4] = [puts, transacts, swaps, registers];
    thread::scope(|scope| {
        for (nth, writes) in (0..).zip(others) {
            let (mut client, mut chance, diary) = (Client::to(&etcd), Chance::new(seed * 100 + nth), &diary);
            scope.spawn(move || {
                while Instant::now() < end {
                    writes(&mut client, diary, &mut chance);
                    pause(&mut chance, PAUSE_OF_OTHERS);
                }
            });
        }
        for (elb_nth, elb) in (0..).zip(&elbs) {
            for nth in 0..CLIENTS {
                let mut chance = Chance::new(seed * 100 + 10 * (elb_nth + 1) + nth as u64);
                let mut operator =
                    Operator { admin: elb.admin(), client: Client::to(&etcd), diary: &diary, nth };
                scope.spawn(move || {
                    while Instant::now() < end {
                        operator.act(&mut chance);
                        pause(&mut chance, PAUSE);
                    }
                });
            }
        }
    });
    for elb in &elbs {
        elb.admin().dump();
    }
    let mut client = Client::to(&etcd);
    let history = history(&mut client);
    judge(&history, &diary);
    let last = |events: &Vec<(i64, Option<u64>)>| events.last().and_then(|(_, value)| *value);
    let held: BTreeMap<String, u64> =
        history.iter().filter_map(|(key, events)| Some((key.clone(), last(events)?))).collect();
    for elb in &elbs {
        wait::until("an ELB that serves what etcd holds", || (served(elb) == held).then_some(()));
        assert_eq!(elb.admin().call("GET", "domain", None).head.get("X-ELB-Unsaved"), Some("0"));
    }
    let wishes = diary.wishes.lock().expect("no writer panicked");
    let count = |status| wishes.iter().filter(|wish| wish.status == status).count();
    let theirs = diary.theirs.lock().expect("no writer panicked").len();
    println!(
        "seed {seed}: {} keys written and told so, {} gave way, {theirs} by others",
        count(200),
        count(409)
    );
    assert!(count(200) > 20 && theirs > 20, "a storm is more than that");
}
