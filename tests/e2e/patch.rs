//! Changes of single servers: what is named changes, the rest stays, whichever store there is and whoever else writes.

use std::thread;

use serde_json::{Value, json};

use super::admin::refused;
use crate::support::admin::Admin;
use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::etcdctl::etcd;
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::wait;

fn patch(admin: &Admin, word: &str, body: &Value) -> Value {
    let answer = admin.call("PATCH", word, Some(&body.to_string()));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.json()
}

/// The servers of `up` as `name weight`, and `down` if they are, by name.
fn servers(elb: &Elb) -> Vec<String> {
    let shown = elb.admin().get("upstream");
    let server = |server: &Value| {
        let down = if server.get("down").is_some() { " down" } else { "" };
        format!("{} {}{down}", server["name"].as_str().expect("a name"), server["weight"])
    };
    let mut servers: Vec<String> = shown["up"].as_array().expect("its servers").iter().map(server).collect();
    servers.sort_unstable();
    servers
}

#[test]
fn what_is_named_changes_and_the_rest_serves_on() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let elb = Launch::serving(&rules::site(&[&a, &b])).workers(1).start();
    let [name_a, name_b] = [&a, &b].map(|server| server.address().to_string());
    let mut client = elb.client();
    let mut answers = || -> Vec<String> { (0..4).map(|_| client.ask(get(SITE, "/")).text()).collect() };
    assert!(answers().contains(&"b".to_owned()));
    let before = a.connections();

    assert_eq!(patch(&elb.admin(), "upstream", &json!({"UP": {(&name_b): "down"}})), json!({"msg": "OK"}));
    assert_eq!(answers(), ["a", "a", "a", "a"]);
    let both = |a: &str, b: &str| {
        let mut both = [format!("{name_a} {a}"), format!("{name_b} {b}")];
        both.sort_unstable();
        both
    };
    assert_eq!(servers(&elb), both("1", "1 down"));
    assert_eq!(a.connections(), before, "a server that is not named keeps its connections");

    let told = patch(&elb.admin(), "upstream", &json!({"up": {(&name_b): null, "127.0.0.1:9": null}}));
    assert_eq!(
        told["warnings"],
        json!([{"code": "not-there", "pointer": "/up/127.0.0.1:9", "message": "was not there, so nothing is taken away"}])
    );
    assert_eq!(servers(&elb), [format!("{name_a} 1")]);
    patch(
        &elb.admin(),
        "upstream",
        &json!({"up": {(&name_b): "weight=3", "@options": "method=round_robin"}}),
    );
    assert!(answers().contains(&"b".to_owned()));

    for (body, pointer) in [
        (json!({"up": {(&name_a): "weight=5"}, "down": {}}), "/down".to_owned()),
        (json!({"up": {(&name_a): "weight=5", (&name_b): "wait=3"}}), format!("/up/{name_b}")),
        (json!({"up": {(&name_a): null, (&name_b): "backup"}}), "/up".to_owned()),
        (json!({"up": {(&name_a): "weight=5", "no.invalid:80": ""}}), "/up/no.invalid:80".to_owned()),
        (json!({"up": null}), "/up".to_owned()),
    ] {
        let answer = elb.admin().call("PATCH", "upstream", Some(&body.to_string()));
        assert_eq!(refused(&answer, 400)["pointer"], pointer, "{body}");
    }
    assert_eq!(servers(&elb), both("1", "3"), "nothing of them was applied");
}

/// Nobody asks for the upstream meanwhile: it is the change that closes them.
#[test]
fn idle_connections_of_a_server_that_is_gone_close_at_once() {
    let [a, b, c] = ["a", "b", "c"].map(Server::named);
    let elb = Launch::serving(&rules::site(&[&a, &b, &c])).workers(1).start();
    for _ in 0..3 {
        elb.client().ask(get(SITE, "/"));
    }
    let open = || [&a, &b, &c].map(Server::open_connections);
    assert_eq!(open(), [1, 1, 1], "each has a connection that is idle");
    patch(&elb.admin(), "upstream", &json!({"up": {b.address().to_string(): null}}));
    wait::until("that of the server that is gone to close", || (open() == [1, 0, 1]).then_some(()));
    elb.admin().put("upstream", &json!({"up": {a.address().to_string(): "weight=2"}}));
    wait::until("that of a server that is not put again to close", || (open() == [1, 0, 0]).then_some(()));
    elb.admin().delete("upstream", &json!(["up"]));
    wait::until("those of an upstream that is gone to close", || (open() == [0, 0, 0]).then_some(()));
}

#[test]
fn a_patch_is_kept_in_a_file_and_over_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("elb.json");
    let document =
        json!({"domains": {}, "upstreams": {"up": {"127.0.0.1:1": "weight=2", "127.0.0.1:2": ""}}});
    std::fs::write(&file, document.to_string()).expect("a file");
    let launch = || {
        Launch::bare(&["--listen=127.0.0.1:0", "--no-pin"])
            .workers(1)
            .flag(&format!("--store=file:{}", file.display()))
            .start()
    };
    let elb = launch();
    patch(&elb.admin(), "upstream?dump=1", &json!({"up": {"127.0.0.1:2": null, "127.0.0.1:3": "weight=7"}}));
    drop(elb);
    assert_eq!(servers(&launch()), ["127.0.0.1:1 2", "127.0.0.1:3 7"]);
}

/// Each changes a server of its own, at the same time, in the same upstream: a PUT of one would undo the other's.
#[test]
fn two_elbs_that_patch_one_upstream_at_once_undo_nothing_of_each_other() {
    let etcd = etcd();
    let (a, b) = (Launch::storing(&etcd).start(), Launch::storing(&etcd).start());
    a.admin()
        .put("upstream?dump=1", &json!({"up": {"127.0.0.1:1": "", "127.0.0.1:2": "", "127.0.0.1:3": ""}}));
    wait::until("both to serve it", || (b.admin().get("upstream").get("up").is_some()).then_some(()));
    for round in 2..12 {
        thread::scope(|scope| {
            for (elb, server) in [(&a, "127.0.0.1:1"), (&b, "127.0.0.1:2")] {
                let admin = elb.admin();
                let body = json!({"up": {server: format!("weight={round}")}});
                scope.spawn(move || patch(&admin, "upstream?dump=1", &body));
            }
        });
        let expected =
            [format!("127.0.0.1:1 {round}"), format!("127.0.0.1:2 {round}"), "127.0.0.1:3 1".to_owned()];
        for elb in [&a, &b] {
            wait::until("what both said", || (servers(elb) == expected).then_some(()));
        }
    }
    let unsaved = a.admin().call("GET", "domain", None);
    assert_eq!(unsaved.head.get("X-ELB-Unsaved"), Some("0"));
    let written = etcd.ctl(&["get", "/ELB/upstreams/up/127.0.0.1:3", "-w", "fields"]);
    assert!(written.contains("\"Version\" : 1"), "nobody wrote what nobody named: {written}");
}
