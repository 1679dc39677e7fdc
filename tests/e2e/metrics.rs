//! Numbers for Prometheus: what a scrape holds after what has happened, and that all of it can be read.

use serde_json::json;

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::wait;

fn scrape(elb: &Elb) -> String {
    let answer = elb.admin().call("GET", "metrics", None);
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
            && sum(&text, "elb_server_requests_total", &["upstream=\"up\"", &own]) == 3.0
            && sum(&text, "elb_ended_total", &["reason=\"no-domain\""]) == 3.0;
        is_told.then_some(text)
    });
    assert_eq!(sum(&text, "elb_server_up", &["server=\"127.0.0.1:9\""]), 0.0);
    assert_eq!(sum(&text, "elb_server_up", &["upstream=\"up\""]), 1.0);
    assert_eq!(sum(&text, "elb_ended_total", &["connect-failed"]), 1.0);
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
