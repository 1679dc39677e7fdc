//! The options of an upstream: a key beside those of its servers.

use super::*;
use crate::model::{OPTIONS, UpstreamOptions};

const METHOD: &str = "method=round_robin";

fn options(state: &State, name: &str) -> Option<UpstreamOptions> {
    state.upstreams().iter().find(|spec| spec.name == name).and_then(|spec| spec.options.clone())
}

fn stored(text: Option<&str>) -> Vec<KeyChange> {
    vec![server("up", OPTIONS, text)]
}

#[test]
fn options_are_dumped_as_a_key_and_a_put_without_them_takes_them_away() {
    let mut state = State::new();
    put_upstreams(&mut state, json!({"Up": {"h:1": "", "@options": ""}})).unwrap();
    assert_eq!(options(&state, "Up"), Some(UpstreamOptions::default()));
    let changes = sent(&mut state);
    let server_text = "weight=1 max_fails=1 fail_timeout=10";
    assert_eq!(changes, [server("Up", OPTIONS, Some(METHOD)), server("Up", "h:1", Some(server_text))]);
    state.store_changed(changes);
    assert_eq!(state.pending_edits(), 0);
    let twice = format!("{METHOD} {METHOD}");
    put_upstreams(&mut state, json!({"Up": {"h:1": "", "@options": twice}})).unwrap();
    assert_eq!(state.pending_edits(), 0, "the same in other words is no change");
    put_upstreams(&mut state, json!({"Up": {"h:1": ""}})).unwrap();
    assert_eq!((options(&state, "Up"), state.pending_edits()), (None, 1));
    let changes = sent(&mut state);
    assert_eq!(changes, [server("Up", OPTIONS, None)]);
    state.store_changed(changes);
    assert_eq!(state.effective().upstreams["Up"].len(), 1);
}

#[test]
fn what_a_store_says_amiss_of_options_is_in_quarantine_and_the_last_good_ones_serve() {
    let mut state = State::new();
    state.store_changed(vec![server("up", "h:1", Some("")), server("up", OPTIONS, Some(METHOD))]);
    let outcome = state.store_changed(stored(Some("metod=round_robin")));
    assert!(!outcome.changed, "{outcome:?}");
    let rejected = state.rejected();
    assert_eq!((rejected.len(), rejected[0].key.as_str()), (1, "upstreams/up/@options"));
    assert!(rejected[0].last_good && rejected[0].message.ends_with("is method meant?"), "{rejected:?}");
    assert_eq!(options(&state, "up"), Some(UpstreamOptions::default()));
    assert_eq!(state.effective().upstreams["up"][OPTIONS], "metod=round_robin", "as it stands in the store");
    assert_eq!(state.last_good().contents().upstreams["up"][OPTIONS], METHOD);
    assert_eq!(state.store_changed(stored(Some(""))).accepted, ["upstreams/up/@options"]);
    assert!(state.store_changed(stored(None)).changed);
    assert_eq!((options(&state, "up"), state.rejected().len()), (None, 0));
}

#[test]
fn options_alone_make_an_upstream_without_servers() {
    let mut state = State::new();
    put_domains(&mut state, json!({"d": to("up.test")})).unwrap();
    assert!(state.hosts().contains("up.test:80"));
    state.store_changed(vec![server("up.test", OPTIONS, Some(METHOD))]);
    assert!(state.hosts().is_empty(), "its name is not taken for a host");
    let snapshot = state.snapshot(1);
    let upstream = snapshot.upstream_named("up.test").unwrap();
    assert_eq!((upstream.servers.len(), upstream.implicit), (0, false));
    // Who serves nobody is no loss, and servers are one whether options stay or not.
    assert_eq!(state.would_drop(&Contents::default()).of_upstreams, 0);
    state.store_changed(vec![server("up.test", "h:1", Some(""))]);
    let mut left = state.effective();
    left.apply(server("up.test", "h:1", None));
    assert_eq!(state.would_drop(&left).upstreams, 1);
    state.load(Contents::default());
    assert!(state.hosts().contains("up.test:80"));
    let fault = put_upstreams(&mut state, json!({"up": {"@options": METHOD}})).unwrap_err();
    assert_eq!(fault.to_string(), "/up: has no servers");
}

#[test]
fn options_that_others_write_are_merged_into_an_edit_of_the_servers() {
    let mut state = State::new();
    state.store_changed(vec![server("up", "h:1", Some(""))]);
    put_upstreams(&mut state, json!({"up": {"h:1": "weight=2"}})).unwrap();
    let outcome = state.store_changed(stored(Some(METHOD)));
    assert_eq!(outcome.overridden, Vec::<String>::new());
    assert_eq!(shown(&state), ["up: h:1 weight=2 max_fails=1 fail_timeout=10, @options method=round_robin"]);
    let changes = sent(&mut state);
    assert_eq!(changes, [server("up", "h:1", Some("weight=2 max_fails=1 fail_timeout=10"))]);
    // And an edit of the options gives way to a newer change of theirs.
    state.store_changed(changes);
    put_upstreams(&mut state, json!({"up": {"h:1": "weight=2"}})).unwrap();
    let outcome = state.store_changed(stored(Some("")));
    assert_eq!((outcome.overridden, state.pending_edits()), (vec!["upstreams/up/@options".to_owned()], 0));
    assert!(options(&state, "up").is_some());
}

#[test]
fn whoever_names_an_upstream_names_its_options() {
    let mut state = State::new();
    state.store_changed(vec![server("up", "h:1", Some("")), server("up", OPTIONS, Some(""))]);
    let edit = Edit::PutUpstreams(object(json!({"UP": {"h:2": ""}, "new": {"h:1": "", "@options": ""}})));
    let named = state.named(&state.plan(state.library().prepare(edit).unwrap()).unwrap());
    for key in ["upstreams/up/@options", "upstreams/up/h:1", "upstreams/up/h:2", "upstreams/new/@options"] {
        assert!(named.names(key), "{key}");
    }
    assert!(!named.names("upstreams/up/@option"));
}
