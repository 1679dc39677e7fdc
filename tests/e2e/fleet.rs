//! Several ELBs on one etcd: they serve the same after each change, and each of them can say whether all do, who does not, and why.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::etcd::{Etcd, Mode};
use crate::support::etcdctl::{Writer, etcd, etcd_in};
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::wait;

in_each_mode! {
    two_on_one_etcd_converge_after_each_change_and_the_command_says_so
    after_an_outage_and_after_its_key_was_lost_a_node_is_there_again
}

/// An ELB of this id, which is missed after two seconds.
fn node(etcd: &Etcd, id: &str) -> Elb {
    let flags = [format!("--node-id={id}"), "--node-ttl=2s".to_owned(), format!("--advertise={id}.test:80")];
    flags.iter().fold(Launch::storing(etcd), |launch, flag| launch.flag(flag)).start()
}

fn fill(etcd: &Etcd, servers: &[&Server]) {
    for server in servers {
        etcd.put(&format!("/ELB/upstreams/up/{}", server.address()), "");
    }
    etcd.put(&format!("/ELB/rules/{SITE}"), &rules::to("up").to_string());
}

fn fleet(elb: &Elb) -> Value {
    elb.admin().get("fleet")
}

/// Waits until that many are there and serve the same; gives the digest.
#[track_caller]
fn converged(elb: &Elb, count: usize) -> String {
    wait::until("the fleet to converge", || {
        let told = fleet(elb);
        (told["all"] == count && told["converged"] == true)
            .then(|| told["digest"].as_str().expect("a digest").to_owned())
    })
}

/// Why this one lags, once it does.
#[track_caller]
fn lags(elb: &Elb, id: &str) -> String {
    wait::until("a node to lag", || {
        let told = fleet(elb);
        let node = told["nodes"].as_array()?.iter().find(|node| node["id"] == id)?;
        assert_eq!(
            told["converged"],
            node["lags"].is_null() && told["lagging"] == 0 && told["why"].is_null(),
            "{told}"
        );
        node["lags"].as_str().map(str::to_owned)
    })
}

fn asked(elb: &Elb, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elb"));
    command.args(["fleet", "--api", &elb.address().to_string()]).args(words);
    command.output().expect("the command elb")
}

fn said(output: &Output) -> (Option<i32>, String) {
    let [told, complained] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    (output.status.code(), told + &complained)
}

fn two_on_one_etcd_converge_after_each_change_and_the_command_says_so(mode: Mode) {
    let (etcd, server) = (etcd_in(mode), Server::named("a"));
    fill(&etcd, &[&server]);
    let (one, two) = (node(&etcd, "one"), node(&etcd, "two"));
    let mut digests = vec![converged(&one, 2)];
    let told = fleet(&two);
    let row = &told["nodes"][0];
    assert_eq!(
        (&told["node"], &row["id"], &row["address"]),
        (&json!("two"), &json!("one"), &json!("one.test:80"))
    );
    assert_eq!(
        (&row["unsaved"], &row["health"]["ready"], &row["elb"]),
        (&json!(0), &json!(true), &json!(env!("CARGO_PKG_VERSION")))
    );
    for number in 0..if mode == Mode::Plain { 10 } else { 4 } {
        let put = etcd.ctl(&[
            "put",
            "-w",
            "json",
            &format!("/ELB/rules/d{number}.test"),
            &rules::to("up").to_string(),
        ]);
        let put: Value = serde_json::from_str(&put).expect("JSON");
        let revision = put["header"]["revision"].to_string();
        let (code, told) =
            said(&asked(&one, &["--wait", "newest", "--revision", &revision, "--timeout", "20s"]));
        assert_eq!(code, Some(0), "{told}");
        assert!(told.starts_with("converged: 2 nodes on "), "{told}");
        for elb in [&one, &two] {
            assert_eq!(elb.client().ask(get(&format!("d{number}.test"), "/")).text(), "a");
        }
        digests.push(converged(&two, 2));
    }
    let newest = digests.pop().expect("a digest");
    assert!(!digests.contains(&newest), "each change has another digest");
    assert_eq!(said(&asked(&two, &["--wait", &newest[..12], "--timeout", "20s"])).0, Some(0));
    let (code, told) = said(&asked(&two, &["--wait", &digests[3], "--timeout", "0s"]));
    assert_eq!(code, Some(1), "that is over");
    assert!(
        told.starts_with("not converged: 2 of 2 nodes lag behind") && told.contains("\none: serves "),
        "{told}"
    );
    let (_, told) = said(&asked(&two, &["--json"]));
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["nodes"].as_array().map(Vec::len), Some(2));
    let (code, told) = said(
        &Command::new(env!("CARGO_BIN_EXE_elb"))
            .args(["fleet", "--api", "127.0.0.1:1"])
            .output()
            .expect("elb"),
    );
    assert_eq!(code, Some(2), "{told}");
    assert_eq!(said(&asked(&two, &["--wait", "x"])).0, Some(2));
}

