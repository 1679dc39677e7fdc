//! A candidate that is asked about live traffic: its sums are those of the access log, and nothing that is served is another.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::rules;
use crate::support::server::Server;
use crate::support::wait;

/// Domains with requests: how many each, and whether the candidate moves it.
const DOMAINS: [(&str, u64, bool); 4] =
    [("a.test", 60, false), ("b.test", 45, true), ("c.test", 30, false), ("d.test", 15, false)];

fn document(server: &Server) -> Value {
    let domains: Value = DOMAINS.iter().map(|(name, ..)| ((*name).to_owned(), rules::to("up"))).collect();
    let up = rules::upstream(&[server], "");
    json!({"domains": domains, "upstreams": {"up": up, "other": up}})
}

fn candidate(server: &Server) -> Value {
    let mut candidate = document(server);
    for (name, _, is_moved) in DOMAINS {
        if is_moved {
            candidate["domains"][name] = rules::to("other");
        }
    }
    candidate
}

fn call(elb: &Elb, method: &str, body: Option<Value>) -> (u16, Value) {
    let answer = elb.admin().call(method, "shadow", body.map(|body| body.to_string()).as_deref());
    (answer.status(), serde_json::from_str(&answer.text()).expect("JSON"))
}

/// The requests of all domains, over connections that workers share as the kernel likes; some have no domain.
fn requests(elb: &Elb) -> u64 {
    let mut sent = 0;
    let most = DOMAINS.iter().map(|(_, count, _)| *count).max().unwrap_or_default();
    for number in 0..most {
        for (name, count, _) in DOMAINS.iter().chain([&("nobody.test", 5, false)]) {
            if number < *count {
                let status = elb.client().ask(get(name, &format!("/{number}"))).status();
                assert_eq!(status, if *name == "nobody.test" { 404 } else { 200 }, "{name}");
                sent += 1;
            }
        }
    }
    sent
}

/// What an answer says of what is served.
fn stands(elb: &Elb) -> (Option<String>, Option<String>, Value) {
    let answer = elb.admin().call("GET", "config", None);
    let field = |name: &str| answer.head.get(name).map(str::to_owned);
    let history = elb.admin().get("history");
    (field("X-ELB-Version"), field("X-ELB-Digest"), history)
}

#[test]
fn the_sums_are_those_of_the_log_and_nothing_that_is_served_is_another() {
    let server = Server::named("a");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("access.log");
    let elb = Launch::serving(&document(&server)).flag(&format!("--access-log={}", path.display())).start();
    let before = stands(&elb);
    let (status, begun) = call(&elb, "POST", Some(json!({"config": candidate(&server), "seconds": 600})));
    assert_eq!(
        (status, &begun["state"], &begun["requests"]),
        (200, &json!("running"), &json!(0)),
        "{begun:#}"
    );

    let sent = requests(&elb);
    let (status, told) = call(&elb, "DELETE", None);
    assert_eq!((status, &told["state"]), (200, &json!("ended")), "{told:#}");
    // What comes later is not compared.
    elb.client().ask(get("b.test", "/late"));

    let lines: Vec<Value> = wait::until("every line", || {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        (lines.len() as u64 > sent).then_some(lines)
    });
    let lines: Vec<&Value> = lines.iter().filter(|line| line["path"] != "/late").collect();
    let moved = lines.iter().filter(|line| line["domain"] == "b.test").count();
    assert_eq!((lines.len() as u64, moved), (sent, 45));
    let number = |name: &str| told[name].as_u64().expect("a number");
    assert_eq!(number("requests"), sent, "{told:#}");
    assert_eq!(number("elsewhere"), moved as u64);
    assert_eq!(number("same") + number("elsewhere"), sent);
    assert_eq!((number("otherwise"), number("other")), (0, 0));
    let ways = told["ways"].as_array().expect("ways");
    assert_eq!(ways.len(), 1, "{told:#}");
    assert_eq!(
        (&ways[0]["from"], &ways[0]["to"], &ways[0]["requests"]),
        (&json!("upstream up"), &json!("upstream other"), &json!(45))
    );
    let examples = ways[0]["examples"].as_array().expect("examples");
    assert_eq!(
        (examples.len(), &examples[0]["host"], &examples[0]["method"]),
        (3, &json!("b.test"), &json!("GET"))
    );

    let (status, again) = call(&elb, "GET", None);
    assert_eq!((status, &again["requests"], &again["state"]), (200, &told["requests"], &json!("ended")));
    assert_eq!(stands(&elb), before);
    // What was compared would be served in the state that the report names.
    elb.admin().put("config", &candidate(&server));
    let digest = elb.admin().call("GET", "status", None).head.get("X-ELB-Digest").map(str::to_owned);
    assert_eq!(digest.as_deref(), told["candidate_digest"].as_str());
}

