//! Whatever goes wrong on the way leaves the old one serving, and it can be tried again.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;

use serde_json::{Value, json};

use super::signal::{Link, Manager, Next, process};
use super::{Meeting, answers, follow, says};
use crate::support::client::get;
use crate::support::elb::{Elb, Launch, program};
use crate::support::rules::SITE;
use crate::support::server::Server;
use crate::support::skip::skipped;
use crate::support::wait::{self, PATIENCE};

/// A process that wants to take over, played by the test.
pub(super) struct Played(UnixStream);

impl Played {
    pub(super) fn knock(meeting: &Meeting) -> Played {
        let stream = UnixStream::connect(meeting.path()).expect("somebody at the place");
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        Played(stream)
    }

    pub(super) fn says(&mut self, message: &Value) {
        let text = message.to_string();
        self.0.write_all(&u32::try_from(text.len()).expect("a length").to_be_bytes()).expect("sending");
        self.0.write_all(text.as_bytes()).expect("sending");
    }

    pub(super) fn says_hello(&mut self) {
        self.says(&json!({"say": "hello", "form": 1, "version": "9.9.9", "process": 4242, "name": "ELB"}));
    }

    /// What it is told next; nothing at the end.
    pub(super) fn hears(&mut self) -> Option<Value> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).ok()?;
        let mut text = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut text).ok()?;
        Some(serde_json::from_slice(&text).expect("a message"))
    }

    /// One that has the sockets, and throws them away: reading without a place for descriptors closes them. Whoever is at it before is
    /// waited for.
    pub(super) fn with_sockets(meeting: &Meeting) -> Played {
        wait::until("the sockets", || {
            let mut new = Played::knock(meeting);
            new.says_hello();
            if new.hears()?["say"] != "offer" {
                return None;
            }
            new.0.read_exact(&mut [0]).ok()?;
            Some(new)
        })
    }
}

fn goes_on(elb: &mut Elb, why: &str) {
    says(elb, &format!("this one goes on serving: {why}"));
    assert_eq!(answers(elb.address(), 10), vec!["a"; 10]);
    assert!(elb.runs());
}

#[test]
fn a_program_that_crashes_or_hangs_is_ended_and_the_next_try_may_succeed() {
    let server = Server::named("a");
    let meeting = Meeting::before(&server);
    let folder = tempfile::tempdir().expect("a folder");
    let link = Link::within(folder.path());
    let mut elb = meeting.launch().flag("--handover-timeout=2s").called(link.path()).start();

    link.leads_to("exit 3");
    elb.signal("USR2");
    goes_on(&mut elb, "it has ended with exit status: 3");

    link.leads_to("exec sleep 1000");
    elb.signal("USR2");
    let hangs = Next(process(&elb, "started the next ELB", 1));
    elb.signal("USR2");
    says(&elb, "no new process is started: another process is taking over already");
    goes_on(&mut elb, "it did not get ready within 2s");
    wait::until("it to be ended", || {
        (!std::path::Path::new(&format!("/proc/{}", hangs.0)).exists()).then_some(())
    });

    link.leads_to_elb();
    elb.signal("USR2");
    let next = Next(process(&elb, "started the next ELB", 2));
    says(&elb, "handed over: the next ELB serves");
    assert_eq!(elb.exit().code(), Some(0));
    assert_eq!(answers(elb.address(), 10), vec!["a"; 10]);
    drop(next);
}

#[test]
fn flags_that_the_next_one_cannot_use_leave_the_old_one_serving() {
    let server = Server::named("a");
    let meeting = Meeting::before(&server);
    let mut elb = meeting.launch().start();
    for (flags, code) in [
        (["--store=file:/proc/version", "--name=ELB"], 1),
        (["--store=file:elb.json", "--name=other"], 75),
        (["--store=file:elb.json", "--workers=0"], 2),
    ] {
        let launch = Launch::bare(&["--listen=127.0.0.1:0", &meeting.flag()]);
        let mut new = flags.iter().fold(launch, |launch, flag| launch.flag(flag)).spawn();
        assert_eq!(new.exit().code(), Some(code), "{flags:?}: {}", new.log());
    }
    goes_on(&mut elb, "");
}

#[test]
fn a_process_that_goes_at_any_step_or_talks_nonsense_changes_nothing() {
    let server = Server::named("a");
    let meeting = Meeting::before(&server);
    let mut elb = meeting.launch().start();
    let knock = || Played::knock(&meeting);
    let steps: [&dyn Fn(); 6] = [
        &|| drop(knock()),
        &|| knock().0.write_all(&[0xff; 4]).expect("sending"),
        &|| knock().says(&json!({"say": "what"})),
        &|| drop(Played::with_sockets(&meeting)),
        &|| Played::with_sockets(&meeting).says(&json!({"say": "ready"})),
        &|| {
            let mut new = Played::with_sockets(&meeting);
            new.says(&json!({"say": "carry"}));
            assert_eq!(new.hears().expect("what is carried")["say"], "carried");
        },
    ];
    for step in steps {
        step();
        assert_eq!(answers(elb.address(), 4), ["a"; 4]);
    }
    let told = ["while it read its configuration", "is not its turn to say", "while it started its workers"];
    told.iter().for_each(|told| drop(says(&elb, told)));
    let new = follow(&elb, meeting.launch());
    assert_eq!(elb.exit().code(), Some(0));
    assert_eq!(answers(new.address(), 4), ["a"; 4]);
}

