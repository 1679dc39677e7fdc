//! Dumps into a real etcd, and etcd with users: what is written, in which order, and what stands in the way.
//!
//! Every wait is for an event and has a deadline. Loads and watches are in `store_etcd`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

#[path = "support/etcd.rs"]
mod etcd;
#[macro_use]
#[path = "support/modes.rs"]
mod modes;
#[path = "support/watcher.rs"]
mod watcher;

use std::time::{Duration, Instant};

use elb::control::store::StoreEvent;
use elb::model::{Contents, KeyChange};
use etcd_client::{Client, GetOptions, PutOptions};

use etcd::{Etcd, Mode, USER};
use watcher::{Watcher, options, rule, server};

in_each_mode! {
    async
    a_dump_writes_the_difference_and_nothing_else
    a_large_dump_goes_in_an_order_that_may_be_cut_anywhere
    a_key_that_somebody_else_changes_is_not_overwritten_unseen
    a_conflict_holds_up_no_other_key
    a_large_object_holds_up_no_other
    several_objects_that_fit_one_by_one_are_written_to_an_etcd_with_a_small_limit
    a_lease_that_ended_does_not_come_back
    a_server_that_registered_under_a_lease_stays_under_it
    a_dump_without_etcd_is_answered_soon
}

fn contents(rules: &[(&str, &str)], servers: &[(&str, &str, &str)]) -> Contents {
    let mut contents = Contents::default();
    for (domain, text) in rules {
        contents.rules.insert((*domain).into(), (*text).into());
    }
    for (upstream, server, text) in servers {
        let servers = contents.upstreams.entry((*upstream).into()).or_default();
        servers.insert((*server).into(), (*text).into());
    }
    contents
}

/// All keys, with value and the revision that wrote them.
async fn keys(client: &mut Client) -> Vec<(String, String, i64)> {
    let all = client.get("/", Some(GetOptions::new().with_prefix())).await.unwrap();
    let one = |pair: &etcd_client::KeyValue| {
        (pair.key_str().unwrap().to_owned(), pair.value_str().unwrap().to_owned(), pair.mod_revision())
    };
    all.kvs().iter().map(one).collect()
}

async fn a_dump_writes_the_difference_and_nothing_else(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut client = etcd.client().await;
    for (key, value) in [
        ("/ELB/@nodes/1", "ours"),
        ("/ELB/rules/@note", "ours"),
        ("/ELB/rules/changed.com", "old"),
        ("/ELB/rules/gone.com", "{}"),
        ("/ELB/rules/same.com", "{}"),
        ("/ELB/secrets/key", "of somebody else"),
        ("/ELB/upstreams/gone/s:1", ""),
        ("/ELB/upstreams/up/s:1", "weight=1"),
        ("/ELB2/rules/other.com", "{}"),
    ] {
        client.put(key, value, None).await.unwrap();
    }
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    let wanted = contents(
        &[("same.com", "{}"), ("changed.com", "new"), ("a.com/x", "{}")],
        &[("up", "s:1", "weight=1"), ("up", "unix:/s", "backup")],
    );
    let revision = watcher.dump(&wanted).await.unwrap().revision;
    assert_eq!(revision, 11, "one transaction");
    let keys = keys(&mut client).await;
    let shown: Vec<(&str, &str, i64)> = keys.iter().map(|(k, v, r)| (k.as_str(), v.as_str(), *r)).collect();
    assert_eq!(
        shown,
        [
            ("/ELB/@nodes/1", "ours", 2),
            ("/ELB/rules/@note", "ours", 3),
            ("/ELB/rules/a.com/x", "{}", 11),
            ("/ELB/rules/changed.com", "new", 11),
            ("/ELB/rules/same.com", "{}", 6),
            ("/ELB/secrets/key", "of somebody else", 7),
            ("/ELB/upstreams/up/s:1", "weight=1", 9),
            ("/ELB/upstreams/up/unix:/s", "backup", 11),
            ("/ELB2/rules/other.com", "{}", 10),
        ]
    );
    let (changes, _) = watcher.changed().await;
    assert_eq!(changes.len(), 5, "the watch sees the dump: {changes:?}");
    watcher.dump(&wanted).await.unwrap();
    assert_eq!(self::keys(&mut client).await, keys, "a second dump has nothing to write");
}

