//! Several writers of one store: ELBs that dump, and people and services that write etcd beside them. Nobody's write is lost.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::admin::Admin;
use crate::support::elb::{Elb, Launch};
use crate::support::etcd::{Etcd, Mode};
use crate::support::etcdctl::{Writer, etcd, etcd_in};
use crate::support::message::Message;
use crate::support::rules;
use crate::support::wait;

in_each_mode! {
    two_elbs_that_change_one_key_at_once_are_told_who_was_first
    a_wiped_store_is_restored_by_a_dump_and_then_completely
}

fn before(etcd: &Etcd) -> Elb {
    Launch::storing(etcd).start()
}

/// `{name: a rule set}`.
fn domain(name: &str) -> Value {
    json!({name: rules::to("up")})
}

fn stored(etcd: &Etcd) -> BTreeSet<String> {
    let printed = etcd.ctl(&["get", "--prefix", "--keys-only", "/ELB/"]);
    let is_data = |line: &&str| !line.is_empty() && !line.contains("/@nodes/");
    printed.lines().filter(is_data).map(str::to_owned).collect()
}

/// Puts a rule set into etcd, as somebody else.
fn put(writer: &mut Writer, name: &str, upstream: &str) {
    writer.write(&[(format!("/ELB/rules/{name}"), Some(rules::to(upstream).to_string()))]);
}

fn call(admin: &Admin, word: &str, body: &Value) -> Message {
    admin.call("PUT", word, Some(&body.to_string()))
}

/// Waits until this ELB serves a domain.
fn until_served(elb: &Elb, name: &str) {
    wait::until(name, || elb.admin().get("domain").get(name).map(|_| ()));
}

#[test]
fn what_was_put_a_moment_before_a_dump_stays() {
    let etcd = etcd();
    let elb = before(&etcd);
    let mut writer = Writer::to(&etcd);
    for number in 0..60 {
        put(&mut writer, &format!("theirs{number}.test"), "up");
        // One dump has nothing to write, the other has.
        if number % 2 == 0 {
            elb.admin().dump();
        } else {
            elb.admin().put("domain?dump=1", &domain(&format!("ours{number}.test")));
        }
    }
    let keys = stored(&etcd);
    assert_eq!(keys.iter().filter(|key| key.contains("theirs")).count(), 60, "{keys:?}");
    assert_eq!(keys.len(), 90);
}

#[test]
fn a_change_of_one_key_undoes_none_of_another() {
    let etcd = etcd();
    let elb = before(&etcd);
    let mut writer = Writer::to(&etcd);
    put(&mut writer, "a.test", "old");
    put(&mut writer, "b.test", "old");
    until_served(&elb, "b.test");
    for number in 0..20 {
        let newer = format!("newer{number}");
        put(&mut writer, "a.test", &newer);
        elb.admin().put("upstream?dump=1", &json!({"up": {"127.0.0.1:1": format!("weight={}", number + 1)}}));
        assert!(etcd.ctl(&["get", "/ELB/rules/a.test"]).contains(&newer));
    }
}

#[test]
fn two_elbs_that_store_an_edit_each_in_turn_lose_none() {
    let etcd = etcd();
    let (a, b) = (before(&etcd), before(&etcd));
    for round in 0..20 {
        a.admin().put("domain?dump=1", &domain(&format!("a{round}.test")));
        b.admin().put("domain?dump=1", &domain(&format!("b{round}.test")));
    }
    assert_eq!(stored(&etcd).len(), 40);
    for elb in [&a, &b] {
        wait::until("both serve all", || {
            (elb.admin().get("domain").as_object().map(serde_json::Map::len) == Some(40)).then_some(())
        });
    }
}

