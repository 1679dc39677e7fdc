//! What README and the manual tell to type is typed: every `sh` block, page by page, against the real command.
//!
//! The blocks of a page run from top to bottom in one folder. Before the first one `elb demo` is started, as README says.
//! Behind `sh` a fence may say what is done with it:
//!
//! * `serve`: the one command in it is an ELB that the blocks below speak to, instead of the one before.
//! * `fails`: it must end with a code other than 0.
//! * `by-hand`: it is not run, because it builds, installs or needs another machine. None of these has a `curl`.
//!
//! A fence that follows with `output` is what the block prints: as it is, or as equal JSON. `shape` instead compares the
//! names of the members and what kind of value each has; with `soon` the block is run again until it prints that. Ports
//! are the kernel's: 8080 stands for where the ELB listens, 8443 for its `--listen-tls`, 9090 for its
//! `--admin-listen`.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::elb::{Elb, Launch};
use crate::support::etcd::Etcd;
use crate::support::etcdctl::etcd;
use crate::support::pages::{Fence, Page, pages};
use crate::support::wait;

/// A terminal in which a page is tried out.
struct Terminal {
    folder: TempDir,
    etcd: Option<Etcd>,
    elb: Option<Elb>,
    /// Ports as they are printed, and as they are.
    ports: Vec<(&'static str, String)>,
}

impl Terminal {
    fn before(page: &Page) -> Terminal {
        let folder = tempfile::tempdir().expect("a folder");
        let etcd = page.fences().iter().any(|fence| fence.text.contains("etcdctl ")).then(etcd);
        let terminal = Terminal { folder, etcd, elb: None, ports: Vec::new() };
        terminal.install();
        terminal
    }

    /// Puts `elb` where programs are looked for.
    fn install(&self) {
        std::fs::create_dir(self.folder.path().join("bin")).expect("a folder");
        let elb = std::env::var("ELB_TEST_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_elb").to_owned());
        symlink(elb, self.folder.path().join("bin/elb")).expect("a link");
    }

    fn home(&self) -> &Path {
        self.folder.path()
    }

    /// Starts what a newcomer starts.
    fn demo(&mut self) {
        let demo = Launch::bare(&["demo", "--listen=127.0.0.1:0"]).spawn();
        let guide = wait::until("the guide", || Some(demo.printed()).filter(|text| text.contains("Ctrl-C")));
        let address = guide.split("ELB listens on ").nth(1).and_then(|rest| rest.split(". ").next());
        let port = address.and_then(|address| address.rsplit(':').next()).expect("its port").to_owned();
        self.ports = vec![("8080", port)];
        self.elb = Some(demo);
    }

    /// Starts the ELB of a block: `VARIABLE=value elb --flag value`.
    fn serve(&mut self, block: &str) {
        self.end();
        assert!(!block.contains(['\'', '"', '$']), "words alone, without quotes: {block}");
        let block = block.replace("\\\n", " ");
        let (variables, command): (Vec<&str>, Vec<&str>) =
            block.split_whitespace().partition(|word| word.contains('=') && !word.starts_with('-'));
        let ["elb", flags @ ..] = &command[..] else { panic!("no ELB is started here: {block}") };
        let mut launch = Launch::bare(&["--no-pin"]).within(self.home());
        if !flags.contains(&"--workers") {
            launch = launch.workers(2);
        }
        for flag in flags {
            let flag = flag.replace(":8080", ":0").replace(":8443", ":0").replace(":9090", ":0");
            launch = if flag == "--listen-tls" { launch.listener(&flag) } else { launch.flag(&flag) };
        }
        for (name, value) in variables.into_iter().filter_map(|word| word.split_once('=')) {
            launch = launch.variable(name, value);
        }
        if !flags.contains(&"--listen") {
            launch = launch.flag("--listen=127.0.0.1:0");
        }
        if let Some(etcd) = self.etcd.as_ref().filter(|_| !flags.contains(&"--store")) {
            launch = launch.flag(&format!("--etcd={}", etcd.address()));
        }
        let elb = launch.start();
        self.ports = vec![("8080", elb.address().port().to_string())];
        if flags.contains(&"--listen-tls") {
            self.ports.push(("8443", elb.addresses()[1].port().to_string()));
        }
        if flags.contains(&"--admin-listen") {
            self.ports.push(("9090", elb.admin().address().port().to_string()));
        }
        self.elb = Some(elb);
    }

