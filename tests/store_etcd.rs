//! The etcd store against a real etcd: what it reports while etcd is written, compacted, wiped, killed and frozen.
//!
//! Every wait is for an event and has a deadline. Dumps are in `store_etcd_dump`.

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

use elb::control::store::{EVENTS, Pulse, StoreCommand, StoreEvent};
use etcd_client::{CompactionOptions, Txn, TxnOp};

use etcd::{Etcd, Mode};
use watcher::{Watcher, logged, options, rule, server};

in_each_mode! {
    async
    what_is_there_is_loaded
    an_empty_etcd_is_loaded_too
    changes_are_reported_as_they_come
    what_one_transaction_writes_is_one_change
    a_value_that_is_no_text_is_reported_as_one_that_nobody_accepts
    a_server_under_a_lease_goes_when_the_lease_does
    a_large_store_is_read_in_pages_of_one_revision
    pages_shrink_until_they_fit
    a_compaction_while_we_were_away_loses_nothing
    a_compaction_under_a_running_watch_is_survived
    a_wiped_etcd_is_seen_as_what_it_is
    down_is_reported_once_and_etcd_is_found_again
    a_start_without_etcd_waits_for_it
    a_link_that_died_in_silence_is_noticed
    a_dead_endpoint_is_passed_over
    endpoints_that_hang_are_not_waited_for
    a_resync_reports_a_store_that_is_still_down
    a_resync_loads_again
    the_store_ends_with_its_handle
    what_is_written_between_a_list_and_its_watch_is_not_lost
}

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3600);