#[test]
fn a_second_process_and_another_form_are_refused_with_a_reason() {
    let server = Server::named("a");
    let meeting = Meeting::before(&server);
    let mut elb = meeting.launch().start();
    let mut other = Played::knock(&meeting);
    other.says(&json!({"say": "hello", "form": 2, "version": "9.9.9", "process": 1, "name": "ELB"}));
    let refused = other.hears().expect("a word");
    assert_eq!(refused["why"], "the other process speaks form 2 of the hand-over, and this one 1");

    let first = Played::with_sockets(&meeting);
    let mut second = meeting.launch().spawn();
    assert_eq!(second.exit().code(), Some(75));
    assert!(second.log().contains("another process is taking over already"), "{}", second.log());
    drop(first);
    goes_on(&mut elb, "the other process has ended, while it read its configuration");
}

#[test]
fn what_is_at_the_path_and_no_socket_stays_and_ends_the_start() {
    let meeting = Meeting::serving(json!({"domains": {}, "upstreams": {}}));
    fs::write(meeting.path(), "precious").expect("a file");
    let mut elb = meeting.launch().spawn();
    assert_eq!(elb.exit().code(), Some(1));
    let (_, log) = wait::until("its log", || elb.said_all());
    assert!(log.contains("is there and is no socket: --handover needs a path of its own"), "{log}");
    assert_eq!(fs::read_to_string(meeting.path()).expect("the file"), "precious");
}

#[test]
fn a_process_that_was_killed_leaves_nothing_in_the_way() {
    let server = Server::named("a");
    let meeting = Meeting::before(&server);
    let mut elb = meeting.launch().start();
    elb.signal("KILL");
    elb.exit();
    assert!(meeting.path().exists(), "its socket is left");
    let new = meeting.launch().start();
    assert_eq!(answers(new.address(), 4), ["a"; 4]);
    let mode = fs::metadata(meeting.path()).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_process_of_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return skipped("a process of another user", "only root can start one");
    }
    let server = Server::named("a");
    let meeting = Meeting::before(&server);
    let mut elb = meeting.launch().start();
    // The modes of the file and its folder stand in the way already; they may be lost where a folder is mounted.
    for (path, mode) in
        [(meeting.path(), 0o666), (meeting.path().parent().expect("a folder").to_owned(), 0o755)]
    {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    }
    let copy = meeting.path().with_file_name("elb");
    // By another process, as scripts are written.
    let copied = Command::new("cp").arg(program()).arg(&copy).status();
    assert!(copied.is_ok_and(|status| status.success()), "there is no copy");
    let mut stranger = Command::new(&copy);
    stranger.args(["--listen=127.0.0.1:0", "--no-pin", &meeting.flag()]).env_clear().uid(65534).gid(65534);
    let ended = stranger.output().expect("a stranger");
    let log = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(75), "{log}");
    says(&elb, "a process of user 65534 wants to take over, and is refused");
    assert_eq!(answers(elb.address(), 4), ["a"; 4]);
    assert!(elb.runs());
}

/// Whoever manages services starts ELB again when it has ended, and not before.
#[test]
fn where_the_next_one_crashes_while_this_one_drains_a_service_manager_gets_to_start_it_again() {
    let holds = || {
        Server::start(|talk| {
            talk.request()?;
            talk.some().map(drop)
        })
    };
    let manager = Manager::new();
    for is_managed in [false, true] {
        let server = holds();
        let meeting = Meeting::before(&server);
        let mut launch = meeting.launch();
        if is_managed {
            launch = launch.variable("NOTIFY_SOCKET", &manager.address());
        }
        let mut elb = launch.start();
        let mut client = elb.client();
        client.send(get(SITE, "/"));
        wait::until("the request to arrive", || (server.connections() == 1).then_some(()));
        elb.signal("USR2");
        let next = Next(process(&elb, "started the next ELB", 0));
        says(&elb, "handed over: the next ELB serves");
        assert!(elb.runs(), "it waits for the request");
        next.signal("KILL");
        says(&elb, "the ELB that took over has ended with signal: 9");
        if is_managed {
            assert_eq!(elb.exit().code(), Some(1), "{}", elb.log());
        } else {
            drop(client);
            assert_eq!(elb.exit().code(), Some(0), "what runs was finished");
        }
    }
}
