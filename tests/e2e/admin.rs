//! The admin API: what it takes, and what it refuses and how. Who may speak to it is in `door`.

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::etcdctl::etcd;
use crate::support::message::Message;
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::wait;

/// A refusal of the API: its status, and an error in JSON.
#[track_caller]
pub(crate) fn refused(answer: &Message, status: u16) -> Value {
    assert_eq!(answer.status(), status, "{}", answer.text());
    assert_eq!(answer.head.get("Content-Type"), Some("application/json"));
    let body = answer.json();
    assert!(body["error"].as_str().is_some_and(|error| !error.is_empty()), "{body}");
    body
}

#[test]
fn rule_sets_come_back_exactly_as_they_were_given() {
    let elb = Elb::empty();
    let odd = json!({
        "init": "r", "note": [], "big": 1_234_567_890_123_456_789_u64, "slash": "/",
        "rules": {"r": {"type": "backend", "args": {"servername": {"up": ""}}}}});
    elb.admin().put("upstream", &json!({"up": {"127.0.0.1:1": ""}}));
    elb.admin().put("domain", &json!({"a~b.test": odd, "z.test": odd, "m.test": odd}));

    let body = elb.admin().call("GET", "domain", None);
    assert_eq!(body.json(), json!({"a~b.test": odd, "z.test": odd, "m.test": odd}));
    assert!(body.body.ends_with(b"\n"));
    assert!(body.text().contains("1234567890123456789"));
}

#[test]
fn a_put_replaces_what_it_names_and_leaves_the_rest() {
    let elb = Elb::empty();
    let admin = elb.admin();
    admin.put("upstream", &json!({"a": {"127.0.0.1:1": "", "127.0.0.1:2": ""}, "B": {"127.0.0.1:3": ""}}));
    admin.put("upstream", &json!({"a": {"127.0.0.1:4": "weight=2"}, "b": {"127.0.0.1:5": ""}}));

    let upstreams = admin.get("upstream");
    let names: Vec<&String> = upstreams.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["a", "b"], "names are compared without case, and shown as they were last given");
    let server = |addr: &str, weight: u32| json!({"addr": addr, "name": addr, "weight": weight, "max_fails": 1, "fail_timeout": 10});
    assert_eq!(upstreams["a"], json!([server("127.0.0.1:4", 2)]));
    assert_eq!(upstreams["b"], json!([server("127.0.0.1:5", 1)]));
}

#[test]
fn servers_are_shown_in_the_order_they_were_sent_with_all_that_was_set() {
    let elb = Elb::empty();
    elb.admin().put(
        "upstream",
        &json!({"up": {
            "127.0.0.1:9": "down", "127.0.0.1": "fail_timeout=1m30s max_fails=0", "[::1]:5": "backup",
            "127.0.0.1:7": "weight=3 max_conns=8 weight=4", "unix:/run/a.sock": ""}}),
    );
    let shown = elb.admin().get("upstream");
    let servers = shown["up"].as_array().expect("a list").clone();
    let field = |name: &str| servers.iter().map(|server| server[name].clone()).collect::<Vec<_>>();
    assert_eq!(field("name"), ["127.0.0.1:9", "127.0.0.1", "[::1]:5", "127.0.0.1:7", "unix:/run/a.sock"]);
    assert_eq!(servers[1]["addr"], "127.0.0.1:80");
    assert_eq!(field("weight"), [1, 1, 1, 4, 1]);
    assert_eq!(field("fail_timeout"), [10, 90, 10, 10, 10]);
    assert_eq!(field("max_fails"), [1, 0, 1, 1, 1]);
    assert_eq!(
        (&servers[0]["down"], &servers[2]["backup"], &servers[3]["max_conns"]),
        (&json!(true), &json!(true), &json!(8))
    );
    assert_eq!(servers[3].get("down"), None);
}

