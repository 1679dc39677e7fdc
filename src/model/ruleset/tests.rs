//! Rule sets: the published example, every status of the first ELB's rules, graphs, and hostile JSON.

use super::*;
use crate::model::recorder::Silent;
use crate::semantics::Sketch;
use proptest::prelude::*;
use serde_json::{Map, json};

fn read(given: Value) -> Result<RuleSet, Vec<String>> {
    let mut report = Report::default();
    let rules = RuleSet::read(&given, &given.to_string(), &Parts::default(), &mut report);
    assert_eq!(rules.is_none(), !report.faults.is_empty(), "{:?}", report.faults);
    rules.ok_or_else(|| report.faults.iter().map(ToString::to_string).collect())
}

fn backend(servername: &str) -> Value {
    json!({"type": "backend", "args": {"servername": servername}})
}

fn walk<'r>(rules: &'r RuleSet, path: &str, agent: Option<&str>) -> Option<&'r str> {
    let request = Sketch::new("h", path).agent(agent);
    let (_, end) = rules.walk(&request.view(), 0, &mut Scratch::new(), &mut Silent);
    end.and_then(Terminal::backend).map(Backend::servername)
}

/// The example of the first ELB's README.
fn example() -> Value {
    json!({
        "init": "r1",
        "rules": {
            "r1": {"type": "ua", "args": {"fail": "r3", "pattern": "httpie(\\S+)$", "succ": "r4"}},
            "r2": {"type": "backend", "args": {"servername": "upstream1"}},
            "r3": {"type": "backend", "args": {"servername": "upstream2"}},
            "r4": {"type": "path", "args": {"regex": true, "pattern": "^\\/blog\\/(\\S+)$", "succ": "r2", "fail": "r3", "rewrite": false}}
        }
    })
}

#[test]
fn the_published_example() {
    let rules = read(example()).unwrap();
    assert_eq!(walk(&rules, "/blog/a", Some("HTTPie/0.9.9")), Some("upstream1"));
    assert_eq!(walk(&rules, "/shop/a", Some("HTTPie/0.9.9")), Some("upstream2"));
    assert_eq!(walk(&rules, "/blog/a", Some("curl/8")), Some("upstream2"));
    assert_eq!(walk(&rules, "/blog/a", None), Some("upstream2"));
    assert_eq!(**rules.text(), *example().to_string(), "a GET returns what was PUT");
    let backends: Vec<_> =
        rules.named_backends().map(|(rule, backend)| (rule, backend.servername())).collect();
    assert_eq!((backends.len(), rules.backends().count()), (2, 2));
    assert!(backends.contains(&("r2", "upstream1")) && backends.contains(&("r3", "upstream2")));
}

