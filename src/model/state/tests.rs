//! The state: edits, the store, their order, the quarantine, dumps, and the snapshots that come of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::*;
use crate::model::upstream::Endpoint;
use proptest::prelude::*;
use serde_json::json;

mod digest;
mod incremental;
mod options;

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("an object") };
    map
}

/// A rule set that sends everything to `servername`.
fn to(servername: &str) -> Value {
    json!({"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": servername}}}})
}

fn put_domains(state: &mut State, domains: Value) -> Result<Outcome, Faults> {
    state.edit(Edit::PutDomains(object(domains)))
}

fn put_upstreams(state: &mut State, upstreams: Value) -> Result<Outcome, Faults> {
    state.edit(Edit::PutUpstreams(object(upstreams)))
}

fn rule(domain: &str, text: Option<&str>) -> KeyChange {
    KeyChange::Rule { domain: domain.to_owned(), text: text.map(str::to_owned) }
}

fn server(upstream: &str, server: &str, text: Option<&str>) -> KeyChange {
    KeyChange::Server {
        upstream: upstream.to_owned(),
        server: server.to_owned(),
        text: text.map(str::to_owned),
    }
}

/// The parts of an upstream, as `server params`.
fn parts(spec: &UpstreamSpec) -> Vec<String> {
    spec.parts().map(|(name, part)| format!("{name} {part}")).collect()
}

/// Upstreams in force, as `Name: server params, server params`.
fn shown(state: &State) -> Vec<String> {
    let shown: Vec<_> =
        (state.upstreams().iter()).map(|spec| format!("{}: {}", spec.name, parts(spec).join(", "))).collect();
    shown.into_iter().map(|text| text.replace("weight=1 max_fails=1 fail_timeout=10", "-")).collect()
}

/// What a dump writes, sent and not heard of yet.
fn sent(state: &mut State) -> Vec<KeyChange> {
    let writes = state.to_write(&Named::all(), None);
    state.send(&writes);
    writes.into_iter().map(|write| write.wanted).collect()
}

/// A dump into a store where nobody else is.
fn dump(state: &mut State) -> StoreOutcome {
    let changes = sent(state);
    state.store_changed(changes)
}

#[test]
fn the_published_examples() {
    let mut state = State::new();
    let domains = json!({"localhost": {"init": "r1", "rules": {
        "r1": {"type": "path", "args": {"regex": true, "pattern": "^\\/blog\\/(\\S+)$", "succ": "r2", "fail": "r3", "rewrite": false}},
        "r2": {"type": "backend", "args": {"servername": "upstream1"}},
        "r3": {"type": "backend", "args": {"servername": "upstream2"}}}}});
    let outcome = put_domains(&mut state, domains.clone()).unwrap();
    assert!(outcome.changed);
    assert_eq!(outcome.warnings.len(), 2, "the upstreams are not there yet");
    assert_eq!(Value::Object(state.domains()), domains, "a GET returns what was PUT");
    let upstreams = json!({"upstream1": {"127.0.0.1:8089": "", "127.0.0.1:8088": ""},
        "upstream2": {"127.0.0.1:8089": "max_fails=2 weight=10"}});
    assert!(put_upstreams(&mut state, upstreams).unwrap().changed);
    assert_eq!(
        shown(&state),
        [
            "upstream1: 127.0.0.1:8089 -, 127.0.0.1:8088 -",
            "upstream2: 127.0.0.1:8089 weight=10 max_fails=2 fail_timeout=10"
        ]
    );
    assert_eq!(
        put_domains(&mut state, domains).unwrap(),
        Outcome::default(),
        "the same again changes nothing"
    );
    assert_eq!(state.pending_edits(), 3);
    let names = ["localhost", "127.0.0.1"].map(str::to_owned).to_vec();
    let outcome = state.edit(Edit::DeleteDomains(names)).unwrap();
    assert_eq!(outcome.found, [("localhost".to_owned(), true), ("127.0.0.1".to_owned(), false)]);
    let outcome = state.edit(Edit::DeleteUpstreams(vec!["UPSTREAM1".into(), "upstream1".into()])).unwrap();
    assert_eq!(outcome.found, [("UPSTREAM1".to_owned(), true), ("upstream1".to_owned(), false)]);
    assert_eq!(state.pending_edits(), 1, "what the store never had needs no tombstone");
}

