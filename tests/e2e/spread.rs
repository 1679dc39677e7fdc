//! Who of the workers has how many connections: the shares that the admin API tells, and the steering to a core.

use serde_json::Value;

use crate::resources::until_all;
use crate::support::client::get;
use crate::support::elb::Launch;
use crate::support::rules;
use crate::support::server::Server;

/// Connections of each test; two workers get between 15 and 85 each, but for a chance of one in a billion.
const CONNECTIONS: u64 = 100;

#[test]
fn each_worker_tells_its_share_of_connections_and_requests() {
    let server = Server::named("a");
    let launch = Launch::serving(&rules::site(&[&server])).flag("--admin-listen=127.0.0.1:0");
    let elb = launch.start();
    for _ in 0..CONNECTIONS {
        let mut client = elb.client();
        (0..2).for_each(|_| assert_eq!(client.ask(get(rules::SITE, "/")).status(), 200));
    }
    until_all(&elb, "all connections to be counted", |all| all["accepted"] == CONNECTIONS);
    let told = elb.admin().get("workers");
    assert_eq!(told["all"]["requests"], 2 * CONNECTIONS);
    let shares = |of: &str| -> Vec<f64> {
        let workers = told["workers"].as_array().unwrap().iter();
        workers.map(|worker: &Value| worker["share"][of].as_f64().unwrap()).collect()
    };
    assert_eq!((shares("accepted").len(), shares("accepted")), (2, shares("requests")));
    assert!((shares("accepted").iter().sum::<f64>() - 100.0).abs() < 0.11, "{told}");
    assert!(shares("accepted").iter().all(|share| (15.0..=85.0).contains(share)), "{told}");
}
