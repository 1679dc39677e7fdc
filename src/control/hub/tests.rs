//! The hub with workers, a store and names that the test plays.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::control::lookups::Lookups;
use crate::control::resolve::Resolver;
use crate::control::state_file::{Kept, Saved};
use crate::control::store::StoreEvent;
use crate::control::tests::{QUIET, Rig, SOON, names, no_names, put_upstream, stored};
use crate::model::{Contents, Edit, KeyChange};

fn addresses(rig: &Rig, upstream: &str) -> Vec<String> {
    let upstream = rig.workers[0].serves().upstream_named(upstream).unwrap();
    upstream.servers.iter().map(|server| server.endpoint.to_string()).collect()
}

#[tokio::test]
async fn a_change_is_served_when_every_worker_has_said_so() {
    let mut rig = Rig::new(2, no_names());
    let accepted = rig.hub.ask(|hub| hub.edit(put_upstream("up", &["127.0.0.1:81"]))).await.unwrap().unwrap();
    assert_eq!(accepted.version, 2);
    let hub = rig.hub.clone();
    let served = tokio::spawn(async move { hub.served(&accepted).await });
    assert_eq!(rig.workers[0].follow().await, 2);
    sleep(QUIET).await;
    assert!(!served.is_finished());
    assert_eq!(rig.workers[1].follow().await, 2);
    assert_eq!(timeout(SOON, served).await.unwrap().unwrap(), (2, 2));
    assert_eq!(addresses(&rig, "up"), ["127.0.0.1:81"]);
}

#[tokio::test]
async fn a_worker_that_does_not_answer_is_counted_after_a_second() {
    let mut rig = Rig::new(2, no_names());
    let accepted = rig.hub.ask(|hub| hub.edit(put_upstream("up", &["127.0.0.1:81"]))).await.unwrap().unwrap();
    rig.workers[1].follow().await;
    let begun = Instant::now();
    assert_eq!(rig.hub.served(&accepted).await, (1, 2));
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn one_snapshot_is_in_flight_and_what_comes_meanwhile_is_merged() {
    let mut rig = Rig::new(1, no_names());
    assert_eq!(rig.edit(put_upstream("a", &["127.0.0.1:1"])).await, 2);
    let second = rig.workers[0].sent().await;
    assert_eq!(rig.edit(put_upstream("b", &["127.0.0.1:2"])).await, 3);
    assert_eq!(rig.edit(put_upstream("c", &["127.0.0.1:3"])).await, 3);
    rig.workers[0].is_left_alone().await;
    rig.workers[0].apply(second).await;
    assert_eq!(rig.workers[0].follow().await, 3);
    rig.workers[0].is_left_alone().await;
    assert_eq!(
        (addresses(&rig, "b"), addresses(&rig, "c")),
        (vec!["127.0.0.1:2".into()], vec!["127.0.0.1:3".into()])
    );
}

#[tokio::test]
async fn changes_that_come_together_share_one_snapshot() {
    let mut rig = Rig::new(1, no_names());
    let edit = |name| rig.edit(put_upstream(name, &["127.0.0.1:1"]));
    assert_eq!(tokio::join!(edit("a"), edit("b"), edit("c")), (2, 2, 2));
    assert_eq!(rig.workers[0].follow().await, 2);
    rig.workers[0].is_left_alone().await;
}

#[tokio::test]
async fn a_slow_worker_holds_nobody_up_and_skips_what_it_missed() {
    let mut rig = Rig::new(2, no_names());
    rig.edit(put_upstream("a", &["127.0.0.1:1"])).await;
    let slow = rig.workers[1].sent().await;
    assert_eq!(rig.workers[0].follow().await, 2);
    for (version, name) in [(3, "b"), (4, "c")] {
        rig.edit(put_upstream(name, &["127.0.0.1:2"])).await;
        assert_eq!(rig.workers[0].follow().await, version);
    }
    rig.workers[1].apply(slow).await;
    assert_eq!(rig.workers[1].follow().await, 4);
}

#[tokio::test]
async fn a_change_that_changes_nothing_makes_no_snapshot() {
    let mut rig = Rig::new(1, no_names());
    assert_eq!(rig.edit(put_upstream("up", &["127.0.0.1:81"])).await, 2);
    assert_eq!(rig.workers[0].follow().await, 2);
    let again = rig.hub.ask(|hub| hub.edit(put_upstream("up", &["127.0.0.1:81"]))).await.unwrap().unwrap();
    assert_eq!(again.version, 2);
    assert_eq!(rig.hub.served(&again).await, (1, 1));
    rig.edit(Edit::DeleteDomains(vec!["nobody".to_owned()])).await;
    rig.workers[0].is_left_alone().await;
}

#[tokio::test]
async fn a_bad_edit_changes_nothing_and_names_the_place() {
    let rig = Rig::new(1, no_names());
    let bad = Edit::PutUpstreams(json!({"up": {"127.0.0.1:81": "weight=x"}}).as_object().unwrap().clone());
    let fault = rig.hub.ask(|hub| hub.edit(bad)).await.unwrap().unwrap_err();
    assert_eq!(fault.pointer, "/up/127.0.0.1:81");
    rig.workers[0].is_left_alone().await;
}

/// A name whose address is the number of lookups so far, each of which takes a while.
fn slow_name(looked_up: &Arc<AtomicUsize>, takes: Duration) -> Resolver {
    let looked_up = Arc::clone(looked_up);
    Resolver::new(Lookups::new(Arc::new(move |_| {
        let port = 1 + looked_up.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            sleep(takes).await;
            Ok(vec![SocketAddr::from(([10, 0, 0, 1], u16::try_from(port).unwrap_or(1)))])
        })
    })))
}

