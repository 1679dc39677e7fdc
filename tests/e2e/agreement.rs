//! What is explained of random requests over random rule sets of all types is what the proxy does with them.

use serde_json::{Map, Value, json};

use elb::explain::{Asked, Explainer, candidate};
use elb::model::{Library, Scratch, Silent, Verdict, route};
use elb::semantics::Sketch;

use crate::support::chance::Chance;
use crate::support::elb::Launch;
use crate::support::rules;
use crate::support::server::Server;

const HOSTS: [&str; 4] = ["a.test", "www.a.test", "api.a.test", "b.test"];
const PATHS: [&str; 10] =
    ["/", "/a", "/a/b", "/api/x", "/api", "/old/17/x", "/a%20b", "/x/../a", "//a", "/..;/a"];
const QUERIES: [&str; 5] = ["", "?", "?page=1", "?page=%31&x=a+b", "?x=<\""];
const FIELDS: [(&str, &str); 7] = [
    ("X-User", "me"),
    ("X-User", "you"),
    ("User-Agent", "curl/8"),
    ("User-Agent", "HTTPie"),
    ("Cookie", "id=17; group=beta"),
    ("Cookie", "group=alpha"),
    ("If-None-Match", "*"),
];
const METHODS: [&str; 4] = ["GET", "HEAD", "DELETE", "OPTIONS"];
const CLIENTS: [&str; 2] = ["127.0.0.1", "10.1.2.3"];

/// A rule of any type; those that lead on lead to rules with a higher number.
fn rule(chance: &mut Chance, number: usize, count: usize) -> Value {
    let (kind, args) = match chance.below(15) {
        0 => ("ua", json!({"pattern": chance.pick(&["curl", "^httpie", "x"])})),
        1 => ("path", json!({"pattern": chance.pick(&["/a", "/api", "/old"])})),
        2 => ("path", json!({"pattern": "^/old/(\\d+)/(.*)$", "regex": true, "rewrite": chance.one_in(2)})),
        3 => ("path", json!({"pattern": chance.pick(&["/a", "/a/b"]), "match": "exact"})),
        4 => ("header", json!({"name": "x-user", "pattern": chance.pick(&["me", "you"])})),
        5 => ("method", json!({"methods": ["GET", "HEAD"]})),
        6 => ("query", json!({"name": "page", "pattern": "1"})),
        7 => ("cookie", json!({"name": "group", "pattern": "^b", "regex": true})),
        8 => ("client", json!({"cidrs": ["127.0.0.0/8"]})),
        9 => ("host", json!({"pattern": "www.", "match": "prefix"})),
        10 => ("limit", json!({"rate": "1000000r/s", "burst": 1000000, "key": "host"})),
        11 => ("rewrite", json!({"strip_prefix": "/api"})),
        12 => ("rewrite", json!({"regex": "^/(\\w+)/(\\w+)", "to": "/$2/$1"})),
        13 => ("rewrite", json!({"add_prefix": "/v1"})),
        _ => ("split", json!({"key": "cookie:id", "salt": "s"})),
    };
    let mut args = args;
    let next = |chance: &mut Chance| json!(format!("r{}", chance.between(number + 1, count + 4)));
    if kind == "split" {
        args["arms"] = (0..3).map(|weight| json!({"rule": next(chance), "weight": weight})).collect();
        // Who has no cookie goes by chance, which is another one for each request: so those have one arm.
        args["arms"][1]["rule"] = args["arms"][2]["rule"].clone();
    } else {
        args["succ"] = next(chance);
        if kind != "rewrite" && !chance.one_in(8) {
            args["fail"] = next(chance);
        }
    }
    json!({"type": kind, "args": args})
}

/// Rules of which the last ones are ends.
fn rule_set(chance: &mut Chance) -> Value {
    let count = chance.between(1, 8);
    let mut rules = Map::new();
    for number in 0..count {
        rules.insert(format!("r{number}"), rule(chance, number, count));
    }
    let ends = [
        json!({"type": "backend", "args": {"servername": "one", "X-Added": "1"}}),
        json!({"type": "backend", "args": {"servername": "two", "host": "inner.test"}}),
        json!({"type": "redirect", "args": {"to": chance.pick(&["https://$host/new$path$query", "/$1/$2"]), "code": 301}}),
        json!({"type": "respond", "args": {"body": "page", "status": chance.pick(&[200, 503])}}),
        json!({"type": "deny", "args": {"status": 451}}),
    ];
    for (number, end) in (count..).zip(ends) {
        rules.insert(format!("r{number}"), end);
    }
    json!({"init": "r0", "rules": rules})
}

/// A question: method, host, path with query, fields, client.
fn question(chance: &mut Chance) -> Value {
    let mut headers = Map::new();
    for _ in 0..chance.below(3) {
        let (name, value) = chance.pick(&FIELDS);
        headers.insert(name.to_owned(), json!(value));
    }
    let path = format!("{}{}", chance.pick(&PATHS), chance.pick(&QUERIES));
    json!({"method": chance.pick(&METHODS), "host": chance.pick(&HOSTS), "path": path, "headers": headers})
}

fn domains(chance: &mut Chance) -> Value {
    json!({"a.test": rule_set(chance), "*.a.test": rule_set(chance)})
}

