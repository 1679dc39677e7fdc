//! What is answered, held against what `/__erulb__/openapi.json` says: the status is described for the operation, and so are the type, the
//! headers and each member of the body.
//!
//! It owns a list of calls that reaches every path and method, with good and with faulty input; what an answer means is the affair of the
//! files of each subject. `tests/openapi/document.rs` holds the document against the router.

use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::support::admin::Admin;
use crate::support::client::{Client, get};
use crate::support::described::{Described, METHODS};
use crate::support::elb::{Elb, Launch};
use crate::support::etcdctl::etcd;
use crate::support::folder::{Folder, SECURE};
use crate::support::message::Head;
use crate::support::rules::{self, SITE};
use crate::support::server::Server;

/// Streams of events at a time.
const STREAMS: usize = 8;

/// An ELB with a domain and an upstream that were asked something.
fn stage(server: &Server) -> Elb {
    let elb = Launch::serving(&rules::site(&[server])).start();
    assert_eq!(elb.client().ask(get(SITE, "/")).status(), 200);
    assert_eq!(elb.client().ask(get("no.test", "/")).status(), 404);
    elb
}

/// A rule of each type, as they are put.
fn every_rule() -> Value {
    let named =
        |name: &str| json!({"name": name, "pattern": "a", "match": "exact", "succ": "z", "fail": "z"});
    let rules = [
        ("ua", json!({"pattern": "curl", "fail": "b"})),
        ("path", json!({"pattern": "^/a(.*)$", "regex": true, "rewrite": true, "succ": "z", "fail": "c"})),
        ("header", named("X-A")),
        ("method", json!({"methods": ["GET"], "succ": "z", "fail": "e"})),
        ("query", named("q")),
        ("cookie", named("c")),
        ("client", json!({"cidrs": ["10.0.0.0/8", "::1"], "succ": "z", "fail": "h"})),
        ("host", json!({"pattern": SITE, "succ": "z", "fail": "i"})),
        (
            "split",
            json!({"arms": [{"rule": "j", "weight": 1}, {"rule": "k", "weight": 9}, {"rule": "l", "weight": 1}], "key": "client"}),
        ),
        ("rewrite", json!({"strip_prefix": "/api", "succ": "z"})),
        ("limit", json!({"rate": "10r/s", "burst": 5, "key": "client", "status": 503, "succ": "m"})),
        ("redirect", json!({"to": "https://a.test$path", "code": 301})),
        (
            "respond",
            json!({"status": 503, "body": "later\n", "headers": {"Retry-After": 3600, "Vary": ["a", "b"]}}),
        ),
    ];
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"];
    let mut set = Map::new();
    for (at, (name, (kind, mut args))) in names.iter().zip(rules).enumerate() {
        if args.get("fail").is_some() && at + 1 < names.len() {
            args["fail"] = names[at + 1].into();
        }
        set.insert((*name).to_owned(), json!({"type": kind, "args": args}));
    }
    set["a"]["args"]["succ"] = "d".into();
    set["m"]["args"]["status"] = 503.into();
    set.insert("y".to_owned(), json!({"type": "deny", "args": {"status": 403}}));
    set.insert("z".to_owned(), json!({"type": "backend", "args": {"servername": "up", "X-A": "1", "gzip": {"types": ["text/html"], "level": 3, "min_length": 0}, "response_headers": {"set": {"X-B": 1}, "remove": ["Server"]}}}));
    set["b"]["args"]["succ"] = "y".into();
    json!({"init": "a", "rules": set})
}