/// More operations than a transaction may have, so a rule may come in another one than its upstream: never before it,
/// and on the way out never after it.
async fn a_large_dump_goes_in_an_order_that_may_be_cut_anywhere(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    let names: Vec<String> = (0..150).map(|number| format!("n{number:03}")).collect();
    let rules: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "{}")).collect();
    let servers: Vec<(&str, &str, &str)> = names.iter().map(|name| (name.as_str(), "s:1", "")).collect();
    let wanted = contents(&rules, &servers);

    let revision = watcher.dump(&wanted).await.unwrap().revision;
    assert_eq!(revision, 4, "300 operations are 3 transactions");
    let came = changes_until(&mut watcher, revision).await;
    let first_rule = came.iter().position(|change| matches!(change, KeyChange::Rule { .. })).unwrap();
    assert!(came[first_rule..].iter().all(|change| matches!(change, KeyChange::Rule { .. })));
    assert_eq!((came.len(), first_rule), (300, 150));

    let revision = watcher.dump(&Contents::default()).await.unwrap().revision;
    let went = changes_until(&mut watcher, revision).await;
    let first_server = went.iter().position(|change| matches!(change, KeyChange::Server { .. })).unwrap();
    assert!(went[first_server..].iter().all(|change| matches!(change, KeyChange::Server { .. })));
    assert_eq!((went.len(), first_server), (300, 150));
}

async fn changes_until(watcher: &mut Watcher, revision: i64) -> Vec<KeyChange> {
    let mut all = Vec::new();
    loop {
        let (changes, at) = watcher.changed().await;
        all.extend(changes);
        if at >= revision {
            return all;
        }
    }
}

/// The dump and another writer race for one key, again and again: each dump either holds or says that it did not,
/// and what the other wrote after it was read is never overwritten unseen.
async fn a_key_that_somebody_else_changes_is_not_overwritten_unseen(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    let mut client = etcd.client().await;
    let stop = std::rc::Rc::new(std::cell::Cell::new(false));
    let (mut rival, done) = (etcd.client().await, stop.clone());
    let write = async move {
        let mut number = 0;
        while !done.get() {
            rival.put("/ELB/rules/a.com", format!("rival {number}"), None).await.unwrap();
            number += 1;
        }
    };
    let dumps = async {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            assert!(Instant::now() < deadline, "no dump met the rival");
            let dumped = watcher.dump(&contents(&[("a.com", "dumped")], &[])).await.unwrap();
            if !dumped.conflicts.is_empty() {
                assert_eq!(dumped.conflicts[0].name(), "rules/a.com");
                break stop.set(true);
            }
            watcher.catch_up().await;
        }
    };
    tokio::join!(write, dumps);
    let last = keys(&mut client).await[0].1.clone();
    assert!(last.starts_with("rival"), "the rival wrote last");
    watcher.until_rule("a.com", Some(&last)).await;
    watcher.dump(&contents(&[("a.com", "dumped")], &[])).await.unwrap();
    assert_eq!(keys(&mut client).await[0].1, "dumped");
}

/// One key among many that somebody changed: the others are written.
async fn a_conflict_holds_up_no_other_key(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut client = etcd.client().await;
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    client.put("/ELB/rules/n050", "theirs", None).await.unwrap();
    let names: Vec<String> = (0..100).map(|number| format!("n{number:03}")).collect();
    let rules: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "ours")).collect();
    let wanted = contents(&rules, &[]);
    // What was heard so far does not hold the other's key, whether its event has come or not.
    let dumped = watcher.dump(&wanted).await.unwrap();
    assert_eq!(dumped.conflicts.iter().map(KeyChange::name).collect::<Vec<_>>(), ["rules/n050"]);
    let theirs = keys(&mut client).await.into_iter().filter(|(_, value, _)| value == "theirs").count();
    assert_eq!((keys(&mut client).await.len(), theirs), (100, 1));
}

/// etcd takes 1.5 MiB, and a key of 1.4 MB that nobody edited, or that is too large for an etcd with a smaller limit, is
/// no obstacle for others.
async fn a_large_object_holds_up_no_other(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut client = etcd.client().await;
    let large = "x".repeat(1_400_000);
    client.put("/ELB/rules/large.com", large.as_str(), None).await.unwrap();
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    let wanted = contents(&[("large.com", &large), ("also.com", &large), ("small.com", "{}")], &[]);
    assert_eq!(watcher.dump(&wanted).await.unwrap().refused, []);
    let huge = "x".repeat(1_600_000);
    let wanted =
        contents(&[("huge.com", &huge), ("large.com", &large), ("also.com", &large)], &[("up", "s:1", "")]);
    let dumped = watcher.dump(&wanted).await.unwrap();
    assert_eq!(dumped.refused.len(), 1, "{dumped:?}");
    assert!(
        dumped.refused[0].0 == "rules/huge.com" && dumped.refused[0].1.contains("too large"),
        "{dumped:?}"
    );
    let there: Vec<String> = keys(&mut client).await.into_iter().map(|(key, ..)| key).collect();
    assert_eq!(
        there,
        ["/ELB/rules/also.com", "/ELB/rules/large.com", "/ELB/rules/small.com", "/ELB/upstreams/up/s:1"]
    );
}

