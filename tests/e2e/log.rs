//! Whoever reads the log, or what is printed, can neither end ELB nor hold it up.

use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::wait;

/// More lines than wait for a reader that stands still: the queue's 1024, and what the rest of a pipe takes.
const FLOOD: usize = 1500;

/// Everything that ELB is for, while its log is in trouble: traffic, the API, and an end when it is told to.
fn serves_and_ends(mut elb: Elb) {
    for _ in 0..3 {
        assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
        // Each is a line of the log, and so is each refusal of the API, which strangers can bring about.
        elb.signal("HUP");
        assert!(elb.admin().get("domain").is_object());
    }
    elb.signal("TERM");
    assert_eq!(elb.exit().code(), Some(0));
}

/// Has ELB write more lines than it can keep.
fn flood(elb: &Elb) {
    let admin = elb.admin();
    for round in 0..FLOOD {
        // Each new version is a line at this level.
        admin.put("domain", &json!({"flood.test": rules::to(&format!("127.0.0.1:{}", round + 1))}));
    }
}

/// A pipe that is nearly full already.
fn narrow() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    writer.write_all(&[b'\n'; 60 << 10]).expect("room for 64 KiB");
    (reader, writer)
}

fn full() -> File {
    File::options().write(true).open("/dev/full").expect("/dev/full")
}

/// A pipe whose reader is gone.
fn closed() -> PipeWriter {
    io::pipe().expect("a pipe").1
}

#[test]
fn a_log_on_a_full_disk_ends_nothing() {
    let server = Server::named("a");
    serves_and_ends(Launch::serving(&rules::site(&[&server])).logs_to(full()).start_unheard());
}