/// Changes of domains.
fn domains(api: &Described) {
    let server = Server::named("a");
    let elb = stage(&server);
    let admin = elb.admin();
    let to = rules::to("up");
    let one = format!("domain/{SITE}");
    for row in [
        ("PUT", "domain", json!({"every.test": every_rule()}), 200),
        ("PUT", "domain?dry_run=1", json!({"x.test": to}), 200),
        ("PUT", "domain?dump=1", json!({"x.test": rules::to("none")}), 200),
        ("PUT", "domain?unknown=1", json!({}), 400),
        ("PUT", "domain", json!([]), 400),
        ("PUT", "domain", json!({"x.test": {"init": "r", "rules": {}}, "y.test": 5}), 400),
        ("GET", "domain", Value::Null, 200),
        ("GET", "domain?limit=1&filter=test", Value::Null, 200),
        ("GET", "domain?limit=0", Value::Null, 400),
        ("PATCH", "domain", json!({"x.test": {"rules": {"r1": {"args": {"servername": "up"}}}}}), 200),
        ("PATCH", "domain", json!({"x.test": {"init": 5}}), 400),
        ("DELETE", "domain", json!(["every.test", "no.test"]), 200),
        ("DELETE", "domain", json!([1]), 400),
        ("GET", &one, Value::Null, 200),
        ("GET", "domain/none.test", Value::Null, 404),
        ("PUT", "domain/z.test", every_rule(), 200),
        ("PUT", "domain/z.test", json!(5), 400),
        ("PATCH", "domain/z.test?dry_run=true", json!({"rules": {"y": {"args": {"status": 410}}}}), 200),
        ("PATCH", "domain/z.test", json!({"rules": null}), 400),
        ("PATCH", "domain/none.test", json!({}), 404),
        ("DELETE", "domain/z.test?dump=1", Value::Null, 200),
        ("DELETE", "domain/z.test", Value::Null, 404),
        ("DELETE", "domain/x.test?dump=no", Value::Null, 400),
    ] {
        api.call(&admin, row);
    }
    conditions(
        api,
        &admin,
        &[
            ("PUT", "domain", json!({"x.test": to})),
            ("PATCH", "domain", json!({"x.test": null})),
            ("DELETE", "domain", json!([SITE])),
            ("PUT", &one, to.clone()),
            ("PATCH", &one, json!({"init": "r1"})),
            ("DELETE", &one, Value::Null),
        ],
    );
}

/// Changes that are made only if something else were there.
#[track_caller]
fn conditions(api: &Described, admin: &Admin, rows: &[(&str, &str, Value)]) {
    let strict = admin.with("If-Match: \"0000\"");
    for (method, target, body) in rows {
        api.call(&strict, (method, target, body.clone(), 412));
        if !body.is_null() {
            let long = admin.with("Content-Length: 67108865").call(method, target, None);
            assert_eq!(long.status(), 413, "{method} {target}");
            api.judge(method, target, &long);
        }
    }
}

