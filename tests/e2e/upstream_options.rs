//! What an upstream asks for by its options holds for its own requests, and for no other's.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::message::Message;
use crate::support::rules::{self, SITE, upstream};
use crate::support::server::{Server, ok};
use crate::support::wait;

/// One worker before these servers with these options.
fn elb(servers: &[&Server], options: &str) -> Elb {
    Launch::serving(&site(servers, options)).workers(1).start()
}

fn site(servers: &[&Server], options: &str) -> Value {
    let mut document = rules::site(servers);
    document["upstreams"]["up"] = upstream(servers, "max_fails=0");
    document["upstreams"]["up"]["@options"] = json!(options);
    document
}

/// A server that reads requests and says nothing.
fn silent() -> Server {
    Server::start(|talk| {
        talk.request()?;
        talk.request().map(drop)
    })
}

/// A server that closes instead of answering.
fn mute() -> Server {
    Server::start(|talk| talk.request().map(drop))
}

fn reason(answer: &Message) -> &str {
    answer.head.get("X-ELB-Reason").unwrap_or_default()
}

#[test]
fn a_server_may_be_silent_for_as_long_as_its_upstream_says() {
    // With the 30 s of all others this test would not end in time.
    let server = silent();
    let elb = elb(&[&server], "server_timeout=200ms retries=1");
    let answer = elb.client().ask(get(SITE, "/"));
    assert_eq!((answer.status(), reason(&answer)), (504, "server-timeout"));
}

#[test]
fn it_holds_on_a_connection_that_is_the_clients_own_too() {
    let server = Server::start(|talk| {
        talk.request()?;
        talk.send(ok("once").as_bytes())?;
        talk.request()?;
        talk.request().map(drop)
    });
    let elb = elb(&[&server], "server_timeout=200ms retries=1");
    let mut client = elb.client();
    let request = format!("GET / HTTP/1.1\r\nHost: {SITE}\r\nAuthorization: NTLM abc\r\n\r\n");
    assert_eq!(client.ask(&request).text(), "once");
    assert_eq!(reason(&client.ask(&request)), "server-timeout");
    assert_eq!(server.connections(), 1);
}

#[test]
fn as_many_servers_are_tried_as_the_upstream_says() {
    let servers = [(); 5].map(|()| mute());
    let servers: Vec<&Server> = servers.iter().collect();
    for (options, tried) in [("retries=1", 1), ("retries=5", 5), ("", 3)] {
        let elb = elb(&servers, options);
        let before: usize = servers.iter().map(|server| server.requests().len()).sum();
        assert_eq!(reason(&elb.client().ask(get(SITE, "/"))), "server-closed");
        let after: usize = servers.iter().map(|server| server.requests().len()).sum();
        assert_eq!(after - before, tried, "{options:?}");
    }
}

