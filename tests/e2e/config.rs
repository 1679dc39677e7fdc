//! The whole configuration as one document: made in one step or not at all, tried before, and not by mistake without most of it.

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::wait;

fn to(server: &Server) -> Value {
    json!({(server.address().to_string()): ""})
}

fn says(elb: &Elb, host: &str) -> String {
    elb.client().ask(get(host, "/")).text()
}

#[test]
fn a_put_is_the_whole_and_a_patch_is_a_part() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let elb = Launch::serving(&rules::site(&[&a])).start();
    let admin = elb.admin();
    let both = json!({"domains": {"b.test": rules::to("ub")}, "upstreams": {"ub": to(&b)}});
    assert_eq!(admin.call("PATCH", "config", Some(&both.to_string())).json(), json!({"msg": "OK"}));
    assert_eq!((&*says(&elb, SITE), &*says(&elb, "b.test")), ("a", "b"));

    let whole = admin.get("config");
    assert_eq!(whole["domains"].as_object().map(|all| all.len()), Some(2));
    assert_eq!(admin.put("config", &both), json!({"msg": "OK"}));
    assert_eq!(elb.client().ask(get(SITE, "/")).status(), 404);
    assert_eq!(says(&elb, "b.test"), "b");
    assert_eq!(admin.put("config", &whole), json!({"msg": "OK"}));
    assert_eq!((&*says(&elb, SITE), &*says(&elb, "b.test")), ("a", "b"));
    assert_eq!(admin.get("config"), whole);

    // A patch goes down into rule sets and upstreams.
    let mut patch = json!({"domains": {"b.test": {"rules": {}}, (SITE): null}, "upstreams": {"ub": {"127.0.0.1:9": "backup"}}});
    let init = rules::to("ub")["init"].as_str().expect("a rule").to_owned();
    patch["domains"]["b.test"]["rules"][&init] = json!({"args": {"servername": "up"}});
    let answer = admin.call("PATCH", "config", Some(&patch.to_string()));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(says(&elb, "b.test"), "a");
    assert_eq!(admin.get("upstream/ub").as_object().map(|all| all.len()), Some(2));
}

#[test]
fn a_fault_anywhere_leaves_everything_as_it_was_and_all_faults_are_told() {
    let elb = Launch::serving(&rules::site(&[&Server::named("a")])).start();
    let admin = elb.admin();
    let before = admin.get("config");
    let document = json!({
        "domains": {"new.test": rules::to("up"), "bad.test": {"init": "x", "rules": {}}, "worse.test": 5},
        "upstreams": {"good": {"127.0.0.1:1": ""}, "bad": {"127.0.0.1:1": "weight=0"}},
    });
    for method in ["PUT", "PATCH"] {
        let refused = admin.call(method, "config", Some(&document.to_string()));
        let told = refused.json();
        assert_eq!((refused.status(), &told["code"]), (400, &json!("invalid")), "{told}");
        let faults = told["faults"].as_array().expect("a list");
        let pointers: Vec<&str> = faults.iter().filter_map(|fault| fault["pointer"].as_str()).collect();
        for place in ["/domains/bad.test", "/domains/worse.test", "/upstreams/bad/127.0.0.1:1"] {
            assert!(pointers.iter().any(|one| one.starts_with(place)), "{place} in {pointers:?}");
        }
        assert_eq!(admin.get("config"), before);
    }
    for (document, pointer) in [
        (json!({"domains": {}}), ""),
        (json!({"domains": {}, "upstreams": []}), "/upstreams"),
        (json!({"domains": {}, "upstreams": {}, "more": {}}), "/more"),
    ] {
        let refused = admin.call("PUT", "config", Some(&document.to_string()));
        assert_eq!((refused.status(), &refused.json()["pointer"]), (400, &json!(pointer)), "{document}");
    }
    assert_eq!(admin.get("config"), before);
}

