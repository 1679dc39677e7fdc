//! `elb top`: one table for a script, and a screen that is given back.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::json;

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::skip::skipped;
use crate::support::wait;

/// Gives a program a terminal; a part of util-linux.
const SCRIPT: &str = "script";

fn top(elb: &Elb, flags: &[&str], token: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elb"));
    command.args(["top", "--once", "--api", &elb.address().to_string()]).args(flags);
    command.env("ELB_ADMIN_TOKEN", token).output().expect("the command elb")
}

fn printed(elb: &Elb, flags: &[&str]) -> String {
    let output = top(elb, flags, "s3cret");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn serving(server: &Server) -> Elb {
    let mut document = rules::site(&[server]);
    document["upstreams"]["up"]["127.0.0.1:9"] = json!("down");
    document["domains"]["other.test"] = rules::to("up");
    Launch::serving(&document).variable("ELB_ADMIN_TOKEN", "s3cret").start()
}

#[test]
fn one_table_is_printed_of_what_has_just_happened() {
    let server = Server::named("a");
    let elb = serving(&server);
    for _ in 0..5 {
        assert_eq!(elb.client().ask(get(SITE, "/")).status(), 200);
    }
    let text = wait::until("the requests", || {
        Some(printed(&elb, &[])).filter(|text| !text.contains("requests 0/s"))
    });
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("ELB ") && lines[0].ends_with("version 1, 2 of 2 workers  store up"),
        "{text}"
    );
    assert_eq!(lines[3].split_whitespace().collect::<Vec<_>>(), ["DOMAIN", "REQ/S", "ERR/S"]);
    assert!(lines[4].starts_with(SITE) && lines[5].starts_with("other.test"), "{text}");
    assert_eq!(printed(&elb, &["--find", "other"]).lines().count(), 5);
    let text = printed(&elb, &["--view", "servers", "--sort", "name"]);
    assert!(text.lines().any(|line| line.starts_with("up 127.0.0.1:9 ") && line.ends_with("down")), "{text}");
    assert_eq!(printed(&elb, &["--view", "workers"]).lines().count(), 6);
    let refused = top(&elb, &[], "wrong");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("the bearer token is wrong"));
    let piped = Command::new(env!("CARGO_BIN_EXE_elb")).arg("top").output().expect("the command elb");
    assert_eq!(piped.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&piped.stderr).contains("--once"));
}

/// A terminal, which goes with the test: what runs in it is hung up.
struct Terminal(Child);

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn keys_choose_and_the_terminal_is_given_back() {
    let path = std::env::var_os("PATH").expect("a PATH");
    if !std::env::split_paths(&path)
        .any(|folder: std::path::PathBuf| Path::new(&folder).join(SCRIPT).is_file())
    {
        return skipped("elb top on a terminal", "there is no program script on this machine");
    }
    let server = Server::named("a");
    let elb = serving(&server);
    for (number, keys) in ["uq", "u\u{3}"].into_iter().enumerate() {
        let typescript = elb.folder().join(format!("typescript{number}"));
        let command = format!(
            "stty rows 24 cols 100; {} top --api {}; stty -a",
            env!("CARGO_BIN_EXE_elb"),
            elb.address()
        );
        let child = Command::new(SCRIPT)
            .args(["--quiet", "--flush", "--return", "--command", &command])
            .arg(&typescript)
            .env("ELB_ADMIN_TOKEN", "s3cret")
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("a terminal");
        let mut child = Terminal(child);
        let seen = || String::from_utf8_lossy(&std::fs::read(&typescript).unwrap_or_default()).into_owned();
        wait::until("the table", || seen().contains("site.test").then_some(()));
        let mut stdin = child.0.stdin.take().expect("its input");
        let mut letters = keys.chars();
        stdin.write_all(letters.next().expect("a key").to_string().as_bytes()).expect("a terminal");
        stdin.flush().expect("a terminal");
        wait::until("upstreams", || seen().contains("UPSTREAM").then_some(()));
        stdin.write_all(letters.as_str().as_bytes()).expect("a terminal");
        stdin.flush().expect("a terminal");
        let status = wait::until("the end", || child.0.try_wait().expect("a child"));
        assert!(status.success(), "{}", seen());
        let seen = seen();
        let (during, after) = seen.rsplit_once("\u{1b}[?1049l").expect("the screen is left");
        assert!(during.contains("\u{1b}[?1049h") && during.contains("1/2"), "{during}");
        assert!(after.contains(" icanon") && after.contains(" echo "), "{after}");
    }
}
