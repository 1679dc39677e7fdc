//! What the rules see of a path is what the server gets of it.

use serde_json::{Value, json};

use crate::support::elb::{Elb, Launch};
use crate::support::exact::{OURS, accepted, pair, refused};
use crate::support::message::Message;
use crate::support::rules;
use crate::support::server::{Server, ok};

/// `/public` is open, and nothing else.
fn allow_list(server: &Server) -> Value {
    json!({
        "domains": {"site.test": {"init": "r1", "rules": {
            "r1": {"type": "path", "args": {"pattern": "/public", "succ": "r2"}},
            "r2": {"type": "backend", "args": {"servername": "up"}}}}},
        "upstreams": {"up": rules::upstream(&[server], "")},
    })
}

fn ask(elb: &Elb, target: &str) -> (u16, String) {
    let answer = elb.client().ask(format!("GET {target} HTTP/1.1\r\nHost: site.test\r\n\r\n"));
    (answer.status(), answer.head.get("X-ELB-Reason").unwrap_or_default().to_owned())
}

/// The last request that came.
fn last(server: &Server) -> Message {
    server.requests().pop().expect("a request")
}

/// Ways into `/admin` that begin or end in `/public` for somebody.
const AROUND: &[&str] = &[
    "/admin/../public",
    "/admin//../public",
    "/x/..%2f..%2fpublic",
    "/admin/x/..%2f..%2fpublic",
    "/admin/%2e%2e/public",
    "/admin/./../public",
    "/public/..;/admin",
    "/public/..%3b/admin",
    "/public/..%5cadmin",
    "/public/..\\admin",
    "/public/%2e%2e/admin",
    "/public/.%2E/admin",
    "/public/x/../../admin",
    "/public%2f../admin",
    "/public/a%2fb/../../admin",
    "/public%0a",
];

#[test]
fn no_way_around_a_rule_reaches_the_server() {
    let server = Server::answering(|_| ok("seen"));
    let elb = Launch::serving(&allow_list(&server)).start();
    for target in AROUND {
        let before = server.requests().len();
        let (status, reason) = ask(&elb, target);
        match (status, reason.as_str()) {
            (200, "") => {
                let seen = server.requests().split_off(before);
                let targets: Vec<&str> = seen.iter().map(|request| request.head.target()).collect();
                assert_eq!(targets, ["/public"], "{target}");
            }
            (403, "rule-denied") | (400, "ambiguous-path") => {
                assert_eq!(server.requests().len(), before, "{target}");
            }
            other => panic!("{other:?} for {target}"),
        }
    }
}

#[test]
fn dots_are_resolved_before_a_path_goes_out() {
    let (server, elb) = pair();
    for (sent, seen) in [
        ("GET /a/./b", "GET /a/b"),
        ("GET /a/../b?x=/../y", "GET /b?x=/../y"),
        ("GET /a/b/..", "GET /a/"),
        ("GET /a/%2e%2E/b", "GET /b"),
        ("GET /a//b/./c", "GET /a/b/c"),
        ("GET /%41%2Fb/./c;d=e/", "GET /%41%2Fb/c;d=e/"),
        ("GET http://site.test/a/../b?", "GET /b?"),
        ("GET http://site.test/.", "GET /"),
        ("OPTIONS /./", "OPTIONS /"),
        // Without dots nothing of it is touched.
        ("GET //a%2F%2fb\\c//?.", "GET //a%2F%2fb\\c//?."),
        ("GET /.a/..b/c./d../...", "GET /.a/..b/c./d../..."),
        ("GET /a;.;..", "GET /a;.;.."),
        ("GET /%252e%252e/%25", "GET /%252e%252e/%25"),
    ] {
        let request = format!("{sent} HTTP/1.1\r\nHost: site.test\r\n\r\n");
        accepted(&elb, &server, request.as_bytes(), format!("{seen} HTTP/1.1\r\n{OURS}\r\n").as_bytes());
    }
}

#[test]
fn what_servers_would_resolve_in_different_ways_is_refused() {
    let (server, elb) = pair();
    for path in [
        "/x/..%2f..%2fpublic",
        "/a%2F..",
        "/a%2f./b",
        "/a%2fb/../c",
        "/..%5cadmin",
        "/a\\..\\b",
        "/a\\.",
        "/a%5cb/../c",
        "/a/..;/b",
        "/a/.;x=y/b",
        "/a/%2e%2e%3b/b",
        "/admin%0a",
        "/a%0d%0aX:%20y",
        "/a%7f",
        "/%01/../b",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: site.test\r\n\r\n");
        refused(&elb, 400, "ambiguous-path", request.as_bytes());
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn as_received_is_the_old_way() {
    let server = Server::answering(|_| ok("seen"));
    let elb = Launch::serving(&allow_list(&server)).flag("--path=as-received").start();
    for target in
        ["/admin/../public", "/admin//../public", "/public/..;/admin", "/public/..%5cadmin", "/public%0a"]
    {
        assert_eq!(ask(&elb, target), (200, String::new()), "{target}");
        assert_eq!(last(&server).head.target(), target);
    }
    assert_eq!(ask(&elb, "/../public"), (400, "bad-path".to_owned()));
    assert_eq!(ask(&elb, "/public/../admin"), (403, "rule-denied".to_owned()));
}

/// A group that is cut out of a segment must not make dots of it.
#[test]
fn a_rewrite_makes_no_dots() {
    let server = Server::answering(|_| ok("seen"));
    let elb = Launch::serving(&json!({
        "domains": {"site.test": {"init": "r1", "rules": {
            "r1": {"type": "path", "args": {"pattern": "^/public(.*)", "regex": true, "rewrite": true, "succ": "r2"}},
            "r2": {"type": "backend", "args": {"servername": "up"}}}}},
        "upstreams": {"up": rules::upstream(&[&server], "")},
    }))
    .start();
    for target in
        ["/public../admin", "/public..;/admin", "/public..\\admin", "/public..%5cadmin", "/public.;"]
    {
        assert_eq!(ask(&elb, target), (400, "bad-rewrite".to_owned()), "{target}");
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(ask(&elb, "/public/x/../a..;b"), (200, String::new()));
    assert_eq!(last(&server).head.target(), "/a..;b");
}

/// Of two a rule would see one, and the server perhaps the other.
#[test]
fn a_user_agent_that_no_rule_saw_reaches_nobody() {
    let server = Server::answering(|_| ok("seen"));
    let elb = Launch::serving(&json!({
        "domains": {"site.test": {"init": "r1", "rules": {
            "r1": {"type": "ua", "args": {"pattern": "good", "succ": "r2"}},
            "r2": {"type": "backend", "args": {"servername": "up"}}}}},
        "upstreams": {"up": rules::upstream(&[&server], "")},
    }))
    .start();
    let two = "GET / HTTP/1.1\r\nHost: site.test\r\nUser-Agent: good\r\nUser-Agent: bad\r\n\r\n";
    refused(&elb, 400, "repeated-field", two.as_bytes());
    assert_eq!(server.connections(), 0);
    // A server behind CGI would read this as the same field.
    let alike =
        "GET / HTTP/1.1\r\nHost: site.test\r\nUser_Agent: bad\r\nUser-Agent: good\r\nuser_agent: bad\r\n\r\n";
    assert_eq!(elb.client().ask(alike).status(), 200);
    let seen = String::from_utf8(server.request().wire()).expect("text");
    assert_eq!(seen, format!("GET / HTTP/1.1\r\n{OURS}User-Agent: good\r\n\r\n"));
}
