//! Numbers for Prometheus: what a scrape holds after what has happened, and that all of it can be read.

use std::net::SocketAddr;

use serde_json::json;

use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::wait;

fn scrape(elb: &Elb) -> String {
    let admin =
        elb.admin().with("Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.3");
    let answer = admin.call("GET", "metrics", None);
    assert_eq!(answer.status(), 200);
    let kind = answer.head.get("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    answer.text()
}

/// The sum of all rows of a metric whose labels hold these.
fn sum(text: &str, metric: &str, labels: &[&str]) -> f64 {
    let rows = text.lines().filter(|line| {
        line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|one| line.contains(one))
    });
    rows.map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a number"))
        .sum()
}

#[test]
fn a_scrape_has_what_has_happened() {
    let (server, gone) = (Server::named("a"), Server::named("gone"));
    let mut document = rules::site(&[&server]);
    let gone = gone.stop().to_string();
    document["upstreams"]["lone"] = json!({(&gone): ""});
    document["upstreams"]["lone"]["127.0.0.1:9"] = json!("down");
    document["domains"]["lone.test"] = rules::to("lone");
    let elb = Launch::serving(&document).start();
    for _ in 0..3 {
        assert_eq!(elb.client().ask(get(SITE, "/")).status(), 200);
        assert_eq!(elb.client().ask(get("nobody.test", "/")).status(), 404);
    }
    assert_eq!(elb.client().ask(get("lone.test", "/")).status(), 502);
    elb.admin().put("domain", &json!({"new.test": rules::to("up")}));
    let text = wait::until("all of it to be told", || {
        let text = scrape(&elb);
        let own = format!("server=\"{}\"", server.address());
        let is_told = sum(&text, "elb_requests_routed_total", &[]) == 7.0
            && sum(&text, "elb_requests_total", &[]) == 7.0
            && sum(&text, "elb_server_requests_total", &["upstream=\"up\"", &own]) == 3.0
            && sum(&text, "elb_ended_total", &["reason=\"no-domain\""]) == 3.0;
        is_told.then_some(text)
    });
    assert_eq!(sum(&text, "elb_server_up", &["server=\"127.0.0.1:9\""]), 0.0);
    assert_eq!(sum(&text, "elb_server_up", &["upstream=\"up\""]), 1.0);
    assert_eq!(sum(&text, "elb_ended_total", &["connect-failed"]), 1.0);
    // There was no other server, so nothing was sent once more.
    assert_eq!(sum(&text, "elb_retries_total", &[]), 0.0);
    assert_eq!(sum(&text, "elb_server_failures_total", &[]), 1.0);
    assert_eq!(sum(&text, "elb_server_failures_total", &["reason=\"connect-failed\""]), 1.0);
    assert_eq!(sum(&text, "elb_log_lost_lines_total", &[]), 0.0);
    // The file is looked at once a second; this machine may be slow, not as slow as that.
    assert!(sum(&text, "elb_store_age_seconds", &[]) < 600.0 && text.contains("\nelb_store_age_seconds "));
    let site = format!("domain=\"{SITE}\"");
    assert_eq!(sum(&text, "elb_requests_total", &[&site, "code=\"200\""]), 3.0);
    assert_eq!(sum(&text, "elb_requests_total", &["domain=\"_none_\"", "code=\"404\""]), 3.0);
    assert_eq!(sum(&text, "elb_requests_total", &["domain=\"lone.test\"", "code=\"502\""]), 1.0);
    let own = format!("server=\"{}\"", server.address());
    assert_eq!(sum(&text, "elb_upstream_requests_total", &["upstream=\"up\"", &own, "code=\"200\""]), 3.0);
    assert_eq!(sum(&text, "elb_upstream_requests_total", &["upstream=\"lone\"", &gone, "code=\"502\""]), 1.0);
    for (metric, upstream, count) in [
        ("elb_request_duration_seconds_count", "up", 3.0),
        ("elb_request_duration_seconds_count", "lone", 1.0),
        ("elb_server_response_seconds_count", "up", 3.0),
        ("elb_server_response_seconds_count", "lone", 0.0),
    ] {
        assert_eq!(sum(&text, metric, &[&format!("upstream=\"{upstream}\"")]), count, "{metric} {upstream}");
    }
    assert!(sum(&text, "elb_sent_bytes_total", &[&site]) > 3.0 * 30.0);
    assert!(sum(&text, "elb_received_bytes_total", &[&site]) > 3.0 * 20.0);
    assert_eq!(sum(&text, "elb_unsaved_edits", &[]), 1.0);
    assert_eq!(sum(&text, "elb_config_version_newest", &[]), 2.0);
    assert_eq!(sum(&text, "elb_store_up", &[]), 1.0);
    assert!(sum(&text, "process_resident_memory_bytes", &[]) > 1e6);
    assert!(sum(&text, "process_start_time_seconds", &[]) > 1.7e9);
    assert!(!text.contains("nobody.test"), "what a client asks for is no label");
    assert!(text.ends_with("# EOF\n"));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        assert!(value.parse::<f64>().is_ok() && !name.is_empty(), "{line}");
    }
}

