//! Each change of the configuration is one line of the log, and a digest says who serves the same.

use serde_json::{Map, Value, json};

use crate::support::elb::{Elb, Launch};
use crate::support::etcd::Etcd;
use crate::support::rules;
use crate::support::wait;

const CHANGED: &str = "configuration changed ";

/// What the log says of changes, each from its version on, as soon as there are so many.
#[track_caller]
fn told(elb: &Elb, count: usize) -> Vec<String> {
    wait::until("the changes to be told", || {
        let log = elb.log();
        let lines = log.lines().filter_map(|line| line.split_once(CHANGED));
        let lines: Vec<String> = lines.map(|(_, told)| told.to_owned()).collect();
        (lines.len() >= count).then_some(lines)
    })
}

/// The version and the digest that an answer of the API carries.
fn stands(elb: &Elb) -> (String, String) {
    let answer = elb.admin().call("GET", "servers", None);
    let header = |name| answer.head.get(name).expect("a header").to_owned();
    (header("X-ELB-Version"), header("X-ELB-Digest"))
}

/// The digest that metrics show.
fn measured(elb: &Elb) -> String {
    let text = elb.admin().call("GET", "metrics", None).text();
    let row = text.lines().find_map(|line| line.strip_prefix("elb_config_info{digest=\""));
    row.and_then(|rest| rest.strip_suffix("\"} 1.0")).expect("the digest").to_owned()
}

#[test]
fn each_change_is_one_line_with_who_and_what_and_its_version() {
    let elb = Elb::empty();
    let admin = elb.admin();
    let servers = json!({"127.0.0.1:1": ""});
    admin.put("upstream", &json!({"up": servers, "b": servers}));
    let (version, digest) = stands(&elb);
    assert_eq!((digest.len(), measured(&elb)), (64, digest.clone()));
    let line =
        format!("version={version} who=127.0.0.1 via=api +upstreams=2 names=b,up digest={}", &digest[..16]);
    assert_eq!(told(&elb, 1), [line]);

    admin.put("upstream", &json!({"up": servers}));
    admin.delete("domain", &json!(["nobody.test"]));
    assert_eq!(admin.call("PUT", "domain", Some(r#"{"a.test": {"init": "x"}}"#)).status(), 400);
    assert_eq!(stands(&elb), (version, digest.clone()), "these change nothing");

    let sites: Map<String, Value> =
        (1..=7).map(|number| (format!("s{number}.test"), rules::to("up"))).collect();
    admin.put("domain", &Value::Object(sites));
    admin.put("domain", &json!({"s1.test": rules::to("b"), "new.test": rules::to("up")}));
    admin.delete("upstream", &json!(["B"]));
    let lines = told(&elb, 4);
    for (line, expected) in lines[1..].iter().zip([
        "who=127.0.0.1 via=api +domains=7 names=s1.test,s2.test,s3.test,s4.test,s5.test,… and 2 more digest=",
        "who=127.0.0.1 via=api +domains=1 ~domains=1 names=new.test,s1.test digest=",
        "who=127.0.0.1 via=api -upstreams=1 names=b digest=",
    ]) {
        assert!(line.contains(expected), "{line}");
    }
    let all: Vec<String> =
        (1..=7).map(|number| format!("s{number}.test")).chain(["new.test".to_owned()]).collect();
    admin.delete("domain", &json!(all));
    admin.put("upstream", &json!({"b": servers}));
    assert_eq!(stands(&elb).1, digest, "the same is served as before");
    assert_eq!(told(&elb, 6).len(), 6);
}

#[test]
fn a_name_in_a_line_forges_nothing() {
    let elb = Elb::empty();
    elb.admin().put("upstream", &json!({"a\nERROR b, via=api": {"127.0.0.1:1": ""}}));
    let line = told(&elb, 1).remove(0);
    assert!(line.contains(r"names=a\u{a}ERROR\u{20}b\u{2c}\u{20}via=api digest="), "{line}");
}

#[test]
fn a_large_load_is_one_line() {
    let domains: Map<String, Value> =
        (0..3000).map(|number| (format!("d{number}.test"), rules::to("127.0.0.1:1"))).collect();
    let elb = Launch::serving(&json!({"domains": domains, "upstreams": {}})).start();
    let lines = told(&elb, 1);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert!(
        line.starts_with("version=1 who=- via=file +domains=3000 names=d0.test,d1.test,d10.test,d100.test,d1000.test,… and 2995 more digest="),
        "{line}"
    );
}

#[test]
fn all_that_serve_the_same_have_one_digest_and_say_where_a_change_came_from() {
    let Some(etcd) = Etcd::start() else { return };
    let [one, two] = [1, 2].map(|_| Launch::storing(&etcd).start());
    let servers = json!({"127.0.0.1:2": "", "127.0.0.1:1": "weight=2"});
    one.admin().put("domain", &json!({"a.test": rules::to("Up")}));
    one.admin().put("upstream", &json!({"Up": servers, "more": {"127.0.0.1:3": ""}}));
    one.admin().dump();
    let (_, digest) = stands(&one);
    wait::until("the other one to follow", || (stands(&two).1 == digest).then_some(()));
    let of_two = told(&two, 1);
    assert!(of_two.iter().all(|line| line.contains("who=- via=etcd ")), "{of_two:?}");
    assert!(of_two.last().is_some_and(|line| line.ends_with(&digest[..16])), "{of_two:?}");
    assert_eq!(told(&one, 2).len(), 2, "what comes back from its own dump changes nothing");

    // A third one has the same as a file, put together otherwise.
    let turned = json!({"rules": {"r1": {"args": {"servername": "Up"}, "type": "backend"}}, "init": "r1"});
    let upstreams =
        json!({"more": {"127.0.0.1:3": "weight=1"}, "Up": {"127.0.0.1:1": "weight=2", "127.0.0.1:2": ""}});
    let file = Launch::serving(&json!({"upstreams": upstreams, "domains": {"a.test": turned}})).start();
    assert_eq!(stands(&file).1, digest);
    two.admin().put("upstream", &json!({"more": {"127.0.0.1:3": "down"}}));
    assert_ne!(stands(&two).1, digest);
}
