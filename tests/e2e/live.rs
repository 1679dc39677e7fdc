//! A thousand changes under load: no request fails, none goes where it should no longer, the last word is served by all.
//!
//! Two domains are changed: one through the API, whose answer means that all workers serve the change, and one through
//! etcd, where that is known as soon as the API shows the change and a later call of the API has been answered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::admin::Admin;
use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::etcd::Etcd;
use crate::support::etcdctl::{Writer, etcd};
use crate::support::load::{self, Load};
use crate::support::rules;
use crate::support::server::Server;
use crate::support::wait;

const CHANGES: usize = 1000;
const CLIENTS: usize = 64;
/// Servers of each domain.
const SERVERS: usize = 6;
/// The two domains, and where their servers begin in the roster.
const HAND: (&str, usize) = ("hand.test", 0);
const STORE: (&str, usize) = ("store.test", SERVERS);

/// Which servers may be asked: a number each, odd while no request that begins now may reach it.
struct Roster(Vec<AtomicU64>);

impl Roster {
    fn new() -> Roster {
        Roster((0..2 * SERVERS).map(|_| AtomicU64::new(1)).collect())
    }

    /// From now on these may be asked.
    fn admit(&self, servers: impl IntoIterator<Item = usize>) {
        servers.into_iter().for_each(|server| self.turn(server, 1));
    }

    /// From now on only these of a domain's servers may be asked.
    fn leave(&self, domain: usize, servers: &BTreeSet<usize>) {
        (domain..domain + SERVERS)
            .filter(|server| !servers.contains(server))
            .for_each(|server| self.turn(server, 0));
    }

    fn turn(&self, server: usize, from: u64) {
        if self.0[server].load(Ordering::SeqCst) % 2 == from {
            self.0[server].fetch_add(1, Ordering::SeqCst);
        }
    }

    fn look(&self) -> Vec<u64> {
        self.0.iter().map(|number| number.load(Ordering::SeqCst)).collect()
    }

    /// One request, judged: it must be answered by a server that was allowed at some time since it began.
    fn judge(&self, client: &mut Client, turn: u64) -> Result<(), String> {
        let (host, domain) = if turn.is_multiple_of(2) { HAND } else { STORE };
        let before = self.look();
        let answer = match turn % 8 {
            7 => client
                .try_ask(&format!("POST /post HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\n\r\nbody"))?,
            _ => client.try_ask(&get(host, "/get"))?,
        };
        let server: usize = match (answer.status(), answer.text().parse()) {
            (200, Ok(server)) => server,
            _ => return Err(format!("{}: {}", answer.head.line, answer.text())),
        };
        if !(domain..domain + SERVERS).contains(&server) {
            return Err(format!("{host} was answered by server {server}"));
        }
        let since = self.0[server].load(Ordering::SeqCst);
        if before[server] % 2 == 1 && since == before[server] {
            return Err(format!("server {server} was asked for {host} after it was removed"));
        }
        Ok(())
    }
}

/// A domain as it stands: which of its two upstreams the rules name, and the servers of both.
#[derive(Clone)]
struct Domain {
    first: usize,
    named: usize,
    upstreams: [BTreeSet<usize>; 2],
}

impl Domain {
    fn new(first: usize) -> Domain {
        Domain { first, named: 0, upstreams: [(first..first + SERVERS).collect(), BTreeSet::from([first])] }
    }

    /// The next state of the rules: the other upstream.
    fn turn_rules(&mut self) {
        self.named = 1 - self.named;
    }

    /// The next state of an upstream: other servers, never none.
    fn turn_upstream(&mut self, upstream: usize, step: usize) {
        let kept = 1 + step % (SERVERS - 1);
        self.upstreams[upstream] = (0..kept).map(|n| self.first + (step * 7 + n) % SERVERS).collect();
    }

    fn serving(&self) -> &BTreeSet<usize> {
        &self.upstreams[self.named]
    }
}

/// The servers, the ELB before them, and all that changes it.
struct World {
    servers: Vec<Server>,
    roster: Arc<Roster>,
    admin: Admin,
    writer: Writer,
    hand: Domain,
    store: Domain,
    /// Servers of the etcd domain that the API shows, to be the only ones once the API answers again.
    shown: Option<BTreeSet<usize>>,
}

/// The two upstreams of a domain by name: `hand0`, `hand1`, `store0`, `store1`.
fn name(domain: usize, upstream: usize) -> String {
    format!("{}{upstream}", if domain == HAND.1 { "hand" } else { "store" })
}

/// A rule set that leads to an upstream by a way of several rules, so that a change of it is not a change of one word.
fn rule_set(domain: usize, upstream: usize) -> Value {
    json!({"init": "p", "rules": {
        "p": {"type": "path", "args": {"pattern": format!("^/({})", ["get|post", "[gp]\\w+"][upstream]), "regex": true, "succ": "b"}},
        "b": {"type": "backend", "args": {"servername": name(domain, upstream)}}}})
}

/// What a step changes: the rules, one of the two upstreams, or both.
fn subject(step: usize) -> (bool, Option<usize>) {
    let upstream = step / 3 % 2;
    [(true, None), (false, Some(upstream)), (true, Some(upstream))][step % 3]
}

impl World {
    fn address(&self, server: usize) -> String {
        self.servers[server].address().to_string()
    }

    fn servers_of(&self, domain: &Domain, upstream: usize) -> Value {
        let servers =
            domain.upstreams[upstream].iter().map(|server| (self.address(*server), json!("max_fails=0")));
        json!({name(domain.first, upstream): servers.collect::<serde_json::Map<_, _>>()})
    }