#[test]
fn an_edit_is_applied_whole_or_not_at_all() {
    let mut state = State::new();
    put_upstreams(&mut state, json!({"up1": {"h:1": ""}})).unwrap();
    let fault = put_upstreams(&mut state, json!({"up0": {"h:1": ""}, "up1": {"127.0.0.1:80": "wieght=1"}}));
    assert_eq!(fault.unwrap_err().to_string(), "/up1/127.0.0.1:80: wieght=1: there is no such parameter");
    assert_eq!(shown(&state), ["up1: h:1 -"]);
    for (upstreams, pointer) in [
        (json!({"up1": {}}), "/up1"),
        (json!({"up1": {"h:1": "backup"}}), "/up1"),
        (json!({"up1": {"h:1": "weight=0"}}), "/up1/h:1"),
        (json!({"up1": null}), "/up1"),
        (json!({"up1": {"h:1": ""}, "UP1": {"h:2": ""}}), "/UP1"),
    ] {
        assert_eq!(put_upstreams(&mut state, upstreams).unwrap_err().pointer, pointer);
    }
    let fault =
        put_domains(&mut state, json!({"a": to("up1"), "dom": {"init": "x", "rules": {}}})).unwrap_err();
    assert_eq!(fault.to_string(), "/dom/init: there is no rule x");
    assert_eq!(put_domains(&mut state, json!({"": to("up1")})).unwrap_err().pointer, "/");
    assert_eq!((state.domains().len(), state.pending_edits()), (0, 1));
}

#[test]
fn upstream_names_ignore_case_and_show_the_last_spelling() {
    let mut state = State::new();
    put_upstreams(&mut state, json!({"Up1": {"h:1": ""}})).unwrap();
    put_upstreams(&mut state, json!({"uP1": {"h:2": ""}})).unwrap();
    assert_eq!(shown(&state), ["uP1: h:2 -"]);
    let outcome = put_domains(&mut state, json!({"d": to("UP1")})).unwrap();
    assert_eq!(outcome.warnings, []);
    let mut state = State::new();
    state.store_changed(vec![
        server("A", "h:1", Some("")),
        server("a", "h:2", Some("")),
        server("a", "h:1", Some("down")),
    ]);
    assert_eq!(shown(&state), ["a: h:1 - down, h:2 -"]);
    state.store_changed(vec![server("a", "h:1", None), server("a", "h:2", None)]);
    assert_eq!(shown(&state), ["A: h:1 -"]);
}

#[test]
fn the_newest_change_of_a_key_is_in_force() {
    let mut state = State::new();
    state.store_changed(vec![rule("d", Some(&to("a").to_string())), server("up", "h:1", Some(""))]);
    put_domains(&mut state, json!({"d": to("b"), "e": to("e")})).unwrap();
    put_upstreams(&mut state, json!({"up": {"h:9": ""}})).unwrap();
    assert_eq!((state.pending_edits(), shown(&state)), (3, vec!["up: h:9 -".to_owned()]));
    assert_eq!(state.store_changed(vec![rule("d", Some(&to("a").to_string()))]), StoreOutcome::default());
    let outcome = state
        .store_changed(vec![rule("d", Some(&to("c").to_string())), server("up", "h:2", Some("weight=2"))]);
    assert!(outcome.changed);
    assert_eq!(outcome.overridden, ["rules/d"]);
    assert_eq!(state.domains()["d"], to("c"));
    assert_eq!(shown(&state), ["up: h:9 -, h:2 weight=2 max_fails=1 fail_timeout=10"]);
    assert_eq!(state.pending_edits(), 2, "the edits of other keys stay, h:9 put and h:1 deleted among them");
    state.edit(Edit::DeleteDomains(vec!["d".into()])).unwrap();
    assert_eq!(
        state.store_changed(vec![rule("d", None)]).overridden,
        Vec::<String>::new(),
        "both say it is gone"
    );
    assert_eq!(state.pending_edits(), 2);
}

