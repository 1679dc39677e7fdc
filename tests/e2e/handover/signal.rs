//! The upgrade by a signal: which program is started, what a service manager is told, and sockets that come from one.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Meeting, answers, says};
use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch, program};
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::wait::{self, PATIENCE};
use crate::support::websocket::{ACCEPTED, frame, handshake, payload};

/// A process that ELB has started, which ends with the test.
pub(super) struct Next(pub(super) u32);

impl Next {
    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.0)]).status();
        assert!(sent.is_ok_and(|status| status.success()), "signal {name} was not sent");
    }

    fn runs(&self) -> bool {
        let state = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        state.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        let _ = Command::new("sh").args(["-c", &format!("kill -KILL {} 2>&1", self.0)]).output();
    }
}

/// The number behind `process=` in the `nth` line that says this.
#[track_caller]
pub(super) fn process(elb: &Elb, words: &str, nth: usize) -> u32 {
    wait::until(words, || {
        let log = elb.log();
        let line = log.lines().filter(|line| line.contains(words)).nth(nth)?;
        line.split("process=").nth(1)?.split(' ').next()?.parse().ok()
    })
}

/// A path by which ELB is called, and which may lead to another program later.
pub(super) struct Link(PathBuf);

impl Link {
    pub(super) fn within(folder: &Path) -> Link {
        let link = Link(folder.join("elb"));
        link.leads_to_elb();
        link
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn leads_to_elb(&self) {
        let _ = fs::remove_file(&self.0);
        std::os::unix::fs::symlink(program(), &self.0).expect("a link");
    }

    pub(super) fn leads_to(&self, script: &str) {
        let file = self.0.with_extension("script");
        executable(&file, &format!("#!/bin/sh\n{script}\n"));
        let _ = fs::remove_file(&self.0);
        std::os::unix::fs::symlink(&file, &self.0).expect("a link");
    }
}

/// Writes a program, by another process: while this one has the file open, a child that another thread starts has it as well, and a program
/// that is open for writing cannot be started.
fn executable(path: &Path, text: &str) {
    let write = "printf %s \"$2\" > \"$1\" && chmod 755 \"$1\"";
    let written = Command::new("sh").args(["-c", write, "sh"]).arg(path).arg(text).status();
    assert!(written.is_ok_and(|status| status.success()), "{} was not written", path.display());
}

/// What a service manager hears, in order.
pub(super) struct Manager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Manager {
    pub(super) fn new() -> Manager {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        Manager { socket, folder }
    }

    pub(super) fn address(&self) -> String {
        self.folder.path().join("notify").display().to_string()
    }

    /// The next line that says which process is the main one, or that one is ready or ends.
    #[track_caller]
    fn next(&self) -> String {
        let mut room = [0; 4096];
        loop {
            let length = self.socket.recv(&mut room).expect("something to be told");
            let told = String::from_utf8_lossy(&room[..length]).into_owned();
            let is_one =
                |line: &&str| ["MAINPID=", "READY=", "STOPPING="].iter().any(|begin| line.starts_with(begin));
            let lines: Vec<&str> = told.lines().filter(is_one).collect();
            if !lines.is_empty() {
                return lines.join(" ");
            }
        }
    }
}

#[test]
fn a_signal_starts_the_next_one_which_the_service_manager_is_told_of_while_a_websocket_stays_open() {
    let (manager, server) = (Manager::new(), Server::named("a"));
    let tunnel = Server::start(|talk| {
        talk.request()?;
        talk.send(ACCEPTED)?;
        loop {
            let message = payload(|length| talk.bytes(length))?;
            talk.send(frame(&message, false))?;
        }
    });
    let meeting = Meeting::serving(serde_json::json!({
        "domains": {SITE: rules::to("up"), "tunnel.test": rules::to("tunnel")},
        "upstreams": {"up": rules::upstream(&[&server], ""), "tunnel": rules::upstream(&[&tunnel], "")}}));
    let mut elb = meeting.launch().variable("NOTIFY_SOCKET", &manager.address()).start();
    assert_eq!(manager.next(), "READY=1");
    let mut socket = elb.client();
    socket.send(handshake("tunnel.test"));
    assert_eq!(socket.head().status(), 101);
    let mut echo = |text: &[u8]| {
        socket.send(frame(text, true));
        assert_eq!(payload(|length| Ok::<_, ()>(socket.bytes(length))).as_deref(), Ok(text));
    };
    echo(b"before");

    elb.signal("USR2");
    let next = Next(process(&elb, "started the next ELB", 0));
    let main = format!("MAINPID={}", next.0);
    let told = [manager.next(), manager.next()];
    assert!(told.contains(&main) && told.contains(&format!("{main} READY=1")), "{told:?}");
    says(&elb, "handed over: the next ELB serves");
    assert_eq!(answers(elb.address(), 20), vec!["a"; 20]);
    echo(b"between");
    assert!(elb.runs(), "it waits for its websocket");

    next.signal("USR2");
    let last = Next(process(&elb, "started the next ELB", 1));
    wait::until("the second to hand over", || {
        (elb.log().matches("handed over: the next ELB serves").count() == 2).then_some(())
    });
    wait::until("the second to end", || (!next.runs()).then_some(()));
    assert_eq!(answers(elb.address(), 20), vec!["a"; 20]);
    echo(b"after");
    drop(socket);
    assert_eq!(elb.exit().code(), Some(0));
    last.signal("TERM");
    wait::until("the last one to end", || (!last.runs()).then_some(()));
    wait::until("the path to be free", || (!meeting.path().exists()).then_some(()));
}

#[test]
fn without_a_place_the_signal_does_nothing() {
    let server = Server::named("a");
    let elb = Elb::before(&[&server]);
    elb.signal("USR2");
    says(&elb, "SIGUSR2 does nothing without --handover");
    assert_eq!(answers(elb.address(), 2), ["a", "a"]);
}

#[test]
fn sockets_of_a_service_manager_are_listened_on_and_handed_over() {
    let server = Server::named("a");
    let passed = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = passed.local_addr().expect("an address");
    // Who connects before ELB is there waits.
    let mut early = Client::connect(address);
    early.send(get(SITE, "/"));
    let meeting = Meeting::before(&server);
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("manager");
    let text = "#!/bin/sh\nexec 3<&0 </dev/null\nLISTEN_FDS=1 LISTEN_FDNAMES=http LISTEN_PID=$$ exec \"$ELB_UNDER_TEST\" \"$@\"\n";
    executable(&script, text);
    let launch = Launch::bare(&["--no-pin", &format!("--listen={address}")]).workers(3).flag(&meeting.flag());
    let store = folder.path().join("elb.json");
    fs::write(&store, rules::site(&[&server]).to_string()).expect("a file");
    let launch = launch.flag(&format!("--store=file:{}", store.display()));
    let mut elb = launch.through(&script, Stdio::from(OwnedFd::from(passed))).start();
    assert_eq!(early.response().text(), "a");
    assert_eq!(answers(address, 20), vec!["a"; 20]);
    says(&elb, "1 listening sockets come from the service manager");

    elb.signal("USR2");
    let next = Next(process(&elb, "started the next ELB", 0));
    says(&elb, "handed over: the next ELB serves");
    assert_eq!(elb.exit().code(), Some(0));
    assert_eq!(answers(address, 20), vec!["a"; 20]);
    assert_eq!(
        elb.log().matches("come from the service manager").count(),
        1,
        "the second time from the first"
    );
    drop(next);
}