    /// A change through the API: of the rules, of an upstream, or of both at the same time.
    fn change_by_hand(&mut self, step: usize) {
        let (before, mut after) = (self.hand.clone(), self.hand.clone());
        let (rules, upstream) = subject(step);
        if rules {
            after.turn_rules();
        }
        if let Some(upstream) = upstream {
            after.turn_upstream(upstream, step);
        }
        for state in [&before, &after] {
            for named in [before.named, after.named] {
                self.roster.admit(state.upstreams[named].iter().copied());
            }
        }
        let rules = rules.then(|| json!({HAND.0: rule_set(HAND.1, after.named)}));
        let upstream = upstream.map(|upstream| self.servers_of(&after, upstream));
        thread::scope(|scope| {
            for (word, body) in [("domain", rules), ("upstream", upstream)] {
                let admin = &self.admin;
                scope.spawn(move || body.map(|body| admin.put(word, &body)));
            }
        });
        self.roster.leave(HAND.1, after.serving());
        self.hand = after;
        if let Some(shown) = self.shown.take() {
            self.roster.leave(STORE.1, &shown);
        }
    }

    /// A change through etcd, in one revision: of the rules, of an upstream's servers, or of both.
    fn change_in_store(&mut self, step: usize) {
        let (before, mut after) = (self.store.clone(), self.store.clone());
        let (rules, upstream) = subject(step);
        let mut keys = Vec::new();
        if rules {
            after.turn_rules();
            keys.push((format!("/ELB/rules/{}", STORE.0), Some(rule_set(STORE.1, after.named).to_string())));
        }
        if let Some(upstream) = upstream {
            after.turn_upstream(upstream, step);
            for server in STORE.1..STORE.1 + SERVERS {
                let key = format!("/ELB/upstreams/{}/{}", name(STORE.1, upstream), self.address(server));
                match (
                    before.upstreams[upstream].contains(&server),
                    after.upstreams[upstream].contains(&server),
                ) {
                    (false, true) => keys.push((key, Some("max_fails=0".to_owned()))),
                    (true, false) => keys.push((key, None)),
                    _ => {}
                }
            }
        }
        self.roster.admit(after.serving().iter().copied());
        self.writer.write(&keys);
        wait::until("the API to show what etcd holds", || self.shows(&after).then_some(()));
        self.shown = Some(after.serving().clone());
        self.store = after;
    }

    fn shows(&self, domain: &Domain) -> bool {
        let (domains, upstreams) = (self.admin.get("domain"), self.admin.get("upstream"));
        let rules = domains[STORE.0] == rule_set(STORE.1, domain.named);
        rules && (0..2).all(|upstream| self.listed(&upstreams, domain, upstream))
    }

    fn listed(&self, upstreams: &Value, domain: &Domain, upstream: usize) -> bool {
        let listed = upstreams[name(domain.first, upstream)].as_array().into_iter().flatten();
        let listed: BTreeSet<&str> = listed.filter_map(|server| server["name"].as_str()).collect();
        let wanted: Vec<String> =
            domain.upstreams[upstream].iter().map(|server| self.address(*server)).collect();
        listed == wanted.iter().map(String::as_str).collect()
    }
}

/// An etcd with both domains as they begin, and an ELB that serves them.
fn begin() -> (Etcd, Elb, World) {
    let servers: Vec<Server> =
        (0..2 * SERVERS).map(|number| Server::forgetful(&number.to_string())).collect();
    let etcd = etcd();
    let (hand, store) = (Domain::new(HAND.1), Domain::new(STORE.1));
    let mut writer = Writer::to(&etcd);
    let mut keys = Vec::new();
    for (host, domain) in [(HAND.0, &hand), (STORE.0, &store)] {
        keys.push((format!("/ELB/rules/{host}"), Some(rule_set(domain.first, 0).to_string())));
        for (upstream, members) in domain.upstreams.iter().enumerate() {
            for server in members {
                let address = servers[*server].address();
                let key = format!("/ELB/upstreams/{}/{address}", name(domain.first, upstream));
                keys.push((key, Some("max_fails=0".to_owned())));
            }
        }
    }
    writer.write(&keys);
    let elb = Launch::storing(&etcd).start();
    let roster = Arc::new(Roster::new());
    roster.admit(hand.serving().iter().chain(store.serving()).copied());
    let world = World { servers, roster, admin: elb.admin(), writer, hand, store, shown: None };
    (etcd, elb, world)
}

#[test]
fn a_thousand_changes_cost_no_request() {
    let (_etcd, elb, mut world) = begin();
    let roster = Arc::clone(&world.roster);
    let load = Load::start(elb.address(), CLIENTS, move |client, turn| roster.judge(client, turn));
    load.carry_on(1000);

    let (started, lasting) = (Instant::now(), load::seconds());
    for step in 0..CHANGES {
        // Spread over the whole time, so that changes and requests meet in every way they can.
        let due = lasting * u32::try_from(step).expect("a small number")
            / u32::try_from(CHANGES).expect("a small number");
        thread::sleep(due.saturating_sub(started.elapsed()));
        if step % 4 == 3 {
            world.change_in_store(step / 4);
        } else {
            world.change_by_hand(step);
        }
        assert!(!load.failed(), "after {step} changes: {}", load.finish());
    }
    load.carry_on(1000);
    load.finish();

    let last = world.servers[HAND.1].address().to_string();
    world.admin.put("upstream", &json!({"last": {last: ""}}));
    world.admin.put("domain", &json!({HAND.0: rules::to("last")}));
    for _ in 0..100 {
        // New connections, which the kernel spreads over all workers.
        assert_eq!(elb.client().ask(get(HAND.0, "/")).text(), HAND.1.to_string());
    }
    assert_eq!(world.admin.get("domain")[HAND.0], rules::to("last"));
}