#[test]
fn options_that_change_hold_for_the_next_request_of_the_same_client() {
    let servers = [mute(), mute()];
    let servers: Vec<&Server> = servers.iter().collect();
    let elb = elb(&servers, "retries=2");
    let mut client = elb.client();
    client.ask(get(SITE, "/"));
    elb.admin().call("PATCH", "upstream", Some(r#"{"up": {"@options": "retries=1"}}"#));
    client.ask(get(SITE, "/"));
    let asked: usize = servers.iter().map(|server| server.requests().len()).sum();
    assert_eq!(asked, 3);
}

#[test]
fn a_fleet_that_is_broken_is_not_asked_three_times_as_much() {
    const REQUESTS: usize = 500;
    /// 20 % of the requests, and ten a second for the ten seconds for which they count.
    const BUDGET: usize = REQUESTS / 5 + 100;
    let servers = [mute(), mute(), mute()];
    let servers: Vec<&Server> = servers.iter().collect();
    let elb = elb(&servers, "");
    let mut client = elb.client();
    for _ in 0..REQUESTS {
        let answer = client.ask(get(SITE, "/"));
        assert_eq!((answer.status(), reason(&answer)), (502, "server-closed"), "the first failure is told");
    }
    let asked: usize = servers.iter().map(|server| server.requests().len()).sum();
    assert!((REQUESTS + 100..=REQUESTS + BUDGET).contains(&asked), "{asked} requests at servers");
    wait::until("the retries to be shown", || {
        let all = &elb.admin().get("workers")["all"];
        let made = all["retries"]["server-closed"].as_u64().unwrap_or_default() as usize;
        let over = all["retries_over_budget"].as_u64().unwrap_or_default();
        (made == asked - REQUESTS && over > 0).then_some(())
    });
}

#[test]
fn without_a_budget_nobody_is_asked_twice_but_for_a_connection_that_had_died() {
    let servers = [mute(), mute()];
    let servers: Vec<&Server> = servers.iter().collect();
    let none = elb(&servers, "retry_budget=0%");
    for _ in 0..10 {
        assert_eq!(none.client().ask(get(SITE, "/")).status(), 502);
    }
    assert_eq!(servers.iter().map(|server| server.requests().len()).sum::<usize>(), 10);
    // A server that ends each connection after its answer, without saying so: the next request finds out.
    let forgetful = Server::start(|talk| {
        talk.request()?;
        talk.send(ok("once").as_bytes())?;
        talk.request().map(drop)
    });
    let elb = elb(&[&forgetful], "retry_budget=0%");
    let mut client = elb.client();
    for _ in 0..3 {
        assert_eq!(client.ask(get(SITE, "/")).text(), "once");
    }
    wait::until("the tries to be shown", || {
        elb.admin().get("workers")["all"]["retries"]["stale-connection"].as_u64().map(drop)
    });
}

/// `name=value` of the cookie that an answer sets, if it does.
fn set(answer: &Message) -> Option<String> {
    let cookies = answer.head.all("Set-Cookie");
    let own = cookies.into_iter().find(|cookie| cookie.starts_with("elb="))?;
    Some(own.split(';').next().unwrap_or_default().to_owned())
}

fn asked_with(client: &mut Client, cookie: &str) -> Message {
    client.ask(format!("GET / HTTP/1.1\r\nHost: {SITE}\r\nCookie: {cookie}\r\n\r\n"))
}

#[test]
fn a_cookie_keeps_a_client_at_its_server_and_is_set_once() {
    let servers = ["a", "b", "c"].map(|name| {
        let answer = ok(name).replacen("\r\n", "\r\nSet-Cookie: own=1\r\n", 1);
        Server::answering(move |_| answer.clone())
    });
    let servers: Vec<&Server> = servers.iter().collect();
    let elb = elb(&servers, "sticky=cookie:elb");
    let mut client = elb.client();
    let mut at = BTreeSet::new();
    for _ in 0..6 {
        let first = client.ask(get(SITE, "/"));
        let cookie = set(&first).expect("a cookie");
        assert_eq!(first.head.all("Set-Cookie").len(), 2, "the server's own passes");
        for _ in 0..3 {
            let next = asked_with(&mut client, &format!("x=y; {cookie}"));
            assert_eq!((next.text(), set(&next)), (first.text(), None));
        }
        at.insert(first.text());
    }
    assert_eq!(at.len(), 3, "clients without a cookie go to all");
    let lost = asked_with(&mut client, "elb=0123456789abcdef");
    assert!(set(&lost).is_some(), "whoever names nobody is told anew");
}

#[test]
fn who_cannot_be_kept_is_told_another_server() {
    let (gone, stays) = (mute(), Server::named("stays"));
    let elb = elb(&[&gone, &stays], "sticky=cookie:elb");
    let mut client = elb.client();
    // Whoever is given the one that closes is given the other in the same request, with its cookie.
    for _ in 0..4 {
        let answer = client.ask(get(SITE, "/"));
        assert_eq!(answer.text(), "stays");
        let cookie = set(&answer).expect("a cookie");
        let again = asked_with(&mut client, &cookie);
        assert_eq!((again.text(), set(&again)), ("stays".to_owned(), None));
    }
}

#[test]
fn no_connection_is_kept_where_the_upstream_keeps_none() {
    let server = Server::named("a");
    let elb = elb(&[&server], "keepalive=0");
    let mut client = elb.client();
    for _ in 0..3 {
        client.ask(get(SITE, "/"));
    }
    assert_eq!(server.connections(), 3);
    elb.admin().call("PATCH", "upstream", Some(r#"{"up": {"@options": "keepalive=1"}}"#));
    for _ in 0..3 {
        client.ask(get(SITE, "/"));
    }
    assert_eq!(server.connections(), 4);
}