#[test]
fn a_log_whose_reader_went_away_ends_nothing() {
    let server = Server::named("a");
    serves_and_ends(Launch::serving(&rules::site(&[&server])).logs_to(closed()).start_unheard());
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up_and_tells_later_what_is_missing() {
    let server = Server::named("a");
    let (reader, writer) = narrow();
    let launch = Launch::serving(&rules::site(&[&server])).flag("--log-level=debug");
    let elb = launch.logs_to(writer).start_unheard();
    flood(&elb);

    let mut lines = BufReader::new(reader).lines();
    let told = lines.find_map(|line| {
        let line = line.expect("a line");
        line.contains("lines of the log are missing here").then_some(line)
    });
    let told = told.expect("the word that lines are missing");
    let number = told.split_once("WARN ").and_then(|(_, rest)| rest.split(' ').next());
    let number: usize = number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{told}"));
    assert!((1..FLOOD * 2).contains(&number), "{told}");
    // From here on it is read again, to the end.
    let rest = std::thread::spawn(move || lines.map_while(Result::ok).last());
    serves_and_ends(elb);
    assert!(rest.join().expect("the reader").is_some_and(|last| last.contains("stopped")), "the last line");
}

#[test]
fn a_log_that_nobody_reads_does_not_hold_the_end() {
    let server = Server::named("a");
    let (_reader, writer) = narrow();
    let launch = Launch::serving(&rules::site(&[&server])).flag("--log-level=debug");
    let elb = launch.logs_to(writer).start_unheard();
    flood(&elb);
    serves_and_ends(elb);
}

fn object(line: &str) -> Value {
    let read: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    for name in ["timestamp", "level", "message"] {
        assert!(read[name].is_string(), "{line}");
    }
    read
}

#[test]
fn lines_of_json_are_json_whatever_happens() {
    let server = Server::named("a");
    let launch = Launch::serving(&rules::site(&[&server])).flag("--log-format=json");
    let mut elb = launch.start();
    elb.admin().put("upstream", &json!({"\"up\"\n{}": {"127.0.0.1:1": ""}}));
    let long = "x".repeat(20_000);
    elb.admin().with("Authorization: Bearer x").put("upstream", &json!({long: {"127.0.0.1:1": ""}}));
    elb.signal("TERM");
    assert_eq!(elb.exit().code(), Some(0));
    let (_, log) = wait::until("its log to be gathered", || elb.said_all());
    let lines: Vec<Value> = log.lines().map(object).collect();
    let changes: Vec<&Value> =
        lines.iter().filter(|line| line["message"] == "configuration changed").collect();
    let fields = &changes[1]["fields"];
    assert_eq!(
        (&fields["version"], &fields["+upstreams"], &fields["via"]),
        (&json!(2), &json!(1), &json!("api"))
    );
    assert_eq!(fields["names"], r#"\"up\"\u{a}{}"#);
    assert!(log.lines().all(|line| line.len() < 8192), "{log}");
    assert_eq!(lines.last().map(|line| &line["message"]), Some(&json!("stopped")));

    // Nor does one that says what is missing look otherwise.
    let (reader, writer) = narrow();
    let launch =
        Launch::serving(&rules::site(&[&server])).flag("--log-level=debug").flag("--log-format=json");
    let elb = launch.logs_to(writer).start_unheard();
    flood(&elb);
    let mut lines =
        BufReader::new(reader).lines().map(|line| line.expect("a line")).filter(|line| !line.is_empty());
    let told = lines
        .find(|line| object(line)["message"].as_str().is_some_and(|text| text.contains("are missing here")));
    assert!(told.is_some(), "the word that lines are missing");
    let rest = std::thread::spawn(move || lines.for_each(|line| drop(object(&line))));
    serves_and_ends(elb);
    rest.join().expect("the reader");
}

#[test]
fn lines_for_the_journal_have_a_priority_and_no_time_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    let server = Server::named("a");
    let run = |named: &dyn Fn(&std::fs::Metadata) -> String| {
        let file = File::create(&path).expect("a file");
        let stream = named(&file.metadata().expect("what it is"));
        let launch = Launch::serving(&rules::site(&[&server])).variable("JOURNAL_STREAM", &stream);
        let mut elb = launch.logs_to(file).start_unheard();
        elb.admin().delete("upstream", &json!(["up"]));
        elb.signal("TERM");
        assert_eq!(elb.exit().code(), Some(0));
        std::fs::read_to_string(&path).expect("the log")
    };
    let log = run(&|it| format!("{}:{}", it.dev(), it.ino()));
    for line in [
        "<6>INFO listening on 127.0.0.1:",
        "<6>INFO configuration changed version=2 who=127.0.0.1 via=api -upstreams=1 names=up digest=",
        "<4>WARN 1 unsaved changes end with this process: they were never dumped",
        "<6>INFO stopped",
    ] {
        assert!(log.lines().any(|found| found.starts_with(line)), "{line} in\n{log}");
    }
    assert!(log.lines().all(|line| line.starts_with("<6>") || line.starts_with("<4>")), "{log}");
    let log = run(&|it| format!("{}:{}", it.dev(), it.ino() + 1));
    assert!(log.lines().all(|line| line.contains("Z  INFO ") || line.contains("Z  WARN ")), "{log}");
}

#[test]
fn what_is_printed_may_go_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let (good, bad) = (file("good", r#"{"domains": {}}"#), file("bad", "{"));
    for (flags, codes) in [
        (&["--help"][..], [0, 0]),
        (&["--version"], [0, 0]),
        (&["--no-such-flag"], [2, 2]),
        (&["--admin-token-file=no such file"], [78, 78]),
        // To a reader that went away everything was said; what a full disk did not take is lost.
        (&["check", &good], [0, 1]),
        (&["check", &bad], [1, 1]),
        (&["check", "no such file"], [1, 1]),
        (&["demo", "--listen=192.0.2.1:1"], [1, 1]),
    ] {
        let gone = Launch::bare(flags).prints_to(closed()).logs_to(closed()).spawn().exit();
        assert_eq!(gone.code(), Some(codes[0]), "{flags:?} to a closed pipe: {gone}");
        let full = Launch::bare(flags).prints_to(full()).logs_to(full()).spawn().exit();
        assert_eq!(full.code(), Some(codes[1]), "{flags:?} to a full disk: {full}");
    }
}

#[test]
fn a_demo_that_nobody_sees_serves() {
    let mut demo =
        Launch::bare(&["demo", "--listen=127.0.0.1:0"]).prints_to(closed()).logs_to(full()).start_unheard();
    // Its two sample servers listen as well, and any of the three answers.
    assert_eq!(demo.client().ask(get("127.0.0.1", "/")).status(), 200);
    demo.signal("TERM");
    assert_eq!(demo.exit().code(), Some(0));
}
