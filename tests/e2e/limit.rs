//! The rule type `limit`: how often requests may come, over all workers, and what becomes of those that are too many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::Launch;
use crate::support::load::Load;
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::wait;

/// [`SITE`] with a limit of these arguments before its backend.
fn site(server: &Server, mut args: Value) -> Value {
    let mut document = rules::site(&[server]);
    args["succ"] = json!("to");
    document["domains"][SITE] = json!({"init": "limit", "rules": {
        "limit": {"type": "limit", "args": args},
        "to": {"type": "backend", "args": {"servername": "up"}},
        "other": {"type": "backend", "args": {"servername": "other"}}}});
    document
}

#[test]
fn one_too_many_is_told_when_to_come_again_and_the_connection_goes_on() {
    let server = Server::named("a");
    let elb = Launch::serving(&site(&server, json!({"rate": "1r/m", "burst": 1}))).start();
    let mut client = elb.client();
    for _ in 0..2 {
        assert_eq!(client.ask(get(SITE, "/")).text(), "a");
    }
    for _ in 0..2 {
        let refused = client.ask(get(SITE, "/"));
        assert_eq!((refused.status(), refused.head.get("x-elb-reason")), (429, Some("rate-limited")));
        let wait: u64 = refused.head.get("retry-after").expect("a time").parse().expect("seconds");
        assert!((1..=60).contains(&wait), "{wait}");
    }
    assert_eq!(server.requests().len(), 2);
    let counted = || elb.admin().get("workers")["all"]["refused"]["rate-limited"] == 2;
    wait::until("both to be counted", || counted().then_some(()));
}

#[test]
fn a_limit_that_is_changed_counts_on_and_another_key_is_another_count() {
    let server = Server::named("a");
    let key = |burst: u32| json!({"rate": "1r/m", "burst": burst, "key": "header:X-Key", "status": 503});
    let elb = Launch::serving(&site(&server, key(0))).workers(2).start();
    let ask = |value: &str| {
        elb.client().ask(format!("GET / HTTP/1.1\r\nHost: {SITE}\r\nX-Key: {value}\r\n\r\n")).status()
    };
    assert_eq!([ask("a"), ask("a"), ask("b"), ask("b")], [200, 503, 200, 503]);
    elb.admin().put("domain", &json!({SITE: site(&server, key(1))["domains"][SITE]}));
    assert_eq!([ask("a"), ask("a")], [200, 503], "one more, as the burst is");
}

#[test]
fn four_workers_pass_no_more_than_the_rate() {
    const RATE: f64 = 200.0;
    let server = Server::named("a");
    let limit = json!({"rate": "200r/s", "burst": 20, "key": "host"});
    let elb = Launch::serving(&site(&server, limit)).workers(4).start();
    let (passed, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let counts = (Arc::clone(&passed), Arc::clone(&refused));
    let begun = Instant::now();
    let load = Load::start(elb.address(), 8, move |client, _| {
        match client.ask(get(SITE, "/")).status() {
            200 => counts.0.fetch_add(1, Ordering::SeqCst),
            429 => counts.1.fetch_add(1, Ordering::SeqCst),
            other => return Err(other.to_string()),
        };
        Ok(())
    });
    // Whatever the speed of this machine, three times as many are asked as may pass.
    while begun.elapsed() < Duration::from_secs(3) || refused.load(Ordering::SeqCst) < 1200 {
        load.carry_on(50);
    }
    load.finish();
    let most = RATE * begun.elapsed().as_secs_f64() + 21.0;
    let passed = passed.load(Ordering::SeqCst) as f64;
    println!("{passed} passed, {most} may");
    assert!(passed <= most * 1.1, "{passed} of {most}");
}