#[test]
fn a_trial_says_what_would_come_of_it_and_changes_nothing() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).start();
    let admin = elb.admin();
    let (before, tag) =
        (admin.get("config"), admin.call("GET", "config", None).head.get("etag").map(str::to_owned));
    let whole = json!({"domains": {(SITE): rules::to("absent"), "new.test": rules::to("new")}, "upstreams": {"new": to(&server)}});
    let tried = admin.call("PUT", "config?dry_run=1&dump=1", Some(&whole.to_string()));
    assert_eq!(tried.status(), 200, "{}", tried.text());
    let told = tried.json();
    assert_eq!(
        told["counts"],
        json!({
            "domains": {"added": 1, "removed": 0, "changed": 1},
            "upstreams": {"added": 1, "removed": 1, "changed": 0},
        })
    );
    let diff = told["diff"].as_array().expect("a list");
    let find = |path: &str| diff.iter().find(|one| one["path"] == path).expect(path);
    assert_eq!(find("/domains/new.test")["from"], Value::Null);
    assert_eq!(find("/domains/new.test")["to"], rules::to("new"));
    assert_eq!(find(&format!("/domains/{SITE}"))["from"], before["domains"][SITE]);
    assert_eq!(find("/upstreams/up")["to"], Value::Null);
    assert_eq!(told["warnings"][0]["code"], "unknown-upstream", "{told}");

    for (method, path, body) in [
        ("DELETE", "domain", json!([SITE])),
        ("PUT", "domain", json!({(SITE): rules::to("x")})),
        ("PATCH", "domain", json!({(SITE): null})),
        ("PATCH", "upstream", json!({"up": {"127.0.0.1:7": ""}})),
        ("DELETE", "upstream", json!(["up"])),
        ("DELETE", "upstream/up", json!(null)),
    ] {
        let tried = admin.call(method, &format!("{path}?dry_run=1"), Some(&body.to_string()));
        assert_eq!(tried.status(), 200, "{method} {path}: {}", tried.text());
        assert_eq!(
            tried.json()["diff"].as_array().map(Vec::len),
            Some(1),
            "{method} {path}: {}",
            tried.text()
        );
    }
    let refused = admin.call("PUT", "domain?dry_run=1", Some(r#"{"a.test": {}}"#));
    assert_eq!((refused.status(), &refused.json()["pointer"]), (400, &json!("/a.test")));
    assert_eq!(admin.get("config"), before);
    assert_eq!(admin.call("GET", "config", None).head.get("etag").map(str::to_owned), tag);
    assert_eq!(admin.call("GET", "config", None).head.get("x-elb-unsaved"), Some("0"));
}

#[test]
fn what_would_strand_most_of_the_traffic_must_be_confirmed() {
    let server = Server::named("a");
    let mut document = rules::site(&[&server]);
    let names: Vec<String> = (0..5).map(|number| format!("d{number}.test")).collect();
    for name in &names {
        document["domains"][name] = rules::to("up");
    }
    let elb = Launch::serving(&document).start();
    let admin = elb.admin();
    let ask = || names.iter().for_each(|name| assert_eq!(elb.client().ask(get(name, "/")).status(), 200));
    let three = json!(names[..3]).to_string();
    // What had requests is known when a second is over.
    let refused = wait::until("the traffic to be known", || {
        ask();
        let tried = admin.call("DELETE", "domain?dry_run=1", Some(&three)).json();
        (tried["strands"]["domains"] == 3 && tried["needs_confirmation"] == true)
            .then(|| admin.call("DELETE", "domain", Some(&three)))
    });
    assert_eq!(
        (refused.status(), &refused.json()["code"]),
        (409, &json!("unconfirmed")),
        "{}",
        refused.text()
    );
    let strands = &refused.json()["strands"];
    assert!(strands["requests_per_second"].as_f64().is_some_and(|rate| rate > 0.0), "{strands}");
    assert_eq!(elb.client().ask(get(&names[0], "/")).status(), 200);
    // Two of five are no question, and neither is what is meant.
    let patch = json!({(&names[3]): null}).to_string();
    assert_eq!(admin.call("PATCH", "domain", Some(&patch)).status(), 200);
    assert_eq!(admin.call("DELETE", "domain?confirm=1", Some(&three)).status(), 200);
    assert_eq!(elb.client().ask(get(&names[0], "/")).status(), 404);
    assert_eq!(elb.client().ask(get(&names[4], "/")).status(), 200);
}

#[test]
fn a_whole_that_leaves_most_out_must_be_confirmed_whatever_the_traffic() {
    let mut document = rules::site(&[&Server::named("a")]);
    for number in 0..5 {
        document["domains"][format!("d{number}.test")] = rules::to("up");
    }
    let elb = Launch::serving(&document).start();
    let admin = elb.admin();
    let part =
        json!({"domains": {"d0.test": rules::to("up")}, "upstreams": document["upstreams"]}).to_string();
    let refused = admin.call("PUT", "config", Some(&part));
    assert_eq!(
        (refused.status(), &refused.json()["code"]),
        (409, &json!("unconfirmed")),
        "{}",
        refused.text()
    );
    assert_eq!(admin.call("PUT", "config?confirm=1", Some(&part)).status(), 200);
    assert_eq!(admin.get("domain").as_object().map(|all| all.len()), Some(1));
}

#[test]
fn a_name_may_be_spelt_anew_in_one_step() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).start();
    let admin = elb.admin();
    admin.put("domain/old.test", &rules::to("up"));
    let twin = json!({"OLD.test": rules::to("up")}).to_string();
    assert_eq!(admin.call("PATCH", "domain", Some(&twin)).status(), 400);
    let both = json!({"OLD.test": rules::to("up"), "old.test": null}).to_string();
    let answer = admin.call("PATCH", "domain", Some(&both));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(elb.client().ask(get("old.test", "/")).text(), "a");
    assert!(admin.get("domain").get("old.test").is_none());
}
