//! What an operator has to know of the store: told once in the log, and with every answer of the API until it is over.

use std::net::TcpListener;

use serde_json::json;

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::etcd::{Etcd, Mode};
use crate::support::etcdctl::{Writer, etcd, etcd_in};
use crate::support::rules;
use crate::support::server::Server;
use crate::support::wait;

in_each_mode! {
    a_hold_ends_when_everything_was_put_back
    endpoints_of_etcd_that_hang_cost_no_request_at_the_start
}

const SITES: [&str; 6] = ["a.test", "b.test", "c.test", "d.test", "e.test", "f.test"];

/// Six domains that one server serves, as an operator would write them.
fn write(etcd: &Etcd, server: &Server) {
    let rules = rules::to("up").to_string();
    let mut keys = vec![(format!("/ELB/upstreams/up/{}", server.address()), Some(String::new()))];
    keys.extend(SITES.iter().map(|site| (format!("/ELB/rules/{site}"), Some(rules.clone()))));
    Writer::to(etcd).write(&keys);
}

/// The alarm that any answer carries; nothing when there is none.
fn alarm(elb: &Elb) -> String {
    let answer = elb.admin().call("GET", "rejected", None);
    answer.head.get("X-ELB-Warning").unwrap_or_default().to_owned()
}

fn statuses(elb: &Elb) -> Vec<u16> {
    SITES.iter().map(|site| elb.client().ask(get(site, "/")).status()).collect()
}

/// The warnings of the log that hold these words.
fn warnings(elb: &Elb, words: &str) -> Vec<String> {
    let told = |line: &&str| line.contains("WARN") && line.contains(words);
    elb.log().lines().filter(told).map(str::to_owned).collect()
}

/// The one warning that holds these words. The log is written by a thread of its own, so it may come after the alarm.
#[track_caller]
fn warned_once(elb: &Elb, words: &str) -> String {
    wait::until("the warning", || (!warnings(elb, words).is_empty()).then_some(()));
    let told = warnings(elb, words);
    assert_eq!(told.len(), 1, "{}", elb.log());
    told.concat()
}

#[test]
fn a_prefix_that_is_deleted_under_everybody_is_one_warning_that_counts() {
    let (server, etcd) = (Server::named("a"), etcd());
    write(&etcd, &server);
    let elb = Launch::storing(&etcd).start();
    // Nobody has asked for any of them: what has requests is held back.
    assert_eq!(alarm(&elb), "");

    etcd.ctl(&["del", "--prefix", "/ELB/"]);
    wait::until("the alarm", || alarm(&elb).contains("6 of 6 domains and 1 of 1 upstreams").then_some(()));
    assert_eq!(statuses(&elb), [404; 6], "deletions one by one are done");
    warned_once(&elb, "were removed from the store");

    write(&etcd, &server);
    wait::until("its end", || alarm(&elb).is_empty().then_some(()));
    // Not by requests: what has those is held back the next time.
    assert_eq!(elb.admin().get("domain").as_object().map(|all| all.len()), Some(6));

    etcd.ctl(&["del", "--prefix", "/ELB/rules/"]);
    wait::until("the alarm", || alarm(&elb).contains("6 of 6 domains").then_some(()));
    elb.admin().call("PUT", "resync?confirm=1", Some(""));
    assert_eq!(alarm(&elb), "", "it was meant");
}

#[test]
fn what_has_requests_is_not_deleted_by_a_watch_until_somebody_says_so() {
    let (server, etcd) = (Server::named("a"), etcd());
    write(&etcd, &server);
    let elb = Launch::storing(&etcd).start();
    let live = &SITES[..4];
    let mut client = elb.client();
    let mut ask = || live.iter().map(|site| client.ask(get(site, "/")).status()).collect::<Vec<_>>();
    // What workers report each second is known to the hub.
    wait::until("live traffic", || {
        assert_eq!(ask(), [200; 4]);
        let rows = elb.admin().get("stats")["domains"]["rows"].as_array().cloned().unwrap_or_default();
        let busy = rows.iter().filter(|row| row["rate"].as_f64().is_some_and(|rate| rate > 0.0));
        (busy.count() == 4).then_some(())
    });
    etcd.delete("/ELB/rules/f.test");
    let mut other = elb.client();
    wait::until("what nobody asks for", || (other.ask(get("f.test", "/")).status() == 404).then_some(()));
    etcd.delete("/ELB/rules/a.test");
    etcd.delete("/ELB/rules/b.test");
    wait::until("a part of it", || (ask() == [404, 404, 200, 200]).then_some(()));
    etcd.ctl(&["del", "--prefix", "/ELB/"]);
    // The one that went before had requests as well: those of this test.
    wait::until("the hold", || alarm(&elb).contains("took away 4 of 5 domains").then_some(()));
    assert!(alarm(&elb).contains(" a second; that is held back"), "{}", alarm(&elb));
    assert_eq!(ask(), [404, 404, 200, 200]);
    assert_eq!(other.ask(get("e.test", "/")).status(), 200, "nothing of the same step is done");
    assert!(elb.admin().get("status")["configuration"]["held"].is_string());

    assert_eq!(elb.admin().call("PUT", "resync?confirm=1", Some("")).status(), 200);
    assert_eq!((ask(), alarm(&elb)), (vec![404; 4], String::new()));
    assert_eq!(elb.admin().get("config"), json!({"domains": {}, "upstreams": {}}));
}