async fn what_is_there_is_loaded(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut client = etcd.client().await;
    for (key, value) in [
        ("/ELB/rules/a.com", r#"{"default":"r1"}"#),
        ("/ELB/rules/a.com/with/slashes", "{}"),
        ("/ELB/upstreams/up/127.0.0.1:80", "weight=3"),
        ("/ELB/upstreams/up/unix:/run/app.sock", ""),
        ("/ELB/@nodes/1", "alive"),
        ("/ELB/rules/@note", "ours"),
        ("/ELB/upstreams/forgotten", "no server"),
        ("/ELB2/rules/other.com", "{}"),
    ] {
        client.put(key, value, None).await.unwrap();
    }
    let mut watcher = Watcher::start(options(&etcd));
    let (contents, revision) = watcher.loaded().await;
    assert_eq!(revision, 9, "etcd begins at revision 1");
    let rules: Vec<(&str, &str)> = contents.rules.iter().map(|(d, t)| (d.as_str(), t.as_str())).collect();
    assert_eq!(rules, [("a.com", r#"{"default":"r1"}"#), ("a.com/with/slashes", "{}")]);
    assert_eq!(contents.upstreams.len(), 1);
    assert_eq!(contents.upstreams["up"]["127.0.0.1:80"], "weight=3");
    assert_eq!(contents.upstreams["up"]["unix:/run/app.sock"], "");
}

async fn an_empty_etcd_is_loaded_too(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut watcher = Watcher::start(options(&etcd));
    assert_eq!(watcher.loaded().await, (elb::model::Contents::default(), 1));
}

async fn changes_are_reported_as_they_come(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut client = etcd.client().await;
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    client.put("/ELB/rules/a.com", "{}", None).await.unwrap();
    assert_eq!(watcher.changed().await, (vec![rule("a.com", Some("{}"))], 2));
    client.put("/ELB/upstreams/up/s:1", "", None).await.unwrap();
    assert_eq!(watcher.changed().await, (vec![server("up", "s:1", Some(""))], 3));
    client.put("/ELB/@nodes/1", "not data", None).await.unwrap();
    client.delete("/ELB/rules/a.com", None).await.unwrap();
    assert_eq!(watcher.changed().await, (vec![rule("a.com", None)], 5));
}

async fn what_one_transaction_writes_is_one_change(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut client = etcd.client().await;
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    let writes = [TxnOp::put("/ELB/rules/a.com", "{}", None), TxnOp::put("/ELB/upstreams/up/s:1", "", None)];
    client.txn(Txn::new().and_then(writes)).await.unwrap();
    let (changes, revision) = watcher.changed().await;
    assert_eq!(changes, [rule("a.com", Some("{}")), server("up", "s:1", Some(""))]);
    assert_eq!(revision, 2);
}

async fn a_value_that_is_no_text_is_reported_as_one_that_nobody_accepts(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut client = etcd.client().await;
    client.put("/ELB/rules/a.com", b"{\"default\":\"\xff\"}".to_vec(), None).await.unwrap();
    let mut watcher = Watcher::start(options(&etcd));
    let (contents, _) = watcher.loaded().await;
    assert!(contents.rules["a.com"].ends_with("not UTF-8 at byte 12"), "{:?}", contents.rules);
}

async fn a_server_under_a_lease_goes_when_the_lease_does(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut client = etcd.client().await;
    let lease = client.lease_grant(60, None).await.unwrap().id();
    let under = etcd_client::PutOptions::new().with_lease(lease);
    client.put("/ELB/upstreams/up/s:1", "", Some(under)).await.unwrap();
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    client.lease_revoke(lease).await.unwrap();
    assert_eq!(watcher.changed().await.0, [server("up", "s:1", None)]);
}

/// More than the 4 MiB that a client takes by default, and more keys than a page.
async fn a_large_store_is_read_in_pages_of_one_revision(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut client = etcd.client().await;
    let text = "x".repeat(10 * 1024);
    for batch in 0..12 {
        let writes: Vec<TxnOp> = (batch * 100..batch * 100 + 100)
            .map(|number| TxnOp::put(format!("/ELB/rules/d{number:04}"), text.as_str(), None))
            .collect();
        client.txn(Txn::new().and_then(writes)).await.unwrap();
    }
    let mut watcher = Watcher::start(options(&etcd));
    let (contents, revision) = watcher.loaded().await;
    assert_eq!((contents.rules.len(), revision), (1200, 13));
    assert!(contents.rules.values().all(|read| *read == text));
}

/// 100 values of 700 KiB are more than one answer may hold, so the pages have to become smaller.
async fn pages_shrink_until_they_fit(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut client = etcd.client().await;
    let text = "x".repeat(700 * 1024);
    for number in 0..100 {
        client.put(format!("/ELB/rules/d{number:04}"), text.as_str(), None).await.unwrap();
    }
    let mut patient = options(&etcd);
    patient.request_timeout = HOUR;
    let mut watcher = Watcher::start(patient);
    assert_eq!(watcher.loaded().await.0.rules.len(), 100);
}

/// etcd is killed, written and compacted behind our back; the history we would need is gone.
async fn a_compaction_while_we_were_away_loses_nothing(mode: Mode) {
    let Some(mut etcd) = Etcd::start_in(mode) else { return };
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    etcd.stop();
    watcher.down().await;
    etcd.restart();
    let mut client = etcd.client().await;
    let mut last = 0;
    for text in ["1", "2", "3"] {
        last = client.put("/ELB/rules/a.com", text, None).await.unwrap().header().unwrap().revision();
    }
    client.compact(last, Some(CompactionOptions::new().with_physical())).await.unwrap();
    watcher.until_rule("a.com", Some("3")).await;
    client.put("/ELB/rules/a.com", "4", None).await.unwrap();
    watcher.until_rule("a.com", Some("4")).await;
}

/// The control loop does not take its events, so the watch is not read and falls behind until what it would have to
/// deliver is compacted. etcd cancels it then and says nothing more on its stream.
///
/// On a busy machine etcd or this thread may stand still for so long that the watch ends for want of a sign of life. The
/// load after that is not the one that the compaction causes; and if the watch ends so at the very moment, the whole is
/// done again.
async fn a_compaction_under_a_running_watch_is_survived(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut client = etcd.client().await;
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    let mut round = 0;
    while !logged().contains("canceled: compacted up to revision") {
        round += 1;
        assert!(round <= 5, "{}", logged());
        let last = fall_behind(&watcher, &mut client, round).await;
        client.compact(last, None).await.unwrap();
        while !matches!(watcher.event().await, StoreEvent::Loaded { revision, .. } if revision >= last) {}
        watcher.until_rule("a.com", Some(&format!("{round}.1199"))).await;
    }
    client.put("/ELB/rules/a.com", "after", None).await.unwrap();
    watcher.until_rule("a.com", Some("after")).await;
}

/// Writes until the watch is far behind; gives the last revision, whose text is `{round}.1199`.
async fn fall_behind(watcher: &Watcher, client: &mut etcd_client::Client, round: u32) -> i64 {
    while watcher.handle.events.len() < EVENTS {
        client.put("/ELB/rules/a.com", "small", None).await.unwrap();
    }
    // Enough to fill the windows of the connection, then enough messages to fill etcd's queue for a watch.
    let large = "x".repeat(256 * 1024);
    for _ in 0..32 {
        client.put("/ELB/rules/a.com", large.as_str(), None).await.unwrap();
    }
    let mut revision = 0;
    for number in 0..1200 {
        let put = client.put("/ELB/rules/a.com", format!("{round}.{number}"), None).await.unwrap();
        revision = put.header().unwrap().revision();
    }
    revision
}

async fn a_wiped_etcd_is_seen_as_what_it_is(mode: Mode) {
    let Some(mut etcd) = Etcd::start_in(mode) else { return };
    let mut client = etcd.client().await;
    for _ in 0..20 {
        client.put("/ELB/rules/old.com", "{}", None).await.unwrap();
    }
    let mut watcher = Watcher::start(options(&etcd));
    assert_eq!(watcher.loaded().await.1, 21);
    etcd.wipe();
    // Its revision is far behind ours: a watch from ours on would be silent for ever.
    watcher.until_rule("old.com", None).await;
    assert!(logged().contains("went backwards: it was wiped or restored"), "{}", logged());
    etcd.client().await.put("/ELB/rules/new.com", "{}", None).await.unwrap();
    watcher.until_rule("new.com", Some("{}")).await;
}

async fn down_is_reported_once_and_etcd_is_found_again(mode: Mode) {
    let Some(mut etcd) = Etcd::start_in(mode) else { return };
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    etcd.stop();
    let reason = watcher.down().await;
    assert!(reason.contains("127.0.0.1") && reason.contains("refused"), "{reason}");
    etcd.restart();
    let event = watcher.event().await;
    assert!(matches!(event, StoreEvent::Loaded { .. }), "Down comes once, then {event:?}");
    assert_eq!(logged().matches("cannot be reached").count(), 1, "{}", logged());
    etcd.client().await.put("/ELB/rules/a.com", "{}", None).await.unwrap();
    watcher.until_rule("a.com", Some("{}")).await;
}

async fn a_start_without_etcd_waits_for_it(mode: Mode) {
    let Some(mut etcd) = Etcd::start_in(mode) else { return };
    etcd.stop();
    let mut watcher = Watcher::start(options(&etcd));
    watcher.down().await;
    etcd.restart();
    watcher.loaded().await;
}

/// A process that is stopped keeps its connections open and answers nothing: only our own questions find that out.
async fn a_link_that_died_in_silence_is_noticed(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut quick = options(&etcd);
    quick.pulse = Pulse { every: Duration::from_millis(200), silence: Duration::from_millis(500) };
    quick.connect_timeout = Duration::from_millis(500);
    quick.request_timeout = Duration::from_millis(500);
    let mut watcher = Watcher::start(quick);
    watcher.loaded().await;
    let began = Instant::now();
    etcd.pause();
    watcher.down().await;
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    etcd.resume();
    watcher.loaded().await;
    etcd.client().await.put("/ELB/rules/a.com", "{}", None).await.unwrap();
    watcher.until_rule("a.com", Some("{}")).await;
}

async fn a_dead_endpoint_is_passed_over(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut both = options(&etcd);
    both.endpoints.insert(0, etcd.scheme_of(&dead.to_string()));
    let mut watcher = Watcher::start(both);
    watcher.loaded().await;
    etcd.client().await.put("/ELB/rules/a.com", "{}", None).await.unwrap();
    assert_eq!(watcher.changed().await.0, [rule("a.com", Some("{}"))]);
}

/// Endpoints that take a connection and never answer, before one that is well. Nothing here ends by a timeout.
async fn endpoints_that_hang_are_not_waited_for(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let hung: Vec<_> = (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let mut patient = options(&etcd);
    let addresses = hung.iter().map(|one| etcd.scheme_of(&one.local_addr().unwrap().to_string()));
    patient.endpoints = addresses.chain([etcd.endpoint()]).collect();
    (patient.connect_timeout, patient.request_timeout) = (HOUR, HOUR);
    let mut watcher = Watcher::start(patient);
    watcher.loaded().await;
    etcd.client().await.put("/ELB/rules/a.com", "{}", None).await.unwrap();
    assert_eq!(watcher.changed().await.0, [rule("a.com", Some("{}"))]);
}

/// Whoever asks for a new load hears each time why there is none, though the log hears it once.
async fn a_resync_reports_a_store_that_is_still_down(mode: Mode) {
    let Some(mut etcd) = Etcd::start_in(mode) else { return };
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    etcd.stop();
    watcher.down().await;
    for _ in 0..2 {
        watcher.handle.commands.send(StoreCommand::Resync).await.unwrap();
        assert!(watcher.down().await.contains("refused"));
    }
    assert_eq!(logged().matches("cannot be reached").count(), 1, "{}", logged());
}

async fn a_resync_loads_again(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut watcher = Watcher::start(options(&etcd));
    let first = watcher.loaded().await;
    watcher.handle.commands.send(StoreCommand::Resync).await.unwrap();
    assert_eq!(watcher.loaded().await, first);
}

async fn the_store_ends_with_its_handle(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    drop(watcher.handle.commands);
    let end = tokio::time::timeout(Duration::from_secs(5), watcher.handle.events.recv()).await;
    assert!(end.unwrap().is_none());
}

/// Somebody writes without end while all is listed again and again: what is written between a list and its watch is in one of
/// both. Every key is written once, so one that is lost stays lost.
async fn what_is_written_between_a_list_and_its_watch_is_not_lost(mode: Mode) {
    let Some(etcd) = Etcd::start_in(mode) else { return };
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    let mut client = etcd.client().await;
    let write = async {
        for number in 0..600 {
            client.put(format!("/ELB/rules/d{number}"), "{}", None).await.unwrap();
        }
        client.put("/ELB/rules/last", "{}", None).await.unwrap();
    };
    let follow = async {
        let mut loads = 0;
        while !watcher.contents.rules.contains_key("last") {
            if let StoreEvent::Changed { .. } = watcher.event().await {
                loads += 1;
                watcher.handle.commands.send(StoreCommand::Resync).await.unwrap();
            }
        }
        loads
    };
    let ((), loads) = tokio::join!(write, follow);
    assert!(loads >= 5, "only {loads} lists");
    assert_eq!(watcher.contents.rules.len(), 601);
}

/// What etcd and its client do to a follower, each with the tests that show that it does no harm, in every mode unless it is
/// said why not. The first word of a test is its file.
const TRAPS: &[(&str, &[&str])] = &[
    (
        "a connection that is well is none before it has answered",
        &["store_etcd::a_start_without_etcd_waits_for_it"],
    ),
    (
        "a client over several endpoints does not pass over one that is down",
        &["store_etcd::a_dead_endpoint_is_passed_over"],
    ),
    (
        "a compacted watch is canceled, and silent from then on",
        &[
            "store_etcd::a_compaction_under_a_running_watch_is_survived",
            "store_etcd::a_compaction_while_we_were_away_loses_nothing",
        ],
    ),
    (
        "a wiped or restored etcd is silent to a watch of its future",
        &[
            "store_etcd::a_wiped_etcd_is_seen_as_what_it_is",
            "e2e/writers::a_wiped_store_is_restored_by_a_dump_and_then_completely",
        ],
    ),
    ("a dead link is silent", &["store_etcd::a_link_that_died_in_silence_is_noticed"]),
    (
        "writes between list and watch",
        &["store_etcd::what_is_written_between_a_list_and_its_watch_is_not_lost"],
    ),
    ("a login ends; alone with users", &["store_etcd_dump::users_and_their_short_logins"]),
    (
        "the users change, which ends all logins; alone with users",
        &["store_etcd_dump::users_and_their_short_logins"],
    ),
    (
        "who may only read; alone with users",
        &[
            "store_etcd_tls::who_may_only_read_is_told_at_a_dump",
            "e2e/fleet::who_may_only_read_serves_and_says_once_that_others_do_not_see_it",
        ],
    ),
    (
        "answers, values and transactions have bounds",
        &[
            "store_etcd::a_large_store_is_read_in_pages_of_one_revision",
            "store_etcd::pages_shrink_until_they_fit",
            "store_etcd_dump::a_large_object_holds_up_no_other",
            "store_etcd_dump::several_objects_that_fit_one_by_one_are_written_to_an_etcd_with_a_small_limit",
        ],
    ),
    (
        "a dump undoes nothing of others, and may be cut anywhere",
        &[
            "store_etcd_dump::a_dump_writes_the_difference_and_nothing_else",
            "store_etcd_dump::a_large_dump_goes_in_an_order_that_may_be_cut_anywhere",
            "store_etcd_dump::a_key_that_somebody_else_changes_is_not_overwritten_unseen",
            "store_etcd_dump::a_conflict_holds_up_no_other_key",
            "store_etcd_dump::a_dump_without_etcd_is_answered_soon",
            "e2e/writers::two_elbs_that_change_one_key_at_once_are_told_who_was_first",
        ],
    ),
    (
        "a wiped etcd and a restart in one",
        &["e2e/restart::a_store_that_was_wiped_while_elb_was_away_is_held_against_the_state_file"],
    ),
    (
        "endpoints that hang",
        &[
            "store_etcd::endpoints_that_hang_are_not_waited_for",
            "e2e/alarms::endpoints_of_etcd_that_hang_cost_no_request_at_the_start",
        ],
    ),
    (
        "one bad key",
        &[
            "store_etcd::a_value_that_is_no_text_is_reported_as_one_that_nobody_accepts",
            "e2e/faults::a_broken_key_in_etcd_hides_nothing_else_and_keeps_its_last_good_value",
            "e2e/restart::a_good_value_that_was_overwritten_by_a_bad_one_serves_in_the_next_life_too",
        ],
    ),
    ("an empty answer", &["e2e/alarms::a_hold_ends_when_everything_was_put_back"]),
    ("a log that fills the disk", &["store_etcd::down_is_reported_once_and_etcd_is_found_again"]),
    (
        "a start without etcd, and traffic without it",
        &[
            "e2e/faults::without_etcd_it_starts_says_so_and_keeps_trying",
            "e2e/faults::without_etcd_the_last_good_state_serves",
            "e2e/faults::traffic_does_not_notice_that_etcd_is_gone_and_changes_flow_again_with_it",
        ],
    ),
    ("many changes at once", &["store_etcd::what_one_transaction_writes_is_one_change"]),
    (
        "leases",
        &[
            "store_etcd::a_server_under_a_lease_goes_when_the_lease_does",
            "store_etcd_dump::a_server_that_registered_under_a_lease_stays_under_it",
            "store_etcd_dump::a_lease_that_ended_does_not_come_back",
        ],
    ),
    (
        "the fleet",
        &[
            "e2e/fleet::two_on_one_etcd_converge_after_each_change_and_the_command_says_so",
            "e2e/fleet::after_an_outage_and_after_its_key_was_lost_a_node_is_there_again",
        ],
    ),
    ("keys of the v2 API", &["e2e/migrate::what_v2_has_is_copied_once_and_what_cannot_be_is_named"]),
];

#[test]
fn each_trap_has_its_tests_in_every_mode() {
    for (trap, tests) in TRAPS {
        for test in *tests {
            let (file, name) = test.split_once("::").unwrap();
            let path = format!("{}/tests/{file}.rs", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(path).unwrap();
            let (_, rest) = text.split_once("in_each_mode! {").unwrap_or_default();
            let (listed, _) = rest.split_once('}').unwrap_or_default();
            let is_in_each = listed.lines().any(|line| line.trim() == name);
            assert!(text.contains(&format!("fn {name}(")), "{trap}: there is no {test}");
            assert!(
                is_in_each || trap.ends_with("; alone with users"),
                "{trap}: {test} runs in one mode only"
            );
        }
    }
}
