//! `elb ctl`: what a shell says, what is printed, and how it ends; completions and manual pages.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::Server;

/// A shell that talks to one ELB.
struct Shell<'a> {
    elb: &'a Elb,
    editor: Option<&'a Path>,
}

impl Shell<'_> {
    fn run(&self, words: &[&str], input: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_elb"));
        command.args(["ctl", "--api", &self.elb.address().to_string()]).args(words);
        command.env_remove("VISUAL").env_remove("EDITOR");
        if let Some(editor) = self.editor {
            command.env("EDITOR", editor);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command elb");
        // One that does not read ends before it is told everything.
        let _ = child.stdin.take().expect("its standard input").write_all(input.as_bytes());
        child.wait_with_output().expect("its output")
    }

    /// What is printed by a command that does what it should.
    #[track_caller]
    fn says(&self, words: &[&str], input: &str) -> String {
        let output = self.run(words, input);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// What is said by one that does not, and its exit code.
    #[track_caller]
    fn fails(&self, words: &[&str], input: &str) -> (i32, String) {
        let output = self.run(words, input);
        assert!(!output.status.success(), "{words:?}: {}", text(&output.stdout));
        (output.status.code().expect("an exit code"), text(&output.stderr))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn cells(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn domains_and_upstreams_are_listed_put_read_and_removed() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let elb = Launch::serving(&rules::site(&[&a])).start();
    let shell = Shell { elb: &elb, editor: None };
    let address = b.address().to_string();

    assert_eq!(
        shell.says(&["upstream", "put", "other"], &json!({(&address): "weight=3"}).to_string()),
        "OK\n"
    );
    assert_eq!(shell.says(&["domain", "put", "b.test"], &rules::to("other").to_string()), "OK\n");
    assert_eq!(elb.client().ask(get("b.test", "/")).text(), "b");

    let table = shell.says(&["domain", "ls"], "");
    let rows = cells(&table);
    assert_eq!((rows[0][0], rows.len()), ("DOMAIN", 3), "{table}");
    assert!(rows.iter().any(|row| row[0] == "b.test" && row.last() == Some(&"other")), "{table}");
    assert_eq!(cells(&shell.says(&["domain", "ls", "b.te"], "")).len(), 2);
    let listed: Value = serde_json::from_str(&shell.says(&["--json", "upstream", "ls"], "")).expect("JSON");
    assert_eq!(listed["other"][0]["weight"], 3);
    let got: Value = serde_json::from_str(&shell.says(&["domain", "get", "b.test"], "")).expect("JSON");
    assert_eq!(got, rules::to("other"));

    let (code, told) = shell.fails(&["domain", "get", "no.test"], "");
    assert!(code == 1 && told.contains("answers 404"), "{told}");
    let fault = r#"{"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": 5}}, "s": {"type": "nothing"}}}"#;
    let (code, told) = shell.fails(&["domain", "put", "b.test"], fault);
    assert!(code == 1 && told.contains("/rules/r/args/servername: ") && told.lines().count() > 1, "{told}");

    assert_eq!(shell.says(&["domain", "rm", "b.test", SITE], ""), "OK\n");
    assert_eq!(cells(&shell.says(&["domain", "ls"], "")).len(), 1);
}

#[test]
fn a_server_is_drained_weighed_and_brought_back_and_keeps_the_rest() {
    let a = Server::named("a");
    let mut document = rules::site(&[&a]);
    document["upstreams"]["up"]["127.0.0.1:9"] = json!("weight=2 max_fails=7 fail_timeout=10 down");
    let elb = Launch::serving(&document).start();
    let shell = Shell { elb: &elb, editor: None };
    let now = || shell.says(&["--json", "upstream", "get", "up"], "");
    for (words, becomes) in [
        (vec!["drain"], "weight=2 max_fails=7 fail_timeout=10 drain"),
        (vec!["up"], "weight=2 max_fails=7 fail_timeout=10"),
        (vec!["weight", "9"], "weight=9 max_fails=7 fail_timeout=10"),
        (vec!["down"], "weight=9 max_fails=7 fail_timeout=10 down"),
    ] {
        let mut all = vec!["server", words[0], "up", "127.0.0.1:9"];
        all.extend(&words[1..]);
        assert_eq!(shell.says(&all, ""), "OK\n");
        assert!(now().contains(&format!("\"{becomes}\"")), "{}", now());
    }
    let table = shell.says(&["servers", "up"], "");
    assert!(cells(&table).iter().any(|row| row[1] == "127.0.0.1:9" && row[3] == "down"), "{table}");
    let table = shell.says(&["upstream", "ls"], "");
    assert!(table.contains("127.0.0.1:9 down"), "{table}");
    assert_eq!(shell.fails(&["server", "drain", "up", "127.0.0.1:8"], "").0, 1);
}

#[test]
fn the_whole_is_compared_applied_and_taken_back() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let elb = Launch::serving(&rules::site(&[&a])).start();
    let shell = Shell { elb: &elb, editor: None };
    let was = shell.says(&["config", "get"], "");
    assert_eq!(shell.run(&["config", "diff", "-"], &was).status.code(), Some(0), "it is the same");

    let wanted = rules::site(&[&b]).to_string();
    let differs = shell.run(&["config", "diff", "-"], &wanted);
    assert_eq!(differs.status.code(), Some(1));
    let told = text(&differs.stdout);
    assert!(
        told.contains("~ /upstreams/up\n") && told.contains("upstreams: 0 added, 0 removed, 1 changed"),
        "{told}"
    );
    assert!(shell.says(&["config", "apply", "-", "--dry-run"], &wanted).contains("~ /upstreams/up"));
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");

    assert_eq!(shell.says(&["config", "apply", "-"], &wanted), "OK\n");
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "b");
    let table = shell.says(&["history"], "");
    let rows = cells(&table);
    assert!(rows[0][0] == "VERSION" && rows[1].join(" ").ends_with("~1 upstreams: up"), "{table}");
    let version: u64 = rows[1][0].parse().expect("a version");
    assert!(shell.says(&["history", rows[1][0]], "").contains("~ /upstreams/up\n"));
    assert_eq!(shell.says(&["rollback", &(version - 1).to_string()], ""), "OK\n");
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
    assert_eq!(
        shell.says(&["config", "get", "--version", &version.to_string()], ""),
        shell.says(&["config", "get", "--version", rows[1][4]], "")
    );

    let status = shell.says(&["status"], "");
    assert!(status.lines().any(|line| line.starts_with("configuration.version ")), "{status}");
    assert_eq!(shell.says(&["rejected"], ""), "no key is rejected\n");
    assert!(shell.says(&["dump"], "").contains("OK"));
    let told: Value =
        serde_json::from_str(&shell.says(&["--json", "call", "get", "stats?limit=1"], "")).expect("JSON");
    assert_eq!(told["elb"], env!("CARGO_PKG_VERSION"));
    assert!(shell.says(&["fleet"], "").contains("1 node"));
}

/// An editor that appends a line to a protocol of what it was shown, and replaces the text by that of a file.
fn editor(folder: &Path, texts: &[&str]) -> std::path::PathBuf {
    for (at, text) in texts.iter().enumerate() {
        fs::write(folder.join(format!("text{at}")), text).expect("a text");
    }
    let script = folder.join("editor");
    let folder = folder.display();
    let lines = format!(
        "#!/bin/sh\nn=$(ls {folder}/seen* 2>/dev/null | wc -l)\ncp \"$1\" {folder}/seen$n\ncat {folder}/text$n > \"$1\"\n"
    );
    fs::write(&script, lines).expect("an editor");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("an editor that runs");
    script
}

#[test]
fn an_editor_gets_the_text_back_with_its_faults_above_their_lines() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).start();
    let folder = tempfile::tempdir().expect("a folder");
    let bad = "{\n\"init\": \"r\",\n\"rules\": {\n\"r\": {\"type\": \"backend\", \"args\":\n{\"servername\": 5}}}}\n";
    let good = rules::to("127.0.0.1:9").to_string();
    let editor = editor(folder.path(), &["{", bad, &good]);
    let shell = Shell { elb: &elb, editor: Some(&editor) };
    assert_eq!(shell.says(&["domain", "edit", SITE], ""), "OK\n");
    let seen =
        |at: usize| fs::read_to_string(folder.path().join(format!("seen{at}"))).expect("what was shown");
    assert_eq!(serde_json::from_str::<Value>(&seen(0)).expect("JSON"), rules::to("up"));
    assert!(seen(1).starts_with("# ELB: EOF while parsing"), "{}", seen(1));
    let third = seen(2);
    let lines: Vec<&str> = third.lines().collect();
    assert!(
        lines[4].starts_with("# ELB: /rules/r/args/servername: ") && lines[5].contains("servername"),
        "{third}"
    );
    assert_eq!(elb.admin().get(&format!("domain/{SITE}")), rules::to("127.0.0.1:9"));
}