#[test]
fn metrics_of_servers_go_with_them_and_strangers_get_none() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).start();
    assert!(scrape(&elb).contains("upstream=\"up\""));
    elb.admin().delete("upstream", &json!(["up"]));
    assert!(!scrape(&elb).contains("upstream=\"up\""));
    let closed = Launch::serving(&rules::site(&[&server])).flag("--admin-allow=192.0.2.0/24").start();
    assert_eq!(closed.client().ask(get("127.0.0.1", "/__erulb__/metrics")).status(), 403);
}

#[test]
fn names_beyond_the_bound_are_counted_together_and_what_is_asked_for_is_no_name() {
    let server = Server::named("a");
    let mut document = rules::site(&[&server]);
    for number in 0..5 {
        document["domains"][format!("d{number}.test")] = rules::to("up");
    }
    let elb = Launch::serving(&document).flag("--metrics-domains=2").start();
    let mut client = elb.client();
    for number in 0..5 {
        assert_eq!(client.ask(get(&format!("d{number}.test"), "/")).status(), 200);
    }
    for number in 0..200 {
        assert_eq!(elb.client().ask(get(&format!("nobody{number}.test"), "/")).status(), 404);
    }
    let text = wait::until("all of it to be told", || {
        let text = scrape(&elb);
        (sum(&text, "elb_requests_total", &[]) == 205.0).then_some(text)
    });
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("elb_requests_total{")).collect();
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert_eq!(sum(&text, "elb_requests_total", &["domain=\"_other_\""]), 3.0);
    assert_eq!(sum(&text, "elb_domains_not_shown", &[]), 3.0);
    // What is deleted has no row, and who comes next has its place.
    // Most of what has requests goes, which must be meant.
    elb.admin().delete("domain?confirm=1", &json!(["d0.test", "d1.test", "d2.test", "d3.test"]));
    assert!(!scrape(&elb).contains("d0.test"));
    assert_eq!(client.ask(get("d4.test", "/")).status(), 200);
    wait::until("its row", || (sum(&scrape(&elb), "elb_requests_total", &["_other_"]) == 2.0).then_some(()));
}

#[test]
fn metrics_alone_can_be_had_at_an_address_of_their_own() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server]))
        .flag("--metrics-listen=127.0.0.1:0")
        .flag("--admin-allow=192.0.2.0/24")
        .start();
    let log = elb.log();
    let told = log.lines().find_map(|line| line.split_once("metrics listens on ")).expect("a line").1;
    let address: SocketAddr = told.trim().parse().expect("an address");
    let ask = |path: &str| Client::connect(address).ask(get("metrics.test", path));
    for path in ["/metrics", "/__erulb__/metrics"] {
        let answer = ask(path);
        assert_eq!(
            (answer.status(), answer.head.get("content-type")),
            (200, Some("text/plain; version=0.0.4; charset=utf-8"))
        );
        assert!(answer.text().contains("# TYPE elb_connections_accepted_total counter\n"));
    }
    for path in ["/__erulb__/domain", "/__erulb__/dump", "/"] {
        assert_eq!(ask(path).status(), 404, "{path}");
    }
}
