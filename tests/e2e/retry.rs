//! Which server is asked, and whether another is asked when it fails.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, ok};

/// One worker before an upstream `up` with these servers.
fn elb(servers: Value) -> Elb {
    Launch::serving(&json!({"domains": {SITE: rules::to("up")}, "upstreams": {"up": servers}}))
        .workers(1)
        .start()
}

/// A server that answers every request with this status and its name as the body.
fn answering(status: u16, name: &'static str) -> Server {
    Server::answering(move |_| ok(name).replace("200 OK", &format!("{status} As Told")))
}

/// A server that reads requests and closes instead of answering.
fn mute() -> Server {
    Server::start(|talk| talk.request().map(drop))
}

/// An address where nothing listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").to_string()
}

fn post(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn put(body: &str) -> String {
    post(body).replacen("POST", "PUT", 1)
}

#[test]
fn weights_share_the_requests_exactly() {
    let (a, b, c) = (Server::named("a"), Server::named("b"), Server::named("c"));
    let elb = elb(json!({
        a.address().to_string(): "weight=5", b.address().to_string(): "", c.address().to_string(): "weight=1"}));

    let mut client = elb.client();
    for _ in 0..21 {
        client.ask(get(SITE, "/"));
    }
    assert_eq!([a, b, c].map(|server| server.requests().len()), [15, 3, 3]);
}

#[test]
fn a_server_that_is_down_is_never_asked_and_a_backup_only_when_no_other_is_left() {
    let (down, backup, first) = (Server::named("down"), Server::named("backup"), Server::named("first"));
    let elb = elb(json!({
        down.address().to_string(): "down",
        backup.address().to_string(): "backup",
        first.address().to_string(): ""}));

    let mut client = elb.client();
    assert!((0..10).all(|_| client.ask(get(SITE, "/")).text() == "first"));
    drop(first);
    assert!((0..10).all(|_| client.ask(get(SITE, "/")).text() == "backup"));
    assert_eq!(down.connections(), 0);
}

#[test]
fn a_refused_connection_sends_any_request_to_the_next_server() {
    let server = Server::answering(|request| ok(&request.text()));
    let elb =
        elb(json!({nowhere(): "max_fails=0", nowhere(): "max_fails=0", server.address().to_string(): ""}));

    let mut client = elb.client();
    for _ in 0..6 {
        assert_eq!(client.ask(post("once")).text(), "once");
    }
    assert_eq!(server.requests().len(), 6);
}

#[test]
fn a_server_that_closes_without_an_answer_is_passed_over_when_the_request_allows_it() {
    let (mute, good) = (mute(), Server::answering(|request| ok(&request.text())));
    let elb =
        elb(json!({mute.address().to_string(): "max_fails=0", good.address().to_string(): "max_fails=0"}));

    let mut client = elb.client();
    for _ in 0..4 {
        assert_eq!(client.ask(put("again")).text(), "again", "a PUT may be sent twice, body and all");
    }
    let statuses: Vec<u16> = (0..4).map(|_| client.ask(post("once")).status()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 502).count(), 2, "a POST may not: {statuses:?}");
    let posts = |server: &Server| server.requests().iter().filter(|r| r.head.method() == "POST").count();
    assert_eq!((posts(&mute), posts(&good)), (2, 2));
}

#[test]
fn a_body_that_no_longer_fits_the_replay_window_is_sent_once() {
    let mute = [mute(), mute()];
    let elb = elb(rules::upstream(&[&mute[0], &mute[1]], "max_fails=0"));

    let answer = elb.client().ask(put(&"x".repeat(200_000)));

    assert_eq!(answer.status(), 502);
    assert_eq!(mute.iter().map(|server| server.requests().len()).sum::<usize>(), 1);
}