/// The store has a server of this name now.
async fn store_server(rig: &Rig, upstream: &str, server: &str) {
    let changes = vec![KeyChange::Server {
        upstream: upstream.to_owned(),
        server: server.to_owned(),
        text: Some(String::new()),
    }];
    rig.store.send(StoreEvent::Changed { changes, revision: 2 }).await.unwrap();
}

#[tokio::test]
async fn a_new_name_of_the_store_is_served_with_its_addresses() {
    let mut rig = Rig::new(1, slow_name(&Arc::default(), Duration::from_millis(100)));
    store_server(&rig, "up", "server.test:80").await;
    assert_eq!(rig.workers[0].follow().await, 2);
    assert_eq!(addresses(&rig, "up"), ["10.0.0.1:1"]);
    rig.workers[0].is_left_alone().await;
}

#[tokio::test]
async fn a_name_that_takes_too_long_is_served_without_and_then_with() {
    let mut rig = Rig::new(1, slow_name(&Arc::default(), Duration::from_millis(1100)));
    store_server(&rig, "up", "server.test:80").await;
    assert_eq!(rig.workers[0].follow().await, 2);
    assert!(addresses(&rig, "up").is_empty());
    assert_eq!(rig.workers[0].follow().await, 3);
    assert_eq!(addresses(&rig, "up"), ["10.0.0.1:1"]);
}

/// A name server that never answers, and a store that brings a new name with every change.
#[tokio::test]
async fn new_names_delay_no_edit_that_has_no_part_in_them() {
    let mut rig = Rig::new(1, slow_name(&Arc::default(), Duration::from_secs(3600)));
    for number in 0..3_u64 {
        store_server(&rig, "up", &format!("server{number}.test")).await;
        while rig.hub.ask(|hub| hub.due()).await.unwrap().is_none() {
            sleep(Duration::from_millis(1)).await;
        }
        rig.edit(put_upstream("other", &[&format!("127.0.0.1:{}", number + 1)])).await;
        assert!(rig.hub.ask(|hub| hub.due()).await.unwrap().is_none(), "it waits for nobody");
        rig.workers[0].follow().await;
        assert_eq!(addresses(&rig, "other"), [format!("127.0.0.1:{}", number + 1)]);
    }
}

