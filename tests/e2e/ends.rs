//! What ends a walk through rules: redirects, pages, refusals, and what is changed in answers of servers.

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::message::Message;
use crate::support::rules::{self, SITE};
use crate::support::server::Server;

/// [`SITE`] with these rules, of which `r` is the first.
fn site(server: &Server, rules: Value) -> Value {
    let mut document = rules::site(&[server]);
    document["domains"][SITE] = json!({"init": "r", "rules": rules});
    document
}

fn start(server: &Server, rules: Value) -> Elb {
    Launch::serving(&site(server, rules)).start()
}

fn ask(elb: &Elb, line: &str, fields: &str) -> Message {
    elb.client().ask(format!("{line} HTTP/1.1\r\nHost: {SITE}\r\n{fields}\r\n"))
}

#[test]
fn a_page_is_answered_with_its_length_its_tag_and_to_head_without_itself() {
    let server = Server::named("a");
    let args =
        json!({"body": "x".repeat(64 * 1024), "content_type": "text/html", "headers": {"X-A": ["1", "2"]}});
    let elb = start(&server, json!({"r": {"type": "respond", "args": args}}));
    let mut client = elb.client();
    let page = client.ask(get(SITE, "/"));
    assert_eq!((page.status(), page.text().len()), (200, 64 * 1024));
    assert_eq!((page.head.get("content-type"), page.head.all("x-a")), (Some("text/html"), vec!["1", "2"]));
    let tag = page.head.get("etag").expect("a tag").to_owned();
    for method in ["GET", "HEAD"] {
        let known =
            client.ask(format!("{method} / HTTP/1.1\r\nHost: {SITE}\r\nIf-None-Match: \"x\", {tag}\r\n\r\n"));
        assert_eq!((known.status(), known.head.get("etag")), (304, Some(&*tag)));
        assert_eq!(known.head.get("content-length"), None);
    }
    let head = client.ask(format!("HEAD / HTTP/1.1\r\nHost: {SITE}\r\n\r\n"));
    assert_eq!(
        (head.status(), head.head.get("content-length"), head.text()),
        (200, Some("65536"), String::new())
    );
    assert_eq!(client.ask(get(SITE, "/")).status(), 200, "the connection went on through all of it");
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_page_answers_a_request_whose_body_is_still_on_its_way() {
    let server = Server::named("a");
    let args = json!({"status": 503, "body": "soon", "headers": {"Retry-After": 60}});
    let elb = start(&server, json!({"r": {"type": "respond", "args": args}}));
    let mut client = elb.client();
    let page = client.ask(format!("POST / HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 100000\r\n\r\nabc"));
    assert_eq!(
        (page.status(), page.text(), page.head.get("retry-after")),
        (503, "soon".to_owned(), Some("60"))
    );
    let told = ask(&elb, "GET /", "X-ELB-Explain: 1\r\n");
    assert_eq!(told.head.get("x-elb-way"), Some(&*format!("domain={SITE}; rules=r; version=1")));
}

#[test]
fn a_client_is_sent_elsewhere_and_never_to_a_host_that_it_chose() {
    let server = Server::named("a");
    let rules = json!({
        "r": {"type": "path", "args": {"pattern": "^/to/(.*)$", "regex": true, "succ": "groups", "fail": "s"}},
        "s": {"type": "path", "args": {"pattern": "/whole", "succ": "whole", "fail": "no"}},
        "groups": {"type": "redirect", "args": {"to": "/$1", "code": 308}},
        "whole": {"type": "redirect", "args": {"to": "https://$host$path$query"}},
        "no": {"type": "deny", "args": {"status": 451}}});
    let elb = start(&server, rules);
    for (target, status, location) in [
        ("/to/x%20y?q", 308, "/x%20y"),
        ("/to/", 308, "/"),
        ("/to/%5Cevil.test", 400, ""),
        ("/to/x%2f%2fevil.test", 308, "/x/evil.test"),
        ("/whole/x%0d", 400, ""),
        ("/whole/x?a=%0d%0aX:%20y&b=\"", 302, "https://site.test/whole/x?a=%0d%0aX:%20y&b=%22"),
        ("/other", 451, ""),
    ] {
        let answer = ask(&elb, &format!("GET {target}"), "");
        let sent = answer.head.get("location").unwrap_or_default();
        assert_eq!((answer.status(), sent), (status, location), "{target}");
    }
    let refused = ask(&elb, "GET /other", "");
    assert_eq!(
        (refused.head.get("x-elb-reason"), refused.text()),
        (Some("rule-denied"), "451 Unavailable For Legal Reasons: rule-denied\n".to_owned())
    );
}

#[test]
fn answers_of_servers_are_changed_on_their_way_back() {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\nServer: old\r\nX-Powered-By: x\r\nVary: a\r\nserver: older\r\nContent-Length: 2\r\n\r\nhi";
    let server = Server::answering(|_| ANSWER);
    let edits = json!({"set": {"Server": "elb", "X-New": ["1", "2"]}, "add": {"Vary": "b"}, "remove": ["x-powered-by"]});
    let elb = start(
        &server,
        json!({"r": {"type": "backend", "args": {"servername": "up", "response_headers": edits}}}),
    );
    let mut client = elb.client();
    for _ in 0..2 {
        let answer = client.ask(get(SITE, "/"));
        assert_eq!((answer.status(), answer.text()), (200, "hi".to_owned()));
        for (name, values) in [
            ("server", vec!["elb"]),
            ("x-powered-by", vec![]),
            ("vary", vec!["a", "b"]),
            ("x-new", vec!["1", "2"]),
        ] {
            assert_eq!(answer.head.all(name), values, "{name}");
        }
    }
    let told = client.ask(format!("GET / HTTP/1.1\r\nHost: {SITE}\r\nX-ELB-Explain: 1\r\n\r\n"));
    let way = format!("domain={SITE}; rules=r; version=1; upstream=up; server={}; tries=1", server.address());
    assert_eq!((told.head.get("x-elb-way"), told.head.all("server")), (Some(&*way), vec!["elb"]));
    for (fields, peer) in [
        ("X-ELB-Explain: 1\r\nX-Forwarded-For: 1.2.3.4\r\n", "one who speaks for others"),
        ("X-ELB-Explain: 0\r\n", "one who does not ask"),
    ] {
        assert_eq!(ask(&elb, "GET /", fields).head.get("x-elb-way"), None, "{peer}");
    }
}

/// Changes nothing but what it adds.
fn marking() -> Value {
    let edits = json!({"set": {"X-Mark": "1"}, "remove": ["X-Gone"]});
    json!({"r": {"type": "backend", "args": {"servername": "up", "response_headers": edits}}})
}

#[test]
fn only_the_final_answer_is_changed_whatever_came_before_it() {
    let server = Server::answering(
        |_| "HTTP/1.1 103 Early Hints\r\nX-Gone: 1\r\n\r\nHTTP/1.1 200 OK\r\nX-Gone: 1\r\nContent-Length: 0\r\n\r\n",
    );
    let elb = start(&server, marking());
    let mut client = elb.client();
    client.send(get(SITE, "/"));
    let hints = client.response();
    assert_eq!((hints.status(), hints.head.get("x-gone"), hints.head.get("x-mark")), (103, Some("1"), None));
    let last = client.response();
    assert_eq!((last.status(), last.head.get("x-gone"), last.head.get("x-mark")), (200, None, Some("1")));
}

#[test]
fn the_answer_of_the_second_server_is_changed_and_keeps_its_cookie() {
    let (gone, server) = (Server::named("gone"), Server::named("a"));
    let gone = gone.stop();
    let mut document = site(&server, marking());
    document["upstreams"]["up"][gone.to_string()] = json!("");
    document["upstreams"]["up"]["@options"] = json!("sticky=cookie:srv");
    let elb = Launch::serving(&document).start();
    for _ in 0..4 {
        let answer = elb.client().ask(get(SITE, "/"));
        assert_eq!((answer.text(), answer.head.all("x-mark")), ("a".to_owned(), vec!["1"]));
        let cookie = answer.head.get("set-cookie").unwrap_or_default();
        assert!(cookie.starts_with("srv="), "{cookie}");
    }
    // What ELB answers itself is no server's.
    server.stop();
    let answer = elb.client().ask(get(SITE, "/"));
    assert_eq!((answer.status(), answer.head.get("x-mark")), (502, None));
}

#[test]
fn answers_on_a_private_connection_are_changed_as_all_are() {
    let server = Server::answering(
        |_| "HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM\r\nX-Gone: 1\r\nContent-Length: 0\r\n\r\n",
    );
    let elb = start(&server, marking());
    let mut client = elb.client();
    for _ in 0..3 {
        let answer = client.ask(get(SITE, "/"));
        assert_eq!(
            (answer.status(), answer.head.get("x-gone"), answer.head.get("x-mark")),
            (401, None, Some("1"))
        );
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn what_cannot_be_changed_is_refused_and_an_old_header_of_that_name_is_one() {
    let server = Server::named("a");
    let elb = start(
        &server,
        json!({"r": {"type": "backend", "args": {"servername": "up", "response_headers": "old"}}}),
    );
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
    assert_eq!(server.request().head.get("response_headers"), Some("old"));
    for (edits, pointer) in [
        (json!({"set": {"Content-Length": "1"}}), "/set/Content-Length"),
        (json!({"remove": ["Transfer-Encoding"]}), "/remove/0"),
        (json!({"add": {"a b": "1"}}), "/add/a b"),
        (json!({"change": {}}), "/change"),
        (json!({"remove": "x"}), "/remove"),
        (json!({"set": {"X-A": "1", "x-a": "2"}}), "/set/x-a"),
        (
            json!({"set": (0..65).map(|n| (format!("X-{n}"), json!(""))).collect::<serde_json::Map<_, _>>()}),
            "/set",
        ),
        (json!({"set": {"X-A": "1".repeat(5000)}, "add": {"X-B": "1".repeat(5000)}}), ""),
    ] {
        let rules = site(
            &server,
            json!({"r": {"type": "backend", "args": {"servername": "up", "response_headers": edits}}}),
        );
        let answer =
            elb.admin().call("PUT", "domain", Some(&json!({SITE: rules["domains"][SITE]}).to_string()));
        let fault: Value = serde_json::from_str(&answer.text()).expect("JSON");
        assert_eq!(
            (answer.status(), fault["pointer"].as_str()),
            (400, Some(&*format!("/{SITE}/rules/r/args/response_headers{pointer}")))
        );
    }
}
