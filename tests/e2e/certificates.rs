//! Certificates in etcd: shown as they come, sealed, written by the API and never given out, and kept over a restart without etcd.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::etcd::certificates::Signed;
use crate::support::etcd::{Etcd, Mode};
use crate::support::etcdctl::{etcd, etcd_in};
use crate::support::folder::{Folder, SECURE, secure};
use crate::support::message::Message;
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::wait;

const SEAL: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
const NEWER: &str = "HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";

/// An etcd with a site, an authority, and a folder for what ELB keeps.
struct House {
    etcd: Etcd,
    folder: Folder,
}

impl House {
    fn new(server: &Server) -> House {
        House::within(etcd(), server)
    }

    fn within(etcd: Etcd, server: &Server) -> House {
        etcd.put(&format!("/ELB/rules/{SITE}"), &rules::to("up").to_string());
        etcd.put(&format!("/ELB/upstreams/up/{}", server.address()), "");
        House { etcd, folder: Folder::empty() }
    }

    fn launch(&self) -> Launch {
        Launch::storing(&self.etcd).listener(SECURE)
    }

    fn sealing(&self, keys: &str) -> Launch {
        self.launch().flag(&format!("--certs-key={}", self.folder.file("seal", keys).display()))
    }

    /// A certificate for these names as the API takes it, and as etcd has it.
    fn given(&self, names: &[&str]) -> Value {
        let Signed { certificate, key } = self.folder.authority.sign(names);
        json!({"certificate": certificate, "key": key})
    }

    fn put(&self, name: &str, value: &str) {
        self.etcd.put(&format!("/ELB/certs/{name}"), value);
    }

    /// What is kept in etcd of one.
    fn kept(&self, name: &str) -> String {
        self.etcd.keys(&format!("/ELB/certs/{name}")).pop().map_or(String::new(), |(_, value)| value)
    }

    /// Whether a client that asks for this name is shown a certificate for it.
    fn shows(&self, elb: &Elb, name: &str) -> bool {
        let answer = self.folder.trust().connect(secure(elb), name).try_ask(get(name, "/"));
        answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 "))
    }

    fn wait_for(&self, elb: &Elb, name: &str) {
        wait::until(name, || self.shows(elb, name).then_some(()));
    }
}

fn call(elb: &Elb, method: &str, word: &str, body: &Value) -> Message {
    elb.admin().call(method, word, Some(&body.to_string()))
}

/// What the list says of one, and nothing if it is not on it.
fn row(elb: &Elb, name: &str) -> Value {
    let all = elb.admin().get("certificate")["certificates"].clone();
    all.as_array().into_iter().flatten().find(|row| row["name"] == name).cloned().unwrap_or_default()
}

fn alarm(elb: &Elb) -> String {
    let alarms = elb.admin().get("status")["alarms"].clone();
    let alarms = alarms.as_array().cloned().unwrap_or_default();
    let of_certificates = |alarm: &Value| alarm["code"] == "certificates-unusable";
    alarms.into_iter().find(of_certificates).map_or(String::new(), |alarm| alarm["message"].to_string())
}

#[test]
fn what_is_put_into_etcd_is_shown_and_what_cannot_be_used_is_set_aside() {
    let server = Server::named("a");
    let house = House::new(&server);
    let elb = house.launch().start();
    assert!(!house.shows(&elb, SITE), "there is none yet");
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a", "the plain port is not disturbed");
    house.put("site", &house.given(&[SITE]).to_string());
    house.wait_for(&elb, SITE);
    let mut before = house.folder.trust().connect(secure(&elb), SITE);
    assert!(before.ask(get(SITE, "/")).ends_with("a"));

    house.put("default", &house.given(&["default.test"]).to_string());
    house.wait_for(&elb, "default.test");
    let good = house.kept("site");
    house.put("site", "{\"certificate\": \"none\"}");
    wait::until("the alarm", || alarm(&elb).contains("certs/site in etcd cannot be used").then_some(()));
    assert!(house.shows(&elb, SITE), "the last good one");
    assert!(row(&elb, "site")["error"].as_str().unwrap().contains("has no key"), "{}", row(&elb, "site"));
    house.put("site", &good);
    wait::until("its end", || alarm(&elb).is_empty().then_some(()));
    assert_eq!(row(&elb, "site")["error"], Value::Null);

    house.etcd.delete("/ELB/certs/site");
    wait::until("the deletion", || (!house.shows(&elb, SITE)).then_some(()));
    assert!(before.ask(get(SITE, "/")).ends_with("a"), "a session goes on");
    assert_eq!(row(&elb, "site"), Value::Null);
}

