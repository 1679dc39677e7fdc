//! `elb migrate-v2`: from a real etcd's v2 API, filled by HTTP as its clients did, to the v3 API of another.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::support::client::get;
use crate::support::elb::Launch;
use crate::support::etcd::{Etcd, Mode};
use crate::support::etcdctl::{etcd, etcd_in};
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::wait;

in_each_mode! {
    what_v2_has_is_copied_once_and_what_cannot_be_is_named
}

/// An etcd with the v2 API.
fn old() -> Etcd {
    Etcd::start_with(Mode::Plain, &["--enable-v2=true"]).expect("an etcd; tools/test installs it")
}

/// Says something to it and gives the answer as it came.
fn said(etcd: &Etcd, request: &str) -> String {
    let mut stream = TcpStream::connect(etcd.address()).expect("etcd");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// Puts a key as a client of the v2 API does.
fn put(etcd: &Etcd, key: &str, value: &str, more: &str) {
    let body = format!("value={}{more}", utf8_percent_encode(value, NON_ALPHANUMERIC));
    let answer = said(
        etcd,
        &format!(
            "PUT /v2/keys{key} HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
}

fn command(from: &str, to: &Etcd, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elb"));
    command.args(["migrate-v2", "--from", from, "--to", &to.endpoint()]).args(to.flags()).args(words);
    command
}

/// The exit code, what it printed, and what it complained of.
fn ended(output: &Output) -> (Option<i32>, String, String) {
    let [printed, complained] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    (output.status.code(), printed, complained)
}

fn migrated(from: &Etcd, to: &Etcd, words: &[&str]) -> (Option<i32>, String, String) {
    ended(&command(&from.endpoint(), to, words).output().expect("the command elb"))
}

fn what_v2_has_is_copied_once_and_what_cannot_be_is_named(mode: Mode) {
    let (from, to, server) = (old(), etcd_in(mode), Server::named("a"));
    let rules = rules::to("up").to_string();
    put(&from, &format!("/ELB/rules/{SITE}"), &rules, "");
    // More than a transaction takes, and more than etcd answers in one piece.
    for number in 0..130 {
        put(&from, &format!("/ELB/rules/d{number:03}.test"), &rules, "");
    }
    put(&from, &format!("/ELB/upstreams/up/{}", server.address()), "weight=2", "");
    let raw =
        said(&from, "GET /v2/keys/ELB?recursive=true HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\n\r\n");
    assert!(raw.to_ascii_lowercase().contains("transfer-encoding: chunked"), "{}", &raw[..300]);

    let (code, told, _) = migrated(&from, &to, &["--dry-run"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.starts_with("would be written: upstreams/up/127.0.0.1:"), "upstreams come first: {told}");
    assert!(told.ends_with("132 keys of v2: 132 would be written, 0 there already, 0 left\n"), "{told}");
    assert_eq!(to.keys("/ELB/").len(), 0, "it was said that nothing is written");

    let whole = (Some(0), "132 keys of v2: 132 written, 0 there already, 0 left\n".to_owned(), String::new());
    assert_eq!(migrated(&from, &to, &[]), whole);
    let keys = to.keys("/ELB/");
    let (code, told, _) = migrated(&from, &to, &[]);
    assert_eq!((code, told.as_str()), (Some(0), "132 keys of v2: 0 written, 132 there already, 0 left\n"));
    assert_eq!(to.keys("/ELB/"), keys);
    let elb = Launch::storing(&to).start();
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a", "what was copied serves");

    // What is faulty is never written, whatever is said; what is otherwise in v3 is if that is meant.
    to.put("/ELB/rules/d000.test", "{}");
    put(&from, "/ELB/rules/bad.test", r#"{"init": "r9", "rules": {}}"#, "");
    put(&from, "/ELB/upstreams/up/10.0.0.1:80", "weight=heavy", "");
    put(&from, "/ELB/upstreams/up/10.0.0.2:80", "", "&ttl=3600");
    put(&from, "/ELB/notes", "somebody's", "");
    let (code, told, _) = migrated(&from, &to, &[]);
    assert_eq!(code, Some(1), "{told}");
    for line in [
        "left: rules/bad.test: it is faulty: /init: there is no rule r9\n",
        "left: upstreams/up/10.0.0.1:80: it is faulty: ",
        "left: upstreams/up/10.0.0.2:80: it ends by itself in 3",
        "left: rules/d000.test: v3 has it with another value; --force writes over it\n",
        "135 keys of v2: 0 written, 131 there already, 4 left; beside them 1 key of others\n",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
    assert_eq!(to.ctl(&["get", "--print-value-only", "/ELB/rules/d000.test"]).trim(), "{}");
    let (code, told, _) = migrated(&from, &to, &["--force"]);
    assert!(
        code == Some(1)
            && told.ends_with("1 written, 131 there already, 3 left; beside them 1 key of others\n"),
        "{told}"
    );
    assert_eq!(to.keys("/ELB/rules/").len(), keys.iter().filter(|(key, _)| key.contains("/rules/")).count());
}

#[test]
fn what_cannot_be_read_or_written_ends_with_2_and_says_why() {
    let (from, to) = (old(), etcd());
    let (code, _, told) = migrated(&from, &to, &[]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.ends_with("there is no key /ELB; --name says which there is\n"), "{told}");
    // etcd 3.4 has no v2 unless it is told to.
    let (code, _, told) = migrated(&to, &to, &[]);
    assert!(code == Some(2) && told.contains("--enable-v2=true"), "{told}");
    put(&from, "/edge/rules/a.test", &rules::to("up").to_string(), "");
    let mut gone = etcd();
    gone.stop();
    let (code, _, told) = migrated(&from, &gone, &["--name", "edge"]);
    assert!(code == Some(2) && told.contains("etcd cannot be read: ") && told.contains("refused"), "{told}");
    let (code, _, told) = migrated(&gone, &to, &[]);
    assert!(code == Some(2) && told.contains("it does not answer: "), "{told}");
    // Where v3 is, and who one is there, is told as to `elb` itself.
    let mut by_variables = Command::new(env!("CARGO_BIN_EXE_elb"));
    by_variables
        .args(["migrate-v2", "--from", &from.address()])
        .env("ETCD", to.address())
        .env("ELBNAME", "edge");
    let (code, told, complained) = ended(&by_variables.output().expect("elb"));
    assert_eq!(
        (code, told.as_str()),
        (Some(0), "1 key of v2: 1 written, 0 there already, 0 left\n"),
        "{complained}"
    );
    assert_eq!(to.keys("/edge/rules/").len(), 1);
    let (code, _, told) = ended(&by_variables.env("ELB_ETCD_CA", "/nowhere/ca.pem").output().expect("elb"));
    assert!(code == Some(78) && told.contains("cannot read /nowhere/ca.pem"), "{told}");
}

#[test]
fn who_may_only_read_copies_nothing() {
    let (from, to) = (old(), etcd_in(Mode::Auth));
    for words in [
        "role add reader",
        "role grant-permission reader read /ELB/rules/ /ELB/upstreams0",
        "user add reader:pw",
        "user grant-role reader reader",
    ] {
        to.ctl(&words.split(' ').collect::<Vec<_>>());
    }
    put(&from, "/ELB/rules/a.test", &rules::to("up").to_string(), "");
    let password = to.file("pw", "pw");
    let password = format!("--etcd-password-file={}", password.display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_elb"));
    command.args([
        "migrate-v2",
        "--from",
        &from.endpoint(),
        "--to",
        &to.endpoint(),
        "--etcd-user=reader",
        &password,
    ]);
    command.args(to.flags().first());
    let (code, told, complained) = ended(&command.output().expect("elb"));
    assert_eq!(code, Some(2), "{told}{complained}");
    assert_eq!(told, "1 key of v2: 0 written, 0 there already, 1 left\n");
    let why = "error: etcd cannot be written: the user reader may not write below /ELB/ in etcd (permission denied)\n";
    assert_eq!(complained, why);
}

/// Answers every request with this tree of v2, in chunks of odd sizes.
fn answering(tree: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a request");
                head.push(byte[0]);
            }
            let mut answer = String::from("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for chunk in tree.as_bytes().chunks(4093) {
                let chunk = std::str::from_utf8(chunk).expect("ASCII");
                write!(answer, "{:x}\r\n{chunk}\r\n", chunk.len()).expect("a string");
            }
            answer.push_str("0\r\n\r\n");
            stream.write_all(answer.as_bytes()).expect("an answer");
        }
    });
    format!("http://{address}")
}

#[test]
fn told_to_end_it_ends_between_two_transactions_and_goes_on_the_next_time() {
    const COUNT: usize = 6_000;
    let servers: Vec<String> = (0..COUNT)
        .map(|number| {
            let (high, low) = (number / 250, number % 250);
            format!(r#"{{"key":"/ELB/upstreams/up/10.0.{high}.{low}:80","value":""}}"#)
        })
        .collect();
    let nodes = servers.join(",");
    let from =
        answering(format!(r#"{{"action":"get","node":{{"key":"/ELB","dir":true,"nodes":[{nodes}]}}}}"#));
    let mut to = etcd();
    // A machine that is fast enough copies all of it before it can be told to end; then it is done once more.
    let mut tries = 0;
    let (told, complained) = loop {
        tries += 1;
        assert!(tries <= 5, "it has always ended before it was told to");
        let mut running = command(&from, &to, &[]);
        let running = running.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command elb");
        let is_begun = || to.ctl(&["get", "--prefix", "--keys-only", "--limit=1", "/ELB/"]).contains("/ELB/");
        wait::until("the first keys", || is_begun().then_some(()));
        // Nothing is written while it is told to end, but what is under way.
        to.pause();
        let sent = Command::new("sh").args(["-c", &format!("kill -INT {}", running.id())]).status();
        assert!(sent.is_ok_and(|status| status.success()));
        to.resume();
        let (code, told, complained) = ended(&running.wait_with_output().expect("its end"));
        if code == Some(1) {
            break (told, complained);
        }
        assert!(told.contains(" 0 left"), "{code:?} {told}{complained}");
        to.wipe();
    };
    assert!(told.contains("told to end before ") && complained.is_empty(), "{told}{complained}");
    let written = told.split(" written").next().and_then(|head| head.rsplit(' ').next());
    let written: usize = written.and_then(|written| written.parse().ok()).expect("a number");
    assert_eq!(to.keys("/ELB/").len(), written, "{told}");
    assert!(written < COUNT && written.is_multiple_of(120), "{told}");
    let (code, told, _) = ended(&command(&from, &to, &[]).output().expect("the command elb"));
    assert_eq!(code, Some(0), "{told}");
    let sum = format!("{COUNT} keys of v2: {} written, {written} there already, 0 left\n", COUNT - written);
    assert_eq!(told, sum);
}
