//! Dumps between the hub and a store that the test plays: what is written, who shares one, who is told what.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::control::changes::Via;
use crate::control::hub::Hub;
use crate::control::replies::Made;
use crate::control::store::StoreEvent;
use crate::control::tests::{Rig, SOON, no_names, put_upstream, stored};
use crate::control::wish::Wish;
use crate::model::Edit;

type Asked = JoinHandle<Result<i64, DumpError>>;

/// Asks for a dump of what is named, within `within`.
fn ask(rig: &Rig, named: Named, within: Duration) -> Asked {
    let hub = rig.hub.clone();
    tokio::spawn(async move {
        let awaited = hub.ask(|hub| hub.dump(named)).await.unwrap();
        hub.dumped(awaited, within).await
    })
}

/// Makes a change and asks for it to be dumped, in one turn of the hub.
async fn edit(rig: &Rig, edit: Edit) -> Asked {
    let hub = rig.hub.clone();
    let prepared = hub.prepare(edit).await.unwrap().unwrap();
    let wish = Wish { is_dumped: true, ..Wish::of(Via::Api.by_nobody()) };
    let changed = move |hub: &mut Hub, now| hub.change(prepared, BTreeMap::new(), &wish, now);
    let Ok(Made::Accepted(_, Some(awaited))) = hub.ask_now(changed).await.unwrap() else {
        panic!("a dump that is awaited")
    };
    tokio::spawn(async move { hub.dumped(awaited, SOON).await })
}

/// All domains with their rule sets.
async fn served(rig: &Rig) -> String {
    format!("{:?}", rig.hub.ask(|hub| hub.domain_texts()).await.unwrap()).replace('\\', "")
}

fn servers(upstream: &str, servers: serde_json::Value) -> Edit {
    Edit::PutUpstreams(json!({upstream: servers}).as_object().unwrap().clone())
}

fn server(upstream: &str, server: &str, text: Option<&str>) -> KeyChange {
    let (upstream, server) = (upstream.to_owned(), server.to_owned());
    KeyChange::Server { upstream, server, text: text.map(str::to_owned) }
}

fn rule(domain: &str, text: Option<&str>) -> KeyChange {
    KeyChange::Rule { domain: domain.to_owned(), text: text.map(str::to_owned) }
}

fn names(writes: &[KeyWrite]) -> Vec<String> {
    writes.iter().map(|write| write.wanted.name()).collect()
}

async fn unsaved(rig: &Rig) -> usize {
    rig.hub.ask(|hub| hub.status()).await.unwrap().unsaved
}

async fn ends(asked: Asked) -> Result<i64, DumpError> {
    timeout(SOON, asked).await.unwrap().unwrap()
}

/// A rig whose store holds some domains and `up/127.0.0.1:81`.
async fn rig() -> Rig {
    let rig = Rig::obedient();
    rig.load(stored(&["a", "b", "c", "d"])).await;
    rig
}

#[tokio::test]
async fn a_dump_writes_what_was_edited_and_nothing_else() {
    let mut rig = rig().await;
    rig.edit(put_upstream("new", &["127.0.0.1:1"])).await;
    rig.edit(Edit::DeleteDomains(vec!["b".to_owned()])).await;
    let dump = ask(&rig, Named::all(), SOON);
    let writes = rig.told_to_dump().await;
    assert_eq!(names(&writes), ["upstreams/new/127.0.0.1:1", "rules/b"]);
    assert_eq!(writes[1].read, stored(&["b"]).rules.remove("b"));
    rig.wrote(&writes, 9).await;
    assert_eq!((ends(dump).await, unsaved(&rig).await), (Ok(9), 0));
    // Nothing is left to write, so the store is not even asked.
    assert_eq!(ends(ask(&rig, Named::all(), SOON)).await, Ok(9));
}

#[tokio::test]
async fn what_the_store_says_during_a_dump_is_served_at_once() {
    let mut rig = Rig::new(1, no_names());
    rig.load(stored(&["a"])).await;
    rig.workers[0].follow().await;
    let dump = edit(&rig, put_upstream("new", &["127.0.0.1:1"])).await;
    rig.workers[0].follow().await;
    let writes = rig.told_to_dump().await;
    rig.changes(vec![server("other", "127.0.0.1:2", Some(""))], 8).await;
    rig.workers[0].follow().await;
    assert!(rig.workers[0].serves().upstream_named("other").is_some());
    rig.wrote(&writes, 9).await;
    assert_eq!(ends(dump).await, Ok(9));
}

