//! Who of the workers has how many connections: by chance, and by the core that their packets arrive at.
//!
//! What is looked at is what `/__erulb__/workers` tells of each worker.

use std::net::SocketAddr;
use std::thread;

use core_affinity::CoreId;
use serde_json::Value;

use crate::resources::until_all;
use crate::support::client::{Client, get};
use crate::support::elb::Launch;
use crate::support::rules;
use crate::support::server::Server;
use crate::support::skip::skipped;

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

#[test]
fn a_steered_connection_goes_to_the_worker_of_the_core_that_its_packets_arrive_at() {
    let cores: Vec<usize> = core_affinity::get_core_ids().unwrap().into_iter().map(|core| core.id).collect();
    if let Err(why) = steers(&cores) {
        return skipped("steering is not tested", &why);
    }
    let server = Server::named("a");
    // The second worker is the one of the first core: the order is not what decides.
    let cores = [cores[1], cores[0]];
    let launch = Launch::serving(&rules::site(&[&server])).pinned(&cores).flag("--steer");
    let elb = launch.flag("--admin-listen=127.0.0.1:0").start();
    for (core, count) in [(cores[0], CONNECTIONS / 4), (cores[1], CONNECTIONS)] {
        ask_from(core, count, elb.address());
    }
    let sum = CONNECTIONS + CONNECTIONS / 4;
    until_all(&elb, "all connections to be counted", |all| all["accepted"] == sum);
    let told = elb.admin().get("workers");
    let accepted = [0, 1].map(|worker| told["workers"][worker]["accepted"].as_u64().unwrap());
    assert_eq!(accepted, [CONNECTIONS / 4, CONNECTIONS], "of workers on the cores {cores:?}");
}

/// Whether there is anything to steer, and a kernel that does.
fn steers(cores: &[usize]) -> Result<(), String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        _ if cores.len() < 2 => Err("there is one core".to_owned()),
        (Some(major), Some(minor)) if (major, minor) >= (6, 2) => Ok(()),
        _ => Err(format!("Linux {} does not do it", release.trim())),
    }
}

/// Connects so often from this core, which on loopback is also where the packets arrive.
fn ask_from(core: usize, count: u64, to: SocketAddr) {
    let asking = thread::spawn(move || {
        assert!(core_affinity::set_for_current(CoreId { id: core }), "core {core} cannot be had");
        for _ in 0..count {
            assert_eq!(Client::connect(to).ask(get(rules::SITE, "/")).status(), 200);
        }
    });
    asking.join().unwrap();
}