#[test]
fn the_api_writes_a_key_that_it_never_gives_out_again() {
    let server = Server::named("a");
    let house = House::new(&server);
    let (elb, other) = (house.sealing(SEAL).start(), house.sealing(&format!("{NEWER}{SEAL}")).start());
    let blind = house.launch().start();
    let given = json!({"site": house.given(&[SITE]), "wild": house.given(&["*.wild.test"])});
    let answer = call(&elb, "PUT", "certificate", &given);
    assert_eq!((answer.status(), answer.text().trim()), (200, r#"{"msg":"OK"}"#));
    assert!(answer.head.get("X-ELB-Revision").is_some_and(|revision| revision.parse::<i64>().is_ok()));
    for name in [SITE, "one.wild.test"] {
        house.wait_for(&elb, name);
        house.wait_for(&other, name);
    }
    let secret = given["site"]["key"].as_str().unwrap().lines().nth(1).unwrap();
    let kept = house.kept("site");
    assert!(kept.contains("sealed_key") && !kept.contains("PRIVATE") && !kept.contains(secret), "{kept}");
    for word in ["certificate", "certificate/site", "config", "status", "history", "rejected", "metrics"] {
        let told = elb.admin().call("GET", word, None).text();
        assert!(
            !told.contains("PRIVATE KEY") && !told.contains("sealed_key") && !told.contains(secret),
            "{told}"
        );
    }
    assert!(elb.log().contains("certificates put: \"site\", \"wild\" revision="), "{}", elb.log());
    assert!(!elb.log().contains(secret) && !elb.log().contains("BEGIN"));
    let shown = row(&elb, "site");
    assert_eq!(
        (&shown["origin"], &shown["names"], &shown["kind"], &shown["sealed"], &shown["until"]),
        (&json!("etcd"), &json!([SITE]), &json!("ECDSA"), &json!(true), &json!("4096-12-31T00:00:00.000Z"))
    );
    assert_eq!(shown["fingerprint"].as_str().map(str::len), Some(64));
    // Who cannot open it says so, and shows nothing.
    wait::until("the alarm", || alarm(&blind).contains("there is no --certs-key").then_some(()));
    assert!(!house.shows(&blind, SITE));

    // One alone, by a newer key, replaced and deleted.
    let answer = call(&other, "PUT", "certificate/site", &house.given(&[SITE, "more.test"]));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    house.wait_for(&other, "more.test");
    wait::until("who has the older key alone", || alarm(&elb).contains("by another key").then_some(()));
    assert!(house.shows(&elb, SITE), "the last good one is shown on");
    assert_eq!(elb.admin().call("DELETE", "certificate/nobody", None).status(), 404);
    let answer = call(&elb, "DELETE", "certificate", &json!(["site", "nobody"]));
    assert!(answer.status() == 200 && answer.text().contains("not-there"), "{}", answer.text());
    for elb in [&elb, &other] {
        wait::until("the deletion", || (!house.shows(elb, SITE)).then_some(()));
    }
    assert_eq!(house.kept("site"), "");
}

#[test]
fn files_go_into_etcd_by_a_command() {
    let server = Server::named("a");
    let house = House::new(&server);
    let elb = house.sealing(SEAL).start();
    let Signed { certificate, key } = house.folder.authority.sign(&[SITE]);
    let (certificate, key) =
        (house.folder.file("site.crt", &certificate), house.folder.file("site.key", &key));
    let ctl = |words: &[&str]| {
        let api = elb.address().to_string();
        let words = [&["ctl", "--api", &api, "certificate"], words].concat();
        let output = Command::new(env!("CARGO_BIN_EXE_elb")).args(words).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let [certificate, key] = [&certificate, &key].map(|path| path.to_str().unwrap());
    assert_eq!(ctl(&["ls"]), (Some(0), "no client is shown a certificate\n".to_owned()));
    assert_eq!(ctl(&["put", "shop/1", certificate, key]), (Some(0), "OK\n".to_owned()));
    house.wait_for(&elb, SITE);
    let (code, told) = ctl(&["ls"]);
    let row: Vec<&str> = told.lines().nth(1).unwrap().split_whitespace().collect();
    let expected = ["shop/1", "etcd", "ECDSA,", "sealed", "4096-12-31T00:00:00.000Z", SITE, "-"];
    assert_eq!((code, row), (Some(0), expected.to_vec()), "{told}");
    let (code, told) = ctl(&["put", "other", key, certificate]);
    assert!(code == Some(1) && told.contains("is not PEM"), "{told}");
    let (code, told) = ctl(&["put", "other", "/nowhere.crt", key]);
    assert!(code == Some(1) && told.contains("cannot read /nowhere.crt"), "{told}");
    assert_eq!(ctl(&["rm", "shop/1"]), (Some(0), "OK\n".to_owned()));
    let (code, told) = ctl(&["rm", "shop/1"]);
    assert!(code == Some(1) && told.contains("no such certificate"), "{told}");
    wait::until("the deletion", || (!house.shows(&elb, SITE)).then_some(()));
}

#[test]
fn what_is_wrong_is_refused_whole_with_its_place() {
    let server = Server::named("a");
    let house = House::new(&server);
    let elb = house.launch().start();
    let good = house.given(&[SITE]);
    let (certificate, key) = (&good["certificate"], &good["key"]);
    let other = house.given(&[SITE])["key"].clone();
    for (given, pointer, told) in [
        (json!({"a": good, "b": {"certificate": certificate, "key": other}}), "/b/key", "does not fit"),
        (json!({"a": good, "b/c": {"certificate": "x", "key": key}}), "/b~1c/certificate", "is not PEM"),
        (json!({"a": {"certificate": certificate}}), "/a", "has no key"),
        (json!({"a": {"certificate": certificate, "key": key, "password": "x"}}), "/a", "password"),
        (json!({"a": {"certificate": certificate, "sealed_key": "v1:AAAA"}}), "/a/sealed_key", "--certs-key"),
        (json!({"@a": good}), "/@a", "name"),
        (json!({"a": null}), "/a", "must be an object"),
        (json!([]), "", "an object is expected"),
        ((0..101).map(|n| (n.to_string(), good.clone())).collect(), "", "100 at once are the most"),
    ] {
        let answer = call(&elb, "PUT", "certificate", &given);
        let body = answer.json();
        assert_eq!((answer.status(), &body["pointer"]), (400, &json!(pointer)), "{body}");
        assert!(body["error"].as_str().unwrap().contains(told), "{body}");
    }
    let answer = call(&elb, "PUT", "certificate/a", &json!({"certificate": certificate, "key": "none"}));
    assert_eq!((answer.status(), &answer.json()["pointer"]), (400, &json!("/key")), "{}", answer.text());
    assert_eq!(call(&elb, "PUT", "certificate?dump=1", &json!({})).status(), 400, "there is no draft of one");
    let strict =
        elb.admin().with("If-Match: \"1\"").call("PUT", "certificate", Some(&json!({"a": good}).to_string()));
    assert!(strict.status() == 400 && strict.text().contains("no ETag"), "{}", strict.text());
    assert!(house.etcd.keys("/ELB/certs/").is_empty());
    assert_eq!(call(&elb, "PUT", "certificate", &json!({})).status(), 200, "nothing is done");

    // In the clear it is kept where nobody said otherwise, and that is told.
    let answer = call(&elb, "PUT", "certificate", &json!({"a": good}));
    assert!(answer.status() == 200 && answer.text().contains("key-in-clear"), "{}", answer.text());
    assert!(house.kept("a").contains("BEGIN PRIVATE KEY"));
}

#[test]
fn without_etcd_there_is_the_folder_and_with_both_the_folder_comes_first() {
    let server = Server::named("a");
    let house = House::new(&server);
    house.folder.put("here", &house.folder.authority.sign(&[SITE]));
    let alone = house.folder.launch(&rules::site(&[&server])).start();
    let answer = call(&alone, "PUT", "certificate", &json!({"a": house.given(&[SITE])}));
    assert_eq!((answer.status(), &answer.json()["code"]), (409, &json!("no-etcd")));
    assert_eq!(
        (&row(&alone, "here")["origin"], &row(&alone, "here")["sealed"]),
        (&json!("folder"), &Value::Null)
    );

    house.put("there", &house.given(&[SITE, "there.test"]).to_string());
    let both = house.launch().flag(&house.folder.flag()).start();
    house.wait_for(&both, "there.test");
    let mut shown = house.folder.trust().connect(secure(&both), SITE);
    assert!(shown.ask(get(SITE, "/")).ends_with("a"));
    let of_folder = row(&both, "here")["fingerprint"].clone();
    assert_eq!(json!(fingerprint(&shown.shown())), of_folder);
}

fn fingerprint(certificate: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_start_without_etcd_and_an_etcd_that_was_wiped_take_no_certificate_away() {
    let server = Server::named("a");
    let mut house = House::new(&server);
    let state = house.folder.path().join("state.json");
    let launch =
        |house: &House| house.sealing(SEAL).flag(&format!("--state-file={}", state.display())).start();
    let mut elb = launch(&house);
    assert_eq!(call(&elb, "PUT", "certificate", &json!({"site": house.given(&[SITE])})).status(), 200);
    let beside = Path::new(&format!("{}.certificates", state.display())).to_owned();
    wait::until("the files", || {
        let holds = |path: &Path, text| std::fs::read_to_string(path).is_ok_and(|all| all.contains(text));
        (holds(&beside, "sealed_key") && holds(&state, SITE)).then_some(())
    });
    elb.signal("TERM");
    elb.exit();

    house.etcd.stop();
    let mut elb = launch(&house);
    assert!(house.shows(&elb, SITE));
    house.etcd.wipe();
    wait::until("the alarm", || alarm(&elb).contains("etcd has no certificates any more").then_some(()));
    assert!(house.shows(&elb, SITE));
    assert_eq!(row(&elb, "site")["sealed"], json!(true));
    // That it is meant is said by a deletion.
    let answer = call(&elb, "DELETE", "certificate", &json!(["site"]));
    assert!(answer.status() == 200 && answer.text().contains("not-there"), "{}", answer.text());
    wait::until("the deletion", || (!house.shows(&elb, SITE)).then_some(()));
    elb.signal("TERM");
    elb.exit();
}

#[test]
fn who_may_not_read_them_is_told_so_and_serves_all_else() {
    let server = Server::named("a");
    // The user of this mode may read and write rules and upstreams, and nodes.
    let house = House::within(etcd_in(Mode::Auth), &server);
    house.put("site", &house.given(&[SITE]).to_string());
    let narrow = house.launch().start();
    assert_eq!(narrow.client().ask(get(SITE, "/")).text(), "a");
    let told = wait::until("the alarm", || Some(alarm(&narrow)).filter(|told| !told.is_empty()));
    assert!(told.contains("may not read /ELB/certs/"), "{told}");
    let answer = call(&narrow, "PUT", "certificate", &json!({"a": house.given(&[SITE])}));
    assert!(answer.status() == 503 && answer.text().contains("permission denied"), "{}", answer.text());
    house.etcd.ctl(&["role", "grant-permission", "elb", "readwrite", "/ELB/certs/", "/ELB/upstreams0"]);
    assert!(house.shows(&house.launch().start(), SITE), "who may is shown all");
    narrow.signal("HUP");
    house.wait_for(&narrow, SITE);
    wait::until("the end of the alarm", || alarm(&narrow).is_empty().then_some(()));
}

#[test]
fn keys_that_seal_are_checked_at_the_start() {
    let server = Server::named("a");
    let house = House::new(&server);
    for (keys, why) in [("", "there is no key in it"), ("short\n", "line 1 is not 32 bytes in base64")] {
        let mut elb = house.sealing(keys).spawn();
        assert_eq!(elb.exit().code(), Some(78));
        assert!(elb.log().contains(why), "{}", elb.log());
    }
}
