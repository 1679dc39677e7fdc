//! The digest of what is in force, and what is told of a change in few words.

use super::*;
use crate::model::Digest;

const PLAIN: &str = "weight=1 max_fails=1 fail_timeout=10";

fn site() -> Value {
    json!({"a.test": to("Up"), "b.test": {"init": "r", "rules": {
        "r": {"type": "ua", "args": {"pattern": "x", "succ": "s", "fail": "s"}},
        "s": {"type": "backend", "args": {"servername": "other"}}}}})
}

/// What came by the API, in this order.
fn by_api() -> State {
    let mut state = State::new();
    put_upstreams(&mut state, json!({"Up": {"h:2": "weight=2", "h:1": "", "@options": ""}})).unwrap();
    put_domains(&mut state, site()).unwrap();
    put_upstreams(&mut state, json!({"other": {"h:3": "backup", "h:4": ""}})).unwrap();
    state
}

/// `+1 -2 ~3` of the domains and of the upstreams, with their names.
fn differences(state: &mut State) -> String {
    let told = state.take_differences();
    let numbers = [&told.domains, &told.upstreams]
        .map(|kind| kind.counts())
        .map(|kind| format!("+{} -{} ~{}", kind.added, kind.removed, kind.changed));
    let names: Vec<&str> = told.domains.names().chain(told.upstreams.names()).collect();
    format!("{}, {}: {}", numbers[0], numbers[1], names.join(" "))
}

#[test]
fn the_digest_is_the_same_by_whatever_way_and_in_whatever_order_it_came() {
    let mut first = by_api();
    let expected = first.digest();

    let mut backwards = State::new();
    let turned = r#"{"rules": {"s": {"args": {"servername": "other"}, "type": "backend"},
        "r": {"args": {"fail": "s", "succ": "s", "pattern": "\u0078"}, "type": "ua"}}, "init": "r"}"#;
    put_domains(&mut backwards, json!({"b.test": serde_json::from_str::<Value>(turned).unwrap()})).unwrap();
    put_upstreams(&mut backwards, json!({"other": {"h:4": PLAIN, "h:3": "weight=1 backup"}})).unwrap();
    assert_ne!(backwards.digest(), expected);
    put_domains(&mut backwards, json!({"a.test": to("Up")})).unwrap();
    let options = format!("{} {}", "method=round_robin", "method=round_robin");
    put_upstreams(&mut backwards, json!({"Up": {"@options": options, "h:1": "", "h:2": "weight=2"}}))
        .unwrap();
    assert_eq!(backwards.digest(), expected, "by the API in another order and in other words");

    let mut loaded = State::new();
    loaded.load(first.effective());
    assert_eq!(loaded.digest(), expected, "by a load, as of a file");

    let mut changed = State::new();
    for change in sent(&mut by_api()).into_iter().rev() {
        changed.store_changed(vec![change]);
    }
    assert_eq!(changed.digest(), expected, "key by key, as of etcd");

    assert!(!dump(&mut first).changed);
    assert_eq!(first.digest(), expected, "a dump changes nothing");
}

#[test]
fn every_change_changes_the_digest_and_to_undo_it_brings_the_former_one_back() {
    let mut state = by_api();
    let expected = state.digest();
    let delete = |state: &mut State, edit: Edit| drop(state.edit(edit).unwrap());
    type Step<'a> = &'a dyn Fn(&mut State);
    let steps: [(Step<'_>, Step<'_>); 6] = [
        (&|state| drop(put_domains(state, json!({"c.test": to("Up")}))), &|state| {
            delete(state, Edit::DeleteDomains(vec!["c.test".into()]))
        }),
        (&|state| drop(put_domains(state, json!({"a.test": to("up")}))), &|state| {
            drop(put_domains(state, site()))
        }),
        (&|state| delete(state, Edit::DeleteDomains(vec!["a.test".into()])), &|state| {
            drop(put_domains(state, site()))
        }),
        (&|state| drop(put_upstreams(state, json!({"more": {"h:1": ""}}))), &|state| {
            delete(state, Edit::DeleteUpstreams(vec!["MORE".into()]))
        }),
        (
            &|state| drop(state.edit(Edit::PatchUpstreams(object(json!({"up": {"h:2": "weight=3"}}))))),
            &|state| drop(state.edit(Edit::PatchUpstreams(object(json!({"up": {"h:2": "weight=2"}}))))),
        ),
        (
            &|state| {
                drop(put_upstreams(state, json!({"other": {"h:3": "backup", "h:4": "", "@options": ""}})))
            },
            &|state| drop(put_upstreams(state, json!({"other": {"h:3": "backup", "h:4": ""}}))),
        ),
    ];
    let mut seen = vec![expected];
    for (number, (does, undoes)) in steps.into_iter().enumerate() {
        does(&mut state);
        let digest = state.digest();
        assert!(!seen.contains(&digest), "{number}");
        seen.push(digest);
        undoes(&mut state);
        assert_eq!(state.digest(), expected, "{number}");
    }
    let names = ["a.test", "b.test"].map(str::to_owned).to_vec();
    delete(&mut state, Edit::DeleteDomains(names));
    delete(&mut state, Edit::DeleteUpstreams(vec!["up".into(), "other".into()]));
    assert_eq!(state.digest(), State::new().digest(), "of nothing");
}

#[test]
fn what_others_have_seen_otherwise_shows_in_the_digest() {
    let texts = |texts: &[&str]| -> Digest {
        let mut state = State::new();
        for text in texts {
            state.store_changed(vec![rule("a.test", Some(text)), server("up", "h:1", Some("down"))]);
        }
        state.digest()
    };
    let (good, other) = (to("up").to_string(), to("other").to_string());
    assert_eq!(texts(&[&good, "{"]), texts(&[&good]), "the last good value is in force");
    assert_ne!(texts(&[&other, "{"]), texts(&[&good, "{"]));
}

#[test]
fn a_change_is_told_in_few_words_and_what_changes_nothing_is_none() {
    let mut state = by_api();
    assert_eq!(differences(&mut state), "+2 -0 ~0, +2 -0 ~0: a.test b.test other Up");
    put_domains(&mut state, site()).unwrap();
    dump(&mut state);
    assert!(state.take_differences().is_empty());
    let outcome = state.store_changed(vec![
        rule("a.test", None),
        rule("c.test", Some(&to("up").to_string())),
        rule("b.test", Some(&to("up").to_string())),
        server("UP", "h:5", Some("")),
        server("new", "h:1", Some("")),
        server("new", "h:1", None),
    ]);
    assert!(outcome.changed);
    assert_eq!(differences(&mut state), "+1 -1 ~1, +0 -0 ~1: a.test b.test c.test Up");
    assert!(state.take_differences().is_empty(), "it was told");
}
