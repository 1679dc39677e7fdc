//! One domain, one upstream, one server: each with a path of its own, its own tag, and pointers that lead into what was sent.

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::Launch;
use crate::support::rules::{self, SITE};
use crate::support::server::Server;

/// The value of a tag, quotes included.
fn tag(answer: &crate::support::message::Message) -> String {
    answer.head.get("etag").expect("an ETag").to_owned()
}

#[test]
fn one_domain_is_read_put_patched_and_deleted() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let mut document = rules::site(&[&a]);
    document["upstreams"]["other"] = json!({(b.address().to_string()): ""});
    let elb = Launch::serving(&document).start();
    let admin = elb.admin();
    let path = format!("domain/{SITE}");
    assert_eq!(admin.get(&path), document["domains"][SITE]);
    let first = tag(&admin.call("GET", &path, None));

    assert_eq!(admin.put(&path, &rules::to("other")), json!({"msg": "OK"}));
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "b");
    let put = admin.call("GET", &path, None);
    assert_ne!(tag(&put), first);

    let init = put.json()["init"].as_str().expect("a rule").to_owned();
    let patch = json!({"rules": {(&init): {"args": {"servername": "up"}}}});
    let patched = admin.call("PATCH", &path, Some(&patch.to_string()));
    assert_eq!((patched.status(), patched.json()), (200, json!({"msg": "OK"})), "{}", patched.text());
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
    assert_eq!(tag(&patched), tag(&admin.call("GET", &path, None)));

    let fault = json!({"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": 5}}}});
    let refused = admin.call("PUT", &path, Some(&fault.to_string()));
    assert_eq!(refused.status(), 400);
    let told = refused.json();
    assert_eq!((&told["code"], &told["pointer"]), (&json!("invalid"), &json!("/rules/r/args/servername")));
    assert_eq!(told["faults"][0]["pointer"], told["pointer"]);

    assert_eq!(admin.call("DELETE", &path, None).status(), 200);
    assert_eq!(elb.client().ask(get(SITE, "/")).status(), 404);
    for method in ["GET", "DELETE", "PATCH"] {
        let gone = admin.call(method, &path, Some("{}"));
        assert_eq!((gone.status(), &gone.json()["code"]), (404, &json!("no-such-domain")), "{method}");
    }
}

#[test]
fn a_name_may_hold_what_a_path_means_something_by() {
    let elb = Launch::serving(&rules::site(&[&Server::named("a")])).start();
    let admin = elb.admin();
    for name in ["*.wild.test", "with.port:8080", "*"] {
        let path = format!("domain/{}", name.replace('*', "%2A").replace(':', "%3A"));
        assert_eq!(admin.put(&path, &rules::to("up"))["msg"], "OK", "{name}");
        assert_eq!(admin.get("domain")[name], rules::to("up"), "{name}");
    }
    let server = "upstream/up/unix:%2Frun%2Fapp.sock";
    assert_eq!(admin.put(server, &json!("backup")), json!({"msg": "OK"}));
    assert_eq!(admin.get(server), json!("weight=1 max_fails=1 fail_timeout=10 backup"));
    assert!(admin.get("upstream/up")["unix:/run/app.sock"].is_string());
}

#[test]
fn one_upstream_and_one_server_are_read_put_patched_and_deleted() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let [at_a, at_b] = [&a, &b].map(|server| server.address().to_string());
    let elb = Launch::serving(&rules::site(&[&a])).start();
    let admin = elb.admin();
    let defaults = "weight=1 max_fails=1 fail_timeout=10";
    assert_eq!(admin.get("upstream/UP"), json!({(&at_a): defaults}));
    // A server that is put makes its upstream.
    assert_eq!(admin.put(&format!("upstream/new/{at_b}"), &json!("")), json!({"msg": "OK"}));
    assert_eq!(admin.get("upstream/new"), json!({(&at_b): defaults}));
    let patch = json!({(&at_b): "weight=2", "@options": "method=random"}).to_string();
    assert_eq!(admin.call("PATCH", "upstream/new", Some(&patch)).status(), 200);
    let server = format!("upstream/new/{at_b}");
    assert_eq!(admin.get(&server), json!("weight=2 max_fails=1 fail_timeout=10"));
    assert_eq!(admin.get("upstream/new/@options"), json!("method=random"));
    // The last server stays, and so does an upstream that others name by their own tags.
    let last = admin.call("DELETE", &server, None);
    assert_eq!((last.status(), &last.json()["pointer"]), (400, &json!("")), "{}", last.text());
    let one = admin.call("PUT", &server, Some("{\"weight\": 3, \"down\": true}"));
    assert_eq!(one.status(), 200, "{}", one.text());
    assert_eq!(admin.get(&server), json!("weight=3 max_fails=1 fail_timeout=10 down"));
    let refused = admin.call("PUT", &server, Some("\"weight=0\""));
    assert_eq!((refused.status(), &refused.json()["pointer"]), (400, &json!("")));

    assert_eq!(admin.call("DELETE", "upstream/new", None).json(), json!({"msg": "OK"}));
    for (path, code) in [
        ("upstream/new", "no-such-upstream"),
        (&*server, "no-such-server"),
        ("upstream/up/x", "no-such-server"),
    ] {
        for method in ["GET", "DELETE"] {
            let gone = admin.call(method, path, None);
            assert_eq!((gone.status(), &gone.json()["code"]), (404, &json!(code)), "{method} {path}");
        }
    }
}

