//! The schedule with a clock that is set by hand: what is due when, what is counted, and what is stopped.

use serde_json::{Map, Value, json};

use super::*;
use crate::model::{Blame, Edit, State};

const SECOND: Duration = Duration::from_secs(1);

/// A schedule that follows a state.
struct Stage {
    state: State,
    schedule: Schedule,
    start: Instant,
    now: Instant,
}

impl Stage {
    fn new(upstreams: Value) -> Self {
        let start = Instant::now();
        let mut stage = Self { state: State::new(), schedule: Schedule::new(7), start, now: start };
        stage.put(upstreams);
        stage
    }

    fn put(&mut self, upstreams: Value) {
        let Value::Object(given) = upstreams else { panic!("an object") };
        let before: Vec<ServerId> = self.servers().iter().map(|server| server.id).collect();
        self.state.edit(Edit::PutUpstreams(given)).unwrap();
        let now = self.servers();
        for id in before.into_iter().filter(|id| !now.iter().any(|server| server.id == *id)) {
            self.schedule.remove(id, self.now);
        }
        for (slot, upstream) in (0..).zip(self.state.snapshot(1).upstreams()) {
            self.schedule.define(slot, upstream, self.now);
        }
        self.check_invariants();
    }

    fn servers(&mut self) -> Vec<Server> {
        self.state.snapshot(1).upstreams().flat_map(|upstream| upstream.servers.clone()).collect()
    }

    /// Lets a check begin that is due, when the time has come.
    fn begin(&mut self) -> Order {
        self.now = self.schedule.next().expect("one that is due").max(self.now);
        let order = self.schedule.begin(self.now).unwrap();
        self.check_invariants();
        order
    }

    /// The check takes no time. Says whether it turned the server.
    fn end(&mut self, order: &Order, ok: bool) -> bool {
        let turned = self.schedule.end(order.ticket, finding(ok), self.now).is_some();
        self.check_invariants();
        turned
    }

    fn check_invariants(&self) {
        let Schedule { checked, due, running, .. } = &self.schedule;
        assert_eq!(due.len() + running, checked.len());
        for (id, known) in checked {
            let is_due = matches!(known.next, Next::Due(at) if due.contains(&(at, *id)));
            assert!(is_due || matches!(known.next, Next::Running { .. }));
        }
    }
}

fn finding(ok: bool) -> Finding {
    Finding { took: Duration::ZERO, what: "".into(), ok }
}

fn many(servers: usize, options: &str) -> Value {
    let servers: Map<String, Value> =
        (1..=servers).map(|n| (format!("10.0.{}.{}:80", n / 200, n % 200), "".into())).collect();
    let mut upstream = Value::Object(servers);
    upstream["@options"] = options.into();
    json!({"up": upstream})
}

#[test]
fn only_who_is_to_be_checked_is_and_nobody_who_is_down() {
    let stage = Stage::new(json!({
        "a": {"10.0.0.1:80": "", "10.0.0.2:80": "down", "10.0.0.3:80": "backup", "@options": "check=tcp"},
        "b": {"10.0.0.1:80": "", "@options": "check=off"},
        "c": {"10.0.0.1:80": ""}}));
    assert_eq!(stage.schedule.checked.len(), 2);
}

#[test]
fn a_server_is_checked_once_in_an_interval_more_or_less() {
    let mut stage = Stage::new(many(1, "check=tcp check_interval=2s"));
    let first = stage.begin();
    assert!(stage.now < stage.start + 2 * SECOND);
    let (mut before, mut gaps) = (stage.now, BTreeSet::new());
    stage.end(&first, true);
    for _ in 0..100 {
        let order = stage.begin();
        let gap = stage.now - before;
        assert!((1_900..=2_100).contains(&gap.as_millis()), "{gap:?}");
        gaps.insert(gap);
        before = stage.now;
        // The next one counts from the beginning of this one.
        stage.now += SECOND;
        stage.end(&order, true);
    }
    assert!(gaps.len() > 90, "there is chance in it");
    let slow = stage.begin();
    stage.now += 10 * SECOND;
    assert_eq!((stage.schedule.next(), stage.schedule.begin(stage.now)), (None, None), "one at a time");
    stage.end(&slow, false);
    assert_eq!(
        stage.schedule.next(),
        Some(stage.now),
        "one that took too long is followed by the next at once"
    );
}

#[test]
fn the_first_checks_of_many_spread_over_an_interval_and_so_many_run_at_once_and_no_more() {
    let mut stage = Stage::new(many(1000, "check=tcp check_interval=10s"));
    let due: Vec<u128> =
        stage.schedule.due.iter().map(|(at, _)| (*at - stage.start).as_millis() / 1000).collect();
    for second in 0..10 {
        let within = due.iter().filter(|due| **due == second).count();
        assert!((60..140).contains(&within), "{within} in second {second}");
    }
    stage.now += 20 * SECOND;
    let orders: Vec<Order> = (0..AT_ONCE).map(|_| stage.begin()).collect();
    assert_eq!((stage.schedule.begin(stage.now), stage.schedule.next()), (None, None));
    stage.end(&orders[0], true);
    assert!(stage.schedule.begin(stage.now).is_some(), "the next has its place");
}