/// Changes of upstreams and of servers.
fn upstreams(api: &Described) {
    let server = Server::named("a");
    let elb = stage(&server);
    let admin = elb.admin();
    let servers = json!({"127.0.0.1:8088": "weight=3 max_conns=7 slow_start=10", "127.0.0.1:8089": {"backup": true}, "127.0.0.1:8090": "drain", "@options": "method=random"});
    let unresolved = json!({"not-there.invalid:80": "down", "127.0.0.1:1": ""});
    for row in [
        ("PUT", "upstream", json!({"a": servers, "b": servers}), 200),
        ("PUT", "upstream?dry_run=1", json!({"c": servers}), 200),
        ("PUT", "upstream?unresolved=1&dump=1", json!({"c": unresolved}), 200),
        ("PUT", "upstream", json!({"c": {"127.0.0.1:80": "weight=0"}}), 400),
        ("GET", "upstream", Value::Null, 200),
        ("GET", "upstream?detail=1", Value::Null, 200),
        ("GET", "upstream?limit=1", Value::Null, 200),
        ("GET", "upstream?limit=no", Value::Null, 400),
        ("PATCH", "upstream", json!({"a": {"127.0.0.1:8090": null, "127.0.0.1:8091": "down"}}), 200),
        ("PATCH", "upstream", json!({"a": null}), 400),
        ("DELETE", "upstream?dry_run=1", json!(["a"]), 200),
        ("DELETE", "upstream", json!(["b", "none"]), 200),
        ("DELETE", "upstream", json!({}), 400),
        ("GET", "upstream/a", Value::Null, 200),
        ("GET", "upstream/a?detail=1", Value::Null, 200),
        ("GET", "upstream/none", Value::Null, 404),
        ("PUT", "upstream/b", servers.clone(), 200),
        ("PUT", "upstream/b", json!("x"), 400),
        ("PATCH", "upstream/b", json!({"@options": null}), 200),
        ("PATCH", "upstream/none", json!({}), 404),
        ("PATCH", "upstream/b", json!({"127.0.0.1:1": 1}), 400),
        ("GET", "upstream/b/127.0.0.1:8088", Value::Null, 200),
        ("GET", "upstream/a/%40options", Value::Null, 200),
        ("GET", "upstream/b/none", Value::Null, 404),
        ("PUT", "upstream/b/127.0.0.1:9", json!("weight=2"), 200),
        ("PUT", "upstream/b/127.0.0.1:9", json!({"weight": 5, "down": true}), 200),
        ("PUT", "upstream/b/127.0.0.1:9", json!("wight=2"), 400),
        ("DELETE", "upstream/b/127.0.0.1:9?dry_run=1", Value::Null, 200),
        ("DELETE", "upstream/b/127.0.0.1:9", Value::Null, 200),
        ("DELETE", "upstream/b/127.0.0.1:9", Value::Null, 404),
        ("DELETE", "upstream/b/127.0.0.1:8088?x=1", Value::Null, 400),
        ("DELETE", "upstream/b", Value::Null, 200),
        ("DELETE", "upstream/b", Value::Null, 404),
        ("DELETE", "upstream/a?x", Value::Null, 400),
    ] {
        api.call(&admin, row);
    }
    // Every shape that is given out is taken back in, and described as such.
    let all = admin.get("upstream");
    api.call(&admin, ("PUT", "upstream?unresolved=1", all, 200));
    let detail = admin.get("upstream/a?detail=1");
    api.call(&admin, ("PUT", "upstream/a", detail.clone(), 200));
    api.call(&admin, ("PATCH", "upstream/a", detail, 400));
    api.call(&admin, ("PATCH", "upstream/a", json!({"127.0.0.1:8088": {"weight": 2, "down": false}}), 200));
    conditions(
        api,
        &admin,
        &[
            ("PUT", "upstream", json!({"a": servers})),
            ("PATCH", "upstream", json!({"a": {}})),
            ("DELETE", "upstream", json!(["a"])),
            ("PUT", "upstream/a", servers.clone()),
            ("PATCH", "upstream/a", json!({})),
            ("DELETE", "upstream/a", Value::Null),
            ("PUT", "upstream/a/127.0.0.1:8088", json!("")),
            ("DELETE", "upstream/a/127.0.0.1:8088", Value::Null),
        ],
    );
}

/// Certificates, where there is no etcd to write them to, and where there is.
fn certificates(api: &Described) {
    let server = Server::named("a");
    let folder = Folder::of_site();
    let signed = folder.authority.sign(&[SITE]);
    let elb = folder.launch(&rules::site(&[&server])).start();
    let given = json!({"certificate": signed.certificate, "key": signed.key});
    for row in [
        ("GET", "certificate", Value::Null, 200),
        ("GET", "certificate/site", Value::Null, 200),
        ("GET", "certificate/none", Value::Null, 404),
        ("PUT", "certificate", json!({"a": given}), 409),
        ("PUT", "certificate", json!({"a": {"certificate": 5}}), 400),
        ("PUT", "certificate?dump=1", json!({"a": given}), 400),
        ("PUT", "certificate/a", given.clone(), 409),
        ("PUT", "certificate/a", json!([]), 400),
        ("DELETE", "certificate", json!(["a"]), 409),
        ("DELETE", "certificate", json!(["@a"]), 400),
        ("DELETE", "certificate/a", Value::Null, 409),
    ] {
        api.call(&elb.admin(), row);
    }
    let etcd = etcd();
    let elb = Launch::storing(&etcd).listener(SECURE).start();
    for row in [
        ("PUT", "certificate", json!({"a": given}), 200),
        ("PUT", "certificate/b", given.clone(), 200),
        ("GET", "certificate", Value::Null, 200),
        ("DELETE", "certificate", json!(["a", "none"]), 200),
        ("DELETE", "certificate/b", Value::Null, 200),
        ("DELETE", "certificate/b", Value::Null, 404),
    ] {
        api.call(&elb.admin(), row);
    }
    for (method, target) in [("PUT", "certificate"), ("DELETE", "certificate"), ("PUT", "certificate/a")] {
        let long = elb.admin().with("Content-Length: 67108865").call(method, target, None);
        assert_eq!(long.status(), 413, "{method} {target}");
        api.judge(method, target, &long);
    }
}