#[test]
fn what_was_held_back_goes_on_when_it_is_put_back() {
    let (server, etcd) = (Server::named("a"), etcd());
    write(&etcd, &server);
    let elb = Launch::storing(&etcd).start();
    let mut client = elb.client();
    wait::until("live traffic", || {
        SITES.iter().for_each(|site| assert_eq!(client.ask(get(site, "/")).status(), 200));
        let rows = elb.admin().get("stats")["domains"]["rows"].as_array().cloned().unwrap_or_default();
        let busy = rows.iter().filter(|row| row["rate"].as_f64().is_some_and(|rate| rate > 0.0));
        (busy.count() == 6).then_some(())
    });
    etcd.ctl(&["del", "--prefix", "/ELB/rules/"]);
    wait::until("the hold", || alarm(&elb).contains("took away 6 of 6 domains").then_some(()));
    // A change of one that is gone in the store is stored, and one that is not named there stays away.
    let answer = elb.admin().call("PUT", "domain/a.test?dump=1", Some(&rules::to("other").to_string()));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(etcd.keys("/ELB/rules/").len(), 1);
    assert_eq!(statuses(&elb)[1..], [200; 5]);
    write(&etcd, &server);
    wait::until("its end", || alarm(&elb).is_empty().then_some(()));
    assert_eq!(statuses(&elb), [200; 6]);
}

#[test]
fn what_is_deleted_by_the_api_and_dumped_is_no_alarm() {
    let (server, etcd) = (Server::named("a"), etcd());
    write(&etcd, &server);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.json");
    let elb = Launch::storing(&etcd).flag(&format!("--state-file={}", path.display())).start();

    let answer = elb.admin().call("DELETE", "domain?dump=1", Some(&json!(SITES).to_string()));
    assert_eq!((answer.status(), statuses(&elb)), (200, vec![404; 6]), "{}", answer.text());
    etcd.put("/ELB/rules/new.test", &rules::to("up").to_string());
    // The file is written with the same pulse that looks for the alarm.
    let written = || std::fs::read_to_string(&path).unwrap_or_default();
    wait::until("a pulse", || {
        (written().contains("new.test") && !written().contains("a.test")).then_some(())
    });
    assert_eq!((alarm(&elb), warnings(&elb, "were removed").len()), (String::new(), 0), "{}", elb.log());
}

fn a_hold_ends_when_everything_was_put_back(mode: Mode) {
    let (server, mut etcd) = (Server::named("a"), etcd_in(mode));
    write(&etcd, &server);
    let elb = Launch::storing(&etcd).start();

    etcd.wipe();
    wait::until("the hold", || alarm(&elb).contains("lacks 6 of 6 domains").then_some(()));
    assert_eq!(statuses(&elb), [200; 6]);

    write(&etcd, &server);
    wait::until("its end", || alarm(&elb).is_empty().then_some(()));
    etcd.delete("/ELB/rules/d.test");
    let mut client = elb.client();
    wait::until("a deletion", || (client.ask(get("d.test", "/")).status() == 404).then_some(()));
    assert_eq!(alarm(&elb), "", "which is nothing to hold back");
}

#[test]
fn a_bad_value_that_is_written_a_hundred_times_is_one_line_with_its_revision() {
    let (server, etcd) = (Server::named("a"), etcd());
    write(&etcd, &server);
    let elb = Launch::storing(&etcd).start();

    let mut writer = Writer::to(&etcd);
    for number in 0..100 {
        // The same fault in another text each time.
        let text = json!({"init": "nobody", "rules": {}, "number": number}).to_string();
        writer.write(&[("/ELB/rules/a.test".to_owned(), Some(text))]);
    }
    writer.write(&[("/ELB/upstreams/up/x:1\nWARN forged".to_owned(), Some("weight=heavy".to_owned()))]);
    wait::until("both keys", || alarm(&elb).starts_with("2 keys of the store are rejected").then_some(()));
    warned_once(&elb, "x:1");
    let told = warned_once(&elb, r#""rules/a.test" of the store is rejected at revision "#);
    assert!(told.ends_with("its last good value serves on"), "{told}");
    assert_eq!(elb.log().lines().filter(|line| line.starts_with("WARN forged")).count(), 0, "{}", elb.log());
    assert_eq!(statuses(&elb), [200; 6]);
}

#[test]
fn a_state_file_that_cannot_be_written_is_one_warning_and_an_alarm() {
    let (server, etcd) = (Server::named("a"), etcd());
    write(&etcd, &server);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("missing/state.json");
    let elb = Launch::storing(&etcd).flag(&format!("--state-file={}", path.display())).start();

    wait::until("the alarm", || alarm(&elb).contains("state.json cannot be written").then_some(()));
    warned_once(&elb, "cannot be written");
    std::fs::create_dir(folder.path().join("missing")).expect("a folder");
    etcd.put("/ELB/rules/a.test", &rules::to("up").to_string());
    etcd.delete("/ELB/rules/b.test");
    wait::until("its end", || alarm(&elb).is_empty().then_some(()));
    assert!(path.exists());
}

fn endpoints_of_etcd_that_hang_cost_no_request_at_the_start(mode: Mode) {
    let (server, etcd) = (Server::named("a"), etcd_in(mode));
    write(&etcd, &server);
    // They take connections and never say a word.
    let hung: Vec<TcpListener> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    let hung = hung.iter().map(|one| etcd.scheme_of(&one.local_addr().expect("an address").to_string()));
    let endpoints: Vec<String> = hung.chain([etcd.endpoint()]).collect();
    let elb = Launch::storing(&etcd).at(&endpoints.join(",")).start();
    assert_eq!(statuses(&elb), [200; 6]);
}

#[test]
fn a_resync_says_what_is_wrong_with_the_store() {
    let elb = Elb::empty();
    std::fs::write(elb.folder().join("elb.json"), "{\n  \"domains\": {,}\n}").expect("a file");
    let answer = elb.admin().call("PUT", "resync", Some(""));
    assert_eq!(answer.status(), 503, "{}", answer.text());
    assert!(answer.text().contains("line 2 column 15"), "{}", answer.text());
}