/// Both change the same key at the same time: one of them is stored, and whoever was not is told so.
fn two_elbs_that_change_one_key_at_once_are_told_who_was_first(mode: Mode) {
    let etcd = etcd_in(mode);
    let (a, b) = (before(&etcd), before(&etcd));
    for round in 0..20 {
        let answers: Vec<(String, Message)> = thread::scope(|scope| {
            let change = |elb: &'_ Elb, by: &str| {
                let (admin, upstream) = (elb.admin(), format!("{by}{round}"));
                let body = json!({"same.test": rules::to(&upstream)});
                scope.spawn(move || (upstream, call(&admin, "domain?dump=1", &body)))
            };
            [change(&a, "a"), change(&b, "b")].map(|asked| asked.join().expect("an answer")).into()
        });
        let value = etcd.ctl(&["get", "/ELB/rules/same.test"]);
        for (upstream, answer) in &answers {
            match answer.status() {
                200 => {}
                409 => {
                    assert!(!value.contains(&format!("\"{upstream}\"")), "{value}");
                    assert!(answer.text().contains("rules/same.test"), "{}", answer.text());
                }
                other => panic!("{other}: {}", answer.text()),
            }
        }
        assert!(answers.iter().any(|(upstream, answer)| {
            answer.status() == 200 && value.contains(&format!("\"{upstream}\""))
        }));
    }
}

#[test]
fn what_was_written_during_an_outage_outlives_any_dump() {
    let mut etcd = etcd();
    let elb = before(&etcd);
    let mut writer = Writer::to(&etcd);
    for name in ["changed.test", "gone.test", "kept.test", "also.test", "more.test"] {
        put(&mut writer, name, "old");
    }
    until_served(&elb, "more.test");
    etcd.stop();
    wait::until("ELB to notice", || elb.log().contains("the store is down").then_some(()));
    etcd.restart();
    let mut writer = Writer::to(&etcd);
    put(&mut writer, "changed.test", "new");
    put(&mut writer, "new.test", "new");
    writer.write(&[("/ELB/rules/gone.test".to_owned(), None)]);
    // ELB rests between two attempts and knows of none of this.
    elb.admin().put("domain?dump=1", &domain("ours.test"));
    let keys = stored(&etcd);
    assert!(keys.contains("/ELB/rules/new.test") && keys.contains("/ELB/rules/ours.test"), "{keys:?}");
    assert!(!keys.contains("/ELB/rules/gone.test"));
    assert!(etcd.ctl(&["get", "/ELB/rules/changed.test"]).contains("\"new\""));
    until_served(&elb, "new.test");
}

/// Spelled by others and edited by nobody: not a byte of it is written anew, not even when its upstream is put again.
#[test]
fn a_dump_leaves_alone_what_nobody_edited() {
    let etcd = etcd();
    etcd.put("/ELB/upstreams/up/127.0.0.1:1", "");
    etcd.put("/ELB/rules/pretty.test", &format!("{:#}", rules::to("up")));
    etcd.put("/ELB/rules/broken.test", "{");
    let elb = before(&etcd);
    let revisions = || {
        let shown = etcd.ctl(&["get", "/ELB/rules/", "/ELB/upstreams0", "-w", "json"]);
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        let keys = shown["kvs"].as_array().cloned().unwrap_or_default();
        keys.into_iter().map(|key| (key["key"].clone(), key["mod_revision"].clone())).collect::<Vec<_>>()
    };
    let before = revisions();
    elb.admin().dump();
    elb.admin().put("domain?dump=1", &json!({"pretty.test": rules::to("up")}));
    assert_eq!(revisions(), before, "nothing differs");
    elb.admin().put("upstream?dump=1", &json!({"up": {"127.0.0.1:1": "", "127.0.0.1:2": ""}}));
    elb.admin().dump();
    assert_eq!(revisions()[..2], before[..2]);
    assert_eq!(etcd.ctl(&["get", "--print-value-only", "/ELB/upstreams/up/127.0.0.1:1"]).trim(), "");
    assert_eq!(stored(&etcd).len(), 4);
}