/// The whole, its history and its store.
fn the_whole(api: &Described) {
    let server = Server::named("a");
    let elb = stage(&server);
    let admin = elb.admin();
    let whole = api.call(&admin, ("GET", "config", Value::Null, 200));
    let version: u64 = whole.head.get("x-elb-version").and_then(|text| text.parse().ok()).expect("a version");
    let domains = json!({"x.test": rules::to("up"), "y.test": rules::to("up"), "z.test": rules::to("up")});
    for row in [
        ("PUT", "config?dry_run=1", whole.json(), 200),
        ("PATCH", "config", json!({"domains": domains}), 200),
        ("PATCH", "config", json!({"domain": {}}), 400),
        ("PUT", "config", json!({"domains": {}, "upstreams": {}}), 409),
        ("PUT", "config?confirm=1&dump=1", whole.json(), 200),
        ("PUT", "config", json!({}), 400),
        ("GET", &format!("config?version={version}"), Value::Null, 200),
        ("GET", "config?version=x", Value::Null, 400),
        ("GET", "config?version=999", Value::Null, 404),
        ("GET", "history", Value::Null, 200),
        ("GET", &format!("history?version={}", version + 1), Value::Null, 200),
        ("GET", "history?digest=0", Value::Null, 400),
        ("GET", "history?version=999", Value::Null, 404),
        ("POST", "rollback?dry_run=1", json!({"to": version + 1}), 200),
        ("POST", "rollback", json!({"to": version + 1}), 200),
        ("POST", "rollback", json!({"to": "0123456789abcdef"}), 404),
        ("POST", "rollback", json!({"to": []}), 400),
        ("PUT", "dump", Value::Null, 200),
        ("PUT", "dump?x=1", Value::Null, 400),
        ("GET", "rejected", Value::Null, 200),
        ("PUT", "resync", Value::Null, 200),
        ("PUT", "resync?confirm=1", Value::Null, 200),
        ("PUT", "resync?dump=1", Value::Null, 400),
    ] {
        api.call(&admin, row);
    }
    conditions(
        api,
        &admin,
        &[
            ("PUT", "config", whole.json()),
            ("PATCH", "config", json!({})),
            ("POST", "rollback", json!({"to": version})),
        ],
    );
}

/// What can be seen.
fn sights(api: &Described) {
    let server = Server::named("a");
    let elb = stage(&server);
    let admin = elb.admin();
    api.call(&admin, ("PUT", "domain/every.test", every_rule(), 200));
    let config = json!({"domains": {"a.test": {"init": "r", "rules": {"r": {"type": "path", "args": {"pattern": "^/a", "succ": "b"}}, "b": {"type": "backend", "args": {"servername": "up"}}}}}, "upstreams": {"up": {"10.0.0.1": "", "10.0.0.2": "down"}}});
    let headers = json!({"User-Agent": "curl/8", "X-A": ["b", "a"]});
    for row in [
        ("POST", "explain", json!({"host": SITE}), 200),
        ("POST", "explain", json!({"host": "none.test", "method": "POST", "client": "::1"}), 200),
        ("POST", "explain", json!({"host": "every.test", "path": "/x?q=a", "headers": headers}), 200),
        ("POST", "explain", json!({"host": "a.test", "path": "/__erulb__/status", "config": config}), 200),
        ("POST", "explain", json!({"host": "a.test", "config": config}), 200),
        ("POST", "explain", json!({"host": 5}), 400),
        ("POST", "explain?dump=1", json!({"host": "a"}), 400),
        ("GET", "shadow", Value::Null, 404),
        ("POST", "shadow", json!({"config": config}), 200),
        ("POST", "shadow", json!({"config": config}), 409),
        ("GET", "shadow", Value::Null, 200),
        ("DELETE", "shadow", Value::Null, 200),
        ("DELETE", "shadow?dump=1", Value::Null, 400),
        ("POST", "shadow", json!({"config": config, "seconds": 0}), 400),
        ("GET", "servers", Value::Null, 200),
        ("GET", "servers?upstream=none", Value::Null, 404),
        ("GET", "fleet", Value::Null, 200),
        ("GET", "fleet?digest=0123456789&revision=1&limit=0", Value::Null, 200),
        ("GET", "fleet?digest=x", Value::Null, 400),
        ("GET", &format!("graph?domain={SITE}"), Value::Null, 200),
        ("GET", "graph?domain=every.test", Value::Null, 200),
        ("GET", "graph?domain=none.test", Value::Null, 404),
        ("GET", "graph", Value::Null, 400),
        ("GET", "status", Value::Null, 200),
        ("GET", "stats", Value::Null, 200),
        ("GET", "stats?sort=name&limit=1&domains=a&upstreams=u", Value::Null, 200),
        ("GET", "stats?sort=size", Value::Null, 400),
        ("GET", "workers", Value::Null, 200),
        ("GET", "metrics", Value::Null, 200),
        ("GET", "openapi.json", Value::Null, 200),
        ("GET", "ui", Value::Null, 200),
        ("GET", "live", Value::Null, 200),
        ("GET", "ready", Value::Null, 200),
    ] {
        api.call(&admin, row);
    }
    let open = admin.with("Accept: application/openmetrics-text");
    api.call(&open, ("GET", "metrics", Value::Null, 200));
    let long = admin.with("Content-Length: 67108865").call("POST", "explain", None);
    api.judge("POST", "explain", &long);
}