#[tokio::test]
async fn the_echo_of_a_dump_does_not_undo_what_was_edited_meanwhile() {
    for echo_first in [true, false] {
        let mut rig = rig().await;
        let first = edit(&rig, servers("up", json!({"127.0.0.1:81": "weight=2"}))).await;
        let writes = rig.told_to_dump().await;
        // Another edit of the same key; and one that says again what the store held before.
        let second = edit(&rig, servers("up", json!({"127.0.0.1:81": ""}))).await;
        let echo = vec![server("up", "127.0.0.1:81", Some("weight=2 max_fails=1 fail_timeout=10"))];
        if echo_first {
            rig.changes(echo, 9).await;
            rig.dumped(Ok(Dumped { revision: 9, ..Dumped::default() })).await;
        } else {
            rig.wrote(&writes, 9).await;
        }
        assert_eq!(ends(first).await, Ok(9));
        let writes = rig.told_to_dump().await;
        assert_eq!(writes[0].read.as_deref(), Some("weight=2 max_fails=1 fail_timeout=10"));
        assert_eq!(writes[0].wanted.text(), Some("weight=1 max_fails=1 fail_timeout=10"));
        rig.wrote(&writes, 10).await;
        assert_eq!((ends(second).await, unsaved(&rig).await), (Ok(10), 0));
    }
}

#[tokio::test]
async fn those_who_ask_during_a_dump_share_the_next() {
    let mut rig = rig().await;
    let first = edit(&rig, put_upstream("x0", &["127.0.0.1:1"])).await;
    let writes = rig.told_to_dump().await;
    let mut others = Vec::new();
    for number in 1..100 {
        others.push(edit(&rig, put_upstream(&format!("x{number}"), &["127.0.0.1:1"])).await);
    }
    assert!(rig.commands.try_recv().is_err(), "one at a time");
    rig.wrote(&writes, 9).await;
    assert_eq!(ends(first).await, Ok(9));
    let writes = rig.told_to_dump().await;
    assert_eq!(writes.len(), 99);
    rig.wrote(&writes, 10).await;
    for other in others {
        assert_eq!(ends(other).await, Ok(10));
    }
}