    /// Types a block, and gives what it printed and whether it went well.
    fn run(&self, block: &str) -> (String, String, bool) {
        let mut block = block.to_owned();
        for (printed, real) in &self.ports {
            block = block.replace(&format!(":{printed}"), &format!(":{real}"));
        }
        let path =
            format!("{}:{}", self.home().join("bin").display(), std::env::var("PATH").expect("a PATH"));
        let etcd = self.etcd.as_ref().map(|etcd| ("ETCDCTL_ENDPOINTS", etcd.address()));
        let output = Command::new("sh")
            .args(["-e", "-c", &block])
            .env_clear()
            .env("PATH", path)
            .envs(etcd)
            .current_dir(self.home())
            .output()
            .expect("a shell");
        let mut printed = String::from_utf8_lossy(&output.stdout).into_owned();
        for (port, real) in &self.ports {
            printed = printed.replace(&format!(":{real}"), &format!(":{port}"));
        }
        (printed, String::from_utf8_lossy(&output.stderr).into_owned(), output.status.success())
    }

    /// Ends the ELB that runs as a person does, so that a demo takes its folder with it.
    fn end(&mut self) {
        if let Some(mut elb) = self.elb.take() {
            elb.signal("INT");
            elb.exit();
        }
    }
}

/// Whether a block printed what stands below it.
fn is_printed(printed: &str, expected: &Fence) -> bool {
    if !expected.is("json") {
        return printed.trim() == expected.text.trim();
    }
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    let (Some(printed), Some(expected_value)) = (read(printed), read(&expected.text)) else { return false };
    if expected.says("shape") { alike(&printed, &expected_value) } else { printed == expected_value }
}

/// Whether two values have the same members, of the same kinds.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let named = |name| one.get(name).zip(other.get(name));
            one.len() == other.len()
                && one.keys().all(|name| named(name).is_some_and(|(one, other)| alike(one, other)))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.iter().zip(other).all(|(one, other)| alike(one, other)) && one.is_empty() == other.is_empty()
        }
        (Value::Null | Value::Number(_), Value::Null | Value::Number(_)) => true,
        _ => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

/// Types every block of a page.
fn try_out(page: &Page) {
    let mut terminal = Terminal::before(page);
    let fences = page.fences();
    for (at, fence) in fences.iter().enumerate().filter(|(_, fence)| fence.is("sh")) {
        let place = format!("{}, the block at line {}", page.path, fence.line);
        if fence.says("by-hand") {
            let has_curl = |line: &str| line.split('#').next().is_some_and(|code| code.contains("curl "));
            assert!(!fence.text.lines().any(has_curl), "{place}: what has a curl is run");
            continue;
        }
        if fence.says("serve") {
            terminal.serve(&fence.text);
            continue;
        }
        if terminal.elb.is_none() {
            terminal.demo();
        }
        let expected = fences.get(at + 1).filter(|next| next.says("output") || next.says("shape"));
        let as_told = |(printed, complained, well): &(String, String, bool)| {
            assert_eq!(*well, !fence.says("fails"), "{place}\n{printed}{complained}");
            match expected {
                Some(expected) => is_printed(printed, expected),
                None => !printed.contains("\"error\""),
            }
        };
        let mut told = terminal.run(&fence.text);
        if expected.is_some_and(|expected| expected.says("soon")) && !as_told(&told) {
            told = wait::until(
                &format!("{place}\nto print what it should; at first it printed\n{}", told.0),
                || Some(terminal.run(&fence.text)).filter(&as_told),
            );
        }
        assert!(as_told(&told), "{place}\nprints\n{}\nand not what the page says", told.0);
    }
    terminal.end();
}

#[test]
fn what_readme_tells_to_type_does_what_it_says() {
    try_out(&Page::read("README.md"));
}

#[test]
fn what_the_manual_tells_to_type_does_what_it_says() {
    let pages = pages();
    std::thread::scope(|scope| {
        for page in pages.iter().filter(|page| page.path.starts_with("src/manual/")) {
            scope.spawn(|| try_out(page));
        }
    });
}

#[test]
fn what_is_printed_otherwise_is_seen() {
    let fence = |words: &str, text: &str| Fence {
        words: words.split(' ').map(str::to_owned).collect(),
        text: text.to_owned(),
        line: 1,
    };
    assert!(is_printed("server 1\n", &fence("text output", "server 1\n")));
    assert!(!is_printed("server 2\n", &fence("text output", "server 1\n")));
    assert!(is_printed("{\"a\":1,\"b\":[]}", &fence("json output", "{\"b\": [], \"a\": 1}")));
    assert!(!is_printed("{\"a\":2}", &fence("json output", "{\"a\": 1}")));
    assert!(is_printed("{\"a\":{\"b\":2}}", &fence("json shape", "{\"a\": {\"b\": 1}}")));
    for printed in ["{\"a\":{}}", "{\"a\":{\"b\":1},\"c\":1}", "{\"a\":{\"b\":\"1\"}}", "[]", "no JSON"] {
        assert!(!is_printed(printed, &fence("json shape", "{\"a\": {\"b\": 1}}")), "{printed}");
    }
    assert!(!alike(&serde_json::json!([]), &serde_json::json!([1])));
}
