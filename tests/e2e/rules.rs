//! Rules at work: what a request's path and user agent choose, and what the server is told.

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::wait;

/// An ELB with one rule set, whose upstreams `yes` and `no` are these servers.
fn elb(rule_set: Value, yes: &Server, no: &Server) -> Elb {
    Launch::serving(&json!({
        "domains": {SITE: rule_set},
        "upstreams": {"yes": rules::upstream(&[yes], ""), "no": rules::upstream(&[no], "")},
    }))
    .start()
}

/// A rule set of one filter that leads to `yes` or `no`.
fn filter(kind: &str, mut arguments: Value) -> Value {
    arguments["succ"] = "y".into();
    arguments["fail"] = "n".into();
    json!({"init": "f", "rules": {
        "f": {"type": kind, "args": arguments},
        "y": {"type": "backend", "args": {"servername": "yes"}},
        "n": {"type": "backend", "args": {"servername": "no"}}}})
}

#[track_caller]
fn choices(rule_set: Value, cases: &[(&str, &str)], request: impl Fn(&str) -> String) {
    let (yes, no) = (Server::named("yes"), Server::named("no"));
    let elb = elb(rule_set, &yes, &no);
    let mut client = elb.client();
    for (input, choice) in cases {
        assert_eq!(client.ask(request(input)).text(), *choice, "{input:?}");
    }
}

#[test]
fn ua_compares_the_user_agent_in_lower_case() {
    choices(
        filter("ua", json!({"pattern": "httpie(\\S+)$"})),
        &[("User-Agent: HTTPie/0.9.9\r\n", "yes"), ("User-Agent: httpie\r\n", "no"), ("", "no")],
        |fields| format!("GET / HTTP/1.1\r\nHost: {SITE}\r\n{fields}\r\n"),
    );
    choices(filter("ua", json!({"pattern": "Firefox"})), &[("User-Agent: Firefox\r\n", "no")], |fields| {
        format!("GET / HTTP/1.1\r\nHost: {SITE}\r\n{fields}\r\n")
    });
}

#[test]
fn path_compares_a_prefix_of_the_decoded_path() {
    choices(
        filter("path", json!({"pattern": "/a b/"})),
        &[
            ("/a%20b/c", "yes"),
            ("//a%20b/./x/../", "yes"),
            ("/x/../a%20b/?q", "yes"),
            ("/A%20b/", "no"),
            ("/?/a%20b/", "no"),
        ],
        |path| get(SITE, path),
    );
}

#[test]
fn path_with_regex_takes_fail_without_a_match() {
    choices(
        filter("path", json!({"regex": true, "pattern": "^\\/blog\\/(\\S+)$"})),
        &[("/blog/x", "yes"), ("/blog/", "no"), ("/", "no"), ("/the/blog/x", "no")],
        |path| get(SITE, path),
    );
}

#[test]
fn patterns_may_look_around_and_back() {
    choices(
        filter("path", json!({"regex": true, "pattern": "^/(?!admin)(\\w)\\1"})),
        &[("/aa", "yes"), ("/ab", "no"), ("/admin", "no")],
        |path| get(SITE, path),
    );
}

#[test]
fn a_rewrite_sends_the_first_group_encoded_anew_and_keeps_the_query() {
    let rule_set =
        filter("path", json!({"regex": true, "pattern": "^\\/blog(?:\\/(.*))?$", "rewrite": true}));
    for (sent, seen) in [
        ("/blog/a?b=c", "/a?b=c"),
        ("/blog//a", "/a"),
        ("/blog/a%2Fb%3Bc%20d%3F%25", "/a/b;c%20d%3F%25"),
        ("/blog/%C3%A9", "/%C3%A9"),
        ("/blog", "/"),
        ("/blog/", "/"),
        ("/other%2F/x?y", "/other%2F/x?y"),
    ] {
        let (yes, no) = (Server::named("yes"), Server::named("no"));
        let elb = elb(rule_set.clone(), &yes, &no);
        elb.client().ask(get(SITE, sent));
        let requests = [yes.requests(), no.requests()].concat();
        assert_eq!(requests[0].head.target(), seen, "{sent}");
    }
}

#[test]
fn arguments_of_a_backend_become_headers() {
    let (server, other) = (Server::named("yes"), Server::named("no"));
    let rule_set = json!({"init": "b", "rules": {"b": {"type": "backend", "args": {
        "servername": "yes", "host": "Inside.Test:81", "x-number": 5, "x-flag": true, "X-List": ["a", "b"],
        "X-Client": "replaced", "x-gone": ""}}}});
    let elb = elb(rule_set, &server, &other);

    elb.client().ask(format!("GET / HTTP/1.1\r\nHost: {SITE}\r\nx-cLIENT: own\r\nX-Gone: here\r\n\r\n"));

    let head = server.request().head;
    assert_eq!(head.get("Host"), Some("inside.test"));
    assert_eq!(head.get("X-Number"), Some("5"));
    assert_eq!(head.get("X-Flag"), Some("true"));
    assert_eq!(head.all("X-List"), ["a", "b"]);
    assert_eq!(head.all("X-Client"), ["replaced"]);
    assert_eq!(head.get("X-Gone"), None);
}

#[test]
fn a_servername_may_be_an_address_a_name_or_an_object() {
    let server = Server::named("a");
    let port = server.address().port();
    for servername in [
        json!(format!("127.0.0.1:{port}")),
        json!(format!("localhost:{port}")),
        json!("UP"),
        json!({"up": ""}),
    ] {
        let elb = Launch::serving(&json!({
            "domains": {SITE: {"init": "b", "rules": {"b": {"type": "backend", "args": {"servername": servername}}}}},
            "upstreams": {"up": rules::upstream(&[&server], "")},
        }))
        .start();
        assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a", "{servername}");
    }
}

#[test]
fn the_host_may_go_out_as_it_came() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).flag("--host-header=as-received").start();

    elb.client().ask(get("SITE.test.:8080", "/"));

    assert_eq!(server.request().head.get("Host"), Some("SITE.test.:8080"));
}

/// `patern` was accepted once and did nothing; stores have such rules, and they go on serving.
#[test]
fn an_argument_that_no_rule_has_is_refused_by_the_api_and_served_from_a_store_with_a_warning() {
    let (yes, no) = (Server::named("yes"), Server::named("no"));
    let slip = filter("path", json!({"pattern": "/a", "rewritten": true}));
    let elb = elb(slip.clone(), &yes, &no);
    assert_eq!(elb.client().ask(get(SITE, "/a")).text(), "yes");
    let warning = "\"rules/site.test\" of the store serves at revision";
    wait::until("the warning", || elb.log().contains(warning).then_some(()));
    assert!(elb.log().contains("/rules/f/args/rewritten"), "{}", elb.log());
    assert_eq!(elb.admin().get("domain")[SITE], slip);

    let refused = elb.admin().call("PUT", "domain", Some(&json!({"b.test": slip}).to_string()));
    assert_eq!(refused.status(), 400);
    let told = refused.json();
    assert_eq!(told["pointer"], "/b.test/rules/f/args/rewritten");
    assert_eq!(told["error"], "is no argument of a rule of type path; is rewrite meant?");
    let good = filter("path", json!({"pattern": "/a", "rewrite": true}));
    elb.admin().put("domain", &json!({"b.test": good}));
    assert_eq!(elb.client().ask(get("b.test", "/a")).text(), "yes");
}
