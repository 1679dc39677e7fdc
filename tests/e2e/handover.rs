//! One process takes the place of another: no connection is lost, nothing that was only in memory, and whatever goes wrong leaves the old
//! one serving.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;

use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::folder::{Folder, SECURE};
use crate::support::rules::{self, SITE};
use crate::support::secure::Trust;
use crate::support::server::Server;
use crate::support::wait;

mod failing;
mod memory;
mod signal;

/// Where processes meet, and what each of them is started with.
pub(crate) struct Meeting {
    folder: tempfile::TempDir,
    document: Value,
}

impl Meeting {
    pub(crate) fn serving(document: Value) -> Meeting {
        Meeting { folder: tempfile::tempdir().expect("a folder"), document }
    }

    pub(crate) fn before(server: &Server) -> Meeting {
        Meeting::serving(rules::site(&[server]))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("next")
    }

    pub(crate) fn flag(&self) -> String {
        format!("--handover={}", self.path().display())
    }

    pub(crate) fn launch(&self) -> Launch {
        Launch::serving(&self.document).flag(&self.flag())
    }
}

/// Waits until an ELB has said this, and gives the line.
#[track_caller]
pub(crate) fn says(elb: &Elb, words: &str) -> String {
    let found = || elb.log().lines().find(|line| line.contains(words)).map(str::to_owned);
    wait::until(words, found)
}

/// Starts the next one beside `old`, and waits until it has taken over.
#[track_caller]
pub(crate) fn follow(old: &Elb, launch: Launch) -> Elb {
    let new = launch.start();
    assert_eq!(new.address(), old.address());
    says(&new, "took over: every worker serves");
    says(old, "handed over: the next ELB serves");
    new
}

/// Asks on new connections until both of a pair of processes would have been asked.
pub(crate) fn answers(address: SocketAddr, count: usize) -> Vec<String> {
    (0..count).map(|_| Client::connect(address).ask(get(SITE, "/")).text()).collect()
}

/// Clients that ask without a pause: what they were answered, and what went wrong.
#[derive(Default)]
struct Asking {
    is_over: AtomicBool,
    answered: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

impl Asking {
    fn ask(&self, what: &str, mut once: impl FnMut() -> Result<(), String>) {
        while !self.is_over.load(Ordering::Relaxed) {
            match once() {
                Ok(()) => drop(self.answered.fetch_add(1, Ordering::Relaxed)),
                Err(error) => self.wrong.lock().expect("the list").push(format!("{what}: {error}")),
            }
        }
    }

    /// One connection for each request.
    fn short(&self, address: SocketAddr) {
        let request = format!("GET / HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\n\r\n");
        self.ask("a connection for a request", || {
            let mut client = Client::try_connect(address).map_err(|error| format!("connecting: {error}"))?;
            client.try_ask(&request).map(drop)
        });
    }

    /// One connection for as long as it may be used.
    fn long(&self, address: SocketAddr) {
        let mut client = None;
        self.ask("a connection that stays", || {
            let mut own = match client.take() {
                Some(client) => client,
                None => Client::try_connect(address).map_err(|error| format!("connecting: {error}"))?,
            };
            let answer = own.try_ask(&get(SITE, "/"))?;
            let closes = answer.head.get("connection").is_some_and(|word| word.eq_ignore_ascii_case("close"));
            client = (!closes).then_some(own);
            Ok(())
        });
    }

