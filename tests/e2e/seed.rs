//! The README of the first ELB, request by request, against a real etcd.
//!
//! Ports are the kernel's instead of 8088 and 8089, and a `PUT` says its true length; all else is as it was printed.

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::etcdctl::etcd;
use crate::support::message::Message;
use crate::support::rules;
use crate::support::server::Server;
use crate::support::wait;

/// Asks as the printed examples do: `HTTPie` at this host.
fn httpie(elb: &Elb, host: &str, path: &str) -> String {
    asked(elb, host, path, "HTTPie/0.9.9").text()
}

fn asked(elb: &Elb, host: &str, path: &str, user_agent: &str) -> Message {
    elb.client().ask(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {user_agent}\r\n\r\n"))
}

/// One call of the API with the headers of the printed examples.
#[track_caller]
fn call(elb: &Elb, method: &str, word: &str, body: &str) -> Value {
    let answer = elb.client().ask(format!(
        "{method} /__erulb__/{word} HTTP/1.1\r\nAccept: application/json, */*\r\nAccept-Encoding: gzip, deflate\r\n\
         Connection: keep-alive\r\nContent-Length: {}\r\nContent-Type: application/json\r\nHost: localhost:8080\r\n\
         User-Agent: HTTPie/0.9.9\r\n\r\n{body}",
        body.len()
    ));
    assert_eq!(answer.head.line, "HTTP/1.1 200 OK", "{}", answer.text());
    assert_eq!(answer.head.get("Content-Type"), Some("application/json"));
    assert!(answer.body.ends_with(b"\n"));
    answer.json()
}

/// The answer `{"msg": "OK"}`, as it is printed: there is nothing else in it.
#[track_caller]
fn said_ok(answer: &Value) {
    assert_eq!(*answer, json!({"msg": "OK"}));
}

/// One server of an answer to `GET upstream`.
fn server(address: &str, weight: u32, max_fails: u32) -> Value {
    json!({"addr": address, "fail_timeout": 10, "max_fails": max_fails, "name": address, "weight": weight})
}

/// The servers of one upstream in an answer, sorted: the first ELB had no order, ours has the one they were sent in.
fn sorted(upstream: &Value) -> Vec<Value> {
    let mut servers = upstream.as_array().expect("a list of servers").clone();
    servers.sort_by_key(ToString::to_string);
    servers
}

#[test]
fn the_rule_set_of_the_readme_routes_by_user_agent_and_path() {
    let (one, two) = (Server::named("upstream1"), Server::named("upstream2"));
    let etcd = etcd();
    etcd.put("/ELB/rules/127.0.0.1", &rules::readme("upstream1", "upstream2").to_string());
    etcd.put(&format!("/ELB/upstreams/upstream1/{}", one.address()), "");
    etcd.put(&format!("/ELB/upstreams/upstream2/{}", two.address()), "max_fails=2 weight=10");
    let elb = Launch::storing(&etcd).start();

    assert_eq!(httpie(&elb, "127.0.0.1:8080", "/blog/x"), "upstream1");
    assert_eq!(httpie(&elb, "127.0.0.1:8080", "/"), "upstream2");
    assert_eq!(asked(&elb, "127.0.0.1:8080", "/blog/x", "curl/7.88").text(), "upstream2");
    assert_eq!(asked(&elb, "127.0.0.1:8080", "/", "curl/7.88").text(), "upstream2");
    assert_eq!(asked(&elb, "localhost", "/", "curl/7.88").status(), 404);
}

#[test]
fn domains_and_upstreams_are_shown_as_printed() {
    let etcd = etcd();
    etcd.put("/ELB/rules/127.0.0.1", &rules::readme("up1", "up2").to_string());
    etcd.put("/ELB/upstreams/upstream1/127.0.0.1:8088", "");
    etcd.put("/ELB/upstreams/upstream1/127.0.0.1:8089", "");
    etcd.put("/ELB/upstreams/upstream2/127.0.0.1:8089", "max_fails=2 weight=10");
    let elb = Launch::storing(&etcd).start();

    assert_eq!(call(&elb, "GET", "domain", ""), json!({"127.0.0.1": rules::readme("up1", "up2")}));
    let upstreams = call(&elb, "GET", "upstream", "");
    assert_eq!(upstreams.as_object().map(serde_json::Map::len), Some(2));
    let plain = [server("127.0.0.1:8088", 1, 1), server("127.0.0.1:8089", 1, 1)];
    assert_eq!(sorted(&upstreams["upstream1"]), plain);
    assert_eq!(sorted(&upstreams["upstream2"]), [server("127.0.0.1:8089", 10, 2)]);
}

#[test]
fn a_domain_is_put_and_deleted_as_printed() {
    let (one, two) = (Server::named("upstream1"), Server::named("upstream2"));
    let etcd = etcd();
    etcd.put("/ELB/rules/127.0.0.1", &rules::readme("upstream1", "upstream2").to_string());
    etcd.put(&format!("/ELB/upstreams/upstream1/{}", one.address()), "");
    etcd.put(&format!("/ELB/upstreams/upstream2/{}", two.address()), "");
    let elb = Launch::storing(&etcd).start();
    let localhost = json!({"localhost": {"init": "r1", "rules": {
        "r1": {"type": "path", "args": {
            "fail": "r3", "pattern": "^\\/blog\\/(\\S+)$", "regex": true, "rewrite": false, "succ": "r2"}},
        "r2": {"type": "backend", "args": {"servername": "upstream1"}},
        "r3": {"type": "backend", "args": {"servername": "upstream2"}}}}});

    said_ok(&call(&elb, "PUT", "domain", &localhost.to_string()));
    assert_eq!(httpie(&elb, "localhost:8080", "/blog/x"), "upstream1");
    assert_eq!(httpie(&elb, "localhost:8080", "/"), "upstream2");
    assert_eq!(call(&elb, "GET", "domain", "")["localhost"], localhost["localhost"]);

    said_ok(&call(&elb, "DELETE", "domain", r#"["localhost", "127.0.0.1"]"#));
    assert_eq!(asked(&elb, "localhost:8080", "/blog/x", "HTTPie/0.9.9").status(), 404);
    assert_eq!(asked(&elb, "127.0.0.1:8080", "/", "HTTPie/0.9.9").status(), 404);
    assert_eq!(call(&elb, "GET", "domain", ""), json!({}));
}

#[test]
fn upstreams_are_put_and_deleted_as_printed() {
    let (one, two) = (Server::named("one"), Server::named("two"));
    let (first, second) = (one.address().port(), two.address().port());
    let etcd = etcd();
    etcd.put("/ELB/rules/localhost", &rules::to("up1").to_string());
    etcd.put("/ELB/upstreams/upstream1/127.0.0.1:8088", "");
    etcd.put("/ELB/upstreams/upstream2/127.0.0.1:8089", "");
    let elb = Launch::storing(&etcd).start();

    said_ok(&call(
        &elb,
        "PUT",
        "upstream",
        &json!({
            "up1": {format!("127.0.0.1:{first}"): "", format!("127.0.0.1:{second}"): ""},
            "up2": {format!("localhost:{first}"): "", format!("localhost:{second}"): ""}})
        .to_string(),
    ));
    let mut served: Vec<String> = (0..2).map(|_| httpie(&elb, "localhost:8080", "/")).collect();
    if served[0] == served[1] {
        // Two workers, each with its own turn: the next two requests may fall to either.
        served = wait::until("both servers to be asked", || {
            served.push(httpie(&elb, "localhost:8080", "/"));
            served.iter().any(|name| *name != served[0]).then(|| served.clone())
        });
    }
    assert!(served.contains(&"one".to_owned()) && served.contains(&"two".to_owned()));
    said_ok(&call(&elb, "PUT", "domain", &json!({"localhost": rules::to("up2")}).to_string()));
    assert!(
        ["one", "two"].contains(&httpie(&elb, "localhost:8080", "/").as_str()),
        "servers by their host name"
    );

    let deleted = call(&elb, "DELETE", "upstream", r#"["upstream1", "upstream2"]"#);
    assert_eq!(deleted, json!({"upstream1": true, "upstream2": true}));
    assert_eq!(call(&elb, "DELETE", "upstream", r#"["upstream1"]"#), json!({"upstream1": 404}));
    let left = call(&elb, "GET", "upstream", "");
    assert_eq!(left.as_object().expect("an object").keys().collect::<Vec<_>>(), ["up1", "up2"]);
}

#[test]
fn a_dump_is_what_the_next_elb_begins_with() {
    let (one, two) = (Server::named("up1"), Server::named("up2"));
    let etcd = etcd();
    etcd.put("/ELB/rules/stale", &rules::to("up1").to_string());
    let elb = Launch::storing(&etcd).start();
    let upstreams = json!({
        "up1": {one.address().to_string(): ""},
        "up2": {two.address().to_string(): "max_fails=2 weight=10", "127.0.0.1:1": "backup max_conns=7"}});
    said_ok(&call(&elb, "PUT", "upstream", &upstreams.to_string()));
    said_ok(&call(&elb, "PUT", "domain", &json!({"127.0.0.1": rules::readme("up1", "up2")}).to_string()));
    said_ok(&call(&elb, "DELETE", "domain", r#"["stale"]"#));

    said_ok(&call(&elb, "PUT", "dump", ""));

    let keys = etcd.keys("/ELB/");
    let names: Vec<&str> =
        keys.iter().map(|(key, _)| key.as_str()).filter(|key| !key.contains("/@")).collect();
    let mut expected = vec![
        "/ELB/rules/127.0.0.1".to_owned(),
        format!("/ELB/upstreams/up1/{}", one.address()),
        "/ELB/upstreams/up2/127.0.0.1:1".to_owned(),
        format!("/ELB/upstreams/up2/{}", two.address()),
    ];
    expected.sort();
    assert_eq!(names, expected);
    let value = |key: &str| keys.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    assert_eq!(value(&expected[1]), Some("weight=1 max_fails=1 fail_timeout=10"));

    let before = (call(&elb, "GET", "domain", ""), call(&elb, "GET", "upstream", ""));
    drop(elb);
    let elb = Launch::storing(&etcd).start();
    let after = (call(&elb, "GET", "domain", ""), call(&elb, "GET", "upstream", ""));
    assert_eq!(after.0, before.0);
    for name in ["up1", "up2"] {
        assert_eq!(sorted(&after.1[name]), sorted(&before.1[name]));
    }
    assert_eq!(httpie(&elb, "127.0.0.1:8080", "/blog/x"), "up1");
    assert_eq!(httpie(&elb, "127.0.0.1:8080", "/"), "up2");
}

#[test]
fn where_the_configuration_stands_is_in_the_headers() {
    let etcd = etcd();
    let elb = Launch::storing(&etcd).start();
    let stands = |answer: &Message| {
        let number = |name| answer.head.get(name).map(|value| value.parse::<u64>().expect("a number"));
        (number("X-ELB-Version"), number("X-ELB-Unsaved"), number("X-ELB-Revision").is_some())
    };
    let put = r#"{"up1": {"127.0.0.1:8088": ""}}"#;
    let answer = elb.admin().call("PUT", "upstream", Some(put));
    assert_eq!((answer.text().as_str(), stands(&answer)), ("{\"msg\":\"OK\"}\n", (Some(2), Some(1), false)));
    let answer = elb.admin().call("PUT", "dump", None);
    assert_eq!((answer.text().as_str(), stands(&answer)), ("{\"msg\":\"OK\"}\n", (Some(2), Some(0), true)));
    let answer = elb.admin().call("DELETE", "upstream?dump=1", Some(r#"["up1"]"#));
    assert_eq!((answer.text().as_str(), stands(&answer)), ("{\"up1\":true}\n", (Some(3), Some(0), true)));
    assert_eq!(stands(&elb.admin().call("GET", "domain", None)), (Some(3), Some(0), false));
}

#[test]
fn changes_that_nobody_dumped_are_lost_with_the_process() {
    let etcd = etcd();
    let elb = Launch::storing(&etcd).start();
    said_ok(&call(&elb, "PUT", "upstream", r#"{"up1": {"127.0.0.1:8088": ""}}"#));
    drop(elb);
    let elb = Launch::storing(&etcd).start();
    assert_eq!(call(&elb, "GET", "upstream", ""), json!({}));
}

#[test]
fn keys_that_are_put_and_deleted_while_it_runs_are_followed() {
    let (one, two) = (Server::named("one"), Server::named("two"));
    let etcd = etcd();
    let elb = Launch::storing(&etcd).start();
    let mut client = elb.client();
    assert_eq!(client.ask(get("live.test", "/")).status(), 404);

    etcd.put(&format!("/ELB/upstreams/up/{}", one.address()), "");
    etcd.put("/ELB/rules/live.test", &rules::to("up").to_string());
    wait::until("the domain to be served", || {
        (client.ask(get("live.test", "/")).text() == "one").then_some(())
    });

    etcd.put(&format!("/ELB/upstreams/up/{}", two.address()), "weight=3");
    wait::until("the second server", || (client.ask(get("live.test", "/")).text() == "two").then_some(()));

    etcd.delete(&format!("/ELB/upstreams/up/{}", one.address()));
    etcd.delete(&format!("/ELB/upstreams/up/{}", two.address()));
    wait::until("no server", || (client.ask(get("live.test", "/")).status() == 502).then_some(()));

    etcd.delete("/ELB/rules/live.test");
    wait::until("no domain", || (client.ask(get("live.test", "/")).status() == 404).then_some(()));
}

#[test]
fn another_name_is_another_set_of_keys() {
    let server = Server::named("a");
    let etcd = etcd();
    etcd.put("/ELB/rules/x.test", &rules::to("up").to_string());
    etcd.put("/other/rules/y.test", &rules::to("up").to_string());
    etcd.put(&format!("/other/upstreams/up/{}", server.address()), "");
    let elb = Launch::bare(&["--listen=127.0.0.1:0", "--no-pin"])
        .workers(2)
        .variable("ETCD", &etcd.address())
        .variable("ELBNAME", "other")
        .start();

    assert_eq!(elb.client().ask(get("y.test", "/")).text(), "a");
    assert_eq!(elb.client().ask(get("x.test", "/")).status(), 404);
}
