//! The command line: what it checks, what it refuses, what it says of itself.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::process::ExitStatus;

use serde_json::{Value, json};

use crate::support::client::{Client, get};
use crate::support::elb::Launch;
use crate::support::rules;
use crate::support::skip::skipped;
use crate::support::wait;

/// Runs the command to its end: how it ended, what it printed, what it complained of.
fn run(flags: &[&str], variables: &[(&str, &str)]) -> (ExitStatus, String, String) {
    let launch =
        variables.iter().fold(Launch::bare(flags), |launch, (name, value)| launch.variable(name, value));
    let mut elb = launch.spawn();
    let status = elb.exit();
    let said = wait::until("its output to be gathered", || elb.said_all());
    (status, said.0, said.1)
}

fn check(document: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rules.json");
    fs::write(&file, document).expect("a file");
    let (status, printed, complained) = run(&["check", &file.display().to_string()], &[]);
    (status.code(), printed + &complained)
}

#[test]
fn check_is_silent_about_nothing_and_exits_0_for_a_good_file() {
    let good: Value = json!({
        "domains": {"localhost": rules::readme("up1", "up2")},
        "upstreams": {"up1": {"127.0.0.1:8088": ""}, "up2": {"127.0.0.1:8089": "max_fails=2 weight=10"}}});
    assert_eq!(check(&good.to_string()).0, Some(0));
}

#[test]
fn check_fails_for_a_warning_only_if_it_is_to_be_strict() {
    let document = json!({"domains": {"a.test": rules::to("web")}, "upstreams": {"up": {"127.0.0.1:1": ""}}});
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rules.json");
    fs::write(&file, document.to_string()).expect("a file");
    let file = file.display().to_string();
    let (status, said, _) = run(&["check", &file], &[]);
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(
        said.contains("warning: /domains/a.test/rules/") && said.contains("[unknown-upstream]"),
        "{said}"
    );
    let (status, said, _) = run(&["check", "--strict", &file], &[]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.ends_with(": 1 domain, 1 upstream: not good enough for --strict, 1 warning\n"), "{said}");
    let (status, said, _) = run(&["check", "--strict", "--json", &file], &[]);
    let told: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(
        (status.code(), &told["warnings"][0]["code"]),
        (Some(1), &json!("unknown-upstream")),
        "{said}"
    );
}

#[test]
fn check_points_to_each_fault_and_exits_1() {
    let (code, said) = check(
        r#"{"domains": {
            "a.test": {"rules": {}},
            "b.test": {"init": "r1", "rules": {"r1": {"type": "ua", "args": {"pattern": "(", "succ": "r1"}}}},
            "c~d.test": {"init": "r1", "rules": {"r1": {"type": "novel", "args": {}}}}},
           "upstreams": {"up": {"127.0.0.1:1": "wait=10", "127.0.0.1:2": "weight=0"}}}"#,
    );
    assert_eq!(code, Some(1), "{said}");
    for pointer in [
        "/domains/a.test",
        "/domains/b.test/rules/r1",
        "/domains/c~0d.test/rules/r1/type",
        "/upstreams/up/127.0.0.1:1",
        "/upstreams/up/127.0.0.1:2",
    ] {
        assert!(said.contains(pointer), "nothing points to {pointer}:\n{said}");
    }
    assert!(said.contains("wait"), "the unknown parameter is named:\n{said}");
}

#[test]
fn check_of_what_is_not_json_or_not_there_exits_1() {
    assert_eq!(check("{").0, Some(1));
    assert_eq!(run(&["check", "no such file"], &[]).0.code(), Some(1));
}

#[test]
fn an_unknown_flag_or_a_bad_value_exits_2_and_names_the_fault() {
    for (flags, variables, named) in [
        (&["--lisen=127.0.0.1:0"][..], &[][..], "--lisen"),
        (&["--workers=many"], &[], "many"),
        (&["--keepalive-timeout=soon"], &[], "soon"),
        (&[], &[("ELB_MAX_BODY", "huge")], "huge"),
        (&["--store=cloud"], &[], "cloud"),
        (&["--cpus=1000"], &[], "names core 1000, where ELB may not run; it may on "),
        (&["--listen=localhost:0"], &[], "127.0.0.1:0"),
        (&["paint"], &[], "paint"),
    ] {
        let (status, _, complained) = run(flags, variables);
        assert_eq!(status.code(), Some(2), "{flags:?} {variables:?}: {complained}");
        assert!(complained.contains(named), "{complained}");
    }
}