    /// A session of TLS for each request.
    fn secure(&self, address: SocketAddr, trust: &Trust) {
        self.ask("TLS", || {
            let socket = std::net::TcpStream::connect_timeout(&address, wait::PATIENCE);
            let mut client = trust.begin(socket.map_err(|error| format!("connecting: {error}"))?, SITE);
            client.try_ask(get(SITE, "/")).map(drop).map_err(|error| error.to_string())
        });
    }
}

#[test]
fn twenty_upgrades_in_a_row_lose_nothing_whatever_the_number_of_workers() {
    let server = Server::named("a");
    let (meeting, folder) = (Meeting::before(&server), Folder::of_site());
    let launch = |workers: usize| meeting.launch().workers(workers).flag(&folder.flag()).listener(SECURE);
    let trust = folder.trust();
    let mut elb = launch(6).start();
    let (address, secure) = (elb.address(), elb.addresses()[1]);
    let asking = Asking::default();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| asking.short(address));
            scope.spawn(|| asking.long(address));
        }
        scope.spawn(|| asking.secure(secure, &trust));
        let mut gone = Vec::new();
        for workers in [1, 4, 2, 6].into_iter().cycle().take(20) {
            let before = asking.answered.load(Ordering::Relaxed);
            let new = follow(&elb, launch(workers));
            wait::until("it to answer", || {
                (asking.answered.load(Ordering::Relaxed) > before + 20).then_some(())
            });
            gone.push(std::mem::replace(&mut elb, new));
        }
        for mut old in gone {
            assert_eq!(old.exit().code(), Some(0));
            assert!(!old.log().contains("cut off"), "{}", old.log());
        }
        asking.is_over.store(true, Ordering::Relaxed);
    });
    let wrong = asking.wrong.into_inner().expect("the list");
    assert!(wrong.is_empty(), "{} of {:?} failed: {:#?}", wrong.len(), asking.answered, wrong);
}

#[test]
fn what_waits_in_the_queues_of_more_workers_is_answered_by_one() {
    let server = Server::named("a");
    let meeting = Meeting::before(&server);
    let mut old = meeting.launch().workers(6).start();
    let new = follow(&old, meeting.launch().workers(1));
    assert_eq!(old.exit().code(), Some(0));
    // By chance each of six queues gets some of them, and a queue without a worker would answer none.
    assert_eq!(answers(new.address(), 60), vec!["a"; 60]);
    assert!(says(&new, "taking over from").contains("sockets=6"), "{}", new.log());
}

#[test]
fn another_set_of_addresses_takes_what_it_wants_and_binds_the_rest() {
    let server = Server::named("a");
    let meeting = Meeting::before(&server);
    let old = meeting.launch().listener("--listen=127.0.0.2:0").flag("--admin-listen=127.0.0.1:0");
    let mut old = old.start();
    let [kept, other] = [0, 1].map(|at| old.addresses()[at]);
    let store = old.folder().join("elb.json");
    let flags = [
        format!("--listen={kept}"),
        "--listen=127.0.0.3:0".to_owned(),
        format!("--store=file:{}", store.display()),
        "--admin-listen=127.0.0.1:0".to_owned(),
        meeting.flag(),
    ];
    let launch = Launch::bare(&["--no-pin"]).workers(3);
    let new = flags.iter().fold(launch, |launch, flag| launch.flag(flag)).start();
    says(&new, "took over: every worker serves");
    assert_eq!(old.exit().code(), Some(0));
    let own = wait::until("both addresses", || (new.addresses_now().len() == 2).then(|| new.addresses_now()));
    assert_eq!((own[0], own[1].ip().to_string().as_str()), (kept, "127.0.0.3"));
    assert_eq!(answers(kept, 10), vec!["a"; 10]);
    assert_eq!(answers(own[1], 2), vec!["a"; 2]);
    assert!(Client::try_connect(other).is_err(), "who was not wanted is closed with the process that had it");
    says(&new, &format!("nothing listens on {other} any more"));
    assert_eq!(new.admin().address(), old.admin().address());
    assert_eq!(new.admin().get("workers")["workers"].as_array().map(Vec::len), Some(3));
}

#[test]
fn the_old_one_can_still_be_asked_while_it_drains() {
    let (server, own) = (Server::named("a"), "--admin-listen=127.0.0.1:0");
    let meeting = Meeting::before(&server);
    let mut old = meeting.launch().flag(own).flag("--drain-timeout=1h").start();
    let address = old.admin().address();
    let mut open = Client::connect(old.address());
    open.send("GET / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 1\r\n\r\n");
    wait::until("the request", || {
        (old.admin().get("status")["connections"]["requests_active"] == 1).then_some(())
    });
    let new = follow(&old, meeting.launch().flag(&format!("--admin-listen={address}")));
    let (of_old, of_new) = (old.withdrawn().get("status"), new.admin().get("status"));
    assert_eq!((&of_old["reasons"], &of_new["ready"]), (&serde_json::json!(["draining"]), &true.into()));
    assert_eq!(of_old["connections"]["requests_active"], 1);
    open.send("x");
    assert_eq!(open.response().text(), "a");
    assert_eq!(old.exit().code(), Some(0));
    assert!(new.admin().get("status")["ready"] == true);
}
