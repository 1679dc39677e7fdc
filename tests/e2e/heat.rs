//! How requests spread over the rules of a domain, as the page draws it.

use serde_json::json;

use crate::support::client::get;
use crate::support::elb::Launch;
use crate::support::rules;
use crate::support::server::Server;
use crate::support::wait;

#[test]
fn a_drawing_says_how_many_took_each_link_within_the_last_hour() {
    let server = Server::named("a");
    let mut document = rules::site(&[&server]);
    document["domains"]["ways.test"] = json!({"init": "which", "rules": {
        "which": {"type": "path", "args": {"pattern": "/x", "succ": "x", "fail": "other"}},
        "x": {"type": "backend", "args": {"servername": "up"}},
        "other": {"type": "deny", "args": {}}}});
    // Each request is looked at where it has an id, and one of sixteen otherwise.
    let elb = Launch::serving(&document).flag("--request-id").start();
    let drawn = || elb.admin().get("graph?domain=ways.test")["rules"].clone();
    assert_eq!(drawn()[0]["links"][0]["heat"], json!(null), "nobody has asked");
    let mut client = elb.client();
    for number in 0..8 {
        client.ask(get("ways.test", if number < 6 { "/x" } else { "/y" }));
    }
    let rules = wait::until("the worker to tell", || {
        let rules = drawn();
        (rules[0]["links"][0]["heat"] == json!(0.75)).then_some(rules)
    });
    assert_eq!(rules[0]["links"][1]["heat"], json!(0.25));
    let heat = |name: &str| {
        let rule = rules.as_array().and_then(|all| all.iter().find(|rule| rule["name"] == name));
        rule.expect("a rule")["heat"].clone()
    };
    assert_eq!([heat("x"), heat("other"), heat("which")], [json!(0.75), json!(0.25), json!(0.0)]);
}

#[test]
fn one_request_of_sixteen_is_looked_at_where_none_has_to_be() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).workers(1).start();
    let mut client = elb.client();
    (0..64).for_each(|_| assert_eq!(client.ask(get(rules::SITE, "/")).text(), "a"));
    let path = format!("graph?domain={}", rules::SITE);
    wait::until("what was seen", || (elb.admin().get(&path)["rules"][0]["heat"] == json!(1.0)).then_some(()));
}
