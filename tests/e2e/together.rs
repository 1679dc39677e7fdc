//! What workers know of servers together, and how long it lasts.

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::Server;

/// A server that reads requests and closes instead of answering.
fn mute() -> Server {
    Server::start(|talk| talk.request().map(drop))
}

/// Four workers before an upstream `up` with these servers.
fn elb(servers: &Value) -> Elb {
    Launch::serving(&json!({"domains": {SITE: rules::to("up")}, "upstreams": {"up": servers}}))
        .workers(4)
        .start()
}

/// So many requests one after the other, each on a connection of its own, so that every worker has some.
fn ask(elb: &Elb, count: usize) {
    for _ in 0..count {
        assert_eq!(elb.client().ask(get(SITE, "/")).text(), "good");
    }
}

#[test]
fn a_server_that_has_failed_one_worker_is_asked_by_none() {
    let (bad, good) = (mute(), Server::named("good"));
    let elb = elb(&json!({bad.address().to_string(): "", good.address().to_string(): ""}));
    ask(&elb, 60);
    assert_eq!(bad.connections(), 1);
}

#[test]
fn what_is_known_of_a_server_outlives_changes_of_others_and_ends_with_its_own() {
    let (bad, good) = (mute(), Server::named("good"));
    let [first, second] = [&bad, &good].map(|server| server.address().to_string());
    let elb = elb(&json!({&first: "", &second: ""}));
    ask(&elb, 20);
    assert_eq!(bad.connections(), 1);
    for (servers, connections) in [
        (json!({&first: "", &second: "weight=2"}), 1),
        (json!({&second: "", &first: ""}), 1),
        (json!({&first: "weight=2", &second: ""}), 2),
        (json!({&second: ""}), 2),
        (json!({&second: "", &first: "weight=2"}), 3),
    ] {
        elb.admin().put("upstream", &json!({"up": servers}));
        ask(&elb, 20);
        assert_eq!(bad.connections(), connections, "{servers}");
    }
}
