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
