//! An explanation is true: it says what the proxy does with the same request.

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, ok};

/// Everything but what is under `/admin`.
fn guarded(server: &Server) -> Value {
    let mut document = rules::site(&[server]);
    document["domains"][SITE] = json!({"init": "guard", "rules": {
        "guard": {"type": "path", "args": {"pattern": "^/admin(/|$)", "regex": true, "succ": "key", "fail": "open"}},
        "key": {"type": "ua", "args": {"pattern": "operator", "succ": "open"}},
        "open": {"type": "backend", "args": {"servername": "up"}}}});
    document
}

fn explained(elb: &Elb, question: &Value) -> Value {
    let answer = elb.admin().call("POST", "explain", Some(&question.to_string()));
    serde_json::from_str(&answer.text()).expect("JSON")
}

#[test]
fn what_is_explained_is_what_is_done_and_a_candidate_is_not_applied() {
    let server = Server::named("a");
    let elb = Launch::serving(&guarded(&server)).start();
    let before = elb.admin().get("domain");
    let question = json!({"host": SITE, "path": "/admin/x", "headers": {"User-Agent": "operator"}});
    let told = explained(&elb, &question);
    let steps: Vec<_> = told["rules"].as_array().unwrap().iter().map(|rule| &rule["branch"]).collect();
    assert_eq!(steps, ["succ", "succ"]);
    assert_eq!(told["upstream"]["servers"][0]["address"], server.address().to_string());
    let head = told["to_server"].as_str().expect("a head").to_owned();
    elb.client().ask(format!("GET /admin/x HTTP/1.1\r\nHost: {SITE}\r\nUser-Agent: operator\r\n\r\n"));
    let seen = String::from_utf8(server.request().wire()).expect("text");
    assert_eq!(head.replace("192.0.2.1", "127.0.0.1"), seen);

    let mut other = guarded(&server);
    other["domains"][SITE]["init"] = json!("open");
    let mut question = json!({"host": SITE, "path": "/admin/x"});
    assert_eq!(explained(&elb, &question)["answer"]["status"], 403);
    question["config"] = other;
    let told = explained(&elb, &question);
    assert_eq!((&told["answer"], &told["rules"]), (&json!(null), &json!([])));
    assert_eq!(elb.client().ask(get(SITE, "/admin/x")).status(), 403, "it was only asked");
    assert_eq!(elb.admin().get("domain"), before);
    question["config"] = json!({"domains": {SITE: {"init": "a", "rules": {}}}});
    let refused = elb.admin().call("POST", "explain", Some(&question.to_string()));
    assert_eq!(refused.status(), 400);
    let fault: Value = serde_json::from_str(&refused.text()).expect("JSON");
    assert_eq!(fault["pointer"], format!("/config/domains/{SITE}/init"));
}

/// Spellings of `/admin` for somebody.
const SPELLINGS: &[&str] = &[
    "/admin",
    "/admin/",
    "/admin/x",
    "/admin?x",
    "/ADMIN",
    "/Admin",
    "/%61dmin",
    "/%61%64%6d%69%6e",
    "/%61dmin/",
    "/admi%6e",
    "/admi%6E",
    "//admin",
    "///admin",
    "/./admin",
    "/././admin",
    "/x/../admin",
    "/x/./../admin",
    "/x//../admin",
    "/x/%2e%2e/admin",
    "/x/%2E%2E/admin",
    "/x/.%2e/admin",
    "/%2e/admin",
    "/admin/.",
    "/admin/./",
    "/admin/x/..",
    "/admin/../admin",
    "/x/..%2fadmin",
    "/x%2f..%2fadmin",
    "/%2fadmin",
    "/%2Fadmin",
    "/admin%2f",
    "/admin%2fx",
    "/admin;x",
    "/admin;x/y",
    "/admin%3bx",
    "/;x/admin",
    "/x/..;/admin",
    "/x/..%3b/admin",
    "/\\admin",
    "/%5cadmin",
    "/x/..\\admin",
    "/x/..%5cadmin",
    "/admin\\x",
    "/admin%5cx",
    "/admin%00",
    "/admin%0a",
    "/admin%20",
    "/admin%09",
    "/%2561dmin",
    "/admin.",
    "/admin..",
    "/%c0%aeadmin",
    "/admin%3f",
    "/admin%23",
];

/// What a server makes of a target that decodes escapes twice over and takes dots, slashes and case as it likes.
fn leads_to_admin(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    let mut segments: Vec<String> = Vec::new();
    let decoded = path.replace("%61", "a").replace("%64", "d").replace("%6d", "m").replace("%69", "i");
    let decoded = decoded.replace("%6e", "n").replace("%6E", "n").replace("%2e", ".").replace("%2E", ".");
    for segment in decoded.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other.to_owned()),
        }
    }
    // Parameters of a segment are no part of its name for some (Tomcat), and a backslash is a slash for some (IIS).
    segments.first().is_some_and(|first| first == "admin")
}

#[test]
fn no_spelling_of_a_guarded_path_passes_its_guard() {
    let server = Server::answering(|_| ok("seen"));
    let elb = Launch::serving(&guarded(&server)).start();
    let mut passed = Vec::new();
    for target in SPELLINGS {
        let told = explained(&elb, &json!({"host": SITE, "path": target}));
        let saw = told["rules"][0]["value"].as_str().unwrap_or("-").to_owned();
        let before = server.requests().len();
        let answer = elb.client().ask(format!("GET {target} HTTP/1.1\r\nHost: {SITE}\r\n\r\n"));
        let got = server.requests().split_off(before).pop().map(|request| request.head.target().to_owned());
        let reason = answer.head.get("X-ELB-Reason").unwrap_or_default();
        println!("{target:24} rule saw {saw:20} {} {reason:16} server got {got:?}", answer.status());
        match got {
            Some(got) => {
                assert!(!leads_to_admin(&got), "{target} reached the server as {got}");
                let head = told["to_server"].as_str().expect("a head");
                assert!(head.starts_with(&format!("GET {got} HTTP/1.1\r\n")), "{target}: {head}");
                passed.push(*target);
            }
            None => {
                assert!(matches!(answer.status(), 400 | 403), "{target}: {}", answer.status());
                assert_eq!(told["answer"]["status"], answer.status(), "{target}");
                assert_eq!(told["answer"]["reason"], reason, "{target}");
            }
        }
    }
    // Other names, for whoever compares bytes; a server that takes these for it has another guard to set.
    println!("passed as other names: {passed:?}");
}
