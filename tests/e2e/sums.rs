//! All who count requests tell the same: clients, metrics, statsd, the access log, and the servers of the API.

use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::rules;
use crate::support::server::{Server, ok};
use crate::support::wait::{self, PATIENCE};

/// Clients that ask side by side, and how often each does.
const CLIENTS: usize = 8;
const EACH: usize = 500;
/// Domain, path, and how the requests are spread: every so manyth.
const MIX: [(&str, &str); 5] =
    [("good.test", "/"), ("half.test", "/"), ("bad.test", "/"), ("lone.test", "/"), ("nobody.test", "/")];

/// Requests by status.
type Sums = BTreeMap<u64, u64>;

/// What clients got, by domain.
fn ask_all(elb: &Elb) -> BTreeMap<&'static str, Sums> {
    let mut all: BTreeMap<&'static str, Sums> = BTreeMap::new();
    let told = thread::scope(|scope| {
        let asking: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn(move || {
                    let mut client = elb.client();
                    let ask = |at: usize| {
                        let (domain, path) = MIX[(at + number) % MIX.len()];
                        let answer = client.ask(get(domain, path));
                        if answer.head.get("connection") == Some("close") {
                            client = elb.client();
                        }
                        (domain, u64::from(answer.status()))
                    };
                    (0..EACH).map(ask).collect::<Vec<_>>()
                })
            })
            .collect();
        asking.into_iter().flat_map(|one| one.join().expect("a client")).collect::<Vec<_>>()
    });
    for (domain, status) in told {
        *all.entry(domain).or_default().entry(status).or_default() += 1;
    }
    all
}

/// Of one domain, or of all servers (`None`), by the metrics.
fn metrics(elb: &Elb, domain: &str) -> Sums {
    let text = elb.admin().call("GET", "metrics", None).text();
    let row = |line: &str| {
        let rest = line.strip_prefix(&format!("elb_requests_total{{domain=\"{domain}\",code=\""))?;
        let (status, rest) = rest.split_once("\"} ")?;
        Some((status.parse().ok()?, rest.parse::<f64>().ok()? as u64))
    };
    text.lines().filter_map(row).collect()
}

fn logged(path: &std::path::Path, domain: &str) -> Sums {
    let mut sums = Sums::new();
    for line in fs::read_to_string(path).unwrap_or_default().lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let own = if line["domain"].is_null() { &line["host"] } else { &line["domain"] };
        if own == domain {
            *sums.entry(line["status"].as_u64().expect("a status")).or_default() += 1;
        }
    }
    sums
}

/// Adds the counters of a packet: what begins with `shop.<domain>.status.`.
fn note(seen: &mut BTreeMap<String, Sums>, packet: &str) {
    for line in packet.lines() {
        let Some((name, rest)) = line.split_once(':') else { continue };
        let Some((domain, status)) = name.strip_prefix("shop.").and_then(|name| name.split_once(".status."))
        else {
            continue;
        };
        let count: u64 = rest.split('|').next().and_then(|count| count.parse().ok()).expect("a count");
        let sums = seen.entry(domain.replace('_', ".")).or_default();
        *sums.entry(status.parse().expect("a status")).or_default() += count;
    }
}

#[test]
fn all_who_count_tell_the_same() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a deadline");
    let (good, bad, gone) = (Server::named("good"), Server::answering(|_| refusal()), Server::named("gone"));
    let gone = gone.stop().to_string();
    let document = json!({
        "domains": {
            "good.test": rules::to("good"), "half.test": rules::to("half"),
            "bad.test": rules::to("bad"), "lone.test": rules::to("lone")},
        "upstreams": {
            "good": rules::upstream(&[&good], ""),
            "half": {(good.address().to_string()): "", (&gone): "max_fails=0"},
            "bad": rules::upstream(&[&bad], ""),
            "lone": {(&gone): "max_fails=0"}}});
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("access.log");
    let elb = Launch::serving(&document)
        .flag(&format!("--access-log={}", path.display()))
        .flag(&format!("--statsd={}", socket.local_addr().expect("its address")))
        .flag("--name=shop")
        .start();
    let asked = ask_all(&elb);
    assert_eq!(asked["bad.test"].keys().copied().collect::<Vec<_>>(), [418]);
    assert_eq!(asked["good.test"].keys().copied().collect::<Vec<_>>(), [200]);
    for (domain, sums) in &asked {
        let named = if *domain == "nobody.test" { "_none_" } else { domain };
        wait::until("the metrics to tell the same", || (metrics(&elb, named) == *sums).then_some(()));
        wait::until("the log to tell the same", || (logged(&path, domain) == *sums).then_some(()));
    }
    let (mut seen, deadline, mut packet) = (BTreeMap::new(), Instant::now() + PATIENCE, [0; 65_536]);
    let known: BTreeMap<String, Sums> = asked
        .iter()
        .filter(|(domain, _)| **domain != "nobody.test")
        .map(|(domain, sums)| ((*domain).to_owned(), sums.clone()))
        .collect();
    while seen != known && Instant::now() < deadline {
        if let Ok(length) = socket.recv(&mut packet) {
            note(&mut seen, std::str::from_utf8(&packet[..length]).expect("text"));
        }
    }
    assert_eq!(seen, known, "statsd");
    let mut at_servers = Sums::new();
    for row in elb.admin().get("servers").as_array().expect("rows") {
        for (status, count) in row["statuses"].as_object().expect("statuses") {
            *at_servers.entry(status.parse().expect("a status")).or_default() +=
                count.as_u64().expect("a count");
        }
    }
    let mut sent_on = Sums::new();
    for (status, count) in known.values().flatten() {
        *sent_on.entry(*status).or_default() += count;
    }
    // A request that no server is left for was given to none last; here each was given to one, and refused by it.
    assert_eq!(at_servers, sent_on, "servers");
}

fn refusal() -> String {
    ok("no").replace("200 OK", "418 I'm a teapot")
}
