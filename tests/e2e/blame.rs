//! What one request does to those of others: nothing. After each request that goes wrong, the next hundred are answered.
//!
//! A server that is put aside stays so for the length of a test, so that whoever is missing was put aside.

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, ok};
use crate::support::wait;

/// What a server says on the path `/N`, whatever the method, and whether it closes then.
type Says = &'static [(&'static str, bool)];

/// Answers that nobody can accept, each in another way.
const UNACCEPTABLE: Says = &[
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false),
    ("HTTP/1.1 302 Found\r\nLocation: /x?u=\u{1}\r\nContent-Length: 0\r\n\r\n", false),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok", false),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", false),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false),
    ("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: unasked\r\n\r\n", false),
    ("SSH-2.0-server\r\n", false),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false),
    ("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf", true),
];

/// What is wrong with each of them.
const REASONS: [&str; 9] = [
    "bad-response-framing",
    "bad-response-head",
    "bad-response-framing",
    "bad-response-framing",
    "bad-response-framing",
    "unasked-switch",
    "bad-status-line",
    "bad-response-body",
    "response-cut",
];

/// A server that says the N-th of these on `/N`, and its name everywhere else.
fn odd(name: &'static str, says: Says) -> Server {
    Server::start(move |talk| {
        while let Some(request) = talk.request()? {
            let at = request.head.target()[1..].parse::<usize>().ok();
            match at.and_then(|at| says.get(at)) {
                Some((said, closes)) => {
                    talk.send(said)?;
                    if *closes {
                        return Ok(());
                    }
                }
                None => talk.send(ok(name))?,
            }
        }
        Ok(())
    })
}

