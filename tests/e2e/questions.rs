//! Each type of rule in a conversation: what is asked, what the server gets.

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::etcdctl::{Writer, etcd};
use crate::support::rules::{self, SITE};
use crate::support::server::Server;

/// [`SITE`] with these rules before two backends: `yes` is the first server's, `no` the second's.
fn site(yes: &Server, no: &Server, rules: Value) -> Value {
    let mut document = rules::site(&[yes]);
    document["upstreams"]["no"] = rules::upstream(&[no], "");
    document["domains"][SITE] = json!({"init": "q", "rules": rules});
    for (rule, upstream) in [("yes", "up"), ("no", "no")] {
        document["domains"][SITE]["rules"][rule] =
            json!({"type": "backend", "args": {"servername": upstream}});
    }
    document
}

fn ask(elb: &Elb, request: &str) -> String {
    elb.client().ask(request.replace('\n', "\r\n") + "\r\n\r\n").text()
}

/// One question with `yes` and `no` behind it.
fn question(kind: &str, mut args: Value) -> Value {
    (args["succ"], args["fail"]) = (json!("yes"), json!("no"));
    json!({"q": {"type": kind, "args": args}})
}

#[test]
fn every_question_sends_a_request_where_its_answer_says() {
    let (yes, no) = (Server::named("yes"), Server::named("no"));
    let first = site(&yes, &no, question("method", json!({"methods": ["GET"]})));
    // The first comes from the file, the others are put.
    let elb = Launch::serving(&first).start();
    let head = |line: &str, more: &str| format!("{line} HTTP/1.1\nHost: {SITE}{more}");
    for (kind, args, request, answer) in [
        ("method", json!({"methods": ["GET"]}), head("GET /", ""), "yes"),
        ("method", json!({"methods": ["GET"]}), head("DELETE /", ""), "no"),
        (
            "header",
            json!({"name": "x-user", "pattern": "me"}),
            head("GET /", "\nX-User: you\nx-user: me"),
            "yes",
        ),
        ("header", json!({"name": "x-user"}), head("GET /", ""), "no"),
        (
            "header",
            json!({"name": "authorization", "pattern": "Bearer ", "match": "prefix"}),
            head("GET /", "\nAuthorization: Bearer x"),
            "yes",
        ),
        (
            "query",
            json!({"name": "page", "pattern": "^[0-9]+$", "regex": true}),
            head("GET /?x=1&page=%31%37", ""),
            "yes",
        ),
        ("query", json!({"name": "page"}), head("GET /page", ""), "no"),
        (
            "cookie",
            json!({"name": "group", "pattern": "beta"}),
            head("GET /", "\nCookie: a=1; group=beta"),
            "yes",
        ),
        ("cookie", json!({"name": "group", "pattern": "beta"}), head("GET /", "\nCookie: group=alpha"), "no"),
        ("client", json!({"cidrs": ["127.0.0.0/8"]}), head("GET /", ""), "yes"),
        ("client", json!({"cidrs": ["10.0.0.0/8"]}), head("GET /", "\nX-Forwarded-For: 10.0.0.1"), "no"),
        ("host", json!({"pattern": SITE}), head("GET /", ""), "yes"),
        ("host", json!({"pattern": "www.", "match": "prefix"}), head("GET /", ""), "no"),
        ("path", json!({"pattern": "/a", "match": "exact"}), head("GET /a?x", ""), "yes"),
        ("path", json!({"pattern": "/a", "match": "exact"}), head("GET /a/", ""), "no"),
    ] {
        let rules = site(&yes, &no, question(kind, args.clone()));
        elb.admin().put("domain", &json!({SITE: rules["domains"][SITE]}));
        assert_eq!(ask(&elb, &request), answer, "{kind} {args} {request}");
    }
}

#[test]
fn a_split_keeps_clients_in_both_workers_and_a_rewrite_is_what_the_server_gets() {
    let (yes, no) = (Server::named("yes"), Server::named("no"));
    let arms = json!([{"rule": "yes", "weight": 1}, {"rule": "strip", "weight": 1}]);
    let rules = json!({
        "q": {"type": "split", "args": {"arms": arms, "key": "header:X-Id", "salt": "s"}},
        "strip": {"type": "rewrite", "args": {"strip_prefix": "/api", "succ": "swap"}},
        "swap": {"type": "rewrite", "args": {"regex": "^/(\\w+)/(\\w+)", "to": "/$2/$1", "succ": "add"}},
        "add": {"type": "rewrite", "args": {"add_prefix": "/v 1", "succ": "no"}}});
    let elb = Launch::serving(&site(&yes, &no, rules)).workers(2).start();
    let mut seen = [0, 0];
    for id in 0..20 {
        let request = format!("GET /api/a/b?q HTTP/1.1\nHost: {SITE}\nX-Id: {id}");
        let arms: Vec<String> = (0..4).map(|_| ask(&elb, &request)).collect();
        assert!(arms.iter().all(|arm| *arm == arms[0]), "{arms:?}");
        seen[usize::from(arms[0] == "no")] += 1;
    }
    assert!(seen[0] > 2 && seen[1] > 2, "{seen:?}");
    assert!(no.requests().iter().all(|request| request.head.target() == "/v%201/b/a?q"));
    assert!(yes.requests().iter().all(|request| request.head.target() == "/api/a/b?q"));
}