#[test]
fn ten_thousand_explanations_agree_with_the_function_that_routes() {
    let explainer = Explainer::usual().expect("an explainer");
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for seed in 0..200 {
        let chance = &mut Chance::new(seed);
        let document = json!({"domains": domains(chance), "upstreams": {"one": {"10.0.0.1:80": ""}, "two": {"10.0.0.2:80": ""}}});
        let snapshot = candidate(&document, Library::default()).expect("a good document");
        for _ in 0..50 {
            let mut question = question(chance);
            question["client"] = json!(chance.pick(&CLIENTS));
            let asked = Asked::read(question.as_object().expect("it")).expect("a question");
            let told = explainer.explain(&snapshot, &asked, std::time::Instant::now(), 7);
            let reason = told["answer"]["reason"].as_str().unwrap_or_default();
            if ["ambiguous-path", "bad-path"].contains(&reason) {
                continue;
            }
            // The same request, looked at in another form.
            let (path, query) =
                asked.path.split_once('?').map_or((&*asked.path, None), |(path, query)| (path, Some(query)));
            let path = path.replace("/x/..", "").replace("//", "/").replace("%20", " ");
            let mut sketch =
                Sketch::new(&asked.host, path).method(&asked.method).client(asked.client.to_string());
            sketch = match query {
                Some(query) => sketch.query(query),
                None => sketch,
            };
            sketch = asked.headers.iter().fold(sketch, |sketch, (name, value)| sketch.field(name, value));
            let mut scratch = Scratch::new();
            let decision = route(&snapshot, &sketch.view(), 7, &mut scratch, &mut Silent);
            let last = decision
                .domain
                .zip(decision.rule)
                .map(|(domain, rule)| snapshot.rule_name(domain, rule).to_owned());
            let place = || format!("seed {seed}: {question}\n{told:#}");
            let kind = match decision.verdict {
                Verdict::Forward { backend, path } => {
                    let line = told["to_server"]
                        .as_str()
                        .and_then(|head| head.lines().next())
                        .unwrap_or_else(|| panic!("{}", place()));
                    assert!(
                        path.is_none_or(|path| line.contains(&*String::from_utf8_lossy(path))),
                        "{}",
                        place()
                    );
                    assert_eq!(told["upstream"]["name"], backend.servername(), "{}", place());
                    "forward"
                }
                Verdict::Denied { reason } => {
                    assert_eq!(told["answer"]["reason"], reason.word(), "{}", place());
                    reason.word()
                }
                Verdict::Refused { status, reason, .. } => {
                    assert_eq!(
                        (&told["answer"]["status"], &told["answer"]["reason"]),
                        (&json!(status), &json!(reason.word()))
                    );
                    "refused"
                }
                Verdict::Respond { page, is_known } => {
                    assert_eq!(
                        told["answer"]["status"],
                        if is_known { 304 } else { page.status() },
                        "{}",
                        place()
                    );
                    "page"
                }
                Verdict::Redirect { to, .. } => {
                    let text = told["answer"]["text"].as_str().unwrap_or_default();
                    assert!(
                        text.contains(&format!("\r\nLocation: {}\r\n", String::from_utf8_lossy(to))),
                        "{}",
                        place()
                    );
                    "redirect"
                }
            };
            let steps = told["rules"].as_array().expect("rules");
            let shown = told["end"]["rule"].as_str().or_else(|| steps.last()?["rule"].as_str());
            assert_eq!(shown, last.as_deref(), "{}", place());
            *seen.entry(kind.to_owned()).or_default() += 1;
        }
    }
    println!("{seen:?}");
    assert!(seen.len() >= 6 && seen.values().sum::<usize>() > 8_000, "{seen:?}");
}

#[test]
fn five_hundred_explanations_agree_with_what_the_proxy_did() {
    let (one, two) = (Server::named("one"), Server::named("two"));
    let mut checked = [0, 0];
    for seed in 1000..1010 {
        let chance = &mut Chance::new(seed);
        let upstreams = json!({"one": rules::upstream(&[&one], ""), "two": rules::upstream(&[&two], "")});
        let elb = Launch::serving(&json!({"domains": domains(chance), "upstreams": upstreams})).start();
        for _ in 0..50 {
            let mut question = question(chance);
            question["client"] = json!("127.0.0.1");
            let answer = elb.admin().call("POST", "explain", Some(&question.to_string()));
            let told: Value = serde_json::from_str(&answer.text()).expect("JSON");
            let before = [one.requests().len(), two.requests().len()];
            let word = |name: &str| question[name].as_str().expect("text").to_owned();
            let mut wire =
                format!("{} {} HTTP/1.1\r\nHost: {}\r\n", word("method"), word("path"), word("host"));
            for (name, value) in question["headers"].as_object().expect("fields") {
                wire += &format!("{name}: {}\r\n", value.as_str().expect("text"));
            }
            let got = elb.client().ask(wire + "\r\n");
            let mut came = one.requests().split_off(before[0]);
            came.extend(two.requests().split_off(before[1]));
            let place = || format!("seed {seed}: {question}\n{told:#}");
            match (told["to_server"].as_str(), came.pop()) {
                (Some(head), Some(request)) => {
                    assert_eq!(head, String::from_utf8_lossy(&request.wire()), "{}", place());
                    assert_eq!(got.status(), 200, "{}", place());
                    checked[0] += 1;
                }
                (None, None) => {
                    assert_eq!(told["answer"]["status"], got.status(), "{}", place());
                    let text = told["answer"]["text"].as_str().unwrap_or_default();
                    let location = text.lines().find_map(|line| line.strip_prefix("Location: "));
                    assert_eq!(location, got.head.get("location"), "{}", place());
                    assert_eq!(
                        told["answer"]["reason"].as_str(),
                        got.head.get("x-elb-reason"),
                        "{}",
                        place()
                    );
                    checked[1] += 1;
                }
                (told, came) => panic!("{told:?} {} {}", came.is_some(), place()),
            }
        }
    }
    println!("{checked:?}");
    assert!(checked[0] > 50 && checked[1] > 50, "{checked:?}");
}