#[test]
fn a_new_one_is_not_written_over_another_that_was_made_meanwhile() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).start();
    let folder = tempfile::tempdir().expect("a folder");
    let editor = editor(folder.path(), &[&rules::to("late").to_string()]);
    // While the editor is open, somebody else makes the same name.
    let (api, rules) = (elb.address(), rules::to("early"));
    let put = format!("{} ctl --api {api} domain put new.test -", env!("CARGO_BIN_EXE_elb"));
    let script = fs::read_to_string(&editor).expect("the editor");
    fs::write(&editor, format!("{script}echo '{rules}' | {put} || exit 9\n")).expect("the editor");
    let shell = Shell { elb: &elb, editor: Some(&editor) };
    let (code, said) = shell.fails(&["domain", "edit", "new.test"], "");
    assert!(code == 1 && said.contains("changed meanwhile"), "{said}");
    assert_eq!(elb.admin().get("domain/new.test"), rules);
}

#[test]
fn an_editor_that_changes_nothing_or_fails_changes_nothing() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).start();
    let said = |editor: &str, words: &[&str]| {
        let shell = Shell { elb: &elb, editor: Some(Path::new(editor)) };
        shell.run(words, "")
    };
    let untouched = said("true", &["upstream", "edit", "up"]);
    assert_eq!(
        (untouched.status.code(), text(&untouched.stdout)),
        (Some(0), "nothing is changed\n".to_owned())
    );
    let failed = said("false", &["upstream", "edit", "up"]);
    assert!(failed.status.code() == Some(1) && text(&failed.stderr).contains("nothing is changed"));
}

#[test]
fn nobody_there_is_another_exit_code_than_a_refusal() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let mut command = Command::new(env!("CARGO_BIN_EXE_elb"));
    let output =
        command.args(["ctl", "status", "--api", &free.to_string()]).output().expect("the command elb");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

#[test]
fn shells_and_readers_are_told_of_every_command() {
    let elb = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_elb")).args(words).output().expect("the command elb");
        assert!(output.status.success(), "{words:?}");
        text(&output.stdout)
    };
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(elb(&["completions", shell]).contains("rollback"), "{shell}");
    }
    assert!(elb(&["man"]).contains(".TH"));
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().to_str().expect("a name");
    elb(&["man", "--to", to]);
    for page in ["elb.1", "elb-ctl.1", "elb-ctl-domain-edit.1", "elb-health.1"] {
        let text = fs::read_to_string(folder.path().join(page)).expect(page);
        assert!(text.starts_with(".ie") && text.contains(".TH"), "{page}");
    }
}