#[test]
fn what_is_found_turns_the_server_and_is_kept_through_all_changes() {
    let mut stage = Stage::new(many(1, "check=tcp rise=1 fall=2"));
    let state = |stage: &mut Stage| stage.servers()[0].state.clone();
    for (ok, turned, failing) in [
        (false, false, false),
        (false, true, true),
        (false, false, true),
        (true, true, false),
        (false, false, false),
    ] {
        let order = stage.begin();
        assert_eq!(stage.end(&order, ok), turned);
        assert_eq!(state(&mut stage).is_failing(), failing);
    }
    let order = stage.begin();
    assert!(stage.end(&order, false), "the second in a row");
    // Another weight, another server beside it, other options of the checks: it is the same server, and still fails.
    stage.put(json!({"up": {"10.0.0.1:80": "weight=5", "10.0.0.9:80": "", "@options": "check=/ rise=3"}}));
    let id = stage.servers()[0].id;
    assert!(state(&mut stage).is_failing() && stage.schedule.last(id).is_some());
    // It is not checked any more, so nothing is known against it.
    stage.put(json!({"up": {"10.0.0.1:80": "weight=5", "10.0.0.9:80": ""}}));
    assert!(!state(&mut stage).is_failing() && stage.schedule.last(id).is_none());
    assert!(stage.schedule.checked.is_empty());
}

#[test]
fn a_server_that_is_taken_up_again_need_not_wait_for_what_requests_say() {
    let mut stage = Stage::new(many(1, "check=tcp rise=2 fall=1"));
    let state = stage.servers()[0].state.clone();
    state.fail(Blame::ErrorStatus, false, 1, stage.now);
    let good = stage.begin();
    stage.end(&good, true);
    assert_eq!(state.failures(), 1, "good checks alone say nothing of what requests meet");
    for (ok, failures) in [(false, 1), (true, 1), (true, 0)] {
        let order = stage.begin();
        stage.end(&order, ok);
        assert_eq!(state.failures(), failures);
    }
    assert!(state.is_sound());
}

#[test]
fn a_server_that_is_gone_is_checked_no_more_and_what_is_under_way_is_stopped() {
    let mut stage = Stage::new(many(2, "check=tcp fall=1"));
    let (one, other) = (stage.begin(), stage.begin());
    stage.end(&other, true);
    stage.put(many(1, "check=tcp fall=1"));
    let gone =
        [&one, &other].into_iter().find(|order| !stage.schedule.checked.contains_key(&order.ticket.server));
    assert_eq!(stage.schedule.take_stopped(), if gone == Some(&one) { vec![one.ticket] } else { vec![] });
    stage.put(json!({"up": {"10.0.0.9:80": "", "@options": "check=tcp fall=1"}}));
    assert!(!stage.end(&one, false), "nobody asks for that any more");
    assert_eq!((stage.schedule.checked.len(), stage.schedule.running), (1, 0));
    // Asked something else: what is under way says nothing of that.
    let order = stage.begin();
    stage.put(json!({"up": {"10.0.0.9:80": "", "@options": "check=/ fall=1"}}));
    assert!(stage.schedule.take_stopped().contains(&order.ticket));
    assert!(!stage.end(&order, false));
    let next = stage.begin();
    assert!(next.question.is_some() && stage.end(&next, false));
}

#[test]
fn what_is_asked_is_what_the_options_say() {
    let order = |upstream: Value| {
        let mut stage = Stage::new(json!({"up": upstream}));
        let order = stage.begin();
        (order.endpoint.to_string(), order.question, order.within)
    };
    let question = |target: &str, host: &str, status| {
        Some(super::super::order::Question { target: target.into(), host: host.into(), status })
    };
    assert_eq!(
        order(json!({"10.0.0.1": "", "@options": "check=/healthz?full check_timeout=300ms"})),
        ("10.0.0.1:80".into(), question("/healthz?full", "10.0.0.1", (200, 399)), Duration::from_millis(300))
    );
    assert_eq!(
        order(
            json!({"10.0.0.1:80": "", "@options": "check=/ check_host=a.test check_port=81 check_status=204"})
        ),
        ("10.0.0.1:81".into(), question("/", "a.test", (204, 204)), SECOND)
    );
    assert_eq!(
        order(json!({"unix:/run/a": "", "@options": "check=/"})).1,
        question("/", "localhost", (200, 399))
    );
    assert_eq!(
        order(json!({"10.0.0.1:80": "", "@options": "check=tcp"})),
        ("10.0.0.1:80".into(), None, SECOND)
    );
}