#[test]
fn a_put_with_a_fault_is_refused_with_a_pointer_and_changes_nothing() {
    let elb = Elb::empty();
    let admin = elb.admin();
    let backend = json!({"type": "backend", "args": {"servername": "up"}});
    let filter = |succ: &str| json!({"type": "ua", "args": {"pattern": "x", "succ": succ}});
    for (word, body, pointer) in [
        (
            "upstream",
            json!({"fine": {"127.0.0.1:1": ""}, "up1": {"127.0.0.1:80": "wait=10"}}),
            "/up1/127.0.0.1:80",
        ),
        ("upstream", json!({"up1": {"127.0.0.1:80": "weight=0"}}), "/up1/127.0.0.1:80"),
        ("upstream", json!({"up1": {"127.0.0.1:80": "service=http"}}), "/up1/127.0.0.1:80"),
        ("upstream", json!({"up1": {"127.0.0.1:80": 5}}), "/up1/127.0.0.1:80"),
        ("upstream", json!({"up1": {"127.0.0.1:80": "\"; ip_hash"}}), "/up1/127.0.0.1:80"),
        ("upstream", json!({"up1": {"127.0.0.1:0": ""}}), "/up1/127.0.0.1:0"),
        ("upstream", json!({"up1": {"http://a/b": ""}}), "/up1/http:~1~1a~1b"),
        ("upstream", json!({"up1": {}}), "/up1"),
        ("upstream", json!({"up1": {"127.0.0.1:80": "backup"}}), "/up1"),
        ("upstream", json!([1]), ""),
        ("domain", json!({"fine": rules::to("up"), "d": 5}), "/d"),
        ("domain", json!({"d": {"rules": {"r": backend}}}), "/d"),
        ("domain", json!({"d": {"init": "r", "rules": {"q": backend}}}), "/d/init"),
        (
            "domain",
            json!({"d": {"init": "r", "rules": {"r": {"type": "novel", "args": {}}}}}),
            "/d/rules/r/type",
        ),
        (
            "domain",
            json!({"d": {"init": "r", "rules": {"r": {"type": "backend", "args": {}}}}}),
            "/d/rules/r/args",
        ),
        ("domain", json!({"d": {"init": "r", "rules": {"r": filter("r")}}}), "/d/rules/r"),
        ("domain", json!({"d": {"init": "r", "rules": {"r": filter("s")}}}), "/d/rules/r/args/succ"),
        (
            "domain",
            json!({"d": {"init": "r", "rules": {"r": {"type": "ua", "args": {"pattern": "("}}}}}),
            "/d/rules/r/args/pattern",
        ),
        ("domain", json!(["d"]), ""),
        ("upstream", json!({"up": {"127.0.0.1:1": "", "@options": "weight=1"}}), "/up/@options"),
        ("upstream", json!({"up": {"127.0.0.1:1": "", "@options": 1}}), "/up/@options"),
        ("upstream", json!({"up": {"127.0.0.1:1": "", "@option": ""}}), "/up/@option"),
        ("upstream", json!({"up": {"@options": "method=round_robin"}}), "/up"),
    ] {
        let body = body.to_string();
        let answer = refused(&admin.call("PUT", word, Some(&body)), 400);
        let named = answer["pointer"].as_str().unwrap_or_default();
        assert!(named.starts_with(pointer), "{body}: {answer}");
    }
    assert_eq!((admin.get("domain"), admin.get("upstream")), (json!({}), json!({})));
}

