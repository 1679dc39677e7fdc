//! Faults of what ELB depends on: servers that die and come back, an etcd that goes away.

use serde_json::json;

use crate::support::client::{Client, get};
use crate::support::elb::Launch;
use crate::support::etcd::Mode;
use crate::support::etcdctl::etcd_in;
use crate::support::load::Load;
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, keep_answering, ok};
use crate::support::wait;

in_each_mode! {
    traffic_does_not_notice_that_etcd_is_gone_and_changes_flow_again_with_it
    without_etcd_it_starts_says_so_and_keeps_trying
    without_etcd_the_last_good_state_serves
    a_broken_key_in_etcd_hides_nothing_else_and_keeps_its_last_good_value
}

/// One request for [`SITE`], which must be answered with 200.
fn must_serve(client: &mut Client, _turn: u64) -> Result<(), String> {
    let answer = client.try_ask(&get(SITE, "/"))?;
    if answer.status() == 200 { Ok(()) } else { Err(format!("{}: {}", answer.head.line, answer.text())) }
}

#[test]
fn the_only_server_dies_and_comes_back() {
    let server = Server::named("before");
    // With these, no answer in this test can be the work of a timeout.
    let elb = Launch::serving(&rules::site(&[&server]))
        .flag("--connect-timeout=1h")
        .flag("--server-timeout=1h")
        .start();
    let mut client = elb.client();
    assert_eq!(client.ask(get(SITE, "/")).text(), "before");

    let address = server.stop();
    for _ in 0..10 {
        assert_eq!(client.ask(get(SITE, "/")).status(), 502);
    }

    let _server = Server::at(address, keep_answering(|_| ok("after")));
    for _ in 0..10 {
        assert_eq!(client.ask(get(SITE, "/")).text(), "after");
    }
}

#[test]
fn a_server_that_dies_with_a_request_in_its_hands_is_502() {
    let server = Server::start(|talk| {
        talk.request()?;
        talk.some().map(drop)
    });
    let elb = Launch::serving(&rules::site(&[&server])).flag("--server-timeout=1h").start();

    let mut client = elb.client();
    client.send(get(SITE, "/"));
    wait::until("the request to arrive", || (server.requests().len() == 1).then_some(()));
    server.stop();

    assert_eq!(client.response().status(), 502);
}

fn traffic_does_not_notice_that_etcd_is_gone_and_changes_flow_again_with_it(mode: Mode) {
    let (server, later) = (Server::forgetful("first"), Server::named("later"));
    let mut etcd = etcd_in(mode);
    etcd.put(&format!("/ELB/rules/{SITE}"), &rules::to("up").to_string());
    etcd.put(&format!("/ELB/upstreams/up/{}", server.address()), "");
    let elb = Launch::storing(&etcd).start();
    let load = Load::start(elb.address(), 16, must_serve);
    load.carry_on(100);

    etcd.stop();
    load.carry_on(1000);
    elb.admin().put("upstream", &json!({"by-hand": rules::upstream(&[&later], "")}));
    elb.admin().put("domain", &json!({"by-hand.test": rules::to("by-hand")}));
    assert_eq!(elb.client().ask(get("by-hand.test", "/")).text(), "later", "the API needs no etcd");
    let dump = elb.admin().call("PUT", "dump", Some(""));
    assert!((500..600).contains(&dump.status()), "{}", dump.text());

    etcd.restart();
    etcd.put("/ELB/rules/later.test", &rules::to("later").to_string());
    etcd.put(&format!("/ELB/upstreams/later/{}", later.address()), "");
    let mut client = elb.client();
    wait::until("the new domain", || (client.ask(get("later.test", "/")).text() == "later").then_some(()));
    assert_eq!(
        elb.client().ask(get("by-hand.test", "/")).text(),
        "later",
        "what was set by hand is still there"
    );
    load.carry_on(100);
    load.finish();
    wait::until("a dump that works again", || {
        (elb.admin().call("PUT", "dump", Some("")).status() == 200).then_some(())
    });
}

fn without_etcd_it_starts_says_so_and_keeps_trying(mode: Mode) {
    let server = Server::named("a");
    let mut etcd = etcd_in(mode);
    etcd.put(&format!("/ELB/rules/{SITE}"), &rules::to("up").to_string());
    etcd.put(&format!("/ELB/upstreams/up/{}", server.address()), "");
    etcd.stop();

    let elb = Launch::storing(&etcd).start();
    let mut client = elb.client();
    assert_eq!(client.ask(get(SITE, "/")).status(), 404);
    let told =
        elb.log().lines().filter(|line| line.contains(&etcd.address()) && !line.contains("INFO")).count();
    assert_eq!(told, 1, "one clear line:\n{}", elb.log());

    etcd.restart();
    wait::until("etcd's domain", || (client.ask(get(SITE, "/")).text() == "a").then_some(()));
}

fn without_etcd_the_last_good_state_serves(mode: Mode) {
    let server = Server::named("a");
    let mut etcd = etcd_in(mode);
    etcd.put(&format!("/ELB/rules/{SITE}"), &rules::to("up").to_string());
    etcd.put(&format!("/ELB/upstreams/up/{}", server.address()), "");
    let folder = tempfile::tempdir().expect("a folder");
    let state = format!("--state-file={}", folder.path().join("state.json").display());
    let elb = Launch::storing(&etcd).flag(&state).start();
    wait::until("the state file", || folder.path().join("state.json").exists().then_some(()));
    drop(elb);
    etcd.stop();

    let elb = Launch::storing(&etcd).flag(&state).start();
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
}

#[test]
fn a_file_that_is_changed_by_a_dump_is_what_the_next_elb_reads() {
    let server = Server::named("a");
    let elb = Launch::serving(&json!({"domains": {}, "upstreams": {}})).start();
    let store = format!("--store=file:{}", elb.folder().join("elb.json").display());
    elb.admin().put("upstream", &json!({"up": rules::upstream(&[&server], "weight=2")}));
    elb.admin().put("domain", &json!({SITE: rules::to("up")}));
    elb.admin().dump();

    let again = Launch::bare(&["--listen=127.0.0.1:0", "--no-pin", &store]).start();
    assert_eq!(again.client().ask(get(SITE, "/")).text(), "a");
    assert_eq!(again.admin().get("upstream"), elb.admin().get("upstream"));
}

fn a_broken_key_in_etcd_hides_nothing_else_and_keeps_its_last_good_value(mode: Mode) {
    let server = Server::named("a");
    let etcd = etcd_in(mode);
    etcd.put("/ELB/rules/broken.test", "{\"init\":");
    etcd.put("/ELB/upstreams/bad/127.0.0.1:1", "weight=heavy");
    etcd.put(&format!("/ELB/rules/{SITE}"), &rules::to("up").to_string());
    etcd.put(&format!("/ELB/upstreams/up/{}", server.address()), "");
    let elb = Launch::storing(&etcd).start();

    let mut client = elb.client();
    assert_eq!(client.ask(get(SITE, "/")).text(), "a");
    assert_eq!(client.ask(get("broken.test", "/")).status(), 404);
    assert_eq!(elb.admin().get("domain"), json!({SITE: rules::to("up")}));

    etcd.put(&format!("/ELB/rules/{SITE}"), "no longer JSON");
    etcd.put("/ELB/rules/broken.test", &rules::to("up").to_string());
    wait::until("the repaired key", || (client.ask(get("broken.test", "/")).text() == "a").then_some(()));
    assert_eq!(client.ask(get(SITE, "/")).text(), "a", "the last good value");
}