async fn several_objects_that_fit_one_by_one_are_written_to_an_etcd_with_a_small_limit(mode: Mode) {
    let Some(etcd) = Etcd::start_with(mode, &["--max-request-bytes", "10000"]) else { return };
    let mut client = etcd.client().await;
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    let text = "x".repeat(3000);
    let names: Vec<String> = (0..20).map(|number| format!("n{number:03}")).collect();
    let rules: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), text.as_str())).collect();
    let large = "x".repeat(20_000);
    let all: Vec<(&str, &str)> = rules.into_iter().chain([("m", large.as_str())]).collect();
    let dumped = watcher.dump(&contents(&all, &[])).await.unwrap();
    assert_eq!(dumped.refused.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["rules/m"]);
    assert_eq!(keys(&mut client).await.len(), 20);
}

/// A lease ends between the reading and the dump: its key does not come back as one that never ends.
async fn a_lease_that_ended_does_not_come_back(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut client = etcd.client().await;
    let lease = client.lease_grant(60, None).await.unwrap().id();
    client.put("/ELB/upstreams/up/s:1", "", Some(PutOptions::new().with_lease(lease))).await.unwrap();
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    client.lease_revoke(lease).await.unwrap();
    let dumped = watcher.dump(&contents(&[], &[("up", "s:1", "weight=2")])).await.unwrap();
    assert_eq!(dumped.conflicts.iter().map(KeyChange::name).collect::<Vec<_>>(), ["upstreams/up/s:1"]);
    assert_eq!(keys(&mut client).await, []);
}

async fn a_server_that_registered_under_a_lease_stays_under_it(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut client = etcd.client().await;
    let lease = client.lease_grant(60, None).await.unwrap().id();
    client.put("/ELB/upstreams/up/s:1", "", Some(PutOptions::new().with_lease(lease))).await.unwrap();
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    watcher.dump(&contents(&[], &[("up", "s:1", "weight=2")])).await.unwrap();
    assert_eq!(keys(&mut client).await[0].1, "weight=2");
    client.lease_revoke(lease).await.unwrap();
    assert_eq!(keys(&mut client).await, []);
}

async fn a_dump_without_etcd_is_answered_soon(mode: Mode) {
    let Some(mut etcd) = Etcd::start_in(mode) else { return };
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    etcd.pause();
    let began = Instant::now();
    let error = watcher.dump(&contents(&[("a.com", "{}")], &[])).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert!(error.contains("2000 ms"), "{error}");
    etcd.stop();
    // An attempt to connect that began while it was paused may have to end first. Each dump fails, and one of them is refused.
    let mut said = Vec::new();
    while !said.last().is_some_and(|error: &String| error.contains("refused")) {
        assert!(said.len() < 5, "{said:?}");
        said.push(watcher.dump(&contents(&[("a.com", "{}")], &[])).await.unwrap_err());
    }
}

/// Logins end after two seconds here, and etcd forgets all of them when it is started again.
#[tokio::test]
async fn users_and_their_short_logins() {
    let Some(mut etcd) = Etcd::start_with(Mode::Auth, &["--auth-token-ttl", "2"]) else { return };
    let mut wrong = options(&etcd);
    wrong.login = Some((USER.0.into(), "wrong".into()));
    let reason = Watcher::start(wrong).down().await;
    assert!(reason.contains("authentication failed"), "{reason}");

    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    watcher.dump(&contents(&[("a.com", "1")], &[])).await.unwrap();
    assert_eq!(watcher.changed().await.0, [rule("a.com", Some("1"))]);

    // The user store changes, which makes every login before it old.
    let mut root = etcd.client().await;
    root.user_add("another", "x", None).await.unwrap();
    watcher.dump(&contents(&[("a.com", "2")], &[])).await.unwrap();
    watcher.until_rule("a.com", Some("2")).await;

    // Long enough for the first login to end; the watch goes on, and a new one can be opened.
    tokio::time::sleep(Duration::from_secs(3)).await;
    etcd.client().await.put("/ELB/rules/a.com", "3", None).await.unwrap();
    watcher.until_rule("a.com", Some("3")).await;
    watcher.handle.commands.send(elb::control::store::StoreCommand::Resync).await.unwrap();
    watcher.loaded().await;

    etcd.restart();
    while !matches!(watcher.event().await, StoreEvent::Loaded { .. }) {}
    watcher.dump(&contents(&[("a.com", "4")], &[("up", "s:1", "")])).await.unwrap();
    let (changes, _) = watcher.changed().await;
    assert_eq!(changes, [server("up", "s:1", Some("")), rule("a.com", Some("4"))]);
}