#[test]
fn a_member_that_is_there_twice_is_refused_at_its_place() {
    let elb = Elb::empty();
    let rules = rules::to("up").to_string();
    let twice = rules.replace(r#""rules":{"#, r#""rules":{"r1":{},"#);
    for (word, body, pointer) in [
        ("domain", format!(r#"{{"a.test":{rules},"b.test":{rules},"a.test":{rules}}}"#), "/a.test"),
        ("domain", format!(r#"{{"a.test":{rules},"b.test":{twice}}}"#), "/b.test/rules/r1"),
        ("upstream", r#"{"up":{"127.0.0.1:1":"down","127.0.0.1:1":""}}"#.to_owned(), "/up/127.0.0.1:1"),
        ("upstream", r#"{"up":{"127.0.0.1:1":""},"up":{"127.0.0.1:2":""}}"#.to_owned(), "/up"),
    ] {
        let answer = refused(&elb.admin().call("PUT", word, Some(&body)), 400);
        assert_eq!(answer["pointer"], *pointer, "{body}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains("is there twice"), "{answer}");
    }
    assert_eq!((elb.admin().get("domain"), elb.admin().get("upstream")), (json!({}), json!({})));
}

/// Names that a request can ask for are found by it; others are refused, and rejected where a store has them.
#[test]
fn a_domain_is_a_name_that_a_request_can_ask_for() {
    let server = Server::named("a");
    let strays = ["x.test/", " ", "b\nc.test", "%62.test", "b\u{fc}@x.test", "*.x.test:80", "c..test"];
    let mut document = rules::site(&[&server]);
    for stray in strays {
        document["domains"][stray] = rules::to("up");
    }
    let elb = Launch::serving(&document).start();
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
    let rejected = elb.admin().get("rejected");
    for stray in strays {
        let mut keys = rejected["rejected"].as_array().unwrap().iter().map(|one| &one["key"]);
        assert!(keys.any(|key| *key == format!("rules/{stray}")), "{rejected}");
        let body = json!({"fine.test": rules::to("up"), stray: rules::to("up")});
        let answer = refused(&elb.admin().call("PUT", "domain", Some(&body.to_string())), 400);
        assert_eq!(answer["pointer"], json!(format!("/{}", stray.replace('/', "~1"))), "{answer}");
    }
    assert!(elb.admin().get("domain").get("fine.test").is_none());
    for (name, host) in [
        ("C.Test", "C.Test"),
        ("d.test.", "d.test."),
        ("e.test:8080", "e.test:8080"),
        ("[::1]", "[::1]:80"),
        ("*.f.test", "www.f.test:81"),
        ("a_b", "a_b"),
        ("xn--strae-oqa.test", "xn--strae-oqa.test"),
        ("b\u{fc}cher.test", "xn--bcher-kva.test"),
    ] {
        elb.admin().put("domain", &json!({name: rules::to("up")}));
        assert_eq!(elb.client().ask(get(host, "/")).text(), "a", "{name}");
        assert_eq!(elb.admin().get("domain")[name], rules::to("up"), "it is kept as it was given");
    }
    for (twin, of) in
        [("c.test", "C.Test"), ("xn--bcher-kva.test", "b\u{fc}cher.test"), ("*.F.test", "*.f.test")]
    {
        let body = json!({twin: rules::to("up")}).to_string();
        let answer = refused(&elb.admin().call("PUT", "domain", Some(&body)), 400);
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(
            answer["pointer"] == format!("/{twin}") && error.contains(&format!("same domain as {of}")),
            "{answer}"
        );
    }
}

#[test]
fn a_body_that_is_not_what_it_should_be_is_400() {
    let elb = Elb::empty();
    for (method, word, body) in [
        ("PUT", "domain", ""),
        ("PUT", "domain", "{"),
        ("PUT", "domain", "{} {}"),
        ("PUT", "upstream", "\u{feff}{}"),
        ("DELETE", "domain", r#"{"a.test": 1}"#),
        ("DELETE", "upstream", r#"{"up": 1}"#),
        ("DELETE", "upstream", "[5]"),
    ] {
        let answer = elb.admin().call(method, word, Some(body));
        assert_eq!(answer.status(), 400, "{method} {word} {body:?}: {}", answer.text());
        refused(&answer, 400);
    }
    refused(&elb.admin().call("PUT", "domain", None), 400);
}

#[test]
fn unknown_words_are_404_and_other_methods_405() {
    let elb = Elb::empty();
    for word in ["Domain", "nothing"] {
        refused(&elb.admin().call("GET", word, None), 404);
    }
    for (method, word) in [("POST", "domain"), ("POST", "config"), ("OPTIONS", "upstream"), ("GET", "dump")] {
        let answer = elb.admin().call(method, word, Some(""));
        refused(&answer, 405);
        assert!(answer.head.get("Allow").is_some_and(|allow| allow.contains("PUT")), "{answer:?}");
    }
}

#[test]
fn a_word_in_the_query_that_nobody_knows_changes_nothing() {
    let elb = Elb::empty();
    let admin = elb.admin();
    let upstream = json!({"up": {"127.0.0.1:1": ""}}).to_string();
    let domain = json!({SITE: rules::to("up")}).to_string();
    for (method, word, body) in [
        ("PUT", "upstream?dryrun=1", upstream.as_str()),
        ("PUT", "upstream?dump=1&dryrun", &upstream),
        ("PUT", "domain?dryrun=true", &domain),
        ("DELETE", "domain?dryrun=1", "[]"),
        ("PUT", "dump?dryrun=1", ""),
        ("PUT", "resync?dryrun=1", ""),
    ] {
        let told = refused(&admin.call(method, word, Some(body)), 400);
        assert!(told["error"].as_str().is_some_and(|error| error.contains("\"dryrun\"")), "{told}");
    }
    refused(&admin.call("PUT", "upstream?dump=yes", Some(&upstream)), 400);
    let all = admin.call("GET", "upstream?dry_run=1", None);
    assert_eq!((all.json(), all.head.get("X-ELB-Unsaved")), (json!({}), Some("0")));

    let store = elb.folder().join("elb.json");
    admin.put("upstream?dump=false", &json!({"up": {"127.0.0.1:1": ""}}));
    assert!(!std::fs::read_to_string(&store).expect("the store").contains("127.0.0.1:1"));
    admin.put("upstream?dump=true", &json!({"up": {"127.0.0.1:1": ""}}));
    assert!(std::fs::read_to_string(&store).expect("the store").contains("127.0.0.1:1"));
}

#[test]
fn what_a_change_warns_of_is_told_in_a_bounded_answer() {
    let elb = Elb::empty();
    let many: serde_json::Map<_, _> =
        (0..5000).map(|n| (format!("{n}.test"), rules::to("absent upstream"))).collect();
    let answer = elb.admin().call("PUT", "domain", Some(&Value::from(many).to_string()));
    assert_eq!(answer.json()["warnings"][32]["message"], "and 4968 more warnings");
    assert!(answer.body.len() < 16 << 10, "{} bytes", answer.body.len());
}

#[test]
fn deletions_say_what_was_there() {
    let elb = Elb::empty();
    let admin = elb.admin();
    admin.put("upstream", &json!({"up": {"127.0.0.1:1": ""}}));
    admin.put("domain", &json!({SITE: rules::to("up")}));

    assert_eq!(admin.delete("upstream", &json!(["UP", "never"])), json!({"UP": true, "never": 404}));
    assert_eq!(elb.client().ask(get(SITE, "/")).status(), 502, "a domain whose upstream is gone");
    assert_eq!(admin.delete("domain", &json!([SITE, "never"]))["msg"], "OK");
    assert_eq!(elb.client().ask(get(SITE, "/")).status(), 404);
}

#[test]
fn what_can_be_carried_out_but_looks_wrong_is_a_warning() {
    let elb = Elb::empty();
    let warned = |answer: Value| answer["warnings"].as_array().is_some_and(|warnings| !warnings.is_empty());
    assert!(warned(elb.admin().put("domain", &json!({"a.test": rules::to("no such upstream")}))));
    let look_around = json!({"a.test": {"init": "r", "rules": {
        "r": {"type": "path", "args": {"regex": true, "pattern": "^/(?!x)", "succ": "b"}},
        "b": {"type": "backend", "args": {"servername": "127.0.0.1:1"}}}}});
    assert!(warned(elb.admin().put("domain", &look_around)));
}

#[test]
fn bodies_may_be_large_chunked_and_in_any_pieces() {
    let elb = Elb::empty();
    let many: Value = (0..3000)
        .map(|n| (format!("host-{n}.test"), rules::to("127.0.0.1:1")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    assert_eq!(elb.admin().put("domain", &many)["msg"], "OK");
    assert_eq!(elb.admin().get("domain"), many);

    let body = json!({"small.test": rules::to("127.0.0.1:1")}).to_string();
    let mut client = elb.client();
    for piece in [
        "PUT /__erulb__/domain HTTP/1.1\r\nHo",
        "st: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r",
        "\n",
    ] {
        client.send(piece);
    }
    client.send(format!("{}\r\n{:x}\r\n{}\r\n0\r\n\r\n", &body[..5], body.len() - 5, &body[5..]));
    assert_eq!(client.response().json()["msg"], "OK");
}

#[test]
fn a_change_and_its_dump_can_be_one_request() {
    let elb = Elb::empty();
    let store = elb.folder().join("elb.json");
    elb.admin().put("upstream?dump=1", &json!({"up": {"127.0.0.1:1": ""}}));
    let stored: Value = serde_json::from_slice(&std::fs::read(store).expect("the store")).expect("JSON");
    assert!(stored["upstreams"]["up"].get("127.0.0.1:1").is_some(), "{stored}");
}

#[test]
fn what_no_store_can_hold_is_refused_where_it_is_put() {
    let elb = Elb::empty();
    let rules = json!({"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": "up"}}}});
    let servers = json!({"127.0.0.1:1": ""});
    for (word, name, value, pointer) in [
        ("upstream", "a/b", &servers, "/a~1b"),
        ("upstream", "", &servers, "/"),
        ("upstream", "@x", &servers, "/@x"),
        ("upstream", "good", &json!({"unix:/run/@x": ""}), "/good/unix:~1run~1@x"),
        ("domain", "@x.test", &rules, "/@x.test"),
        ("domain", "x.test/@y", &rules, "/x.test~1@y"),
        ("domain", "", &rules, "/"),
    ] {
        let answer = elb.admin().call("PUT", word, Some(&json!({"good": value, name: value}).to_string()));
        assert_eq!((answer.status(), &answer.json()["pointer"]), (400, &json!(pointer)), "{}", answer.text());
    }
    // 1.4 MB fit into etcd, and 1.6 MB do not.
    for (bytes, status) in [(1_400_000, 200), (1_600_000, 400)] {
        let mut rules = rules.clone();
        rules["note"] = json!("x".repeat(bytes));
        let answer = elb.admin().call("PUT", "domain", Some(&json!({"large.test": rules}).to_string()));
        assert_eq!(answer.status(), status, "{}", answer.text());
    }
    elb.admin().put("upstream?dump=1", &json!({"up": servers}));
}

/// The shape of the answer is the old one, which old clients know.
#[test]
fn options_of_an_upstream_are_put_beside_its_servers_and_stored_with_them() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).start();
    let shown = elb.admin().get("upstream");
    let name = shown.as_object().unwrap().keys().next().unwrap().clone();
    let mut servers = json!({"@options": "method=round_robin"});
    servers[server.address().to_string()] = json!("");
    let put = json!({name.clone(): servers});
    elb.admin().put("upstream", &put);
    assert_eq!(elb.admin().get("upstream"), shown);
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
    let wrong = json!({name: {"127.0.0.1:1": "", "@options": "method=round-robin"}});
    let answer = refused(&elb.admin().call("PUT", "upstream", Some(&wrong.to_string())), 400);
    assert!(answer["error"].as_str().unwrap().ends_with("is round_robin meant?"), "{answer}");
}

#[test]
fn options_that_a_store_has_amiss_are_rejected_and_the_servers_serve() {
    let server = Server::named("a");
    let mut document = rules::site(&[&server]);
    let upstreams = document["upstreams"].as_object_mut().unwrap();
    upstreams.values_mut().next().unwrap()["@options"] = json!("methd=round_robin");
    let elb = Launch::serving(&document).start();
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
    let rejected = elb.admin().get("rejected");
    let told = &rejected["rejected"][0];
    assert!(told["key"].as_str().unwrap().ends_with("/@options"), "{rejected}");
    assert!(rejected.to_string().contains("is method meant?"), "{rejected}");
}

#[test]
fn options_are_a_key_of_etcd_beside_those_of_the_servers() {
    const KEY: &str = "/ELB/upstreams/up/@options";
    let (server, etcd) = (Server::named("a"), etcd());
    let elb = Launch::storing(&etcd).start();
    let admin = elb.admin();
    let mut put = json!({"up": {"@options": ""}});
    put["up"][server.address().to_string()] = json!("");
    admin.put("upstream", &put);
    admin.put("domain", &json!({SITE: rules::to("up")}));
    admin.dump();
    assert_eq!(etcd.keys(KEY), [(KEY.to_owned(), "method=round_robin".to_owned())]);

    etcd.put(KEY, "method=round-robin");
    let rejected = || admin.get("rejected").to_string();
    wait::until("the rejection", || rejected().contains("upstreams/up/@options").then_some(()));
    assert!(
        rejected().contains("is round_robin meant?") && rejected().contains("last-good"),
        "{}",
        rejected()
    );
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
    etcd.delete(KEY);
    wait::until("the end of it", || rejected().contains(r#""rejected":[]"#).then_some(()));

    etcd.put(KEY, "");
    put["up"].as_object_mut().unwrap().remove("@options");
    wait::until("a dump that takes them away", || {
        admin.put("upstream", &put);
        admin.dump();
        etcd.keys(KEY).is_empty().then_some(())
    });
    assert_eq!(etcd.keys("/ELB/upstreams/up/").len(), 1, "the server stays");
}