#[test]
fn who_has_edits_of_its_own_lags_until_they_are_stored() {
    let (etcd, server) = (etcd(), Server::named("a"));
    fill(&etcd, &[&server]);
    let (one, two) = (node(&etcd, "one"), node(&etcd, "two"));
    let before = converged(&one, 2);
    two.admin().put("domain", &json!({"mine.test": rules::to("up")}));
    let why = lags(&one, "two");
    assert!(why.starts_with("serves ") && why.ends_with("; has 1 unsaved edit"), "{why}");
    let told = fleet(&one);
    assert_eq!((&told["digest"], &told["lagging"]), (&json!(before), &json!(1)), "{told}");
    two.admin().dump();
    assert_ne!(converged(&one, 2), before);
}

#[test]
fn who_has_ended_goes_at_once_and_who_was_killed_when_its_lease_ends() {
    let (etcd, server) = (etcd(), Server::named("a"));
    fill(&etcd, &[&server]);
    let (one, mut two, three) = (node(&etcd, "one"), node(&etcd, "two"), node(&etcd, "three"));
    converged(&one, 3);
    two.signal("TERM");
    assert!(two.exit().success());
    assert_eq!(etcd.keys("/ELB/@nodes/").len(), 2, "it has taken its key along");
    converged(&one, 2);
    drop(three); // which kills it
    converged(&one, 1);
    // Whoever comes again under its name is there again.
    let _again = node(&etcd, "three");
    converged(&one, 2);
}

#[test]
fn a_node_that_does_not_take_a_change_is_named() {
    let (etcd, server) = (etcd(), Server::named("a"));
    fill(&etcd, &[&server]);
    let one = node(&etcd, "one");
    // Its lease outlives the time in which it stands still.
    let two = Launch::storing(&etcd).flag("--node-id=two").flag("--node-ttl=1h").start();
    converged(&one, 2);
    two.signal("STOP");
    etcd.put("/ELB/rules/new.test", &rules::to("up").to_string());
    let why = lags(&one, "two");
    assert!(why.starts_with("serves ") && why.contains(" up to revision "), "{why}");
    let (code, told) = said(&asked(&one, &["--wait", "newest", "--timeout", "1s"]));
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.starts_with("not converged: 1 of 2 nodes lag behind ")
            && told.contains(&format!("\ntwo: {why}\n")),
        "{told}"
    );
    two.signal("CONT");
    converged(&one, 2);
}

