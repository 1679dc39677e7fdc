//! Who the client is behind proxies: to rules, to servers, and to the admin API.

use serde_json::{Value, json};

use crate::support::elb::{Elb, Launch};
use crate::support::message::Head;
use crate::support::rules::{self, SITE};
use crate::support::server::Server;

/// Clients of 10.0.0.0/8 go to the server, others nowhere.
fn site(server: &Server) -> Value {
    let mut document = rules::site(&[server]);
    document["domains"][SITE] = json!({"init": "r", "rules": {
        "r": {"type": "client", "args": {"cidrs": ["10.0.0.0/8"], "succ": "up", "fail": "no"}},
        "up": {"type": "backend", "args": {"servername": "up"}},
        "no": {"type": "deny", "args": {}}}});
    document
}

fn ask(elb: &Elb, fields: &str) -> u16 {
    elb.client().ask(format!("GET / HTTP/1.1\r\nHost: {SITE}\r\n{fields}\r\n")).status()
}

fn seen(head: &Head) -> [&str; 3] {
    ["x-real-ip", "remote-host", "x-forwarded-for"].map(|name| head.get(name).unwrap_or_default())
}

#[test]
fn the_client_of_a_trusted_proxy_is_the_last_one_that_is_none_itself() {
    let server = Server::named("a");
    let elb = Launch::serving(&site(&server)).flag("--trusted-proxies=127.0.0.0/8,192.0.2.0/24").start();
    for (fields, status) in [
        ("", 403),
        ("X-Forwarded-For: 10.0.0.1\r\n", 200),
        ("X-Forwarded-For: 10.0.0.1, 8.8.8.8\r\n", 403),
        ("X-Forwarded-For: 8.8.8.8, 10.0.0.1, 192.0.2.9\r\n", 200),
        ("X-Forwarded-For: 8.8.8.8\r\nX-Forwarded-For: 10.0.0.1:5050\r\n", 200),
        ("X-Forwarded-For: 10.0.0.1, unknown, 192.0.2.9\r\n", 403),
        ("X-Forwarded-For: ::ffff:10.0.0.1\r\n", 200),
    ] {
        assert_eq!(ask(&elb, fields), status, "{fields}");
    }
    ask(&elb, "X-Forwarded-For: 8.8.8.8, 10.0.0.1, 192.0.2.9\r\nX-Real-IP: 6.6.6.6\r\n");
    let heads = server.requests();
    let last = &heads.last().expect("a request").head;
    assert_eq!(seen(last), ["10.0.0.1", "10.0.0.1", "8.8.8.8, 10.0.0.1, 192.0.2.9, 127.0.0.1"]);
    let question = json!({"host": SITE, "headers": {"X-Forwarded-For": "10.0.0.1"}, "client": "127.0.0.1"});
    let told: Value =
        serde_json::from_str(&elb.admin().call("POST", "explain", Some(&question.to_string())).text())
            .expect("JSON");
    assert_eq!((&told["request"]["client"], &told["end"]["rule"]), (&json!("10.0.0.1"), &json!("up")));
}

/// What the server is told of how the request came.
fn origin(server: &Server) -> [String; 3] {
    let heads = server.requests();
    let head = &heads.last().expect("a request").head;
    ["x-forwarded-proto", "x-forwarded-port", "x-forwarded-host"].map(|name| head.all(name).join(", "))
}

const CLAIMS: &str = "X-Forwarded-Proto: https\r\nX-Forwarded-Host: other.test\r\n";

#[test]
fn servers_are_told_how_a_request_came_and_only_trusted_proxies_may_say_it() {
    let server = Server::named("a");
    let mut document = rules::site(&[&server]);
    let ruled = json!({"init": "r", "rules": {"r": {"type": "backend", "args": {
        "servername": "up", "x-forwarded-proto": "wss", "x-forwarded-port": ""}}}});
    document["domains"]["ruled.test"] = ruled;
    let ask = |elb: &Elb, host: &str, fields: &str| {
        let answer = elb.client().ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"));
        assert_eq!(answer.status(), 200);
        origin(&server)
    };
    let stranger = Launch::serving(&document).start();
    for fields in ["", CLAIMS, "X_Forwarded_Proto: https\r\nConnection: x-forwarded-host\r\n"] {
        assert_eq!(ask(&stranger, SITE, fields), ["http", "80", SITE], "{fields}");
        assert_eq!(ask(&stranger, "Site.test:81", fields), ["http", "81", "Site.test:81"], "{fields}");
        assert_eq!(ask(&stranger, "ruled.test", fields), ["wss", "", "ruled.test"], "{fields}");
    }
    let trusted = Launch::serving(&document).flag("--trusted-proxies=127.0.0.0/8").start();
    assert_eq!(ask(&trusted, SITE, ""), ["http", "80", SITE]);
    assert_eq!(ask(&trusted, SITE, CLAIMS), ["https", "443", "other.test"]);
    assert_eq!(ask(&trusted, "ruled.test", CLAIMS), ["wss", "", "other.test"]);
    let passing = Launch::serving(&document).flag("--forwarded-headers=pass").start();
    assert_eq!(ask(&passing, SITE, ""), ["", "", ""]);
    assert_eq!(ask(&passing, SITE, CLAIMS), ["https", "", "other.test"]);
}

#[test]
fn nobody_else_is_believed() {
    let server = Server::named("a");
    let elb = Launch::serving(&site(&server)).flag("--trusted-proxies=192.0.2.0/24").start();
    assert_eq!(ask(&elb, "X-Forwarded-For: 10.0.0.1\r\n"), 403);
    let untold = Launch::serving(&site(&server)).start();
    assert_eq!(ask(&untold, "X-Forwarded-For: 10.0.0.1\r\n"), 403);
}

#[test]
fn the_admin_api_judges_the_peer_alone() {
    let server = Server::named("a");
    let flags = ["--trusted-proxies=127.0.0.0/8", "--admin-allow=10.0.0.0/8"];
    let elb = flags.iter().fold(Launch::serving(&site(&server)), |launch, flag| launch.flag(flag)).start();
    let line = "GET /__erulb__/domain HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n";
    assert_eq!(elb.client().ask(line).status(), 403);
}
