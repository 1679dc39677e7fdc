//! What protects a running ELB protects the next one too: held loads, last good values, the addresses of names.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::etcd::{Etcd, Mode};
use crate::support::etcdctl::{Writer, etcd, etcd_in};
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::wait;

in_each_mode! {
    a_store_that_was_wiped_while_elb_was_away_is_held_against_the_state_file
    a_good_value_that_was_overwritten_by_a_bad_one_serves_in_the_next_life_too
}

const SITES: [&str; 4] = ["a.test", "b.test", "c.test", "d.test"];

/// A folder for a state file, which outlives every ELB.
struct Memory(TempDir);

impl Memory {
    fn new() -> Memory {
        Memory(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("state.json")
    }

    fn flag(&self) -> String {
        format!("--state-file={}", self.path().display())
    }

    fn start(&self, etcd: &Etcd) -> Elb {
        Launch::storing(etcd).flag(&self.flag()).start()
    }

    /// Ends an ELB in order, once the file is right.
    fn end(&self, mut elb: Elb, right: impl Fn(&Value) -> bool) {
        wait::until("the state file", || right(&read(&self.path())).then_some(()));
        elb.signal("TERM");
        elb.exit();
    }
}

fn read(path: &Path) -> Value {
    std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn domains(file: &Value) -> usize {
    file["rules"].as_object().map_or(0, serde_json::Map::len)
}

fn write(etcd: &Etcd, server: &str) {
    let rules = rules::to("up").to_string();
    let mut keys = vec![(format!("/ELB/upstreams/up/{server}"), Some(String::new()))];
    keys.extend(SITES.iter().map(|site| (format!("/ELB/rules/{site}"), Some(rules.clone()))));
    Writer::to(etcd).write(&keys);
}

fn statuses(elb: &Elb) -> Vec<u16> {
    SITES.iter().map(|site| elb.client().ask(get(site, "/")).status()).collect()
}

fn alarm(elb: &Elb) -> String {
    let answer = elb.admin().call("GET", "rejected", None);
    answer.head.get("X-ELB-Warning").unwrap_or_default().to_owned()
}

fn a_store_that_was_wiped_while_elb_was_away_is_held_against_the_state_file(mode: Mode) {
    let (server, mut etcd, memory) = (Server::named("a"), etcd_in(mode), Memory::new());
    write(&etcd, &server.address().to_string());
    memory.end(memory.start(&etcd), |file| domains(file) == 4);

    etcd.wipe();
    let elb = memory.start(&etcd);
    assert_eq!(statuses(&elb), [200; 4]);
    assert!(alarm(&elb).contains("lacks 4 of 4 domains and 1 of 1 upstreams"), "{}", alarm(&elb));
    memory.end(elb, |file| domains(file) == 4);

    let elb = memory.start(&etcd);
    assert_eq!(statuses(&elb), [200; 4], "nor was the copy lost");
    assert_eq!(elb.admin().call("PUT", "resync", Some("")).status(), 409);
    assert_eq!(elb.admin().call("PUT", "resync?confirm=1", Some("")).status(), 200);
    assert_eq!(statuses(&elb), [404; 4]);
    for line in [
        "configuration changed version=2 who=- via=state-file +domains=4 +upstreams=1 names=",
        "configuration changed version=3 who=127.0.0.1 via=etcd -domains=4 -upstreams=1 names=",
    ] {
        assert!(elb.log().contains(line), "{line} in the log:\n{}", elb.log());
    }
    memory.end(elb, |file| domains(file) == 0);
    assert_eq!(
        domains(&read(&memory.path().with_extension("json.previous"))),
        4,
        "and its predecessor is kept"
    );
}

#[test]
fn a_store_that_was_wiped_while_elb_was_away_is_restored_by_a_dump() {
    let (server, mut etcd, memory) = (Server::named("a"), etcd(), Memory::new());
    write(&etcd, &server.address().to_string());
    let before = etcd.keys("/ELB/");
    memory.end(memory.start(&etcd), |file| domains(file) == 4);

    etcd.wipe();
    etcd.put("/ELB/rules/new.test", &rules::to("up").to_string());
    let elb = memory.start(&etcd);
    assert!(alarm(&elb).contains("lacks 4 of 4 domains"), "{}", alarm(&elb));
    elb.admin().dump();
    wait::until("the end of the hold", || alarm(&elb).is_empty().then_some(()));
    let keys: Vec<String> = etcd.keys("/ELB/").into_iter().map(|(key, _)| key).collect();
    assert!(before.iter().all(|(key, _)| keys.contains(key)), "{keys:?}");
    assert!(keys.contains(&"/ELB/rules/new.test".to_owned()), "what others wrote is theirs");
    assert_eq!(statuses(&elb), [200; 4]);
}

fn a_good_value_that_was_overwritten_by_a_bad_one_serves_in_the_next_life_too(mode: Mode) {
    let (server, etcd, memory) = (Server::named("a"), etcd_in(mode), Memory::new());
    write(&etcd, &server.address().to_string());
    memory.end(memory.start(&etcd), |file| domains(file) == 4);
    etcd.put("/ELB/rules/a.test", "no longer JSON");
    etcd.put(&format!("/ELB/upstreams/up/{}", server.address()), "weight=heavy");
    for _ in 0..2 {
        let elb = memory.start(&etcd);
        assert_eq!(statuses(&elb), [200; 4]);
        let rejected = elb.admin().get("rejected");
        assert_eq!(rejected["rejected"].as_array().map(Vec::len), Some(2), "{rejected}");
        assert_eq!(rejected["rejected"][0]["serving"], "last-good");
        memory.end(elb, |file| domains(file) == 4 && !file["rules"]["a.test"].is_null());
    }
}

/// The name server knows nothing of the name; an earlier life did.
#[test]
fn servers_keep_the_addresses_of_an_earlier_life_while_their_names_cannot_be_looked_up() {
    let (server, etcd, memory) = (Server::named("a"), etcd(), Memory::new());
    let port = server.address().port();
    write(&etcd, &format!("localhost:{port}"));
    let local = format!("localhost:{port}");
    memory.end(memory.start(&etcd), |file| !file["names"][&local].is_null());

    let unknown = format!("nowhere.invalid:{port}");
    let text = std::fs::read_to_string(memory.path()).expect("the state file");
    std::fs::write(memory.path(), text.replace(&local, &unknown)).expect("the state file");
    etcd.delete(&format!("/ELB/upstreams/up/{local}"));
    etcd.put(&format!("/ELB/upstreams/up/{unknown}"), "");
    for _ in 0..2 {
        let elb = memory.start(&etcd);
        assert_eq!(statuses(&elb), [200; 4]);
        memory.end(elb, |file| !file["names"][&unknown].is_null());
    }
}

#[test]
fn a_name_without_an_address_takes_the_place_of_no_server_that_works() {
    let server = Server::named("a");
    let elb = Elb::before(&[&server]);
    let body = json!({"up": {"nowhere.invalid:80": ""}}).to_string();
    let refused = elb.admin().call("PUT", "upstream", Some(&body));
    assert_eq!((refused.status(), refused.json()["pointer"].clone()), (400, json!("/up/nowhere.invalid:80")));
    assert_eq!(elb.admin().get("upstream")["up"][0]["name"], json!(server.address().to_string()));
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");

    assert_eq!(elb.admin().call("PUT", "upstream?unresolved=1", Some(&body)).status(), 200);
    assert_eq!(elb.admin().get("upstream")["up"][0]["name"], "nowhere.invalid:80");
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a", "until the name has an address");

    let fresh = json!({"fresh": {"nowhere.invalid:80": ""}}).to_string();
    assert_eq!(elb.admin().call("PUT", "upstream?unresolved=1", Some(&fresh)).status(), 200);
    elb.admin().put("domain", &json!({"fresh.test": rules::to("fresh")}));
    let answer = elb.client().ask(get("fresh.test", "/"));
    assert_eq!((answer.status(), answer.head.get("X-ELB-Reason")), (502, Some("no-server-address")));
}

#[test]
fn a_word_without_dot_and_port_is_an_upstream_and_nothing_else() {
    let server = Server::named("a");
    // A name server knows this one for sure.
    let elb = Launch::serving(&json!({
        "domains": {SITE: rules::to("localhost")},
        "upstreams": {"LOCALHOST": rules::upstream(&[&server], "")},
    }))
    .start();
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");

    let answer = elb.admin().call("DELETE", "upstream", Some(r#"["localhost"]"#));
    let warning = answer.head.get("X-ELB-Warning").unwrap_or_default();
    assert!(warning.starts_with("/0: rules still name the upstream localhost: 502"), "{warning}");
    let answer = elb.client().ask(get(SITE, "/"));
    assert_eq!((answer.status(), answer.head.get("X-ELB-Reason")), (502, Some("no-upstream")));

    // Rules come before their upstreams: a warning, and no fault.
    let told = elb.admin().put("domain", &json!({"early.test": rules::to("later")}));
    assert!(
        told["warnings"][0]["message"]
            .as_str()
            .is_some_and(|said| said.contains("there is no upstream later")),
        "{told}"
    );
    elb.admin().put("upstream", &json!({"later": rules::upstream(&[&server], "")}));
    assert_eq!(elb.client().ask(get("early.test", "/")).text(), "a");
}

#[test]
fn a_faulty_key_in_a_file_is_told_and_left_out_and_a_broken_file_is_an_error_at_the_start() {
    let server = Server::named("a");
    let mut document = rules::site(&[&server]);
    document["domains"]["faulty.test"] = json!({"init": "nobody", "rules": {}});
    document["upstreams"]["bad"] = json!({"127.0.0.1:1": "weight=heavy"});
    let elb = Launch::serving(&document).start();
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
    assert_eq!(elb.client().ask(get("faulty.test", "/")).status(), 404);
    assert_eq!(
        alarm(&elb),
        "2 keys of the store are rejected; GET /__erulb__/rejected says why [keys-rejected]"
    );
    for key in ["rules/faulty.test", "upstreams/bad/127.0.0.1:1"] {
        let line = format!("{key:?} of the store is rejected");
        let told = || elb.log().lines().filter(|told| told.contains("WARN") && told.contains(&line)).count();
        // The log is written by a thread of its own.
        wait::until("the warning", || (told() > 0).then_some(()));
        assert_eq!(told(), 1, "{}", elb.log());
    }

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("elb.json");
    std::fs::write(&file, "{\n  \"domains\": {,}\n}").expect("a file");
    let mut broken =
        Launch::bare(&["--listen=127.0.0.1:0", "--no-pin", &format!("--store=file:{}", file.display())])
            .spawn();
    assert!(!broken.exit().success());
    let (_, log) = wait::until("its last words", || broken.said_all());
    assert!(log.contains("cannot be read") && log.contains("line 2 column 15"), "{log}");
}

/// The whole as it is, and which version that is.
fn whole(elb: &Elb) -> (u64, Value) {
    let answer = elb.admin().call("GET", "config", None);
    let version = answer.head.get("x-elb-version").and_then(|version| version.parse().ok());
    (version.expect("a version"), answer.json())
}

#[test]
fn versions_outlive_a_process_that_is_killed_and_what_was_changed_meanwhile() {
    let (etcd, memory) = (etcd(), Memory::new());
    write(&etcd, "127.0.0.1:1");
    let mut elb = memory.start(&etcd);
    let mut versions = vec![whole(&elb)];
    elb.admin().put("domain?dump=1", &json!({"a.test": rules::to("other")}));
    versions.push(whole(&elb));
    elb.admin().put("upstream", &json!({"Unsaved": {"127.0.0.1:2": "weight=3"}}));
    versions.push(whole(&elb));
    elb.admin().delete("domain?dump=1", &json!(["b.test"]));
    versions.push(whole(&elb));
    let history = |elb: &Elb| elb.admin().get("history")["versions"].as_array().cloned().expect("a list");
    let before = history(&elb);
    wait::until("the state file", || {
        let kept = std::fs::read_to_string(memory.0.path().join("state.json.history")).unwrap_or_default();
        (domains(&read(&memory.path())) == 3 && kept.lines().count() == before.len() + 1).then_some(())
    });
    elb.signal("KILL");
    elb.exit();
    // One that no version touches, and one that one does.
    etcd.put("/ELB/rules/c.test", &rules::to("meanwhile").to_string());
    etcd.put("/ELB/rules/a.test", &rules::to("meanwhile").to_string());

    let elb = memory.start(&etcd);
    let after = history(&elb);
    assert_eq!(after[after.len() - before.len()..], before[..]);
    let now = whole(&elb);
    assert_eq!(now.0, versions[3].0 + 1, "numbers go on");
    for (number, was) in &versions {
        assert_eq!(elb.admin().get(&format!("config?version={number}")), *was, "version {number}");
    }
    for (number, was) in versions.iter().rev().chain([&now]) {
        let answer = elb.admin().call("POST", "rollback?confirm=1", Some(&json!({"to": number}).to_string()));
        assert_eq!(
            (answer.status(), whole(&elb).1),
            (200, was.clone()),
            "version {number}: {}",
            answer.text()
        );
    }
}