#[tokio::test]
async fn servers_that_work_serve_on_until_a_new_name_has_an_address() {
    let known = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let told = Arc::clone(&known);
    let mut rig = Rig::new(
        1,
        names(move |_| match told.load(Ordering::SeqCst) {
            true => Ok(vec![SocketAddr::from(([10, 0, 0, 9], 80))]),
            false => Err(io::ErrorKind::NotFound.into()),
        }),
    );
    rig.edit(put_upstream("up", &["127.0.0.1:81"])).await;
    rig.workers[0].follow().await;
    rig.edit(put_upstream("up", &["mistyped.test"])).await;
    rig.workers[0].follow().await;
    assert_eq!(addresses(&rig, "up"), ["127.0.0.1:81"]);
    until_alarms(&rig, |alarms| alarms == ["without any address: mistyped.test:80"]).await;
    known.store(true, Ordering::SeqCst);
    rig.hub.ask(|hub| hub.refresh_names(false)).await.unwrap();
    rig.workers[0].follow().await;
    assert_eq!(addresses(&rig, "up"), ["10.0.0.9:80"]);
    // And what is deleted is gone.
    rig.edit(Edit::DeleteUpstreams(vec!["up".to_owned()])).await;
    rig.workers[0].follow().await;
    assert!(rig.workers[0].serves().upstream_named("up").is_none());
}

/// What a state file keeps of one life, in another.
async fn next_life(rig: &Rig, names: Resolver) -> Rig {
    let kept = rig.hub.ask(|hub| hub.unsaved()).await.unwrap().unwrap();
    let rig = Rig::new(1, names);
    let Kept { contents, revision, names } = kept;
    let saved = Saved { contents, revision, names, at: std::time::SystemTime::now() };
    rig.hub.ask(move |hub| hub.remember(saved)).await.unwrap();
    rig
}

#[tokio::test]
async fn the_first_load_is_held_against_what_a_state_file_kept() {
    let rig = Rig::new(0, no_names());
    rig.load(stored(&["a", "b", "c", "d"])).await;
    let mut next = next_life(&rig, no_names()).await;
    next.workers[0].follow().await;
    next.load(Contents::default()).await;
    next.workers[0].is_left_alone().await;
    assert_eq!(next.workers[0].serves().domain_count(), 4);
    until_alarms(&next, |alarms| alarms.len() == 1 && alarms[0].contains("lacks 4 of 4 domains")).await;
    let kept = next.hub.ask(|hub| hub.unsaved()).await.unwrap().unwrap();
    assert_eq!(kept.contents.rules.len(), 4, "nor is the copy written over");
    next.hub.ask(|hub| hub.resync(true)).await.unwrap();
    next.workers[0].follow().await;
    assert_eq!(next.workers[0].serves().domain_count(), 0);
}

#[tokio::test]
async fn a_last_good_value_lives_on_in_the_next_life() {
    let rig = Rig::new(0, no_names());
    rig.load(stored(&["a", "b"])).await;
    let mut bad = stored(&["a", "b"]);
    bad.rules.insert("a".to_owned(), "{".to_owned());
    bad.upstreams
        .entry("up".to_owned())
        .or_default()
        .insert("127.0.0.1:81".to_owned(), "weight=x".to_owned());
    let (mut life, mut names) = (rig, no_names());
    for _ in 0..3 {
        let mut next = next_life(&life, names).await;
        next.load(bad.clone()).await;
        next.workers[0].follow().await;
        while next.workers[0].serves().domain_count() < 2 {
            next.workers[0].follow().await;
        }
        assert_eq!(addresses(&next, "up"), ["127.0.0.1:81"]);
        let rejected = next.hub.ask(|hub| hub.rejected()).await.unwrap();
        assert!(rejected.len() == 2 && rejected.iter().all(|key| key.last_good), "{rejected:?}");
        (life, names) = (next, no_names());
    }
}

#[tokio::test]
async fn the_addresses_of_names_live_on_in_the_next_life() {
    let mut rig = Rig::new(1, names(|_| Ok(vec![SocketAddr::from(([10, 0, 0, 2], 80))])));
    store_server(&rig, "up", "server.test").await;
    rig.workers[0].follow().await;
    let mut next = next_life(&rig, names(|_| Err(io::ErrorKind::TimedOut.into()))).await;
    next.workers[0].follow().await;
    assert_eq!(addresses(&next, "up"), ["10.0.0.2:80"]);
}

