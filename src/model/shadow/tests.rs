//! What is compared, and how much of it is kept.

use serde_json::{Value, json};

use super::*;
use crate::model::{Edit, Library, Mode, State};
use crate::semantics::Sketch;

fn to(upstream: &str) -> Value {
    json!({"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": upstream}}}})
}

fn state(library: &Library, document: &Value) -> State {
    let mut state = State::reading_with(library.clone());
    let part = |name: &str| document[name].as_object().cloned().unwrap_or_default();
    let edit = Edit::Document { domains: part("domains"), upstreams: part("upstreams"), mode: Mode::Whole };
    state.edit(edit).unwrap();
    state
}

/// What is served, and a candidate beside it.
fn both(live: &Value, candidate: &Value) -> (Snapshot, Snapshot) {
    let library = Library::default();
    let live = state(&library, live).snapshot(7);
    let beside = state(&library, candidate).snapshot_beside(&live);
    (live, beside)
}

struct Bench {
    live: Snapshot,
    candidate: Snapshot,
    now: Instant,
    tally: Tally,
    scratches: [Scratch; 2],
}

impl Bench {
    fn new((live, candidate): (Snapshot, Snapshot)) -> Self {
        Self { live, candidate, now: Instant::now(), tally: Tally::default(), scratches: Default::default() }
    }

    /// A request as a worker has it: the candidate is asked, then it is routed.
    fn ask(&mut self, host: &str, path: &str) {
        let sketch = Sketch::new(host, path.as_bytes());
        let request = sketch.view();
        let [beside, own] = &mut self.scratches;
        let would = foresee(&self.candidate, &self.live, &request, (0, self.now), beside);
        own.at(self.now);
        let goes = route(&self.live, &request, 0, own, &mut Silent).verdict;
        self.tally.count((&self.live, &self.candidate), &goes, would.as_ref(), &request);
    }

    /// From, to, what is different, and how many.
    fn ways(self) -> Vec<(String, String, &'static str, u64)> {
        let ways = self.tally.into_ways();
        let mut ways: Vec<_> =
            ways.map(|way| (way.from, way.to, way.difference.word(), way.requests)).collect();
        ways.sort();
        ways
    }
}

fn way(from: &str, to: &str, what: &'static str, requests: u64) -> (String, String, &'static str, u64) {
    (from.to_owned(), to.to_owned(), what, requests)
}

#[test]
fn each_request_is_the_same_or_goes_elsewhere_and_the_ways_say_where() {
    let server = json!({"127.0.0.1:1": ""});
    let page = |args: Value| json!({"init": "r", "rules": {"r": {"type": "respond", "args": args}}});
    let other = |field: &str| json!({"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": "up", "x-a": field}}}});
    let live = json!({
        "domains": {"same.test": to("up"), "moved.test": to("up"), "gone.test": to("up"), "lost.test": to("old"),
            "page.test": page(json!({"status": 200, "body": "a"})), "field.test": other("1")},
        "upstreams": {"up": server, "old": server}});
    let candidate = json!({
        "domains": {"same.test": to("up"), "moved.test": to("new"), "new.test": to("up"), "lost.test": to("old"),
            "page.test": page(json!({"status": 200, "body": "b"})), "field.test": other("2")},
        "upstreams": {"up": server, "new": server}});
    let mut bench = Bench::new(both(&live, &candidate));
    for host in ["same", "moved", "moved", "gone", "new", "lost", "page", "field", "nobody"] {
        bench.ask(&format!("{host}.test"), "/");
    }
    let Tally { requests, same, otherwise, elsewhere, other, .. } = bench.tally;
    assert_eq!((requests, same, otherwise, elsewhere, other), (9, 4, 2, 5, 0));
    assert_eq!(
        bench.ways(),
        [
            way("404 no-domain", "upstream up", "destination", 1),
            way("respond 200", "respond 200", "answer", 1),
            way("upstream old", "502 no-upstream old", "destination", 1),
            way("upstream up", "404 no-domain", "destination", 1),
            way("upstream up", "upstream new", "destination", 2),
            way("upstream up", "upstream up", "fields", 1),
        ]
    );
}

#[test]
fn a_limit_that_is_there_answers_as_it_is_about_to_and_is_not_counted_twice() {
    let limited = |end: &str| {
        json!({"init": "l", "rules": {"l": {"type": "limit", "args": {"rate": "1r/m", "burst": 1, "succ": "r"}},
            "r": {"type": "backend", "args": {"servername": end}}}})
    };
    let live = json!({"domains": {"0.test": to("up"), "a.test": limited("up")}});
    let mut candidate = json!({"domains": {"a.test": limited("other")}});
    let mut bench = Bench::new(both(&live, &candidate));
    for _ in 0..5 {
        bench.ask("a.test", "/");
    }
    assert_eq!((bench.tally.requests, bench.tally.same, bench.tally.elsewhere), (5, 3, 2));
    assert_eq!(bench.ways(), [way("502 no-upstream up", "502 no-upstream other", "destination", 2)]);
    // A domain that is new has no slot of another one, whose limit it would be asked about.
    candidate["domains"]["b.test"] = limited("up");
    let (live, beside) = both(&live, &candidate);
    let slot = beside.domain_slot("b.test").unwrap();
    assert_eq!((live.domain_name(slot), beside.domain_slot("0.test")), ("", None));
    assert_eq!(live.domain_slot("a.test"), beside.domain_slot("a.test"));
}

#[test]
fn names_that_stand_for_many_are_found_in_a_candidate_as_in_what_is_served() {
    let live = json!({"domains": {"*.a.test": to("up"), "B.test": to("up"), "*": to("rest")}});
    let candidate = json!({"domains": {"*.a.test": to("up"), "x.a.test": to("one"), "b.test": to("up")}});
    let mut bench = Bench::new(both(&live, &candidate));
    for host in ["x.a.test", "y.a.test", "b.test", "c.test"] {
        bench.ask(host, "/");
    }
    assert_eq!(
        bench.ways(),
        [
            way("502 no-upstream rest", "404 no-domain", "destination", 1),
            way("502 no-upstream up", "502 no-upstream one", "destination", 1),
        ]
    );
}

#[test]
fn a_table_has_a_bound_and_its_examples_too() {
    let domains: Value = (0..WAYS + 40).map(|n| (format!("{n}.test"), to(&format!("up{n}")))).collect();
    let mut bench = Bench::new(both(&json!({"domains": domains}), &json!({})));
    let path = format!("/{}", "x".repeat(1000));
    for _ in 0..5 {
        (0..WAYS + 40).for_each(|n| bench.ask(&format!("{n}.test"), &path));
    }
    let Tally { requests, elsewhere, other, .. } = bench.tally;
    assert_eq!((requests, elsewhere, other), (5 * (WAYS as u64 + 40), 5 * (WAYS as u64 + 40), 5 * 40));
    let ways: Vec<OneWay> = bench.tally.into_ways().collect();
    assert_eq!(ways.len(), WAYS);
    for way in ways {
        assert_eq!((way.requests, way.examples.len()), (5, EXAMPLES));
        assert!(
            way.examples.iter().all(|example| example.path.len() == LONGEST && &*example.method == "GET")
        );
    }
}
