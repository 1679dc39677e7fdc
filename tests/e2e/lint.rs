//! What is accepted and should be known: in the answer to a change, in an explanation, and from `elb check`.

use serde_json::{Value, json};

use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::Server;

fn to_up() -> Value {
    json!({"type": "backend", "args": {"servername": "up"}})
}

/// A rule set with a slip of each kind.
fn slips() -> Value {
    json!({"init": "a", "rules": {
        "a": {"type": "ua", "args": {"pattern": "Chrome", "succ": "up", "fail": "b"}},
        "b": {"type": "path", "args": {"pattern": "/b", "rewrite": true, "succ": "up", "fail": "c"}},
        "c": {"type": "path", "args": {"pattern": "^/c", "succ": "up", "fail": "d"}},
        "d": {"type": "path", "args": {"pattern": "^/d", "regex": true, "succ": "up", "fail": "e"}},
        "e": {"type": "path", "args": {"pattern": "/b/e", "succ": "up", "fail": "f"}},
        "f": {"type": "method", "args": {"methods": ["get"], "succ": "up", "fail": "g"}},
        "g": {"type": "path", "args": {"pattern": "(?=/g)", "regex": true, "succ": "up", "fail": "h"}},
        "h": {"type": "backend", "args": {"servername": "web"}},
        "lost": {"type": "backend", "args": {"servername": "up"}},
        "up": to_up(),
    }})
}

/// `code pointer` of each warning, in order of the pointers.
fn told(warnings: &Value, below: &str) -> Vec<String> {
    let one = |warning: &Value| {
        let pointer = warning["pointer"].as_str().expect("a pointer");
        let pointer = pointer.strip_prefix(below).unwrap_or_else(|| panic!("{pointer} below {below}"));
        format!("{pointer} {}", warning["code"].as_str().expect("a code"))
    };
    let mut told: Vec<String> = warnings.as_array().expect("warnings").iter().map(one).collect();
    told.sort();
    told
}

const SLIPS: [&str; 9] = [
    "/rules/a/args/pattern capital-letter",
    "/rules/b/args/rewrite rewrite-without-regex",
    "/rules/c/args/pattern caret-without-regex",
    "/rules/d/args/pattern literal-regex",
    "/rules/e shadowed-rule",
    "/rules/f/args/methods/0 lower-case-method",
    "/rules/g/args/pattern backtracking",
    "/rules/h/args/servername unknown-upstream",
    "/rules/lost unreachable-rule",
];

#[test]
fn a_change_is_answered_with_what_should_be_known_of_it() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).start();
    for again in 0..2 {
        let answer = elb.admin().put("domain", &json!({"s.test": slips()}));
        assert_eq!(
            (&answer["msg"], told(&answer["warnings"], "/s.test")),
            (&json!("OK"), SLIPS.map(String::from).to_vec()),
            "{again}"
        );
    }
    let answer = elb.admin().call("DELETE", "upstream", Some(r#"["nothing", "up"]"#));
    let head = answer.head.get("X-ELB-Warning").unwrap_or_default();
    assert_eq!(head, "/1: rules still name the upstream up: 502 until it is there again [still-named]");
}

#[test]
fn a_candidate_is_explained_with_what_should_be_known_of_it() {
    let elb = Elb::empty();
    let config = json!({"domains": {"s.test": slips()}, "upstreams": {"up": {"127.0.0.1:1": ""}}});
    let asked = json!({"host": "s.test", "config": config}).to_string();
    let answer = elb.admin().call("POST", "explain", Some(&asked)).json();
    assert_eq!(told(&answer["warnings"], "/config/domains/s.test"), SLIPS);
    let asked = json!({"host": "s.test", "config": {"domains": {}}}).to_string();
    assert_eq!(elb.admin().call("POST", "explain", Some(&asked)).json().get("warnings"), None);
    assert_eq!(elb.admin().get("domain").get(SITE), None, "nothing of it is applied");
}
