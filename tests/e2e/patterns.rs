//! What patterns may cost, and what the operator is told of them.

use serde_json::{Map, Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::wait;

/// A chain of rules, one after the other as none matches; in the end everything goes to `up`.
fn chain(patterns: impl IntoIterator<Item = String>) -> Value {
    let mut rules = Map::new();
    rules.insert("last".to_owned(), json!({"type": "backend", "args": {"servername": "up"}}));
    let patterns: Vec<String> = patterns.into_iter().collect();
    for (at, pattern) in patterns.iter().enumerate() {
        let next = if at + 1 < patterns.len() { format!("r{}", at + 1) } else { "last".to_owned() };
        let args = json!({"pattern": pattern, "succ": "last", "fail": next});
        rules.insert(format!("r{at}"), json!({"type": "ua", "args": args}));
    }
    json!({"init": "r0", "rules": rules})
}

fn given_up(elb: &Elb) -> u64 {
    elb.admin().get("workers")["all"]["searches_given_up"].as_u64().unwrap()
}

/// A hundred rules of the worst kind: each would take most of a second for one such request by itself. What a request may
/// spend is counted in steps (`model/engines`), so the number of searches that were given up is known beforehand.
#[test]
fn patterns_that_try_for_ever_end_with_the_requests_budget_and_are_counted() {
    let server = Server::named("a");
    let patterns = (0..100).map(|at| format!("(?=.*android)(?=.*mobile{at})"));
    let document = json!({
        "domains": {"worst.test": chain(patterns), SITE: rules::to("up")},
        "upstreams": {"up": rules::upstream(&[&server], "")},
    });
    let elb = Launch::serving(&document).workers(1).start();
    let worst = |bytes: usize| {
        let agent = "android ".repeat(bytes / 8);
        format!("GET / HTTP/1.1\r\nHost: worst.test\r\nUser-Agent: {agent}\r\n\r\n")
    };

    // Longer than such patterns see: not one is asked, and each counts.
    assert_eq!(elb.client().ask(worst(60 << 10)).text(), "a", "giving up is no match");
    wait::until("all to be counted", || (given_up(&elb) == 100).then_some(()));

    // As long as they see: the first takes all there is, and nothing is left for the others.
    assert_eq!(elb.client().ask(worst(4 << 10)).text(), "a");
    wait::until("all to be counted", || (given_up(&elb) == 200).then_some(()));

    // Many of them, while others are served.
    let mut crowd: Vec<_> = (0..3).map(|_| elb.client()).collect();
    for client in &mut crowd {
        client.send(worst(4 << 10).repeat(20));
    }
    let mut other = elb.client();
    for _ in 0..50 {
        assert_eq!(other.ask(get(SITE, "/")).text(), "a");
    }
    for client in &mut crowd {
        for _ in 0..20 {
            assert_eq!(client.response().text(), "a");
        }
    }
    wait::until("all to be counted", || (given_up(&elb) == 200 + 60 * 100).then_some(()));
    assert_eq!(elb.client().ask(worst(80)).text(), "a");
    assert!(given_up(&elb) < 200 + 61 * 100, "ordinary ones are searched");
}

#[test]
fn a_capital_that_matches_no_user_agent_is_a_warning() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).start();
    let put = |pattern: &str| elb.admin().put("domain", &json!({"a.test": chain([pattern.to_owned()])}));
    let answer = put("bot|Chrome");
    let warning = &answer["warnings"][0];
    assert_eq!(warning["pointer"], "/a.test/rules/r0/args/pattern");
    assert!(warning["message"].as_str().unwrap().contains("the capital C (at byte 4)"), "{warning}");
    assert_eq!(put("(?i)Chrome"), json!({"msg": "OK"}));
}

/// A pattern that takes some 480 KiB, and so long to compile that it is kept.
fn wide(number: usize) -> String {
    format!(r"\p{{L}}{{10}}x{number}")
}