#[test]
fn what_is_given_out_is_taken_back_and_changes_nothing() {
    let server = Server::named("a");
    let mut document = rules::site(&[&server]);
    document["upstreams"]["more"] = json!({"127.0.0.1:81": "weight=2 slow_start=5s", "127.0.0.2:82": "backup", "@options": "method=random"});
    let elb = Launch::serving(&document).start();
    let admin = elb.admin();
    let digest = || admin.call("GET", "config", None).head.get("x-elb-digest").map(str::to_owned);
    let before = digest();
    let list = admin.get("upstream");
    // Lists have no options, so only one that has none may be put back so.
    assert_eq!(admin.put("upstream", &json!({"up": list["up"]})), json!({"msg": "OK"}));
    for path in ["domain", "config", "upstream?detail=1"] {
        let word = path.split('?').next().expect("a word");
        assert_eq!(admin.put(word, &admin.get(path))["msg"], "OK", "{path}");
        assert_eq!(digest(), before, "{path}");
    }
    let path = format!("domain/{SITE}");
    for path in ["upstream/more", "upstream/more?detail=1", "upstream/more/127.0.0.1:81", &path] {
        let word = path.split('?').next().expect("a word");
        assert_eq!(admin.put(word, &admin.get(path))["msg"], "OK", "{path}");
        assert_eq!(digest(), before, "{path}");
    }
}

#[test]
fn who_changes_what_he_has_not_seen_is_refused() {
    let elb = Launch::serving(&rules::site(&[&Server::named("a")])).start();
    let admin = elb.admin();
    let path = format!("domain/{SITE}");
    let seen = tag(&admin.call("GET", &path, None));
    let put = |condition: &str, servername: &str| {
        let rules = rules::to(servername).to_string();
        admin.with(condition).call("PUT", &path, Some(&rules))
    };
    let made = put(&format!("If-Match: {seen}"), "one");
    assert_eq!(made.status(), 200, "{}", made.text());
    // Another domain is another's business.
    admin.put("domain/other.test", &rules::to("up"));
    let refused = put(&format!("If-Match: {seen}"), "two");
    assert_eq!((refused.status(), &refused.json()["code"]), (412, &json!("precondition-failed")));
    assert_eq!(tag(&refused), tag(&made), "it says what is there");
    assert_eq!(put(&format!("If-Match: \"x\", {}", tag(&made)), "three").status(), 200);
    assert_eq!(put("If-None-Match: *", "four").status(), 412);
    let new = |condition: &str| {
        let rules = rules::to("up").to_string();
        admin.with(condition).call("PUT", "domain/new.test", Some(&rules)).status()
    };
    assert_eq!([new("If-Match: *"), new("If-None-Match: *"), new("If-None-Match: *")], [412, 200, 412]);

    let whole = tag(&admin.call("GET", "config", None));
    assert_eq!(tag(&admin.call("GET", "domain", None)), whole);
    assert_eq!(tag(&admin.call("GET", "upstream", None)), whole);
    let patch = json!({"domains": {"new.test": null}}).to_string();
    let answer = admin.with(&format!("If-Match: {whole}")).call("PATCH", "config", Some(&patch));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let late = admin.with(&format!("If-Match: {whole}")).call("PATCH", "config", Some(&patch));
    assert_eq!(late.status(), 412);
}

#[test]
fn a_long_list_is_read_in_pages() {
    let mut document = rules::site(&[&Server::named("a")]);
    for number in 0..25 {
        document["domains"][format!("d{number:02}.test")] = rules::to("up");
        document["upstreams"][format!("U{number:02}")] = json!({"127.0.0.1:9": ""});
    }
    let elb = Launch::serving(&document).start();
    let admin = elb.admin();
    for (word, filter, count) in [("domain", "d", 25), ("upstream", "u0", 10)] {
        let (mut path, mut names) = (format!("{word}?limit=4&filter={filter}"), Vec::new());
        loop {
            let page = admin.call("GET", &path, None);
            let Value::Object(rows) = page.json() else { panic!("an object") };
            names.extend(rows.keys().cloned());
            assert_eq!(page.head.get("x-elb-total"), Some(&*count.to_string()));
            let Some(link) = page.head.get("link") else { break };
            let next = link.strip_prefix("</__erulb__/").and_then(|link| link.split('>').next());
            path = next.expect("a link").to_owned();
        }
        assert_eq!(names.len(), count, "{names:?}");
        assert!(names.is_sorted(), "{names:?}");
    }
    assert_eq!(admin.call("GET", "domain?limit=0", None).status(), 400);
    assert_eq!(admin.get("domain").as_object().map(|all| all.len()), Some(26));
}