#[test]
fn statuses_500_and_504_are_asked_elsewhere_and_others_are_the_answer() {
    for (status, elsewhere) in
        [(500, true), (504, true), (404, false), (502, false), (503, false), (429, false)]
    {
        let (bad, good) = (answering(status, "bad"), Server::named("good"));
        let elb =
            elb(json!({bad.address().to_string(): "max_fails=0", good.address().to_string(): "max_fails=0"}));
        let mut client = elb.client();
        let answers: Vec<String> = (0..4).map(|_| client.ask(get(SITE, "/")).text()).collect();
        let bad_answers = answers.iter().filter(|text| *text == "bad").count();
        assert_eq!(bad_answers, if elsewhere { 0 } else { 2 }, "{status}: {answers:?}");

        let posted = [client.ask(post("x")), client.ask(post("x"))];
        assert!(
            posted.iter().any(|answer| answer.status() == status),
            "a POST is not sent twice: {posted:?}"
        );
    }
}

#[test]
fn when_all_fail_the_last_answer_is_passed_on_and_no_more_than_three_are_asked() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let servers = ["1", "2", "3", "4", "5"].map(|name| {
        let order = Arc::clone(&order);
        Server::answering(move |_| {
            order.lock().expect("nobody panics").push(name);
            ok(name).replace("200 OK", "500 As Told")
        })
    });
    let elb = elb(rules::upstream(&servers.each_ref(), "max_fails=0"));

    let answer = elb.client().ask(get(SITE, "/"));

    assert_eq!(answer.head.line, "HTTP/1.1 500 As Told");
    let asked = order.lock().expect("nobody panics").clone();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert_eq!(answer.text(), asked[2]);
    let mut requests = servers.map(|server| server.requests().len());
    requests.sort_unstable();
    assert_eq!(requests, [0, 0, 1, 1, 1], "nobody is asked twice");
}

#[test]
fn a_server_that_failed_is_put_aside() {
    let (mute, good) = (mute(), Server::named("good"));
    let elb = elb(rules::upstream(&[&mute, &good], "max_fails=2 fail_timeout=1h"));

    let mut client = elb.client();
    assert!((0..20).all(|_| client.ask(get(SITE, "/")).text() == "good"));
    assert_eq!(mute.connections(), 2);
}

#[test]
fn when_all_are_put_aside_all_are_asked() {
    let servers = [mute(), mute()];
    let elb = elb(rules::upstream(&servers.each_ref(), "fail_timeout=1h"));

    let mut client = elb.client();
    assert!((0..5).all(|_| client.ask(get(SITE, "/")).status() == 502));
    assert_eq!(servers.map(|server| server.connections()), [5, 5]);
}

#[test]
fn the_only_server_is_never_put_aside() {
    let server = mute();
    let elb = elb(rules::upstream(&[&server], "fail_timeout=1h"));

    let mut client = elb.client();
    assert!((0..5).all(|_| client.ask(get(SITE, "/")).status() == 502));
    assert_eq!(server.connections(), 5);
}

#[test]
fn a_change_of_an_upstream_forgets_its_failures() {
    let (mute, good) = (mute(), Server::named("good"));
    let both = [&mute, &good];
    let elb = elb(rules::upstream(&both, "fail_timeout=1h"));
    let mut client = elb.client();
    assert!((0..4).all(|_| client.ask(get(SITE, "/")).text() == "good"));
    assert_eq!(mute.connections(), 1);

    elb.admin().put("upstream", &json!({"up": rules::upstream(&both, "fail_timeout=2h")}));

    assert!((0..4).all(|_| client.ask(get(SITE, "/")).text() == "good"));
    assert_eq!(mute.connections(), 2);
}

#[test]
fn a_server_that_was_removed_comes_back_as_a_new_one() {
    let (mute, good) = (mute(), Server::named("good"));
    let both = json!({"up": rules::upstream(&[&mute, &good], "fail_timeout=1h")});
    let elb = elb(both["up"].clone());
    let mut client = elb.client();
    let mut asked = || {
        assert!((0..4).all(|_| client.ask(get(SITE, "/")).text() == "good"));
        mute.connections()
    };
    assert_eq!(asked(), 1);
    elb.admin().put("upstream", &json!({"up": rules::upstream(&[&good], "fail_timeout=1h")}));
    elb.admin().put("upstream", &both);
    assert_eq!(asked(), 2, "out of the upstream and in again");
    elb.admin().delete("upstream", &json!(["up"]));
    elb.admin().put("upstream", &both);
    assert_eq!(asked(), 3, "with the upstream");
    elb.admin().put("upstream", &both);
    assert_eq!(asked(), 3, "one that stays is known");
}
