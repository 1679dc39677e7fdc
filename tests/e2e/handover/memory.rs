//! What was only in the memory of the old one is in that of the new one: edits that no dump has written, servers that are aside, versions.

use serde_json::{Value, json};

use super::failing::Played;
use super::{Meeting, follow, says};
use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::etcd::certificates::{Authority, Signed};
use crate::support::etcdctl::etcd;
use crate::support::rules::{self, SITE};
use crate::support::secure::Trust;
use crate::support::server::Server;
use crate::support::wait;

fn servers(elb: &Elb, upstream: &str) -> Vec<(String, String)> {
    let all = elb.admin().get("servers");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = all.as_array().expect("a list").iter().filter(|one| one["upstream"] == upstream);
    of.map(|one| (text(&one["server"]), text(&one["state"]))).collect()
}

fn unsaved(elb: &Elb) -> String {
    let answer = elb.admin().call("GET", "status", None);
    answer.head.get("X-ELB-Unsaved").unwrap_or_default().to_owned()
}

fn version(elb: &Elb) -> u64 {
    let answer = elb.admin().call("GET", "status", None);
    answer.head.get("X-ELB-Version").and_then(|text| text.parse().ok()).expect("a version")
}

#[test]
fn edits_that_no_dump_has_written_and_what_is_known_of_servers_go_along() {
    let (good, broken) = (Server::named("good"), Server::start(|_| Ok(())));
    let document = json!({
        "domains": {SITE: rules::to("up"), "gone.test": rules::to("up")},
        "upstreams": {"up": rules::upstream(&[&good, &broken], "max_fails=1 fail_timeout=1h"), "old": rules::upstream(&[&good], "")}});
    let meeting = Meeting::serving(document);
    let mut old = meeting.launch().start();
    let admin = old.admin();
    admin.put("domain", &json!({"new.test": rules::to("made")}));
    admin.put("upstream", &json!({"made": {good.address().to_string(): "", "127.0.0.1:9": "drain"}}));
    admin.delete("domain", &json!(["gone.test"]));
    wait::until("the broken one to be aside", || {
        old.client().ask(get(SITE, "/"));
        servers(&old, "up").iter().any(|(_, state)| state == "aside").then_some(())
    });
    let before = (servers(&old, "up"), servers(&old, "made"), unsaved(&old), admin.get("config"));
    assert_eq!(before.2, "3");
    let served = version(&old);

    let new = follow(&old, meeting.launch().workers(3));
    assert_eq!(old.exit().code(), Some(0));
    assert!(!old.log().contains("unsaved changes end with this process"), "{}", old.log());
    let after = (servers(&new, "up"), servers(&new, "made"), unsaved(&new), new.admin().get("config"));
    assert_eq!(after, before);
    assert!(version(&new) > served, "numbers go on");
    assert_eq!(new.client().ask(get("new.test", "/")).text(), "good");
    assert_eq!(new.client().ask(get("gone.test", "/")).status(), 404);
    let asked = broken.requests().len();
    for _ in 0..8 {
        assert_eq!(new.client().ask(get(SITE, "/")).text(), "good");
    }
    assert_eq!(broken.requests().len(), asked, "nobody asks who is aside");
    says(&new, "via=handover");
}

#[test]
fn a_change_that_comes_while_the_next_one_takes_over_is_refused_or_carried_and_never_lost() {
    let server = Server::named("a");
    let meeting = Meeting::before(&server);
    let mut old = meeting.launch().start();
    let put = |elb: &Elb, site: &str| {
        let body = json!({site: rules::to("up")}).to_string();
        elb.admin().call("PUT", "domain", Some(&body))
    };
    let mut played = Played::with_sockets(&meeting);
    assert_eq!(put(&old, "one.test").status(), 200, "it is carried: nothing was told yet");
    played.says(&json!({"say": "carry"}));
    let carried = played.hears().expect("what is carried");
    assert!(carried["domains"]["one.test"].is_string(), "{carried}");
    let refused = put(&old, "two.test");
    assert_eq!((refused.status(), &refused.json()["code"]), (503, &json!("handing-over")));
    assert_eq!(old.client().ask(get("two.test", "/")).status(), 404);
    // The next one is gone, so changes are taken again.
    drop(played);
    wait::until("changes to be taken", || (put(&old, "two.test").status() == 200).then_some(()));

    let new = follow(&old, meeting.launch());
    for site in ["one.test", "two.test"] {
        assert_eq!(new.client().ask(get(site, "/")).text(), "a");
    }
    assert_eq!(put(&new, "three.test").status(), 200);
    assert_eq!(old.exit().code(), Some(0));
}

#[test]
fn with_etcd_and_a_state_file_an_upgrade_is_none_that_others_notice() {
    let (server, mut etcd) = (Server::named("a"), etcd());
    etcd.put("/ELB/rules/a.test", &rules::to("up").to_string());
    etcd.put(&format!("/ELB/upstreams/up/{}", server.address()), "");
    let meeting = Meeting::serving(json!({}));
    let state = tempfile::tempdir().expect("a folder");
    let launch = || {
        let file = state.path().join("state.json");
        Launch::storing(&etcd)
            .flag(&meeting.flag())
            .flag(&format!("--state-file={}", file.display()))
            .flag("--node-ttl=2s")
    };
    let mut old = launch().start();
    old.admin().put("domain", &json!({"edit.test": rules::to("up")}));
    let served = version(&old);
    let new = follow(&old, launch());
    assert_eq!(old.exit().code(), Some(0));
    assert_eq!((unsaved(&new).as_str(), version(&new) > served), ("1", true));
    new.admin().dump();
    assert_eq!(unsaved(&new), "0");
    for site in ["a.test", "edit.test"] {
        assert_eq!(new.client().ask(get(site, "/")).text(), "a");
    }
    says(&new, "this node is in etcd");
    let history = new.admin().get("history");
    assert!(history.to_string().contains("edit.test"), "{history}");
    drop(old);
    let launch = launch();
    // Without its store the next one serves all the same, edits included.
    new.admin().put("domain", &json!({"late.test": rules::to("up")}));
    etcd.stop();
    let last = follow(&new, launch);
    for site in ["a.test", "edit.test", "late.test"] {
        assert_eq!(last.client().ask(get(site, "/")).text(), "a");
    }
    assert_eq!(unsaved(&last), "1");
}

#[test]
fn certificates_of_etcd_go_along_where_nothing_else_has_them() {
    let (server, mut etcd, authority) = (Server::named("a"), etcd(), Authority::new("tests"));
    etcd.put(&format!("/ELB/rules/{SITE}"), &rules::to("up").to_string());
    etcd.put(&format!("/ELB/upstreams/up/{}", server.address()), "");
    let Signed { certificate, key } = authority.sign(&[SITE]);
    etcd.put("/ELB/certs/site", &json!({"certificate": certificate, "key": key}).to_string());
    let meeting = Meeting::serving(json!({}));
    let launch = || Launch::storing(&etcd).flag(&meeting.flag()).listener("--listen-tls=127.0.0.1:0");
    let (old, next) = (launch().start(), launch());
    let ask = |elb: &Elb| Trust::of(&authority).connect(elb.addresses()[1], SITE).ask(get(SITE, "/"));
    assert!(ask(&old).ends_with("a"));
    etcd.stop();
    let new = follow(&old, next);
    assert!(ask(&new).ends_with("a"));
}
