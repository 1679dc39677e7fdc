//! Whether an ELB lives and should get traffic: who is told, what stands against it, and how it leaves.

use serde_json::{Value, json};

use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::etcdctl::{Writer, etcd};
use crate::support::message::Message;
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::wait;

fn asked(elb: &Elb, line: &str) -> Message {
    elb.client().ask(format!("{line} HTTP/1.1\r\nHost: any.test\r\n\r\n"))
}

/// The status of `ready`, and the codes of what stands against it.
fn ready(elb: &Elb) -> (u16, Vec<String>) {
    let answer = asked(elb, "GET /__erulb__/ready");
    let told: Value = answer.json();
    let reasons = told["reasons"].as_array().into_iter().flatten();
    let codes = reasons.map(|reason| reason["code"].as_str().expect("a code").to_owned());
    (answer.status(), codes.collect())
}

#[test]
fn anybody_may_ask_and_nobody_gets_more() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).flag("--admin-allow=192.0.2.0/24").start();
    let live = asked(&elb, "GET /__erulb__/live");
    assert_eq!((live.status(), live.json()), (200, json!({"live": true})));
    let answer = asked(&elb, "GET /__erulb__/ready?from=here");
    assert_eq!((answer.status(), answer.json()), (200, json!({"ready": true})));
    assert_eq!(answer.head.get("content-type"), Some("application/json"));
    let mut client = elb.client();
    let head = client.ask("HEAD /__erulb__/ready HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        (head.status(), head.text(), head.head.get("content-length")),
        (200, String::new(), Some("15"))
    );
    assert_eq!(client.ask(get(SITE, "/")).text(), "a", "the connection goes on");
    for line in
        ["GET /__erulb__/workers", "POST /__erulb__/ready", "GET /__erulb__/ready/x", "GET /__erulb__/live2"]
    {
        assert_eq!(asked(&elb, line).status(), 403, "{line}");
    }
    assert_eq!(asked(&elb, "GET //__erulb__/ready").status(), 404);
    assert_eq!(asked(&elb, "GET /").status(), 404, "an unknown host stays unknown");
}

#[test]
fn where_the_api_has_an_address_of_its_own_both_answer() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).flag("--admin-listen=127.0.0.1:0").start();
    let answer = elb.admin().call("GET", "ready", None);
    assert_eq!((answer.status(), answer.json()), (200, json!({"ready": true})));
    assert_eq!(elb.admin().call("POST", "ready", None).status(), 405);
    assert_eq!(ready(&elb).0, 200);
}

#[test]
fn without_a_configuration_it_is_not_ready_and_says_why() {
    let server = Server::named("a");
    let elb = Launch::storing_at("127.0.0.1:1").start();
    assert_eq!(ready(&elb), (503, vec!["no-configuration".to_owned()]));
    assert_eq!(asked(&elb, "GET /__erulb__/live").status(), 200);
    elb.admin().put("upstream", &json!({"up": rules::upstream(&[&server], "")}));
    wait::until("it to be ready", || (ready(&elb).0 == 200).then_some(()));
}

#[test]
fn before_it_drains_it_says_so_and_goes_on_for_a_while() {
    let server = Server::named("a");
    let mut elb = Launch::serving(&rules::site(&[&server])).flag("--drain-delay=1h").workers(1).start();
    let mut old = elb.client();
    assert_eq!(old.ask(get(SITE, "/")).head.get("connection"), None);
    elb.signal("TERM");
    wait::until("it to be no more ready", || {
        (ready(&elb) == (503, vec!["draining".to_owned()])).then_some(())
    });
    let before = server.connections();
    for mut client in [old, elb.client(), elb.client()] {
        let answer = client.ask(get(SITE, "/"));
        assert_eq!((answer.text(), answer.head.get("connection")), ("a".to_owned(), Some("close")));
        client.ended();
    }
    assert_eq!(server.connections(), before, "connections to servers are kept as ever");
    elb.signal("TERM");
    assert_eq!(elb.exit().code(), Some(0), "a second signal does not wait");

    let mut elb = Launch::serving(&rules::site(&[&server])).flag("--drain-delay=100ms").start();
    elb.signal("TERM");
    assert_eq!(elb.exit().code(), Some(0), "and it ends by itself");
}

#[test]
fn nothing_listens_before_there_is_something_to_serve_if_that_is_asked_for() {
    let (server, mut etcd) = (Server::named("a"), etcd());
    let rules = rules::to("up").to_string();
    let keys = [
        (format!("/ELB/upstreams/up/{}", server.address()), Some(String::new())),
        (format!("/ELB/rules/{SITE}"), Some(rules)),
    ];
    Writer::to(&etcd).write(&keys);
    etcd.stop();
    let elb = Launch::storing(&etcd).flag("--require-config").spawn();
    wait::until("it to wait", || elb.log().contains("nothing listens before").then_some(()));
    assert!(!elb.log().contains("listening on"), "{}", elb.log());
    etcd.restart();
    let address = wait::until("it to listen", || {
        let log = elb.log();
        let (_, rest) = log.split_once("listening on ")?;
        let (address, _) = rest.split_once('\n')?;
        address.trim().parse().ok()
    });
    assert_eq!(Client::connect(address).ask(get(SITE, "/")).text(), "a", "its first answer is the right one");
}

#[test]
fn the_command_ends_with_what_is_so() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).start();
    let waiting = Launch::storing_at("127.0.0.1:1").start();
    let ask = |elb: &Elb, more: &[&str]| {
        let address = elb.address().to_string();
        let mut asking = Launch::bare(&[&["health", "--api", address.as_str()], more].concat()).spawn();
        let status = asking.exit();
        let (printed, complained) = wait::until("its output", || asking.said_all());
        (status.code(), printed + &complained)
    };
    assert_eq!(ask(&elb, &[]), (Some(0), "ready\n".to_owned()));
    let (code, said) = ask(&waiting, &[]);
    assert!(code == Some(1) && said.contains("is not ready: Neither a store"), "{said}");
    assert_eq!(ask(&waiting, &["--live"]), (Some(0), "live\n".to_owned()));
    let mut nobody = Launch::bare(&["health", "--api", "127.0.0.1:1"]).spawn();
    assert_eq!(nobody.exit().code(), Some(1));
}