#[tokio::test]
async fn an_edit_that_gave_way_is_told_to_whoever_waits_for_it_and_to_nobody_else() {
    let mut rig = rig().await;
    let before = edit(&rig, put_upstream("new", &["127.0.0.1:1"])).await;
    let writes = rig.told_to_dump().await;
    // These two share a dump, and the last one has the next.
    let mine = edit(&rig, Edit::DeleteDomains(vec!["a".to_owned()])).await;
    let beside = edit(&rig, Edit::DeleteDomains(vec!["c".to_owned()])).await;
    rig.wrote(&writes, 7).await;
    assert_eq!(ends(before).await, Ok(7));
    let writes = rig.told_to_dump().await;
    let other = edit(&rig, Edit::DeleteDomains(vec!["b".to_owned()])).await;
    // The store held something else of one than what was read.
    let conflicts = vec![rule("a", None)];
    rig.dumped(Ok(Dumped { revision: 9, conflicts, ..Dumped::default() })).await;
    let later = stored(&["a"]).rules.remove("a").unwrap().replace("up", "later");
    rig.changes(vec![rule("a", Some(&later)), rule("c", None)], 9).await;
    assert_eq!(names(&writes), ["rules/a", "rules/c"]);
    assert_eq!(ends(mine).await, Err(DumpError::GaveWay(vec!["rules/a".to_owned()])));
    assert_eq!(ends(beside).await, Ok(9));
    let writes = rig.told_to_dump().await;
    assert_eq!(names(&writes), ["rules/b"]);
    rig.wrote(&writes, 10).await;
    assert_eq!(ends(other).await, Ok(10));
    let domains = served(&rig).await;
    assert!(domains.contains("later") && !domains.contains(r#""b""#), "{domains}");
}

#[tokio::test]
async fn an_edit_that_gives_way_before_its_dump_begins_is_told_too() {
    let mut rig = rig().await;
    let first = edit(&rig, put_upstream("new", &["127.0.0.1:1"])).await;
    let writes = rig.told_to_dump().await;
    let mine = edit(&rig, Edit::DeleteDomains(vec!["a".to_owned()])).await;
    let later = stored(&["a"]).rules.remove("a").unwrap().replace("up", "later");
    rig.changes(vec![rule("a", Some(&later))], 8).await;
    rig.wrote(&writes, 9).await;
    assert_eq!(ends(first).await, Ok(9));
    let writes = rig.told_to_dump().await;
    assert!(writes.iter().all(KeyWrite::is_check), "{writes:?}");
    rig.dumped(Ok(Dumped { revision: 9, ..Dumped::default() })).await;
    assert_eq!(ends(mine).await, Err(DumpError::GaveWay(vec!["rules/a".to_owned()])));
}

/// A change that changes nothing here is still promised to be in the store.
#[tokio::test]
async fn what_is_said_again_is_looked_at() {
    let mut rig = rig().await;
    let mine = edit(&rig, servers("up", json!({"127.0.0.1:81": ""}))).await;
    let writes = rig.told_to_dump().await;
    assert!(writes.len() == 1 && writes[0].is_check());
    let conflicts = vec![writes[0].wanted.clone()];
    rig.dumped(Ok(Dumped { revision: 9, conflicts, ..Dumped::default() })).await;
    rig.changes(vec![server("up", "127.0.0.1:81", Some("weight=3"))], 8).await;
    let told = DumpError::GaveWay(vec!["upstreams/up/127.0.0.1:81".to_owned()]);
    assert_eq!(ends(mine).await, Err(told));
}

#[tokio::test]
async fn a_value_that_nobody_can_read_does_not_take_the_place_of_an_edit() {
    let mut rig = rig().await;
    let mine = edit(&rig, Edit::DeleteDomains(vec!["a".to_owned()])).await;
    rig.told_to_dump().await;
    let conflicts = vec![rule("a", None)];
    rig.dumped(Ok(Dumped { revision: 9, conflicts, ..Dumped::default() })).await;
    rig.changes(vec![rule("a", Some("{"))], 8).await;
    let writes = rig.told_to_dump().await;
    assert_eq!(writes[0].read.as_deref(), Some("{"), "now it is known what is there");
    rig.wrote(&writes, 10).await;
    assert_eq!(ends(mine).await, Ok(10));
}

#[tokio::test]
async fn a_dump_that_fails_keeps_the_edits_and_what_was_sent_stays_in_doubt() {
    let mut rig = Rig::obedient();
    rig.edit(put_upstream("up", &["127.0.0.1:1"])).await;
    // What the store holds is not known yet.
    assert_eq!(ends(ask(&rig, Named::all(), SOON)).await, Err(DumpError::Unread));
    rig.load(Contents::default()).await;
    let dump = ask(&rig, Named::all(), SOON);
    rig.told_to_dump().await;
    rig.dumped(Err("no".to_owned())).await;
    assert_eq!((ends(dump).await, unsaved(&rig).await), (Err(DumpError::Failed("no".to_owned())), 1));
    // It was carried out all the same, and its echo is no newer than the edit made since.
    rig.edit(servers("up", json!({"127.0.0.1:1": "weight=7"}))).await;
    let echo = server("up", "127.0.0.1:1", Some("weight=1 max_fails=1 fail_timeout=10"));
    rig.changes(vec![echo], 3).await;
    let dump = ask(&rig, Named::all(), SOON);
    let writes = rig.told_to_dump().await;
    assert_eq!(writes[0].wanted.text(), Some("weight=7 max_fails=1 fail_timeout=10"));
    rig.wrote(&writes, 4).await;
    assert_eq!((ends(dump).await, unsaved(&rig).await), (Ok(4), 0));
}

#[tokio::test]
async fn what_is_in_doubt_is_written_again_even_if_it_is_taken_back() {
    let mut rig = rig().await;
    let dump = edit(&rig, servers("up", json!({"127.0.0.1:81": "weight=2"}))).await;
    rig.told_to_dump().await;
    rig.dumped(Err("no answer".to_owned())).await;
    assert!(ends(dump).await.is_err());
    let dump = edit(&rig, servers("up", json!({"127.0.0.1:81": ""}))).await;
    let writes = rig.told_to_dump().await;
    assert!(
        writes[0].doubtful && writes[0].read.as_deref() == Some("") && writes[0].wanted.text() == Some("")
    );
    rig.wrote(&writes, 4).await;
    assert_eq!((ends(dump).await, unsaved(&rig).await), (Ok(4), 0));
}

#[tokio::test]
async fn a_late_dump_goes_on_and_still_counts() {
    let mut rig = rig().await;
    rig.edit(put_upstream("new", &["127.0.0.1:1"])).await;
    assert_eq!(ends(ask(&rig, Named::all(), Duration::ZERO)).await, Err(DumpError::Late));
    let writes = rig.told_to_dump().await;
    rig.wrote(&writes, 3).await;
    assert_eq!((ends(ask(&rig, Named::all(), SOON)).await, unsaved(&rig).await), (Ok(3), 0));
}

#[tokio::test]
async fn a_dump_may_take_longer_the_more_it_writes() {
    let rig = rig().await;
    let small = rig.hub.ask(|hub| hub.dump(Named::all()).longer).await.unwrap();
    let text: serde_json::Value = serde_json::from_str(&stored(&["a"]).rules["a"]).unwrap();
    let domains = (0..2000).map(|number| (format!("d{number}"), text.clone())).collect();
    rig.edit(Edit::PutDomains(domains)).await;
    let large = rig.hub.ask(|hub| hub.dump(Named::all()).longer).await.unwrap();
    assert!(small < Duration::from_millis(10) && large >= Duration::from_secs(2), "{small:?} {large:?}");
}

#[tokio::test]
async fn what_a_wiped_store_lacks_is_restored_by_whoever_asks_for_all() {
    let mut rig = rig().await;
    // The store was wiped, and somebody has begun to fill it again.
    let mut wiped = stored(&["d"]);
    wiped.rules.insert("other".to_owned(), wiped.rules["d"].clone());
    wiped.upstreams.clear();
    rig.load(wiped.clone()).await;
    assert!(rig.hub.ask(|hub| hub.held()).await.unwrap().is_some());
    // A change of one key writes that key.
    let one = edit(&rig, put_upstream("new", &["127.0.0.1:1"])).await;
    let writes = rig.told_to_dump().await;
    assert_eq!(names(&writes), ["upstreams/new/127.0.0.1:1"]);
    rig.wrote(&writes, 5).await;
    assert_eq!(ends(one).await, Ok(5));
    let all = ask(&rig, Named::all(), SOON);
    let writes = rig.told_to_dump().await;
    assert_eq!(names(&writes), ["upstreams/up/127.0.0.1:81", "rules/a", "rules/b", "rules/c"]);
    assert!(writes.iter().all(|write| write.read.is_none()), "only where nothing is");
    assert_eq!(writes[0].wanted.text(), Some(""), "as it stood there");
    rig.wrote(&writes, 6).await;
    assert_eq!(ends(all).await, Ok(6));
    let domains = served(&rig).await;
    assert!(domains.contains("other"), "what the others wrote is served: {domains}");
}

/// Said again while the store lacks it, a change is written though it changes nothing that is served.
#[tokio::test]
async fn what_is_said_again_while_the_store_lacks_it_is_written() {
    let mut rig = rig().await;
    rig.load(Contents::default()).await;
    let mine = edit(&rig, servers("up", json!({"127.0.0.1:81": ""}))).await;
    let writes = rig.told_to_dump().await;
    assert_eq!((writes[0].read.as_deref(), writes[0].wanted.text()), (None, Some("")));
    rig.wrote(&writes, 5).await;
    assert_eq!(ends(mine).await, Ok(5));
}

#[tokio::test]
async fn what_the_store_refuses_is_told_to_whoever_put_it() {
    let mut rig = rig().await;
    let bad = edit(&rig, put_upstream("bad", &["127.0.0.1:1"])).await;
    let writes = rig.told_to_dump().await;
    let refused = vec![(writes[0].wanted.name(), "too large".to_owned())];
    rig.dumped(Ok(Dumped { revision: 4, refused: refused.clone(), ..Dumped::default() })).await;
    let told = DumpError::Failed("upstreams/bad/127.0.0.1:1: too large".to_owned());
    assert_eq!(ends(bad).await, Err(told));
    // It is still an edit, and stands in nobody's way.
    let good = edit(&rig, put_upstream("good", &["127.0.0.1:1"])).await;
    let writes = rig.told_to_dump().await;
    let echo = vec![server("good", "127.0.0.1:1", writes[1].wanted.text())];
    rig.dumped(Ok(Dumped { revision: 5, refused, ..Dumped::default() })).await;
    rig.changes(echo, 5).await;
    assert_eq!(ends(good).await, Ok(5));
}

#[tokio::test]
async fn a_store_that_is_lost_or_read_anew_does_not_hold_a_dump() {
    for lost in [true, false] {
        let mut rig = rig().await;
        let dump = edit(&rig, put_upstream("new", &["127.0.0.1:1"])).await;
        let writes = rig.told_to_dump().await;
        rig.dumped(Ok(Dumped { revision: 9, ..Dumped::default() })).await;
        if lost {
            rig.store.send(StoreEvent::Down { reason: "gone".to_owned() }).await.unwrap();
        } else {
            let mut contents = stored(&["a", "b", "c", "d"]);
            contents.apply(writes[0].wanted.clone());
            rig.load(contents).await;
        }
        assert_eq!(ends(dump).await, Ok(9));
        assert_eq!(unsaved(&rig).await, usize::from(lost), "if it was lost, nothing was heard");
    }
}
