//! The servers of snapshots that follow each other, and what workers and checks say of them.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::model::{Blame, Edit, State};

struct Stage {
    state: State,
    servers: Servers,
    current: Snapshot,
    now: Instant,
}

impl Stage {
    fn new(upstreams: Value) -> Self {
        let (state, current, now) = (State::new(), Snapshot::empty(), Instant::now());
        let mut stage = Self { state, servers: Servers::new(), current, now };
        stage.put(upstreams);
        stage
    }

    fn put(&mut self, upstreams: Value) {
        self.state.edit(Edit::PutUpstreams(upstreams.as_object().unwrap().clone())).unwrap();
        let next = self.state.snapshot(self.current.version + 1);
        self.servers.follow(&self.current, &next, self.now);
        self.current = next;
    }

    fn server(&self, upstream: &str, place: usize) -> Server {
        self.current.upstream_named(upstream).unwrap().servers[place].clone()
    }

    fn shown(&self) -> Vec<Shown> {
        self.servers.list(&self.current, &Traffic::new(), |_| true)
    }

    fn states(&self) -> Vec<String> {
        let word = |shown: &Shown| {
            let address = shown.address.as_deref().unwrap_or("-");
            format!("{} {} {address} {}", shown.upstream, shown.server, shown.state)
        };
        self.shown().iter().map(word).collect()
    }

    fn check(&mut self, ok: bool) {
        let order = loop {
            self.now = self.servers.next_check().unwrap().max(self.now);
            if let Some(order) = self.servers.begin_check(self.now) {
                break order;
            }
        };
        let what = if ok { "status 200" } else { "status 503" };
        let finding = Finding { took: Duration::from_millis(3), what: what.into(), ok };
        self.servers.checked(order.ticket, finding, &self.current, self.now);
    }
}

fn numbers(server: &Server, active: u32, requests: u64) -> ServerNumbers {
    ServerNumbers { server: server.id, active, idle: 1, requests }
}

#[test]
fn every_server_is_shown_at_each_of_its_addresses_with_what_an_operator_said_of_it() {
    let mut stage = Stage::new(json!({
        "b": {"Name.test": "weight=2", "lost.test:81": ""},
        "A": {"10.0.0.2": "down", "10.0.0.1:80": "drain", "unix:/run/s": ""}}));
    stage.state.learn("name.test:80", vec!["10.0.0.8:80".parse().unwrap(), "10.0.0.9:80".parse().unwrap()]);
    stage.put(json!({}));
    assert_eq!(
        stage.states(),
        [
            "A 10.0.0.2 10.0.0.2:80 down",
            "A 10.0.0.1:80 10.0.0.1:80 draining",
            "A unix:/run/s unix:/run/s up",
            "b Name.test 10.0.0.8:80 up",
            "b Name.test 10.0.0.9:80 up",
            "b lost.test:81 - unresolved",
        ]
    );
    assert_eq!(stage.servers.list(&stage.current, &Traffic::new(), |name| name == "A").len(), 3);
}

#[test]
fn what_workers_say_is_added_up_and_a_server_that_is_gone_is_forgotten() {
    let mut stage = Stage::new(json!({"up": {"10.0.0.1": "", "10.0.0.2": ""}}));
    let (one, two) = (stage.server("up", 0), stage.server("up", 1));
    stage.servers.told(3, vec![numbers(&one, 2, 10), numbers(&two, 1, 5)]);
    stage.servers.told(0, vec![numbers(&one, 1, 7)]);
    stage.servers.told(3, vec![numbers(&one, 0, 12)]);
    let told = |stage: &Stage| -> Vec<_> {
        stage.shown().iter().map(|shown| (shown.active, shown.idle_connections, shown.requests)).collect()
    };
    assert_eq!(told(&stage), [(1, 2, 19), (1, 1, 5)]);
    stage.servers.ended(3);
    assert_eq!(told(&stage), [(1, 1, 19), (0, 0, 5)], "what was done stays");
    stage.put(json!({"up": {"10.0.0.1": "weight=3"}}));
    assert_eq!(told(&stage), [(1, 1, 19)]);
    stage.servers.told(0, vec![numbers(&two, 9, 9)]);
    assert_eq!(stage.servers.numbers.len(), 1, "a late word of a server that is gone");
    stage.put(json!({"up": {"10.0.0.1": "", "10.0.0.2": ""}}));
    assert_eq!(told(&stage), [(1, 1, 19), (0, 0, 0)], "one that comes back is another");
}

#[test]
fn a_server_shows_why_it_gets_no_requests_and_since_when() {
    let mut stage = Stage::new(json!({"up": {
        "10.0.0.1": "", "10.0.0.2": "max_fails=2 fail_timeout=30s", "@options": "check=/ fall=1 rise=1"}}));
    let (start, two) = (stage.now, stage.server("up", 1));
    assert!(stage.shown().iter().all(|shown| (shown.since, &shown.last_check) == (None, &None)));
    stage.check(false);
    stage.check(false);
    let failing: Vec<Shown> = stage.shown();
    for shown in &failing {
        assert_eq!((shown.state, shown.reason.as_deref()), ("failing", Some("status 503")));
        assert!(shown.since.is_some_and(|since| since >= start));
        assert_eq!(shown.last_check.as_ref().map(|last| last.finding.ok), Some(false));
    }
    stage.check(true);
    stage.check(true);
    two.state.fail(Blame::ErrorStatus, false, 2, stage.now);
    two.state.fail(Blame::ErrorStatus, false, 2, stage.now);
    let shown = stage.shown().remove(1);
    assert_eq!(
        (shown.state, shown.reason.as_deref(), shown.failures),
        ("aside", Some("2 failures, the last error-status"), 2)
    );
    assert_eq!((shown.since, shown.until), (Some(stage.now), Some(stage.now + Duration::from_secs(30))));
    assert_eq!(stage.shown()[0].state, "up");
    // Nobody checks it any more.
    stage.put(json!({"up": {"10.0.0.1": "", "10.0.0.2": "max_fails=2 fail_timeout=30s"}}));
    assert_eq!((stage.servers.next_check(), &stage.shown()[0].last_check), (None, &None));
}