#[test]
fn two_of_one_name_do_not_fight_and_the_later_one_says_so() {
    let (etcd, server) = (etcd(), Server::named("a"));
    fill(&etcd, &[&server]);
    let one = node(&etcd, "same");
    converged(&one, 1);
    let two = node(&etcd, "same");
    let why = wait::until("the second one to see the first", || {
        let told = fleet(&two);
        told["why"].as_str().filter(|why| why.contains("another process keeps its id")).map(str::to_owned)
    });
    assert!(why.contains("\"same.test:80\"") && why.contains("--node-id"), "{why}");
    assert!(two.log().contains("another process keeps /ELB/@nodes/same in etcd"), "{}", two.log());
    assert_eq!(fleet(&two)["converged"], false, "it is not seen");
    assert_eq!((converged(&one, 1).is_empty(), etcd.keys("/ELB/@nodes/").len()), (false, 1));
    drop(one);
    converged(&two, 1);
}

fn after_an_outage_and_after_its_key_was_lost_a_node_is_there_again(mode: Mode) {
    let (mut etcd, server) = (etcd_in(mode), Server::named("a"));
    fill(&etcd, &[&server]);
    let (one, two) = (node(&etcd, "one"), node(&etcd, "two"));
    converged(&one, 2);
    etcd.stop();
    let why = wait::until("the outage to be told", || {
        let told = fleet(&one);
        told["why"].as_str().filter(|why| why.contains("cannot be")).map(str::to_owned)
    });
    assert!(
        why.starts_with("the other nodes cannot be read: ") || why.starts_with("this node cannot be kept"),
        "{why}"
    );
    let (code, told) = said(&asked(&one, &[]));
    assert_eq!((code, told.contains("\nnote: ")), (Some(1), true), "{told}");
    etcd.restart();
    converged(&one, 2);
    etcd.wipe();
    fill(&etcd, &[&server]);
    converged(&two, 2);
    // Somebody takes all keys away, and gives those back that are known to be his.
    Writer::to(&etcd).write(&[("/ELB/@nodes/one".to_owned(), None)]);
    etcd.put("/ELB/rules/new.test", &rules::to("up").to_string());
    converged(&two, 2);
}

#[test]
fn who_may_only_read_serves_and_says_once_that_others_do_not_see_it() {
    let (etcd, server) = (etcd(), Server::named("a"));
    fill(&etcd, &[&server]);
    for words in [
        "role add reader",
        "role grant-permission reader read /ELB/ /ELB0",
        "user add elb:pw",
        "user grant-role elb reader",
        "user add root:pw",
        "user grant-role root root",
        "auth enable",
    ] {
        etcd.ctl(&words.split(' ').collect::<Vec<_>>());
    }
    let launch = Launch::storing(&etcd).flag("--etcd-user=elb");
    let elb = launch.variable("ELB_ETCD_PASSWORD", "pw").start();
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
    let told = wait::until("the refusal", || {
        let told = fleet(&elb);
        told["why"].as_str().is_some_and(|why| why.contains("permission denied")).then_some(told)
    });
    assert_eq!((&told["converged"], &told["all"], &told["lagging"]), (&json!(false), &json!(1), &json!(0)));
    let (code, told) = said(&asked(&elb, &[]));
    assert!(code == Some(1) && told.starts_with("not known: 1 node on "), "{told}");
    let refused = "the user elb may not write /ELB/@nodes/";
    assert_eq!(elb.log().matches("this node cannot be kept in etcd").count(), 1, "{}", elb.log());
    assert!(elb.log().contains(refused), "{}", elb.log());

    // What it is told serves, and only a dump says that it cannot be kept.
    elb.admin().put("domain", &json!({"mine.test": rules::to("up")}));
    assert_eq!(elb.client().ask(get("mine.test", "/")).text(), "a");
    let dump = elb.admin().call("PUT", "dump", Some(""));
    let told = dump.json();
    assert_eq!((dump.status(), &told["code"]), (503, &json!("store-failed")), "{told}");
    let why =
        "the store did not take the dump: the user elb may not write below /ELB/ in etcd (permission denied)";
    assert!(told["error"].as_str().is_some_and(|error| error.starts_with(why)), "{told}");
}