#[test]
fn a_load_looks_only_at_what_differs() {
    let mut state = State::new();
    let mut store = Contents::default();
    store.rules.insert("d".into(), to("a").to_string());
    store.rules.insert("gone".into(), to("a").to_string());
    store.upstreams.insert("up".into(), [("h:1".to_owned(), String::new())].into());
    assert!(state.load(store.clone()).changed);
    put_domains(&mut state, json!({"d": to("b")})).unwrap();
    assert_eq!(state.load(store.clone()), StoreOutcome::default());
    assert_eq!(state.domains()["d"], to("b"));
    store.rules.remove("gone");
    let dropped = state.would_drop(&store);
    assert_eq!(dropped, Dropped { domains: 1, of_domains: 2, upstreams: 0, of_upstreams: 1 });
    assert!(state.load(store).changed);
    assert_eq!(state.domains().len(), 1);
    let dropped = state.would_drop(&Contents::default());
    assert_eq!(dropped, Dropped { domains: 1, of_domains: 1, upstreams: 1, of_upstreams: 1 });
}

#[test]
fn a_bad_rule_is_set_aside_and_the_last_good_one_serves() {
    let mut state = State::new();
    let outcome = state.store_changed(vec![rule("d", Some("{")), rule("", Some("{}"))]);
    assert!(!outcome.changed && !outcome.rejected[0].last_good);
    assert!(outcome.rejected[0].message.starts_with("is not JSON"));
    assert_eq!(
        state.rejected().iter().map(|rejected| rejected.key.as_str()).collect::<Vec<_>>(),
        ["rules/", "rules/d"]
    );
    let outcome = state.store_changed(vec![rule("d", Some(&to("a").to_string())), rule("", None)]);
    assert_eq!(outcome.accepted, ["rules/d", "rules/"]);
    let outcome =
        state.store_changed(vec![rule("d", Some(r#"{"init": "r", "rules": {"r": {"type": "x"}}}"#))]);
    assert!(!outcome.changed);
    let rejected = &state.rejected()[0];
    assert_eq!(outcome.rejected, std::slice::from_ref(rejected));
    assert_eq!(
        (rejected.key.as_str(), rejected.pointer.as_str(), rejected.last_good),
        ("rules/d", "/rules/r/type", true)
    );
    assert_eq!(state.domains()["d"], to("a"));
    assert!(
        state.effective().rules["d"].contains(r#""type": "x""#),
        "a dump does not destroy what could not be read"
    );
    assert_eq!(state.last_good().contents().rules["d"], to("a").to_string());
    let outcome = state.store_changed(vec![rule("d", None)]);
    assert!(outcome.changed, "a key that is gone has no last good value");
    assert_eq!((outcome.accepted, state.rejected().len()), (vec!["rules/d".to_owned()], 0));
}

#[test]
fn a_bad_server_does_not_take_the_others_with_it() {
    let mut state = State::new();
    state.store_changed(vec![
        server("up", "h:1", Some("backup=true")),
        server("up", "h:2", Some("weight=2")),
        server("up", "h:3", Some("weight=x")),
        server("bad.test", "h:0", Some("")),
    ]);
    assert_eq!(shown(&state), ["bad.test: ", "up: h:1 - backup, h:2 weight=2 max_fails=1 fail_timeout=10"]);
    let outcome = state.store_changed(vec![server("up", "h:2", Some("weight=0"))]);
    assert!(!outcome.changed && outcome.rejected[0].last_good);
    let keys: Vec<_> =
        state.rejected().into_iter().map(|rejected| (rejected.key, rejected.last_good)).collect();
    assert_eq!(
        keys,
        [
            ("upstreams/bad.test/h:0".to_owned(), false),
            ("upstreams/up/h:2".to_owned(), true),
            ("upstreams/up/h:3".to_owned(), false)
        ]
    );
    let up = &state.effective().upstreams["up"];
    assert_eq!((up["h:2"].as_str(), up["h:3"].as_str()), ("weight=0", "weight=x"));
    assert_eq!(state.effective().upstreams["bad.test"]["h:0"], "");
    assert_eq!(state.last_good().contents().upstreams.len(), 1);
    assert_eq!(state.last_good().contents().upstreams["up"].len(), 2);
    put_domains(&mut state, json!({"d": to("bad.test")})).unwrap();
    assert!(
        state.hosts().iter().all(|host| !host.starts_with("bad.test")),
        "its name is not taken for a host"
    );
    state.store_changed(vec![server("bad.test", "h:0", None), server("never", "h:1", None)]);
    assert!(state.hosts().contains("bad.test:80"));
    assert_eq!(state.would_drop(&Contents::default()).of_upstreams, 1);
}

#[test]
fn an_edit_over_a_rejected_key_serves_and_the_dump_repairs_the_store() {
    let mut state = State::new();
    state.store_changed(vec![rule("d", Some(&to("a").to_string()))]);
    put_domains(&mut state, json!({"d": to("b")})).unwrap();
    let outcome = state.store_changed(vec![rule("d", Some("5"))]);
    assert_eq!((outcome.changed, outcome.overridden.len(), state.pending_edits()), (false, 0, 1));
    assert_eq!(state.domains()["d"], to("b"));
    assert_eq!(dump(&mut state).accepted, ["rules/d"]);
    assert_eq!((state.pending_edits(), state.rejected().len()), (0, 0));
}

#[test]
fn a_dump_takes_in_the_edits_and_leaves_those_made_since() {
    let mut state = State::new();
    state.store_changed(vec![rule("old", Some(&to("a").to_string())), rule("d", Some(&to("a").to_string()))]);
    put_domains(&mut state, json!({"d": to("b"), "e": to("e")})).unwrap();
    put_upstreams(&mut state, json!({"Up": {"z:1": "", "a:1": "max_conns=3 down"}})).unwrap();
    state.edit(Edit::DeleteDomains(vec!["old".into()])).unwrap();
    let dumped = sent(&mut state);
    let written = state.effective();
    assert_eq!(written.rules.keys().collect::<Vec<_>>(), ["d", "e"]);
    assert_eq!(written.upstreams["Up"]["a:1"], "weight=1 max_fails=1 fail_timeout=10 max_conns=3 down");
    put_domains(&mut state, json!({"e": to("later")})).unwrap();
    state.edit(Edit::DeleteDomains(vec!["d".into()])).unwrap();
    assert_eq!(state.store_changed(dumped).overridden, Vec::<String>::new());
    assert_eq!(state.pending_edits(), 2);
    assert_eq!(
        shown(&state),
        ["Up: z:1 -, a:1 - max_conns=3 down"],
        "the order that was sent outlives the dump"
    );
    assert_eq!(state.domains()["e"], to("later"));
    assert_eq!(state.load(written), StoreOutcome::default(), "what comes back from the store is no news");
    dump(&mut state);
    assert_eq!(state.effective().rules.keys().collect::<Vec<_>>(), ["e"]);
    assert_eq!(state.pending_edits(), 0);
}

#[test]
fn the_echo_of_a_dump_may_come_before_its_answer() {
    let mut state = State::new();
    put_upstreams(&mut state, json!({"up": {"z:1": "", "a:1": ""}})).unwrap();
    let text = Some("weight=1 max_fails=1 fail_timeout=10");
    let outcome = state.store_changed(vec![server("up", "a:1", text), server("up", "z:1", text)]);
    assert_eq!(outcome, StoreOutcome::default());
    assert_eq!((state.pending_edits(), shown(&state)), (0, vec!["up: z:1 -, a:1 -".to_owned()]));
}

#[test]
fn a_snapshot_resolves_names_and_makes_implicit_upstreams() {
    let mut state = State::new();
    put_upstreams(
        &mut state,
        json!({"Up": {"H.test": "weight=2", "10.0.0.1:1": "", "unix:/s": "", "gone:1": ""}}),
    )
    .unwrap();
    put_domains(
        &mut state,
        json!({"a": to("up"), "b": to("App:8080"), "c": to("10.0.0.2"), "d": to("no host")}),
    )
    .unwrap();
    assert_eq!(state.hosts().into_iter().collect::<Vec<_>>(), ["app:8080", "gone:1", "h.test:80"]);
    for (host, addresses) in [("h.test:80", &["1.1.1.1:80", "[::1]:80"][..]), ("app:8080", &["2.2.2.2:8080"])]
    {
        let addresses: Vec<SocketAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        assert!(state.learn(host, addresses.clone()) && !state.learn(host, addresses));
    }
    let snapshot = state.snapshot(7);
    let endpoints = |name: &str| {
        let upstream = snapshot.upstream_named(name)?;
        let endpoints: Vec<_> = upstream.servers.iter().map(|server| server.endpoint.to_string()).collect();
        Some((upstream.implicit, endpoints.join(" ")))
    };
    assert_eq!(endpoints("UP"), Some((false, "1.1.1.1:80 [::1]:80 10.0.0.1:1 unix:/s".to_owned())));
    assert_eq!(endpoints("app:8080"), Some((true, "2.2.2.2:8080".to_owned())));
    assert_eq!(endpoints("10.0.0.2"), Some((true, "10.0.0.2:80".to_owned())));
    assert_eq!(endpoints("no host"), None);
    assert_eq!((snapshot.version, snapshot.domain_count(), snapshot.upstreams().count()), (7, 4, 3));
    assert_eq!((snapshot.domain_name(1), snapshot.domain_name(4)), ("b", ""));
    let implicit = snapshot.upstream_named("10.0.0.2").unwrap();
    assert_eq!(implicit.servers[0].endpoint, Endpoint::Inet("10.0.0.2:80".parse().unwrap()));
    state.edit(Edit::DeleteDomains(vec!["b".into(), "c".into()])).unwrap();
    let next = state.snapshot(8);
    assert_eq!(next.upstreams().count(), 1, "what no rule names is gone");
}

#[test]
fn a_snapshot_shares_what_did_not_change() {
    let mut state = State::new();
    put_upstreams(&mut state, json!({"a": {"10.0.0.1:1": ""}, "b": {"10.0.0.2:1": ""}})).unwrap();
    put_domains(&mut state, json!({"d": to("a"), "e": to("a")})).unwrap();
    let first = state.snapshot(1);
    put_upstreams(&mut state, json!({"b": {"10.0.0.3:1": ""}})).unwrap();
    put_domains(&mut state, json!({"d": to("b")})).unwrap();
    let second = state.snapshot(2);
    let shared =
        |name| Arc::ptr_eq(first.upstream_named(name).unwrap(), second.upstream_named(name).unwrap());
    assert!(shared("a") && !shared("b"));
}

#[test]
fn one_change_among_a_hundred_thousand_domains() {
    let domains: Map<String, Value> = (0..100_000).map(|n| (format!("host{n}.test"), to("up"))).collect();
    let mut state = State::new();
    state.edit(Edit::PutDomains(domains)).unwrap();
    let first = state.snapshot(1);
    assert_eq!(first.domain_count(), 100_000);
    put_domains(&mut state, json!({"host5.test": to("other")})).unwrap();
    let start = Instant::now();
    let second = state.snapshot(2);
    let replaced = start.elapsed();
    put_domains(&mut state, json!({"new.test": to("other")})).unwrap();
    let start = Instant::now();
    let third = state.snapshot(3);
    let added = start.elapsed();
    assert_eq!((second.domain_count(), third.domain_count()), (100_000, 100_001));
    assert!(third.domain_slot("new.test").is_some() && second.domain_slot("new.test").is_none());
    // An unoptimised build on a busy machine needs a hundredth of this.
    assert!(replaced.max(added) < Duration::from_secs(1), "{replaced:?}, {added:?}");
}

#[derive(Debug, Clone)]
enum Act {
    Edit(u8, String, String),
    Store(u8, String, String),
    Dump,
}

fn any_act() -> impl Strategy<Value = Act> {
    let word = || "[abAB]";
    let text = || {
        prop_oneof![Just("up"), Just("Up"), Just("h.test"), Just("bad/path"), Just("@options")]
            .prop_map(str::to_owned)
    };
    prop_oneof![
        (0..4u8, word(), text()).prop_map(|(kind, name, text)| Act::Edit(kind, name, text)),
        (0..5u8, word(), text()).prop_map(|(kind, name, text)| Act::Store(kind, name, text)),
        Just(Act::Dump),
    ]
}

fn act(state: &mut State, act: Act) {
    match act {
        Act::Edit(0, name, text) => drop(put_domains(state, json!({name: to(&text)}))),
        Act::Edit(1, name, _) => drop(state.edit(Edit::DeleteDomains(vec![name]))),
        Act::Edit(2, name, text) => drop(put_upstreams(state, json!({name: {"z": "", text: ""}}))),
        Act::Edit(_, name, _) => drop(state.edit(Edit::DeleteUpstreams(vec![name]))),
        Act::Store(0, name, text) => {
            drop(state.store_changed(vec![rule(&name, Some(&to(&text).to_string()))]))
        }
        Act::Store(1, name, _) => drop(state.store_changed(vec![rule(&name, None)])),
        Act::Store(2, name, text) => {
            let said = if text == "@options" { "method=round_robin" } else { "weight=2" };
            drop(state.store_changed(vec![server(&name, &text, Some(said))]));
        }
        Act::Store(3, name, text) => drop(state.store_changed(vec![server(&name, &text, Some("slip=2"))])),
        Act::Store(_, name, text) => drop(state.store_changed(vec![server(&name, &text, None)])),
        Act::Dump => drop(dump(state)),
    }
}

proptest! {
    #[test]
    fn whatever_happens_a_dump_changes_nothing_and_a_restart_finds_it(acts in proptest::collection::vec(any_act(), 0..24)) {
        let mut state = State::new();
        for one in acts {
            act(&mut state, one);
        }
        let (domains, before, rejected) = (state.domains(), shown(&state), state.rejected());
        let (in_force, digest) = (state.effective(), state.digest());
        let outcome = dump(&mut state);
        prop_assert_eq!(outcome.overridden, Vec::<String>::new());
        prop_assert_eq!(state.pending_edits(), 0);
        prop_assert_eq!(state.effective(), in_force.clone());
        prop_assert_eq!(state.to_write(&Named::all(), None), Vec::new());
        prop_assert_eq!(&domains, &state.domains());
        prop_assert_eq!(&before, &shown(&state));
        prop_assert_eq!(digest, state.digest());
        let mut restarted = State::new();
        restarted.load(in_force);
        prop_assert_eq!(restarted.rejected().len(), state.rejected().len());
        if rejected.is_empty() {
            prop_assert_eq!(domains, restarted.domains());
            let sorted = |state: &State| -> BTreeMap<String, BTreeSet<String>> {
                let parts = |spec: &UpstreamSpec| parts(spec).into_iter().collect();
                state.upstreams().iter().map(|spec| (spec.name.clone(), parts(spec))).collect()
            };
            prop_assert_eq!(sorted(&state), sorted(&restarted));
            prop_assert_eq!(digest, restarted.digest());
        }
        let mut offline = State::new();
        offline.load(state.last_good().contents());
        prop_assert!(offline.rejected().is_empty(), "a state file holds nothing that was rejected");
    }
}

#[test]
fn a_stored_pattern_for_which_there_is_no_room_is_rejected_and_has_room_later() {
    let wide = |number: usize| {
        json!({"init": "a", "rules": {
            "a": {"type": "ua", "args": {"pattern": format!("\\w{{2000}}{number}"), "succ": "b", "fail": "b"}},
            "b": {"type": "backend", "args": {"servername": "up"}}}})
    };
    let mut state = State::reading_with(Library::new(1024 * 1024));
    let changes =
        (0..10).map(|number| rule(&format!("d{number}"), Some(&wide(number).to_string()))).collect();
    let outcome = state.store_changed(changes);
    let served = state.domains().len();
    assert!((1..10).contains(&served) && outcome.rejected.len() == 10 - served, "{served}");
    for rejected in &outcome.rejected {
        assert_eq!(rejected.pointer, "/rules/a/args/pattern");
        assert!(rejected.message.contains("--pattern-memory"), "{}", rejected.message);
    }
    let fault = put_domains(&mut state, json!({"new": to("up"), "wide": wide(10)})).unwrap_err();
    assert_eq!(fault.pointer, "/wide/rules/a/args/pattern");
    assert!(!state.domains().contains_key("new"), "nothing of it is applied");
    state.store_changed(vec![rule("d0", None)]);
    put_domains(&mut state, json!({"wide": wide(10)})).unwrap();
}

/// Such rules were accepted once, and what a store has must serve as it did.
#[test]
fn two_names_of_one_domain_are_refused_and_serve_where_a_store_has_them() {
    let (mut state, rules) = (State::new(), to("up"));
    let same = |twin: &str| format!("is the same domain as {twin}: ");
    let put = |state: &mut State, names: &[&str]| {
        let given: serde_json::Map<_, _> =
            names.iter().map(|name| ((*name).to_owned(), rules.clone())).collect();
        put_domains(state, Value::Object(given))
    };
    let fault = put(&mut state, &["a.test", "B.com", "b.com."]).unwrap_err();
    assert!(fault.pointer == "/b.com." && fault.message.starts_with(&same("B.com")), "{fault}");
    assert!(state.domains().is_empty());

    put(&mut state, &["B.com", "bücher.test"]).unwrap();
    for (name, twin) in [("b.com", "B.com"), ("xn--bcher-kva.test", "bücher.test"), ("b.com.", "B.com")] {
        let fault = put(&mut state, &["c.test", name]).unwrap_err();
        assert!(fault.pointer == format!("/{name}") && fault.message.starts_with(&same(twin)), "{fault}");
    }
    assert_eq!(state.domains().len(), 2, "all or nothing");
    put(&mut state, &["B.com", "b.com:80", "*.b.com"]).unwrap();

    let outcome = state.store_changed(vec![rule("b.com", Some(&rules.to_string()))]);
    assert!(outcome.changed && outcome.doubtful[0].fault.message.starts_with(&same("B.com")), "{outcome:?}");
    let mut odd = rules.clone();
    odd["rules"]
        .as_object_mut()
        .unwrap()
        .values_mut()
        .for_each(|rule| rule["args"] = json!({"pattern": "x", "patern": "y"}));
    odd["rules"].as_object_mut().unwrap().values_mut().for_each(|rule| rule["type"] = json!("ua"));
    let outcome = state.store_changed(vec![rule("b.COM.", Some(&odd.to_string()))]);
    assert!(outcome.doubtful.len() == 1 && outcome.doubtful[0].more == 1, "both are told of: {outcome:?}");
    assert!(outcome.doubtful[0].fault.message.starts_with("is the same domain as"), "{outcome:?}");
    state.store_changed(vec![rule("b.COM.", None)]);
    put(&mut state, &["B.com"]).unwrap();
    put(&mut state, &["b.com"]).unwrap();
    state.edit(Edit::DeleteDomains(vec!["B.com".into(), "b.com".into()])).unwrap();
    put(&mut state, &["b.COM"]).unwrap();
}

#[test]
fn an_argument_that_no_rule_has_is_refused_when_put_and_serves_where_a_store_has_it() {
    let mut rules = to("up");
    rules["rules"]["q"] =
        json!({"type": "ua", "args": {"patern": "x", "pattern": "y", "fail": "r", "comment": 1}});
    rules["init"] = "q".into();
    let mut state = State::new();
    let fault = put_domains(&mut state, json!({"a/b": rules, "c": rules})).unwrap_err();
    assert_eq!(fault.pointer, "/a~1b");

    let fault = put_domains(&mut state, json!({"c": rules})).unwrap_err();
    let told: Vec<String> = fault.iter().map(ToString::to_string).collect();
    assert_eq!(told[0], "/c/rules/q/args/patern: is no argument of a rule of type ua; is pattern meant?");
    assert!(told[1].starts_with("/c/rules/q/args/comment: ") && told.len() == 2, "{told:?}");
    assert!(state.domains().is_empty());

    let text = rules.to_string();
    for domain in ["c", "d"] {
        let outcome = state.store_changed(vec![rule(domain, Some(&text))]);
        let told = &outcome.doubtful[0];
        assert!(outcome.changed && outcome.rejected.is_empty());
        assert_eq!(
            (told.key.as_str(), told.fault.pointer.as_str(), told.more),
            (&*format!("rules/{domain}"), "/rules/q/args/patern", 1)
        );
    }
    assert_eq!(state.domains()["c"], rules);
    assert!(state.store_changed(vec![rule("c", Some(&text))]).doubtful.is_empty(), "it is known");
    assert!(put_domains(&mut state, json!({"c": rules})).is_err(), "also as it is in use");
    assert!(state.store_changed(vec![rule("c", Some(&to("up").to_string()))]).doubtful.is_empty());
}
