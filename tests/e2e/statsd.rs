//! Numbers in the first ELB's format, at a real UDP socket.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::client::get;
use crate::support::elb::Launch;
use crate::support::rules;
use crate::support::server::{Server, ok};
use crate::support::wait::PATIENCE;

/// Counters by name, and how many values each timer got.
#[derive(Debug, Default)]
struct Seen {
    counters: BTreeMap<String, u64>,
    timers: BTreeMap<String, u64>,
}

impl Seen {
    fn take(&mut self, packet: &str) {
        for line in packet.lines().filter(|line| !line.is_empty()) {
            let (name, rest) =
                line.split_once(':').unwrap_or_else(|| panic!("not a line of statsd: {line:?}"));
            let mut parts = rest.split('|');
            let value: u64 =
                parts.next().and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{line:?}"));
            let (kind, rate) = (parts.next(), parts.next());
            let times =
                rate.map_or(1.0, |rate| 1.0 / rate.trim_start_matches('@').parse::<f64>().expect("a rate"));
            match kind {
                Some("c") => *self.counters.entry(name.to_owned()).or_default() += value,
                Some("ms") => *self.timers.entry(name.to_owned()).or_default() += times.round() as u64,
                other => panic!("{other:?} in {line:?}"),
            }
        }
    }
}

#[test]
fn totals_statuses_and_costs_of_each_domain_arrive() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a deadline");
    let address = socket.local_addr().expect("its address").to_string();
    let server = Server::answering(|request| match request.head.target() {
        "/missing" => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
        _ => ok("a"),
    });
    let elb = Launch::serving(&json!({
        "domains": {"Stat-1.Test:81": rules::to("up"), "gone.test": rules::to("nowhere")},
        "upstreams": {"up": rules::upstream(&[&server], "")}}))
    .flag(&format!("--statsd={address}"))
    .flag("--name=shop")
    .start();

    let mut client = elb.client();
    for _ in 0..20 {
        client.ask(get("Stat-1.Test:81", "/"));
    }
    client.ask(get("Stat-1.Test:81", "/missing"));
    client.ask(get("gone.test", "/"));
    client.ask(get("nobody.test", "/"));
    elb.admin().get("domain");

    let expected: BTreeMap<String, u64> = [
        ("shop.stat-1_test.total", 21),
        ("shop.stat-1_test.status.200", 20),
        ("shop.stat-1_test.status.404", 1),
        ("shop.gone_test.total", 1),
        ("shop.gone_test.status.502", 1),
    ]
    .map(|(name, count)| (name.to_owned(), count))
    .into();
    let costs: BTreeMap<String, u64> =
        [("shop.stat-1_test.cost".to_owned(), 21), ("shop.gone_test.cost".to_owned(), 1)].into();
    let (mut seen, deadline, mut packet) = (Seen::default(), Instant::now() + PATIENCE, [0; 65_536]);
    while (seen.counters != expected || seen.timers != costs) && Instant::now() < deadline {
        if let Ok(length) = socket.recv(&mut packet) {
            seen.take(std::str::from_utf8(&packet[..length]).expect("text"));
        }
    }
    assert_eq!(seen.counters, expected);
    assert_eq!(seen.timers, costs);
}