/// A stream of events, begun.
fn stream(admin: &Admin) -> (Client, Head) {
    let mut client = admin.client();
    client.send(format!("GET /__erulb__/events HTTP/1.0\r\nHost: {}\r\n\r\n", admin.address()));
    let head = client.head();
    (client, head)
}

/// Events, and one stream too many.
fn events(api: &Described) {
    let server = Server::named("a");
    let elb = stage(&server);
    let admin = elb.admin();
    let mut streams: Vec<(Client, Head)> = (0..STREAMS).map(|_| stream(&admin)).collect();
    let (client, head) = &mut streams[0];
    let described = &api.document["paths"]["/__erulb__/events"]["get"]["responses"]["200"];
    api.headers("GET events", described, head);
    let kind = head.get("content-type").expect("a type");
    assert!(described["content"][kind].is_object(), "{kind} is not described");
    let mut text = Vec::new();
    while !text.ends_with(b"\n\n") {
        text.extend(client.bytes(1));
    }
    let text = String::from_utf8(text).expect("text");
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
    let overview = serde_json::from_str(data).expect("JSON");
    assert_eq!(api.faults(&json!({"$ref": "#/components/schemas/Overview"}), &overview), [""; 0], "{text}");
    api.asked.borrow_mut().insert(("GET /__erulb__/events".to_owned(), 200));
    api.call(&admin, ("GET", "events", Value::Null, 503));
}

/// A target of each operation, whatever it is answered with.
fn targets(api: &Described) -> Vec<(String, String)> {
    let filled = |operation: &String| {
        let (method, path) = operation.split_once(' ').expect("a method");
        let target = path.trim_start_matches("/__erulb__/").replace("{name}", "up").replace("{server}", "s");
        (method.to_owned(), target)
    };
    api.operations().iter().map(filled).collect()
}

#[test]
fn every_call_is_answered_as_described() {
    let api = Described::of(&stage(&Server::named("a")));
    domains(&api);
    upstreams(&api);
    certificates(&api);
    the_whole(&api);
    sights(&api);
    events(&api);
    api.all_asked(|status| status == 200, &[]);
    // These take nothing that could be wrong.
    let plain =
        ["certificate", "rejected", "status", "workers", "metrics", "openapi.json", "ui", "live", "ready"]
            .map(|word| format!("GET /__erulb__/{word}"));
    api.all_asked(|status| status >= 400, &plain.each_ref().map(String::as_str));
}