#[test]
fn patterns_that_take_too_much_together_are_refused_at_the_first_for_which_there_is_no_room() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).flag("--pattern-memory=4m").start();
    let body = json!({"fine.test": rules::to("up"), "wide.test": chain((0..900).map(wide))});
    let answer = elb.admin().call("PUT", "domain", Some(&body.to_string()));
    let said = answer.json();
    let pointer = said["pointer"].as_str().unwrap();
    assert_eq!(answer.status(), 400, "{said}");
    let number =
        pointer.strip_prefix("/wide.test/rules/r").and_then(|rest| rest.strip_suffix("/args/pattern"));
    assert!(number.unwrap().parse::<usize>().unwrap() < 100, "{said}");
    assert!(said["error"].as_str().unwrap().contains("--pattern-memory"), "{said}");
    assert_eq!(elb.client().ask(get("fine.test", "/")).status(), 404, "nothing of it is served");

    // What was compiled for it has given its room back: as much as fits can be put, taken away, and put again.
    for round in 0..3 {
        elb.admin().put("domain", &json!({"wide.test": chain((0..2).map(|at| wide(10 * round + at)))}));
        elb.admin().delete("domain", &json!(["wide.test"]));
        wait::until("the old ones to be gone", || {
            let body = json!({"wide.test": chain((0..2).map(|at| wide(10 * round + 5 + at)))});
            (elb.admin().call("PUT", "domain", Some(&body.to_string())).status() == 200).then_some(())
        });
    }
}

#[test]
fn stored_patterns_for_which_there_is_no_room_are_rejected_and_the_rest_is_served() {
    let server = Server::named("a");
    let document = json!({
        "domains": {SITE: rules::to("up"), "wide.test": chain((0..50).map(wide))},
        "upstreams": {"up": rules::upstream(&[&server], "")},
    });
    let elb = Launch::serving(&document).flag("--pattern-memory=4m").start();
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
    assert_eq!(elb.client().ask(get("wide.test", "/")).status(), 404);
    let rejected = elb.admin().get("rejected").to_string();
    assert!(rejected.contains("rules/wide.test") && rejected.contains("/args/pattern"), "{rejected}");
}

/// One number of the metrics.
fn number(elb: &Elb, name: &str) -> usize {
    let text = elb.admin().call("GET", "metrics", None).text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not there")).parse::<f64>().unwrap() as usize
}

#[test]
fn many_patterns_are_compiled_when_they_are_used_within_their_memory_and_give_it_back() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).workers(2).flag("--pattern-memory=1m").start();
    let name = |at: usize| format!("d{at}.test");
    let domains: Map<String, Value> =
        (0..2000).map(|at| (name(at), chain([format!("^curl/(?:{at})[.]")]))).collect();
    elb.admin().put("domain", &Value::Object(domains.clone()));
    assert_eq!(number(&elb, "elb_patterns"), 2000);
    assert_eq!(number(&elb, "elb_patterns_compiled"), 0, "none was used");

    let mut client = elb.client();
    for _ in 0..2 {
        for at in 0..300 {
            let request = format!("GET / HTTP/1.1\r\nHost: {}\r\nUser-Agent: curl/{at}.1\r\n\r\n", name(at));
            assert_eq!(client.ask(request).text(), "a");
        }
    }
    assert!(number(&elb, "elb_pattern_memory_bytes") <= 1 << 20);
    assert!(number(&elb, "elb_pattern_compilations_total") >= 300);
    assert!(number(&elb, "elb_pattern_evictions_total") >= 100);
    assert!(number(&elb, "elb_patterns_compiled") > 10);

    let names: Vec<&String> = domains.keys().collect();
    elb.admin().delete("domain?confirm=1", &json!(names));
    wait::until("all to be given back", || {
        (number(&elb, "elb_pattern_memory_bytes") == 0 && number(&elb, "elb_patterns") == 0).then_some(())
    });
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
}

#[test]
fn what_a_large_change_takes_away_goes_back_to_the_system() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).start();
    let before = elb.memory().now;
    let domains: Map<String, Value> = (0..20_000)
        .map(|at| (format!("d{at}.test"), chain([format!("^curl/(?:{at})[.]"), format!("^wget/{at}")])))
        .collect();
    elb.admin().put("domain", &Value::Object(domains.clone()));
    let grown = elb.memory().now - before;
    assert!(grown > 16 << 20, "{grown} bytes");
    elb.admin().delete("domain?confirm=1", &json!(domains.keys().collect::<Vec<_>>()));
    // The old versions are packed, and the rest is given back some seconds later.
    wait::until("most of it to be given back", || (elb.memory().now < before + grown / 2).then_some(()));
}