#[test]
fn an_address_that_is_taken_is_told_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let (status, _, complained) = run(&[&format!("--listen={address}"), "--store=file:none.json"], &[]);
    assert!(!status.success());
    assert!(complained.contains(&address), "{complained}");
}

#[test]
fn help_names_every_flag_and_its_variable() {
    let (status, printed, _) = run(&["--help"], &[]);
    assert!(status.success());
    for word in ["--listen", "ELB_LISTEN", "ELBNAME", "ETCD", "STATSD", "--drain-timeout", "check", "demo"] {
        assert!(printed.contains(word), "--help says nothing of {word}");
    }
}

#[test]
fn a_variable_with_a_slip_in_its_name_is_warned_of_and_does_not_stop_the_start() {
    let launch = Launch::serving(&json!({"domains": {}, "upstreams": {}}));
    let elb = launch.variable("ELB_SERVER_TIMEOUTS", "17s").start();
    let warned =
        "there is no variable ELB_SERVER_TIMEOUTS, and it does nothing; is ELB_SERVER_TIMEOUT meant?";
    assert!(elb.log().contains(warned), "{}", elb.log());
}

#[test]
fn a_port_alone_is_all_of_ipv4() {
    let elb = Launch::bare(&["--listen=:0", "--no-pin", "--store=file:none.json"]).start();
    let address = elb.address();
    assert!(address.ip().is_unspecified() && address.is_ipv4(), "{address}");
    let mut client = Client::connect((Ipv4Addr::LOCALHOST, address.port()).into());
    assert_eq!(client.ask(get("any.test", "/")).status(), 404);
}

#[test]
fn the_address_of_all_is_that_of_ipv6_alone_for_data_and_admin() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return skipped("the address of all IPv6 is not tested", "this machine has no IPv6");
    }
    // The same two ports of IPv4 belong to somebody else, who does not share them.
    let others = [0, 1].map(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port"));
    let [data, admin] = others.each_ref().map(|other| other.local_addr().expect("its address").port());
    let launch = Launch::bare(&["--no-pin", "--store=file:none.json", &format!("--listen=[::]:{data}")]);
    let elb = launch.flag(&format!("--admin-listen=[::]:{admin}")).start();
    assert_eq!(elb.address(), (Ipv6Addr::UNSPECIFIED, data).into());
    for port in [data, admin] {
        let mut client = Client::connect((Ipv6Addr::LOCALHOST, port).into());
        assert_eq!(client.ask(get("localhost", "/")).status(), 404, "{port}");
    }
}

#[test]
fn the_start_prints_the_settings_without_the_secrets() {
    // etcd is asked at a port where nobody is, so that the log tells of failures as well, to the last detail.
    let launch =
        Launch::bare(&["--listen=127.0.0.1:0", "--no-pin", "--etcd=127.0.0.1:1", "--log-level=trace"]);
    let secrets =
        [("ELB_ADMIN_TOKEN", "hunter2"), ("ELB_ETCD_USER", "root"), ("ELB_ETCD_PASSWORD", "hunter2")];
    let launch = secrets.iter().fold(launch.workers(2), |launch, (name, value)| launch.variable(name, value));
    let elb = launch.variable("ELB_SERVER_TIMEOUT", "17s").start();
    for part in [
        &format!("ELB {}", env!("CARGO_PKG_VERSION")),
        "listen on 127.0.0.1:0",
        "workers: 2",
        "store: etcd http://127.0.0.1:1 as root, keys under /ELB/",
        "with a token",
        "silence 17s",
    ] {
        assert!(elb.log().contains(part), "{part} in the log:\n{}", elb.log());
    }
    // Whoever guesses is told of, and what was guessed is not.
    let guess = elb.admin().with("Authorization: Bearer hunter3").call("PUT", "dump", Some(""));
    assert!([401, 403].contains(&guess.status()), "{}", guess.status());
    let told = elb.admin().with("Authorization: Bearer hunter2").get("domain");
    assert_eq!(told, json!({}));
    let own = format!("listening on {}", elb.address());
    wait::until("the whole start to be told", || elb.log().contains(&own).then_some(()));
    assert!(!elb.log().contains("hunter"), "{}", elb.log());
}
