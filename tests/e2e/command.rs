//! The command line: what it checks, what it refuses, what it says of itself.

use std::fs;
use std::process::ExitStatus;

use serde_json::{Value, json};

use crate::support::elb::Launch;
use crate::support::rules;
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
fn the_start_prints_the_settings_without_the_secrets() {
    let launch = Launch::serving(&json!({"domains": {}, "upstreams": {}}));
    let elb = launch.variable("ELB_ADMIN_TOKEN", "hunter2").variable("ELB_SERVER_TIMEOUT", "17s").start();
    assert!(elb.log().contains("17s"), "the effective settings:\n{}", elb.log());
    assert!(!elb.log().contains("hunter2"));
}