fn a_wiped_store_is_restored_by_a_dump_and_then_completely(mode: Mode) {
    let mut etcd = etcd_in(mode);
    let elb = before(&etcd);
    let domains: serde_json::Map<String, Value> =
        (0..300).map(|number| (format!("d{number}.test"), rules::to("up"))).collect();
    elb.admin().put("upstream?dump=1", &json!({"up": {"127.0.0.1:1": "weight=3"}}));
    elb.admin().put("domain?dump=1", &domains.into());
    let held = stored(&etcd);
    assert_eq!(held.len(), 301);
    etcd.wipe();
    wait::until("the load to be held", || {
        elb.admin()
            .call("PUT", "upstream", Some(r#"{"x": {"127.0.0.1:9": ""}}"#))
            .text()
            .contains("lacks")
            .then_some(())
    });
    etcd.put("/ELB/rules/theirs.test", &rules::to("up").to_string());
    // Whoever dumps a change of theirs writes that.
    elb.admin().put("domain?dump=1", &domain("ours.test"));
    let keys = stored(&etcd);
    assert_eq!(keys.len(), 3, "ours, theirs and the edit that was pending: {keys:?}");
    elb.admin().dump();
    let keys = stored(&etcd);
    assert!(keys.is_superset(&held), "{:?}", held.difference(&keys));
    assert_eq!(keys.len(), held.len() + 3);
    assert!(etcd.ctl(&["get", "/ELB/upstreams/up/127.0.0.1:1"]).contains("weight=3"));
    wait::until("the end of the hold", || elb.admin().dump().get("warnings").is_none().then_some(()));
    assert!(elb.admin().get("domain").get("theirs.test").is_some());
}

/// Ends the clients that dump when the test ends, also by a panic: the scope that they run in waits for them.
struct Ends<'s>(&'s AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Clients that change something and dump it, again and again, until they are told to stop. Gives how often.
fn dumping<'s>(
    scope: &'s thread::Scope<'s, '_>,
    elb: &Elb,
    clients: usize,
    stop: &'s AtomicBool,
) -> Vec<thread::ScopedJoinHandle<'s, usize>> {
    let client = |client: usize| {
        let admin = elb.admin();
        scope.spawn(move || {
            let mut count = 0;
            while !stop.load(Ordering::SeqCst) {
                count += 1;
                let servers = json!({"127.0.0.1:1": format!("max_fails={count}")});
                admin.put("upstream?dump=1", &json!({format!("client{client}"): servers}));
            }
            count
        })
    };
    (0..clients).map(client).collect()
}

/// ELB has heard of a server when its lease ends, so a dump may be about to write what it knows.
#[test]
fn leases_that_end_while_dumps_run_do_not_come_back() {
    let etcd = etcd();
    let elb = before(&etcd);
    let stop = AtomicBool::new(false);
    let serves = || elb.admin().get("upstream").get("service").is_some();
    thread::scope(|scope| {
        let ends = Ends(&stop);
        let clients = dumping(scope, &elb, 1, &stop);
        for round in 0..20 {
            let lease = etcd.ctl(&["lease", "grant", "600"]);
            let lease = lease.split_whitespace().nth(1).expect("a lease").to_owned();
            let key = format!("/ELB/upstreams/service/10.0.0.{}:80", round + 1);
            etcd.ctl(&["put", &format!("--lease={lease}"), &key, ""]);
            wait::until("the service", || serves().then_some(()));
            etcd.ctl(&["lease", "revoke", &lease]);
            wait::until("its end", || (!serves()).then_some(()));
        }
        drop(ends);
        clients.into_iter().for_each(|client| assert!(client.join().expect("all are stored") > 1));
    });
    elb.admin().dump();
    let keys = stored(&etcd);
    assert!(!keys.iter().any(|key| key.contains("service")), "{keys:?}");
}

#[test]
fn what_others_write_is_served_while_four_clients_dump_without_end() {
    let etcd = etcd();
    let elb = before(&etcd);
    let mut writer = Writer::to(&etcd);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let ends = Ends(&stop);
        let clients = dumping(scope, &elb, 4, &stop);
        for number in 0..40 {
            let name = format!("theirs{number}.test");
            put(&mut writer, &name, "up");
            until_served(&elb, &name);
        }
        drop(ends);
        for client in clients {
            assert!(client.join().expect("all are stored") > 1);
        }
    });
    assert_eq!(stored(&etcd).iter().filter(|key| key.contains("theirs")).count(), 40);
}