/// The keys of a store for two upstreams of a server each, and for rule sets by domain.
fn keys(yes: &Server, no: &Server, domains: &[(&str, Value)]) -> Vec<(String, Option<String>)> {
    let servers = [("up", yes), ("no", no)].map(|(upstream, server)| {
        (format!("/ELB/upstreams/{upstream}/{}", server.address()), Some(String::new()))
    });
    let rules =
        domains.iter().map(|(domain, rules)| (format!("/ELB/rules/{domain}"), Some(rules.to_string())));
    servers.into_iter().chain(rules).collect()
}

#[test]
fn rules_of_all_types_come_through_etcd_and_a_split_is_the_same_in_every_process() {
    let (yes, no, etcd) = (Server::named("yes"), Server::named("no"), etcd());
    let split = |key: &str| {
        let arms = json!([{"rule": "yes", "weight": 1}, {"rule": "no", "weight": 1}]);
        let rules = json!({"q": {"type": "split", "args": {"arms": arms, "key": key, "salt": "s"}}});
        site(&yes, &no, rules)["domains"][SITE].clone()
    };
    let asked = |kind: &str, args: Value| site(&yes, &no, question(kind, args))["domains"][SITE].clone();
    let domains = [
        ("cookie.split", split("cookie:id")),
        ("header.split", split("header:X-Id")),
        ("client.split", split("client")),
        ("header.test", asked("header", json!({"name": "x-a"}))),
        ("method.test", asked("method", json!({"methods": ["GET"]}))),
        ("query.test", asked("query", json!({"name": "a", "pattern": "1"}))),
        ("cookie.test", asked("cookie", json!({"name": "id"}))),
        ("client.test", asked("client", json!({"cidrs": ["127.0.0.0/8"]}))),
        ("host.test", asked("host", json!({"pattern": "host.test"}))),
        ("limit.test", asked("limit", json!({"rate": "1r/m"}))),
        ("rewrite.test", asked("rewrite", json!({"add_prefix": "/x"}))),
        ("redirect.test", json!({"init": "q", "rules": {"q": {"type": "redirect", "args": {"to": "/"}}}})),
        ("respond.test", json!({"init": "q", "rules": {"q": {"type": "respond", "args": {"body": "page"}}}})),
        ("deny.test", json!({"init": "q", "rules": {"q": {"type": "deny", "args": {"status": 410}}}})),
        ("faulty.test", json!({"init": "q", "rules": {"q": {"type": "deny", "args": {"status": 200}}}})),
    ];
    Writer::to(&etcd).write(&keys(&yes, &no, &domains));
    let processes = [1, 2].map(|workers| Launch::storing(&etcd).workers(workers).start());
    for elb in &processes {
        for (kind, answer) in [
            ("header", "no"),
            ("method", "yes"),
            ("query", "yes"),
            ("cookie", "yes"),
            ("client", "yes"),
            ("host", "yes"),
            ("respond", "page"),
        ] {
            let request = format!("GET /?a=1 HTTP/1.1\nHost: {kind}.test\nCookie: id=1");
            assert_eq!(ask(elb, &request), answer, "{kind}");
        }
        let statuses = ["redirect", "deny", "faulty"]
            .map(|kind| elb.client().ask(get(&format!("{kind}.test"), "/x")).status());
        assert_eq!(statuses, [302, 410, 404]);
        let told = elb.admin().get("rejected");
        let told = &told["rejected"][0];
        assert_eq!(
            (&told["key"], &told["pointer"]),
            (&json!("rules/faulty.test"), &json!("/rules/q/args/status"))
        );
    }
    for id in 0..40 {
        for key in ["cookie", "header", "client"] {
            let request = format!("GET / HTTP/1.1\nHost: {key}.split\nCookie: a=b; id={id}\nX-Id: {id}");
            let [one, other] = [0, 1].map(|at: usize| ask(&processes[at], &request));
            assert_eq!(one, other, "{key} {id}");
        }
    }
    assert!(yes.requests().len() > 50 && no.requests().len() > 50, "both arms are taken");
}

#[test]
fn a_rewrite_that_nobody_should_send_is_refused() {
    let (yes, no) = (Server::named("yes"), Server::named("no"));
    let rules =
        json!({"q": {"type": "rewrite", "args": {"regex": "^/x(.*)$", "to": "/a/$1", "succ": "yes"}}});
    let elb = Launch::serving(&site(&yes, &no, rules)).start();
    let refused = elb.client().ask(format!("GET /x.. HTTP/1.1\r\nHost: {SITE}\r\n\r\n"));
    assert_eq!((refused.status(), refused.head.get("X-ELB-Reason")), (400, Some("bad-rewrite")));
    let long = format!("GET /x{} HTTP/1.1\nHost: {SITE}", "a".repeat(1000));
    assert_eq!(ask(&elb, &long), "yes");
}