/// Three servers that do the same.
fn three(server: impl Fn(&'static str) -> Server) -> [Server; 3] {
    ["a", "b", "c"].map(server)
}

/// One worker before these; who is put aside does not come back.
fn before(servers: &[Server; 3]) -> Launch {
    let upstream = rules::upstream(&servers.each_ref(), "fail_timeout=1h");
    Launch::serving(&json!({"domains": {SITE: rules::to("up")}, "upstreams": {"up": upstream}})).workers(1)
}

/// The next hundred requests, of which half come by clients of their own, are all answered; the servers that did it.
#[track_caller]
fn hundred(elb: &Elb) -> String {
    let mut client = elb.client();
    let mut names: Vec<String> = (0..50)
        .flat_map(|_| [client.ask(get(SITE, "/fine")), elb.client().ask(get(SITE, "/fine"))])
        .map(|answer| {
            assert_eq!(answer.status(), 200, "{}", answer.text());
            answer.text()
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names.concat()
}

/// The sum of all workers, once it says so.
fn gauge(elb: &Elb, name: &str, is: impl Fn(&Value) -> bool) {
    wait::until(name, || is(&elb.admin().get("workers")["all"][name]).then_some(()));
}

fn post(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 2\r\n\r\nhi")
}

#[test]
fn an_answer_that_cannot_be_accepted_is_that_requests_alone() {
    for (at, (said, _)) in UNACCEPTABLE.iter().enumerate() {
        let servers = three(|name| odd(name, UNACCEPTABLE));
        let elb = before(&servers).start();
        let path = format!("/{at}");
        for request in [get(SITE, &path), post(&path), get(SITE, &path), post(&path)] {
            let asked = || servers.iter().map(|server| server.requests().len()).sum::<usize>();
            let earlier = asked();
            let mut client = elb.client();
            client.send(&request);
            let (heard, _) = client_heard(client);
            let own = heard.starts_with("HTTP/1.1 502 ")
                && heard.contains(&format!("\r\nX-ELB-Reason: {}\r\n", REASONS[at]));
            let cut = heard.starts_with("HTTP/1.1 200 OK\r\n") && at >= 7;
            assert!(own || cut, "{request}: {heard}");
            assert!(asked() <= earlier + 2, "at most one other server is asked: {}", asked() - earlier);
        }
        assert_eq!(hundred(&elb), "abc", "nobody is put aside for {}", said.escape_debug());
    }
}

/// What comes until the end, which this client brings about.
#[track_caller]
fn client_heard(mut client: crate::support::client::Client) -> (String, bool) {
    let head = client.head();
    let mut text = format!("{}\r\n", head.line);
    for (name, value) in &head.fields {
        text += &format!("{name}: {value}\r\n");
    }
    let whole = client.try_body(&head, &mut |piece| text += &String::from_utf8_lossy(piece)).is_ok();
    (text, whole)
}

#[test]
fn a_url_that_is_answered_500_or_504_puts_aside_nobody_who_answers_others() {
    const ERRORS: Says = &[
        ("HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno", false),
        ("HTTP/1.1 504 Late\r\nContent-Length: 2\r\n\r\nno", false),
    ];
    let servers = three(|name| odd(name, ERRORS));
    let elb = before(&servers).start();
    for status in [500, 504, 500, 504] {
        assert_eq!(hundred(&elb), "abc");
        for _ in 0..4 {
            let path = if status == 500 { "/0" } else { "/1" };
            assert_eq!(elb.client().ask(get(SITE, path)).status(), status);
            assert_eq!(elb.client().ask(post(path)).status(), status);
        }
    }
    assert_eq!(hundred(&elb), "abc");
}

#[test]
fn before_anybody_was_answered_such_a_url_harms_nobody_either() {
    const ERRORS: Says = &[("HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno", false)];
    let servers = three(|name| odd(name, ERRORS));
    let elb = before(&servers).start();
    for _ in 0..6 {
        assert_eq!(elb.client().ask(get(SITE, "/0")).status(), 500);
    }
    hundred(&elb);
}

#[test]
fn a_server_that_answers_nobody_well_is_put_aside_after_max_fails() {
    let bad = Server::answering(|_| ok("bad").replace("200 OK", "500 No"));
    let good = Server::named("good");
    let upstream = rules::upstream(&[&bad, &good], "max_fails=3 fail_timeout=1h");
    let site = json!({"domains": {SITE: rules::to("up")}, "upstreams": {"up": upstream}});
    let elb = Launch::serving(&site).workers(1).start();
    let mut client = elb.client();
    assert!((0..30).all(|_| client.ask(get(SITE, "/")).text() == "good"));
    assert_eq!(bad.requests().len(), 3);
}

#[test]
fn a_url_that_is_slow_puts_aside_nobody_who_answers_others() {
    let slow = |name: &'static str| {
        Server::start(move |talk| {
            while let Some(request) = talk.request()? {
                match request.head.target() {
                    "/slow" => drop(talk.some()?),
                    _ => talk.send(ok(name))?,
                }
            }
            Ok(())
        })
    };
    let servers = three(slow);
    let elb = before(&servers).flag("--server-timeout=300ms").start();
    assert_eq!(elb.client().ask(get(SITE, "/slow")).status(), 504, "before anybody was answered");
    hundred(&elb);
    let warm = before(&servers).flag("--server-timeout=300ms").start();
    assert_eq!(hundred(&warm), "abc");
    for _ in 0..2 {
        assert_eq!(warm.client().ask(get(SITE, "/slow")).status(), 504);
        assert_eq!(warm.client().ask(post("/slow")).status(), 504);
    }
    assert_eq!(hundred(&warm), "abc");
}

/// A server that switches from the head of an upgrade on, and then says everything twice.
fn hasty(name: &'static str) -> Server {
    Server::start(move |talk| {
        while let Some(head) = talk.head()? {
            if head.get("Upgrade").is_none() {
                talk.body(&head, &mut |_| {})?;
                talk.send(ok(name))?;
                continue;
            }
            talk.send("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")?;
            loop {
                match talk.some()? {
                    heard if heard.is_empty() => return Ok(()),
                    heard => talk.send([&heard[..], &heard[..]].concat())?,
                }
            }
        }
        Ok(())
    })
}

#[test]
fn a_switch_of_protocols_before_the_body_is_through_waits_for_it_and_blames_nobody() {
    let servers = three(hasty);
    let elb = before(&servers).start();
    for method in ["GET", "POST"] {
        for framing in ["Content-Length: 4\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n4\r\n"] {
            let head = format!(
                "{method} / HTTP/1.1\r\nHost: {SITE}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n{framing}"
            );
            for _ in 0..4 {
                let mut gone = elb.client();
                gone.send(&head);
                gone.send("bo");
                gone.finish();
                gone.ended();
            }
            let mut client = elb.client();
            client.send(&head);
            client.send("bo");
            assert_eq!(hundred(&elb), "abc", "while the body is on its way");
            let end = if framing.contains("chunked") { "dy\r\n0\r\n\r\n" } else { "dy" };
            client.send(end);
            assert_eq!(client.head().status(), 101);
            let said = format!("{}bo{end}", if framing.contains("chunked") { "4\r\n" } else { "" });
            let mut heard = client.bytes(2 * said.len());
            heard.sort_unstable();
            let mut expected = said.repeat(2).into_bytes();
            expected.sort_unstable();
            assert_eq!(heard, expected, "what the server made of the body, in whatever pieces");
            client.send("raw");
            client.bytes(6);
            assert_eq!(hundred(&elb), "abc");
        }
    }
}

#[test]
fn a_pooled_connection_that_its_server_closes_blames_nobody() {
    // The second request of each connection is read, and never answered.
    let servers = three(|name| {
        Server::start(move |talk| {
            talk.request()?;
            talk.send(ok(name))?;
            talk.request().map(drop)
        })
    });
    let elb = before(&servers).start();
    for _ in 0..3 {
        assert_eq!(hundred(&elb), "abc");
        let refused = (0..6).map(|_| elb.client().ask(post("/"))).filter(|answer| answer.status() == 502);
        assert!(refused.count() > 0, "a POST may not be sent again");
    }
    assert_eq!(hundred(&elb), "abc");
}

#[test]
fn when_everybody_is_put_aside_everybody_is_asked_and_that_is_counted_and_told_once() {
    // An end without any answer is a fault, and this request brings it about everywhere.
    let servers = three(|name| odd(name, &[("", true)]));
    let elb = before(&servers).start();
    for _ in 0..3 {
        assert_eq!(elb.client().ask(get(SITE, "/0")).status(), 502);
        hundred(&elb);
    }
    gauge(&elb, "fail_open", |picks| picks.as_u64().is_some_and(|picks| picks >= 1));
}

#[test]
fn an_outage_is_told_once_and_so_is_its_end() {
    let servers = three(|_| Server::start(|talk| talk.request().map(drop)));
    let elb = before(&servers).start();
    let lines = |words: &str| elb.log().matches(&format!("upstream \"up\": {words}")).count();
    let (begun, over) = ("every server has failed", "a server answers again");
    let mut client = elb.client();
    for _ in 0..50 {
        assert_eq!(client.ask(get(SITE, "/")).status(), 502);
    }
    wait::until("a line about it", || (lines(begun) == 1).then_some(()));
    gauge(&elb, "fail_open", |picks| picks.as_u64().is_some_and(|picks| picks >= 49));
    let asked: usize = servers.iter().map(Server::connections).sum();
    assert_eq!(asked, 150, "each request asked everybody, once");

    let [address, ..] = servers.map(Server::stop);
    let _back = Server::at(address, crate::support::server::keep_answering(|_| ok("back")));
    wait::until("the one that is back", || (client.ask(get(SITE, "/")).text() == "back").then_some(()));
    wait::until("the end of the outage", || (lines(over) == 1).then_some(()));
    assert!((0..20).all(|_| client.ask(get(SITE, "/")).text() == "back"));
    assert_eq!((lines(begun), elb.log().matches("is put aside after").count()), (1, 3), "{}", elb.log());
}

#[test]
fn a_request_that_everybody_else_is_aside_for_is_served_by_a_backup_that_failed_too() {
    let (first, backup) = (odd("first", &[("", true)]), odd("backup", &[("", true)]));
    let servers = json!({
        first.address().to_string(): "fail_timeout=1h",
        backup.address().to_string(): "backup fail_timeout=1h"});
    let site = json!({"domains": {SITE: rules::to("up")}, "upstreams": {"up": servers}});
    let elb = Launch::serving(&site).workers(1).start();
    assert_eq!(elb.client().ask(get(SITE, "/0")).status(), 502);
    hundred(&elb);
}

#[test]
fn the_only_server_beside_one_that_is_down_is_never_put_aside() {
    let (only, down) = (odd("only", &[("", true)]), Server::named("down"));
    let servers = json!({
        only.address().to_string(): "fail_timeout=1h",
        down.address().to_string(): "down"});
    let site = json!({"domains": {SITE: rules::to("up")}, "upstreams": {"up": servers}});
    let elb = Launch::serving(&site).workers(1).start();
    assert_eq!(elb.client().ask(get(SITE, "/0")).status(), 502);
    assert_eq!(hundred(&elb), "only");
    gauge(&elb, "requests", |requests| requests == 101);
    gauge(&elb, "fail_open", |picks| picks == 0);
}