#[test]
fn sixteen_clients_that_dump_at_once_are_all_stored() {
    let etcd = etcd();
    let elb = before(&etcd);
    thread::scope(|scope| {
        for client in 0..16 {
            let admin = elb.admin();
            scope.spawn(move || {
                for number in 0..25 {
                    admin.put("domain?dump=1", &domain(&format!("c{client}n{number}.test")));
                }
            });
        }
    });
    assert_eq!(stored(&etcd).len(), 16 * 25);
}

/// How long etcd is slow: longer than a dump of a few keys may take.
const SLOW: Duration = Duration::from_secs(3);

/// Lets etcd run for a tenth of the time, as on a disk that is busy, for [`SLOW`] or until it is told to stop.
fn slowly<'s>(scope: &'s thread::Scope<'s, '_>, etcd: &'s Etcd, stop: &'s AtomicBool) {
    scope.spawn(move || {
        let begun = Instant::now();
        while !stop.load(Ordering::SeqCst) && begun.elapsed() < SLOW {
            etcd.pause();
            thread::sleep(Duration::from_millis(40)); // The slowness that is asked for, not a wait.
            etcd.resume();
        }
    });
}

#[test]
fn a_large_dump_is_answered_when_it_is_written_into_etcd_and_into_a_file() {
    let etcd = etcd();
    for elb in [before(&etcd), Elb::empty()] {
        let domains: serde_json::Map<String, Value> =
            (0..20_000).map(|number| (format!("d{number}.test"), rules::to("up"))).collect();
        elb.admin().put("domain", &domains.into());
        let stop = AtomicBool::new(false);
        let answer = thread::scope(|scope| {
            let _ends = Ends(&stop);
            slowly(scope, &etcd, &stop);
            elb.admin().call("PUT", "dump", Some(""))
        });
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(answer.head.get("X-ELB-Unsaved"), Some("0"));
    }
    assert_eq!(etcd.ctl(&["get", "--prefix", "--keys-only", "/ELB/"]).matches("/ELB/rules/").count(), 20_000);
}

#[test]
fn a_large_key_that_nobody_edited_is_no_obstacle() {
    let etcd = etcd();
    let mut writer = Writer::to(&etcd);
    let mut large = rules::to("up");
    large["note"] = json!("x".repeat(1_400_000));
    writer.write(&[("/ELB/rules/large.test".to_owned(), Some(large.to_string()))]);
    let elb = before(&etcd);
    elb.admin().put("domain?dump=1", &domain("small.test"));
    large["note"] = json!("y".repeat(1_400_000));
    elb.admin().put("domain?dump=1", &json!({"also.test": large}));
    elb.admin().dump();
    assert_eq!(stored(&etcd).len(), 3);
}

/// The file store keeps the same promise.
#[test]
fn what_somebody_wrote_into_the_file_a_moment_ago_outlives_a_dump() {
    let elb = Elb::empty();
    let path = elb.folder().join("elb.json");
    for number in 0..10 {
        let mut document: Value =
            serde_json::from_slice(&std::fs::read(&path).expect("the file")).expect("JSON");
        document["domains"][format!("theirs{number}.test")] = rules::to("up");
        let beside = elb.folder().join("beside.json");
        std::fs::write(&beside, format!("{document:#}")).expect("a file");
        std::fs::rename(&beside, &path).expect("a rename");
        elb.admin().put("domain?dump=1", &domain(&format!("ours{number}.test")));
    }
    let document: Value = serde_json::from_slice(&std::fs::read(&path).expect("the file")).expect("JSON");
    assert_eq!(document["domains"].as_object().map(serde_json::Map::len), Some(20), "{document:#}");
    until_served(&elb, "theirs9.test");
}