#[tokio::test]
async fn a_refresh_makes_a_snapshot_only_when_an_address_differs() {
    let mut rig = Rig::new(1, names(|_| Ok(vec![SocketAddr::from(([10, 0, 0, 2], 80))])));
    store_server(&rig, "up", "server.test").await;
    rig.workers[0].follow().await;
    rig.hub.ask(|hub| hub.refresh_names(true)).await.unwrap();
    rig.workers[0].is_left_alone().await;

    let mut rig = Rig::new(1, slow_name(&Arc::default(), Duration::ZERO));
    store_server(&rig, "up", "server.test").await;
    rig.workers[0].follow().await;
    rig.hub.ask(|hub| hub.refresh_names(true)).await.unwrap();
    assert_eq!(rig.workers[0].follow().await, 3);
    assert_eq!(addresses(&rig, "up"), ["10.0.0.1:2"]);
}

#[tokio::test]
async fn a_name_without_addresses_is_an_alarm() {
    let mut rig = Rig::new(1, names(|_| Err(io::ErrorKind::NotFound.into())));
    rig.edit(put_upstream("up", &["server.test"])).await;
    rig.workers[0].follow().await;
    let status = rig.hub.ask(|hub| hub.status()).await.unwrap();
    assert_eq!(status.alarms, ["without any address: server.test:80"]);
}

