//! Names of servers: looked up again and again, followed when they change, kept while the DNS server fails.

use std::net::Ipv4Addr;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::dns::{Dns, Says};
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, keep_answering, ok};
use crate::support::wait;

const HERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A server on each of two addresses, with the same port.
fn both() -> (Server, Server) {
    let here = Server::named("here");
    let answer = ok("there");
    let there = Server::at((THERE, here.address().port()).into(), keep_answering(move |_| answer.clone()));
    (here, there)
}

fn document(server: &Server) -> Value {
    let name = format!("Servers.test:{}", server.address().port());
    json!({"domains": {SITE: rules::to("up")}, "upstreams": {"up": {name: ""}}})
}

fn asking(dns: &Dns, launch: Launch) -> Launch {
    let launch = launch.flag(&format!("--resolver={}", dns.address()));
    launch.flag("--resolve-interval=50ms").workers(1)
}

/// Who answers, as often as it takes to hear everybody.
fn heard(elb: &Elb) -> Vec<String> {
    let mut heard: Vec<String> = (0..4).map(|_| elb.client().ask(get(SITE, "/")).text()).collect();
    heard.sort_unstable();
    heard.dedup();
    heard
}

/// Waits until the DNS server was asked twice more, so that one answer at least is of now.
fn until_asked_again(dns: &Dns) {
    let before = dns.asked().len();
    wait::until("questions to the DNS server", || (dns.asked().len() >= before + 4).then_some(()));
}

fn version(elb: &Elb) -> String {
    elb.admin().call("GET", "upstream", None).head.get("X-ELB-Version").expect("a version").to_owned()
}

#[test]
fn a_resolver_that_changes_fails_and_recovers_is_followed_and_what_it_said_is_kept_meanwhile() {
    let (here, _there) = both();
    let dns = Dns::saying(Says::Addresses(vec![HERE]));
    let elb = asking(&dns, Launch::serving(&document(&here))).start();
    assert_eq!(heard(&elb), ["here"]);
    assert!(dns.asked().iter().all(|name| name == "servers.test"), "{:?}", dns.asked());

    let before = version(&elb);
    until_asked_again(&dns);
    assert_eq!(version(&elb), before, "the same addresses are no change");

    dns.says(Says::Addresses(vec![THERE]));
    wait::until("the new address", || (heard(&elb) == ["there"]).then_some(()));
    wait::until("no connection to the old one", || (here.open_connections() == 0).then_some(()));

    let before = version(&elb);
    for fault in [Says::Fails, Says::NoName] {
        dns.says(fault.clone());
        until_asked_again(&dns);
        assert_eq!(heard(&elb), ["there"], "{fault:?}");
    }
    // A question that nobody answers is over after seconds; the alarm is there before that.
    dns.says(Says::Addresses(vec![THERE]));
    wait::until("the end of it", || elb.log().contains("is resolved again").then_some(()));
    dns.says(Says::Nothing);
    let late = "no answer within 1.5s); 1 addresses stay in use";
    wait::until("a word of the silence", || elb.log().contains(late).then_some(()));
    assert_eq!((heard(&elb), version(&elb)), (vec!["there".to_owned()], before));

    dns.says(Says::Addresses(vec![HERE, THERE]));
    wait::until("both", || (heard(&elb) == ["here", "there"]).then_some(()));
}

#[test]
fn addresses_outlive_a_restart_while_the_resolver_is_silent() {
    let (here, _there) = both();
    let dns = Dns::saying(Says::Addresses(vec![THERE]));
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state.json");
    let start = |state: &Path| {
        let launch = Launch::serving(&document(&here)).flag(&format!("--state-file={}", state.display()));
        asking(&dns, launch).start()
    };
    let elb = start(&state);
    assert_eq!(heard(&elb), ["there"]);
    wait::until("the addresses in the state file", || {
        let kept = std::fs::read_to_string(&state).unwrap_or_default();
        kept.contains(&format!("{THERE}:")).then_some(())
    });
    drop(elb);

    dns.says(Says::Nothing);
    let elb = start(&state);
    assert_eq!(heard(&elb), ["there"]);
    dns.says(Says::Addresses(vec![HERE]));
    wait::until("what it says now", || (heard(&elb) == ["here"]).then_some(()));
}

#[test]
fn localhost_is_this_machine_whatever_a_resolver_says_and_the_others_are_asked_for() {
    let (here, _there) = both();
    let dns = Dns::saying(Says::NoName);
    let elb = asking(&dns, Launch::serving(&json!({"domains": {SITE: rules::to("up")}}))).start();
    let port = here.address().port();
    elb.admin().put("upstream", &json!({"up": {format!("localhost:{port}"): ""}}));
    assert_eq!(heard(&elb), ["here"]);
    let body = json!({"up": {format!("other.test:{port}"): ""}}).to_string();
    let refused = elb.admin().call("PUT", "upstream", Some(&body));
    assert_eq!(refused.status(), 400);
    assert!(refused.text().contains("has no address (no address)"), "{}", refused.text());
    dns.says(Says::Fails);
    let refused = elb.admin().call("PUT", "upstream", Some(&body));
    assert!(refused.text().contains("the DNS server says SERVFAIL"), "{}", refused.text());
    assert!(dns.asked().iter().all(|name| name == "other.test"), "{:?}", dns.asked());
}

#[test]
fn where_one_resolver_is_silent_another_answers() {
    let (here, _there) = both();
    let silent = Dns::saying(Says::Nothing);
    let speaks = Dns::saying(Says::Addresses(vec![HERE]));
    let launch = Launch::serving(&document(&here));
    let elb = asking(&silent, launch).flag(&format!("--resolver={}", speaks.address())).start();
    wait::until("an answer", || (heard(&elb) == ["here"]).then_some(()));
    assert!(!speaks.asked().is_empty());
}