#[test]
fn the_order_of_members_makes_no_difference_but_is_kept() {
    let read = |text: &str| read(serde_json::from_str(text).unwrap()).unwrap();
    let a = read(r#"{"init":"r","rules":{"r":{"type":"backend","args":{"servername":"up"}}}}"#);
    let b = read(r#"{"rules":{"r":{"args":{"servername":"up"},"type":"backend"}},"init":"r"}"#);
    assert!(a == b && a.text() != b.text());
    assert!(a != read(r#"{"init":"r","rules":{"r":{"type":"backend","args":{"servername":"pu"}}}}"#));
}

#[test]
fn a_filter_without_a_branch_denies() {
    let rules = read(json!({"init": "a", "rules": {
        "a": {"type": "path", "args": {"pattern": "/x", "succ": "b"}}, "b": backend("up")}}));
    let rules = rules.unwrap();
    assert_eq!(walk(&rules, "/x", None), Some("up"));
    assert_eq!(walk(&rules, "/y", None), None);
}

#[test]
fn later_rules_see_the_rewritten_path() {
    let rewrite = |succ: &str| json!({"type": "path", "args": {"pattern": "^/v1(/.*)$", "regex": true, "rewrite": true, "succ": succ}});
    let rules = read(json!({"init": "a", "rules": {
        "a": rewrite("b"), "b": rewrite("c"),
        "c": {"type": "path", "args": {"pattern": "/x", "succ": "d"}}, "d": backend("up")}}));
    let rules = rules.unwrap();
    assert_eq!(walk(&rules, "/v1/v1/x", None), Some("up"));
    assert_eq!(walk(&rules, "/v1/x", None), None);
}

#[test]
fn what_can_never_work_is_refused_with_its_place() {
    let rules = |rules: Value| json!({"init": "r", "rules": rules});
    for (given, expected) in [
        (json!(5), "must be an object with init and rules"),
        (json!(null), "must be an object with init and rules"),
        (json!({"rules": {"r": backend("u")}}), "has no init"),
        (json!({"init": "r"}), "has no rules"),
        (json!({"init": "r", "rules": []}), "/rules: must be an object: name → rule"),
        (json!({"init": "x", "rules": {"r": backend("u")}}), "/init: there is no rule x"),
        (json!({"init": null, "rules": {"r": backend("u")}}), "/init: must be the name of a rule"),
        (rules(json!({})), "/init: there is no rule r"),
        (rules(json!({"r": {"args": {}}})), "/rules/r: has no type"),
        (rules(json!({"r": null})), "/rules/r: has no type"),
        (rules(json!({"r": {"type": "ua"}})), "/rules/r: has no args, which must be an object"),
        (
            rules(json!({"r": {"type": "statics", "args": {}}})),
            &format!("/rules/r/type: must be {}", RuleType::list()),
        ),
        (rules(json!({"r": {"type": "backend", "args": {}}})), "/rules/r/args: has no servername"),
        (
            rules(json!({"r": {"type": "ua", "args": {"pattern": "", "succ": "x"}}})),
            "/rules/r/args/succ: there is no rule x",
        ),
        (
            rules(json!({"r": {"type": "ua", "args": {"pattern": "", "fail": null}}})),
            "/rules/r/args/fail: must be the name of a rule",
        ),
        (
            rules(json!({"r": {"type": "path", "args": {"pattern": "a(", "regex": true}}})),
            "/rules/r/args/pattern: the pattern does not compile: unclosed group (at byte 1)",
        ),
    ] {
        assert_eq!(read(given.clone()).unwrap_err(), [expected], "{given}");
    }
}

#[test]
fn every_fault_is_told_at_once() {
    let faults = read(json!({"rules": {"a": {"type": "ua", "args": {"succ": 1, "fail": "x"}}, "b": {}}}));
    assert_eq!(faults.unwrap_err().len(), 5);
}

#[test]
fn circles_are_refused_even_where_no_request_gets() {
    let filter =
        |succ: &str, fail: &str| json!({"type": "ua", "args": {"pattern": "", "succ": succ, "fail": fail}});
    for (rules, pointer) in [
        (json!({"a": filter("a", "b"), "b": backend("u")}), "/rules/a/args/succ"),
        (json!({"a": filter("b", "c"), "b": filter("c", "a"), "c": backend("u")}), "/rules/b/args/fail"),
        (json!({"a": backend("u"), "b": filter("c", "a"), "c": filter("b", "a")}), "/rules/c/args/succ"),
    ] {
        let fault = read(json!({"init": "a", "rules": rules})).unwrap_err();
        assert_eq!(fault, [format!("{pointer}: closes a circle of rules, which would never end")]);
    }
}

#[test]
fn a_rule_may_be_shared_and_the_longest_chain_is_bounded() {
    let filter = |succ: usize| json!({"type": "ua", "args": {"pattern": "", "succ": format!("r{succ}"), "fail": "end"}});
    let chain = |length: usize| {
        let mut rules: Map<String, Value> = (1..length).map(|n| (format!("r{n}"), filter(n + 1))).collect();
        rules.remove(&format!("r{}", length - 1));
        rules.insert(format!("r{}", length - 1), filter(length - 2).clone());
        rules.insert(format!("r{}", length - 1), backend("last"));
        rules.insert("end".to_owned(), backend("end"));
        json!({"init": "r1", "rules": rules})
    };
    let rules = read(chain(RULES)).unwrap();
    assert_eq!(walk(&rules, "/", Some("x")), Some("last"));
    assert_eq!(walk(&rules, "/", None), Some("end"));
    assert_eq!(read(chain(RULES + 1)).unwrap_err(), [format!("/rules: has more than {RULES} rules")]);
}

/// Any JSON, with the words of a rule set more likely than others.
fn any_json() -> impl Strategy<Value = Value> {
    let types = RuleType::ALL.iter().map(|known| known.name);
    let arguments = RuleType::ALL.iter().flat_map(|known| known.arguments.named.iter().copied());
    let words = ["init", "rules", "type", "args", "r", "", "a("].into_iter().chain(types).chain(arguments);
    let word = proptest::sample::select(words.map(str::to_owned).collect::<Vec<_>>());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from)
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((word.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A rule set of the right shape with any links, circles and missing rules among them.
fn any_graph() -> impl Strategy<Value = Value> {
    let name = || (0..6u8).prop_map(|number| format!("r{number}"));
    let filter = (name(), proptest::option::of(name()), any::<bool>()).prop_map(|(succ, fail, regex)| {
        let mut args = json!({"pattern": "^/(a)?", "regex": regex, "rewrite": true, "succ": succ});
        if let Some(fail) = fail {
            args["fail"] = fail.into();
        }
        json!({"type": "path", "args": args})
    });
    let rule = prop_oneof![Just(backend("u")), filter];
    (name(), proptest::collection::btree_map(name(), rule, 1..6))
        .prop_map(|(init, rules)| json!({"init": init, "rules": rules}))
}

proptest! {
    #[test]
    fn no_json_makes_reading_panic(given in any_json()) {
        let _ = read(given);
    }

    #[test]
    fn pointers_lead_into_what_was_given(given in any_json()) {
        let mut report = Report::default();
        RuleSet::read(&given, "", &Parts::default(), &mut report);
        for fault in report.faults.into_iter().chain(report.unknown) {
            prop_assert!(given.pointer(&fault.pointer).is_some(), "{} in {}", fault, given);
        }
    }

    #[test]
    fn every_accepted_graph_is_walked_to_an_end(given in any_graph(), path in "/[ab/]{0,4}") {
        if let Ok(rules) = read(given) {
            prop_assert!(rules.graph.is_in_order());
            let _ = walk(&rules, &path, None);
        }
    }
}

#[test]
fn an_argument_that_no_rule_has_is_told_and_changes_nothing() {
    let mut report = Report::default();
    let given = json!({"init": "a/b", "rules": {
        "a/b": {"type": "path", "args": {"pattern": "/x", "suc": "u", "succ": "u"}}, "u": backend("up")}});
    let rules = RuleSet::read(&given, &given.to_string(), &Parts::default(), &mut report).unwrap();
    assert_eq!(walk(&rules, "/x", None), Some("up"));
    let told: Vec<_> = rules.unknown().iter().map(ToString::to_string).collect();
    assert_eq!(told, ["/rules/a~1b/args/suc: is no argument of a rule of type path; is succ meant?"]);
    assert!(rules.is_noteworthy() && report.faults.is_empty() && report.warnings.is_empty());
    report.refuse_unknown();
    assert_eq!(report.faults, rules.unknown());
}

#[test]
fn nobody_waits_for_all_faults_of_a_rule_set_without_end() {
    let rules: serde_json::Map<_, _> = (0..RULES)
        .map(|number| (number.to_string(), json!({"type": "ua", "args": {"pattern": format!("({number}")}})))
        .collect();
    let mut report = Report::default();
    let given = json!({"init": "0", "rules": rules});
    assert!(RuleSet::read(&given, "", &Parts::default(), &mut report).is_none());
    assert_eq!(report.faults.len(), FAULTS);
}