#[tokio::test]
async fn a_load_that_takes_most_away_is_held_until_it_is_confirmed() {
    let mut rig = Rig::new(1, no_names());
    rig.load(stored(&["a", "b", "c", "d"])).await;
    assert_eq!(rig.workers[0].follow().await, 2);
    rig.load(Contents::default()).await;
    rig.workers[0].is_left_alone().await;
    let status = rig.hub.ask(|hub| hub.status()).await.unwrap();
    assert!(status.alarms[0].contains("4 of 4 domains and 1 of 1 upstreams"), "{:?}", status.alarms);
    // A change that comes meanwhile is served at once, and is still there after the confirmation.
    let rule = stored(&["e"]).rules.remove("e");
    let changes = vec![KeyChange::Rule { domain: "e".to_owned(), text: rule }];
    rig.store.send(StoreEvent::Changed { changes, revision: 2 }).await.unwrap();
    assert_eq!(rig.workers[0].follow().await, 3);
    assert_eq!(rig.workers[0].serves().domain_count(), 5);
    rig.hub.ask(|hub| hub.resync(true)).await.unwrap();
    assert_eq!(rig.workers[0].follow().await, 4);
    assert_eq!(rig.workers[0].serves().domain_count(), 1);
    assert!(rig.hub.ask(|hub| hub.held()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_load_that_is_whole_again_ends_the_alarm() {
    let mut rig = Rig::new(1, no_names());
    rig.load(stored(&["a", "b", "c"])).await;
    rig.workers[0].follow().await;
    rig.load(Contents::default()).await;
    assert!(rig.hub.ask(|hub| hub.held()).await.unwrap().is_some());
    rig.load(stored(&["a", "b", "c"])).await;
    assert!(rig.hub.ask(|hub| hub.held()).await.unwrap().is_none());
    rig.workers[0].is_left_alone().await;
}

/// Asks until the alarms are as they should be.
async fn until_alarms(rig: &Rig, right: impl Fn(&[String]) -> bool) {
    let asked = Instant::now();
    while asked.elapsed() < SOON {
        let alarms = rig.hub.ask(|hub| hub.status()).await.unwrap().alarms;
        if right(&alarms) {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("{:?}", rig.hub.ask(|hub| hub.status()).await.unwrap().alarms);
}

fn rules(domains: &[&str], text: impl Fn(&str) -> Option<String>) -> Vec<KeyChange> {
    let rule = |domain: &&str| KeyChange::Rule { domain: (*domain).to_owned(), text: text(domain) };
    domains.iter().map(rule).collect()
}

#[tokio::test]
async fn a_hold_ends_by_itself_when_what_was_lacking_is_back() {
    let mut rig = Rig::new(1, no_names());
    let (all, contents) = (["a", "b", "c", "d", "e", "f"], stored(&["a", "b", "c", "d", "e", "f"]));
    rig.load(contents.clone()).await;
    rig.workers[0].follow().await;
    rig.load(Contents::default()).await;
    until_alarms(&rig, |alarms| alarms.len() == 1 && alarms[0].contains("lacks 6 of 6 domains")).await;
    let mut changes = rules(&all, |domain| contents.rules.get(domain).cloned());
    let server = contents.upstreams["up"].clone().pop_first().unwrap();
    changes.push(KeyChange::Server { upstream: "up".to_owned(), server: server.0, text: Some(server.1) });
    rig.store.send(StoreEvent::Changed { changes, revision: 9 }).await.unwrap();
    until_alarms(&rig, <[String]>::is_empty).await;
    rig.workers[0].is_left_alone().await;
    // And a deletion after it is one of a store that holds everything.
    let changes = rules(&["a"], |_| None);
    rig.store.send(StoreEvent::Changed { changes, revision: 10 }).await.unwrap();
    rig.workers[0].follow().await;
    assert_eq!(rig.hub.ask(|hub| hub.status()).await.unwrap().alarms, [""; 0]);
}

#[tokio::test]
async fn most_domains_removed_key_by_key_are_an_alarm_until_they_are_back_or_confirmed() {
    let mut rig = Rig::new(1, no_names());
    let (most, contents) = (["a", "b", "c", "d"], stored(&["a", "b", "c", "d", "e"]));
    rig.load(contents.clone()).await;
    rig.workers[0].follow().await;
    let gone = || StoreEvent::Changed { changes: rules(&most, |_| None), revision: 2 };
    rig.store.send(gone()).await.unwrap();
    rig.workers[0].follow().await;
    assert_eq!(rig.workers[0].serves().domain_count(), 1, "it is done, and told");
    until_alarms(&rig, |alarms| {
        alarms.len() == 1 && alarms[0].starts_with("4 of 5 domains and 0 of 1 upstreams were removed")
    })
    .await;
    let back = rules(&most, |domain| contents.rules.get(domain).cloned());
    rig.store.send(StoreEvent::Changed { changes: back, revision: 3 }).await.unwrap();
    rig.workers[0].follow().await;
    until_alarms(&rig, <[String]>::is_empty).await;

    rig.store.send(gone()).await.unwrap();
    rig.workers[0].follow().await;
    until_alarms(&rig, |alarms| alarms.len() == 1).await;
    rig.hub.ask(|hub| hub.resync(true)).await.unwrap();
    assert_eq!(rig.hub.ask(|hub| hub.status()).await.unwrap().alarms, [""; 0]);
}

#[tokio::test]
async fn rejected_keys_are_counted_in_every_answer_and_not_their_events() {
    let mut rig = Rig::new(1, no_names());
    rig.load(stored(&["a", "b"])).await;
    rig.workers[0].follow().await;
    for (nth, domain) in (0..).zip(["a", "b", "a", "a"]) {
        let changes = rules(&[domain], |_| Some(format!("{{ {nth}")));
        rig.store.send(StoreEvent::Changed { changes, revision: 2 + nth }).await.unwrap();
    }
    until_alarms(&rig, |alarms| {
        alarms == ["2 keys of the store are rejected; GET /__erulb__/rejected says why"]
    })
    .await;
    let contents = stored(&["a", "b"]);
    let changes = rules(&["a", "b"], |domain| contents.rules.get(domain).cloned());
    rig.store.send(StoreEvent::Changed { changes, revision: 9 }).await.unwrap();
    until_alarms(&rig, <[String]>::is_empty).await;
}

#[tokio::test]
async fn a_state_file_that_cannot_be_written_is_an_alarm() {
    let rig = Rig::new(1, no_names());
    rig.hub.ask(|hub| hub.state_file(Some("no space".to_owned()))).await.unwrap();
    assert_eq!(rig.hub.ask(|hub| hub.status()).await.unwrap().alarms, ["no space"]);
    rig.hub.ask(|hub| hub.state_file(None)).await.unwrap();
    assert_eq!(rig.hub.ask(|hub| hub.status()).await.unwrap().alarms, [""; 0]);
}