#[test]
fn who_may_not_ask_is_told_as_described_everywhere() {
    let server = Server::named("a");
    let launch = || {
        Launch::serving(&rules::site(&[&server]))
            .flag("--admin-allow=127.0.0.1")
            .variable("ELB_ADMIN_TOKEN", "s3cret")
    };
    // Where the API has a port of its own, it answers all by itself.
    let elb = launch().flag("--admin-listen=127.0.0.1:0").start();
    let admin = elb.admin();
    let with_token = admin.with("Authorization: Bearer s3cret");
    let api = Described { document: with_token.get("openapi.json"), asked: RefCell::default() };
    for (method, target) in targets(&api) {
        api.judge(&method, &target, &admin.call(&method, &target, Some("{}")));
        let through_a_proxy = with_token.with("Via: 1.1 a");
        api.judge(&method, &target, &through_a_proxy.call(&method, &target, Some("{}")));
    }
    api.all_asked(|status| status == 401, &["GET /__erulb__/ui"]);
    api.all_asked(|status| status == 403, &[]);
    // On the data port workers refuse strangers.
    let elb = launch().start();
    let stranger = "127.0.0.2".parse().expect("an address");
    for (method, target) in targets(&api) {
        let mut client = Client::connect_from(stranger, elb.address());
        let host = elb.address();
        let answer = client.ask(format!("{method} /__erulb__/{target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let is_health = ["live", "ready"].contains(&target.as_str());
        assert_eq!(answer.status(), if is_health { 200 } else { 403 }, "{method} {target}");
        api.judge(&method, &target, &answer);
    }
}

#[test]
fn other_methods_and_other_paths_are_refused_as_described() {
    let server = Server::named("a");
    let elb = stage(&server);
    let (api, admin) = (Described::of(&elb), elb.admin());
    let responses = &api.document["components"]["responses"];
    for (path, item) in api.document["paths"].as_object().expect("paths") {
        let target = path.trim_start_matches("/__erulb__/").replace("{name}", "up").replace("{server}", "s");
        let known: BTreeSet<String> = METHODS
            .iter()
            .filter(|method| item[**method].is_object())
            .map(|method| method.to_uppercase())
            .collect();
        for method in METHODS.map(str::to_uppercase).iter().filter(|method| !known.contains(*method)) {
            let answer = admin.call(method, &target, None);
            assert_eq!(answer.status(), 405, "{method} {target}");
            api.conform(&format!("{method} {target}"), &responses["MethodNotAllowed"], &answer);
            let allowed = answer.head.get("allow").expect("Allow").split(", ").map(str::to_owned);
            assert_eq!(allowed.collect::<BTreeSet<_>>(), known, "{target}");
        }
    }
    for target in ["", "domains", "upstream/a/b/c", "openapi.yaml"] {
        let answer = admin.call("GET", target, None);
        assert_eq!(answer.status(), 404, "{target}");
        api.conform(target, &responses["NotFound"], &answer);
    }
}

#[test]
fn a_store_that_is_not_there_is_told_as_described() {
    let elb = Launch::storing_at("127.0.0.1:1").start();
    let (api, admin) = (Described::of(&elb), elb.admin());
    api.call(&admin, ("PUT", "dump", Value::Null, 503));
    api.call(&admin, ("PUT", "resync", Value::Null, 503));
    api.call(&admin, ("PUT", "domain?dump=1", json!({"a.test": rules::to("up")}), 503));
    api.call(&admin, ("GET", "status", Value::Null, 200));
}

#[test]
fn a_faulty_answer_would_be_seen() {
    let elb = stage(&Server::named("a"));
    let api = Described::of(&elb);
    let schema = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    for (name, faulty) in [
        ("Made", json!({"msg": "OK", "more": 1})),
        ("Failure", json!({"error": "why", "code": "unheard-of"})),
        ("Failure", json!({"code": "invalid"})),
        ("Warning", json!({"code": "more", "pointer": "a", "message": ""})),
        ("Rule", json!({"type": "deny", "args": {"status": 200}})),
        ("Rule", json!({"type": "none", "args": {}})),
        ("Time", json!("yesterday")),
        ("Workers", json!({"all": {}, "workers": []})),
    ] {
        assert!(!api.faults(&schema(name), &faulty).is_empty(), "{name} takes {faulty}");
    }
}
