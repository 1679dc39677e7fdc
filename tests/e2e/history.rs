//! What the configuration was: versions are listed with who made them, shown as they were, and served again.

use serde_json::{Value, json};

use crate::support::admin::Admin;
use crate::support::client::get;
use crate::support::elb::Launch;
use crate::support::rules::{self, SITE};
use crate::support::server::Server;

fn version(admin: &Admin) -> u64 {
    let answer = admin.call("GET", "config", None);
    answer.head.get("x-elb-version").and_then(|version| version.parse().ok()).expect("a version")
}

#[test]
fn a_version_is_listed_shown_and_served_again() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let elb = Launch::serving(&rules::site(&[&a])).start();
    let admin = elb.admin();
    let first = (version(&admin), admin.get("config"));
    admin.put("upstream/other", &json!({(b.address().to_string()): "", "@options": "method=random"}));
    admin.put(&format!("domain/{SITE}"), &rules::to("other"));
    let second = (version(&admin), admin.get("config"));
    admin.delete("domain", &json!([SITE]));
    admin.delete("upstream", &json!(["other", "up"]));
    assert_eq!(elb.client().ask(get(SITE, "/")).status(), 404);

    let versions = admin.get("history")["versions"].as_array().cloned().expect("a list");
    assert_eq!(versions.len(), 5);
    assert!(versions.windows(2).all(|pair| pair[0]["version"].as_u64() > pair[1]["version"].as_u64()));
    let newest = &versions[0];
    assert_eq!(
        (&newest["changes"][0]["who"], &newest["changes"][0]["via"]),
        (&json!("127.0.0.1"), &json!("api"))
    );
    assert_eq!(newest["changes"][0]["counts"]["upstreams"]["removed"], 2);
    assert_eq!(newest["changes"][0]["names"], json!(["other", "up"]));
    assert_eq!(versions[4]["changes"][0]["via"], "file");
    let one = admin.get(&format!("history?version={}", second.0));
    assert_eq!(one["changes"][0]["diff"][0]["to"], rules::to("other"));

    for (number, whole) in [&first, &second] {
        assert_eq!(admin.get(&format!("config?version={number}")), *whole, "version {number}");
    }
    let back = |to: Value| admin.call("POST", "rollback", Some(&json!({"to": to}).to_string()));
    assert_eq!(back(json!(second.0)).json(), json!({"msg": "OK"}));
    assert_eq!((admin.get("config"), elb.client().ask(get(SITE, "/")).text()), (second.1, "b".to_owned()));
    let digest = versions[4]["digest"].as_str().expect("a digest");
    assert_eq!(back(json!(digest[..8])).json(), json!({"msg": "OK"}));
    assert_eq!((admin.get("config"), elb.client().ask(get(SITE, "/")).text()), (first.1, "a".to_owned()));
    assert_eq!(admin.call("GET", "config", None).head.get("x-elb-digest"), Some(digest));
    assert_eq!(admin.get("history")["versions"].as_array().map(Vec::len), Some(7), "each is a new version");
}

#[test]
fn what_is_no_version_is_told_so_and_changes_nothing() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).start();
    let admin = elb.admin();
    let before = admin.get("config");
    for (to, status, code) in [
        (json!(99), 404, "no-such-version"),
        (json!("0123456789"), 404, "no-such-version"),
        (json!("xyz"), 400, "bad-body"),
        (json!(-1), 400, "bad-body"),
        (json!(null), 400, "bad-body"),
    ] {
        let refused = admin.call("POST", "rollback", Some(&json!({"to": to}).to_string()));
        assert_eq!((refused.status(), &refused.json()["code"]), (status, &json!(code)), "{to}");
    }
    for (query, status) in [
        ("version=99", 404),
        ("version=x", 400),
        ("digest=12", 400),
        ("digest=0123456789", 404),
        ("version=1&digest=0123456789", 400),
    ] {
        for word in ["config", "history"] {
            assert_eq!(
                admin.call("GET", &format!("{word}?{query}"), None).status(),
                status,
                "{word} {query}"
            );
        }
    }
    assert_eq!(admin.get("config"), before);
    let tried = admin.call("POST", "rollback?dry_run=1", Some(r#"{"to": 0}"#));
    assert_eq!((tried.status(), &tried.json()["counts"]["domains"]["removed"]), (200, &json!(1)));
    assert_eq!(admin.get("config"), before);
}