#[test]
fn a_faulty_candidate_is_refused_whole_and_a_second_one_too() {
    let server = Server::named("a");
    let elb = Launch::serving(&document(&server)).start();
    assert_eq!(call(&elb, "GET", None).0, 404);
    assert_eq!(call(&elb, "DELETE", None).0, 404);
    let mut faulty = candidate(&server);
    faulty["domains"]["b.test"]["init"] = json!("nowhere");
    faulty["upstreams"]["other"] = json!({"127.0.0.1:1": "weight=0"});
    for (body, pointers) in [
        (
            json!({"config": faulty}),
            vec!["/config/domains/b.test/init", "/config/upstreams/other/127.0.0.1:1"],
        ),
        (json!({"config": {"domains": {}, "rest": {}}}), vec!["/config/rest"]),
        (
            json!({"config": {"domains": {"x": null}, "upstreams": {"gone": {"127.0.0.1:1": null}}}, "mode": "merge"}),
            vec!["/config/upstreams/gone"],
        ),
        (json!({"config": candidate(&server), "seconds": 0}), vec!["/seconds"]),
        (json!({"config": candidate(&server), "sample": 3}), vec!["/sample"]),
        (json!({"config": candidate(&server), "mode": "x"}), vec!["/mode"]),
        (json!({"config": candidate(&server), "x": 1}), vec!["/x"]),
        (json!({}), vec![""]),
    ] {
        let (status, told) = call(&elb, "POST", Some(body));
        assert_eq!(status, 400, "{told:#}");
        let faults = told["faults"].as_array().cloned().unwrap_or_else(|| vec![told.clone()]);
        let found: Vec<&str> = faults.iter().filter_map(|fault| fault["pointer"].as_str()).collect();
        assert!(pointers.iter().all(|pointer| found.iter().any(|one| one.starts_with(pointer))), "{told:#}");
    }
    assert_eq!(call(&elb, "GET", None).0, 404, "none of them ran");

    let body = json!({"config": {"domains": {"b.test": rules::to("other")}}, "mode": "merge", "sample": 2});
    let (status, told) = call(&elb, "POST", Some(body.clone()));
    assert_eq!((status, &told["sample"]), (200, &json!(2)), "{told:#}");
    let (status, told) = call(&elb, "POST", Some(body.clone()));
    assert_eq!((status, &told["code"]), (409, &json!("conflict")));
    // A change goes on its way meanwhile, and the report says so.
    elb.admin().put("domain", &json!({"e.test": rules::to("up")}));
    let (_, told) = call(&elb, "DELETE", None);
    assert_eq!((&told["state"], &told["changed_meanwhile"]), (&json!("ended"), &json!(true)));
    let (status, told) = call(&elb, "POST", Some(body));
    assert_eq!((status, &told["changed_meanwhile"]), (200, &json!(false)));
}

#[test]
fn a_shell_waits_for_the_report_and_ends_with_1_if_anything_goes_elsewhere() {
    let server = Server::named("a");
    let elb = Launch::serving(&document(&server)).start();
    let folder = tempfile::tempdir().expect("a folder");
    for (document, code) in [(document(&server), 0), (candidate(&server), 1)] {
        let file = folder.path().join("candidate.json");
        fs::write(&file, document.to_string()).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_elb"));
        let api = elb.address().to_string();
        command.args(["ctl", "--api", &api, "shadow", &file.display().to_string(), "--seconds", "600"]);
        let child = command.stdout(std::process::Stdio::piped()).spawn().expect("the command elb");
        wait::until("a run", || (call(&elb, "GET", None).1["state"] == "running").then_some(()));
        elb.client().ask(get("b.test", "/x"));
        let interrupt = rustix::process::Signal::INT;
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, interrupt).expect("a signal");
        let output = child.wait_with_output().expect("its output");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.starts_with(&format!("1 requests: {code} go elsewhere")), "{text}");
        assert_eq!(text.contains("GET b.test/x"), code == 1, "{text}");
    }
}
